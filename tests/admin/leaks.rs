//! `POST /leaks`.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Method, Request};
use portcullis::admin::{Admin, InvalidLeakReports, LeakReports};
use portcullis::layer::{ClientAddress, PeerAddress};
use serde_json::{Value, json};
use tokio::time::timeout;
use tower::ServiceExt as _;

use crate::late::Late;
use crate::reply::Reply;
use crate::world::{ADMIN_TOKEN, Elsewhere, World, key_path, request};

on_every_store!(
    a_reported_key_is_revoked,
    nothing_tells_a_key_from_anything_else,
    a_secret_that_opens_nothing_any_more_ends_nothing,
    what_is_wrong_is_answered_in_order,
    there_is_a_limit,
    what_costs_the_store_nothing_takes_nothing_from_others,
    what_is_no_key_is_not_looked_up,
    an_outage_is_told,
    a_row_that_nobody_can_read_keeps_no_other_key_alive,
    whoever_leaves_has_reported_all_the_same,
);

fn report(secrets: &Value) -> Request<Body> {
    let body = json!({ "secrets": secrets }).to_string();
    request(Method::POST, "/admin/leaks", "", body)
}

async fn leaked(world: &World, secrets: &[&str]) -> Reply {
    world.send(report(&json!(secrets))).await
}

async fn a_reported_key_is_revoked(world: World) {
    let (one, two) = (world.key("a", &["x"]).await, world.key("b", &["*"]).await);
    let beside = world.key("a", &[]).await;
    let alive = async |secret: &str| world.get("/admin/keys/current", secret).await.status == 200;
    assert!(alive(&one.secret).await && alive(&two.secret).await);
    let reply = leaked(&world, &[&one.secret, &two.secret]).await;
    assert_eq!((reply.status, reply.json()), (200, json!({"received": 2})));
    assert!(!alive(&one.secret).await && !alive(&two.secret).await);
    assert!(alive(&beside.secret).await);
    let shown = world.shown(&one.id).await;
    assert_eq!(shown["revoked_reason"], "leaked");
    assert_eq!(shown["revoked_by"], "system");
    let events = format!("{}/events", key_path(&one.id));
    let last = world.get(&events, ADMIN_TOKEN).await.json()["events"][0].clone();
    assert_eq!(
        (&last["what"], &last["by"]),
        (&json!("revoked"), &json!("system"))
    );
    assert_eq!(last["detail"], json!({"reason": "leaked"}));
    assert!(world.take_log().contains("secrets were reported as leaked"));

    // Again: the first time and reason stay.
    world.advance(60);
    assert_eq!(leaked(&world, &[&one.secret]).await.status, 200);
    assert_eq!(world.shown(&one.id).await, shown);
}

async fn nothing_tells_a_key_from_anything_else(world: World) {
    let alive = world.key("a", &[]).await.secret;
    let dead = world.key("a", &[]).await;
    world.delete(&key_path(&dead.id), ADMIN_TOKEN).await;
    let unknown = Elsewhere::of("live").secret;
    let long = "x".repeat(10_000);
    let mut answers = Vec::new();
    for secret in [
        &*alive,
        &dead.secret,
        &unknown,
        ADMIN_TOKEN,
        "",
        "é",
        "\u{0}",
        &long,
    ] {
        let reply = leaked(&world, &[secret]).await;
        assert_eq!(reply.status, 200);
        answers.push((format!("{:?}", reply.headers), reply.text()));
    }
    assert!(
        answers.windows(2).all(|two| two[0] == two[1]),
        "{answers:?}"
    );
    // The token that may do everything is in the configuration, and cannot be ended here.
    assert_eq!(world.get("/admin/keys", ADMIN_TOKEN).await.status, 200);
    let same = leaked(&world, &[&*alive; 100]).await;
    assert_eq!(same.json(), json!({"received": 100}));
}

async fn a_secret_that_opens_nothing_any_more_ends_nothing(world: World) {
    let rotate = async |id: &str, grace: u32| {
        let path = format!("{}/rotate", key_path(id));
        let body = format!(r#"{{"grace_seconds":{grace}}}"#);
        world
            .send(request(Method::POST, &path, ADMIN_TOKEN, body))
            .await
            .holder()
    };
    let status = async |id: &str| world.shown(id).await["status"].clone();
    // Replaced at once, replaced a while ago, and still in its grace.
    let gone = world.key("a", &[]).await;
    rotate(&gone.id, 0).await;
    let over = world.key("a", &[]).await;
    rotate(&over.id, 60).await;
    world.advance(60);
    let in_grace = world.key("a", &[]).await;
    rotate(&in_grace.id, 60).await;
    let reply = leaked(&world, &[&gone.secret, &over.secret, &in_grace.secret]).await;
    assert_eq!(reply.status, 200);
    assert_eq!(status(&gone.id).await, "active");
    assert_eq!(status(&over.id).await, "active");
    // It opened the key.
    assert_eq!(status(&in_grace.id).await, "revoked");
}

async fn what_is_wrong_is_answered_in_order(world: World) {
    let key = world.key("a", &[]).await;
    let send = async |content_type: &str, query: &str, body: String| {
        let uri = format!("/admin/leaks{query}");
        let request = Request::post(uri).header("content-type", content_type);
        world.send(request.body(Body::from(body)).unwrap()).await
    };
    let json_type = "application/json";
    let large = format!(r#"{{"secrets":["{}"]}}"#, "x".repeat(70_000));
    assert_eq!(
        send("text/plain", "?a", large).await.told(),
        (413, "payload_too_large")
    );
    let told = send("text/plain", "?a", "{".into()).await.told();
    assert_eq!(told, (415, "unsupported_media_type"));
    assert_eq!(
        send(json_type, "?a", "{".into()).await.told(),
        (400, "invalid_json")
    );
    let many = vec![key.secret.clone(); 101];
    for (body, places) in [
        (json!({}), vec!["#/secrets"]),
        (json!([]), vec!["#"]),
        (json!({"secrets": "x"}), vec!["#/secrets"]),
        (json!({"secrets": null}), vec!["#/secrets"]),
        (json!({"secrets": []}), vec!["#/secrets"]),
        (json!({"secrets": many}), vec!["#/secrets"]),
        (
            json!({"secrets": [key.secret, 1, null]}),
            vec!["#/secrets/1", "#/secrets/2"],
        ),
        (
            json!({"secrets": [key.secret], "reason": "x"}),
            vec!["#/reason"],
        ),
    ] {
        let reply = send(json_type, "", body.to_string()).await;
        assert_eq!(reply.told(), (422, "invalid_field"), "{body}");
        assert_eq!(reply.places(), places, "{body}");
    }
    let one = json!({"secrets": [key.secret]}).to_string();
    assert_eq!(send(json_type, "?a", one).await.places(), ["?a"]);
    assert_eq!(world.shown(&key.id).await["status"], "active");
    let reply = world.get("/admin/leaks", ADMIN_TOKEN).await;
    assert_eq!(reply.status, 405);
}

async fn there_is_a_limit(world: World) {
    let key = world.key("a", &[]).await;
    let unknown = Elsewhere::of("live").secret;
    for _ in 0..60 {
        assert_eq!(leaked(&world, &["x", &unknown]).await.status, 200);
    }
    let refused = leaked(&world, &[&key.secret]).await;
    assert_eq!(refused.told(), (429, "rate_limited"));
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(refused.header("ratelimit-policy"), r#""leaks";q=60;w=60"#);
    assert_eq!(refused.header("ratelimit"), r#""leaks";r=0;t=1"#);
    assert_eq!(world.shown(&key.id).await["status"], "active");
    world.advance(1);
    assert_eq!(leaked(&world, &[&key.secret]).await.status, 200);
    assert_eq!(leaked(&world, &[&unknown]).await.status, 429);
    assert_eq!(world.shown(&key.id).await["status"], "revoked");
}

async fn what_costs_the_store_nothing_takes_nothing_from_others(world: World) {
    let key = world.key("a", &[]).await;
    for _ in 0..100 {
        assert_eq!(leaked(&world, &["x", ADMIN_TOKEN]).await.status, 200);
        let wrong = json!([key.secret, 1]);
        assert_eq!(world.send(report(&wrong)).await.status, 422);
        let cut_off = request(Method::POST, "/admin/leaks", "", "{");
        assert_eq!(world.send(cut_off).await.status, 400);
    }
    assert_eq!(leaked(&world, &[&key.secret]).await.status, 200);
    assert_eq!(world.shown(&key.id).await["status"], "revoked");
}

async fn what_is_no_key_is_not_looked_up(world: World) {
    let key = world.key("a", &[]).await.secret;
    let mut typo = key.clone();
    let last = typo.pop().unwrap();
    typo.push(if last == '0' { '1' } else { '0' });
    let before = (world.faults.look_ups.calls(), world.faults.writes.calls());
    let nonsense = [
        "",
        "x",
        "acme_live_",
        &typo,
        &key[..47],
        ADMIN_TOKEN,
        "Bearer x",
    ];
    assert_eq!(leaked(&world, &nonsense).await.status, 200);
    let after = (world.faults.look_ups.calls(), world.faults.writes.calls());
    assert_eq!(after, before);
    // One that nobody has costs a look-up and no write; the same twice costs no more.
    let unknown = Elsewhere::of("live").secret;
    assert_eq!(leaked(&world, &[&unknown, &unknown]).await.status, 200);
    let after = (world.faults.look_ups.calls(), world.faults.writes.calls());
    assert_eq!(after, (before.0 + 1, before.1));
}

async fn an_outage_is_told(world: World) {
    let key = world.key("a", &[]).await;
    for switch in [&world.faults.look_ups, &world.faults.writes] {
        switch.fail();
        let reply = leaked(&world, &[&key.secret]).await;
        assert_eq!(reply.told(), (503, "unavailable"));
        switch.heal();
    }
    assert_eq!(world.shown(&key.id).await["status"], "active");
    assert!(world.take_log().contains("may be alive"));
    assert_eq!(leaked(&world, &[&key.secret]).await.status, 200);
    assert_eq!(world.shown(&key.id).await["status"], "revoked");
}

async fn a_row_that_nobody_can_read_keeps_no_other_key_alive(world: World) {
    let keys = [world.key("a", &[]).await, world.key("a", &[]).await];
    let writes = &world.faults.writes;
    let before = writes.calls();
    writes.corrupt();
    let reply = leaked(&world, &[&keys[0].secret, &keys[1].secret]).await;
    assert_eq!(reply.told(), (503, "unavailable"));
    assert_eq!(writes.calls(), before + 2, "each of them was tried");
    writes.heal();
}

async fn whoever_leaves_has_reported_all_the_same(world: World) {
    let keys = [world.key("a", &[]).await, world.key("a", &[]).await];
    let look_ups = &world.faults.look_ups;
    look_ups.freeze_next(1);
    let secrets = json!([keys[0].secret, keys[1].secret]);
    let asking = tokio::spawn(world.router.clone().oneshot(report(&secrets)));
    look_ups.frozen(1).await;
    asking.abort();
    assert!(asking.await.unwrap_err().is_cancelled());
    look_ups.release();
    let revoked = async {
        for key in &keys {
            while world.shown(&key.id).await["status"] != "revoked" {
                tokio::task::yield_now().await;
            }
        }
    };
    timeout(Duration::from_secs(30), revoked).await.unwrap();
}

/// Takes 5 a minute, 2 of them from one address.
fn few(admin: impl Fn(Admin) -> Admin) -> World {
    let minute = Duration::from_mins(1);
    let reports = LeakReports::new().limit(5, minute);
    let reports = reports.limit_by_address(2, minute);
    World::with(
        |builder| builder,
        |it| admin(it).leak_reports(reports).unwrap(),
    )
}

/// What is answered to a report from this peer, that has come to it from that client.
async fn from(world: &World, peer: Option<&str>, client: &'static str, secret: &str) -> u16 {
    let mut request = report(&json!([secret]));
    if let Some(peer) = peer {
        let peer = PeerAddress(peer.parse().unwrap());
        request.extensions_mut().insert(peer);
    }
    let client = HeaderValue::from_static(client);
    request.headers_mut().insert("x-client", client);
    world.send(request).await.status
}

#[tokio::test]
async fn an_address_has_a_limit_of_its_own() {
    let unknown = Elsewhere::of("live").secret;
    let peer = |admin: Admin| admin.client_address(ClientAddress::peer());
    // By the peer also where nobody has said so.
    for world in [few(|admin| admin), few(peer)] {
        let from = async |peer| from(&world, peer, "192.0.2.77", &unknown).await;
        let (one, other) = (Some("2001:db8:1::1"), Some("192.0.2.1"));
        assert_eq!(from(one).await, 200);
        assert_eq!(from(Some("2001:db8:1:2::2")).await, 200);
        // Who has come to the limit takes nothing from the others.
        for _ in 0..10 {
            assert_eq!(from(one).await, 429);
        }
        assert_eq!(from(other).await, 200);
        assert_eq!(from(None).await, 200);
        assert_eq!(from(None).await, 200);
        assert_eq!(from(None).await, 429);
        assert_eq!(from(other).await, 429);
    }
}

#[tokio::test]
async fn one_client_uses_up_nobody_elses_limit() {
    let behind = |admin: Admin| {
        let header = "x-client".parse().unwrap();
        admin.client_address(ClientAddress::behind(header, ["10.0.0.1"]).unwrap())
    };
    for (name, world) in [("direct", few(|it| it)), ("a proxy", few(behind))] {
        let key = world.key("a", &[]).await;
        let unknown = Elsewhere::of("live").secret;
        let from = async |client: &'static str, secret: &str| match name {
            "direct" => from(&world, Some(client), "192.0.2.77", secret).await,
            _ => from(&world, Some("10.0.0.1"), client, secret).await,
        };
        for _ in 0..100 {
            from("198.51.100.1", &unknown).await;
            from("198.51.100.1", "x").await;
        }
        assert_eq!(from("198.51.100.1", &key.secret).await, 429, "{name}");
        assert_eq!(world.shown(&key.id).await["status"], "active");
        assert_eq!(from("192.0.2.1", &key.secret).await, 200, "{name}");
        assert_eq!(world.shown(&key.id).await["status"], "revoked");
    }
}

#[tokio::test]
async fn who_has_come_to_the_limit_is_not_read() {
    let world = few(|admin| admin);
    for status in [200, 200, 429] {
        assert_eq!(from(&world, Some("192.0.2.1"), "", "x").await, status);
    }
    let (body, mut asked, _never) = Late::body();
    let mut request = request(Method::POST, "/admin/leaks", "", body);
    let peer = PeerAddress([192, 0, 2, 1].into());
    request.extensions_mut().insert(peer);
    assert_eq!(world.send(request).await.told(), (429, "rate_limited"));
    assert!(asked.try_recv().is_err());
}

#[tokio::test]
async fn customers_may_report_too_and_by_default_nobody_may() {
    let world = World::with(|builder| builder, |admin| admin);
    assert_eq!(leaked(&world, &["x"]).await.status, 404);
    let key = world.key("a", &[]).await;
    let admin = Admin::new(world.keyring.clone());
    let admin = admin.leak_reports(LeakReports::new()).unwrap();
    let router = axum::Router::new().nest("/admin", admin.self_service_router());
    let reply = world.send_to(router, report(&json!([key.secret]))).await;
    assert_eq!(reply.status, 200);
    assert_eq!(world.shown(&key.id).await["revoked_reason"], "leaked");
}

#[tokio::test]
async fn the_application_may_report_by_itself() {
    let world = World::memory();
    let key = world.key("a", &[]).await;
    let revoked = world.keyring.revoke_leaked(&key.secret).await.unwrap();
    assert_eq!(revoked.unwrap().id.as_str(), key.id);
    assert_eq!(world.keyring.revoke_leaked("x").await.unwrap(), None);
    let unknown = Elsewhere::of("live").secret;
    assert_eq!(world.keyring.revoke_leaked(&unknown).await.unwrap(), None);
}

#[tokio::test]
async fn a_limit_that_lets_nothing_through_is_refused() {
    let world = World::memory();
    let minute = Duration::from_mins(1);
    for (reports, text) in [
        (LeakReports::new().limit(0, minute), "the limit"),
        (LeakReports::new().limit(1, Duration::ZERO), "the limit"),
        (
            LeakReports::new().limit_by_address(0, minute),
            "the limit by address",
        ),
    ] {
        let refused = Admin::new(world.keyring.clone()).leak_reports(reports);
        assert_eq!(refused.unwrap_err(), InvalidLeakReports::Nothing(text));
    }
    let half = LeakReports::new().limit(10, minute);
    let refused = Admin::new(world.keyring.clone());
    let refused = refused.leak_reports(half.limit_by_address(10, minute));
    let refused = refused.unwrap_err();
    assert_eq!(refused, InvalidLeakReports::OneAddressUsesAll);
    let long = LeakReports::new().limit(1, Duration::from_hours(25));
    let refused = Admin::new(world.keyring.clone()).leak_reports(long);
    assert_eq!(
        refused.unwrap_err(),
        InvalidLeakReports::TooLong("the limit")
    );
}
