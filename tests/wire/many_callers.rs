//! Many callers with keys of their own on one connection: each answer is its own caller's.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::any;
use portcullis::Principal;
use portcullis::key::KeyId;
use portcullis::keyring::NewKey;
use tokio::sync::Barrier;
use tokio::time::timeout;

use crate::client::{BOTH, Protocol};
use crate::ground::{Ground, Server, well_formed};
use crate::message::{Answer, Request};

const CALLERS: usize = 100;

/// A request and whom its answer has to name; nobody is refused with this status.
struct Call {
    request: Request,
    expected: Result<String, u16>,
}

/// Callers each with a key of their own, and between them some who have none, or none that opens.
async fn calls(ground: &Ground) -> (Vec<Call>, Vec<KeyId>) {
    let (mut calls, mut ids) = (Vec::new(), Vec::new());
    for number in 0..CALLERS {
        let owner = format!("owner-{number}");
        let new = NewKey::named("ci").unwrap().owner(&owner).unwrap();
        let created = ground.make(new).await;
        let whoami = || Request::get("/whoami");
        calls.push(Call {
            request: whoami().key(created.secret.expose()),
            expected: Ok(format!("{} of {owner}", created.key.id)),
        });
        let (request, status) = match number % 5 {
            0 => (whoami(), 401),
            1 => (whoami().key("x"), 401),
            2 => (
                whoami().key(&well_formed("live", &format!("{number:032}"))),
                401,
            ),
            3 => (whoami().authorization(""), 400),
            _ => (whoami().authorization("Basic YTpi"), 401),
        };
        calls.push(Call {
            request,
            expected: Err(status),
        });
        ids.push(created.key.id);
    }
    (calls, ids)
}

fn app(ground: &Ground) -> Router {
    let whoami = async |caller: Principal| format!("{} of {}", caller.key_id(), caller.owner());
    Router::new()
        .route("/whoami", any(whoami))
        .route_layer(ground.layer())
}

fn assert_own(call: &Call, answer: &Answer) {
    match &call.expected {
        Ok(caller) => assert_eq!((answer.status, &answer.body), (200, caller)),
        Err(status) => assert_eq!(answer.status, *status, "{answer:?}"),
    }
}

#[tokio::test]
async fn each_answer_names_its_own_caller() {
    for protocol in BOTH {
        let ground = Ground::with(|builder| builder.lookups(64, 2_000)).await;
        let server = Server::start(app(&ground)).await;
        let mut client = server.client(protocol);
        let (mut calls, ids) = calls(&ground).await;
        // None of the keys is known yet; then all are; then in another order.
        for round in 0..6 {
            let requests: Vec<_> = calls.iter().map(|call| call.request.clone()).collect();
            let outcomes = client.send_all(&requests).await;
            assert_eq!(outcomes.len(), 2 * CALLERS);
            for (call, outcome) in calls.iter().zip(outcomes) {
                assert_own(call, &outcome.answer());
            }
            calls.rotate_left(7 * round + 1);
        }
        // Every third key goes, and its caller alone with it.
        for id in ids.iter().step_by(3) {
            ground.keyring.revoke(id, None).await.unwrap();
            let is_its = |call: &&mut Call| {
                let caller = call.expected.as_ref();
                caller.is_ok_and(|caller| caller.starts_with(id.as_str()))
            };
            calls.iter_mut().find(is_its).unwrap().expected = Err(401);
        }
        let requests: Vec<_> = calls.iter().map(|call| call.request.clone()).collect();
        for (call, outcome) in calls.iter().zip(client.send_all(&requests).await) {
            assert_own(call, &outcome.answer());
        }
    }
}

/// No handler answers before all are there, so that a hundred streams are open at once.
#[tokio::test]
async fn a_hundred_streams_run_side_by_side() {
    let ground = Ground::new().await;
    let all = Arc::new(Barrier::new(CALLERS));
    let meet = async move |caller: Principal| {
        all.wait().await;
        format!("{} of {}", caller.key_id(), caller.owner())
    };
    let app = Router::new().route("/whoami", any(meet));
    let server = Server::start(app.route_layer(ground.layer())).await;
    let (mut calls, _) = calls(&ground).await;
    calls.retain(|call| call.expected.is_ok());
    let requests: Vec<_> = calls.iter().map(|call| call.request.clone()).collect();
    let mut client = server.client(Protocol::Http2);
    for known in [false, true] {
        let sent = timeout(Duration::from_secs(20), client.send_all(&requests)).await;
        for (call, outcome) in calls.iter().zip(sent.expect("all of them meet")) {
            assert_own(call, &outcome.answer());
        }
        assert_eq!(ground.asked(), 100, "known: {known}");
    }
}
