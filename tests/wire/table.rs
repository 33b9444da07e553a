//! Tables of what is sent and what has to come back.

use axum::Router;
use axum::response::AppendHeaders;
use axum::routing::any;
use portcullis::{ApiKeyLayer, Principal, require_all, require_any};

use crate::client::BOTH;
use crate::ground::{Marks, Server};
use crate::message::Request;
use crate::refusal::Refusal;

pub(crate) const JSON_WEB_TOKEN: &str = "Bearer eyJhbGciOiJIUzI1NiJ9.e30.c2ln";

/// What is sent, and the refusal; `None` is what gets in.
pub(crate) type Row = (&'static str, Request, Option<Refusal>);

/// All kinds of routes behind one layer, and one beside it.
pub(crate) fn app(layer: ApiKeyLayer) -> Router {
    let marks = Marks::default();
    let inside = || marks.handler("inside");
    let public = [("cache-control", "public, max-age=60"), ("vary", "accept")];
    Router::new()
        .route("/thing", inside())
        .route("/all", inside().layer(require_all(["b:x", "a", "b:x"])))
        .route("/any", inside().layer(require_any(["b:y", "a"])))
        .route(
            "/cached",
            any(async move || (AppendHeaders(public), "inside for key_")),
        )
        .route_layer(layer)
        .route("/bare", any(async |_: Principal| "inside"))
        .route("/maybe", any(async |_: Option<Principal>| "inside"))
        .route("/demand", inside().layer(require_all(["a"])))
}

/// Sends each row by GET and by HEAD over both protocols, with what `also` says of every answer.
pub(crate) async fn assert_all(app: Router, rows: &[Row], also: &[(&'static str, &'static str)]) {
    let server = Server::start(app).await;
    for protocol in BOTH {
        let mut client = server.client(protocol);
        for (name, request, expected) in rows {
            let what = format!("{name}, by {protocol:?}");
            let head = Request {
                method: b"HEAD".to_vec(),
                ..request.clone()
            };
            let (got, head) = (client.send(request).await, client.send(&head).await);
            assert_eq!(head.headers, got.headers, "{what}: HEAD has the same");
            assert_eq!(head.body, "", "{what}: HEAD has no body");
            let Some(refusal) = expected else {
                assert_eq!((got.status, head.status), (200, 200), "{what}: {got:?}");
                assert_eq!(got.one("www-authenticate"), None, "{what}");
                assert!(got.body.starts_with("inside for "), "{what}: {got:?}");
                for (name, value) in also {
                    assert_eq!(got.one(name), Some(*value), "{what}");
                }
                continue;
            };
            let mut refusal = refusal.clone();
            refusal.headers.extend(also);
            refusal.assert(&what, &got, got.body.len());
            refusal.assert_body(&what, &got);
            refusal.assert(&what, &head, got.body.len());
        }
    }
}

pub(crate) fn auth(value: impl AsRef<[u8]>) -> Request {
    Request::get("/thing").authorization(value)
}

pub(crate) fn at(target: &str, key: &str) -> Request {
    Request::get(target).key(key)
}
