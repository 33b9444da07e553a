//! What an application allows those who make keys for themselves.

use std::convert::Infallible;
use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::{HeaderValue, Method};
use portcullis::admin::{Admin, InvalidPolicy, Minting, Policy, TrustedCaller};
use portcullis::keyring::Expiry;
use portcullis::layer::{ClientAddress, PeerAddress};

use crate::world::{ADMIN_TOKEN, Holder, World, at_once, key_path, request, signed_in};

const BODY: &str = r#"{"name":"n","scopes":[]}"#;
const HOUR: Duration = Duration::from_hours(1);

async fn under(policy: Policy) -> Vec<World> {
    World::everywhere(
        |builder| builder.environments(["live", "test"]),
        |admin| admin.policy(policy.clone()).unwrap(),
    )
    .await
}

async fn asked(world: &World, caller: &Holder, body: &str) -> (u16, &'static str) {
    world.post(&caller.secret, body.to_owned()).await.told()
}

#[tokio::test]
async fn an_owner_has_so_many_living_keys_and_no_more() {
    for world in under(Policy::new().live_keys_per_owner(3)).await {
        let writer = world.key("acme", &["keys:write"]).await;
        let other = world.key("umbrella", &["keys:write"]).await;
        let admin = world.key("acme", &["keys:admin"]).await;
        let reached = (409, "key_limit_reached");
        let short = r#"{"name":"n","scopes":[],"expires_in":"60s"}"#;
        assert_eq!(asked(&world, &writer, short).await, (201, ""));
        assert_eq!(asked(&world, &writer, BODY).await, reached);
        assert_eq!(
            asked(&world, &other, BODY).await,
            (201, ""),
            "others have their own"
        );

        // Who may manage the keys of everybody is exempt, but not where nobody may.
        for exempt in [&*admin.secret, ADMIN_TOKEN] {
            let body = r#"{"name":"n","scopes":[],"owner":"acme"}"#;
            assert_eq!(world.post(exempt, body).await.status, 201);
        }
        let sent = request(Method::POST, "/mine/keys", &admin.secret, BODY);
        assert_eq!(world.send(sent).await.told(), reached);
        let session = TrustedCaller::new("s", "acme").unwrap();
        let sent = signed_in(&session, Method::POST, "/admin/keys", BODY);
        assert_eq!(world.send(sent).await.told(), reached);

        // What is disabled may live again, what is over may not. Of five, three are over then.
        world
            .patch(&admin.id, ADMIN_TOKEN, r#"{"enabled":false}"#)
            .await;
        assert_eq!(asked(&world, &writer, BODY).await, reached);
        world.delete(&key_path(&admin.id), ADMIN_TOKEN).await;
        assert_eq!(asked(&world, &writer, BODY).await, reached);
        let list = world
            .get("/admin/keys?owner=acme&status=active", ADMIN_TOKEN)
            .await;
        let list = list.json();
        let spare = list["keys"].as_array().unwrap().iter();
        let spare = spare.filter(|key| key["expires_at"].is_null() && key["id"] != writer.id);
        let spare: Vec<_> = spare
            .map(|key| key["id"].as_str().unwrap().to_owned())
            .collect();
        world.delete(&key_path(&spare[0]), ADMIN_TOKEN).await;
        assert_eq!(asked(&world, &writer, BODY).await, reached);
        world.advance(60);
        assert_eq!(asked(&world, &writer, BODY).await, (201, ""));
        assert_eq!(asked(&world, &writer, BODY).await, reached);
    }
}

#[tokio::test]
async fn requests_at_once_do_not_get_past_the_number_of_keys() {
    let plain = Policy::new().live_keys_per_owner(5);
    let asking = plain
        .clone()
        .entitlement(async |_| Ok::<_, Infallible>(true));
    for policy in [plain, asking] {
        for world in under(policy).await {
            let writer = world.key("acme", &["keys:write"]).await;
            let all = (0..12).map(|_| asked(&world, &writer, BODY));
            let all = at_once(all).await;
            let made = all.iter().filter(|told| told.0 == 201).count();
            let reached = all
                .iter()
                .filter(|told| **told == (409, "key_limit_reached"));
            assert_eq!((made, reached.count()), (4, 8));
        }
    }
}

#[tokio::test]
async fn a_key_lives_no_longer_than_it_may() {
    const DAY: u64 = 24 * 60 * 60;
    for world in under(Policy::new().max_lifetime(Duration::from_secs(30 * DAY))).await {
        let writer = world.key("acme", &["keys:write"]).await;
        let soon = Expiry::In(Duration::from_secs(10 * DAY));
        let passing = world.key_until("acme", &["keys:write"], soon).await;
        let admin = world.key("acme", &["keys:admin"]).await;
        let month = "2030-01-31T00:00:00Z";
        let cases = [
            ("nothing said", &writer, "", Ok(month)),
            ("as its maker", &passing, "", Ok("2030-01-11T00:00:00Z")),
            ("just right", &writer, r#","expires_in":"30d""#, Ok(month)),
            (
                "too long",
                &writer,
                r#","expires_in":"31d""#,
                Err("#/expires_in"),
            ),
            (
                "never",
                &writer,
                r#","expires_in":"never""#,
                Err("#/expires_in"),
            ),
            (
                "null",
                &writer,
                r#","expires_at":null"#,
                Err("#/expires_at"),
            ),
            (
                "a second too long",
                &writer,
                r#","expires_at":"2030-01-31T00:00:01Z""#,
                Err("#/expires_at"),
            ),
            (
                "an admin's",
                &admin,
                r#","expires_in":"31d""#,
                Ok("2030-02-01T00:00:00Z"),
            ),
        ];
        for (name, caller, more, expected) in cases {
            let body = format!(r#"{{"name":"n","scopes":[]{more}}}"#);
            let reply = world.post(&caller.secret, body).await;
            match expected {
                Ok(end) => assert_eq!(reply.json()["key"]["expires_at"], end, "{name}"),
                Err(place) => {
                    assert_eq!(reply.told(), (422, "invalid_field"), "{name}");
                    assert_eq!(reply.places(), [place], "{name}");
                }
            }
        }
        let forever = world.made(ADMIN_TOKEN, "").await.json();
        assert!(forever["key"]["expires_at"].is_null());

        // Neither a change nor a rotation makes more of it, not even later on.
        let made = world.made(&writer.secret, "").await.holder();
        let path = key_path(&made.id);
        world.advance(20 * DAY);
        let rotate = request(
            Method::POST,
            &format!("{path}/rotate"),
            &writer.secret,
            "{}",
        );
        let rotated = world.send(rotate).await.json();
        assert_eq!(rotated["key"]["expires_at"], month);
        for (end, told) in [
            ("null", (422, "invalid_field")),
            (r#""2030-02-20T00:00:01Z""#, (422, "invalid_field")),
            (r#""2030-01-31T00:00:01Z""#, (422, "invalid_field")),
            (r#""2030-01-31T00:00:00Z""#, (200, "")),
            (r#""2030-01-25T00:00:00Z""#, (200, "")),
            (r#""2030-01-31T00:00:00Z""#, (200, "")),
        ] {
            let body = format!(r#"{{"expires_at":{end}}}"#);
            let reply = world.patch(&made.id, &writer.secret, body.clone()).await;
            assert_eq!(reply.told(), told, "{end}");
            // Not the answer about somebody's key, where that is none of one's business.
            let missing = world
                .patch("key_0000000000000000", &writer.secret, body)
                .await;
            assert!(matches!(missing.status, 404 | 422), "{end}");
        }
        assert_eq!(
            world
                .patch(&made.id, &writer.secret, r#"{"name":"x"}"#)
                .await
                .status,
            200
        );
        let freed = world
            .patch(&made.id, ADMIN_TOKEN, r#"{"expires_at":null}"#)
            .await;
        assert!(freed.json()["expires_at"].is_null());
    }
}

#[tokio::test]
async fn keys_are_of_the_environments_that_are_allowed() {
    for world in under(Policy::new().environments(["test"])).await {
        let session = TrustedCaller::new("s", "acme").unwrap();
        let live = r#"{"name":"n","scopes":[],"environment":"live"}"#;
        let asked = async |body: &'static str| {
            let sent = signed_in(&session, Method::POST, "/mine/keys", body);
            world.send(sent).await
        };
        assert_eq!(asked(BODY).await.json()["key"]["environment"], "test");
        let reply = asked(live).await;
        assert_eq!(reply.told(), (422, "invalid_field"));
        assert_eq!(reply.places(), ["#/environment"]);
        let writer = world.key("acme", &["keys:write"]).await;
        let reply = world.post(&writer.secret, BODY).await;
        assert_eq!(reply.places(), ["#/environment"], "a key of another one");
        let made = world.post(ADMIN_TOKEN, live).await;
        assert_eq!(made.json()["key"]["environment"], "live");
    }
}

#[tokio::test]
async fn so_many_keys_are_made_in_so_much_time() {
    for world in under(Policy::new().mint_limit(10, HOUR)).await {
        let writer = world.key("acme", &["keys:write"]).await;
        let second = world.key("acme", &["keys:write"]).await;
        let other = world.key("umbrella", &["keys:write"]).await;
        let spare = world.key("acme", &[]).await;
        // What is refused for another reason is not counted.
        for _ in 0..20 {
            let wide = r#"{"name":"n","scopes":["a"]}"#;
            assert_eq!(asked(&world, &writer, wide).await, (403, "exceeds_caller"));
            assert_eq!(asked(&world, &writer, "{}").await, (422, "invalid_field"));
        }
        for number in 0..10 {
            let caller = if number % 2 == 0 { &writer } else { &second };
            assert_eq!(asked(&world, caller, BODY).await, (201, ""), "{number}");
        }
        for caller in [&writer, &second] {
            let reply = world.post(&caller.secret, BODY).await;
            assert_eq!(reply.told(), (429, "rate_limited"));
            assert_eq!(reply.header("retry-after"), "360");
            assert_eq!(reply.header("ratelimit"), r#""mint";r=0;t=360"#);
            assert_eq!(reply.header("ratelimit-policy"), r#""mint";q=10;w=3600"#);
            // Nothing else is limited.
            assert_eq!(world.get("/admin/keys", &caller.secret).await.status, 200);
            let rotate = format!("{}/rotate", key_path(&spare.id));
            let rotate = request(Method::POST, &rotate, &caller.secret, "{}");
            assert_eq!(world.send(rotate).await.status, 200);
        }
        assert_eq!(asked(&world, &other, BODY).await, (201, ""));
        for _ in 0..15 {
            world.made(ADMIN_TOKEN, "").await;
        }
        world.advance(360);
        assert_eq!(asked(&world, &writer, BODY).await, (201, ""));
        assert_eq!(asked(&world, &writer, BODY).await, (429, "rate_limited"));
    }
}

#[tokio::test]
async fn both_routers_count_together_and_an_address_where_it_is_known() {
    let world = World::with(
        |builder| builder,
        |admin: Admin| {
            let policy = Policy::new().mint_limit(2, HOUR);
            let admin = admin.client_address(ClientAddress::peer());
            admin.policy(policy).unwrap()
        },
    );
    let asked = async |owner: &str, path: &str, peer: Option<&str>| {
        let session = TrustedCaller::new("s", owner).unwrap();
        let mut sent = signed_in(&session, Method::POST, path, BODY);
        if let Some(peer) = peer {
            let peer = PeerAddress(peer.parse().unwrap());
            sent.extensions_mut().insert(peer);
        }
        world.send(sent).await.status
    };
    assert_eq!(asked("a", "/admin/keys", None).await, 201);
    assert_eq!(asked("a", "/mine/keys", None).await, 201);
    assert_eq!(asked("a", "/admin/keys", None).await, 429);
    let peer = Some("192.0.2.1");
    assert_eq!(asked("a", "/mine/keys", peer).await, 429);
    assert_eq!(asked("b", "/mine/keys", peer).await, 201);
    assert_eq!(asked("c", "/mine/keys", peer).await, 201);
    assert_eq!(asked("d", "/mine/keys", peer).await, 429);
    assert_eq!(asked("e", "/mine/keys", Some("192.0.2.2")).await, 201);
    assert_eq!(asked("f", "/mine/keys", None).await, 201);
}

#[tokio::test]
async fn a_request_that_comes_again_is_no_new_key() {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    let policy = Policy::new()
        .live_keys_per_owner(2)
        .mint_limit(1, HOUR)
        .entitlement(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
            async { Ok::<_, Infallible>(true) }
        });
    for world in under(policy).await {
        calls.store(0, Ordering::Relaxed);
        let writer = world.key("acme", &["keys:write"]).await;
        let mut ids = Vec::new();
        for _ in 0..3 {
            let mut sent = request(Method::POST, "/admin/keys", &writer.secret, BODY);
            let again = HeaderValue::from_static("again");
            sent.headers_mut().insert("idempotency-key", again);
            let reply = world.send(sent).await;
            assert_eq!(reply.status, 201, "{}", reply.text());
            ids.push(reply.holder().id);
        }
        ids.dedup();
        assert_eq!(ids.len(), 1);
        assert_eq!(calls.load(Ordering::Relaxed), 1);
        assert_eq!(
            asked(&world, &writer, BODY).await,
            (409, "key_limit_reached")
        );
    }
}

#[tokio::test]
async fn the_application_says_who_is_entitled() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&seen);
    let policy = Policy::new()
        .entitlement_deadline(Duration::from_millis(5))
        .entitlement(move |minting: Minting| {
            let owner = minting.owner.as_str().to_owned();
            heard.lock().unwrap().push(minting);
            async move {
                match &*owner {
                    "paying" => Ok(true),
                    "free" => Ok(false),
                    "broken" => Err("the billing service is away"),
                    "panicking" => panic!("not today"),
                    _ => pending().await,
                }
            }
        });
    for world in under(policy).await {
        let cases = [
            ("paying", (201, "")),
            ("free", (403, "entitlement_required")),
            ("broken", (503, "unavailable")),
            ("panicking", (503, "unavailable")),
            ("slow", (503, "unavailable")),
        ];
        for (owner, told) in cases {
            let writer = world.key(owner, &["keys:write"]).await;
            let wide = r#"{"name":"n","scopes":["a"]}"#;
            assert_eq!(asked(&world, &writer, wide).await, (403, "exceeds_caller"));
            assert!(seen.lock().unwrap().is_empty(), "{owner}: asked too early");
            let body = r#"{"name":"n","scopes":["keys:read"]}"#;
            assert_eq!(asked(&world, &writer, body).await, told, "{owner}");
            let minting = seen.lock().unwrap().pop().unwrap();
            assert_eq!(minting.by.to_string(), format!("key:{}", writer.id));
            assert_eq!(minting.environment.as_str(), "live");
            assert_eq!(minting.scopes.to_string(), "keys:read");
            let body = format!(r#"{{"name":"n","scopes":[],"owner":"{owner}"}}"#);
            assert_eq!(world.post(ADMIN_TOKEN, body).await.status, 201, "exempt");
            assert!(
                seen.lock().unwrap().is_empty(),
                "{owner}: asked about the exempt"
            );
        }
        let log = world.take_log();
        assert!(log.contains("the billing service is away") && log.contains("it took too long"));
    }
}

#[tokio::test]
async fn entitlement_comes_before_the_number_and_that_before_the_rate() {
    let entitled = Arc::new(Mutex::new(true));
    let answer = Arc::clone(&entitled);
    let policy = Policy::new()
        .live_keys_per_owner(2)
        .mint_limit(1, HOUR)
        .entitlement(move |_| {
            let answer = *answer.lock().unwrap();
            async move { Ok::<_, Infallible>(answer) }
        });
    for world in under(policy).await {
        *entitled.lock().unwrap() = true;
        let writer = world.key("acme", &["keys:write"]).await;
        assert_eq!(asked(&world, &writer, BODY).await, (201, ""));
        assert_eq!(
            asked(&world, &writer, BODY).await,
            (409, "key_limit_reached")
        );
        *entitled.lock().unwrap() = false;
        assert_eq!(
            asked(&world, &writer, BODY).await,
            (403, "entitlement_required")
        );
        *entitled.lock().unwrap() = true;
        let spare = world.get("/admin/keys", &writer.secret).await.json();
        let spare = spare["keys"].as_array().unwrap().iter();
        let spare = spare.map(|key| key["id"].as_str().unwrap());
        for id in spare.filter(|id| *id != writer.id) {
            world.delete(&key_path(id), ADMIN_TOKEN).await;
        }
        assert_eq!(asked(&world, &writer, BODY).await, (429, "rate_limited"));
    }
}

#[tokio::test]
async fn what_cannot_be_a_policy() {
    let world = World::memory();
    let cases = [
        (
            Policy::new().max_lifetime(Duration::ZERO),
            InvalidPolicy::Nothing("max_lifetime"),
        ),
        (
            Policy::new().max_lifetime(Duration::MAX),
            InvalidPolicy::TooLong("max_lifetime"),
        ),
        (
            Policy::new().mint_limit(0, HOUR),
            InvalidPolicy::Nothing("the number of mint_limit"),
        ),
        (
            Policy::new().mint_limit(1, Duration::ZERO),
            InvalidPolicy::Nothing("the time of mint_limit"),
        ),
        (
            Policy::new().mint_limit(1, Duration::MAX),
            InvalidPolicy::TooLong("the time of mint_limit"),
        ),
        (
            Policy::new().entitlement_deadline(Duration::ZERO),
            InvalidPolicy::Nothing("entitlement_deadline"),
        ),
        (
            Policy::new().environments(["staging"]),
            InvalidPolicy::UndeclaredEnvironment("staging".to_owned()),
        ),
        (
            Policy::new().environments([""; 0]),
            InvalidPolicy::Nothing("the number of environments"),
        ),
    ];
    for (policy, why) in cases {
        let refused = Admin::new(world.keyring.clone()).policy(policy);
        assert_eq!(refused.unwrap_err(), why);
    }
}
