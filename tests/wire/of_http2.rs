//! What HTTP/2 alone has: field names that must be in lower case, and CONNECT, which has no path or
//! asks for another protocol. None of it reaches a protected handler without a key.

use axum::Router;

use crate::client::Protocol;
use crate::ground::{Ground, Marks, Server};
use crate::http2::Connection;
use crate::message::{HOST, Outcome, Request};

/// RFC 9113 section 7.
const PROTOCOL_ERROR: u32 = 1;

const START: [(&str, &str); 4] = [
    (":method", "GET"),
    (":scheme", "http"),
    (":path", "/private"),
    (":authority", HOST),
];

fn app(ground: &Ground, marks: &Marks) -> Router {
    Router::new()
        .route("/private", marks.handler("private"))
        .route_layer(ground.layer())
        .route("/public", marks.handler("public"))
}

/// RFC 9113 section 8.2.1: such a request is malformed. That is an error of the stream, which a server
/// may make one of the connection.
#[tokio::test]
async fn a_name_in_upper_case_is_no_request() {
    let (ground, marks) = (Ground::new().await, Marks::default());
    let bearer = format!("Bearer {}", ground.key(&[]).await);
    let server = Server::start(app(&ground, &marks)).await;
    let mut rest = server.client(Protocol::Http2);
    for name in [
        "Authorization",
        "AUTHORIZATION",
        "authorizatioN",
        "X-Api-Key",
        "Host",
        "Anything",
    ] {
        for path in ["/private", "/public"] {
            for with_key in [false, true] {
                let mut connection = Connection::open(server.address).await;
                let mut fields = START.to_vec();
                fields[2].1 = path;
                if with_key {
                    fields.push(("authorization", &bearer));
                }
                fields.push((name, &bearer));
                let outcome = connection.send_fields(&fields).await;
                let what = format!("{name} to {path}, a key besides: {with_key}");
                assert_eq!(outcome, Outcome::Cut, "{what}");
                assert_eq!(connection.error, Some(PROTOCOL_ERROR), "{what}");
                assert_eq!(marks.take(), [""; 0], "{what}");
            }
        }
    }
    assert_eq!(ground.asked(), 0);
    let mut fields = START.to_vec();
    fields.push(("authorization", &bearer));
    let mut connection = Connection::open(server.address).await;
    let let_in = connection.send_fields(&fields).await.answer();
    assert_eq!(
        (let_in.status, marks.take()),
        (200, vec!["private".to_owned()])
    );
    // The server goes on.
    let refused = rest.send(&Request::get("/private")).await;
    assert_eq!(refused.status, 401);
}

/// What a CONNECT consists of: to a host (section 8.5), and to another protocol at a path (RFC 8441).
fn connects(path: &str) -> [Vec<(&'static str, String)>; 4] {
    let fields = |fields: &[(&'static str, &str)]| {
        let fields = fields
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()));
        [(":method", "CONNECT".to_owned())]
            .into_iter()
            .chain(fields)
            .collect()
    };
    let authority = (":authority", "gate.test:80");
    let at_a_path = [(":scheme", "http"), (":path", path), authority];
    [
        fields(&[authority]),
        fields(&[(":authority", path)]),
        fields(&[&[(":protocol", "websocket")][..], &at_a_path].concat()),
        fields(&[&[(":protocol", "anything")][..], &at_a_path].concat()),
    ]
}

#[tokio::test]
async fn connect_opens_nothing_without_a_key() {
    let (ground, marks) = (Ground::new().await, Marks::default());
    let good = format!("Bearer {}", ground.key(&[]).await);
    let around_everything = app(&ground, &marks)
        .fallback_service(marks.handler("fallback"))
        .layer(ground.layer());
    let mut reached = Vec::new();
    for (app, is_closed) in [(app(&ground, &marks), false), (around_everything, true)] {
        let server = Server::start(app).await;
        for connect in connects("/private") {
            for (key, is_good) in [
                (None, false),
                (Some("Bearer acme_live_x"), false),
                (Some(&*good), true),
            ] {
                let fields = connect.iter().map(|(name, value)| (*name, &**value));
                let fields: Vec<_> = fields
                    .chain(key.map(|key| ("authorization", key)))
                    .collect();
                let mut connection = Connection::open(server.address).await;
                let outcome = connection.send_fields(&fields).await;
                let what = format!("{fields:?}: {outcome:?}");
                if is_good {
                    // It is not said that anything has to be there for it.
                    reached.extend(marks.take());
                    continue;
                }
                assert_eq!(marks.take(), [""; 0], "{what}");
                let (status, _) = outcome.told();
                assert!(
                    !is_closed || status == 401 || outcome == Outcome::Cut,
                    "{what}"
                );
                assert_ne!(status, 200, "{what}");
            }
        }
    }
    // With a key it gets to both, so that it is the layer that has refused it.
    reached.sort();
    reached.dedup();
    assert_eq!(reached, ["fallback", "private"]);
}
