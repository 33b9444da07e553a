//! A key that may be used from some addresses only manages keys from there only.

use axum::body::Body;
use axum::http::{HeaderName, Method, Request};
use portcullis::ApiKeyLayer;
use portcullis::allowed_ips::AllowedIps;
use portcullis::keyring::{KeyPatch, Restrict};
use portcullis::layer::{ClientAddress, PeerAddress};
use tower::ServiceExt as _;

use crate::world::{ADMIN_TOKEN, Holder, World, request};

const OFFICE: &str = "192.0.2.0/24";

async fn bound(world: &World) -> Holder {
    let key = world.key("a", &["keys:write"]).await;
    let patch = KeyPatch {
        allowed_ips: Some(Restrict::To(AllowedIps::parse([OFFICE]).unwrap())),
        ..KeyPatch::default()
    };
    let id = key.id.parse().unwrap();
    world.keyring.update(&id, patch).await.unwrap();
    key
}

fn list(token: &str, peer: Option<&str>, forwarded: &str) -> Request<Body> {
    let mut request = request(Method::GET, "/admin/keys", token, "");
    if let Some(peer) = peer {
        let peer = PeerAddress(peer.parse().unwrap());
        request.extensions_mut().insert(peer);
    }
    let headers = request.headers_mut();
    headers.insert("x-forwarded-for", forwarded.parse().unwrap());
    request
}

#[tokio::test]
async fn it_is_dead_from_elsewhere() {
    let header = HeaderName::from_static("x-forwarded-for");
    let behind = ClientAddress::behind(header, ["10.0.0.1"]).unwrap();
    let cases = [
        (None, Some("192.0.2.7"), "198.51.100.1", 200),
        (None, Some("198.51.100.1"), "192.0.2.7", 401),
        (None, None, "192.0.2.7", 401),
        (Some(&behind), Some("10.0.0.1"), "192.0.2.7", 200),
        (
            Some(&behind),
            Some("10.0.0.1"),
            "192.0.2.7, 198.51.100.1",
            401,
        ),
        (Some(&behind), Some("10.0.0.2"), "192.0.2.7", 401),
    ];
    for (client, peer, forwarded, expected) in cases {
        let world = World::with(
            |builder| builder,
            |admin| match client {
                Some(client) => admin.client_address(client.clone()),
                None => admin,
            },
        );
        let key = bound(&world).await;
        for look in ["a miss", "a hit"] {
            let reply = world.send(list(&key.secret, peer, forwarded)).await;
            assert_eq!(reply.status, expected, "{peer:?} {forwarded}, {look}");
        }
        // The token is of no address.
        let reply = world.send(list(ADMIN_TOKEN, peer, forwarded)).await;
        assert_eq!(reply.status, 200);
    }
}

#[tokio::test]
async fn a_layer_around_the_router_judges_in_its_place() {
    let world = World::memory();
    let key = bound(&world).await;
    let header = HeaderName::from_static("x-forwarded-for");
    let behind = ClientAddress::behind(header, ["10.0.0.1"]).unwrap();
    let layer = ApiKeyLayer::new(world.keyring.clone()).client_address(behind);
    let router = world.router.clone().layer(layer);
    for (forwarded, expected) in [("192.0.2.7", 200), ("198.51.100.1", 401)] {
        let request = list(&key.secret, Some("10.0.0.1"), forwarded);
        // Refused by the layer, which seals no answer.
        let reply = router.clone().oneshot(request).await.unwrap();
        assert_eq!(reply.status(), expected, "{forwarded}");
    }
    // What it makes is bound to where it may be used itself.
    let body = r#"{"name":"n","scopes":[]}"#;
    let mut request = request(Method::POST, "/admin/keys", &key.secret, body);
    let peer = PeerAddress("10.0.0.1".parse().unwrap());
    request.extensions_mut().insert(peer);
    let headers = request.headers_mut();
    headers.insert("x-forwarded-for", "192.0.2.7".parse().unwrap());
    let reply = world.send_to(router, request).await;
    assert_eq!(reply.told(), (403, "exceeds_caller"));
}

#[tokio::test]
async fn a_router_that_was_told_of_proxies_looks_for_itself() {
    let world = World::with(
        |builder| builder,
        |admin| admin.client_address(ClientAddress::peer()),
    );
    let key = bound(&world).await;
    let header = HeaderName::from_static("x-forwarded-for");
    let behind = ClientAddress::behind(header, ["10.0.0.1", "192.0.2.7"]).unwrap();
    let layer = ApiKeyLayer::new(world.keyring.clone()).client_address(behind);
    let router = world.router.clone().layer(layer);
    for (peer, expected) in [("192.0.2.7", 200), ("10.0.0.1", 401)] {
        let request = list(&key.secret, Some(peer), "192.0.2.7");
        let reply = world.send_to(router.clone(), request).await;
        assert_eq!(reply.status, expected, "{peer}");
    }
}
