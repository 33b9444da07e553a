//! Who may change what.

use super::{Done, Scene, Setting, at, done, environment, key, patch, revoked, scopes};
use crate::keyring::authority::{self, End, KeyPatch, SelfService};
use crate::keyring::limits::Limits;
use crate::scope::Roles;
use crate::store::{Owner, Refusal};

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn changing() {
    let rename = || patch(Some("after"), None);
    let (enable, disable) = (|| patch(None, Some(true)), || patch(None, Some(false)));
    let exceeding: Setting = |s| s.target().scopes = scopes(&["c"]);
    let disabled: Setting = |s| s.target().enabled = false;
    let tests: [(&str, KeyPatch, Setting, Result<Done, Refusal>); 26] = [
        ("a new name", rename(), |_| {}, Ok(Done::Written)),
        (
            "the same name",
            patch(Some("before"), None),
            |_| {},
            Ok(Done::Kept),
        ),
        ("nothing", KeyPatch::default(), |_| {}, Ok(Done::Kept)),
        ("disabling", disable(), |_| {}, Ok(Done::Written)),
        ("disabling again", disable(), disabled, Ok(Done::Kept)),
        ("enabling", enable(), disabled, Ok(Done::Written)),
        ("enabling again", enable(), |_| {}, Ok(Done::Kept)),
        (
            "a caller revoked meanwhile",
            rename(),
            |s| s.caller().revoked = revoked(),
            Err(Refusal::CallerDead),
        ),
        (
            "a caller who may only read keys",
            disable(),
            |s| s.caller().scopes = scopes(&["keys:read", "a:*"]),
            Err(Refusal::CallerLacksScope),
        ),
        (
            "the scope is asked before the key is",
            disable(),
            |s| {
                s.caller().scopes = scopes(&["a:*"]);
                s.target = None;
            },
            Err(Refusal::CallerLacksScope),
        ),
        (
            "a key that is not there",
            rename(),
            |s| s.target = None,
            Err(Refusal::NotFound),
        ),
        (
            "a key of another owner is not there either",
            rename(),
            |s| s.target().owner = Owner::parse("other").unwrap(),
            Err(Refusal::NotFound),
        ),
        (
            "a revoked key of another owner is not there either",
            rename(),
            |s| {
                s.target().owner = Owner::parse("other").unwrap();
                s.target().revoked = revoked();
            },
            Err(Refusal::NotFound),
        ),
        (
            "a key of another owner, by the holder of the scope for all keys",
            rename(),
            |s| {
                s.caller().scopes = scopes(&["keys:admin", "a:*"]);
                s.target().owner = Owner::parse("other").unwrap();
            },
            Ok(Done::Written),
        ),
        (
            "a stronger key",
            rename(),
            exceeding,
            Err(Refusal::ExceedsCaller),
        ),
        (
            "enabling a stronger key",
            enable(),
            |s| {
                s.target().scopes = scopes(&["c"]);
                s.target().enabled = false;
            },
            Err(Refusal::ExceedsCaller),
        ),
        (
            "enabling a stronger key that is enabled",
            enable(),
            exceeding,
            Err(Refusal::ExceedsCaller),
        ),
        (
            "disabling a stronger key",
            disable(),
            exceeding,
            Ok(Done::Written),
        ),
        (
            "disabling a stronger key and more",
            patch(Some("after"), Some(false)),
            exceeding,
            Err(Refusal::ExceedsCaller),
        ),
        (
            "a key that outlives the caller",
            rename(),
            |s| s.caller().expires_at = Some(at(10)),
            Err(Refusal::ExceedsCaller),
        ),
        (
            "a key of another environment",
            rename(),
            |s| s.target().environment = environment("test"),
            Err(Refusal::ExceedsCaller),
        ),
        (
            "a key with the scope for all keys, by one who writes keys",
            rename(),
            |s| s.target().scopes = scopes(&["keys:admin"]),
            Err(Refusal::ExceedsCaller),
        ),
        (
            "a revoked key",
            rename(),
            |s| s.target().revoked = revoked(),
            Err(Refusal::KeyRevoked),
        ),
        (
            "enabling a revoked key",
            enable(),
            |s| s.target().revoked = revoked(),
            Err(Refusal::KeyRevoked),
        ),
        (
            "nothing in an expired key",
            KeyPatch::default(),
            |s| s.target().expires_at = Some(at(0)),
            Err(Refusal::KeyExpired),
        ),
        (
            "authority is asked before state",
            rename(),
            |s| {
                s.target().scopes = scopes(&["c"]);
                s.target().revoked = revoked();
            },
            Err(Refusal::ExceedsCaller),
        ),
    ];
    for (name, patch, setting, expected) in tests {
        let mut scene = Scene::new();
        setting(&mut scene);
        let rows = scene.rows();
        let result = authority::update(
            &key(),
            &patch,
            SelfService::default(),
            &Limits::default(),
            &Roles::default(),
            &rows,
        )
        .map(|decision| done(name, decision, rows.target.as_ref().unwrap()));
        assert_eq!(result, expected, "{name}");
    }
}

#[test]
fn an_own_end_that_comes_later_is_an_extension_and_no_other_is() {
    let to = |end| KeyPatch {
        expires_at: Some(end),
        ..KeyPatch::default()
    };
    let (ten, twenty) = (End::At(at(10)), End::At(at(20)));
    let cases = [
        ("later", Some(at(10)), twenty, true),
        ("the same", Some(at(20)), twenty, false),
        ("earlier", Some(at(20)), ten, false),
        ("never any more", Some(at(10)), End::Never, true),
        ("never still", None, End::Never, false),
        ("an end at last", None, ten, false),
    ];
    for (name, before, end, extends) in cases {
        let mut scene = Scene::new();
        scene.caller().expires_at = before;
        scene.target = scene.caller.as_ref().map(|caller| caller.record.clone());
        for renewal in [false, true] {
            let decided = authority::update(
                &key(),
                &to(end),
                SelfService { renewal },
                &Limits::default(),
                &Roles::default(),
                &scene.rows(),
            );
            let refused = decided.err();
            let expected = (extends && !renewal).then_some(Refusal::OnOneself);
            assert_eq!(refused, expected, "{name}, {renewal}");
        }
    }
}
