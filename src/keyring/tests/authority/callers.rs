//! What each caller says of itself, before any row is read.

use std::sync::Arc;

use super::{CALLER, Scene, TARGET, environment, id, record, scopes};
use crate::key::KeyDigest;
use crate::keyring::authority;
use crate::keyring::caller::Caller;
use crate::keyring::session::Session;
use crate::principal::{Known, Principal, Span};
use crate::scope::{RoleSet, Roles};
use crate::store::{FoundKey, Owner, Provenance, Refusal, SessionId};

fn owner(name: &str) -> Owner {
    Owner::parse(name).unwrap()
}

fn principal(grants: &[&str]) -> Principal {
    let found = FoundKey {
        record: record(CALLER, grants),
        secret_expires_at: None,
        secret_last_used_at: None,
    };
    Principal::new(Arc::new(Known::new(
        found,
        KeyDigest::from_bytes([1; 32]),
        0,
        Span::ENDLESS,
        Arc::default(),
        &Roles::default(),
    )))
}

fn session(grants: &[&str], environments: Option<&[&str]>) -> Caller {
    let environments = environments.map(|names| names.iter().map(|name| environment(name)));
    let session = Session {
        id: SessionId::parse("alice").unwrap(),
        owner: owner("acme"),
        scopes: scopes(grants),
        roles: RoleSet::empty(),
        resources: None,
        environments: environments.map(Iterator::collect),
    };
    Caller::Session(Arc::new(session), scopes(grants))
}

/// A caller, and what it says of itself.
struct Said {
    caller: Caller,
    provenance: Provenance,
    owner: Option<&'static str>,
    confined: bool,
    limited: bool,
    grants: Option<&'static [&'static str]>,
    is_key: bool,
}

fn everybody() -> Vec<Said> {
    let nobody = |caller, provenance| Said {
        caller,
        provenance,
        owner: None,
        confined: false,
        limited: false,
        grants: None,
        is_key: false,
    };
    let by_key = |caller, confined, grants| Said {
        caller,
        provenance: Provenance::Key(id(CALLER)),
        owner: Some("acme"),
        confined,
        limited: true,
        grants: Some(grants),
        is_key: true,
    };
    let signed_in = |grants: &'static [&'static str], confined| Said {
        caller: session(grants, None),
        provenance: Provenance::Session(SessionId::parse("alice").unwrap()),
        owner: Some("acme"),
        confined,
        limited: true,
        grants: Some(grants),
        is_key: false,
    };
    let (own, all): (&[&str], &[&str]) = (&["keys:write"], &["keys:admin"]);
    vec![
        nobody(Caller::System, Provenance::System),
        nobody(Caller::AdminToken, Provenance::AdminToken),
        nobody(Caller::Opener, Provenance::System),
        by_key(Caller::Key(principal(own)), true, own),
        by_key(Caller::Key(principal(all)), false, all),
        by_key(Caller::ConfinedKey(principal(own)), true, own),
        by_key(Caller::ConfinedKey(principal(all)), true, all),
        signed_in(own, true),
        signed_in(all, false),
    ]
}

#[test]
fn each_caller_says_who_it_is_whose_keys_it_sees_and_what_it_holds() {
    for said in everybody() {
        let caller = &said.caller;
        let name = format!("{caller:?}");
        assert_eq!(caller.provenance(), said.provenance, "{name}");
        let acting_for = said.owner.map(owner);
        assert_eq!(caller.owner(), acting_for.as_ref(), "{name}");
        let confined = acting_for.filter(|_| said.confined);
        assert_eq!(caller.confined_to(), confined.as_ref(), "{name}");
        assert_eq!(caller.is_limited(), said.limited, "{name}");
        assert_eq!(caller.grants(), said.grants.map(scopes).as_ref(), "{name}");
        let key = said.is_key.then(|| id(CALLER));
        assert_eq!(caller.key().map(Principal::key_id), key.as_ref(), "{name}");
        // A key is judged again by its row; the others have none.
        let digest = said.is_key.then(|| KeyDigest::from_bytes([1; 32]));
        let subjects = caller.subjects(Some(id(TARGET)));
        assert_eq!(subjects.caller, digest, "{name}");
        assert_eq!(subjects.target, Some(id(TARGET)), "{name}");
    }
}

#[test]
fn a_key_is_made_for_the_caller_in_the_first_environment_that_is_open_to_it() {
    let declared = ["test", "live"].map(environment);
    let live = [environment("live")];
    let only_live: &[&str] = &["live"];
    let only_other: &[&str] = &["other"];
    // Whether a policy allows `live` alone, and what is made where nobody says.
    let cases = [
        ("system", Caller::System, false, "admin", Some("test")),
        ("the token", Caller::AdminToken, true, "admin", Some("test")),
        (
            "a key",
            Caller::Key(principal(&[])),
            false,
            "acme",
            Some("live"),
        ),
        (
            "confined",
            Caller::ConfinedKey(principal(&[])),
            false,
            "acme",
            Some("live"),
        ),
        ("a session", session(&[], None), false, "acme", Some("test")),
        (
            "by the policy",
            session(&[], None),
            true,
            "acme",
            Some("live"),
        ),
        (
            "by itself",
            session(&[], Some(only_live)),
            false,
            "acme",
            Some("live"),
        ),
        (
            "by both",
            session(&[], Some(&["test", "live"])),
            true,
            "acme",
            Some("live"),
        ),
        (
            "by neither",
            session(&[], Some(only_other)),
            false,
            "acme",
            None,
        ),
        ("at odds", session(&[], Some(&["test"])), true, "acme", None),
    ];
    for (name, caller, bound, whose, which) in cases {
        let allowed = bound.then_some(live.as_slice());
        let made = caller.by_default(&declared, allowed);
        let which = which.map(environment);
        let whose = if whose == "admin" {
            Owner::admin()
        } else {
            owner(whose)
        };
        assert_eq!(made, (whose, which.as_ref()), "{name}");
    }
}

#[test]
fn before_there_was_a_key_whoever_opens_may_do_everything_and_after_it_nothing() {
    let mut scene = Scene::new();
    scene.draft.owner = owner("anybody");
    scene.draft.scopes = scopes(&["*", "keys:admin"]);
    let open = |scene: &Scene, caller| {
        let decided = authority::create(&caller, &scene.draft, &Roles::default(), &scene.rows());
        decided.map(|_| ())
    };
    assert_eq!(open(&scene, Caller::Opener), Err(Refusal::NotTheFirst));
    assert_eq!(open(&scene, Caller::AdminToken), Ok(()));
    scene.ever_had_a_key = false;
    assert_eq!(open(&scene, Caller::Opener), Ok(()));
}

#[test]
fn a_confined_key_reaches_no_other_owner_whatever_its_row_grants() {
    let reach = |caller, whose| {
        let mut scene = Scene::new();
        scene.caller().scopes = scopes(&["*", "keys:admin"]);
        scene.target().owner = owner(whose);
        authority::revoke(&caller, None, &Roles::default(), &scene.rows()).map(|_| ())
    };
    let grants = ["*", "keys:admin"];
    let confined = || Caller::ConfinedKey(principal(&grants));
    assert_eq!(reach(Caller::Key(principal(&grants)), "other"), Ok(()));
    assert_eq!(reach(confined(), "acme"), Ok(()));
    assert_eq!(reach(confined(), "other"), Err(Refusal::NotFound));
}

#[test]
fn a_key_bound_to_addresses_calls_from_these_alone() {
    let mut scene = Scene::new();
    let allowed = crate::allowed_ips::AllowedIps::parse(["192.0.2.1"]).unwrap();
    scene.caller().allowed_ips = Some(allowed);
    scene.target().allowed_ips = scene.caller().allowed_ips.clone();
    for (from, expected) in [
        (Some("192.0.2.1"), Ok(())),
        (Some("192.0.2.2"), Err(Refusal::CallerDead)),
        // The gate did not look, since the key was bound only after that.
        (None, Err(Refusal::CallerDead)),
    ] {
        let from = from.map(|from| from.parse().unwrap());
        let caller = Caller::Key(principal(&[]).used_from(from));
        let decided = authority::revoke(&caller, None, &Roles::default(), &scene.rows());
        assert_eq!(decided.map(|_| ()), expected, "{from:?}");
    }
}
