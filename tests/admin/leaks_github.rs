//! `POST /leaks/github`.

use std::iter;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Method, Request};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use p256::pkcs8::{EncodePublicKey as _, LineEnding};
use portcullis::admin::{LeakReports, ScanningKeys};
use portcullis::layer::{ClientAddress, PeerAddress};
use serde_json::{Value, json};
use tokio::time::Instant;
use tower::ServiceExt as _;

use crate::late::Late;
use crate::world::{Elsewhere, World};

const IDENTIFIER: &str = "github-public-key-identifier";
const SIGNATURE: &str = "github-public-key-signature";

/// A key of a test's own.
fn signing_key(seed: u8) -> SigningKey {
    SigningKey::from_slice(&[seed; 32]).unwrap()
}

fn pem(key: &SigningKey) -> String {
    key.verifying_key()
        .to_public_key_pem(LineEnding::LF)
        .unwrap()
}

fn signature(key: &SigningKey, body: &str) -> String {
    let signature: Signature = key.sign(body.as_bytes());
    STANDARD.encode(signature.to_der())
}

fn world(keys: &ScanningKeys) -> World {
    let reports = LeakReports::new().github(keys.clone());
    World::with(
        |builder| builder,
        |admin| admin.leak_reports(reports).unwrap(),
    )
}

fn known() -> ScanningKeys {
    ScanningKeys::new([("one", pem(&signing_key(1))), ("two", pem(&signing_key(2)))]).unwrap()
}

fn asking(body: &str, headers: &[(&'static str, &str)]) -> Request<Body> {
    let mut request = Request::post("/admin/leaks/github");
    request = request.header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::from(body.to_owned())).unwrap()
}

fn signed(body: &str) -> Request<Body> {
    let signature = signature(&signing_key(1), body);
    asking(body, &[(IDENTIFIER, "one"), (SIGNATURE, &signature)])
}

fn of(secret: &str) -> Value {
    json!({"token": secret, "type": "acme_key", "url": "https://github.com/a/b", "source": "content"})
}

#[tokio::test]
async fn a_signed_report_ends_what_it_names() {
    let world = world(&known());
    let keys = [world.key("a", &[]).await, world.key("b", &[]).await];
    let body = json!([of(&keys[0].secret), of("x"), of(&keys[1].secret), {"token": "y"}]);
    let reply = world.send(signed(&body.to_string())).await;
    assert_eq!((reply.status, reply.json()), (200, json!({"received": 4})));
    for key in keys {
        assert_eq!(world.shown(&key.id).await["revoked_reason"], "leaked");
    }
    let second = body.to_string();
    let by_two = signature(&signing_key(2), &second);
    let reply = asking(&second, &[(IDENTIFIER, "two"), (SIGNATURE, &by_two)]);
    assert_eq!(world.send(reply).await.status, 200);
    assert_eq!(
        world.send(signed("[]")).await.json(),
        json!({"received": 0})
    );
}

#[tokio::test]
async fn what_is_not_signed_is_not_read() {
    let world = world(&known());
    let key = world.key("a", &[]).await;
    let body = json!([of(&key.secret)]).to_string();
    let good = signature(&signing_key(1), &body);
    let raw: Signature = signing_key(1).sign(body.as_bytes());
    let (raw, der) = (
        STANDARD.encode(raw.to_bytes()),
        STANDARD.decode(&good).unwrap(),
    );
    let cut = STANDARD.encode(&der[..der.len() - 1]);
    let longer = STANDARD.encode([&der[..], &[0]].concat());
    let others = signature(&signing_key(3), &body);
    let another = signature(&signing_key(1), &(body.clone() + " "));
    let cases: [(&str, &[(&'static str, &str)]); 13] = [
        ("nothing", &[]),
        ("no identifier", &[(SIGNATURE, &good)]),
        ("no signature", &[(IDENTIFIER, "one")]),
        (
            "an unknown key",
            &[(IDENTIFIER, "three"), (SIGNATURE, &good)],
        ),
        ("the other key", &[(IDENTIFIER, "two"), (SIGNATURE, &good)]),
        (
            "another's signature",
            &[(IDENTIFIER, "one"), (SIGNATURE, &others)],
        ),
        (
            "of another body",
            &[(IDENTIFIER, "one"), (SIGNATURE, &another)],
        ),
        ("not DER", &[(IDENTIFIER, "one"), (SIGNATURE, &raw)]),
        ("cut off", &[(IDENTIFIER, "one"), (SIGNATURE, &cut)]),
        ("with more", &[(IDENTIFIER, "one"), (SIGNATURE, &longer)]),
        ("not base64", &[(IDENTIFIER, "one"), (SIGNATURE, "?")]),
        (
            "two identifiers",
            &[(IDENTIFIER, "one"), (IDENTIFIER, "one"), (SIGNATURE, &good)],
        ),
        (
            "two signatures",
            &[(IDENTIFIER, "one"), (SIGNATURE, &good), (SIGNATURE, &good)],
        ),
    ];
    for (name, headers) in cases {
        let reply = world.send(asking(&body, headers)).await;
        assert_eq!(reply.told(), (403, "invalid_signature"), "{name}");
    }
    let mut opaque = asking(&body, &[(IDENTIFIER, "one")]);
    let bytes = HeaderValue::from_bytes(b"\xff").unwrap();
    opaque.headers_mut().insert(SIGNATURE, bytes);
    assert_eq!(world.send(opaque).await.told(), (403, "invalid_signature"));
    // What is wrong is told to nobody else.
    let large = " ".repeat((1 << 20) + 1);
    for (body, content_type) in [
        ("{", "application/json"),
        ("{", "text/plain"),
        (&large, "x"),
    ] {
        let mut asking = asking(body, &[]);
        let content_type = HeaderValue::from_static(content_type);
        asking.headers_mut().insert("content-type", content_type);
        assert_eq!(world.send(asking).await.told(), (403, "invalid_signature"));
    }
    let mut text = signed("{");
    let content_type = HeaderValue::from_static("text/plain");
    text.headers_mut().insert("content-type", content_type);
    assert_eq!(
        world.send(text).await.told(),
        (415, "unsupported_media_type")
    );
    assert_eq!(
        world.send(signed(&large)).await.told(),
        (413, "payload_too_large")
    );
    assert_eq!(world.shown(&key.id).await["status"], "active");
    let reply = world
        .send(asking(&body, &[(IDENTIFIER, "one"), (SIGNATURE, &good)]))
        .await;
    assert_eq!(reply.status, 200);
    assert_eq!(world.shown(&key.id).await["status"], "revoked");
}

#[tokio::test]
async fn what_is_signed_is_read_with_care() {
    let world = world(&known());
    let key = world.key("a", &[]).await;
    let items = |count: usize| Value::from(vec![of("x"); count]).to_string();
    assert_eq!(
        world.send(signed(&items(1000))).await.json(),
        json!({"received": 1000})
    );
    assert_eq!(world.send(signed(&items(1001))).await.places(), ["#"]);
    assert_eq!(world.send(signed("{")).await.told(), (400, "invalid_json"));
    for (body, places) in [
        (json!({}), vec!["#"]),
        (
            json!([of(&key.secret), 1, {}, {"token": 1}]),
            vec!["#/1", "#/2", "#/3"],
        ),
    ] {
        let reply = world.send(signed(&body.to_string())).await;
        assert_eq!(reply.told(), (422, "invalid_field"), "{body}");
        assert_eq!(reply.places(), places, "{body}");
    }
    assert_eq!(world.shown(&key.id).await["status"], "active");
}

#[tokio::test]
async fn keys_are_replaced_while_it_runs() {
    let keys = known();
    let world = world(&keys);
    assert_eq!(world.send(signed("[]")).await.status, 200);
    let wrong = keys.replace([("one", "no PEM".to_owned())]).unwrap_err();
    assert_eq!(wrong.0, "one");
    assert_eq!(world.send(signed("[]")).await.status, 200);
    keys.replace([("two", pem(&signing_key(2)))]).unwrap();
    assert_eq!(world.send(signed("[]")).await.status, 403);
    keys.replace([("one", pem(&signing_key(1)))]).unwrap();
    assert_eq!(world.send(signed("[]")).await.status, 200);
    assert_eq!(format!("{keys:?}"), r#"ScanningKeys(["one"])"#);
}

#[tokio::test]
async fn what_cannot_be_signed_is_not_even_read() {
    let world = world(&known());
    let good = signature(&signing_key(1), "[]");
    for headers in [
        &[][..],
        &[(IDENTIFIER, "one")],
        &[(IDENTIFIER, "three"), (SIGNATURE, &good)],
        &[(IDENTIFIER, "one"), (SIGNATURE, "AAAA")],
        &[(IDENTIFIER, "one"), (SIGNATURE, &good.repeat(1000))],
    ] {
        let (body, mut asked, _never) = Late::body();
        let (parts, _) = asking("", headers).into_parts();
        let reply = world.send(Request::from_parts(parts, body)).await;
        assert_eq!(reply.told(), (403, "invalid_signature"));
        assert!(asked.try_recv().is_err(), "{headers:?}");
    }
}

#[tokio::test]
async fn there_is_a_limit_and_no_route_without_keys() {
    let there = world(&known());
    let key = there.key("a", &[]).await;
    let unknown = json!([of(&Elsewhere::of("live").secret)]).to_string();
    for _ in 0..600 {
        assert_eq!(there.send(signed(&unknown)).await.status, 200);
    }
    let reported = json!([of(&key.secret)]).to_string();
    let refused = there.send(signed(&reported)).await;
    assert_eq!(refused.told(), (429, "rate_limited"));
    // The other kind of report has its own.
    let reply = crate::world::request(Method::POST, "/admin/leaks", "", r#"{"secrets":["x"]}"#);
    assert_eq!(there.send(reply).await.status, 200);
    there.advance(1);
    assert_eq!(there.send(signed(&reported)).await.status, 200);

    let world = World::memory();
    assert_eq!(world.send(signed("[]")).await.status, 404);
}

/// Signed by somebody, and not by whom it says.
fn forged(body: &str) -> Request<Body> {
    let signature = signature(&signing_key(3), body);
    asking(body, &[(IDENTIFIER, "one"), (SIGNATURE, &signature)])
}

#[tokio::test]
async fn nobody_but_the_signer_uses_up_the_limit() {
    // 20 of these reports in a minute.
    let reports = LeakReports::new().limit(2, Duration::from_mins(1));
    let reports = reports.github(known());
    let world = World::with(
        |builder| builder,
        |admin| admin.leak_reports(reports).unwrap(),
    );
    let key = world.key("a", &[]).await;
    let nothing_of_ours = json!([of("x")]).to_string();
    let forged_ones = json!([of(&Elsewhere::of("live").secret)]).to_string();
    for n in 0..100 {
        let request = match n % 4 {
            0 => asking("[]", &[]),
            1 => asking("[]", &[(IDENTIFIER, "one"), (SIGNATURE, "?")]),
            2 => forged(&forged_ones),
            // A report that another service was sent.
            _ => signed(&nothing_of_ours),
        };
        let expected = if n % 4 == 3 { 200 } else { 403 };
        assert_eq!(world.send(request).await.status, expected);
    }
    let reported = json!([of(&key.secret)]).to_string();
    assert_eq!(world.send(signed(&reported)).await.status, 200);
    assert_eq!(world.shown(&key.id).await["status"], "revoked");
}

#[tokio::test]
async fn a_declared_address_is_listened_to_so_often() {
    let from = |mut request: Request<Body>, address: [u8; 4]| {
        let peer = PeerAddress(address.into());
        request.extensions_mut().insert(peer);
        request
    };
    let minute = Duration::from_mins(1);
    let (attacker, github) = ([198, 51, 100, 1], [192, 0, 2, 1]);
    for (declared, expected) in [(true, 429), (false, 403)] {
        let reports = LeakReports::new().limit(2, minute).github(known());
        let world = World::with(
            |builder| builder,
            |admin| {
                let admin = admin.leak_reports(reports).unwrap();
                if declared {
                    admin.client_address(ClientAddress::peer())
                } else {
                    admin
                }
            },
        );
        let key = world.key("a", &[]).await;
        for _ in 0..20 {
            let reply = world.send(from(forged("[]"), attacker)).await;
            assert_eq!(reply.status, 403);
        }
        let (parts, _) = from(forged("[]"), attacker).into_parts();
        let (body, mut asked, send) = Late::body();
        drop(send);
        let reply = world.send(Request::from_parts(parts, body)).await;
        assert_eq!(reply.status, expected);
        assert_eq!(asked.try_recv().is_ok(), !declared, "it is read");
        // Where nobody has said how to tell, the address may be that of all.
        let address = if declared { github } else { attacker };
        let reported = signed(&json!([of(&key.secret)]).to_string());
        assert_eq!(world.send(from(reported, address)).await.status, 200);
        assert_eq!(world.shown(&key.id).await["status"], "revoked");
    }
}

#[tokio::test(start_paused = true)]
async fn so_many_bytes_of_strangers_wait_at_a_time() {
    let world = world(&known());
    let key = world.key("a", &[]).await;
    let body = json!([of(&key.secret)]).to_string();
    let mut strangers = Vec::new();
    // Who sends next to nothing takes next to nothing away from others.
    for bytes in iter::repeat_n(1, 1_024).chain(iter::repeat_n(1 << 20, 28)) {
        let (late, waited_for, never) = Late::after(Some(vec![b' '; bytes].into()));
        let (parts, _) = forged("").into_parts();
        let asking = Request::from_parts(parts, late);
        let stranger = tokio::spawn(world.router.clone().oneshot(asking));
        waited_for.await.unwrap();
        strangers.push((stranger, never));
    }
    let refused = world.send(signed(&body)).await;
    assert_eq!(refused.told(), (503, "unavailable"));
    assert_eq!(world.shown(&key.id).await["revoked_at"], Value::Null);
    // They are not waited for long.
    let began = Instant::now();
    for (stranger, _) in &mut strangers {
        assert_eq!(stranger.await.unwrap().unwrap().status(), 408);
    }
    assert_eq!(began.elapsed().as_secs(), 10);
    assert_eq!(world.send(signed(&body)).await.status, 200);
    assert_eq!(world.shown(&key.id).await["revoked_reason"], "leaked");
}
