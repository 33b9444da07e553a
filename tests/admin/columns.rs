//! What a store keeps of a key is not what a request may set: every column is tried.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::world::{ADMIN_TOKEN, Elsewhere, World, key_path};

on_every_store!(
    what_is_not_to_be_given_is_refused_and_makes_nothing,
    what_is_not_to_be_changed_is_refused_and_changes_nothing,
    what_may_be_changed_changes_nothing_else,
);

const SCHEMA: &str = include_str!("../../src/store/sqlite/migrations/0001_keys.sql");

const GIVEN: [&str; 11] = [
    "name",
    "owner",
    "environment",
    "hint",
    "scopes",
    "roles",
    "resources",
    "allowed_ips",
    "expires_at",
    "metadata",
    "digest",
];

const CHANGED: [&str; 8] = [
    "name",
    "scopes",
    "roles",
    "resources",
    "allowed_ips",
    "enabled",
    "expires_at",
    "metadata",
];

/// Every column of every table, and what the API shows besides.
fn names() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for table in SCHEMA.split("CREATE TABLE ").skip(1) {
        let (_, columns) = table.split_once("(\n").unwrap();
        let (columns, _) = columns.split_once("\n)").unwrap();
        for line in columns.lines() {
            let first = line.split_whitespace().next().unwrap_or_default();
            // Four spaces: what is deeper goes on about the column above.
            let is_column = line
                .strip_prefix("    ")
                .is_some_and(|line| line.starts_with(|c: char| c.is_ascii_lowercase()));
            if is_column {
                names.insert(first.to_owned());
            }
        }
    }
    assert!(
        names.contains("revoked_reason") && names.contains("slot"),
        "{names:?}"
    );
    for shown in [
        "status",
        "previous",
        "secret",
        "rate_limit",
        "events",
        "key",
        "Name",
        "__proto__",
    ] {
        names.insert(shown.to_owned());
    }
    names
}

fn values() -> [Value; 7] {
    [
        json!(null),
        json!(true),
        json!(1),
        json!("x"),
        json!("key_0123456789abcdef"),
        json!([]),
        json!({}),
    ]
}

async fn what_is_not_to_be_given_is_refused_and_makes_nothing(world: World) {
    let caller = world.key("a", &["keys:write", "keys:read"]).await;
    let before = world.count().await;
    for name in names() {
        if GIVEN.contains(&&*name) {
            continue;
        }
        for value in values() {
            let body = json!({"name": "n", "scopes": [], name.as_str(): value});
            let reply = world.post(&caller.secret, body.to_string()).await;
            assert_eq!(reply.told(), (422, "invalid_field"), "{body}");
            assert_eq!(reply.places(), [format!("#/{name}")], "{body}");
        }
    }
    assert_eq!(world.count().await, before);

    // Nor does what is given in full reach anything that is not.
    let elsewhere = Elsewhere::of("live");
    let all = json!({
        "name": "n", "owner": "a", "environment": "live", "scopes": ["keys:read"], "roles": [],
        "resources": {"p": ["1"]}, "allowed_ips": ["192.0.2.0/24"],
        "expires_at": "2040-01-01T00:00:00Z", "metadata": {"m": 1},
        "digest": elsewhere.digest, "hint": elsewhere.hint,
    });
    assert_eq!(all.as_object().unwrap().len(), GIVEN.len());
    let made = world.post(&caller.secret, all.to_string()).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let key = &made.json()["key"];
    let mut expected = all.clone();
    let rest = json!({
        "id": key["id"], "enabled": true, "status": "active",
        "created_at": "2030-01-01T00:00:00Z", "created_by": format!("key:{}", caller.id),
        "last_used_at": null, "revoked_at": null, "revoked_by": null, "revoked_reason": null,
        "previous": null,
    });
    let expected = expected.as_object_mut().unwrap();
    expected.remove("digest");
    expected.extend(rest.as_object().unwrap().clone());
    assert_eq!(key.as_object().unwrap(), expected);
}

async fn what_is_not_to_be_changed_is_refused_and_changes_nothing(world: World) {
    let key = world.key("a", &["x"]).await;
    let path = key_path(&key.id);
    let before = world.get(&path, ADMIN_TOKEN).await.text();
    for name in names() {
        if CHANGED.contains(&&*name) {
            continue;
        }
        for value in values() {
            let body = json!({"name": "changed", name.as_str(): value}).to_string();
            let reply = world.patch(&key.id, ADMIN_TOKEN, body.clone()).await;
            assert_eq!(reply.told(), (422, "invalid_field"), "{body}");
            assert_eq!(reply.places(), [format!("#/{name}")], "{body}");
        }
    }
    assert_eq!(world.get(&path, ADMIN_TOKEN).await.text(), before);
}

async fn what_may_be_changed_changes_nothing_else(world: World) {
    let changes = [
        ("name", json!("other")),
        ("scopes", json!(["y"])),
        ("roles", json!([])),
        ("resources", json!({"p": ["1"]})),
        ("allowed_ips", json!(["192.0.2.0/24"])),
        ("enabled", json!(false)),
        ("expires_at", json!("2040-01-01T00:00:00Z")),
        ("metadata", json!({"m": 1})),
    ];
    assert_eq!(changes.len(), CHANGED.len());
    let key = world.key("a", &["x"]).await;
    let mut expected = world.shown(&key.id).await;
    for (name, value) in changes {
        expected[name] = value.clone();
        if name == "enabled" {
            expected["status"] = json!("disabled");
        }
        let body = json!({ name: value }).to_string();
        let reply = world.patch(&key.id, ADMIN_TOKEN, body).await;
        assert_eq!(reply.json(), expected, "{name}");
        assert_eq!(world.shown(&key.id).await, expected, "{name}");
    }
}
