//! One to three `Authorization` lines in every mix: with more than one of them nobody gets in,
//! since a proxy in front may have taken another for the one that counts.

use axum::Router;

use crate::client::{BOTH, Protocol};
use crate::ground::{Ground, Marks, Server, unknown_key};
use crate::message::Request;

const MISSING: (u16, &str) = (401, "missing_credentials");
const UNREADABLE: (u16, &str) = (400, "invalid_request");
const DEAD: (u16, &str) = (401, "invalid_token");

/// The kinds of lines, each with the answer that it gets when it is alone.
fn kinds(key: &str) -> [(String, (u16, &'static str)); 10] {
    let bearer = format!("Bearer {key}");
    [
        (bearer.clone(), (200, "")),
        (format!("bearer  {key}"), (200, "")),
        (format!("Bearer {}", unknown_key()), DEAD),
        ("Bearer x".to_owned(), DEAD),
        ("Basic YTpi".to_owned(), MISSING),
        (key.to_owned(), MISSING),
        (String::new(), UNREADABLE),
        (format!("{bearer}, {bearer}"), UNREADABLE),
        (format!("{bearer}, Basic YTpi"), UNREADABLE),
        (format!("Basic YTpi, {bearer}"), MISSING),
    ]
}

async fn server(ground: &Ground, marks: &Marks) -> Server {
    let both = ground.layer().add_header("x-api-key".parse().unwrap());
    let optional = ground.layer().pass_foreign_bearer();
    let app = Router::new()
        .route("/", marks.handler("/").layer(ground.layer()))
        .route("/both", marks.handler("/both").layer(both))
        .route("/optional", marks.handler("/optional").layer(optional));
    Server::start(app).await
}

#[tokio::test]
async fn in_every_mix() {
    let ground = Ground::new().await;
    let marks = Marks::default();
    let server = server(&ground, &marks).await;
    let key = ground.key(&["*"]).await;
    let kinds = kinds(&key);
    for protocol in BOTH {
        let mut client = server.client(protocol);
        for (value, expected) in &kinds {
            let outcome = client
                .try_send(&Request::get("/").authorization(value))
                .await;
            let (status, code) = outcome.told();
            assert_eq!((status, &*code), *expected, "{value} by {protocol:?}");
        }
        marks.take();
        let asked = ground.asked();
        for (first, _) in &kinds {
            for (second, _) in &kinds {
                let thirds = kinds.iter().map(|(third, _)| Some(third));
                let mut requests = Vec::new();
                for third in thirds.chain([None]) {
                    for target in ["/", "/both", "/optional"] {
                        let request = Request::get(target)
                            .authorization(first)
                            .line("accept", "*/*")
                            .line("AUTHORIZATION", second);
                        requests.push(match third {
                            Some(third) => request.line("Authorization", third),
                            None => request,
                        });
                    }
                }
                let outcomes = client.send_all(&requests).await;
                for (request, outcome) in requests.iter().zip(outcomes) {
                    let (status, code) = outcome.told();
                    let what = format!("{request:?} by {protocol:?}");
                    assert_eq!((status, &*code), UNREADABLE, "{what}");
                }
            }
        }
        assert_eq!((marks.take(), ground.asked()), (vec![], asked));
    }
}

#[tokio::test]
async fn in_two_places() {
    let ground = Ground::new().await;
    let marks = Marks::default();
    let server = server(&ground, &marks).await;
    let key = ground.key(&["*"]).await;
    for protocol in BOTH {
        let mut client = server.client(protocol);
        for (bearer, alone) in kinds(&key) {
            for other in [&*key, "", "x", &unknown_key(), &bearer] {
                let request = Request::get("/both").authorization(&bearer);
                let request = request.line("x-api-key", other);
                let (status, code) = client.try_send(&request).await.told();
                let what = format!("{request:?} by {protocol:?}");
                if alone != MISSING {
                    assert_eq!((status, &*code), UNREADABLE, "{what}");
                } else if other == key {
                    assert_eq!(status, 200, "the other scheme is not for us: {what}");
                } else {
                    assert!([UNREADABLE, DEAD].contains(&(status, &*code)), "{what}");
                }
            }
        }
    }
}

/// A line that is written so that one reader sees it and another does not.
#[tokio::test]
async fn in_disguise() {
    let ground = Ground::new().await;
    let marks = Marks::default();
    let server = server(&ground, &marks).await;
    let key = ground.key(&["*"]).await;
    let bearer = format!("Bearer {key}");
    let mut client = server.client(Protocol::Http1);
    for (name, value) in [
        ("authorization ", bearer.clone()),
        ("authorization\t", bearer.clone()),
        (" authorization", bearer.clone()),
        ("x-a: b\r\n authorization", bearer.clone()),
        ("authorization", format!("Bearer\r\n {key}")),
        ("authorization", format!("Bearer \r\n\t{key}")),
        ("authorization\0", bearer.clone()),
        ("authorization\u{e9}", bearer.clone()),
        ("authorization:", bearer.clone()),
        ("authorization_", bearer.clone()),
        ("http_authorization", bearer.clone()),
        ("authorization\u{2d}", bearer.clone()),
    ] {
        for before in [None, Some("Basic YTpi"), Some("Bearer x")] {
            let mut request = Request::get("/");
            if let Some(before) = before {
                request = request.authorization(before);
            }
            let request = request.line(name, &value);
            let outcome = client.try_send(&request).await;
            let what = format!("{request:?}: {outcome:?}");
            assert_ne!(outcome.told().0, 200, "{what}");
            assert!(outcome.told().0 < 500, "{what}");
            assert_eq!(marks.take(), [""; 0], "{what}");
        }
    }
    assert_eq!(ground.asked(), 0);
}
