//! `GET /keys/{id}`, and what holds for every route.

use std::time::Duration;

use axum::http::Method;
use portcullis::keyring::Expiry;

use crate::world::{ADMIN_TOKEN, World, key_path, request};

on_every_store!(
    a_reader_sees_the_keys_of_its_owner,
    the_status_is_the_first_that_holds,
    head_is_get_without_the_body,
    a_wrong_method_or_path_is_plain,
    parameters_are_refused,
);

async fn a_reader_sees_the_keys_of_its_owner(world: World) {
    let target = world.key("a", &["x"]).await;
    let path = key_path(&target.id);
    for scope in ["keys:read", "keys:write", "keys:admin"] {
        let reader = world.key("a", &[scope]).await;
        let key = world.get(&path, &reader.secret).await.json();
        assert_eq!(key["id"], *target.id, "{scope}");
        assert_eq!(key["created_by"], "system", "{scope}");
        assert!(key.get("secret").is_none(), "{scope}");
    }
    let reply = world.get(&path, &target.secret).await;
    assert_eq!(reply.told(), (403, "insufficient_scope"), "its own key too");
}

async fn the_status_is_the_first_that_holds(world: World) {
    let in_a_minute = Expiry::In(Duration::from_mins(1));
    let key = world.key_until("a", &[], in_a_minute).await;
    let status = async || world.shown(&key.id).await["status"].clone();
    assert_eq!(status().await, "active");
    let off = r#"{"enabled":false}"#;
    world.patch(&key.id, ADMIN_TOKEN, off).await;
    assert_eq!(status().await, "disabled");
    world.advance(60);
    assert_eq!(status().await, "expired");
    let listed = world.get("/admin/keys", ADMIN_TOKEN).await.json();
    assert_eq!(listed["keys"][0]["status"], "expired");
    world.delete(&key_path(&key.id), ADMIN_TOKEN).await;
    assert_eq!(status().await, "revoked");
}

async fn head_is_get_without_the_body(world: World) {
    let target = world.key("a", &[]).await;
    let there = key_path(&target.id);
    for (path, token) in [
        (&*there, ADMIN_TOKEN),
        ("/admin/keys", ADMIN_TOKEN),
        ("/admin/keys?limit=0", ADMIN_TOKEN),
        ("/admin/keys?cursor=x", ADMIN_TOKEN),
        ("/admin/keys/nonsense", ADMIN_TOKEN),
        (&there, ""),
        (&there, "nonsense"),
        (&there, &target.secret),
    ] {
        let send = async |method| world.send(request(method, path, token, "")).await;
        let (get, head) = (send(Method::GET).await, send(Method::HEAD).await);
        assert_eq!(head.status, get.status, "{path}");
        assert_eq!(head.body, b"", "{path}");
        let length = get.body.len().to_string();
        assert_eq!(head.header("content-length"), length, "{path}");
        let mut headers = [head.headers, get.headers];
        for headers in &mut headers {
            headers.remove("content-length");
        }
        assert_eq!(headers[0], headers[1], "{path}");
    }
}

async fn a_wrong_method_or_path_is_plain(world: World) {
    let key = world.key("a", &["keys:admin"]).await;
    let there = key_path(&key.id);
    for (method, path, status) in [
        (Method::PUT, "/admin/keys", 405),
        (Method::DELETE, "/admin/keys", 405),
        (Method::PATCH, "/admin/keys", 405),
        (Method::OPTIONS, "/admin/keys", 405),
        (Method::POST, &*there, 405),
        (Method::PUT, &there, 405),
        (Method::GET, "/admin", 404),
        (Method::GET, "/admin/", 404),
        (Method::GET, "/admin/keys/", 404),
        (Method::GET, "/admin/key", 404),
        (Method::POST, "/admin/keys/x/events", 405),
        (Method::GET, "/admin/keys/x/event", 404),
        (Method::POST, "/admin/openapi.json", 405),
        (Method::GET, "/admin/openapi", 404),
        (Method::GET, "/admin/KEYS", 404),
    ] {
        for token in ["", "nonsense", ADMIN_TOKEN, &key.secret] {
            let reply = world.send(request(method.clone(), path, token, "")).await;
            assert_eq!(reply.status, status, "{method} {path}");
            assert_eq!(reply.body, b"", "{method} {path}");
            let allows = !reply.header("allow").is_empty();
            assert_eq!(allows, status == 405, "{method} {path}");
        }
    }
}

async fn parameters_are_refused(world: World) {
    let key = world.key("a", &[]).await;
    let path = format!("{}?expand=1", key_path(&key.id));
    let reply = world.get(&path, ADMIN_TOKEN).await;
    assert_eq!(reply.told(), (422, "invalid_field"));
    assert_eq!(reply.places(), ["?expand"]);
}

#[tokio::test]
async fn refusals_name_the_realm() {
    let world = World::with(
        |builder| builder,
        |admin| admin.realm(r#"the "keys""#).unwrap(),
    );
    let reply = world.get("/admin/keys", "").await;
    assert_eq!(reply.told(), (401, "missing_credentials"));
    let challenge = r#"Bearer realm="the \"keys\"""#;
    assert_eq!(reply.header("www-authenticate"), challenge);
}
