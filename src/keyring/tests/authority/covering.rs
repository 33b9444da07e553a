//! No key holds more than the caller by whom it is made or changed, in each respect by itself.

use std::time::Duration;

use super::{Scene, Setting, at, environment, key, scopes};
use crate::allowed_ips::AllowedIps;
use crate::keyring::authority::{self, End, Expiry, KeyPatch, Restrict, SelfService};
use crate::keyring::limits::Limits;
use crate::resources::Resources;
use crate::scope::{RoleSet, Roles};
use crate::store::{Decision, Refusal};

/// `reader` grants `a:x`, which the caller holds, and `boss` more; `gone` is not known any more.
fn catalogue() -> Roles {
    let role = |name: &str, grants: &[&str]| (name.parse().unwrap(), scopes(grants));
    Roles::new([role("reader", &["a:x"]), role("boss", &["c"])])
}

fn roles(names: &[&str]) -> RoleSet {
    RoleSet::parse(names).unwrap()
}

fn on(stored: &str) -> Resources {
    Resources::from_stored(stored).unwrap()
}

fn from(networks: &[&str]) -> AllowedIps {
    AllowedIps::parse(networks).unwrap()
}

/// Made from what the draft of the scene says.
fn create(scene: &Scene) -> Result<(), Refusal> {
    authority::create(&key(), &scene.draft, &catalogue(), &scene.rows()).map(|_| ())
}

/// Changed to what the draft of the scene says.
fn change(scene: &Scene) -> Result<(), Refusal> {
    let draft = scene.draft.clone();
    let patch = KeyPatch {
        scopes: Some(draft.scopes),
        roles: Some(draft.roles),
        resources: Some(draft.resources.map_or(Restrict::Lift, Restrict::To)),
        allowed_ips: Some(draft.allowed_ips.map_or(Restrict::Lift, Restrict::To)),
        expires_at: match draft.expiry {
            Expiry::At(end) => Some(End::At(end)),
            Expiry::Never => Some(End::Never),
            _ => None,
        },
        ..KeyPatch::default()
    };
    let decided = authority::update(
        &key(),
        &patch,
        SelfService::default(),
        &Limits::default(),
        &catalogue(),
        &scene.rows(),
    );
    decided.map(|decision| {
        assert!(matches!(decision, Decision::Update { .. } | Decision::Keep));
    })
}

const NO: Result<(), Refusal> = Err(Refusal::ExceedsCaller);

/// Each as a key is made, and as one is changed.
fn judge(tests: &[(&str, Setting, Result<(), Refusal>)]) {
    for (name, setting, expected) in tests {
        let mut scene = Scene::new();
        setting(&mut scene);
        assert_eq!(create(&scene), *expected, "made with {name}");
        assert_eq!(change(&scene), *expected, "changed to {name}");
    }
}

#[test]
fn what_a_key_is_made_with_and_changed_to_is_within_what_the_caller_holds() {
    judge(&[
        ("a scope", |_| {}, Ok(())),
        ("a scope beyond", |s| s.draft.scopes = scopes(&["c"]), NO),
        (
            "a role within the scopes",
            |s| s.draft.roles = roles(&["reader"]),
            Ok(()),
        ),
        (
            "a role beyond them",
            |s| s.draft.roles = roles(&["boss"]),
            NO,
        ),
        (
            "a role beyond them that the caller has",
            |s| {
                s.caller().roles = roles(&["boss"]);
                s.draft.roles = roles(&["boss"]);
            },
            Ok(()),
        ),
        (
            "a role that nobody knows",
            |s| s.draft.roles = roles(&["gone"]),
            NO,
        ),
        (
            "a role that nobody knows, and the caller has",
            |s| {
                s.caller().roles = roles(&["gone"]);
                s.draft.roles = roles(&["gone"]);
            },
            Ok(()),
        ),
        (
            "any resource, where the caller is bound to one",
            |s| s.caller().resources = Some(on(r#"{"project":["1"]}"#)),
            NO,
        ),
        (
            "that resource",
            |s| {
                s.caller().resources = Some(on(r#"{"project":["1"]}"#));
                s.draft.resources = Some(on(r#"{"project":["1"]}"#));
                s.target().resources = Some(on(r#"{"project":["1"]}"#));
            },
            Ok(()),
        ),
        (
            "another",
            |s| {
                s.caller().resources = Some(on(r#"{"project":["1"]}"#));
                s.draft.resources = Some(on(r#"{"project":["2"]}"#));
                s.target().resources = Some(on(r#"{"project":["1"]}"#));
            },
            NO,
        ),
        (
            "an address, where the caller is bound to none",
            |s| s.draft.allowed_ips = Some(from(&["192.0.2.1"])),
            Ok(()),
        ),
    ]);
}

#[test]
fn the_end_that_a_key_is_made_with_and_changed_to_is_not_after_the_callers() {
    judge(&[
        (
            "an end with the caller's",
            |s| {
                s.caller().expires_at = Some(at(10));
                s.target().expires_at = Some(at(10));
                s.draft.expiry = Expiry::At(at(10));
            },
            Ok(()),
        ),
        (
            "an end after it",
            |s| {
                s.caller().expires_at = Some(at(10));
                s.target().expires_at = Some(at(10));
                s.draft.expiry = Expiry::At(at(11));
            },
            NO,
        ),
        (
            "no end, where the caller has one",
            |s| {
                s.caller().expires_at = Some(at(10));
                s.target().expires_at = Some(at(10));
                s.draft.expiry = Expiry::Never;
            },
            NO,
        ),
        (
            "no end, where the caller has none either",
            |s| {
                s.target().expires_at = Some(at(10));
                s.draft.expiry = Expiry::Never;
            },
            Ok(()),
        ),
    ]);
}

#[test]
fn where_no_end_is_given_a_key_ends_with_its_maker_or_with_the_longest_life() {
    for (makers, longest, expected) in [
        (None, None, None),
        (Some(10), None, Some(10)),
        (None, Some(20), Some(20)),
        (Some(10), Some(20), Some(10)),
        (Some(30), Some(20), Some(20)),
    ] {
        let mut scene = Scene::new();
        scene.caller().expires_at = makers.map(at);
        scene.draft.limits.longest_life = longest.map(Duration::from_secs);
        let made = authority::create(&key(), &scene.draft, &catalogue(), &scene.rows());
        let Ok(Decision::Insert { record, .. }) = made else {
            panic!("{makers:?}, {longest:?}: {made:?}");
        };
        let end = expected.map(at);
        assert_eq!(record.expires_at, end, "{makers:?}, {longest:?}");
    }
}

#[test]
fn a_key_that_held_more_cannot_be_taken_over_by_making_it_less() {
    let tests: [(&str, Setting); 5] = [
        ("scopes", |s| s.target().scopes = scopes(&["c"])),
        ("roles", |s| s.target().roles = roles(&["boss"])),
        ("resources", |s| {
            s.caller().resources = Some(on(r#"{"project":["1"]}"#));
            s.draft.resources = Some(on(r#"{"project":["1"]}"#));
        }),
        ("the end", |s| {
            s.caller().expires_at = Some(at(10));
            s.draft.expiry = Expiry::At(at(10));
        }),
        ("the environment", |s| {
            s.target().environment = environment("test");
        }),
    ];
    for (name, setting) in tests {
        let mut scene = Scene::new();
        setting(&mut scene);
        assert_eq!(change(&scene), NO, "{name}");
    }
}
