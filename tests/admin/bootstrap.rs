//! The bootstrap admin token.

use axum::Router;
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderValue, Method};
use portcullis::admin::{self, Admin, InvalidToken};

use crate::world::{ADMIN_TOKEN, World, key_path, request};

on_every_store!(
    the_token_does_everything,
    what_is_nearly_the_token_is_nothing,
    repeated_credentials_are_refused_whoever_they_are_of,
    the_token_needs_no_store,
);

async fn the_token_does_everything(world: World) {
    let body = r#"{"name":"n","scopes":["*","keys:admin"],"owner":"b"}"#;
    let made = world.post(ADMIN_TOKEN, body).await.holder();
    let path = key_path(&made.id);
    assert_eq!(world.get(&path, ADMIN_TOKEN).await.status, 200);
    let on = r#"{"enabled":true,"name":"x"}"#;
    assert_eq!(world.patch(&made.id, ADMIN_TOKEN, on).await.status, 200);
    let revoked = world.delete(&path, ADMIN_TOKEN).await.json();
    assert_eq!(revoked["created_by"], "admin-token");
    assert_eq!(revoked["revoked_by"], "admin-token");
}

async fn what_is_nearly_the_token_is_nothing(world: World) {
    for at in 0..ADMIN_TOKEN.len() {
        let mut token = ADMIN_TOKEN.to_owned();
        token.replace_range(at..=at, "X");
        let reply = world.get("/admin/keys", &token).await;
        assert_eq!(reply.told(), (401, "invalid_token"), "{at}");
    }
    for token in [
        &*ADMIN_TOKEN.to_uppercase(),
        &format!("{ADMIN_TOKEN}="),
        &ADMIN_TOKEN[..31],
        &ADMIN_TOKEN.repeat(9),
    ] {
        let reply = world.get("/admin/keys", token).await;
        assert_eq!(reply.told(), (401, "invalid_token"), "{token}");
    }
    for (line, told) in [
        (ADMIN_TOKEN, (401, "missing_credentials")),
        ("Basic TOKEN", (401, "missing_credentials")),
        ("BearerX TOKEN", (401, "missing_credentials")),
        ("Bearer\tTOKEN", (400, "invalid_request")),
        ("Bearer TOKEN,", (400, "invalid_request")),
        ("Bearer TOKEN TOKEN", (400, "invalid_request")),
        ("Bearer", (400, "invalid_request")),
        ("", (400, "invalid_request")),
        ("bEARER   TOKEN", (200, "")),
    ] {
        let line = line.replace("TOKEN", ADMIN_TOKEN);
        let mut request = request(Method::GET, "/admin/keys", "", "");
        let value = HeaderValue::try_from(&line).unwrap();
        request.headers_mut().insert(AUTHORIZATION, value);
        assert_eq!(world.send(request).await.told(), told, "{line}");
    }
}

async fn repeated_credentials_are_refused_whoever_they_are_of(world: World) {
    let key = world.key("a", &["keys:read"]).await.secret;
    for (first, second) in [
        (ADMIN_TOKEN, ADMIN_TOKEN),
        (ADMIN_TOKEN, &*key),
        (&key, ADMIN_TOKEN),
        (&key, &key),
    ] {
        let mut request = request(Method::GET, "/admin/keys", first, "");
        let value = HeaderValue::try_from(format!("Bearer {second}")).unwrap();
        request.headers_mut().append(AUTHORIZATION, value);
        let reply = world.send(request).await;
        assert_eq!(reply.told(), (400, "invalid_request"));
    }
}

async fn the_token_needs_no_store(world: World) {
    world.faults.fail();
    let before = world.faults.look_ups.calls();
    let reply = world.get("/admin/keys?limit=0", ADMIN_TOKEN).await;
    assert_eq!(reply.told(), (422, "invalid_field"));
    assert_eq!(world.faults.look_ups.calls(), before);
}

#[tokio::test]
async fn a_token_that_cannot_be_one_is_refused_when_building() {
    let world = World::memory();
    let admin = || Admin::new(world.keyring.clone());
    let key = world.key("a", &[]).await.secret;
    let cases = [
        ("hunter2", InvalidToken::TooShort(7)),
        (&"x".repeat(257), InvalidToken::TooLong(257)),
        (
            "correct horse battery staple and so on",
            InvalidToken::Characters,
        ),
        (&key, InvalidToken::IsAKey),
    ];
    for (token, expected) in cases {
        let error = admin().bootstrap_token(token).unwrap_err();
        assert_eq!(error, expected);
        assert!(!format!("{error} {error:?}").contains(token), "{error}");
    }
    let two = admin()
        .bootstrap_token("1".repeat(32))
        .and_then(|admin| admin.bootstrap_token("2".repeat(32)))
        .unwrap();
    let shown = format!("{two:?}");
    assert!(
        !shown.contains("1111") && !shown.contains("2222"),
        "{shown}"
    );
    let third = two.bootstrap_token("3".repeat(32)).unwrap_err();
    assert_eq!(third, InvalidToken::TooMany);
}

#[tokio::test]
async fn two_tokens_are_both_good_and_without_one_none_is() {
    let second = "ffffffffffffffffffffffffffffffff";
    let world = World::with(
        |builder| builder,
        |admin| admin.bootstrap_token(second).unwrap(),
    );
    for token in [ADMIN_TOKEN, second] {
        assert_eq!(world.get("/admin/keys", token).await.status, 200);
    }
    let plain = Router::new().nest("/admin", admin::router(world.keyring.clone()));
    let request = request(Method::GET, "/admin/keys", ADMIN_TOKEN, "");
    let reply = world.send_to(plain, request).await;
    assert_eq!(reply.told(), (401, "invalid_token"));
}
