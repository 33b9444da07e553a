//! A key hands on only what it holds, by its own row at the moment of the write.

use axum::http::Method;
use portcullis::keyring::{Expiry, KeyPatch};
use portcullis::timestamp::Timestamp;
use serde_json::json;

use crate::late::Late;
use crate::world::{ADMIN_TOKEN, Holder, World, key_path, request};

const WITHIN_REACH: &str = r#"{"name":"n","scopes":["reports:read"]}"#;

on_every_store!(
    a_key_mints_nothing_beyond_its_scopes,
    a_key_mints_what_it_holds,
    a_key_mints_for_its_own_owner_only,
    a_key_without_keys_write_cannot_mint,
    what_a_key_mints_does_not_outlive_it,
    a_caller_revoked_while_its_body_was_on_the_way_changes_nothing,
    a_caller_disabled_while_its_body_was_on_the_way_changes_nothing,
    a_caller_expired_while_its_body_was_on_the_way_changes_nothing,
    a_key_revoked_through_another_keyring_mints_nothing,
    a_stale_cache_authorizes_no_write,
    a_writer_cannot_enable_or_rename_what_it_does_not_cover_but_may_end_it,
    another_owners_key_is_as_good_as_missing,
    a_key_in_the_wrong_field_is_neither_repeated_nor_kept,
);

async fn a_key_mints_nothing_beyond_its_scopes(world: World) {
    let cases: [(&[&str], &[&str]); 10] = [
        (&["keys:write"], &["*"]),
        (&["keys:write"], &["keys:admin"]),
        (&["keys:write"], &["reports:read"]),
        (&["keys:write", "*"], &["keys:admin"]),
        (&["keys:write", "reports:read"], &["reports:*"]),
        (&["keys:write", "reports:*"], &["reports"]),
        (&["keys:write", "reports:*"], &["*"]),
        (&["keys:write", "reports:read"], &["reports:read", "x"]),
        (&["keys:admin"], &["reports:read"]),
        (&["keys:admin"], &["*"]),
    ];
    for (held, wanted) in cases {
        let caller = world.key("a", held).await;
        let before = world.count().await;
        let body = json!({"name": "n", "scopes": wanted}).to_string();
        let reply = world.post(&caller.secret, body).await;
        assert_eq!(reply.told(), (403, "exceeds_caller"), "{held:?} {wanted:?}");
        assert_eq!(world.count().await, before, "{held:?} {wanted:?}");
    }
}

async fn a_key_mints_what_it_holds(world: World) {
    let cases: [(&[&str], &[&str]); 6] = [
        (&["keys:write"], &[]),
        (&["keys:write"], &["keys:read", "keys:write"]),
        (&["keys:write", "*"], &["*", "a", "a:*"]),
        (&["keys:write", "a:*"], &["a:b", "a:b:*"]),
        (&["keys:admin"], &["keys:admin", "keys:read"]),
        (&["*", "keys:admin"], &["*", "keys:admin"]),
    ];
    for (held, wanted) in cases {
        let caller = world.key("a", held).await;
        let body = json!({"name": "n", "scopes": wanted}).to_string();
        let reply = world.post(&caller.secret, body).await;
        assert_eq!(reply.status, 201, "{held:?} {wanted:?}: {}", reply.text());
        let key = &reply.json()["key"];
        assert_eq!(key["scopes"], json!(wanted));
        assert_eq!(key["created_by"], format!("key:{}", caller.id));
        assert_eq!(key["owner"], "a");
    }
}

async fn a_key_mints_for_its_own_owner_only(world: World) {
    let writer = world.key("a", &["keys:write"]).await;
    let admin = world.key("a", &["keys:admin"]).await;
    let before = world.count().await;
    for owner in ["b", "admin", "A", " a"] {
        let body = json!({"name": "n", "scopes": [], "owner": owner}).to_string();
        let reply = world.post(&writer.secret, body).await;
        assert_eq!(reply.told(), (403, "exceeds_caller"), "{owner}");
    }
    assert_eq!(world.count().await, before);
    world.made(&writer.secret, r#","owner":"a""#).await;
    let made = world.made(&admin.secret, r#","owner":"b""#).await.json();
    assert_eq!(made["key"]["owner"], "b");
}

async fn a_key_without_keys_write_cannot_mint(world: World) {
    for held in [&[][..], &["*"], &["keys:read"], &["keys:read", "*"]] {
        let caller = world.key("a", held).await;
        let reply = world.post(&caller.secret, WITHIN_REACH).await;
        assert_eq!(reply.told(), (403, "insufficient_scope"), "{held:?}");
        assert_eq!(
            reply.header("www-authenticate"),
            r#"Bearer realm="api", error="insufficient_scope", scope="keys:write""#
        );
    }
}

async fn what_a_key_mints_does_not_outlive_it(world: World) {
    let end = Timestamp::parse("2030-01-02T00:00:00Z").unwrap();
    let caller = world
        .key_until("a", &["keys:write"], Expiry::At(end))
        .await
        .secret;
    for more in [
        r#","expires_in":"never""#,
        r#","expires_at":null"#,
        r#","expires_at":"2030-01-02T00:00:00.000001Z""#,
        r#","expires_in":"86401s""#,
        r#","expires_in":"2d""#,
    ] {
        let body = format!(r#"{{"name":"n","scopes":[]{more}}}"#);
        let reply = world.post(&caller, body).await;
        assert_eq!(reply.told(), (403, "exceeds_caller"), "{more}");
    }
    let cases = [
        ("", "2030-01-02T00:00:00Z"),
        (r#","expires_in":"1d""#, "2030-01-02T00:00:00Z"),
        (r#","expires_in":"1s""#, "2030-01-01T00:00:01Z"),
        (
            r#","expires_at":"2030-01-02T01:00:00+01:00""#,
            "2030-01-02T00:00:00Z",
        ),
    ];
    for (more, expected) in cases {
        let made = world.made(&caller, more).await.json();
        assert_eq!(made["key"]["expires_at"], expected, "{more}");
    }
}

/// Sends each kind of write with a body that is still on its way while `meanwhile` happens.
async fn overtaken(world: &World, meanwhile: impl AsyncFn(&Holder)) {
    for (method, body) in [
        (Method::POST, WITHIN_REACH),
        (Method::PATCH, r#"{"enabled":false}"#),
        (Method::PATCH, "{}"),
    ] {
        let in_a_minute = Expiry::In(std::time::Duration::from_mins(1));
        let scopes = ["keys:write", "reports:read"];
        let caller = world.key_until("a", &scopes, in_a_minute).await;
        let target = world.key_until("a", &[], in_a_minute).await;
        let before = world.count().await;
        let path = match method {
            Method::POST => "/admin/keys".to_owned(),
            _ => key_path(&target.id),
        };
        let (late, asked, send) = Late::body();
        let request = request(method.clone(), &path, &caller.secret, late);
        let between = async {
            asked.await.unwrap();
            meanwhile(&caller).await;
            send.send(body.to_owned()).unwrap();
        };
        let (reply, ()) = tokio::join!(world.send(request), between);
        assert_eq!(reply.told(), (401, "invalid_token"), "{method} {body}");
        assert_eq!(
            reply.header("www-authenticate"),
            r#"Bearer realm="api", error="invalid_token""#
        );
        assert_eq!(world.count().await, before, "{method} {body}");
        let target = world.shown(&target.id).await;
        assert_eq!(target["enabled"], true, "{method} {body}");
    }
}

async fn a_caller_revoked_while_its_body_was_on_the_way_changes_nothing(world: World) {
    overtaken(&world, async |caller| {
        let id = caller.id.parse().unwrap();
        world.keyring.revoke(&id, None).await.unwrap();
    })
    .await;
}

async fn a_caller_disabled_while_its_body_was_on_the_way_changes_nothing(world: World) {
    overtaken(&world, async |caller| {
        let off = KeyPatch {
            enabled: Some(false),
            ..KeyPatch::default()
        };
        let id = caller.id.parse().unwrap();
        world.keyring.update(&id, off).await.unwrap();
    })
    .await;
}

async fn a_caller_expired_while_its_body_was_on_the_way_changes_nothing(world: World) {
    overtaken(&world, async |_| world.advance(60)).await;
}

async fn a_key_revoked_through_another_keyring_mints_nothing(world: World) {
    let elsewhere = world.elsewhere();
    for _ in 0..20 {
        let caller = world.key("a", &["keys:write"]).await;
        // Now it is in the cache.
        world.made(&caller.secret, "").await;
        let before = world.count().await;
        let id = caller.id.parse().unwrap();
        elsewhere.revoke(&id, None).await.unwrap();
        let reply = world.post(&caller.secret, WITHIN_REACH).await;
        assert_eq!(reply.told(), (401, "invalid_token"));
        assert_eq!(world.count().await, before);
    }
}

async fn a_stale_cache_authorizes_no_write(world: World) {
    let caller = world.key("a", &["keys:write", "keys:read"]).await;
    let target = world.key("a", &[]).await;
    let there = key_path(&target.id);
    assert_eq!(world.get(&there, &caller.secret).await.status, 200);
    // From here on this keyring hears of nothing that others do.
    world.faults.syncs.hang();
    world.faults.lose_nudges(true);
    let id = caller.id.parse().unwrap();
    let elsewhere = world.elsewhere();
    elsewhere.revoke(&id, None).await.unwrap();
    let before = world.count().await;
    assert_eq!(world.get(&there, &caller.secret).await.status, 200, "stale");
    let reply = world.post(&caller.secret, WITHIN_REACH).await;
    assert_eq!(reply.told(), (401, "invalid_token"));
    let told = world.delete(&there, &caller.secret).await.told();
    assert_eq!(told, (401, "invalid_token"));
    let off = r#"{"enabled":false}"#;
    let told = world.patch(&target.id, &caller.secret, off).await.told();
    assert_eq!(told, (401, "invalid_token"));
    assert_eq!(world.count().await, before);
    assert_eq!(world.shown(&target.id).await["status"], "active");
}

async fn a_writer_cannot_enable_or_rename_what_it_does_not_cover_but_may_end_it(world: World) {
    let writer = world.key("a", &["keys:write"]).await;
    let strong = world.key("a", &["*"]).await;
    for body in [
        r#"{"enabled":true}"#,
        r#"{"name":"x"}"#,
        r#"{"name":"x","enabled":false}"#,
    ] {
        let reply = world.patch(&strong.id, &writer.secret, body).await;
        assert_eq!(reply.told(), (403, "exceeds_caller"), "{body}");
    }
    let off = r#"{"enabled":false}"#;
    let disabled = world.patch(&strong.id, &writer.secret, off).await;
    assert_eq!(disabled.json()["status"], "disabled");
    let on = r#"{"enabled":true}"#;
    let enabled = world.patch(&strong.id, &writer.secret, on).await;
    assert_eq!(enabled.told(), (403, "exceeds_caller"));
    let revoked = world.delete(&key_path(&strong.id), &writer.secret).await;
    assert_eq!(revoked.json()["status"], "revoked");
}

async fn another_owners_key_is_as_good_as_missing(world: World) {
    let caller = world.key("a", &["keys:write", "*"]).await;
    let theirs = world.key("b", &[]).await;
    let there = key_path(&theirs.id);
    let requests = [
        (Method::GET, ""),
        (Method::HEAD, ""),
        (Method::DELETE, ""),
        (Method::PATCH, "{}"),
        (Method::PATCH, r#"{"enabled":false}"#),
        (Method::PATCH, r#"{"name":"mine"}"#),
    ];
    for (method, body) in requests {
        let send = async |path: &str| {
            let request = request(method.clone(), path, &caller.secret, body);
            world.send(request).await
        };
        let missing = send("/admin/keys/key_0123456789abcdef").await;
        assert_eq!(missing.status, 404, "{method} {body}");
        for path in [
            &*there,
            "/admin/keys/currents",
            "/admin/keys/..%2f..%2fetc",
            "/admin/keys/%ff",
            "/admin/keys/%00",
        ] {
            let other = send(path).await;
            assert_eq!(other.status, 404, "{method} {body} {path}");
            assert_eq!(other.headers, missing.headers, "{method} {body} {path}");
            assert_eq!(other.body, missing.body, "{method} {body} {path}");
        }
    }
    let key = world.shown(&theirs.id).await;
    assert_eq!(key["status"], "active");
    assert_eq!(key["name"], "made past the router");
    let admin = world.key("a", &["keys:admin"]).await;
    assert_eq!(world.get(&there, &admin.secret).await.status, 200);
}

#[tokio::test]
async fn a_key_mints_in_its_own_environment_only() {
    let world = World::with(|b| b.environments(["live", "test"]), |admin| admin);
    let (live, test) = (r#","environment":"live""#, r#","environment":"test""#);
    let body = |scopes: &str, more: &str| format!(r#"{{"name":"n","scopes":[{scopes}]{more}}}"#);
    let caller = world.key("a", &["keys:admin", "*"]).await;
    let reply = world.post(&caller.secret, body("", test)).await;
    assert_eq!(reply.told(), (403, "exceeds_caller"));
    // The admin router takes keys of every environment, each for its own.
    let tester = world.post(ADMIN_TOKEN, body(r#""keys:write""#, test)).await;
    let tester = tester.holder().secret;
    let made = world.made(&tester, "").await;
    assert_eq!(made.json()["key"]["environment"], "test");
    assert!(made.holder().secret.starts_with("acme_test_"));
    let reply = world.post(&tester, body("", live)).await;
    assert_eq!(reply.told(), (403, "exceeds_caller"));
    // An environment that is not there is a mistake, whoever makes it.
    let reply = world
        .post(&tester, body("", r#","environment":"dev""#))
        .await;
    assert_eq!(reply.told(), (422, "invalid_field"));
}

async fn a_key_in_the_wrong_field_is_neither_repeated_nor_kept(world: World) {
    let key = world.key("a", &[]).await.secret;
    let (_, body_of_key) = key.rsplit_once('_').unwrap();
    let before = world.count().await;
    for wrong in [
        json!({"name": "n", "scopes": [key]}),
        json!({"name": "n", "scopes": [format!("{key}:*")]}),
        json!({"name": "n", "scopes": [], "expires_at": key}),
        json!({"name": "n", "scopes": [], "expires_in": key}),
        json!({"name": "n", "scopes": [], "environment": key}),
        json!({"name": "n", "scopes": [], "owner": "a\u{0}", "expires_in": format!("{key}d")}),
        json!({"name": "n", "scopes": [], key.as_str(): 1}),
        json!({"name": "n", "scopes": [], &key[..40]: 1}),
    ] {
        let reply = world.post(ADMIN_TOKEN, wrong.to_string()).await;
        assert_eq!(reply.told(), (422, "invalid_field"), "{wrong}");
        for part in [&key, body_of_key, &body_of_key[..17]] {
            assert!(!reply.text().contains(part), "{wrong}");
        }
    }
    for query in [
        format!("?limit={key}"),
        format!("?status={key}"),
        format!("?environment={key}"),
        format!("?expires_before={key}"),
        format!("?{key}=1"),
    ] {
        let reply = world.get(&format!("/admin/keys{query}"), ADMIN_TOKEN).await;
        assert_eq!(reply.told(), (422, "invalid_field"), "{query}");
        assert!(!reply.text().contains(&body_of_key[..17]), "{query}");
    }
    assert_eq!(world.count().await, before);
}
