//! Realm, responder and problem types: what an application may change of an answer.

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use portcullis::key::NotAKey;
use portcullis::keyring::{Dead, Unavailable};
use portcullis::layer::Reason;
use portcullis::{ApiKeyLayer, Malformed, Principal, Rejection, require_scope};
use serde_json::{Value, json};

use crate::challenge::Challenge;
use crate::ground::{Ground, Seen, call, with_key, with_value, without_key};

fn app(layer: ApiKeyLayer) -> Router {
    Router::new()
        .route("/", get(async || "inside"))
        .route(
            "/scoped",
            get(async || "inside").route_layer(require_scope("a")),
        )
        .route("/who", get(async |_: Principal| "inside"))
        .route_layer(layer)
}

#[tokio::test]
async fn the_realm_is_quoted_so_that_it_is_read_back_as_it_was_given() {
    let ground = Ground::new().await;
    for realm in [
        "api",
        "",
        "a \"b\" \\c",
        "\\",
        "\"",
        "\\\"",
        "a, error=\"x",
        "\u{e9}\u{20ac}",
    ] {
        let layer = ApiKeyLayer::new(ground.keyring.clone())
            .realm(realm)
            .unwrap();
        for (request, error) in [
            (without_key(), None),
            (with_value(""), Some("invalid_request")),
            (with_key("x"), Some("invalid_token")),
        ] {
            let seen = call(app(layer.clone()), request).await;
            let line = std::str::from_utf8(seen.headers["www-authenticate"].as_bytes()).unwrap();
            assert_eq!(
                Challenge::parse(line),
                Challenge::bearer(realm, error, None)
            );
        }
    }
}

#[tokio::test]
async fn a_realm_that_no_header_can_carry_is_refused() {
    let ground = Ground::new().await;
    for realm in ["a\r\nSet-Cookie: x", "\n", "\t", "\0", "\u{7f}", "\u{9f}"] {
        let error = ApiKeyLayer::new(ground.keyring.clone())
            .realm(realm)
            .unwrap_err();
        assert!(error.to_string().contains(&format!("{realm:?}")), "{error}");
    }
}

#[tokio::test]
async fn the_type_of_a_problem_is_below_the_base() {
    let ground = Ground::new().await;
    let layer = ApiKeyLayer::new(ground.keyring.clone());
    let layer = layer.problem_types("https://api.test/problems#").unwrap();
    let seen = call(app(layer), with_key("x")).await;
    assert_eq!(
        serde_json::from_str::<Value>(&seen.body).unwrap(),
        json!({
            "type": "https://api.test/problems#invalid_token",
            "title": "Unauthorized",
            "status": 401,
            "code": "invalid_token",
        })
    );
    for base in [
        "",
        "problems/",
        "ftp://a/",
        "https://a/\"",
        "https://a b/",
        "https://a/\r\n",
    ] {
        let layer = ApiKeyLayer::new(ground.keyring.clone());
        let error = layer.problem_types(base).unwrap_err();
        assert!(error.to_string().contains(&format!("{base:?}")), "{error}");
    }
}

fn teapot(rejection: &Rejection) -> Response<Bytes> {
    let text = format!("{}: {}", rejection.status().as_u16(), rejection.code());
    Response::builder()
        .status(StatusCode::IM_A_TEAPOT)
        .header("www-authenticate", "Basic realm=\"old\"")
        .header("www-authenticate", "Negotiate")
        .header("retry-after", "7")
        .header("content-length", "9999")
        .header("x-own", "1")
        .body(Bytes::from(text))
        .unwrap()
}

#[tokio::test]
async fn a_responder_of_ones_own_gets_one_more_challenge_and_keeps_its_own() {
    let ground = Ground::new().await;
    let key = ground.key(&[]).await;
    let layer = ApiKeyLayer::new(ground.keyring.clone())
        .optional()
        .realm("mine")
        .unwrap()
        .responder(teapot);
    let scoped = |key: Option<&str>, method: &str| {
        let mut request = Request::builder().method(method).uri("/scoped");
        if let Some(key) = key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        request.body(Body::empty()).unwrap()
    };
    let who = || Request::get("/who").body(Body::empty()).unwrap();
    let rows = [
        (
            "unreadable",
            with_value(""),
            "400: invalid_request",
            Some("invalid_request"),
            None,
        ),
        (
            "a bad key",
            with_key("x"),
            "401: invalid_token",
            Some("invalid_token"),
            None,
        ),
        (
            "without scope",
            scoped(Some(&key), "GET"),
            "403: insufficient_scope",
            Some("insufficient_scope"),
            Some("a"),
        ),
        (
            "anonymous and a demand",
            scoped(None, "GET"),
            "401: missing_credentials",
            None,
            None,
        ),
        (
            "anonymous and an extractor",
            who(),
            "401: missing_credentials",
            None,
            None,
        ),
    ];
    for (name, request, text, error, scope) in rows {
        let seen = call(app(layer.clone()), request).await;
        assert_eq!(
            (seen.status, seen.body.as_str()),
            (StatusCode::IM_A_TEAPOT, text),
            "{name}"
        );
        assert_eq!(seen.headers["x-own"], "1", "{name}");
        assert_eq!(
            seen.headers["content-length"],
            text.len().to_string(),
            "{name}"
        );
        let lines: Vec<_> = seen.headers.get_all("www-authenticate").iter().collect();
        assert_eq!(lines[..2], ["Basic realm=\"old\"", "Negotiate"], "{name}");
        let challenge = Challenge::parse(lines[2].to_str().unwrap());
        assert_eq!(challenge, Challenge::bearer("mine", error, scope), "{name}");
        assert_eq!(lines.len(), 3, "{name}");
    }

    let seen = call(app(layer.clone()), scoped(Some(&key), "HEAD")).await;
    assert_eq!(seen.body, "");
    assert_eq!(
        seen.headers["content-length"],
        "403: insufficient_scope".len().to_string()
    );

    ground.store.fail();
    let seen = call(app(layer), with_key(&ground.unknown_key())).await;
    assert_eq!(seen.body, "503: unavailable");
    assert_eq!(seen.headers["retry-after"], "7", "its own");
    assert_eq!(
        seen.headers.get_all("www-authenticate").iter().count(),
        2,
        "no challenge"
    );
}

#[tokio::test]
async fn a_responder_without_retry_after_is_helped() {
    let ground = Ground::new().await;
    let plain = |_: &Rejection| Response::new(Bytes::new());
    let layer = ApiKeyLayer::new(ground.keyring.clone()).responder(plain);
    ground.store.fail();
    let seen = call(app(layer), with_key(&ground.unknown_key())).await;
    assert_eq!(seen.headers["retry-after"], "1");
    assert_eq!(seen.headers["content-length"], "0");
}

#[tokio::test]
async fn the_reason_lies_in_the_extensions_of_the_answer() {
    let ground = Ground::with(|builder| builder.environments(["live", "test"])).await;
    let layer = ApiKeyLayer::new(ground.keyring.clone()).environments(["live"]);
    let app = app(layer.unwrap());
    let reason = async |request| -> Reason {
        let seen: Seen = call(app.clone(), request).await;
        assert_eq!(seen.status, seen.rejection().status());
        assert_eq!(seen.code(), seen.rejection().code());
        seen.rejection().reason().clone()
    };
    let revoked = ground.create(&[]).await;
    ground.keyring.revoke(&revoked.key.id, None).await.unwrap();
    let key = ground.key(&[]).await;
    let last = if key.ends_with('0') { "1" } else { "0" };
    let typo = format!("{}{last}", &key[..key.len() - 1]);
    let scoped = Request::get("/scoped").header("authorization", format!("Bearer {key}"));
    let demand = portcullis::scope::Demand::one("a");
    let rows = [
        (without_key(), Reason::MissingCredentials),
        (with_value(""), Reason::Malformed(Malformed::Empty)),
        (
            with_value("Bearer"),
            Reason::Malformed(Malformed::NotBearerToken),
        ),
        (with_key(&"x".repeat(257)), Reason::TooLong),
        (
            with_key(&"x".repeat(256)),
            Reason::NotAKey(NotAKey::TooLong),
        ),
        (with_key(&typo), Reason::NotAKey(NotAKey::Checksum)),
        (with_key(&ground.unknown_key()), Reason::Dead(Dead::Unknown)),
        (
            with_key(revoked.secret.expose()),
            Reason::Dead(Dead::Revoked),
        ),
        (
            with_key(&ground.key_of("test").await),
            Reason::Dead(Dead::Environment),
        ),
        (
            scoped.body(Body::empty()).unwrap(),
            Reason::InsufficientScope(demand.into()),
        ),
    ];
    for (request, expected) in rows {
        assert_eq!(reason(request).await, expected);
    }
    let key = ground.unknown_key();
    ground.store.fail();
    let away = Reason::Unavailable(Unavailable::StoreFailed);
    assert_eq!(reason(with_key(&key)).await, away);
}
