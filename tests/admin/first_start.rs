//! Open to this machine until there is a key.

use std::net::SocketAddr;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderValue, Method, Request};
use portcullis::admin::Admin;
use portcullis::layer::{ClientAddress, PeerAddress};

use crate::world::{ADMIN_TOKEN, World, at_once, request};

const FIRST: &str = r#"{"name":"first","scopes":["*","keys:admin"]}"#;
type Change = Box<dyn Fn(&mut Request<Body>)>;

const NOBODY: (u16, &str) = (401, "missing_credentials");

/// With such a router at `/open`, and its customers' at `/theirs`; that at `/admin` has a token.
fn opened(mut world: World, admin: impl FnOnce(Admin) -> Admin) -> World {
    let admin = admin(Admin::new(world.keyring.clone()));
    let admin = admin.dangerously_open_on_loopback_until_first_key();
    let customers = admin.clone().self_service_router();
    let router = world.router.nest("/open", admin.router());
    world.router = router.nest("/theirs", customers);
    world
}

async fn worlds() -> Vec<World> {
    let worlds = World::everywhere(|builder| builder, |admin| admin).await;
    let worlds = worlds.into_iter();
    worlds.map(|world| opened(world, |admin| admin)).collect()
}

fn local(method: Method, path: &str, body: &'static str) -> Request<Body> {
    let mut request = request(method, path, "", body);
    let peer = PeerAddress([127, 0, 0, 1].into());
    request.extensions_mut().insert(peer);
    let host = HeaderValue::from_static("localhost:8080");
    request.headers_mut().insert("host", host);
    request
}

#[tokio::test]
async fn it_is_open_until_the_first_key_and_never_again() {
    for world in worlds().await {
        let list = world.send(local(Method::GET, "/open/keys", "")).await;
        assert_eq!(list.json()["keys"].as_array().unwrap().len(), 0);
        let current = local(Method::GET, "/open/keys/current", "");
        assert_eq!(world.send(current).await.told(), (404, "not_found"));
        let customers = local(Method::POST, "/theirs/keys", FIRST);
        assert_eq!(world.send(customers).await.told(), NOBODY);

        let made = world.send(local(Method::POST, "/open/keys", FIRST)).await;
        assert_eq!(made.status, 201, "{}", made.text());
        assert_eq!(made.json()["key"]["created_by"], "system");
        assert_eq!(made.json()["key"]["owner"], "admin");
        let first = made.holder();
        for (method, path) in [
            (Method::GET, "/open/keys".to_owned()),
            (Method::POST, "/open/keys".to_owned()),
            (Method::DELETE, format!("/open/keys/{}", first.id)),
            (Method::POST, format!("/open/keys/{}/rotate", first.id)),
        ] {
            let reply = world.send(local(method, &path, FIRST)).await;
            assert_eq!(reply.told(), NOBODY, "{path}");
        }
        world.delete("/admin/keys/current", &first.secret).await;
        let after = world.send(local(Method::POST, "/open/keys", FIRST)).await;
        assert_eq!(after.told(), NOBODY, "a revoked key was a key");
        assert_eq!(world.get("/admin/keys", ADMIN_TOKEN).await.status, 200);
    }
}

#[tokio::test]
async fn of_two_first_keys_at_once_one_is_made() {
    for world in worlds().await {
        let first = || world.send(local(Method::POST, "/open/keys", FIRST));
        let replies = at_once((0..8).map(|_| first())).await;
        let made = replies.iter().filter(|reply| reply.status == 201).count();
        let late = replies
            .iter()
            .filter(|reply| reply.told() == NOBODY)
            .count();
        assert_eq!((made, late), (1, 7));
        assert_eq!(world.count().await, 1);
    }
}

#[tokio::test]
async fn a_key_that_was_made_otherwise_closes_it_as_well() {
    for world in worlds().await {
        let key = world.key("acme", &[]).await;
        let path = format!("/open/keys/{}", key.id);
        for method in [Method::GET, Method::DELETE, Method::PATCH] {
            let reply = world.send(local(method, &path, "{}")).await;
            assert_eq!(reply.told(), NOBODY);
        }
    }
}

#[tokio::test]
async fn nobody_else_gets_in() {
    for world in worlds().await {
        let lines = |name: &'static str, value: &'static str| {
            move |request: &mut Request<Body>| {
                let value = HeaderValue::from_static(value);
                request.headers_mut().insert(name, value);
            }
        };
        let peer = |address: &str| -> Change {
            let peer = PeerAddress(address.parse().unwrap());
            Box::new(move |request| {
                request.extensions_mut().insert(peer);
            })
        };
        let cases: Vec<(&str, Change, (u16, &str))> = vec![
            ("another machine", peer("192.0.2.1"), NOBODY),
            ("another as IPv6", peer("::ffff:192.0.2.1"), NOBODY),
            (
                "an unknown peer",
                Box::new(|request| {
                    request.extensions_mut().remove::<PeerAddress>();
                }),
                NOBODY,
            ),
            (
                "a rebound name",
                Box::new(lines("host", "evil.example:8080")),
                NOBODY,
            ),
            (
                "no name",
                Box::new(|request| drop(request.headers_mut().remove("host"))),
                NOBODY,
            ),
            (
                "a proxy",
                Box::new(lines("x-forwarded-for", "127.0.0.1")),
                NOBODY,
            ),
            (
                "another proxy",
                Box::new(lines("forwarded", "for=127.0.0.1")),
                NOBODY,
            ),
            (
                "a page",
                Box::new(lines("origin", "https://evil.example")),
                (403, "cross_site_request"),
            ),
            (
                "a page that hides",
                Box::new(lines("sec-fetch-site", "cross-site")),
                (403, "cross_site_request"),
            ),
            (
                "a bad key",
                Box::new(lines("authorization", "Bearer nonsense")),
                (401, "invalid_token"),
            ),
        ];
        for (name, change, told) in cases {
            let mut sent = local(Method::POST, "/open/keys", FIRST);
            change(&mut sent);
            assert_eq!(world.send(sent).await.told(), told, "{name}");
        }
        assert_eq!(world.count().await, 0);
        let mut sent = local(Method::POST, "/open/keys", FIRST);
        sent.extensions_mut().remove::<PeerAddress>();
        let peer: SocketAddr = "[::ffff:127.0.0.1]:4711".parse().unwrap();
        sent.extensions_mut().insert(ConnectInfo(peer));
        assert_eq!(world.send(sent).await.status, 201);
    }
}

#[tokio::test]
async fn a_declared_proxy_is_none_of_this_machine() {
    let header = "x-client".parse().unwrap();
    let client = ClientAddress::behind(header, ["127.0.0.1"]).unwrap();
    let world = opened(World::memory(), |admin| admin.client_address(client));
    let mut sent = local(Method::POST, "/open/keys", FIRST);
    let client = HeaderValue::from_static("192.0.2.1");
    sent.headers_mut().insert("x-client", client);
    assert_eq!(world.send(sent).await.told(), NOBODY);
}

#[tokio::test]
async fn it_is_closed_while_the_store_is_away() {
    let world = opened(World::memory(), |admin| admin);
    world.faults.fail();
    let reply = world.send(local(Method::POST, "/open/keys", FIRST)).await;
    assert_eq!(reply.told(), (503, "unavailable"));
}

#[tokio::test]
async fn it_is_closed_unless_that_was_asked_for() {
    let world = World::memory();
    let made = local(Method::POST, "/admin/keys", FIRST);
    assert_eq!(world.send(made).await.told(), NOBODY);
}

#[tokio::test]
async fn it_is_closed_beside_a_token() {
    let token = |admin: Admin| admin.bootstrap_token(ADMIN_TOKEN).unwrap();
    let before = opened(World::memory(), token);
    let after = World::with(
        |builder| builder,
        Admin::dangerously_open_on_loopback_until_first_key,
    );
    for (world, path) in [(before, "/open/keys"), (after, "/admin/keys")] {
        for method in [Method::GET, Method::POST] {
            let reply = world.send(local(method, path, FIRST)).await;
            assert_eq!(reply.told(), NOBODY, "{path}");
        }
        assert_eq!(world.get(path, ADMIN_TOKEN).await.status, 200);
        assert_eq!(world.count().await, 0);
    }
}
