//! What a caller may do, as a table: rows in, decision out.
//!
//! The caller is a key of `acme` in `live` that holds `keys:write`, `a:*` and `b`, and lives as
//! long as each case says; the target is a key of `acme` in `live` that holds `a:x`.

#[cfg(feature = "admin")]
mod callers;
mod covering;
mod importing;
mod rotating;
mod trail;

use std::sync::Arc;
use std::time::Duration;

use crate::key::{Environment, KeyDigest, KeyId};
use crate::keyring::authority::{self, Draft, End, Expiry, KeyPatch, SelfService};
use crate::keyring::caller::Caller;
use crate::keyring::limits::Limits;
use crate::principal::{Known, Principal, Span};
use crate::scope::{Roles, ScopeSet};
use crate::store::{
    Decision, FoundKey, KeyName, KeyRecord, Metadata, Owner, Provenance, Refusal, Revocation, Rows,
    Whose,
};
use crate::timestamp::Timestamp;

const CALLER: &str = "key_000000000000000c";
const TARGET: &str = "key_000000000000000t";

fn id(id: &str) -> KeyId {
    id.parse().unwrap()
}

/// So many seconds after the store's now.
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_micros((1_000_000 + seconds) * 1_000_000).unwrap()
}

fn environment(name: &str) -> Environment {
    name.parse().unwrap()
}

fn scopes(scopes: &[&str]) -> ScopeSet {
    ScopeSet::parse(scopes).unwrap()
}

fn record(id: &str, grants: &[&str]) -> KeyRecord {
    KeyRecord {
        id: id.parse().unwrap(),
        name: KeyName::parse("before").unwrap(),
        owner: Owner::parse("acme").unwrap(),
        environment: environment("live"),
        hint: crate::key::KeyHint::from_stored("acme_live_0000").unwrap(),
        scopes: scopes(grants),
        roles: crate::scope::RoleSet::empty(),
        resources: None,
        allowed_ips: None,
        enabled: true,
        created_at: at(-100),
        created_by: Provenance::System,
        expires_at: None,
        revoked: None,
        metadata: Metadata::default(),
        last_used_at: None,
        previous: None,
    }
}

#[expect(clippy::unnecessary_wraps, reason = "it goes into a field")]
fn revoked() -> Option<Revocation> {
    Some(Revocation {
        at: at(-50),
        by: Provenance::System,
        reason: Some("the first reason".to_owned()),
    })
}

/// Everything that a decision depends on, at first such that it is granted.
struct Scene {
    caller: Option<FoundKey>,
    target: Option<KeyRecord>,
    draft: Draft,
    ever_had_a_key: bool,
}

impl Scene {
    fn new() -> Self {
        Self {
            caller: Some(FoundKey {
                record: record(CALLER, &["keys:write", "a:*", "b"]),
                secret_expires_at: None,
                secret_last_used_at: None,
            }),
            target: Some(record(TARGET, &["a:x"])),
            draft: Draft {
                id: id("key_000000000000000n"),
                digest: KeyDigest::from_bytes([7; 32]),
                hint: crate::key::KeyHint::from_stored("acme_live_0000").unwrap(),
                name: KeyName::parse("new").unwrap(),
                owner: Owner::parse("acme").unwrap(),
                environment: environment("live"),
                scopes: scopes(&["a:x"]),
                roles: crate::scope::RoleSet::empty(),
                resources: None,
                allowed_ips: None,
                expiry: Expiry::AsCaller,
                metadata: Metadata::default(),
                made_elsewhere: false,
                only_first: false,
                request: None,
                limits: Limits::default(),
            },
            ever_had_a_key: true,
        }
    }

    fn caller(&mut self) -> &mut KeyRecord {
        &mut self.caller.as_mut().unwrap().record
    }

    fn target(&mut self) -> &mut KeyRecord {
        self.target.as_mut().unwrap()
    }

    fn rows(&self) -> Rows {
        Rows {
            now: at(0),
            caller: self.caller.clone(),
            target: self.target.clone(),
            ever_had_a_key: self.ever_had_a_key,
            replay: None,
            live_keys: 0,
            digest_holder: None,
            digest_ended: false,
        }
    }
}

type Setting = fn(&mut Scene);

/// The end of the key that is made, or why none is.
type Made = Result<Option<Timestamp>, Refusal>;

/// The caller as the gate let it in, which is not what decides.
fn key() -> Caller {
    let found = FoundKey {
        record: record(CALLER, &["*", "keys:admin"]),
        secret_expires_at: None,
        secret_last_used_at: None,
    };
    let digest = KeyDigest::from_bytes([1; 32]);
    Caller::Key(Principal::new(Arc::new(Known::new(
        found,
        digest,
        0,
        Span::ENDLESS,
        Arc::default(),
        &Roles::default(),
    ))))
}

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

/// What became of the target.
#[derive(Debug, PartialEq)]
enum Done {
    Written,
    Kept,
}

fn done(name: &str, decision: Decision, before: &KeyRecord) -> Done {
    match decision {
        Decision::Update { record: after, .. } => {
            assert_ne!(after, *before, "{name}");
            Done::Written
        }
        Decision::Keep => Done::Kept,
        other => panic!("{name}: {other:?}"),
    }
}

fn patch(name: Option<&str>, enabled: Option<bool>) -> KeyPatch {
    KeyPatch {
        name: name.map(|name| KeyName::parse(name).unwrap()),
        enabled,
        ..KeyPatch::default()
    }
}

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

#[test]
fn the_application_itself_may_do_everything() {
    let mut scene = Scene::new();
    scene.caller = None;
    scene.draft.scopes = ScopeSet::everything();
    scene.draft.owner = Owner::parse("anybody").unwrap();
    scene.target().scopes = ScopeSet::everything();
    scene.target().environment = environment("test");
    let rows = scene.rows();
    let system = Caller::System;
    assert!(authority::create(&system, &scene.draft, &Roles::default(), &rows).is_ok());
    assert!(
        authority::update(
            &system,
            &patch(Some("after"), None),
            SelfService::default(),
            &Limits::default(),
            &Roles::default(),
            &rows
        )
        .is_ok()
    );
    assert!(authority::revoke(&system, None, &Roles::default(), &rows).is_ok());
    scene.target().revoked = revoked();
    let rename = patch(Some("after"), None);
    let result = authority::update(
        &system,
        &rename,
        SelfService::default(),
        &Limits::default(),
        &Roles::default(),
        &scene.rows(),
    );
    assert_eq!(
        result.unwrap_err(),
        Refusal::KeyRevoked,
        "but not undo a revoke"
    );
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
