//! Digests that are over: nobody makes a key with them, whoever has learned the secret.

use std::convert::Infallible;
use std::time::Duration;

use axum::http::Method;
use portcullis::admin::{Admin, Policy};
use portcullis::key::{KeyDigest, KeyHint};
use portcullis::keyring::{MadeElsewhere, NewKey, WriteError};
use portcullis::store::{Refusal, Retention};
use sha2::{Digest as _, Sha256};

use crate::import::{import, lines, told};
use crate::reply::Reply;
use crate::world::{ADMIN_TOKEN, Elsewhere, World, at_once, key_path, request};

on_every_store!(
    not_after_a_rotation,
    not_after_a_rotation_of_a_key_that_was_made_here,
    not_after_a_grace,
    not_after_a_request_that_came_again,
    not_after_the_key_was_cleared_up,
    not_while_it_is_replaced,
);

async fn rotate(world: &World, id: &str, grace: u32) -> Reply {
    let body = format!(r#"{{"grace_seconds":{grace}}}"#);
    let path = format!("{}/rotate", key_path(id));
    let reply = world
        .send(request(Method::POST, &path, ADMIN_TOKEN, body))
        .await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply
}

/// Makes a key of this owner with that secret.
async fn made(world: &World, owner: &str, elsewhere: &Elsewhere) -> String {
    let fields = elsewhere.fields();
    let reply = world
        .made(ADMIN_TOKEN, &format!(r#","owner":"{owner}",{fields}"#))
        .await;
    reply.json()["key"]["id"].as_str().unwrap().to_owned()
}

/// That of a key whose secret was made here.
fn of_secret(secret: &str) -> Elsewhere {
    let digest: [u8; 32] = Sha256::digest(secret.as_bytes()).into();
    Elsewhere {
        secret: secret.to_owned(),
        digest: digest.map(|byte| format!("{byte:02x}")).concat(),
        hint: secret[..14].to_owned(),
    }
}

/// Nobody gets it, in no way: not the owner of before either, to whom it is no key that exists. And
/// it opens nothing.
async fn is_over(world: &World, elsewhere: &Elsewhere) {
    let count = world.count().await;
    let (mine, other) = (
        world.key("a", &["keys:write"]).await,
        world.key("b", &["keys:write"]).await,
    );
    let fields = elsewhere.fields();
    let body = format!(r#"{{"name":"n","scopes":[],{fields}}}"#);
    for caller in [&*other.secret, &*mine.secret, ADMIN_TOKEN] {
        let reply = world.post(caller, body.clone()).await;
        assert_eq!(reply.told(), (409, "digest_taken"));
        let reply = import(world, caller, body.clone()).await;
        assert_eq!(told(&lines(&reply)), [(1, 409, "digest_taken")]);
    }
    for owner in ["a", "b"] {
        let digest: [u8; 32] = Sha256::digest(elsewhere.secret.as_bytes()).into();
        let digest = KeyDigest::from_bytes(digest);
        let hint = KeyHint::from_stored(&elsewhere.hint).unwrap();
        let new = NewKey::named("n").unwrap().owner(owner).unwrap();
        let imported = world.keyring.import(new, MadeElsewhere { digest, hint });
        let error = imported.await.unwrap_err();
        assert!(
            matches!(error, WriteError::Refused(Refusal::DigestTaken)),
            "{error}"
        );
    }
    let reply = world.get("/admin/keys/current", &elsewhere.secret).await;
    assert_eq!(reply.status, 401);
    for made_here in [mine, other] {
        world.delete(&key_path(&made_here.id), ADMIN_TOKEN).await;
    }
    assert_eq!(world.count().await, count + 2, "none was made");
}

async fn not_after_a_rotation(world: World) {
    let elsewhere = Elsewhere::of("live");
    let id = made(&world, "a", &elsewhere).await;
    rotate(&world, &id, 0).await;
    is_over(&world, &elsewhere).await;
}

async fn not_after_a_rotation_of_a_key_that_was_made_here(world: World) {
    let key = world.key("a", &["x"]).await;
    let rotated = rotate(&world, &key.id, 0).await.holder();
    is_over(&world, &of_secret(&key.secret)).await;
    rotate(&world, &key.id, 0).await;
    is_over(&world, &of_secret(&rotated.secret)).await;
}

async fn not_after_a_grace(world: World) {
    // As long as it lasts, the key is there.
    let elsewhere = Elsewhere::of("live");
    let id = made(&world, "a", &elsewhere).await;
    rotate(&world, &id, 60).await;
    let mine = world.key("a", &["keys:write"]).await;
    let fields = elsewhere.fields();
    let body = format!(r#"{{"name":"n","scopes":[],{fields}}}"#);
    let exists = import(&world, &mine.secret, body).await;
    assert_eq!(told(&lines(&exists)), [(1, 200, "")]);
    let path = format!("{}/previous", key_path(&id));
    assert_eq!(world.delete(&path, ADMIN_TOKEN).await.status, 200);
    is_over(&world, &elsewhere).await;

    // Past its end, and when the next rotation has cleared it up; and cut short by one.
    for seconds in [60, 0] {
        let elsewhere = Elsewhere::of("live");
        let id = made(&world, "a", &elsewhere).await;
        rotate(&world, &id, 60).await;
        world.advance(seconds);
        let other = world.key("b", &["keys:write"]).await;
        let fields = elsewhere.fields();
        let body = format!(r#"{{"name":"n","scopes":[],{fields}}}"#);
        let reply = world.post(&other.secret, body).await;
        assert_eq!(reply.told(), (409, "digest_taken"));
        rotate(&world, &id, 60).await;
        is_over(&world, &elsewhere).await;
    }
}

/// Its first answer was presumably lost, and with it the secret. Or somebody else has read it.
async fn not_after_a_request_that_came_again(world: World) {
    let send = async || {
        let body = r#"{"name":"n","scopes":[],"owner":"a"}"#;
        let mut request = request(Method::POST, "/admin/keys", ADMIN_TOKEN, body);
        let again = "once".parse().unwrap();
        request.headers_mut().insert("idempotency-key", again);
        world.send(request).await.holder()
    };
    let (first, second) = (send().await, send().await);
    assert_eq!(first.id, second.id);
    is_over(&world, &of_secret(&first.secret)).await;
}

async fn not_after_the_key_was_cleared_up(world: World) {
    let (current, previous) = (Elsewhere::of("live"), Elsewhere::of("live"));
    let id = made(&world, "a", &current).await;
    let other = made(&world, "a", &previous).await;
    let rotated = rotate(&world, &other, 3_600).await.holder();
    for id in [&id, &other] {
        world.delete(&key_path(id), ADMIN_TOKEN).await;
    }
    world.advance(7_200);
    let retention = Retention {
        dead_keys: Some(Duration::from_hours(1)),
        events: Some(Duration::from_hours(1)),
    };
    assert_eq!(world.store.prune(&retention).await.unwrap().keys, 2);
    assert_eq!(world.get(&key_path(&id), ADMIN_TOKEN).await.status, 404);
    for gone in [current, previous, of_secret(&rotated.secret)] {
        is_over(&world, &gone).await;
    }
}

async fn not_while_it_is_replaced(world: World) {
    let mut current = Elsewhere::of("live");
    let id = made(&world, "a", &current).await;
    let other = world.key("b", &["keys:write"]).await;
    for _ in 0..5 {
        let fields = current.fields();
        let body = format!(r#"{{"name":"n","scopes":[],{fields}}}"#);
        let path = format!("{}/rotate", key_path(&id));
        let all = (0..6).map(|number| match number {
            3 => request(Method::POST, &path, ADMIN_TOKEN, "{}"),
            _ => request(Method::POST, "/admin/keys", &other.secret, body.clone()),
        });
        let replies = at_once(all.map(|request| world.send(request))).await;
        for (number, reply) in replies.iter().enumerate() {
            let expected = if number == 3 {
                (200, "")
            } else {
                (409, "digest_taken")
            };
            assert_eq!(reply.told(), expected, "{number}");
        }
        current = of_secret(&replies[3].holder().secret);
    }
}

async fn tried(world: &World, caller: &str, elsewhere: &Elsewhere) -> (u16, &'static str) {
    let fields = elsewhere.fields();
    let body = format!(r#"{{"name":"n","scopes":[],{fields}}}"#);
    world.post(caller, body).await.told()
}

async fn imported(world: &World, caller: &str, elsewhere: &Elsewhere) -> (u64, String) {
    let fields = elsewhere.fields();
    let body = format!(r#"{{"name":"n","scopes":[],{fields}}}"#);
    let reply = import(world, caller, body).await;
    let lines = lines(&reply);
    let (_, status, code) = told(&lines)[0];
    (status, code.to_owned())
}

async fn under(policy: Policy) -> Vec<World> {
    let policed = |admin: Admin| admin.policy(policy.clone()).unwrap();
    World::everywhere(|builder| builder, policed).await
}

/// One that another has, and one that another had.
async fn of_another(world: &World) -> [Elsewhere; 2] {
    let others = [Elsewhere::of("live"), Elsewhere::of("live")];
    made(world, "b", &others[0]).await;
    let id = made(world, "b", &others[1]).await;
    rotate(world, &id, 0).await;
    others
}

/// One could else find out without limit which digests others have.
#[tokio::test]
async fn whoever_tries_digests_of_others_comes_to_the_mint_limit() {
    const TAKEN: (u16, &str) = (409, "digest_taken");
    const LIMITED: (u16, &str) = (429, "rate_limited");
    for world in under(Policy::new().mint_limit(4, Duration::from_hours(1))).await {
        let others = of_another(&world).await;
        let caller = world.key("a", &["keys:write"]).await.secret;
        let own = Elsewhere::of("live");
        assert_eq!(tried(&world, &caller, &own).await, (201, ""));
        for other in &others {
            assert_eq!(tried(&world, &caller, other).await, TAKEN);
        }
        // One's own tells nothing of others, and counts for nothing.
        for _ in 0..8 {
            assert_eq!(tried(&world, &caller, &own).await, TAKEN);
            assert_eq!(imported(&world, &caller, &own).await, (200, String::new()));
        }
        assert_eq!(tried(&world, &caller, &others[0]).await, TAKEN);
        // From here on nobody can tell one that is taken from one that is not.
        for any in [&others[0], &others[1], &Elsewhere::of("live")] {
            assert_eq!(tried(&world, &caller, any).await, LIMITED);
            let limited = (LIMITED.0.into(), LIMITED.1.to_owned());
            assert_eq!(imported(&world, &caller, any).await, limited);
        }
        assert_eq!(tried(&world, &caller, &own).await, TAKEN);
        for _ in 0..8 {
            assert_eq!(tried(&world, ADMIN_TOKEN, &others[0]).await, TAKEN);
        }
        let next = world.key("c", &["keys:write"]).await.secret;
        assert_eq!(
            tried(&world, &next, &Elsewhere::of("live")).await,
            (201, "")
        );
    }
}

/// Neither do the other rules tell.
#[tokio::test]
async fn whoever_can_make_no_key_is_told_of_no_digest() {
    let hour = Duration::from_hours(1);
    let full = Policy::new().live_keys_per_owner(1);
    let full_and_slow = full.clone().mint_limit(2, hour);
    let poor = Policy::new().entitlement(async |_| Ok::<_, Infallible>(false));
    for (policy, told) in [
        (full, (409, "key_limit_reached")),
        (full_and_slow, (409, "key_limit_reached")),
        (poor, (403, "entitlement_required")),
    ] {
        for world in under(policy).await {
            let others = of_another(&world).await;
            let caller = world.key("a", &["keys:write"]).await.secret;
            for any in [&others[0], &others[1], &Elsewhere::of("live")] {
                for _ in 0..3 {
                    assert_eq!(tried(&world, &caller, any).await, told);
                }
            }
        }
    }
}
