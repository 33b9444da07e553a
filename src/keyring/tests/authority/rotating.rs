//! Who may give a key another secret, and how long the old one goes on.

use std::time::Duration;

use super::{CALLER, Scene, Setting, at, environment, id, key, revoked, scopes};
use crate::key::{KeyDigest, KeyHint};
use crate::keyring::authority::{self, Rotation, SelfService};
use crate::scope::Roles;
use crate::store::{
    Decision, EventDetail, EventKind, KeyRecord, Owner, Previous, Provenance, Refusal,
};
use crate::timestamp::Timestamp;

const GRACE: Duration = Duration::from_mins(1);

fn rotation(grace: Duration, renewal: bool) -> Rotation {
    Rotation {
        digest: KeyDigest::from_bytes([9; 32]),
        hint: KeyHint::from_stored("acme_live_1111").unwrap(),
        environment: environment("live"),
        grace,
        self_service: SelfService { renewal },
    }
}

fn rotate(scene: &Scene, rotation: &Rotation) -> Result<Decision, Refusal> {
    authority::rotate(&key(), rotation, &Roles::default(), &scene.rows())
}

fn oneself(scene: &mut Scene) {
    scene.target = scene.caller.as_ref().map(|caller| caller.record.clone());
}

#[test]
fn a_key_is_rotated_by_whoever_holds_all_of_it_and_by_itself_where_that_is_allowed() {
    let tests: [(&str, Setting, bool, Result<(), Refusal>); 13] = [
        ("a weaker key", |_| {}, false, Ok(())),
        ("a weaker key, with renewal", |_| {}, true, Ok(())),
        ("oneself, with renewal", oneself, true, Ok(())),
        ("oneself, without", oneself, false, Err(Refusal::OnOneself)),
        (
            "a caller revoked meanwhile",
            |s| s.caller().revoked = revoked(),
            true,
            Err(Refusal::CallerDead),
        ),
        (
            "a caller who may only read keys",
            |s| s.caller().scopes = scopes(&["keys:read", "a:*"]),
            true,
            Err(Refusal::CallerLacksScope),
        ),
        (
            "a key of another owner",
            |s| s.target().owner = Owner::parse("other").unwrap(),
            true,
            Err(Refusal::NotFound),
        ),
        (
            "a stronger key",
            |s| s.target().scopes = scopes(&["c"]),
            true,
            Err(Refusal::ExceedsCaller),
        ),
        (
            "authority is asked before state",
            |s| {
                s.target().scopes = scopes(&["c"]);
                s.target().revoked = revoked();
            },
            true,
            Err(Refusal::ExceedsCaller),
        ),
        (
            "a revoked key",
            |s| s.target().revoked = revoked(),
            true,
            Err(Refusal::KeyRevoked),
        ),
        (
            "an expired key",
            |s| s.target().expires_at = Some(at(0)),
            true,
            Err(Refusal::KeyExpired),
        ),
        (
            "a disabled key",
            |s| s.target().enabled = false,
            true,
            Ok(()),
        ),
        (
            "a key whose environment is not that of the new secret",
            |s| {
                s.caller().environment = environment("test");
                s.target().environment = environment("test");
            },
            true,
            Err(Refusal::UndeclaredEnvironment),
        ),
    ];
    for (name, setting, renewal, expected) in tests {
        let mut scene = Scene::new();
        setting(&mut scene);
        let decided = rotate(&scene, &rotation(GRACE, renewal));
        assert_eq!(decided.map(|_| ()), expected, "{name}");
    }
}

#[test]
fn the_old_secret_goes_on_for_its_grace_and_never_longer_than_the_key() {
    let cases: [(&str, Option<Timestamp>, Duration, Option<Timestamp>); 5] = [
        ("no grace", None, Duration::ZERO, None),
        ("a key without end", None, GRACE, Some(at(60))),
        ("a key that ends later", Some(at(61)), GRACE, Some(at(60))),
        ("a key that ends before", Some(at(59)), GRACE, Some(at(59))),
        (
            "a grace beyond the calendar",
            None,
            Duration::MAX,
            Some(Timestamp::MAX),
        ),
    ];
    for (name, end, grace, until) in cases {
        let mut scene = Scene::new();
        scene.target().expires_at = end;
        let rotation = rotation(grace, false);
        let Decision::Rotate {
            record,
            digest,
            event,
        } = rotate(&scene, &rotation).unwrap()
        else {
            panic!("{name}");
        };
        assert_eq!(digest, rotation.digest, "{name}");
        let before = scene.target.unwrap();
        let previous = until.map(|expires_at| Previous {
            hint: before.hint.clone(),
            expires_at,
            last_used_at: None,
        });
        let hint = rotation.hint.clone();
        let expected = KeyRecord {
            hint,
            previous,
            ..before
        };
        assert_eq!(record, expected, "{name}");
        let detail = EventDetail {
            previous_until: until,
            ..EventDetail::default()
        };
        assert_eq!(
            (event.what, event.detail),
            (EventKind::Rotated, detail),
            "{name}"
        );
        assert_eq!(event.by, Provenance::Key(id(CALLER)), "{name}");
    }
}

#[test]
fn a_grace_is_ended_by_whoever_writes_keys() {
    let graced: Setting = |s| {
        s.target().previous = Some(Previous {
            hint: KeyHint::from_stored("acme_live_2222").unwrap(),
            expires_at: at(60),
            last_used_at: None,
        });
    };
    let end = |scene: &Scene| authority::end_previous(&key(), &Roles::default(), &scene.rows());

    let mut scene = Scene::new();
    assert!(matches!(end(&scene), Ok(Decision::Keep)), "there is none");
    graced(&mut scene);
    // Taking away asks for no more than the scope.
    scene.target().scopes = scopes(&["c"]);
    let Ok(Decision::EndPrevious { record, event }) = end(&scene) else {
        panic!("there is one");
    };
    let before = scene.target.clone().unwrap();
    let expected = KeyRecord {
        previous: None,
        ..before
    };
    assert_eq!(record, expected);
    assert_eq!(event.what, EventKind::PreviousEnded);

    scene.caller().scopes = scopes(&["keys:read", "*"]);
    assert_eq!(end(&scene).unwrap_err(), Refusal::CallerLacksScope);
    scene.caller().scopes = scopes(&["keys:write"]);
    scene.target().owner = Owner::parse("other").unwrap();
    assert_eq!(end(&scene).unwrap_err(), Refusal::NotFound);
}
