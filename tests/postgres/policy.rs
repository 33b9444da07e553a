//! What an application allows, where several replicas are asked at once.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use portcullis::Keyring;
use portcullis::admin::{Admin, Policy, TrustedCaller};
use portcullis::layer::PeerAddress;
use tokio::task::JoinSet;
use tower::ServiceExt as _;

use super::{Place, canary};

/// The routers of two replicas.
async fn replicas(place: &Place, admin: impl Fn(Admin) -> Admin) -> [Router; 2] {
    let mut routers = Vec::new();
    for _ in 0..2 {
        let keyring = Keyring::builder(place.store_of_keyring().await)
            .prefix("acme")
            .build()
            .unwrap();
        keyring.ready().await.unwrap();
        routers.push(admin(Admin::new(keyring)).router());
    }
    routers.try_into().unwrap()
}

/// How many of so many requests for a key at once were answered so.
async fn at_once(
    routers: &[Router; 2],
    change: impl Fn(&mut Request<Body>),
    statuses: [StatusCode; 2],
) -> [usize; 2] {
    let mut asked = JoinSet::new();
    for number in 0..16 {
        let mut request = Request::post("/keys")
            .header("host", "localhost")
            .header("content-type", "application/json")
            .body(Body::from(r#"{"name":"n","scopes":[]}"#))
            .unwrap();
        change(&mut request);
        asked.spawn(routers[number % 2].clone().oneshot(request));
    }
    let mut counted = [0; 2];
    while let Some(answer) = asked.join_next().await {
        let (parts, body) = answer.unwrap().unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        canary::answer_to(&Method::POST, &parts, &body);
        let status = parts.status;
        let at = statuses.iter().position(|expected| *expected == status);
        counted[at.unwrap_or_else(|| panic!("{status}"))] += 1;
    }
    counted
}

#[tokio::test(flavor = "multi_thread")]
async fn no_owner_gets_past_the_number_of_keys_on_two_replicas() {
    let Some(place) = Place::new() else { return };
    let limited = Policy::new().live_keys_per_owner(5);
    let asking = limited
        .clone()
        .entitlement(async |_| Ok::<_, std::convert::Infallible>(true))
        .mint_limit(1_000, Duration::from_secs(1));
    for (owner, policy) in [("acme", limited), ("umbrella", asking)] {
        let routers = replicas(&place, |admin| admin.policy(policy.clone()).unwrap()).await;
        let session = TrustedCaller::new("s", owner).unwrap();
        let change = |request: &mut Request<Body>| {
            request.extensions_mut().insert(session.clone());
        };
        let statuses = [StatusCode::CREATED, StatusCode::CONFLICT];
        assert_eq!(
            at_once(&routers, change, statuses).await,
            [5, 11],
            "{owner}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_first_keys_at_once_on_two_replicas_one_is_made() {
    let Some(place) = Place::new() else { return };
    let routers = replicas(&place, Admin::dangerously_open_on_loopback_until_first_key).await;
    let change = |request: &mut Request<Body>| {
        let peer = PeerAddress([127, 0, 0, 1].into());
        request.extensions_mut().insert(peer);
    };
    let statuses = [StatusCode::CREATED, StatusCode::UNAUTHORIZED];
    assert_eq!(at_once(&routers, change, statuses).await, [1, 15]);
}
