//! Keys that may be used from some addresses only, as a client and a proxy see them.

use std::net::SocketAddr;

use axum::extract::ConnectInfo;
use axum::routing::get;
use axum::{Router, body::Body};
use http::{HeaderName, Request};
use portcullis::keyring::{Dead, NewKey};
use portcullis::layer::{ClientAddress, PeerAddress, Reason};
use portcullis::{ApiKeyLayer, require_scope};

use crate::ground::{Ground, Seen, call, with_key};

fn app(layer: ApiKeyLayer) -> Router {
    Router::new()
        .route("/", get(async || "inside"))
        .route_layer(layer)
}

/// The text of a key that is bound to 192.0.2.0/24.
async fn bound(ground: &Ground) -> String {
    let new = NewKey::named("ci").unwrap().allowed_ips(["192.0.2.0/24"]);
    let created = ground.keyring.create(new.unwrap()).await.unwrap();
    created.secret.expose().to_owned()
}

/// A request that comes from this peer, if any, with these lines of `X-Forwarded-For`.
fn from(peer: &str, forwarded: &[&str], key: &str) -> Request<Body> {
    let mut request = with_key(key);
    for line in forwarded {
        let headers = request.headers_mut();
        headers.append("x-forwarded-for", line.parse().unwrap());
    }
    if !peer.is_empty() {
        let socket: SocketAddr = format!("{peer}:4711").parse().unwrap();
        request.extensions_mut().insert(ConnectInfo(socket));
    }
    request
}

fn is_elsewhere(seen: &Seen) -> bool {
    *seen.rejection().reason() == Reason::Dead(Dead::Address)
}

#[tokio::test]
async fn a_key_is_dead_from_elsewhere_on_misses_and_hits_and_nothing_tells_why() {
    let header = HeaderName::from_static("x-forwarded-for");
    let behind = ClientAddress::behind(header, ["10.0.0.0/8"]).unwrap();
    let cases: [(&str, &ClientAddress, &str, &[&str], bool); 12] = [
        ("the peer", &ClientAddress::peer(), "192.0.2.1", &[], true),
        (
            "over six",
            &ClientAddress::peer(),
            "[::ffff:192.0.2.1]",
            &[],
            true,
        ),
        (
            "another peer",
            &ClientAddress::peer(),
            "198.51.100.1",
            &[],
            false,
        ),
        ("nobody knows", &ClientAddress::peer(), "", &[], false),
        (
            "a lie",
            &ClientAddress::peer(),
            "198.51.100.1",
            &["192.0.2.1"],
            false,
        ),
        ("a proxy", &behind, "10.0.0.1", &["192.0.2.1"], true),
        (
            "two of them",
            &behind,
            "10.0.0.1",
            &["192.0.2.1, 10.0.0.2"],
            true,
        ),
        (
            "a lie to a proxy",
            &behind,
            "10.0.0.1",
            &["192.0.2.1, 198.51.100.1"],
            false,
        ),
        (
            "a lie in a line",
            &behind,
            "10.0.0.1",
            &["192.0.2.1", "198.51.100.1"],
            false,
        ),
        (
            "a lie past the proxy",
            &behind,
            "198.51.100.1",
            &["192.0.2.1"],
            false,
        ),
        (
            "garbage",
            &behind,
            "10.0.0.1",
            &["192.0.2.1", "unknown"],
            false,
        ),
        ("the proxy itself", &behind, "10.0.0.1", &[], false),
    ];
    let ground = Ground::new().await;
    let unknown = call(
        app(ApiKeyLayer::new(ground.keyring.clone())),
        with_key(&ground.unknown_key()),
    );
    let unknown = unknown.await;
    for (name, client, peer, forwarded, expected) in cases {
        let key = bound(&ground).await;
        let layer = ApiKeyLayer::new(ground.keyring.clone());
        let app = app(layer.client_address(client.clone()));
        for look in ["a miss", "a hit"] {
            let asked = ground.store.asked();
            let seen = call(app.clone(), from(peer, forwarded, &key)).await;
            assert_eq!(ground.store.asked() - asked, usize::from(look == "a miss"));
            if expected {
                assert_eq!(seen.body, "inside", "{name}, {look}");
            } else {
                assert!(is_elsewhere(&seen), "{name}, {look}");
                assert_eq!(seen.body, unknown.body, "{name}, {look}");
                assert_eq!(seen.headers, unknown.headers, "{name}, {look}");
            }
        }
    }
}

#[tokio::test]
async fn whoever_accepts_connections_can_say_from_where() {
    let ground = Ground::new().await;
    let key = bound(&ground).await;
    let app = app(ApiKeyLayer::new(ground.keyring.clone()));
    for (peer, expected) in [("192.0.2.1", 200), ("198.51.100.1", 401)] {
        let mut request = with_key(&key);
        let peer = PeerAddress(peer.parse().unwrap());
        request.extensions_mut().insert(peer);
        assert_eq!(call(app.clone(), request).await.status, expected);
    }
}

#[tokio::test]
async fn a_key_that_is_not_bound_is_used_from_anywhere() {
    let ground = Ground::new().await;
    let key = ground.key(&[]).await;
    let app = app(ApiKeyLayer::new(ground.keyring.clone()));
    for peer in ["192.0.2.1", "198.51.100.1", ""] {
        let seen = call(app.clone(), from(peer, &["garbage"], &key)).await;
        assert_eq!(seen.status, 200, "{peer:?}");
    }
}

#[tokio::test]
async fn in_optional_mode_it_is_as_dead_and_a_demand_comes_after_it() {
    let ground = Ground::new().await;
    let key = bound(&ground).await;
    let inside = get(async || "inside").route_layer(require_scope("a"));
    let app = Router::new().route("/", inside);
    let app = app.route_layer(ApiKeyLayer::new(ground.keyring.clone()).optional());
    assert!(is_elsewhere(&call(app.clone(), from("", &[], &key)).await));
    let seen = call(app, from("192.0.2.1", &[], &key)).await;
    assert_eq!(seen.code(), "insufficient_scope");
}

#[tokio::test]
async fn an_inner_layer_that_was_told_of_proxies_looks_for_itself() {
    let ground = Ground::new().await;
    let key = bound(&ground).await;
    let layer = || ApiKeyLayer::new(ground.keyring.clone());
    let header = HeaderName::from_static("x-forwarded-for");
    let behind = ClientAddress::behind(header, ["10.0.0.0/8"]).unwrap();
    let through_proxy = || from("10.0.0.1", &["192.0.2.1"], &key);
    let peer = || layer().client_address(ClientAddress::peer());
    let cases = [
        ("not told", layer(), true),
        (
            "told the same",
            layer().client_address(behind.clone()),
            true,
        ),
        ("told of none", peer(), false),
        ("told of none, optional", peer().optional(), false),
    ];
    for (name, inner, expected) in cases {
        let app = app(inner).route_layer(layer().client_address(behind.clone()));
        let seen = call(app, through_proxy()).await;
        assert_eq!(seen.status == 200, expected, "{name}");
        assert!(expected || is_elsewhere(&seen), "{name}");
    }
    // The other way round, what the outer one refuses does not come that far.
    let app = app(layer().client_address(behind)).route_layer(layer());
    assert!(is_elsewhere(&call(app, through_proxy()).await));
}
