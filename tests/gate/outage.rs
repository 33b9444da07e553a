//! An outage grace opens the gate to known keys, and to nothing that they would not open otherwise.

use std::time::Duration;

use axum::Router;
use axum::routing::get;
use http::StatusCode;
use portcullis::{ApiKeyLayer, Principal, require_scope};

use crate::ground::{Ground, call, with_key};

/// A handler that changes something for good.
async fn write(caller: Principal) -> StatusCode {
    if caller.is_judged_in_outage() {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    StatusCode::CREATED
}

async fn read(caller: Principal) -> String {
    caller.is_judged_in_outage().to_string()
}

#[tokio::test]
async fn in_an_outage_environments_and_scopes_are_judged_as_ever() {
    let ground = Ground::with(|builder| {
        builder
            .environments(["live", "test"])
            .dangerously_accept_known_keys_during_outage(Duration::from_mins(30))
    })
    .await;
    let reads = ground.key(&["reports:read"]).await;
    let (other, of_test) = (ground.key(&["other"]).await, ground.key_of("test").await);
    let layer = ApiKeyLayer::new(ground.keyring.clone());
    let everywhere = Router::new()
        .route("/", get(read))
        .layer(layer.clone().environments(["live", "test"]).unwrap());
    let live = layer.environments(["live"]).unwrap();
    let scoped = get(read).route_layer(require_scope("reports:read"));
    let scoped = Router::new().route("/", scoped).layer(live.clone());
    let written = Router::new().route("/", get(write)).layer(live);
    let ask = async |app: &Router, key: &str| call(app.clone(), with_key(key)).await;
    for key in [&reads, &other, &of_test] {
        assert_eq!(ask(&everywhere, key).await.body, "false");
    }
    assert_eq!(ask(&written, &reads).await.status, 201);

    ground.store.fail();
    ground.clock.advance(Duration::from_secs(6));
    for key in [&reads, &other, &of_test] {
        assert_eq!(ask(&everywhere, key).await.body, "true");
    }
    assert_eq!(ask(&scoped, &reads).await.body, "true");
    let seen = ask(&scoped, &other).await;
    assert_eq!(
        (seen.status.as_u16(), &*seen.code()),
        (403, "insufficient_scope")
    );
    let seen = ask(&scoped, &of_test).await;
    assert_eq!(
        (seen.status.as_u16(), &*seen.code()),
        (401, "invalid_token")
    );
    assert_eq!(ask(&written, &reads).await.status, 503);
    let seen = ask(&everywhere, &ground.unknown_key()).await;
    assert_eq!((seen.status.as_u16(), &*seen.code()), (503, "unavailable"));
    assert_eq!(seen.headers["retry-after"], "1");

    ground.clock.advance(Duration::from_mins(30));
    let seen = ask(&everywhere, &reads).await;
    assert_eq!((seen.status.as_u16(), &*seen.code()), (503, "unavailable"));
}
