//! A key is in no log, no answer and no error.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::io;
use std::sync::Once;

use axum::Router;
use axum::body::Body;
use axum::routing::any;
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderName, Request};
use http_body_util::Empty;
use hyper_util::rt::{TokioExecutor, TokioIo};
use portcullis::{ApiKeyLayer, ExtractRejection, Principal, Rejection, require_scope};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpStream;
use tower_http::trace::{DefaultMakeSpan, DefaultOnRequest, TraceLayer};
use tracing::Level;
use tracing_subscriber::fmt::format::FmtSpan;

use crate::ground::{Ground, call, with_key, with_value};
use crate::wire::{Server, line};

thread_local! {
    /// What this test has logged: each has a thread of its own, and all of its tasks are on it.
    static PAPER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Everything that is logged on this thread from here on, TRACE and dependencies included.
pub(crate) struct Log;

struct Pen;

impl Log {
    pub(crate) fn start() -> Self {
        // One subscriber for all threads. With one for each test, a place in the code that another
        // thread comes by at the wrong moment may be silenced for all.
        static LISTENING: Once = Once::new();
        LISTENING.call_once(|| {
            let subscriber = tracing_subscriber::fmt()
                .with_max_level(Level::TRACE)
                .with_span_events(FmtSpan::NEW)
                .with_ansi(false)
                .with_writer(|| Pen)
                .finish();
            tracing::subscriber::set_global_default(subscriber).unwrap();
        });
        PAPER.with_borrow_mut(Vec::clear);
        Self
    }

    #[expect(clippy::unused_self, reason = "who reads the log has started it")]
    pub(crate) fn text(&self) -> String {
        PAPER.with_borrow(|paper| String::from_utf8(paper.clone()).unwrap())
    }
}

impl io::Write for Pen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        PAPER.with_borrow_mut(|paper| paper.extend(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Every form in which a key could be told.
fn forms(key: &str) -> Vec<String> {
    let hex = |bytes: &[u8]| {
        let mut hex = String::new();
        for byte in bytes {
            let _ = write!(hex, "{byte:02x}");
        }
        hex
    };
    let digest = Sha256::digest(key);
    let listed = |bytes: &[u8]| format!("{bytes:?}").trim_matches(['[', ']']).to_owned();
    // The prefix, the environment and four characters may be shown: they are the hint.
    let hidden = &key.as_bytes()["acme_live_1234".len()..];
    let mut forms = vec![
        key.to_owned(),
        hex(key.as_bytes()),
        hex(&digest),
        listed(key.as_bytes()),
        listed(&digest),
        BASE64_STANDARD_NO_PAD.encode(digest),
        BASE64_URL_SAFE_NO_PAD.encode(digest),
    ];
    // In base64 the beginning may stand at three places within a group.
    for ahead in ["", "_", "__"] {
        let whole = BASE64_STANDARD_NO_PAD.encode(format!("{ahead}{key}"));
        forms.push(whole[4..whole.len() - 4].to_owned());
    }
    let parts = hidden.windows(8).step_by(3);
    forms.extend(parts.map(|part| String::from_utf8(part.to_vec()).unwrap()));
    forms
}

fn assert_absent(keys: &[String], what: &str, text: &str) {
    let lower = text.to_lowercase();
    for form in keys.iter().flat_map(|key| forms(key)) {
        let found = text.find(&form).or_else(|| lower.find(&form));
        if let Some(at) = found {
            let around: String = text
                .chars()
                .skip(at.saturating_sub(200))
                .take(400)
                .collect();
            panic!("{form} is in {what}: …{around}…");
        }
    }
}

#[test]
fn the_search_finds_every_form() {
    let key = "acme_live_0123456789ABCDEFGHIJKLMNOPQRSTUV4IG2In".to_owned();
    for form in forms(&key) {
        let found = std::panic::catch_unwind(|| {
            assert_absent(std::slice::from_ref(&key), "a test", &format!("x{form}y"));
        });
        assert!(found.is_err(), "{form}");
    }
    assert_absent(&[key], "a test", "acme_live_0123");
}

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
    let log = Log::start();
    let ground = Ground::new().await;
    let app = app(&ground);
    let server = Server::start(app.clone()).await;

    let (good, unknown) = (ground.key(&["b"]).await, ground.unknown_key());
    let revoked = ground.create(&[]).await;
    let keys = [
        good.clone(),
        unknown.clone(),
        revoked.secret.expose().to_owned(),
    ];
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

    let logged = log.text();
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
    assert_absent(&keys, "the log", &logged);
    assert_absent(&keys, "an answer", &answers);
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
        let mut text = format!("{seen:?} {rejection} {rejection:?} {rejection:#?}");
        let mut source = std::error::Error::source(rejection);
        while let Some(error) = source {
            let _ = write!(text, "{error} {error:?}");
            source = error.source();
        }
        assert_absent(std::slice::from_ref(&key), "a rejection", &text);
    }
}
