//! What a caller may do, as a table: rows in, decision out.
//!
//! The caller is a key of `acme` in `live` that holds `keys:write`, `a:*` and `b`, and lives as
//! long as each case says; the target is a key of `acme` in `live` that holds `a:x`.

#[cfg(feature = "admin")]
mod callers;
mod changing;
mod covering;
mod creating;
mod importing;
mod revoking;
mod rotating;
mod trail;

use std::sync::Arc;

use crate::key::{Environment, KeyDigest, KeyId};
use crate::keyring::authority::{self, Draft, Expiry, KeyPatch, SelfService};
use crate::keyring::caller::Caller;
use crate::keyring::limits::Limits;
use crate::principal::{Known, Principal, Span};
use crate::scope::{Roles, ScopeSet};
use crate::store::{
    Decision, FoundKey, KeyName, KeyRecord, Metadata, Owner, Provenance, Refusal, Revocation, Rows,
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

fn patch(name: Option<&str>, enabled: Option<bool>) -> KeyPatch {
    KeyPatch {
        name: name.map(|name| KeyName::parse(name).unwrap()),
        enabled,
        ..KeyPatch::default()
    }
}

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
