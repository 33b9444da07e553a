//! A store that fails is not a caller that may not.

use std::time::Duration;

use axum::http::Method;
use tokio::time::sleep;

use crate::world::{ADMIN_TOKEN, World, key_path, request};

on_every_store!(
    what_cannot_be_read_or_written_is_unavailable,
    a_lost_commit_is_told_apart_and_may_be_repeated,
    a_change_comes_to_its_end_though_the_client_hangs_up,
);

async fn what_cannot_be_read_or_written_is_unavailable(world: World) {
    let key = world.key("a", &[]).await;
    let there = key_path(&key.id);
    let page = world.get("/admin/keys?limit=1", ADMIN_TOKEN).await;
    assert_eq!(page.status, 200);
    let body = r#"{"name":"n","scopes":[]}"#;
    for fail in [
        |w: &World| w.faults.fail(),
        |w: &World| {
            w.faults.reads.corrupt();
            w.faults.writes.corrupt();
        },
    ] {
        fail(&world);
        for (method, path, body) in [
            (Method::GET, "/admin/keys", ""),
            (Method::GET, &*there, ""),
            (Method::POST, "/admin/keys", body),
            (Method::PATCH, &there, "{}"),
            (Method::DELETE, &there, ""),
        ] {
            let request = request(method.clone(), path, ADMIN_TOKEN, body);
            let reply = world.send(request).await;
            assert_eq!(reply.told(), (503, "unavailable"), "{method} {path}");
            assert!(!reply.text().contains("switched on"), "no inner message");
        }
        world.faults.heal();
    }
    assert_eq!(world.shown(&key.id).await["status"], "active");
    assert_eq!(world.count().await, 1);
}

async fn a_lost_commit_is_told_apart_and_may_be_repeated(world: World) {
    let key = world.key("a", &["keys:read"]).await;
    let path = key_path(&key.id);
    assert_eq!(world.get("/admin/keys", &key.secret).await.status, 200);
    world.faults.writes.lose_answers();
    let reply = world.delete(&path, ADMIN_TOKEN).await;
    assert_eq!(reply.told(), (503, "outcome_unknown"));
    let reply = world.get("/admin/keys", &key.secret).await;
    assert_eq!(reply.told(), (401, "invalid_token"), "it was written");
    world.faults.writes.heal();
    let again = world.delete(&path, ADMIN_TOKEN).await;
    assert_eq!(again.json()["status"], "revoked");
}

async fn a_change_comes_to_its_end_though_the_client_hangs_up(world: World) {
    let key = world.key("a", &["keys:read"]).await;
    assert_eq!(world.get("/admin/keys", &key.secret).await.status, 200);
    world.faults.writes.freeze_next(1);
    let path = key_path(&key.id);
    tokio::select! {
        reply = world.delete(&path, ADMIN_TOKEN) => panic!("{}", reply.text()),
        () = world.faults.writes.frozen(1) => {}
    }
    world.faults.writes.release();
    // As soon as the store has answered, which nobody waits for any more.
    let mut log = String::new();
    for _ in 0..3_000 {
        log += &world.take_log();
        if log.contains("key revoked") {
            break;
        }
        sleep(Duration::from_millis(1)).await;
    }
    assert!(log.contains(&format!("key={}", key.id)), "{log}");
    let reply = world.get("/admin/keys", &key.secret).await;
    assert_eq!(reply.told(), (401, "invalid_token"));
}
