//! Who may make which key.

use std::time::Duration;

use super::{CALLER, Scene, Setting, TARGET, at, environment, id, key, revoked, scopes};
use crate::keyring::authority::{self, Expiry};
use crate::scope::Roles;
use crate::store::{Decision, KeyRecord, Owner, Provenance, Refusal};
use crate::timestamp::Timestamp;

/// The end of the key that is made, or why none is.
type Made = Result<Option<Timestamp>, Refusal>;

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn creating() {
    let tests: [(&str, Setting, Made); 30] = [
        ("less than the caller holds", |_| {}, Ok(None)),
        (
            "as much as the caller holds",
            |s| s.draft.scopes = scopes(&["keys:write", "a:*", "b"]),
            Ok(None),
        ),
        ("nothing", |s| s.draft.scopes = scopes(&[]), Ok(None)),
        (
            "a caller that is gone",
            |s| s.caller = None,
            Err(Refusal::CallerDead),
        ),
        (
            "a caller revoked meanwhile",
            |s| s.caller().revoked = revoked(),
            Err(Refusal::CallerDead),
        ),
        (
            "a caller disabled meanwhile",
            |s| s.caller().enabled = false,
            Err(Refusal::CallerDead),
        ),
        (
            "a caller whose end has come",
            |s| s.caller().expires_at = Some(at(0)),
            Err(Refusal::CallerDead),
        ),
        (
            "a caller whose secret's end has come",
            |s| s.caller.as_mut().unwrap().secret_expires_at = Some(at(0)),
            Err(Refusal::CallerDead),
        ),
        (
            "a caller who may only read keys",
            |s| s.caller().scopes = scopes(&["keys:read", "a:*"]),
            Err(Refusal::CallerLacksScope),
        ),
        (
            "a caller with everything but the scopes for keys",
            |s| s.caller().scopes = scopes(&["*"]),
            Err(Refusal::CallerLacksScope),
        ),
        (
            "a scope the caller does not hold",
            |s| s.draft.scopes = scopes(&["a:x", "c"]),
            Err(Refusal::ExceedsCaller),
        ),
        (
            "a wildcard wider than the caller's",
            |s| s.draft.scopes = scopes(&["*"]),
            Err(Refusal::ExceedsCaller),
        ),
        (
            "a wildcard where the caller holds one scope",
            |s| s.draft.scopes = scopes(&["b:*"]),
            Err(Refusal::ExceedsCaller),
        ),
        (
            "the scope for all keys, from one who writes keys",
            |s| s.draft.scopes = scopes(&["keys:admin"]),
            Err(Refusal::ExceedsCaller),
        ),
        (
            "the scope for all keys, from one who holds everything else",
            |s| {
                s.caller().scopes = scopes(&["*", "keys:write"]);
                s.draft.scopes = scopes(&["keys:admin"]);
            },
            Err(Refusal::ExceedsCaller),
        ),
        (
            "the scope for all keys, from its holder",
            |s| {
                s.caller().scopes = scopes(&["keys:admin"]);
                s.draft.scopes = scopes(&["keys:admin", "keys:write", "keys:read"]);
            },
            Ok(None),
        ),
        (
            "a key of another owner",
            |s| s.draft.owner = Owner::parse("other").unwrap(),
            Err(Refusal::ExceedsCaller),
        ),
        (
            "a key of another owner, from the holder of the scope for all keys",
            |s| {
                s.caller().scopes = scopes(&["keys:admin", "a:*"]);
                s.draft.owner = Owner::parse("other").unwrap();
            },
            Ok(None),
        ),
        (
            "a key of another environment",
            |s| s.draft.environment = environment("test"),
            Err(Refusal::ExceedsCaller),
        ),
        (
            "no end named: the caller's own",
            |s| s.caller().expires_at = Some(at(10)),
            Ok(Some(at(10))),
        ),
        (
            "no end named: that of the caller's secret if it is lower",
            |s| {
                s.caller().expires_at = Some(at(10));
                s.caller.as_mut().unwrap().secret_expires_at = Some(at(5));
            },
            Ok(Some(at(5))),
        ),
        (
            "an end with the caller",
            |s| {
                s.caller().expires_at = Some(at(10));
                s.draft.expiry = Expiry::At(at(10));
            },
            Ok(Some(at(10))),
        ),
        (
            "an end after the caller's",
            |s| {
                s.caller().expires_at = Some(at(10));
                s.draft.expiry = Expiry::In(Duration::from_secs(11));
            },
            Err(Refusal::ExceedsCaller),
        ),
        (
            "no end, from one who has an end",
            |s| {
                s.caller().expires_at = Some(at(10));
                s.draft.expiry = Expiry::Never;
            },
            Err(Refusal::ExceedsCaller),
        ),
        (
            "an end from one who has none",
            |s| s.draft.expiry = Expiry::In(Duration::from_secs(1)),
            Ok(Some(at(1))),
        ),
        (
            "an end that has come",
            |s| s.draft.expiry = Expiry::At(at(0)),
            Err(Refusal::ExpiryInThePast),
        ),
        (
            "an end that has come is told before what exceeds the caller",
            |s| {
                s.draft.expiry = Expiry::At(at(-1));
                s.draft.scopes = scopes(&["c"]);
            },
            Err(Refusal::ExpiryInThePast),
        ),
        (
            "an end beyond the calendar",
            |s| s.draft.expiry = Expiry::In(Duration::MAX),
            Err(Refusal::ExpiryTooFar),
        ),
        (
            "the first key where there was one",
            |s| s.draft.only_first = true,
            Err(Refusal::NotTheFirst),
        ),
        (
            "the first key where there was none",
            |s| {
                s.draft.only_first = true;
                s.ever_had_a_key = false;
            },
            Ok(None),
        ),
    ];
    for (name, setting, expected) in tests {
        let mut scene = Scene::new();
        setting(&mut scene);
        let result = authority::create(&key(), &scene.draft, &Roles::default(), &scene.rows());
        let result = result.map(|decision| match decision {
            Decision::Insert { record, digest, .. } => {
                assert_eq!(digest, scene.draft.digest, "{name}");
                assert_eq!(record.created_at, at(0), "{name}");
                assert_eq!(record.created_by, Provenance::Key(id(CALLER)), "{name}");
                assert_eq!(record.scopes, scene.draft.scopes, "{name}");
                assert!(record.enabled && record.revoked.is_none(), "{name}");
                record.expires_at
            }
            other => panic!("{name}: {other:?}"),
        });
        assert_eq!(result, expected, "{name}");
    }
}

#[test]
fn a_request_that_comes_again_gets_another_secret_for_the_key_that_it_made() {
    let cases: [(&str, Setting, Result<(), Refusal>); 10] = [
        ("the same request", |_| {}, Ok(())),
        (
            "another request",
            |scene| scene.draft.request = Some([2; 32]),
            Err(Refusal::ReplayDiffers),
        ),
        (
            "an environment that was left open and is another one now",
            |scene| scene.target().environment = environment("test"),
            Err(Refusal::ReplayDiffers),
        ),
        (
            "a key that holds more by now",
            |scene| scene.target().scopes = scopes(&["c"]),
            Err(Refusal::ExceedsCaller),
        ),
        (
            "a key of an owner that is out of reach by now",
            |scene| scene.target().owner = Owner::parse("other").unwrap(),
            Err(Refusal::ExceedsCaller),
        ),
        (
            "a key that was revoked",
            |scene| scene.target().revoked = revoked(),
            Err(Refusal::KeyRevoked),
        ),
        (
            "a key that has expired",
            |scene| scene.target().expires_at = Some(at(0)),
            Err(Refusal::KeyExpired),
        ),
        (
            "an expiry that was ahead when the key was made",
            |scene| scene.draft.expiry = Expiry::At(at(-1)),
            Ok(()),
        ),
        (
            "a caller that is dead",
            |scene| scene.caller().revoked = revoked(),
            Err(Refusal::CallerDead),
        ),
        (
            "a caller that writes no keys",
            |scene| scene.caller().scopes = scopes(&["a:*"]),
            Err(Refusal::CallerLacksScope),
        ),
    ];
    for (name, setting, expected) in cases {
        let mut scene = Scene::new();
        scene.draft.request = Some([1; 32]);
        setting(&mut scene);
        let mut rows = scene.rows();
        rows.replay = Some(crate::store::Replay {
            request: [1; 32],
            made: id(TARGET),
            expires_at: at(1),
        });
        let decision = authority::create(&key(), &scene.draft, &Roles::default(), &rows);
        if let Ok(Decision::Rotate { record, digest, .. }) = &decision {
            let made = scene.target.clone().unwrap();
            let hint = scene.draft.hint.clone();
            assert_eq!(*record, KeyRecord { hint, ..made }, "{name}");
            assert_eq!(*digest, scene.draft.digest, "{name}");
        } else {
            assert!(decision.is_err(), "{name}");
        }
        assert_eq!(decision.map(|_| ()), expected, "{name}");
    }

    let mut scene = Scene::new();
    scene.draft.request = Some([1; 32]);
    scene.target = None;
    let mut rows = scene.rows();
    rows.replay = Some(crate::store::Replay {
        request: [1; 32],
        made: id(TARGET),
        expires_at: at(1),
    });
    let decision = authority::create(&key(), &scene.draft, &Roles::default(), &rows).unwrap();
    let Decision::Insert { replay, .. } = decision else {
        panic!("a key that was deleted by hand is made again: {decision:?}");
    };
    assert_eq!(replay.unwrap().made, scene.draft.id);
}
