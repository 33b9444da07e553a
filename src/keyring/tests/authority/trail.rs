//! What the line of the trail says of a change: which fields, and whether it was only the switch.

use super::{Scene, Setting, key, scopes};
use crate::allowed_ips::AllowedIps;
use crate::keyring::authority::{self, End, KeyPatch, Restrict, SelfService};
use crate::keyring::limits::Limits;
use crate::resources::Resources;
use crate::scope::{RoleName, RoleSet, Roles, ScopeSet};
use crate::store::{Decision, Event, EventDetail, EventKind, KeyName, Metadata, Provenance};

/// `reader` grants what the caller holds by itself.
fn catalogue() -> Roles {
    let reader: RoleName = "reader".parse().unwrap();
    Roles::new([(reader, scopes(&["a:x"]))])
}

fn change(scene: &Scene, patch: &KeyPatch) -> Event {
    let decided = authority::update(
        &key(),
        patch,
        SelfService::default(),
        &Limits::default(),
        &catalogue(),
        &scene.rows(),
    );
    match decided.unwrap() {
        Decision::Update { event, .. } => event,
        other => panic!("{other:?}"),
    }
}

/// The same as the target has, in each field.
fn nothing_new() -> KeyPatch {
    KeyPatch {
        name: Some(KeyName::parse("before").unwrap()),
        enabled: Some(true),
        scopes: Some(scopes(&["a:x"])),
        roles: Some(RoleSet::empty()),
        resources: Some(Restrict::Lift),
        allowed_ips: Some(Restrict::Lift),
        expires_at: Some(End::Never),
        metadata: Some(Metadata::default()),
    }
}

type Differently = fn(&mut KeyPatch);

/// Another value in each field but the switch.
const FIELDS: [(&str, Differently); 7] = [
    ("name", |patch| {
        patch.name = Some(KeyName::parse("after").unwrap());
    }),
    ("scopes", |patch| patch.scopes = Some(ScopeSet::empty())),
    ("roles", |patch| {
        patch.roles = Some(RoleSet::parse(["reader"]).unwrap());
    }),
    ("resources", |patch| {
        patch.resources = Some(Restrict::To(Resources::none()));
    }),
    ("allowed_ips", |patch| {
        let one = AllowedIps::parse(["192.0.2.1"]).unwrap();
        patch.allowed_ips = Some(Restrict::To(one));
    }),
    ("expires_at", |patch| {
        patch.expires_at = Some(End::At(super::at(10)));
    }),
    ("metadata", |patch| {
        patch.metadata = Some(Metadata::parse(r#"{"a":1}"#).unwrap());
    }),
];

fn fields(names: &[&'static str]) -> EventDetail {
    EventDetail {
        fields: names.iter().map(|name| (*name).into()).collect(),
        ..EventDetail::default()
    }
}

#[test]
fn a_change_names_the_fields_that_differ_and_no_others() {
    let scene = Scene::new();
    for (name, differently) in FIELDS {
        let mut patch = nothing_new();
        differently(&mut patch);
        let event = change(&scene, &patch);
        assert_eq!(event.what, EventKind::Changed, "{name}");
        assert_eq!(event.detail, fields(&[name]), "{name}");
        assert_eq!(event.at, super::at(0), "{name}");
        let caller = Provenance::Key(super::id(super::CALLER));
        assert_eq!(event.by, caller, "{name}");
    }
    let mut patch = nothing_new();
    for (_, differently) in FIELDS {
        differently(&mut patch);
    }
    let event = change(&scene, &patch);
    assert_eq!(event.what, EventKind::Changed);
    assert_eq!(event.detail, fields(&FIELDS.map(|(name, _)| name)));
}

#[test]
fn the_switch_alone_is_an_event_of_its_own_and_with_another_field_is_told_as_what_it_became() {
    let off: Setting = |scene| scene.target().enabled = false;
    let cases: [(Setting, bool, EventKind); 2] = [
        (off, true, EventKind::Enabled),
        (|_| {}, false, EventKind::Disabled),
    ];
    for (setting, enabled, what) in cases {
        let mut scene = Scene::new();
        setting(&mut scene);
        let mut patch = KeyPatch {
            enabled: Some(enabled),
            ..nothing_new()
        };
        let event = change(&scene, &patch);
        assert_eq!((event.what, &event.detail), (what, &fields(&[])));

        patch.name = Some(KeyName::parse("after").unwrap());
        let event = change(&scene, &patch);
        let detail = EventDetail {
            enabled: Some(enabled),
            ..fields(&["name", "enabled"])
        };
        assert_eq!((event.what, event.detail), (EventKind::Changed, detail));
    }
    let mut scene = Scene::new();
    off(&mut scene);
    let event = change(
        &scene,
        &KeyPatch {
            name: Some(KeyName::parse("after").unwrap()),
            ..KeyPatch::default()
        },
    );
    assert_eq!(event.what, EventKind::Changed, "another field by itself");
    assert_eq!(event.detail, fields(&["name"]));
}
