//! `PATCH /keys/{id}`.

use std::time::Duration;

use portcullis::keyring::Expiry;
use serde_json::json;

use crate::world::{ADMIN_TOKEN, World, key_path};

on_every_store!(
    what_is_given_replaces_and_what_is_absent_stays,
    what_is_wrong_is_named_and_nothing_changes,
    a_disabled_key_is_dead_at_once_and_alive_again_once_enabled,
    a_revoked_key_stays_as_it_is,
    an_expired_key_stays_as_it_is,
    a_key_may_rename_itself,
);

async fn what_is_given_replaces_and_what_is_absent_stays(world: World) {
    let key = world.key("a", &["x"]).await;
    let mut expected = world.shown(&key.id).await;
    for (body, field, value) in [
        ("{}", "name", json!("made past the router")),
        (r#"{"name":" new "}"#, "name", json!("new")),
        (r#"{"name":"new"}"#, "name", json!("new")),
        (r#"{"enabled":true}"#, "enabled", json!(true)),
    ] {
        expected[field] = value;
        let reply = world.patch(&key.id, ADMIN_TOKEN, body).await;
        assert_eq!(reply.status, 200, "{body}");
        assert_eq!(reply.json(), expected, "{body}");
        assert_eq!(world.shown(&key.id).await, expected, "{body}");
    }
    let both = r#"{"enabled":false,"name":"off"}"#;
    let changed = world.patch(&key.id, ADMIN_TOKEN, both).await.json();
    assert_eq!(changed["name"], "off");
    assert_eq!(changed["enabled"], false);
    assert_eq!(changed["status"], "disabled");
}

async fn what_is_wrong_is_named_and_nothing_changes(world: World) {
    let key = world.key("a", &[]).await;
    let before = world.shown(&key.id).await;
    let cases = [
        (r#"{"name":null}"#, "#/name"),
        (r#"{"enabled":null}"#, "#/enabled"),
        (r#"{"enabled":"true"}"#, "#/enabled"),
        (r#"{"enabled":1}"#, "#/enabled"),
        (r#"{"name":""}"#, "#/name"),
        (r#"{"name":"a\u0000"}"#, "#/name"),
        (r#"{"name":"a\u202e"}"#, "#/name"),
        (r#"{"name":["a"]}"#, "#/name"),
        (r#"{"name":"a","name":"b"}"#, "#/name"),
        (r#"{"enabled":false,"enabled":true}"#, "#/enabled"),
        (r#"{"name":"x","scopes":null}"#, "#/scopes"),
        (r#"{"scopes":["keys:*"]}"#, "#/scopes/0"),
        (r#"{"roles":["nobody"]}"#, "#/roles/0"),
        (r#"{"rate_limit":null}"#, "#/rate_limit"),
        (r#"{"expires_at":1}"#, "#/expires_at"),
        (r#"{"expires_in":"never"}"#, "#/expires_in"),
        (r#"{"owner":"b"}"#, "#/owner"),
        (r#"{"environment":"live"}"#, "#/environment"),
        (r#"{"revoked_at":null}"#, "#/revoked_at"),
        (r#"{"status":"active"}"#, "#/status"),
        (r#"{"id":"key_0123456789abcdef"}"#, "#/id"),
        ("[]", "#"),
        ("null", "#"),
    ];
    for (body, pointer) in cases {
        let reply = world.patch(&key.id, ADMIN_TOKEN, body).await;
        assert_eq!(reply.told(), (422, "invalid_field"), "{body}");
        assert_eq!(reply.places(), [pointer], "{body}");
    }
    assert_eq!(world.shown(&key.id).await, before);
}

async fn a_disabled_key_is_dead_at_once_and_alive_again_once_enabled(world: World) {
    let writer = world.key("a", &["keys:write"]).await;
    let key = world.key("a", &["keys:read"]).await;
    let knock = async || world.get("/admin/keys", &key.secret).await.told();
    let set = async |enabled: bool| {
        let body = json!({"enabled": enabled}).to_string();
        let reply = world.patch(&key.id, &writer.secret, body).await;
        assert_eq!(reply.json()["enabled"], enabled);
    };
    for _ in 0..3 {
        assert_eq!(knock().await, (200, ""));
        set(false).await;
        assert_eq!(knock().await, (401, "invalid_token"));
        set(true).await;
    }
}

async fn a_revoked_key_stays_as_it_is(world: World) {
    let key = world.key("a", &[]).await;
    world.delete(&key_path(&key.id), ADMIN_TOKEN).await;
    let revoked = world.shown(&key.id).await;
    for body in [
        "{}",
        r#"{"name":"x"}"#,
        r#"{"enabled":true}"#,
        r#"{"enabled":false}"#,
    ] {
        let reply = world.patch(&key.id, ADMIN_TOKEN, body).await;
        assert_eq!(reply.told(), (409, "key_revoked"), "{body}");
    }
    assert_eq!(world.shown(&key.id).await, revoked);
}

async fn an_expired_key_stays_as_it_is(world: World) {
    let in_a_minute = Expiry::In(Duration::from_mins(1));
    let key = world.key_until("a", &[], in_a_minute).await;
    world.advance(60);
    for body in ["{}", r#"{"name":"x"}"#, r#"{"enabled":true}"#] {
        let reply = world.patch(&key.id, ADMIN_TOKEN, body).await;
        assert_eq!(reply.told(), (409, "key_expired"), "{body}");
    }
}

async fn a_key_may_rename_itself(world: World) {
    let writer = world.key("a", &["keys:write", "x"]).await;
    let body = r#"{"name":"me"}"#;
    let changed = world.patch(&writer.id, &writer.secret, body).await.json();
    assert_eq!(changed["name"], "me");
}
