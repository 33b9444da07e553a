//! A secret that was made elsewhere: whose it may be already, and to whom that is told.

use super::{Scene, TARGET, id, key};
use crate::keyring::authority;
use crate::keyring::limits::Limits;
use crate::scope::Roles;
use crate::store::{Decision, EventKind, Owner, Refusal, Replay};

#[test]
fn a_digest_of_others_is_told_only_to_whoever_could_make_the_key() {
    let (own, other) = (Some("acme"), Some("other"));
    let taken = Err(Refusal::DigestTaken);
    let full = Err(Refusal::KeyLimitReached);
    // Who holds the digest, whether somebody did, and whether there is room for one more key.
    for (holder, ended, room, expected) in [
        (None, false, true, Ok(())),
        (None, false, false, full),
        (own, false, true, taken),
        (own, false, false, taken),
        (other, false, true, taken),
        (other, false, false, full),
        (None, true, true, taken),
        (None, true, false, full),
    ] {
        let mut scene = Scene::new();
        scene.draft.made_elsewhere = true;
        scene.draft.limits = Limits {
            live_keys: Some(2),
            ..Limits::default()
        };
        let mut rows = scene.rows();
        rows.live_keys = if room { 1 } else { 2 };
        rows.digest_ended = ended;
        rows.digest_holder = holder.map(|holder| {
            let mut record = super::record(TARGET, &[]);
            record.owner = Owner::parse(holder).unwrap();
            record
        });
        let decided = authority::create(&key(), &scene.draft, &Roles::default(), &rows);
        let decided = decided.map(|decision| match decision {
            Decision::Insert { event, .. } => assert_eq!(event.what, EventKind::Imported),
            other => panic!("{other:?}"),
        });
        assert_eq!(decided, expected, "{holder:?}, {ended}, {room}");
    }
}

#[test]
fn an_import_that_comes_again_keeps_the_secret() {
    let mut scene = Scene::new();
    scene.draft.request = Some([1; 32]);
    scene.draft.made_elsewhere = true;
    let mut rows = scene.rows();
    rows.replay = Some(Replay {
        request: [1; 32],
        made: id(TARGET),
        expires_at: super::at(1),
    });
    let decided = authority::create(&key(), &scene.draft, &Roles::default(), &rows);
    assert!(matches!(decided, Ok(Decision::Keep)), "{decided:?}");
}
