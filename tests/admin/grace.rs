//! An outage grace lets keys in elsewhere, and not here.

use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::Method;
use axum::routing::get;
use http_body_util::BodyExt as _;
use portcullis::{ApiKeyLayer, Principal};
use tower::ServiceExt as _;

use crate::world::{ADMIN_TOKEN, World, key_path, request};

/// A caller who is known here, and a store of which only what was asked for by name answers.
async fn in_outage() -> (World, String, String) {
    let grace = Duration::from_mins(30);
    let world = World::with(
        |builder| builder.dangerously_accept_known_keys_during_outage(grace),
        |admin| admin,
    );
    let caller = world.key("a", &["keys:admin"]).await;
    world.keyring.sync().await.unwrap();
    assert_eq!(world.get("/admin/keys", &caller.secret).await.status, 200);
    world.faults.look_ups.fail();
    world.faults.syncs.fail();
    world.advance(6);
    (world, caller.id, caller.secret)
}

fn handler() -> Router {
    let judged = async |caller: Principal| caller.is_judged_in_outage().to_string();
    Router::new().route("/reports", get(judged))
}

fn everything(id: &str) -> Vec<(Method, String, &'static str)> {
    let key = key_path(id);
    vec![
        (Method::GET, "/admin/keys".to_owned(), ""),
        (Method::GET, "/admin/keys/current".to_owned(), ""),
        (Method::DELETE, "/admin/keys/current".to_owned(), ""),
        (Method::GET, key.clone(), ""),
        (Method::PATCH, key.clone(), "{}"),
        (Method::DELETE, key.clone(), ""),
        (Method::POST, format!("{key}/rotate"), "{}"),
        (Method::DELETE, format!("{key}/previous"), ""),
        (
            Method::POST,
            "/admin/keys".to_owned(),
            r#"{"name":"n","scopes":[]}"#,
        ),
        (
            Method::POST,
            "/admin/keys/revoke".to_owned(),
            r#"{"all":true,"reason":"r"}"#,
        ),
    ]
}

#[tokio::test]
async fn a_key_that_is_let_in_without_the_store_is_not_let_in_here() {
    let (world, id, secret) = in_outage().await;
    let layer = ApiKeyLayer::new(world.keyring.clone());
    let reports = handler().layer(layer.clone());
    let sent: Request = request(Method::GET, "/reports", &secret, "");
    let reply = reports.oneshot(sent).await.unwrap();
    let body = reply.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(&body[..], b"true");
    let inside = world.router.clone().layer(layer);
    for router in [world.router.clone(), inside] {
        for (method, path, body) in everything(&id) {
            let sent: Request = request(method.clone(), &path, &secret, body);
            let reply = world.send_to(router.clone(), sent).await;
            assert_eq!(reply.told(), (503, "unavailable"), "{method} {path}");
        }
    }
    // The store would have done all of it.
    let shown = world.get(&key_path(&id), ADMIN_TOKEN).await.json();
    assert_eq!(shown["status"], "active");
    assert_eq!(world.count().await, 1);
    world.faults.heal();
    assert_eq!(world.get("/admin/keys", &secret).await.status, 200);
}
