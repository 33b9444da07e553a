//! `GET /keys/{id}/events`.

use std::time::Duration;

use axum::http::Method;
use portcullis::store::Retention;
use serde_json::{Value, json};

use crate::world::{ADMIN_TOKEN, World, key_path, request};

on_every_store!(
    each_change_leaves_a_line_newest_first,
    what_changes_nothing_leaves_none,
    it_comes_in_pages,
    a_cursor_is_good_for_its_key_alone,
    it_is_seen_by_whom_the_key_is_seen,
    that_of_a_key_that_is_gone_is_seen_by_operators_alone,
    what_is_wrong_is_answered_in_order,
);

fn events_path(id: &str) -> String {
    format!("{}/events", key_path(id))
}

async fn trail(world: &World, id: &str) -> Vec<Value> {
    let reply = world.get(&events_path(id), ADMIN_TOKEN).await;
    let page = reply.json();
    assert_eq!(reply.status, 200, "{page}");
    assert!(page["next_cursor"].is_null());
    page["events"].as_array().unwrap().clone()
}

async fn each_change_leaves_a_line_newest_first(world: World) {
    let writer = world.key("a", &["keys:write", "keys:read", "x"]).await;
    let body = r#"{"name":"n","scopes":["x"]}"#;
    let id = world.post(&writer.secret, body).await.holder().id;
    let change = async |body: &str| world.patch(&id, &writer.secret, body.to_owned()).await;
    world.advance(1);
    change(r#"{"name":"m","scopes":[],"metadata":{}}"#).await;
    change(r#"{"enabled":false}"#).await;
    change(r#"{"enabled":true}"#).await;
    change(r#"{"enabled":false,"name":"n"}"#).await;
    let rotate = format!("{}/rotate", key_path(&id));
    let body = r#"{"grace_seconds":60}"#;
    world
        .send(request(Method::POST, &rotate, ADMIN_TOKEN, body))
        .await;
    world
        .delete(&format!("{}/previous", key_path(&id)), ADMIN_TOKEN)
        .await;
    world
        .delete(
            &format!("{}?reason=lost+%22it%22", key_path(&id)),
            &writer.secret,
        )
        .await;

    let by = format!("key:{}", writer.id);
    let line = |what: &str, by: &str, detail: Value| json!({"at": "2030-01-01T00:00:01Z", "what": what, "by": by, "detail": detail});
    let mut expected = vec![
        line("revoked", &by, json!({"reason": "lost \"it\""})),
        line("previous_ended", "admin-token", json!({})),
        line(
            "rotated",
            "admin-token",
            json!({"previous_until": "2030-01-01T00:01:01Z"}),
        ),
        line(
            "changed",
            &by,
            json!({"fields": ["name", "enabled"], "enabled": false}),
        ),
        line("enabled", &by, json!({})),
        line("disabled", &by, json!({})),
        line("changed", &by, json!({"fields": ["name", "scopes"]})),
    ];
    expected.push(line("created", &by, json!({})));
    expected[7]["at"] = json!("2030-01-01T00:00:00Z");
    let mut events = trail(&world, &id).await;
    let ids: Vec<u64> = events
        .iter_mut()
        .map(|event| {
            let id = event.as_object_mut().unwrap().remove("id").unwrap();
            id.as_str().unwrap().parse().unwrap()
        })
        .collect();
    assert_eq!(json!(events), json!(expected));
    assert!(ids.is_sorted_by(|a, b| a > b), "{ids:?}");
    let own = world.get(&events_path(&id), &writer.secret).await;
    assert_eq!(own.json()["events"].as_array().unwrap().len(), 8);
}

async fn what_changes_nothing_leaves_none(world: World) {
    let key = world.key("a", &["x"]).await;
    world.patch(&key.id, ADMIN_TOKEN, "{}").await;
    world
        .patch(&key.id, ADMIN_TOKEN, r#"{"scopes":["x"]}"#)
        .await;
    world.patch(&key.id, ADMIN_TOKEN, r#"{"name":""}"#).await;
    world
        .delete(&format!("{}/previous", key_path(&key.id)), ADMIN_TOKEN)
        .await;
    assert_eq!(trail(&world, &key.id).await.len(), 1);
    for _ in 0..2 {
        world.delete(&key_path(&key.id), ADMIN_TOKEN).await;
        assert_eq!(trail(&world, &key.id).await.len(), 2);
    }
}

async fn it_comes_in_pages(world: World) {
    let key = world.key("a", &[]).await;
    let beside = world.key("a", &[]).await;
    for n in 0..6 {
        let body = format!(r#"{{"name":"{n}"}}"#);
        world.patch(&key.id, ADMIN_TOKEN, body.clone()).await;
        world.patch(&beside.id, ADMIN_TOKEN, body).await;
    }
    let whole = trail(&world, &key.id).await;
    assert_eq!(whole.len(), 7);
    for limit in [1, 2, 3, 6, 7, 8, 500] {
        let mut paged = Vec::new();
        let mut cursor = String::new();
        loop {
            let path = format!("{}?limit={limit}{cursor}", events_path(&key.id));
            let page = world.get(&path, ADMIN_TOKEN).await.json();
            let events = page["events"].as_array().unwrap();
            assert!(events.len() <= limit && !events.is_empty());
            paged.extend(events.iter().cloned());
            match page["next_cursor"].as_str() {
                None => break,
                Some(next) => cursor = format!("&cursor={next}"),
            }
            assert_eq!(events.len(), limit);
            // What is done meanwhile does not come in between.
            world
                .patch(
                    &beside.id,
                    ADMIN_TOKEN,
                    format!(r#"{{"name":"{cursor:.20}"}}"#),
                )
                .await;
        }
        assert_eq!(paged, whole, "{limit}");
    }
}

async fn a_cursor_is_good_for_its_key_alone(world: World) {
    let (one, other) = (world.key("a", &[]).await, world.key("a", &[]).await);
    for key in [&one, &other] {
        world.patch(&key.id, ADMIN_TOKEN, r#"{"name":"x"}"#).await;
    }
    let first = world
        .get(&format!("{}?limit=1", events_path(&one.id)), ADMIN_TOKEN)
        .await;
    let cursor = first.json()["next_cursor"].as_str().unwrap().to_owned();
    let of_the_list =
        world.get("/admin/keys?limit=1", ADMIN_TOKEN).await.json()["next_cursor"].clone();
    let of_the_list = of_the_list.as_str().unwrap();
    let with = async |path: &str, cursor: &str| {
        let path = format!("{path}?cursor={cursor}");
        world.get(&path, ADMIN_TOKEN).await.told()
    };
    let wrong = (400, "invalid_cursor");
    assert_eq!(with(&events_path(&one.id), &cursor).await, (200, ""));
    assert_eq!(with(&events_path(&other.id), &cursor).await, wrong);
    assert_eq!(with("/admin/keys", &cursor).await, wrong);
    assert_eq!(with(&events_path(&one.id), of_the_list).await, wrong);
    for cursor in [
        "",
        "x",
        "%ff",
        &cursor[1..],
        &format!("{cursor}A"),
        &"A".repeat(4000),
    ] {
        assert_eq!(with(&events_path(&one.id), cursor).await, wrong, "{cursor}");
    }
}

async fn it_is_seen_by_whom_the_key_is_seen(world: World) {
    let key = world.key("a", &[]).await;
    let reader = world.key("a", &["keys:read"]).await;
    let stranger = world.key("b", &["keys:read"]).await;
    let anybody = world.key("b", &["keys:admin"]).await;
    let scopeless = world.key("a", &["x", "*"]).await;
    let path = events_path(&key.id);
    assert_eq!(world.get(&path, &reader.secret).await.status, 200);
    assert_eq!(world.get(&path, &anybody.secret).await.status, 200);
    assert_eq!(
        world.get(&path, &scopeless.secret).await.told(),
        (403, "insufficient_scope")
    );
    // A key of somebody else, one that never was, and what is no id.
    let mut told = Vec::new();
    for path in [
        &*path,
        &events_path("key_0123456789abcdef"),
        &events_path("x"),
    ] {
        let reply = world.get(path, &stranger.secret).await;
        assert_eq!(reply.told(), (404, "not_found"), "{path}");
        told.push((reply.text(), format!("{:?}", reply.headers)));
    }
    assert!(told.windows(2).all(|two| two[0] == two[1]), "{told:?}");
    let missing = world
        .get(&events_path("key_0123456789abcdef"), ADMIN_TOKEN)
        .await;
    assert_eq!(missing.told(), (404, "not_found"));
}

async fn that_of_a_key_that_is_gone_is_seen_by_operators_alone(world: World) {
    let key = world.key("a", &[]).await;
    let reader = world.key("a", &["keys:read"]).await;
    let operator = world.key("b", &["keys:admin"]).await;
    world.delete(&key_path(&key.id), ADMIN_TOKEN).await;
    world.advance(60);
    let dead = Retention {
        dead_keys: Some(Duration::from_secs(1)),
        events: None,
    };
    assert_eq!(world.store.prune(&dead).await.unwrap().keys, 1);
    let path = events_path(&key.id);
    for token in [ADMIN_TOKEN, &operator.secret] {
        let page = world.get(&path, token).await.json();
        assert_eq!(page["events"][0]["what"], "revoked", "{page}");
        assert_eq!(page["events"].as_array().unwrap().len(), 2, "{page}");
    }
    // Nobody knows any more that it was the owner's own.
    let reply = world.get(&path, &reader.secret).await;
    assert_eq!(reply.told(), (404, "not_found"));
}

async fn what_is_wrong_is_answered_in_order(world: World) {
    let key = world.key("a", &["keys:read"]).await;
    let path = events_path(&key.id);
    let get = async |path: &str, token: &str| world.get(path, token).await.told();
    assert_eq!(get(&path, "").await, (401, "missing_credentials"));
    assert_eq!(get(&path, "wrong").await, (401, "invalid_token"));
    for (query, expected) in [
        ("limit=0", (422, "invalid_field")),
        ("limit=501", (422, "invalid_field")),
        ("limit=+1", (422, "invalid_field")),
        ("owner=a", (422, "invalid_field")),
        ("limit=0&cursor=x", (422, "invalid_field")),
        ("limit=1&limit=1", (422, "invalid_field")),
        ("cursor=x", (400, "invalid_cursor")),
        ("limit=500", (200, "")),
    ] {
        assert_eq!(
            get(&format!("{path}?{query}"), &key.secret).await,
            expected,
            "{query}"
        );
    }
    // Before existence, which is told to nobody else.
    let missing = format!("{}?cursor=x", events_path("key_0123456789abcdef"));
    assert_eq!(get(&missing, &key.secret).await, (400, "invalid_cursor"));
    let reply = world
        .send(request(Method::POST, &path, ADMIN_TOKEN, "{}"))
        .await;
    assert_eq!(reply.status, 405);
}
