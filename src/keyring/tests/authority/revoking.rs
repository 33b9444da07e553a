//! Who may end a key, and all of them.

use super::{CALLER, Done, Scene, Setting, at, done, environment, id, key, revoked, scopes};
use crate::keyring::authority;
use crate::scope::Roles;
use crate::store::{Decision, KeyRecord, Owner, Provenance, Refusal, Revocation, Whose};

#[test]
fn revoking() {
    let oneself: Setting = |s| {
        s.caller().scopes = scopes(&[]);
        s.target = s.caller.as_ref().map(|caller| caller.record.clone());
    };
    let tests: [(&str, Setting, Result<Done, Refusal>); 13] = [
        ("a weaker key", |_| {}, Ok(Done::Written)),
        (
            "a stronger key",
            |s| s.target().scopes = scopes(&["*", "keys:admin"]),
            Ok(Done::Written),
        ),
        (
            "a key of another environment",
            |s| s.target().environment = environment("test"),
            Ok(Done::Written),
        ),
        (
            "a disabled key",
            |s| s.target().enabled = false,
            Ok(Done::Written),
        ),
        (
            "an expired key",
            |s| s.target().expires_at = Some(at(0)),
            Ok(Done::Written),
        ),
        (
            "a revoked key",
            |s| s.target().revoked = revoked(),
            Ok(Done::Kept),
        ),
        ("oneself, without any scope", oneself, Ok(Done::Written)),
        (
            "oneself, revoked meanwhile",
            |s| {
                s.caller().revoked = revoked();
                s.target = s.caller.as_ref().map(|caller| caller.record.clone());
            },
            Err(Refusal::CallerDead),
        ),
        (
            "a caller who may only read keys",
            |s| s.caller().scopes = scopes(&["keys:read"]),
            Err(Refusal::CallerLacksScope),
        ),
        (
            "without the scope, a key that is not there",
            |s| {
                s.caller().scopes = scopes(&["a:*"]);
                s.target = None;
            },
            Err(Refusal::CallerLacksScope),
        ),
        (
            "a key that is not there",
            |s| s.target = None,
            Err(Refusal::NotFound),
        ),
        (
            "a key of another owner",
            |s| s.target().owner = Owner::parse("other").unwrap(),
            Err(Refusal::NotFound),
        ),
        (
            "a key of another owner, by the holder of the scope for all keys",
            |s| {
                s.caller().scopes = scopes(&["keys:admin"]);
                s.target().owner = Owner::parse("other").unwrap();
            },
            Ok(Done::Written),
        ),
    ];
    for (name, setting, expected) in tests {
        let mut scene = Scene::new();
        setting(&mut scene);
        let rows = scene.rows();
        let result = authority::revoke(&key(), Some("why"), &Roles::default(), &rows)
            .map(|decision| done(name, decision, rows.target.as_ref().unwrap()));
        assert_eq!(result, expected, "{name}");
    }
}

#[test]
fn a_revocation_says_when_by_whom_and_why() {
    let rows = Scene::new().rows();
    let decision = authority::revoke(&key(), Some("why"), &Roles::default(), &rows).unwrap();
    let Decision::Update { record: after, .. } = decision else {
        panic!("{decision:?}");
    };
    let revocation = Revocation {
        at: at(0),
        by: Provenance::Key(id(CALLER)),
        reason: Some("why".to_owned()),
    };
    let before = rows.target.unwrap();
    let expected = KeyRecord {
        revoked: Some(revocation),
        ..before
    };
    assert_eq!(after, expected);
}

#[test]
fn many_keys_at_once_are_revoked_by_whoever_manages_all_of_them_alone() {
    let mut scene = Scene::new();
    let stop = |scene: &Scene| {
        authority::revoke_all(&key(), &Whose::All, "why", &Roles::default(), &scene.rows())
    };
    assert_eq!(stop(&scene).unwrap_err(), Refusal::CallerLacksScope);
    scene.caller().scopes = scopes(&["keys:admin"]);
    let Ok(Decision::RevokeAll { whose, revocation }) = stop(&scene) else {
        panic!("it manages all keys");
    };
    let expected = Revocation {
        at: at(0),
        by: Provenance::Key(id(CALLER)),
        reason: Some("why".to_owned()),
    };
    assert_eq!((whose, revocation), (Whose::All, expected));
}
