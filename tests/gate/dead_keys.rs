//! Whatever is wrong with a key, its holder learns nothing of it.

use std::time::Duration;

use axum::Router;
use axum::routing::get;
use portcullis::ApiKeyLayer;
use portcullis::keyring::KeyPatch;

use crate::ground::{Ground, call, with_key};
use crate::wire::{Answer, Server, line};

fn app(layer: ApiKeyLayer) -> Router {
    Router::new()
        .route("/", get(async || "inside"))
        .route_layer(layer)
}

async fn present(server: &Server, token: &str) -> Answer {
    let bearer = line("authorization", format!("Bearer {token}"));
    server.send("GET", "/", &[&bearer]).await
}

#[tokio::test]
async fn every_kind_of_dead_key_gets_the_same_bytes() {
    let ground = Ground::with(|builder| builder.environments(["live", "test"])).await;
    let layer = ApiKeyLayer::new(ground.keyring.clone());
    let server = Server::start(app(layer.environments(["live"]).unwrap())).await;

    let good = ground.key(&[]).await;
    let other = ground.key_of("test").await;
    let short_lived = ground.key_for(Duration::from_secs(1)).await;
    let hit_when_it_ends = ground.key_for(Duration::from_secs(1)).await;
    let (revoked, disabled) = (ground.create(&[]).await, ground.create(&[]).await);
    let revoked_when_known = ground.create(&[]).await;
    let off = KeyPatch {
        enabled: Some(false),
        ..KeyPatch::default()
    };
    for known in [&good, &hit_when_it_ends, revoked_when_known.secret.expose()] {
        assert_eq!(present(&server, known).await.status, 200);
    }
    ground.keyring.revoke(&revoked.key.id, None).await.unwrap();
    let id = &revoked_when_known.key.id;
    ground.keyring.revoke(id, Some("leaked")).await.unwrap();
    ground.keyring.update(&disabled.key.id, off).await.unwrap();
    ground.clock.advance(Duration::from_secs(2));
    assert_eq!(present(&server, &good).await.status, 200);

    let swapped = |from: &str, to: &str| good.replacen(from, to, 1);
    let last = if good.ends_with('0') { "1" } else { "0" };
    let mut dead = vec![
        ("unknown", ground.unknown_key()),
        ("not a key", "x".to_owned()),
        (
            "a bad checksum",
            format!("{}{last}", &good[..good.len() - 1]),
        ),
        ("revoked", revoked.secret.expose().to_owned()),
        (
            "revoked, and known before",
            revoked_when_known.secret.expose().to_owned(),
        ),
        ("disabled", disabled.secret.expose().to_owned()),
        ("expired", short_lived),
        ("expired, and known before", hit_when_it_ends),
        ("of another environment", other),
        ("renamed to another environment", swapped("live", "test")),
        (
            "of an environment that is not declared",
            swapped("live", "prod"),
        ),
        ("of another prefix", swapped("acme", "acne")),
        ("in upper case", good.to_ascii_uppercase()),
        ("with padding", format!("{good}=")),
        ("cut off", good[..good.len() - 1].to_owned()),
        ("twice", format!("{good}{good}")),
    ];
    for length in [255, 256, 257, 258, 1024, 4096, 65_536] {
        dead.push(("a long one", "x".repeat(length)));
        let junk = "x".repeat(length - good.len());
        dead.push(("a good one and junk", format!("{good}{junk}")));
    }
    let expected = present(&server, "acme_live_").await;
    assert_eq!(
        (expected.status, expected.code().as_str()),
        (401, "invalid_token")
    );
    for (name, token) in dead {
        for _ in 0..2 {
            let length = token.len();
            assert_eq!(
                present(&server, &token).await,
                expected,
                "{name}: {length} bytes"
            );
        }
    }
    assert_eq!(present(&server, &good).await.status, 200);
}

/// One look-up when it is seen first and none while it is remembered, whatever is wrong. For how long
/// it is remembered is another matter, of which the threat model tells.
#[tokio::test]
async fn every_kind_of_dead_key_takes_the_same_look_ups() {
    let ground = Ground::new().await;
    let layer = ApiKeyLayer::new(ground.keyring.clone());
    let server = Server::start(app(layer)).await;
    let expired = ground.key_for(Duration::from_secs(1)).await;
    let (revoked, disabled) = (ground.create(&[]).await, ground.create(&[]).await);
    let rotated = ground.create(&[]).await;
    let keyring = &ground.keyring;
    keyring.revoke(&revoked.key.id, None).await.unwrap();
    keyring
        .rotate(&rotated.key.id, Duration::ZERO)
        .await
        .unwrap();
    let off = KeyPatch {
        enabled: Some(false),
        ..KeyPatch::default()
    };
    keyring.update(&disabled.key.id, off).await.unwrap();
    ground.clock.advance(Duration::from_secs(2));
    let expected = present(&server, "x").await;
    assert_eq!(ground.store.asked(), 0);
    for (name, dead) in [
        ("unknown", &*ground.unknown_key()),
        ("revoked", revoked.secret.expose()),
        ("disabled", disabled.secret.expose()),
        ("expired", &expired),
        ("rotated away", rotated.secret.expose()),
    ] {
        let before = ground.store.asked();
        for time in 1..=3 {
            assert_eq!(present(&server, dead).await, expected, "{name}, {time}");
            assert_eq!(ground.store.asked() - before, 1, "{name}, {time}");
        }
    }
}

#[tokio::test]
async fn near_misses_at_every_position_cost_no_look_up() {
    let ground = Ground::with(|builder| builder.environments(["live", "test"])).await;
    let layer = ApiKeyLayer::new(ground.keyring.clone());
    let service = app(layer.environments(["live", "test"]).unwrap());
    let good = ground.key(&[]).await;
    let before = ground.store.asked();
    for position in 0..good.len() {
        for other in "09azAZ_-.~+/=".chars() {
            let mut near = good.clone();
            if near[position..].starts_with(other) {
                continue;
            }
            near.replace_range(position..=position, other.encode_utf8(&mut [0; 4]));
            let seen = call(service.clone(), with_key(&near)).await;
            // `=` elsewhere than at the end is no bearer token at all.
            let is_token = other != '=' || position == good.len() - 1;
            let expected = if is_token { 401 } else { 400 };
            assert_eq!(seen.status, expected, "{other:?} at {position}");
        }
    }
    for end in 1..good.len() {
        for part in [&good[..end], &good[end..]] {
            let seen = call(service.clone(), with_key(part)).await;
            assert_eq!(seen.status, 401, "cut at {end}");
        }
    }
    assert_eq!(ground.store.asked(), before);
    assert_eq!(call(service, with_key(&good)).await.status, 200);
    assert_eq!(ground.store.asked(), before + 1);
}

#[tokio::test]
async fn a_key_of_an_environment_that_is_not_accepted_is_never_looked_up() {
    let ground = Ground::with(|builder| builder.environments(["live", "test"])).await;
    let layer = ApiKeyLayer::new(ground.keyring.clone());
    let service = app(layer.environments(["live"]).unwrap());
    let test = ground.key_of("test").await;
    assert_eq!(call(service, with_key(&test)).await.code(), "invalid_token");
    assert_eq!(ground.store.asked(), 0);
}

#[tokio::test]
async fn a_layer_that_accepts_no_environment_opens_nothing() {
    let ground = Ground::new().await;
    let layer = ApiKeyLayer::new(ground.keyring.clone());
    let service = app(layer.environments([""; 0]).unwrap());
    let key = ground.key(&[]).await;
    assert_eq!(call(service, with_key(&key)).await.code(), "invalid_token");
}

#[tokio::test]
#[should_panic(expected = "live, test")]
async fn more_than_one_environment_must_be_named() {
    let ground = Ground::with(|builder| builder.environments(["live", "test"])).await;
    let _ = app(ApiKeyLayer::new(ground.keyring.clone()));
}

#[tokio::test]
async fn an_environment_that_is_not_declared_is_refused_with_its_name() {
    let ground = Ground::new().await;
    let layer = ApiKeyLayer::new(ground.keyring.clone());
    let error = layer.environments(["live", "Live"]).unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"the environment "Live" is not among those of the keyring: live"#
    );
}
