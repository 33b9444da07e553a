//! No other header opens anything, or changes the least about an answer.

use std::collections::HashSet;

use axum::Router;
use portcullis::keyring::NewKey;

use crate::bypass_headers;
use crate::client::{BOTH, Client, Protocol};
use crate::ground::{Ground, Marks, Server, unknown_key};
use crate::message::{Answer, Outcome, Request};

/// A key that may be used from here alone, which is nobody's address in a test.
const ELSEWHERE: &str = "192.0.2.7";

/// What HTTP/2 has no use for, so that a request which has it is malformed (RFC 9113 section
/// 8.2.2).
fn is_refused_by(protocol: Protocol, name: &str, value: &str) -> bool {
    let of_connections = ["connection", "proxy-connection", "keep-alive", "upgrade"];
    let is_malformed = of_connections.contains(&name) || name == "te" && value != "trailers";
    protocol == Protocol::Http2 && is_malformed
}

struct Callers {
    /// Each with the request that it sends, and the answer to it.
    all: Vec<(&'static str, Request, Answer)>,
}

impl Callers {
    async fn of(ground: &Ground, key: &str, client: &mut Client) -> Self {
        let new = NewKey::named("ci").unwrap().allowed_ips([ELSEWHERE]);
        let bound = ground.make(new.unwrap()).await;
        let private = || Request::get("/private");
        let requests = [
            ("without a key", private(), 401),
            ("with an unknown key", private().key(&unknown_key()), 401),
            (
                "with an unreadable one",
                private().authorization("Bearer a,b"),
                400,
            ),
            (
                "with one of another address",
                private().key(bound.secret.expose()),
                401,
            ),
            ("with a good key", private().key(key), 200),
            (
                "with one that lacks the scope",
                Request::get("/scope").key(key),
                403,
            ),
            ("where nobody needs a key", Request::get("/public"), 200),
        ];
        let mut all = Vec::new();
        for (name, request, status) in requests {
            let answer = client.send(&request).await;
            assert_eq!(answer.status, status, "{name}: {answer:?}");
            all.push((name, request, answer));
        }
        Self { all }
    }
}

async fn server(ground: &Ground, marks: &Marks) -> Server {
    let scope = marks.handler("scope");
    let app = Router::new()
        .route("/private", marks.handler("private"))
        .route("/scope", scope.layer(portcullis::require_scope("a")))
        .route_layer(ground.layer())
        .route("/public", marks.handler("public"));
    Server::start(app).await
}

#[tokio::test]
async fn none_opens_and_none_changes_the_answer() {
    let lines: HashSet<_> = bypass_headers::lines().collect();
    assert_eq!(
        lines.len(),
        bypass_headers::lines().count(),
        "no line is there twice"
    );
    assert!(lines.len() >= 500, "{} of 500", lines.len());

    let ground = Ground::new().await;
    let marks = Marks::default();
    let server = server(&ground, &marks).await;
    let (created, other) = (ground.create(&["b"]).await, ground.create(&["*"]).await);
    let (key, other) = (created.secret.expose(), other.key.id.as_str());
    for protocol in BOTH {
        let mut client = server.client(protocol);
        let callers = Callers::of(&ground, key, &mut client).await;
        for (name, value) in bypass_headers::lines() {
            let value = value.replace("{key}", key).replace("{other}", other);
            for (caller, request, expected) in &callers.all {
                let request = request.clone().line(name, &value);
                let outcome = client.try_send(&request).await;
                let what = format!("{name}: {value}, {caller}, by {protocol:?}: {outcome:?}");
                if is_refused_by(protocol, name, &value) {
                    assert_eq!(outcome, Outcome::Cut, "{what}");
                    continue;
                }
                let expected = said(expected, name);
                assert_eq!(said(&outcome.answer(), name), expected, "{what}");
            }
        }
    }
}

/// What an answer says. The handlers tell how many lines of `x-api-key` they see, which they are to
/// see where nobody told the gate that keys are in there.
fn said(answer: &Answer, sent: &str) -> (u16, Vec<(String, String)>, String) {
    let (status, headers, body) = answer.seen();
    let body = if sent == "x-api-key" {
        body.replace(r#"("x-api-key", 1)"#, r#"("x-api-key", 0)"#)
    } else {
        body.to_owned()
    };
    (status, headers.to_vec(), body)
}

/// As many of them at once as a server takes.
#[tokio::test]
async fn nor_do_all_of_them_together() {
    let ground = Ground::new().await;
    let marks = Marks::default();
    let server = server(&ground, &marks).await;
    let key = ground.key(&["b"]).await;
    for protocol in BOTH {
        let mut client = server.client(protocol);
        let callers = Callers::of(&ground, &key, &mut client).await;
        let lines: Vec<_> = bypass_headers::lines()
            .filter(|(name, value)| !is_refused_by(Protocol::Http2, name, value))
            .filter(|(name, _)| !["host", "x-api-key"].contains(name))
            .collect();
        for lines in lines.chunks(80) {
            for (caller, request, expected) in &callers.all {
                let mut request = request.clone();
                for (name, value) in lines {
                    request = request.line(name, value.replace("{key}", &key));
                }
                let answer = client.send(&request).await;
                assert_eq!(
                    answer.seen(),
                    expected.seen(),
                    "{caller}, {lines:?}, {protocol:?}"
                );
            }
        }
    }
}
