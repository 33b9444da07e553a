//! `DELETE /keys/{id}`.

use serde_json::{Value, json};

use crate::world::{ADMIN_TOKEN, World, key_path};

on_every_store!(
    a_revoked_key_is_dead_at_once,
    the_first_time_and_reason_are_kept,
    a_key_ends_itself_without_any_scope,
    a_key_without_keys_write_ends_no_other,
    reasons_are_bounded_text,
);

async fn a_revoked_key_is_dead_at_once(world: World) {
    let writer = world.key("a", &["keys:write"]).await;
    for _ in 0..20 {
        let key = world.key("a", &["keys:read"]).await;
        assert_eq!(world.get("/admin/keys", &key.secret).await.status, 200);
        let path = format!("{}?reason=left+the+company", key_path(&key.id));
        let revoked = world.delete(&path, &writer.secret).await.json();
        assert_eq!(revoked["status"], "revoked");
        assert_eq!(revoked["enabled"], true);
        assert_eq!(revoked["revoked_at"], "2030-01-01T00:00:00Z");
        assert_eq!(revoked["revoked_by"], format!("key:{}", writer.id));
        assert_eq!(revoked["revoked_reason"], "left the company");
        let reply = world.get("/admin/keys", &key.secret).await;
        assert_eq!(reply.told(), (401, "invalid_token"));
    }
}

async fn the_first_time_and_reason_are_kept(world: World) {
    let key = world.key("a", &[]).await;
    let path = key_path(&key.id);
    let first = world.delete(&path, ADMIN_TOKEN).await;
    assert_eq!(first.json()["revoked_by"], "admin-token");
    assert_eq!(first.json()["revoked_reason"], Value::Null);
    world.advance(10);
    let writer = world.key("a", &["keys:write"]).await;
    for query in ["", "?reason=another"] {
        let path = format!("{path}{query}");
        let again = world.delete(&path, &writer.secret).await;
        assert_eq!(again.status, 200);
        assert_eq!(again.json(), first.json());
    }
}

async fn a_key_ends_itself_without_any_scope(world: World) {
    let key = world.key("a", &[]).await;
    let path = key_path(&key.id);
    let reply = world.delete(&format!("{path}?x=1"), &key.secret).await;
    assert_eq!(reply.told(), (422, "invalid_field"));
    let revoked = world.delete(&path, &key.secret).await.json();
    assert_eq!(revoked["status"], "revoked");
    assert_eq!(revoked["revoked_by"], format!("key:{}", key.id));
    let reply = world.delete(&path, &key.secret).await;
    assert_eq!(reply.told(), (401, "invalid_token"));
}

async fn a_key_without_keys_write_ends_no_other(world: World) {
    let target = world.key("a", &[]).await;
    let there = key_path(&target.id);
    for scopes in [&[][..], &["*"], &["keys:read"]] {
        let caller = world.key("a", scopes).await;
        for path in [&*there, "/admin/keys/nonsense", "/admin/keys/currents"] {
            let reply = world.delete(path, &caller.secret).await;
            assert_eq!(reply.told(), (403, "insufficient_scope"), "{path}");
        }
    }
    assert_eq!(world.shown(&target.id).await["status"], "active");
}

async fn reasons_are_bounded_text(world: World) {
    // Percent-encoded, each is one character.
    let (most, too_many) = ("%C3%A9".repeat(500), "%C3%A9".repeat(501));
    for (query, reason) in [
        (String::new(), Value::Null),
        ("?reason=".to_owned(), Value::Null),
        ("?reason".to_owned(), Value::Null),
        ("?reason=%3Cb%3E".to_owned(), json!("<b>")),
        (format!("?reason={most}"), json!("é".repeat(500))),
    ] {
        let key = world.key("a", &[]).await;
        let path = format!("{}{query}", key_path(&key.id));
        let revoked = world.delete(&path, ADMIN_TOKEN).await.json();
        assert_eq!(revoked["revoked_reason"], reason);
        assert_eq!(world.shown(&key.id).await, revoked);
    }
    let key = world.key("a", &[]).await;
    for (query, place) in [
        (&*format!("reason={too_many}"), "?reason"),
        ("reason=a%0Ab", "?reason"),
        ("reason=%00", "?reason"),
        ("reason=%C2%85", "?reason"),
        ("reason=%ff", "?reason"),
        ("reason=a&reason=a", "?reason"),
        ("Reason=a", "?Reason"),
    ] {
        let path = format!("{}?{query}", key_path(&key.id));
        let reply = world.delete(&path, ADMIN_TOKEN).await;
        assert_eq!(reply.told(), (422, "invalid_field"), "{query:.40}");
        assert_eq!(reply.places(), [place], "{query:.40}");
    }
    assert_eq!(world.shown(&key.id).await["status"], "active");
}
