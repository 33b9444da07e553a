//! What is nearly a key opens nothing, gets the answer of everything that opens nothing, and where
//! the checksum catches it, which is everywhere, costs no look-up.

use axum::Router;

use crate::client::BOTH;
use crate::ground::{Ground, Marks, Server, well_formed};
use crate::message::Request;
use crate::refusal::Refusal;

const TOKEN: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-._~+/";

/// The good key with one thing wrong at one position, in every way that leaves a bearer token.
fn near_misses(key: &str) -> Vec<String> {
    let mut misses = Vec::new();
    for at in 0..key.len() {
        let (before, rest) = key.split_at(at);
        let (here, after) = rest.split_at(1);
        for other in TOKEN.chars() {
            misses.push(format!("{before}{other}{after}"));
        }
        for other in ["-", "_", "0", "a", "Z", here] {
            misses.push(format!("{before}{other}{rest}"));
        }
        misses.push(format!("{before}{after}"));
        let swapped = if here.to_ascii_lowercase() == here {
            here.to_ascii_uppercase()
        } else {
            here.to_ascii_lowercase()
        };
        misses.push(format!("{before}{swapped}{after}"));
        // The two neighbours change places.
        if let Some(next) = after.get(..1) {
            misses.push(format!("{before}{next}{here}{}", &after[1..]));
        }
        misses.push(before.to_owned());
        misses.push(rest.to_owned());
    }
    for end in ["=", "==", "0", ".", "_", key] {
        misses.push(format!("{key}{end}"));
    }
    misses.retain(|miss| miss != key && !miss.is_empty());
    misses
}

async fn server(ground: &Ground, marks: &Marks) -> Server {
    let app = Router::new().route("/", marks.handler("/"));
    Server::start(app.route_layer(ground.layer())).await
}

#[tokio::test]
async fn at_every_position_of_a_key() {
    let ground = Ground::new().await;
    let marks = Marks::default();
    let server = server(&ground, &marks).await;
    let key = ground.key(&["*"]).await;
    let misses = near_misses(&key);
    assert!(misses.len() > 3_000, "{}", misses.len());
    for protocol in BOTH {
        let mut client = server.client(protocol);
        let dead = client.send(&Request::get("/").key("x")).await;
        Refusal::dead().assert("not a key", &dead, dead.body.len());
        for misses in misses.chunks(100) {
            let request = |miss: &String| Request::get("/").key(miss);
            let requests: Vec<_> = misses.iter().map(request).collect();
            for (miss, outcome) in misses.iter().zip(client.send_all(&requests).await) {
                assert_eq!(outcome.answer(), dead, "{miss} for {key} by {protocol:?}");
            }
        }
    }
    assert_eq!((ground.asked(), marks.take()), (0, vec![]));
    let answer = server
        .client(BOTH[0])
        .send(&Request::get("/").key(&key))
        .await;
    assert_eq!((answer.status, ground.asked()), (200, 1));
}

/// One whose checksum was made to fit is looked up, once, and is told nothing else.
#[tokio::test]
async fn with_a_checksum_of_its_own() {
    let ground = Ground::with(|builder| builder.unknown_lookups(1, 100_000)).await;
    let marks = Marks::default();
    let server = server(&ground, &marks).await;
    let key = ground.key(&["*"]).await;
    let body = &key["acme_live_".len()..key.len() - 6];
    let mut asked = 0;
    for at in 0..body.len() {
        for other in ["0", "A", "z"] {
            let (before, after) = (&body[..at], &body[at + 1..]);
            let miss = well_formed("live", &format!("{before}{other}{after}"));
            if miss == key {
                continue;
            }
            asked += 1;
            for protocol in BOTH {
                let mut client = server.client(protocol);
                let dead = client.send(&Request::get("/").key("x")).await;
                let answer = client.send(&Request::get("/").key(&miss)).await;
                assert_eq!(answer, dead, "{miss} for {key} by {protocol:?}");
            }
            assert_eq!(ground.asked(), asked);
        }
    }
    assert_eq!(marks.take(), [""; 0]);
}
