//! Who calls, in the arguments of a handler.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::routing::post;
use bytes::Bytes;
use http::Request;
use http_body::Frame;
use portcullis::layer::Reason;
use portcullis::{ApiKeyLayer, ExtractRejection, Principal, RequiredScope, Scoped};

use crate::canary;
use crate::challenge::Challenge;
use crate::ground::{Ground, call};

struct Write;

impl RequiredScope for Write {
    const SCOPE: &'static str = "reports:write";
}

/// A body that nobody may read.
struct Untouchable;

impl http_body::Body for Untouchable {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        panic!("the body was read");
    }
}

fn routes() -> Router {
    Router::new()
        .route(
            "/who",
            post(async |who: Principal, _: Bytes| who.owner().to_owned()),
        )
        .route(
            "/maybe",
            post(async |who: Option<Principal>| {
                who.map_or("nobody".to_owned(), |p| p.owner().to_owned())
            }),
        )
        .route(
            "/write",
            post(async |who: Scoped<Write>, _: Bytes| who.owner().to_owned()),
        )
        .route(
            "/tell",
            post(
                async |who: Result<Scoped<Write>, ExtractRejection>| match who {
                    Ok(who) => who.into_principal().name().to_owned(),
                    Err(rejection) => rejection.to_string(),
                },
            ),
        )
}

fn ask(target: &str, key: Option<&str>, body: Body) -> Request<Body> {
    let mut request = Request::post(target);
    if let Some(key) = key {
        request = request.header("authorization", format!("Bearer {key}"));
    }
    request.body(body).unwrap()
}

#[tokio::test]
async fn a_handler_gets_whoever_calls() {
    let ground = Ground::new().await;
    let app = routes().route_layer(ApiKeyLayer::new(ground.keyring.clone()));
    let key = ground.key(&["reports:*"]).await;
    for target in ["/who", "/maybe", "/write"] {
        let seen = call(app.clone(), ask(target, Some(&key), Body::empty())).await;
        assert_eq!(
            (seen.status.as_u16(), seen.body.as_str()),
            (200, "acme-corp"),
            "{target}"
        );
    }
    let seen = call(app, ask("/tell", Some(&key), Body::empty())).await;
    assert_eq!(seen.body, "ci");
}

#[tokio::test]
async fn a_missing_scope_is_403_before_the_body_is_read() {
    let ground = Ground::new().await;
    let layer = ApiKeyLayer::new(ground.keyring.clone())
        .realm("mine")
        .unwrap();
    let app = routes().route_layer(layer);
    for scopes in [
        &[][..],
        &["reports:read"],
        &["reports"],
        &["reports:write:all", "keys:admin"],
    ] {
        let key = ground.key(scopes).await;
        let seen = call(
            app.clone(),
            ask("/write", Some(&key), Body::new(Untouchable)),
        )
        .await;
        assert_eq!(
            (seen.status.as_u16(), seen.code().as_str()),
            (403, "insufficient_scope")
        );
        assert_eq!(
            Challenge::parse(seen.challenge().unwrap()),
            Challenge::bearer("mine", Some("insufficient_scope"), Some("reports:write"))
        );
        assert!(matches!(
            seen.rejection().reason(),
            Reason::InsufficientScope(_)
        ));
        let seen = call(
            app.clone(),
            ask("/tell", Some(&key), Body::new(Untouchable)),
        )
        .await;
        assert!(seen.body.contains("reports:write"), "{}", seen.body);
    }
}

#[tokio::test]
async fn anonymous_is_401_before_the_body_is_read() {
    let ground = Ground::new().await;
    let layer = ApiKeyLayer::new(ground.keyring.clone());
    let layer = layer.optional().realm("mine").unwrap();
    let app = routes().route_layer(layer);
    for target in ["/who", "/write"] {
        let seen = call(app.clone(), ask(target, None, Body::new(Untouchable))).await;
        assert_eq!(
            (seen.status.as_u16(), seen.code().as_str()),
            (401, "missing_credentials")
        );
        assert_eq!(
            Challenge::parse(seen.challenge().unwrap()),
            Challenge::bearer("mine", None, None)
        );
    }
    let seen = call(app, ask("/maybe", None, Body::empty())).await;
    assert_eq!(seen.body, "nobody");
}

#[tokio::test]
async fn without_a_layer_it_is_500_and_an_error_in_the_log() {
    let ground = Ground::new().await;
    let key = ground.key(&["*"]).await;
    for target in ["/who", "/maybe", "/write"] {
        canary::take_log();
        let seen = call(routes(), ask(target, Some(&key), Body::new(Untouchable))).await;
        let logged = canary::take_log();
        assert_eq!(
            (seen.status.as_u16(), seen.code().as_str()),
            (500, "misconfigured")
        );
        assert_eq!(seen.challenge(), None);
        assert!(!seen.body.contains("Layer"), "bland: {}", seen.body);
        assert_eq!(*seen.rejection().reason(), Reason::Misconfigured);
        assert!(
            logged.contains("ERROR") && logged.contains("ApiKeyLayer"),
            "{logged}"
        );
        assert!(!logged.contains(&key));
    }
    // A route that was added after the layer is not behind it, and does not get in either.
    let layered = Router::new().route("/in", post(async || "in"));
    let layer = ApiKeyLayer::new(ground.keyring.clone());
    let app = layered.route_layer(layer).merge(routes());
    let seen = call(app, ask("/who", Some(&key), Body::empty())).await;
    assert_eq!(seen.code(), "misconfigured");
}

#[tokio::test]
async fn head_gets_the_same_without_a_body() {
    let ground = Ground::new().await;
    let layer = ApiKeyLayer::new(ground.keyring.clone());
    let app = Router::new()
        .route("/", axum::routing::any(async |_: Scoped<Write>| "inside"))
        .route_layer(layer);
    let key = ground.key(&[]).await;
    let request = |method: &str| {
        let bearer = format!("Bearer {key}");
        let request = Request::builder()
            .method(method)
            .header("authorization", bearer);
        request.body(Body::empty()).unwrap()
    };
    let got = call(app.clone(), request("GET")).await;
    let head = call(app, request("HEAD")).await;
    assert_eq!((head.status, &head.headers), (got.status, &got.headers));
    assert_eq!(head.headers["content-length"], got.body.len().to_string());
    assert_eq!(head.body, "");
}
