//! `OPTIONS` and preflights are requests like all others: what answers them without a key stands
//! in front of the gate.

use axum::Router;
use axum::extract::Request as Incoming;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};

use crate::client::BOTH;
use crate::ground::{Ground, Marks, Server, unknown_key};
use crate::message::Request;
use crate::refusal::Refusal;

fn preflight(target: &str) -> Request {
    Request::new("OPTIONS", target)
        .line("origin", "https://app.test")
        .line("access-control-request-method", "GET")
        .line("access-control-request-headers", "authorization")
}

#[tokio::test]
async fn without_a_key_they_are_refused_as_all_others_are() {
    let ground = Ground::new().await;
    let marks = Marks::default();
    let app = Router::new()
        .route("/private", marks.handler("private"))
        .route_layer(ground.layer())
        .route("/public", marks.handler("public"));
    let server = Server::start(app).await;
    let key = ground.key(&[]).await;
    for protocol in BOTH {
        let mut client = server.client(protocol);
        let missing = client.send(&Request::get("/private")).await;
        let dead = client.send(&Request::get("/private").key("x")).await;
        let options = |target| Request::new("OPTIONS", target);
        let as_of_a_browser = preflight("/private")
            .line("sec-fetch-mode", "cors")
            .line("access-control-request-private-network", "true");
        for request in [options("/private"), preflight("/private"), as_of_a_browser] {
            let answer = client.send(&request).await;
            Refusal::missing().assert("no key", &answer, answer.body.len());
            assert_eq!(answer, missing, "{request:?} by {protocol:?}");
            let answer = client.send(&request.clone().key(&unknown_key())).await;
            assert_eq!(answer, dead, "{request:?} by {protocol:?}");
            let answer = client.send(&request.clone().authorization("")).await;
            assert_eq!((answer.status, &*answer.code()), (400, "invalid_request"));
            assert_eq!(marks.take(), [""; 0], "{protocol:?}");
            let answer = client.send(&request.key(&key)).await;
            assert_eq!(answer.status, 200, "{protocol:?}");
            assert_eq!(marks.take(), ["private"]);
        }
        for request in [options("/public"), preflight("/public")] {
            assert_eq!(client.send(&request).await.status, 200, "{protocol:?}");
            assert_eq!(marks.take(), ["public"]);
        }
        // Of the server as a whole: nothing is routed to it, so nothing answers it.
        let outcome = client.try_send(&options("*")).await;
        assert!(
            (400..500).contains(&outcome.told().0),
            "{protocol:?}: {outcome:?}"
        );
        assert_eq!(marks.take(), [""; 0]);
    }
}

#[tokio::test]
async fn where_a_key_is_optional_they_pass_as_anonymous() {
    let ground = Ground::new().await;
    let marks = Marks::default();
    let app = Router::new().route("/", marks.handler("/"));
    let server = Server::start(app.route_layer(ground.layer().optional())).await;
    for protocol in BOTH {
        let mut client = server.client(protocol);
        let answer = client.send(&preflight("/")).await;
        assert!(
            answer.body.starts_with("/ for nobody"),
            "{protocol:?}: {answer:?}"
        );
        let answer = client.send(&preflight("/").key("x")).await;
        assert_eq!(answer.status, 401, "{protocol:?}");
    }
}

/// What a layer for CORS does with a preflight.
async fn answer_preflights(request: Incoming, next: Next) -> Response {
    let is_preflight = request.method() == "OPTIONS"
        && request
            .headers()
            .contains_key("access-control-request-method");
    if is_preflight {
        return [("access-control-allow-origin", "https://app.test")].into_response();
    }
    next.run(request).await
}

#[tokio::test]
async fn a_layer_in_front_answers_them_and_opens_nothing_else() {
    let ground = Ground::new().await;
    let marks = Marks::default();
    let app = Router::new()
        .route("/private", marks.handler("private"))
        .route_layer(ground.layer())
        .layer(from_fn(answer_preflights));
    let server = Server::start(app).await;
    for protocol in BOTH {
        let mut client = server.client(protocol);
        let answer = client.send(&preflight("/private")).await;
        let allowed = answer.one("access-control-allow-origin");
        assert_eq!((answer.status, allowed), (200, Some("https://app.test")));
        for method in ["GET", "OPTIONS", "POST"] {
            let answer = client.send(&Request::new(method, "/private")).await;
            Refusal::missing().assert(method, &answer, answer.body.len());
        }
        assert_eq!((marks.take(), ground.asked()), (vec![], 0));
    }
}
