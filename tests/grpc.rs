//! Refusals of gRPC calls, as a real client sees them: the server of `examples/grpc.rs` on a
//! socket, and next to it what a socket does not show.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, also in what it stands on"
)]

#[path = "canary/mod.rs"]
mod canary;
#[expect(dead_code, reason = "its main is for cargo run")]
#[path = "../examples/grpc.rs"]
mod example;

use std::convert::Infallible;
use std::net::SocketAddr;

use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use portcullis::keyring::{Dead, NewKey};
use portcullis::layer::Reason;
use portcullis::store::MemoryStore;
use portcullis::testing::{FaultStore, Faults};
use portcullis::{
    ApiKeyLayer, Keyring, Principal, Rejection, RequiredScope, Scoped, require_scope,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tower::{Layer as _, ServiceExt as _, service_fn};

use example::Text;

const DESCRIBE: &str = "/reports.Reports/Describe";

/// A keyring on a store that can go away.
async fn keyring() -> (Keyring, Faults) {
    canary::listen();
    let store = FaultStore::new(MemoryStore::new());
    let faults = store.faults();
    let keyring = Keyring::builder(store).prefix("acme").build().unwrap();
    keyring.ready().await.unwrap();
    (keyring, faults)
}

/// The text of a key of `acme-corp`'s with these scopes.
async fn key(keyring: &Keyring, scopes: &[&str]) -> String {
    let new = NewKey::named("ci").unwrap().owner("acme-corp").unwrap();
    let new = new.scopes(scopes).unwrap();
    let created = keyring.create(new).await.unwrap();
    canary::know(created.secret.expose());
    created.secret.expose().to_owned()
}

async fn revoked_key(keyring: &Keyring) -> String {
    let created = keyring.create(NewKey::named("ci").unwrap()).await.unwrap();
    keyring.revoke(&created.key.id, None).await.unwrap();
    canary::know(created.secret.expose());
    created.secret.expose().to_owned()
}

fn unknown_key(keyring: &Keyring) -> String {
    let format = keyring.format();
    let key = format.generate(format.default_environment()).unwrap();
    canary::know(key.plain.expose());
    key.plain.expose().to_owned()
}

/// The server of the example, until it is dropped.
struct Server {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Server {
    async fn start(app: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, task }
    }

    async fn channel(&self) -> Channel {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address)).unwrap();
        endpoint.connect().await.unwrap()
    }

    /// One request over HTTP/2, answered as it came over the wire.
    async fn send(&self, request: Request<Empty<Bytes>>) -> Response<Incoming> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (mut client, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
                .await
                .unwrap();
        tokio::spawn(connection);
        let answer = client.send_request(request).await.unwrap();
        canary::answer(answer.headers(), "");
        answer
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Calls the example's method with these values of `authorization`.
async fn describe(channel: &Channel, values: &[&str]) -> Result<String, Status> {
    let mut client = tonic::client::Grpc::new(channel.clone());
    client.ready().await.unwrap();
    let mut request = tonic::Request::new("june".to_owned());
    for value in values {
        let value = value.parse().unwrap();
        request.metadata_mut().append("authorization", value);
    }
    let path = http::uri::PathAndQuery::from_static(DESCRIBE);
    let response = client.unary(request, path, Text).await;
    let response = response.inspect_err(|status| canary::error(status))?;
    Ok(response.into_inner())
}

fn bearer(key: &str) -> String {
    format!("Bearer {key}")
}

#[tokio::test]
async fn a_client_is_told_the_status_of_its_call() {
    let (keyring, faults) = keyring().await;
    let good = bearer(&key(&keyring, &["reports:read"]).await);
    let poor = bearer(&key(&keyring, &["other:read"]).await);
    let revoked = bearer(&revoked_key(&keyring).await);
    let unknown = bearer(&unknown_key(&keyring));
    let server = Server::start(example::app(keyring.clone())).await;
    let channel = server.channel().await;
    let refusal = async |values: &[&str]| describe(&channel, values).await.unwrap_err();

    let answer = describe(&channel, &[&good]).await;
    assert_eq!(answer.unwrap(), "june for acme-corp");

    let missing = refusal(&[]).await;
    let long = bearer(&"x".repeat(257));
    for values in [
        &[][..],
        &["Basic eDp5"],
        &["Bearer x"],
        &[&long],
        &[&revoked],
        &[&unknown],
    ] {
        let status = refusal(values).await;
        assert_eq!(status.code(), Code::Unauthenticated, "{values:?}");
        assert_eq!(status.message(), missing.message(), "{values:?}");
        assert!(status.details().is_empty(), "{values:?}");
    }
    for values in [&[&*good, &good][..], &[""], &["Bearer\tx"]] {
        let status = refusal(values).await;
        assert_eq!(status.code(), Code::InvalidArgument, "{values:?}");
        assert_eq!(status.message(), "unreadable credentials", "{values:?}");
    }
    let status = refusal(&[&poor]).await;
    assert_eq!(status.code(), Code::PermissionDenied);
    assert_eq!(status.message(), "the API key lacks the scope");

    let cold = bearer(&unknown_key(&keyring));
    faults.fail();
    let status = refusal(&[&cold]).await;
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(status.message(), "temporarily unavailable");
}

#[tokio::test]
async fn a_refusal_is_one_block_of_headers_that_ends_the_stream() {
    let (keyring, _) = keyring().await;
    let poor = key(&keyring, &[]).await;
    let server = Server::start(example::app(keyring)).await;
    for (key, status) in [("x", "16"), (&*poor, "7")] {
        let request = Request::post(format!("http://grpc.test{DESCRIBE}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("authorization", bearer(key))
            .body(Empty::new())
            .unwrap();
        let answer = server.send(request).await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["content-type"], "application/grpc");
        assert_eq!(answer.headers()["grpc-status"], status);
        for name in ["www-authenticate", "retry-after"] {
            assert!(!answer.headers().contains_key(name), "{name}");
        }
        assert!(answer.body().is_end_stream());
    }
}

#[tokio::test]
async fn plain_requests_to_the_same_layer_keep_the_status_of_http() {
    let (keyring, faults) = keyring().await;
    let good = key(&keyring, &["reports:read"]).await;
    let poor = key(&keyring, &[]).await;
    let cold = unknown_key(&keyring);
    let server = Server::start(example::app(keyring)).await;
    let send = async |values: &[String]| {
        let mut request = Request::get("http://grpc.test/reports");
        for value in values {
            request = request.header("authorization", value);
        }
        let answer = server.send(request.body(Empty::new()).unwrap()).await;
        assert!(!answer.headers().contains_key("grpc-status"));
        let is_challenged = answer.headers().contains_key("www-authenticate");
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        assert!(!body.is_empty());
        (status, is_challenged)
    };
    assert_eq!(send(&[]).await, (401, true));
    assert_eq!(send(&[bearer("x")]).await, (401, true));
    assert_eq!(send(&[bearer(&good), bearer(&good)]).await, (400, true));
    assert_eq!(send(&[bearer(&poor)]).await, (403, true));
    assert_eq!(send(&[bearer(&good)]).await, (200, false));
    faults.fail();
    assert_eq!(send(&[bearer(&cold)]).await, (503, false));
}

/// What a service behind this layer answers to a request.
async fn answer(layer: &ApiKeyLayer, request: Request<()>) -> Response<Bytes> {
    let inner = service_fn(async |_| Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new())));
    let response = layer.layer(inner).oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap();
    assert!(body.trailers().is_none());
    Response::from_parts(parts, body.to_bytes())
}

fn is_grpc<B>(response: &Response<B>) -> bool {
    let status = response.headers().contains_key("grpc-status");
    assert_eq!(status, response.status() == StatusCode::OK);
    status
}

#[tokio::test]
async fn what_is_a_call_is_told_by_the_content_type_alone() {
    let (keyring, _) = keyring().await;
    let off = ApiKeyLayer::new(keyring);
    let on = off.clone().grpc();
    let rows = [
        (Some("application/grpc"), true),
        (Some("application/grpc+proto"), true),
        (Some("application/grpc+json"), true),
        (Some("application/grpc+web"), true),
        (Some("Application/GRPC"), true),
        (Some("APPLICATION/GRPC+Proto"), true),
        (Some("application/grpc;charset=utf-8"), true),
        (Some("application/grpc ; a=b"), true),
        (Some("application/grpc+proto; a=b"), true),
        (Some(" application/grpc "), true),
        (Some("application/grpc-web"), false),
        (Some("application/grpc-web+proto"), false),
        (Some("application/grpc-web-text"), false),
        (Some("application/grpcx"), false),
        (Some("application/grpc/proto"), false),
        (Some("application/grpc, text/plain"), false),
        (Some("application/grp"), false),
        (Some("xapplication/grpc"), false),
        (Some("text/plain; a=application/grpc"), false),
        (Some("application/json"), false),
        (Some("application/gr\u{fc}c"), false),
        (Some(";"), false),
        (Some(""), false),
        (None, false),
    ];
    for method in ["POST", "GET", "PUT"] {
        for (content_type, expected) in rows {
            let request = || {
                let mut request = Request::builder().method(method);
                if let Some(value) = content_type {
                    request = request.header("content-type", value.as_bytes());
                }
                request.body(()).unwrap()
            };
            let seen = answer(&on, request()).await;
            assert_eq!(is_grpc(&seen), expected, "{method} {content_type:?}");
            let seen = answer(&off, request()).await;
            assert_eq!(seen.status(), 401, "{method} {content_type:?}");
            assert!(!is_grpc(&seen));
            assert_eq!(seen.headers()["content-type"], "application/problem+json");
        }
    }
}

fn call() -> http::request::Builder {
    Request::post(DESCRIBE).header("content-type", "application/grpc+proto")
}

#[tokio::test]
async fn nothing_but_the_three_headers_and_the_same_for_every_dead_key() {
    let (keyring, _) = keyring().await;
    let revoked = revoked_key(&keyring).await;
    let unknown = unknown_key(&keyring);
    let layer = ApiKeyLayer::new(keyring).grpc();
    let mut expected = HeaderMap::new();
    for (name, value) in [
        ("content-type", "application/grpc"),
        ("grpc-status", "16"),
        ("grpc-message", "a valid API key is required"),
    ] {
        expected.insert(name, value.parse().unwrap());
    }
    for key in ["x", &revoked, &unknown] {
        let request = call().header("authorization", bearer(key));
        let seen = answer(&layer, request.body(()).unwrap()).await;
        assert_eq!(seen.headers(), &expected);
        assert!(seen.body().is_empty());
    }
}

#[tokio::test]
async fn the_reason_lies_in_the_extensions_of_the_answer() {
    let (keyring, _) = keyring().await;
    let revoked = revoked_key(&keyring).await;
    let layer = ApiKeyLayer::new(keyring).grpc();
    let request = call().header("authorization", bearer(&revoked));
    let seen = answer(&layer, request.body(()).unwrap()).await;
    let rejection: &Rejection = seen.extensions().get().unwrap();
    assert_eq!(rejection.reason(), &Reason::Dead(Dead::Revoked));
    assert_eq!(rejection.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_key_from_another_header_still_warns_caches() {
    let (keyring, _) = keyring().await;
    let name = http::HeaderName::from_static("x-api-key");
    let layer = ApiKeyLayer::new(keyring).with_header(name).grpc();
    let request = call().header("x-api-key", "x").body(()).unwrap();
    let seen = answer(&layer, request).await;
    assert!(is_grpc(&seen));
    assert_eq!(seen.headers()["vary"], "x-api-key");
    assert_eq!(seen.headers()["cache-control"], "private");
}

#[tokio::test]
async fn calls_are_not_for_a_responder_of_ones_own() {
    let (keyring, _) = keyring().await;
    let teapot = |_: &Rejection| {
        let mut response = Response::new(Bytes::from_static(b"no\n"));
        *response.status_mut() = StatusCode::IM_A_TEAPOT;
        response
    };
    let layer = ApiKeyLayer::new(keyring);
    for layer in [
        layer.clone().responder(teapot).grpc(),
        layer.clone().grpc().responder(teapot),
    ] {
        let seen = answer(&layer, call().body(()).unwrap()).await;
        assert_eq!(seen.headers()["grpc-status"], "16");
        let seen = answer(&layer, Request::new(())).await;
        assert_eq!(
            (seen.status().as_u16(), &seen.body()[..]),
            (418, &b"no\n"[..])
        );
    }
    let seen = answer(&layer.responder(teapot), call().body(()).unwrap()).await;
    assert_eq!(seen.status(), StatusCode::IM_A_TEAPOT);
}

#[tokio::test]
async fn head_is_answered_as_ever() {
    let (keyring, _) = keyring().await;
    let layer = ApiKeyLayer::new(keyring).grpc();
    let body = answer(&layer, Request::new(())).await.into_body();
    let head = answer(&layer, Request::head("/").body(()).unwrap()).await;
    assert_eq!(head.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(head.headers()["content-length"], body.len().to_string());
    assert!(head.body().is_empty());
}

struct ReadReports;

impl RequiredScope for ReadReports {
    const SCOPE: &'static str = "reports:read";
}

#[tokio::test]
async fn what_stands_behind_the_layer_answers_in_its_form() {
    let (keyring, _) = keyring().await;
    let poor = key(&keyring, &[]).await;
    let layer = ApiKeyLayer::new(keyring).optional();
    let app = |layer: ApiKeyLayer| {
        Router::new()
            .route("/principal", get(async |_: Principal| "inside"))
            .route("/scoped", get(async |_: Scoped<ReadReports>| "inside"))
            .route(
                "/required",
                get(async || "inside").route_layer(require_scope("reports:read")),
            )
            .route_layer(layer)
    };
    let rows = [
        ("/principal", None, 401, "16"),
        ("/scoped", None, 401, "16"),
        ("/required", None, 401, "16"),
        ("/scoped", Some(&poor), 403, "7"),
        ("/required", Some(&poor), 403, "7"),
    ];
    for (path, key, http, grpc) in rows {
        let request = |content_type: &str| {
            let mut request = Request::get(path).header("content-type", content_type);
            if let Some(key) = key {
                request = request.header("authorization", bearer(key));
            }
            request.body(axum::body::Body::empty()).unwrap()
        };
        let on = app(layer.clone().grpc());
        let seen = on
            .clone()
            .oneshot(request("application/grpc"))
            .await
            .unwrap();
        assert_eq!(seen.status(), StatusCode::OK, "{path}");
        assert_eq!(seen.headers()["grpc-status"], grpc, "{path}");
        assert!(seen.extensions().get::<Rejection>().is_some(), "{path}");
        assert!(seen.into_body().is_end_stream(), "{path}");
        let seen = on.oneshot(request("application/json")).await.unwrap();
        assert_eq!(seen.status().as_u16(), http, "{path}");
        let off = app(layer.clone());
        let seen = off.oneshot(request("application/grpc")).await.unwrap();
        assert_eq!(seen.status().as_u16(), http, "{path}");
        assert!(!is_grpc(&seen), "{path}");
    }
}

#[tokio::test]
async fn where_no_layer_ran_nobody_has_asked_for_grpc() {
    let app: Router = Router::new()
        .route("/principal", get(async |_: Principal| "inside"))
        .route(
            "/required",
            get(async || "inside").route_layer(require_scope("a")),
        );
    for path in ["/principal", "/required"] {
        let request = Request::get(path).header("content-type", "application/grpc");
        let request = request.body(axum::body::Body::empty()).unwrap();
        let seen = app.clone().oneshot(request).await.unwrap();
        assert_eq!(seen.status(), StatusCode::INTERNAL_SERVER_ERROR, "{path}");
        assert!(!is_grpc(&seen), "{path}");
    }
}
