//! What somebody who is signed in may make: what the application says, and no more.

use std::sync::Arc;
use std::time::Duration;

use crate::key::{KeyDigest, KeyHint};
use crate::keyring::authority::{self, Draft, Expiry};
use crate::keyring::caller::Caller;
use crate::keyring::limits::Limits;
use crate::keyring::session::Session;
use crate::resources::Resources;
use crate::scope::{RoleSet, Roles, ScopeSet};
use crate::store::{Decision, KeyName, KeyRecord, Metadata, Owner, Refusal, Rows, SessionId};
use crate::timestamp::Timestamp;

fn scopes(stored: &str) -> ScopeSet {
    ScopeSet::from_stored(stored).unwrap()
}

fn roles(stored: &str) -> RoleSet {
    RoleSet::from_stored(stored).unwrap()
}

fn only(stored: &str) -> Resources {
    Resources::from_stored(stored).unwrap()
}

/// `reader` grants `a:read`, `boss` everything and `keys:admin`; `gone` is not known any more.
fn catalogue() -> Roles {
    let role = |name: &str, grants| (name.parse().unwrap(), scopes(grants));
    Roles::new([role("reader", "a:read"), role("boss", "* keys:admin")])
}

fn session() -> Session {
    Session {
        id: SessionId::parse("alice").unwrap(),
        owner: Owner::parse("acme").unwrap(),
        scopes: scopes("a:* keys:write"),
        roles: RoleSet::empty(),
        resources: None,
        environments: None,
    }
}

fn draft() -> Draft {
    Draft {
        id: "key_000000000000000n".parse().unwrap(),
        digest: KeyDigest::from_bytes([7; 32]),
        hint: KeyHint::from_stored("acme_live_0000").unwrap(),
        name: KeyName::parse("new").unwrap(),
        owner: Owner::parse("acme").unwrap(),
        environment: "live".parse().unwrap(),
        scopes: ScopeSet::empty(),
        roles: RoleSet::empty(),
        resources: None,
        allowed_ips: None,
        expiry: Expiry::AsCaller,
        metadata: Metadata::default(),
        made_elsewhere: false,
        only_first: false,
        request: None,
        limits: Limits::default(),
    }
}

fn rows() -> Rows {
    Rows {
        now: Timestamp::UNIX_EPOCH,
        caller: None,
        target: None,
        ever_had_a_key: true,
        replay: None,
        live_keys: 0,
        digest_holder: None,
        digest_ended: false,
    }
}

fn create(session: &Session, draft: &Draft, confined: bool) -> Result<KeyRecord, Refusal> {
    let catalogue = catalogue();
    let grants = catalogue.effective(&session.scopes, &session.roles);
    let grants = if confined {
        grants.within_own_owner()
    } else {
        grants
    };
    let caller = Caller::Session(Arc::new(session.clone()), grants);
    match authority::create(&caller, draft, &catalogue, &rows())? {
        Decision::Insert { record, .. } => Ok(record),
        other => panic!("{other:?}"),
    }
}

type Setting = fn(&mut Session, &mut Draft);

#[test]
fn a_session_hands_on_what_the_application_says_it_holds() {
    let tests: [(&str, Setting, Result<(), Refusal>); 14] = [
        ("nothing", |_, _| {}, Ok(())),
        (
            "a scope that it holds",
            |_, d| d.scopes = scopes("a:x"),
            Ok(()),
        ),
        (
            "another",
            |_, d| d.scopes = scopes("b"),
            Err(Refusal::ExceedsCaller),
        ),
        (
            "a role within its scopes",
            |_, d| d.roles = roles("reader"),
            Ok(()),
        ),
        (
            "a role beyond them",
            |_, d| d.roles = roles("boss"),
            Err(Refusal::ExceedsCaller),
        ),
        (
            "a role that it has",
            |s, d| (s.roles, d.roles) = (roles("boss"), roles("boss reader")),
            Ok(()),
        ),
        (
            "a role that nobody knows",
            |_, d| d.roles = roles("gone"),
            Err(Refusal::ExceedsCaller),
        ),
        (
            "one that it has all the same",
            |s, d| (s.roles, d.roles) = (roles("gone"), roles("gone")),
            Ok(()),
        ),
        (
            "everything, of something",
            |s, _| s.resources = Some(only(r#"{"project":["p1"]}"#)),
            Err(Refusal::ExceedsCaller),
        ),
        (
            "the same, of something",
            |s, d| {
                s.resources = Some(only(r#"{"project":["p1","p2"]}"#));
                d.resources = Some(only(r#"{"project":["p1"]}"#));
            },
            Ok(()),
        ),
        (
            "another environment",
            |s, _| s.environments = Some(vec!["test".parse().unwrap()]),
            Err(Refusal::ExceedsCaller),
        ),
        (
            "another owner",
            |_, d| d.owner = Owner::parse("umbrella").unwrap(),
            Err(Refusal::ExceedsCaller),
        ),
        (
            "another owner, by a role",
            |s, d| {
                s.roles = roles("boss");
                d.owner = Owner::parse("umbrella").unwrap();
            },
            Ok(()),
        ),
        (
            "without keys:write",
            |s, _| s.scopes = scopes("* keys:read"),
            Err(Refusal::CallerLacksScope),
        ),
    ];
    for (name, setting, expected) in tests {
        let (mut session, mut draft) = (session(), draft());
        setting(&mut session, &mut draft);
        let made = create(&session, &draft, false).map(|key| {
            assert_eq!(key.created_by.to_string(), "session:alice", "{name}");
        });
        assert_eq!(made, expected, "{name}");
    }
}

#[test]
fn where_all_are_confined_a_role_reaches_no_further_either() {
    let mut session = session();
    session.roles = roles("boss");
    let mut other = draft();
    other.owner = Owner::parse("umbrella").unwrap();
    assert_eq!(
        create(&session, &other, true).unwrap_err(),
        Refusal::ExceedsCaller
    );
    let mut admin = draft();
    admin.roles = roles("boss");
    assert_eq!(
        create(&session, &admin, true).unwrap_err(),
        Refusal::ExceedsCaller
    );
    let mut own = draft();
    own.scopes = scopes("* keys:write");
    assert!(create(&session, &own, true).is_ok());
}

#[test]
fn limits_are_for_whoever_does_not_manage_the_keys_of_everybody() {
    let mut limited = draft();
    limited.limits = Limits {
        live_keys: Some(0),
        longest_life: Some(Duration::from_secs(5)),
        environments: Some(["test".parse().unwrap()].into()),
    };
    let boss = Session {
        roles: roles("boss"),
        ..session()
    };
    assert!(create(&boss, &limited, false).unwrap().expires_at.is_none());
    let refused =
        |session: &Session, draft: &Draft, confined| create(session, draft, confined).unwrap_err();
    for (session, confined) in [(&boss, true), (&session(), false)] {
        let mut draft = limited.clone();
        assert_eq!(
            refused(session, &draft, confined),
            Refusal::EnvironmentNotAllowed
        );
        draft.environment = "test".parse().unwrap();
        assert_eq!(refused(session, &draft, confined), Refusal::KeyLimitReached);
        draft.expiry = Expiry::In(Duration::from_secs(6));
        assert_eq!(refused(session, &draft, confined), Refusal::LivesTooLong);
        draft.limits.live_keys = Some(1);
        draft.expiry = Expiry::AsCaller;
        let made = create(session, &draft, confined).unwrap();
        let end = Timestamp::UNIX_EPOCH.checked_add(Duration::from_secs(5));
        assert_eq!(made.expires_at, end);
    }
}
