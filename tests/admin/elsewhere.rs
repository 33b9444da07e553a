//! `POST /keys` with `digest` and `hint`: the secret is made elsewhere.

use axum::http::Method;
use portcullis::admin::{Admin, LeakReports};
use portcullis::key::{Alphabet, DigestAlgorithm, ForeignFormat, Pepper};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::world::{ADMIN_TOKEN, Elsewhere, Holder, World, key_path, request};

on_every_store!(
    a_key_that_was_made_elsewhere_opens_what_it_grants,
    both_are_given_or_neither,
    what_is_no_digest_or_hint_is_refused,
    a_digest_is_taken_once,
    the_hint_says_of_which_environment_it_is,
    a_repeated_request_finds_the_key_that_it_made,
    it_is_rotated_and_revoked_like_any_other,
);

async fn a_key_that_was_made_elsewhere_opens_what_it_grants(world: World) {
    let elsewhere = Elsewhere::of("live");
    let fields = elsewhere.fields();
    // Before it is known here, it is an unknown key, also to what remembers that.
    assert_eq!(
        world
            .get("/admin/keys/current", &elsewhere.secret)
            .await
            .status,
        401
    );
    let body = format!(r#"{{"name":"n","owner":"a","scopes":["keys:read"],{fields}}}"#);
    let reply = world.post(ADMIN_TOKEN, body).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    let made = reply.json();
    assert_eq!(made.as_object().unwrap().len(), 1, "{made}");
    let id = made["key"]["id"].as_str().unwrap();
    assert_eq!(reply.header("location"), format!("keys/{id}"));
    assert_eq!(made["key"]["hint"], elsewhere.hint);
    assert!(!reply.text().contains(&elsewhere.digest));

    let current = world.get("/admin/keys/current", &elsewhere.secret).await;
    assert_eq!(current.json(), made["key"]);
    let events = world
        .get(&format!("/admin/keys/{id}/events"), ADMIN_TOKEN)
        .await;
    assert_eq!(events.json()["events"][0]["what"], "imported");
    assert!(!world.take_log().contains(&elsewhere.digest));
}

async fn both_are_given_or_neither(world: World) {
    let Elsewhere { digest, hint, .. } = Elsewhere::of("live");
    for (more, missing) in [
        (json!({ "digest": digest }), "#/hint"),
        (json!({ "hint": hint }), "#/digest"),
    ] {
        let mut body = json!({"name": "n", "scopes": []});
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let reply = world.post(ADMIN_TOKEN, body.to_string()).await;
        assert_eq!(reply.told(), (422, "invalid_field"), "{body}");
        assert_eq!(reply.places(), [missing], "{body}");
    }
}

async fn what_is_no_digest_or_hint_is_refused(world: World) {
    let Elsewhere {
        digest,
        hint,
        secret,
    } = Elsewhere::of("live");
    let digests = [
        json!(null),
        json!(1),
        json!(""),
        json!(digest[1..]),
        json!(digest.to_uppercase()),
        json!(format!("0{digest}")),
        json!(format!("0x{}", &digest[2..])),
        json!(secret),
    ];
    for wrong in digests {
        let body = json!({"name": "n", "scopes": [], "digest": wrong, "hint": hint}).to_string();
        let reply = world.post(ADMIN_TOKEN, body.clone()).await;
        assert_eq!(reply.places(), ["#/digest"], "{body}");
    }
    for wrong in [
        json!(null),
        json!(""),
        json!("acme_live_"),
        json!("acme_live_012345678"),
        json!("other_live_0123"),
        json!("<b>"),
        json!(secret),
        json!(secret[..secret.len() - 1]),
    ] {
        let body = json!({"name": "n", "scopes": [], "digest": digest, "hint": wrong}).to_string();
        let reply = world.post(ADMIN_TOKEN, body.clone()).await;
        assert_eq!(reply.places(), ["#/hint"], "{body}");
        assert!(!reply.text().contains(&secret[14..]), "{}", reply.text());
    }
    assert_eq!(world.count().await, 0);
}

async fn a_digest_is_taken_once(world: World) {
    let mine = Elsewhere::of("live");
    let caller = world.key("a", &["keys:write"]).await;
    let other = world.key("b", &["keys:write"]).await;
    let fields = mine.fields();
    let body = format!(r#"{{"name":"n","scopes":[],{fields}}}"#);
    let made = world.post(&caller.secret, body.clone()).await;
    assert_eq!(made.status, 201);
    let path = key_path(made.json()["key"]["id"].as_str().unwrap());
    let before = world.get(&path, ADMIN_TOKEN).await.text();
    for caller in [&caller, &other] {
        let reply = world.post(&caller.secret, body.clone()).await;
        assert_eq!(reply.told(), (409, "digest_taken"));
    }
    // Not even a dead key gives its digest away: it would come back to life.
    assert_eq!(world.get(&path, ADMIN_TOKEN).await.text(), before);
    world.delete(&path, ADMIN_TOKEN).await;
    let reply = world.post(&caller.secret, body).await;
    assert_eq!(reply.told(), (409, "digest_taken"));
    assert_eq!(
        world.get("/admin/keys/current", &mine.secret).await.status,
        401
    );
}

async fn the_hint_says_of_which_environment_it_is(world: World) {
    // This world has declared `live` alone.
    let foreign = Elsewhere::of("test").fields();
    let body = format!(r#"{{"name":"n","scopes":[],{foreign}}}"#);
    let reply = world.post(ADMIN_TOKEN, body).await;
    assert_eq!(reply.places(), ["#/hint"]);

    let world = World::with(
        |builder| builder.environments(["live", "test"]),
        |admin| admin,
    );
    let made = async |environment: &str| {
        let fields = Elsewhere::of("test").fields();
        let body = format!(r#"{{"name":"n","scopes":[],{environment}{fields}}}"#);
        world.post(ADMIN_TOKEN, body).await
    };
    for environment in ["", r#""environment":"test","#] {
        assert_eq!(made(environment).await.json()["key"]["environment"], "test");
    }
    let reply = made(r#""environment":"live","#).await;
    assert_eq!(reply.told(), (422, "invalid_field"));
    assert_eq!(reply.places(), ["#/hint"]);
}

async fn a_repeated_request_finds_the_key_that_it_made(world: World) {
    let one = Elsewhere::of("live");
    // By its digest alone.
    let other = Elsewhere {
        hint: one.hint.clone(),
        ..Elsewhere::of("live")
    };
    let send = async |elsewhere: &Elsewhere| {
        let fields = elsewhere.fields();
        let body = format!(r#"{{"name":"n","scopes":[],{fields}}}"#);
        let mut request = request(Method::POST, "/admin/keys", ADMIN_TOKEN, body);
        let again = "once".parse().unwrap();
        request.headers_mut().insert("idempotency-key", again);
        world.send(request).await
    };
    let first = send(&one).await;
    assert_eq!(first.status, 201);
    let second = send(&one).await;
    assert_eq!(second.status, 201, "{}", second.text());
    assert_eq!(second.json(), first.json());
    assert_eq!(send(&other).await.told(), (422, "idempotency_key_reused"));
    assert_eq!(
        world.get("/admin/keys/current", &one.secret).await.status,
        200
    );
}

async fn it_is_rotated_and_revoked_like_any_other(world: World) {
    let elsewhere = Elsewhere::of("live");
    let fields = elsewhere.fields();
    let body = format!(r#"{{"name":"n","scopes":[],{fields}}}"#);
    let id = world.post(ADMIN_TOKEN, body).await.json()["key"]["id"].clone();
    let path = key_path(id.as_str().unwrap());
    let alive = async |secret: &str| world.get("/admin/keys/current", secret).await.status;

    let rotate = request(Method::POST, &format!("{path}/rotate"), ADMIN_TOKEN, "{}");
    let rotated = world.send(rotate).await;
    assert_eq!(rotated.status, 200, "{}", rotated.text());
    let Holder { secret, .. } = rotated.holder();
    assert_eq!(alive(&elsewhere.secret).await, 401);
    assert_eq!(alive(&secret).await, 200);
    world.delete(&path, ADMIN_TOKEN).await;
    assert_eq!(alive(&secret).await, 401);
}

#[tokio::test]
async fn where_digests_take_a_secret_none_is_taken() {
    let peppered = |builder: portcullis::keyring::Builder| {
        let pepper = Pepper::new([7; 32]).unwrap();
        builder.digest(DigestAlgorithm::hmac_sha256(pepper))
    };
    let world = World::with(peppered, |admin| admin);
    let fields = Elsewhere::of("live").fields();
    let body = format!(r#"{{"name":"n","scopes":[],{fields}}}"#);
    let reply = world.post(ADMIN_TOKEN, body).await;
    assert_eq!(reply.told(), (422, "invalid_field"));
    assert_eq!(reply.places(), ["#/digest"]);
    assert_eq!(world.count().await, 0);
}

#[tokio::test]
async fn keys_of_an_older_system_are_taken_and_may_leak() {
    let old = |builder: portcullis::keyring::Builder| {
        let format = ForeignFormat::new("old_sk_", Alphabet::Hex, 48).unwrap();
        builder.accept_foreign(format)
    };
    let leaks = |admin: Admin| admin.leak_reports(LeakReports::new()).unwrap();
    for world in World::everywhere(old, leaks).await {
        let secret = "old_sk_000102030405060708090a0b0c0d0e0f1011121314151617";
        let digest = "72cbc8e2ecb63bd1c3f2d0a0a5ef5a34b0a3b8a4f4e4e2c1d0b9a897867564f3";
        // Another digest than that of the key: it is stored, and the key stays unknown.
        let body = |digest: &str, hint: &str| {
            json!({"name": "n", "scopes": [], "digest": digest, "hint": hint}).to_string()
        };
        for wrong in [
            "old_sk_",
            "old_sk_G",
            secret,
            "old_sk_000102030",
            "older_sk_0001",
        ] {
            let reply = world.post(ADMIN_TOKEN, body(digest, wrong)).await;
            assert_eq!(reply.places(), ["#/hint"], "{wrong}");
        }
        assert_eq!(
            world
                .post(ADMIN_TOKEN, body(digest, "old_sk_0001"))
                .await
                .status,
            201
        );
        assert_eq!(world.get("/admin/keys/current", secret).await.status, 401);
        let sha256 = sha256(secret);
        let made = world
            .post(ADMIN_TOKEN, body(&sha256, "old_sk_00010203"))
            .await;
        assert_eq!(made.status, 201, "{}", made.text());
        assert_eq!(made.json()["key"]["environment"], "live");
        assert_eq!(world.get("/admin/keys/current", secret).await.status, 200);

        let report = json!({"secrets": [secret]}).to_string();
        let report = request(Method::POST, "/admin/leaks", "", report);
        assert_eq!(world.send(report).await.status, 200);
        assert_eq!(world.get("/admin/keys/current", secret).await.status, 401);
    }
}

/// As whoever moves keys over computes it.
fn sha256(secret: &str) -> String {
    let digest: [u8; 32] = Sha256::digest(secret.as_bytes()).into();
    digest.map(|byte| format!("{byte:02x}")).concat()
}
