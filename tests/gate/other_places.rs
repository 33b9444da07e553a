//! A key in another header than `Authorization`, and what caches are told of it.

use axum::Router;
use axum::response::AppendHeaders;
use axum::routing::any;
use http::HeaderName;
use portcullis::layer::Reason;
use portcullis::{ApiKeyLayer, Malformed, Rejection};

use crate::challenge::Challenge;
use crate::ground::{Ground, call};
use crate::wire::{Answer, Server, line};

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const X_OTHER: HeaderName = HeaderName::from_static("x-other-key");

fn app(layer: ApiKeyLayer) -> Router {
    let public = [("cache-control", "public, max-age=60"), ("vary", "accept")];
    Router::new()
        .route("/", any(async || "inside"))
        .route(
            "/cached",
            any(async move || (AppendHeaders(public), "inside")),
        )
        .route_layer(layer)
}

type Lines<'a> = &'a [(&'a str, &'a str)];

async fn send(server: &Server, target: &str, lines: Lines<'_>) -> Answer {
    let lines: Vec<_> = lines
        .iter()
        .map(|(name, value)| line(name, value))
        .collect();
    let lines: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
    let got = server.send("GET", target, &lines).await;
    let head = server.send("HEAD", target, &lines).await;
    assert_eq!((head.status, &head.headers), (got.status, &got.headers));
    assert_eq!(head.body, "");
    got
}

#[tokio::test]
async fn instead_of_authorization() {
    let ground = Ground::new().await;
    let layer = ApiKeyLayer::new(ground.keyring.clone()).with_header(X_API_KEY);
    let server = Server::start(app(layer)).await;
    let key = ground.key(&[]).await;
    let (bearer, unknown) = (format!("Bearer {key}"), ground.unknown_key());
    let long = "x".repeat(257);
    let missing = Some(("missing_credentials", None));
    let unreadable = Some(("invalid_request", Some("invalid_request")));
    let dead = Some(("invalid_token", Some("invalid_token")));
    let rows: [(&str, Lines<'_>, _, bool); 12] = [
        ("a key", &[("x-api-key", &key)], None, true),
        ("in another case", &[("X-API-Key", &key)], None, true),
        (
            "beside a bearer",
            &[("x-api-key", &key), ("authorization", "Bearer x")],
            None,
            true,
        ),
        ("nowhere", &[], missing, false),
        (
            "in Authorization",
            &[("authorization", &bearer)],
            missing,
            false,
        ),
        (
            "in another header",
            &[("x-other-key", &key)],
            missing,
            false,
        ),
        ("nothing", &[("x-api-key", "")], unreadable, true),
        (
            "twice",
            &[("x-api-key", &key), ("x-api-key", &key)],
            unreadable,
            true,
        ),
        ("with a scheme", &[("x-api-key", &bearer)], unreadable, true),
        ("unknown", &[("x-api-key", &unknown)], dead, true),
        ("not a key", &[("x-api-key", "x")], dead, true),
        ("too long", &[("x-api-key", &long)], dead, true),
    ];
    for (name, lines, refused, is_there) in rows {
        let answer = send(&server, "/", lines).await;
        match refused {
            Some((code, error)) => {
                assert_eq!(answer.code(), code, "{name}");
                let challenge = Challenge::parse(answer.one("www-authenticate").unwrap());
                assert_eq!(challenge, Challenge::bearer("api", error, None), "{name}");
            }
            None => assert_eq!(answer.status, 200, "{name}: {answer:?}"),
        }
        assert_eq!(answer.all("vary"), ["x-api-key"], "{name}");
        let private = is_there.then_some("private");
        assert_eq!(answer.one("cache-control"), private, "{name}");
    }
}

#[tokio::test]
async fn what_the_application_says_to_caches_stays() {
    let ground = Ground::new().await;
    let layer = ApiKeyLayer::new(ground.keyring.clone()).add_header(X_API_KEY);
    let server = Server::start(app(layer)).await;
    let key = ground.key(&[]).await;
    for _ in 0..2 {
        let answer = send(&server, "/cached", &[("x-api-key", &key)]).await;
        assert_eq!(answer.one("cache-control"), Some("public, max-age=60"));
        assert_eq!(answer.all("vary"), ["accept", "x-api-key"]);
    }
}

#[tokio::test]
async fn nothing_is_said_to_caches_that_know_authorization() {
    let ground = Ground::new().await;
    let server = Server::start(app(ApiKeyLayer::new(ground.keyring.clone()))).await;
    let bearer = format!("Bearer {}", ground.key(&[]).await);
    for lines in [&[("authorization", bearer.as_str())][..], &[]] {
        let answer = send(&server, "/", lines).await;
        assert_eq!(
            (answer.one("vary"), answer.one("cache-control")),
            (None, None)
        );
    }
}

#[tokio::test]
async fn beside_authorization_and_never_with_it() {
    let ground = Ground::new().await;
    let layer = ApiKeyLayer::new(ground.keyring.clone())
        .add_header(X_API_KEY)
        .add_header(X_OTHER)
        .add_header(X_OTHER);
    let server = Server::start(app(layer.clone())).await;
    let key = ground.key(&[]).await;
    let bearer = format!("Bearer {key}");
    let long = "x".repeat(300);
    let good: [(&str, Lines<'_>); 4] = [
        ("in Authorization", &[("authorization", &bearer)]),
        ("in the first", &[("x-api-key", &key)]),
        ("in the second", &[("x-other-key", &key)]),
        (
            "beside another scheme",
            &[("authorization", "Basic YTpi"), ("x-api-key", &key)],
        ),
    ];
    for (name, lines) in good {
        let answer = send(&server, "/", lines).await;
        assert_eq!(answer.status, 200, "{name}");
        assert_eq!(answer.all("vary"), ["x-api-key", "x-other-key"], "{name}");
        let elsewhere = lines.iter().any(|(name, _)| name.starts_with("x-"));
        let private = elsewhere.then_some("private");
        assert_eq!(answer.one("cache-control"), private, "{name}");
    }
    let two: [(&str, Lines<'_>); 7] = [
        (
            "the same",
            &[("authorization", &bearer), ("x-api-key", &key)],
        ),
        (
            "the second and third",
            &[("x-api-key", &key), ("x-other-key", &key)],
        ),
        (
            "nothing in the second",
            &[("authorization", &bearer), ("x-api-key", "")],
        ),
        (
            "nothing in the first",
            &[("authorization", ""), ("x-api-key", &key)],
        ),
        (
            "a bad one in the first",
            &[("authorization", "Bearer x"), ("x-api-key", &key)],
        ),
        (
            "a long one in the first",
            &[
                ("authorization", &format!("Bearer {long}")),
                ("x-api-key", &key),
            ],
        ),
        (
            "a long one in the second",
            &[("authorization", &bearer), ("x-api-key", &long)],
        ),
    ];
    for (name, lines) in two {
        let answer = send(&server, "/", lines).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "invalid_request"),
            "{name}"
        );
        let challenge = Challenge::parse(answer.one("www-authenticate").unwrap());
        let expected = Challenge::bearer("api", Some("invalid_request"), None);
        assert_eq!(challenge, expected, "{name}");
        assert_eq!(answer.one("cache-control"), Some("private"), "{name}");

        let mut request = http::Request::new(axum::body::Body::empty());
        for (name, value) in lines {
            let name: HeaderName = name.parse().unwrap();
            request.headers_mut().append(name, value.parse().unwrap());
        }
        let seen = call(app(layer.clone()), request).await;
        let why = Reason::Malformed(Malformed::TwoPlaces);
        assert_eq!(*seen.rejection().reason(), why, "{name}");
    }
}

#[tokio::test]
async fn authorization_is_no_other_header() {
    let ground = Ground::new().await;
    let key = ground.key(&[]).await;
    let bearer = format!("Bearer {key}");
    let raw = ApiKeyLayer::new(ground.keyring.clone());
    for layer in [
        raw.clone().with_header(http::header::AUTHORIZATION),
        raw.add_header(http::header::AUTHORIZATION),
    ] {
        let server = Server::start(app(layer)).await;
        let answer = send(&server, "/", &[("authorization", &bearer)]).await;
        assert_eq!((answer.status, answer.one("vary")), (200, None));
        let answer = send(&server, "/", &[("authorization", &key)]).await;
        assert_eq!(answer.code(), "missing_credentials");
    }
}

#[tokio::test]
async fn a_responder_of_ones_own_may_speak_to_caches_too() {
    let ground = Ground::new().await;
    let layer = ApiKeyLayer::new(ground.keyring.clone())
        .with_header(X_API_KEY)
        .responder(|rejection: &Rejection| {
            http::Response::builder()
                .status(rejection.status())
                .header("cache-control", "no-store")
                .header("vary", "origin")
                .body(bytes::Bytes::new())
                .unwrap()
        });
    let server = Server::start(app(layer)).await;
    let answer = send(&server, "/", &[("x-api-key", "x")]).await;
    assert_eq!(answer.one("cache-control"), Some("no-store"));
    assert_eq!(answer.all("vary"), ["origin", "x-api-key"]);
}
