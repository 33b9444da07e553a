//! What is denied leaves a line: who, what and why, and nothing that could be used or misread.

use axum::http::Method;
use portcullis::admin::{Policy, TrustedCaller};

use crate::world::{ADMIN_TOKEN, World, key_path, request, signed_in};

fn lines(world: &World) -> Vec<String> {
    let log = world.take_log();
    let lines = log.lines();
    let lines = lines.filter(|line| line.contains("an administrative request was denied"));
    lines.map(str::to_owned).collect()
}

#[tokio::test]
async fn each_denied_attempt_is_one_line() {
    let policy = Policy::new().live_keys_per_owner(3);
    let world = World::with(|builder| builder, |admin| admin.policy(policy).unwrap());
    let caller = world.key("acme corp", &["keys:write"]).await;
    let reader = world.key("acme corp", &["keys:read"]).await;
    let dead = world.key("acme corp", &["keys:write"]).await;
    let other = world.key("umbrella", &[]).await;
    world.delete(&key_path(&dead.id), ADMIN_TOKEN).await;
    lines(&world);
    let forged = TrustedCaller::new("x by=\"admin-token\" \u{202e}", "ow=ner").unwrap();
    let key = format!("by=key:{}", caller.id);
    let (path, missing) = (key_path(&other.id), key_path(&caller.secret));
    let body = r#"{"name":"n","scopes":[]}"#;
    let wide = r#"{"name":"n","scopes":["TYPED"]}"#;
    let cases: Vec<(&str, _, Vec<&str>)> = vec![
        (
            "nobody",
            request(Method::GET, "/admin/keys", "", ""),
            vec![
                "status=401",
                "code=\"missing_credentials\"",
                "by=unknown",
                "/admin/keys",
            ],
        ),
        (
            "a dead key",
            request(Method::GET, "/admin/keys", &dead.secret, ""),
            vec!["status=401", "code=\"invalid_token\"", "revoked"],
        ),
        (
            "a lack of scope",
            request(Method::POST, "/admin/keys", &reader.secret, body),
            vec![
                "status=403",
                "insufficient_scope",
                "method=POST",
                r#"owner="acme corp""#,
            ],
        ),
        (
            "too wide",
            request(Method::POST, "/admin/keys", &caller.secret, wide),
            vec!["status=403", "exceeds_caller", &key],
        ),
        (
            "another's key",
            request(Method::PATCH, &path, &caller.secret, "{}"),
            vec![
                "status=404",
                "not_found",
                &key,
                "/admin/keys/{id}",
                &other.id,
            ],
        ),
        (
            "a secret in the path",
            request(Method::GET, &missing, ADMIN_TOKEN, ""),
            vec!["status=404", "by=admin-token", "/admin/keys/{id}"],
        ),
        (
            "a forged session",
            signed_in(&forged, Method::DELETE, &path, ""),
            vec![
                "status=404",
                r#"by="session:x by=\"admin-token\" \u{202e}" owner="ow=ner""#,
            ],
        ),
    ];
    for (name, sent, parts) in cases {
        world.send(sent).await;
        let lines = lines(&world);
        let [line] = &lines[..] else {
            panic!("{name}: {lines:?}")
        };
        assert!(line.contains("WARN"), "{name}: {line}");
        for part in parts {
            assert!(line.contains(part), "{name}: {part}: {line}");
        }
        assert!(
            !line.contains("TYPED") && !line.contains('\u{202e}'),
            "{name}: {line}"
        );
        assert!(!line.contains(&caller.secret[14..]), "{name}: {line}");
    }
    // The third that lives.
    world.made(&caller.secret, "").await;
    assert!(lines(&world).is_empty());
    world.post(&caller.secret, body).await;
    assert!(lines(&world)[0].contains("key_limit_reached"));
    // What is merely wrong is no attempt at anything.
    world.post(&caller.secret, "{").await;
    world.get("/admin/keys?limit=0", &caller.secret).await;
    world.get("/admin/keys", &caller.secret).await;
    assert!(lines(&world).is_empty());
}
