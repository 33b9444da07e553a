//! The router inside of a layer that has taken the key out of the request.

use axum::Router;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue, Method};
use portcullis::ApiKeyLayer;

use crate::world::{ADMIN_TOKEN, World, request};

fn inside(world: &World, layer: ApiKeyLayer) -> Router {
    world.router.clone().layer(layer)
}

#[tokio::test]
async fn a_layer_of_the_same_keyring_is_believed() {
    let world = World::memory();
    let caller = world.key("a", &["keys:write"]).await;
    let app = inside(&world, ApiKeyLayer::new(world.keyring.clone()));
    let body = r#"{"name":"n","scopes":[]}"#;
    let sent = request(Method::POST, "/admin/keys", &caller.secret, body);
    let made = world.send_to(app, sent).await.json();
    assert_eq!(made["key"]["created_by"], format!("key:{}", caller.id));
}

#[tokio::test]
async fn a_layer_of_another_keyring_is_not() {
    let (world, other) = (World::memory(), World::memory());
    let caller = other.key("a", &["keys:admin"]).await;
    let app = inside(&world, ApiKeyLayer::new(other.keyring.clone()));
    let sent = request(Method::GET, "/admin/keys", &caller.secret, "");
    let reply = world.send_to(app, sent).await;
    assert_eq!(reply.told(), (401, "missing_credentials"));
}

#[tokio::test]
async fn an_anonymous_request_is_nobodys() {
    let world = World::memory();
    let layer = ApiKeyLayer::new(world.keyring.clone()).pass_foreign_bearer();
    let app = inside(&world, layer);
    let told = async |token| {
        let sent = request(Method::GET, "/admin/keys", token, "");
        world.send_to(app.clone(), sent).await.told()
    };
    assert_eq!(told("").await, (401, "missing_credentials"));
    assert_eq!(told("a.foreign.token").await, (401, "invalid_token"));
    // Foreign to the layer, too, which lets it pass.
    assert_eq!(told(ADMIN_TOKEN).await, (200, ""));
}

#[tokio::test]
async fn repeated_authorization_is_refused_beside_a_believed_key() {
    let world = World::memory();
    let caller = world.key("a", &["keys:read"]).await;
    let header = HeaderName::from_static("x-api-key");
    let layer = ApiKeyLayer::new(world.keyring.clone()).with_header(header.clone());
    let app = inside(&world, layer);
    let told = async |lines: usize| {
        let mut sent = request(Method::GET, "/admin/keys", "", "");
        let key = HeaderValue::try_from(&caller.secret).unwrap();
        sent.headers_mut().insert(header.clone(), key);
        for _ in 0..lines {
            let line = HeaderValue::from_static("Basic YTpi");
            sent.headers_mut().append(AUTHORIZATION, line);
        }
        world.send_to(app.clone(), sent).await.told()
    };
    assert_eq!(told(0).await, (200, ""));
    assert_eq!(told(1).await, (200, ""));
    assert_eq!(told(2).await, (400, "invalid_request"));
}

/// Also where the layer around it answers gRPC in its own way. `Reply` holds each answer to be a problem.
#[tokio::test]
async fn what_calls_itself_grpc_is_answered_by_the_router_like_all_else() {
    let world = World::memory();
    let reader = world.key("a", &["keys:read"]).await;
    let layer = ApiKeyLayer::new(world.keyring.clone()).pass_foreign_bearer();
    let app = inside(&world, layer.grpc());
    for (app, token, expected) in [
        (&app, "", (401, "missing_credentials")),
        (&app, "a.foreign.token", (401, "invalid_token")),
        (&app, &*reader.secret, (403, "insufficient_scope")),
        (&app, ADMIN_TOKEN, (415, "unsupported_media_type")),
        (&world.router, "", (401, "missing_credentials")),
        (&world.router, "wrong", (401, "invalid_token")),
    ] {
        let mut sent = request(Method::POST, "/admin/keys", token, "");
        let grpc = HeaderValue::from_static("application/grpc");
        sent.headers_mut().insert(CONTENT_TYPE, grpc);
        let reply = world.send_to(app.clone(), sent).await;
        assert_eq!(reply.told(), expected, "{token}");
        assert_eq!(reply.header("content-type"), "application/problem+json");
        assert_eq!(reply.header("grpc-status"), "");
    }
}
