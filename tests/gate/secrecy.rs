//! A key is in no log, no answer and no error.

use std::fmt::Write as _;

use axum::Router;
use axum::body::Body;
use axum::routing::any;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use bytes::Bytes;
use http::{HeaderName, Request};
use http_body_util::Empty;
use hyper_util::rt::{TokioExecutor, TokioIo};
use portcullis::{ApiKeyLayer, ExtractRejection, Principal, Rejection, require_scope};
use tokio::net::TcpStream;
use tower_http::trace::{DefaultMakeSpan, DefaultOnRequest, TraceLayer};
use tracing::Level;

use crate::canary;
use crate::ground::{Ground, call, with_key, with_value};
use crate::wire::{Server, line};

fn app(ground: &Ground) -> Router {
    let layer = || ApiKeyLayer::new(ground.keyring.clone());
    let other = HeaderName::from_static("x-api-key");
    let shown = async |request: axum::extract::Request| format!("{request:?}");
    let asked = async |who: Result<Option<Principal>, ExtractRejection>| format!("{who:?}");
    let inside = TraceLayer::new_for_http()
        .make_span_with(
            DefaultMakeSpan::new()
                .level(Level::TRACE)
                .include_headers(true),
        )
        .on_request(DefaultOnRequest::new().level(Level::TRACE));
    let routes = |path: &str, layer: ApiKeyLayer| {
        Router::new()
            .route("/", any(shown))
            .route("/who", any(asked))
            .route("/scoped", any(shown).layer(require_scope("a")))
            .layer(inside.clone())
            .route_layer(layer)
            .into_nested(path)
    };
    Router::new()
        .merge(routes("/plain", layer()))
        .merge(routes("/kept", layer().keep_credential()))
        .merge(routes("/optional", layer().optional().keep_credential()))
        .merge(routes("/foreign", layer().pass_foreign_bearer()))
        .merge(routes("/other", layer().with_header(other.clone())))
        .merge(routes("/both", layer().add_header(other)))
        .route("/bare", any(async |_: Principal| "inside"))
        .layer(
            TraceLayer::new_for_http().make_span_with(DefaultMakeSpan::new().level(Level::TRACE)),
        )
}

trait Nested {
    fn into_nested(self, path: &str) -> Router;
}

impl Nested for Router {
    fn into_nested(self, path: &str) -> Router {
        Router::new().nest(path, self)
    }
}

#[tokio::test]
async fn no_log_and_no_answer_has_a_key_or_what_could_be_made_of_it() {
    canary::take_log();
    let ground = Ground::new().await;
    let app = app(&ground);
    let server = Server::start(app.clone()).await;

    let (good, unknown) = (ground.key(&["b"]).await, ground.unknown_key());
    let revoked = ground.create(&[]).await;
    let keys = [good, unknown, revoked.secret.expose().to_owned()];
    ground
        .keyring
        .revoke(&revoked.key.id, Some("leaked"))
        .await
        .unwrap();
    let mut values = Vec::new();
    for key in &keys {
        values.extend([
            key.clone(),
            format!("Bearer {key}"),
            format!("Bearer\t{key}"),
            format!("Bearer {key}="),
            format!("Bearer {key},"),
            format!("Bearer {key}{}", "x".repeat(300)),
            format!("Bearer {}", &key[..key.len() - 1]),
            format!("Bearer {}", &key[1..]),
            format!("Bearer {}", &key["acme_live_".len()..]),
            format!("Bearer {}", key.replace("live", "test")),
            format!("BearerX {key}"),
            format!("Basic {}", BASE64_STANDARD_NO_PAD.encode(format!(":{key}"))),
        ]);
    }
    let mut answers = String::new();
    for store in ["there", "away"] {
        if store == "away" {
            ground.store.fail();
            ground.clock.advance(std::time::Duration::from_secs(6));
        }
        let mut connection = server.connect().await;
        for value in &values {
            for base in [
                "/plain",
                "/kept",
                "/optional",
                "/foreign",
                "/other",
                "/both",
            ] {
                for (method, path) in [("GET", ""), ("GET", "/scoped"), ("GET", "/who")] {
                    let raw = value.strip_prefix("Bearer ").unwrap_or(value);
                    let authorization = line("authorization", value);
                    let other = line("x-api-key", raw);
                    let lines: &[&[u8]] = match base {
                        "/other" => &[&other],
                        "/both" => &[&authorization, &other],
                        _ => &[&authorization],
                    };
                    let target = format!("{base}{path}");
                    let answer = connection.send(method, &target, lines).await;
                    let _ = writeln!(answers, "{answer:?}");
                }
            }
            let answer = connection
                .send("GET", "/bare", &[&line("authorization", value)])
                .await;
            let _ = writeln!(answers, "{answer:?}");
        }
    }

    let stream = TcpStream::connect(server.address).await.unwrap();
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    let connection = tokio::spawn(connection);
    for key in &keys {
        let mut sensitive: http::HeaderValue = format!("Bearer {key}").parse().unwrap();
        sensitive.set_sensitive(true);
        let request = Request::get(format!("http://{}/kept", server.address))
            .header("authorization", sensitive)
            .body(Empty::<Bytes>::new());
        let answer = client.send_request(request.unwrap()).await.unwrap();
        let _ = writeln!(answers, "{answer:?}");
    }
    connection.abort();

    let logged = canary::take_log();
    for expected in [
        "request refused",
        "dead key",
        "unavailable",
        "a look-up failed",
        "ERROR",
        "h2::",
    ] {
        assert!(logged.contains(expected), "{expected} is not in the log");
    }
    for expected in ["Sensitive", "invalid_token", "insufficient_scope", "key_id"] {
        assert!(answers.contains(expected), "{expected} is in no answer");
    }
    canary::absent("the log", &logged);
    canary::absent("an answer", &answers);
}

#[tokio::test]
async fn no_rejection_tells_the_key() {
    let ground = Ground::new().await;
    let app = app(&ground);
    let key = ground.key(&[]).await;
    let mut requests: Vec<Request<Body>> = vec![
        with_value(&key),
        with_value(&format!("Bearer\t{key}")),
        with_value(&format!("BearerX {key}")),
        with_key(&format!("{key}=")),
        with_key(&format!("{key}{}", "x".repeat(300))),
        with_key(&key[..key.len() - 1]),
        with_key(&key.replace("live", "test")),
        with_key(&format!("{key},")),
    ];
    for request in &mut requests {
        *request.uri_mut() = "/plain".parse().unwrap();
    }
    let mut scoped: Request<Body> = with_key(&key);
    *scoped.uri_mut() = "/plain/scoped".parse().unwrap();
    requests.push(scoped);
    let mut away: Request<Body> = with_key(&key);
    *away.uri_mut() = "/bare".parse().unwrap();
    requests.push(away);
    for request in requests {
        let seen = call(app.clone(), request).await;
        let rejection: &Rejection = seen.rejection();
        canary::error(rejection);
        canary::absent("an answer", format!("{seen:?} {seen:#?}"));
    }
}
