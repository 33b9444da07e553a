//! `POST /keys/{id}/rotate`.

use std::time::Duration;

use portcullis::keyring::Expiry;

use crate::desk::{Desk, TOKEN};

#[tokio::test]
async fn the_old_secret_dies_at_once_and_the_id_stays() {
    for desk in Desk::everywhere().await {
        let writer = desk.key(&["keys:write", "a:*"]).await;
        let key = desk.key(&["a:x"]).await;
        assert!(desk.opens(&key.secret).await);
        for body in ["{}", r#"{"grace_seconds": 0}"#] {
            let before = desk.get(TOKEN, &key.path()).await.ok();
            let rotated = desk
                .post(&writer.secret, &key.below("rotate"), body)
                .await
                .ok();
            assert_eq!(rotated.status, 200);
            assert_eq!(rotated.id(), key.id.as_str());
            assert_eq!(rotated.body["key"]["previous"], serde_json::Value::Null);
            assert_ne!(rotated.body["key"]["hint"], before.body["hint"]);
            assert!(!desk.opens(&key.secret).await, "{body}");
            assert!(desk.opens(&rotated.secret()).await, "{body}");
        }
    }
}

#[tokio::test]
async fn the_old_secret_lives_for_its_grace_and_not_longer() {
    let desk = Desk::at_will();
    let key = desk.key(&["a"]).await;
    let hint = desk.get(TOKEN, &key.path()).await.body["hint"].clone();
    let rotated = desk
        .post(TOKEN, &key.below("rotate"), r#"{"grace_seconds": 60}"#)
        .await
        .ok();
    let previous = &rotated.body["key"]["previous"];
    assert_eq!(previous["hint"], hint);
    assert_eq!(previous["expires_at"], "2030-01-01T00:01:00Z");
    assert_eq!(previous["last_used_at"], serde_json::Value::Null);

    desk.clock.advance(Duration::from_millis(59_999));
    assert!(desk.opens(&key.secret).await);
    assert!(desk.opens(&rotated.secret()).await);
    let shown = desk.get(TOKEN, &key.path()).await.ok();
    assert_eq!(shown.body["previous"]["hint"], hint);

    desk.clock.advance(Duration::from_millis(1));
    assert!(!desk.opens(&key.secret).await);
    assert!(desk.opens(&rotated.secret()).await);
    let shown = desk.get(TOKEN, &key.path()).await.ok();
    assert_eq!(shown.body["previous"], serde_json::Value::Null);
}

#[tokio::test]
async fn a_grace_ends_with_the_key() {
    let desk = Desk::at_will();
    let minute = Expiry::In(Duration::from_mins(1));
    let key = desk.key_for("acme", &["a"], minute).await;
    let rotated = desk
        .post(TOKEN, &key.below("rotate"), r#"{"grace_seconds": 2592000}"#)
        .await
        .ok();
    let previous = |answer: &serde_json::Value| answer["previous"]["expires_at"].clone();
    assert_eq!(previous(&rotated.body["key"]), "2030-01-01T00:01:00Z");

    // Neither does an earlier end of the key leave it behind.
    let sooner = r#"{"expires_at": "2030-01-01T00:00:30Z"}"#;
    let changed = desk.patch(TOKEN, &key.path(), sooner).await.ok();
    assert_eq!(previous(&changed.body), "2030-01-01T00:00:30Z");
    desk.clock.advance(Duration::from_secs(30));
    assert!(!desk.opens(&key.secret).await);
    assert!(!desk.opens(&rotated.secret()).await);
    let shown = desk.get(TOKEN, &key.path()).await.ok();
    assert_eq!(shown.body["status"], "expired");
    assert_eq!(shown.body["previous"], serde_json::Value::Null);
}

#[tokio::test]
async fn a_grace_is_a_whole_number_of_seconds_up_to_thirty_days() {
    let fine = ["0", "1", "2592000"];
    let wrong = [
        "-1",
        "-0",
        "2592001",
        "1.5",
        "1.0",
        "0.0",
        "1e3",
        "0e0",
        "1E1",
        "\"1\"",
        "\"\"",
        "null",
        "true",
        "[]",
        "[1]",
        "{}",
        "4294967296",
        "18446744073709551616",
        "99999999999999999999999999999999999999999",
        "1e400",
        "-1e-400",
    ];
    for desk in Desk::everywhere().await {
        let key = desk.key(&["a"]).await;
        for grace in fine {
            let body = format!(r#"{{"grace_seconds": {grace}}}"#);
            let answer = desk.post(TOKEN, &key.below("rotate"), &body).await;
            assert_eq!(answer.status, 200, "{grace}");
            let has_previous = answer.body["key"]["previous"].is_object();
            assert_eq!(has_previous, grace != "0", "{grace}");
        }
        let before = desk.get(TOKEN, &key.path()).await.text;
        for grace in wrong {
            let body = format!(r#"{{"grace_seconds": {grace}}}"#);
            let answer = desk.post(TOKEN, &key.below("rotate"), &body).await;
            assert_eq!(answer.said(), (422, "invalid_field"), "{grace}");
            assert_eq!(answer.at(), ["#/grace_seconds"], "{grace}");
        }
        for (body, at) in [
            ("[]", vec!["#"]),
            ("null", vec!["#"]),
            (r#"{"grace": 1}"#, vec!["#/grace"]),
            (
                r#"{"grace_seconds": 0, "grace_seconds": 0}"#,
                vec!["#/grace_seconds"],
            ),
        ] {
            let answer = desk.post(TOKEN, &key.below("rotate"), body).await;
            assert_eq!(answer.said(), (422, "invalid_field"), "{body}");
            assert_eq!(answer.at(), at, "{body}");
        }
        assert_eq!(desk.get(TOKEN, &key.path()).await.text, before);
    }
}

#[tokio::test]
async fn another_rotation_ends_the_grace_of_the_one_before() {
    for desk in Desk::everywhere().await {
        let key = desk.key(&["a"]).await;
        let body = r#"{"grace_seconds": 600}"#;
        let second = desk.post(TOKEN, &key.below("rotate"), body).await.secret();
        let third = desk.post(TOKEN, &key.below("rotate"), body).await.secret();
        assert!(!desk.opens(&key.secret).await);
        assert!(desk.opens(&second).await);
        assert!(desk.opens(&third).await);
        desk.post(TOKEN, &key.below("rotate"), "{}").await.ok();
        assert!(!desk.opens(&second).await);
        assert!(!desk.opens(&third).await);
    }
}

#[tokio::test]
async fn of_rotations_at_once_each_is_answered_and_the_last_secret_lives() {
    for desk in Desk::everywhere().await {
        let key = desk.key(&["a"]).await;
        let rotations: Vec<_> = (0..20)
            .map(|_| {
                let (desk, key) = (desk.clone(), key.clone());
                tokio::spawn(async move { desk.post(TOKEN, &key.below("rotate"), "{}").await })
            })
            .collect();
        let mut hints = Vec::new();
        for rotation in rotations {
            let answer = rotation.await.unwrap();
            assert_eq!(answer.status, 200);
            hints.push((answer.body["key"]["hint"].clone(), answer.secret()));
        }
        let shown = desk.get(TOKEN, &key.path()).await.ok();
        let mut alive = 0;
        for (hint, secret) in &hints {
            let opens = desk.opens(secret).await;
            assert_eq!(opens, *hint == shown.body["hint"]);
            alive += u32::from(opens);
        }
        assert_eq!(alive, 1);
    }
}

#[tokio::test]
async fn no_key_rotates_itself_unless_that_is_configured() {
    for desk in Desk::everywhere().await {
        let key = desk.key(&["keys:admin", "*"]).await;
        let answer = desk.post(&key.secret, &key.below("rotate"), "{}").await;
        assert_eq!(answer.said(), (403, "exceeds_caller"));
        assert!(!answer.headers.contains_key("www-authenticate"));
        assert!(desk.opens(&key.secret).await);
    }
    let renewal = |builder: portcullis::keyring::Builder| builder.self_renewal();
    for desk in Desk::everywhere_with(renewal).await {
        let key = desk.key(&["keys:write"]).await;
        let body = r#"{"grace_seconds": 60}"#;
        let rotated = desk
            .post(&key.secret, &key.below("rotate"), body)
            .await
            .ok();
        assert!(desk.opens(&rotated.secret()).await);
        // The secret in its grace renews nothing: it holds no more than its own short life.
        let again = desk.post(&key.secret, &key.below("rotate"), "{}").await;
        assert_eq!(again.said(), (403, "exceeds_caller"));
    }
}

#[tokio::test]
async fn whoever_does_not_hold_all_of_a_key_does_not_rotate_it() {
    for desk in Desk::everywhere().await {
        let writer = desk.key(&["keys:write", "a:*"]).await;
        let lasting = desk.key(&["a:x"]).await;
        let brief = Expiry::In(Duration::from_hours(1));
        let brief = desk.key_for("acme", &["keys:write", "a:*"], brief).await;
        let other = desk.key_of("other", &["a:x"]).await;
        let more = desk.key(&["b"]).await;
        let test = desk.keyring.environments()[1].clone();
        let new = portcullis::keyring::NewKey::named("t").unwrap();
        let new = new.owner("acme").unwrap().environment(test);
        let test = desk.keyring.create(new).await.unwrap().key.id;
        let cases = [
            (
                "a scope more",
                &writer,
                more.id.as_str(),
                (403, "exceeds_caller"),
            ),
            (
                "a longer life",
                &brief,
                lasting.id.as_str(),
                (403, "exceeds_caller"),
            ),
            (
                "another environment",
                &writer,
                test.as_str(),
                (403, "exceeds_caller"),
            ),
            (
                "another owner",
                &writer,
                other.id.as_str(),
                (404, "not_found"),
            ),
            (
                "nobody",
                &writer,
                "key_0000000000000000",
                (404, "not_found"),
            ),
            ("no id", &writer, "current", (404, "not_found")),
        ];
        let mut missing = Vec::new();
        for (name, caller, id, expected) in cases {
            let path = format!("/keys/{id}/rotate");
            let answer = desk.post(&caller.secret, &path, "{}").await;
            assert_eq!(answer.said(), expected, "{name}");
            if answer.status == 404 {
                missing.push(answer.text);
            }
        }
        assert!(missing.iter().all(|text| *text == missing[0]));
        for secret in [&lasting.secret, &other.secret, &more.secret] {
            assert!(desk.opens(secret).await);
        }
    }
}

#[tokio::test]
async fn a_key_of_the_other_environment_gets_a_secret_of_that_environment() {
    for desk in Desk::everywhere().await {
        let body = r#"{"name": "t", "scopes": [], "environment": "test"}"#;
        let made = desk.post(TOKEN, "/keys", body).await.ok();
        let path = format!("/keys/{}/rotate", made.id());
        let rotated = desk.post(TOKEN, &path, "{}").await.ok();
        assert!(rotated.secret().starts_with("acme_test_"));
        assert!(desk.opens(&rotated.secret()).await);
    }
}

#[tokio::test]
async fn a_key_of_an_environment_that_is_gone_is_not_rotated() {
    for desk in Desk::everywhere().await {
        let body = r#"{"name": "t", "scopes": [], "environment": "test"}"#;
        let made = desk.post(TOKEN, "/keys", body).await.ok();
        let without = desk.replica_with(|builder| builder.environments(["live"]));
        let path = format!("/keys/{}/rotate", made.id());
        let answer = without.post(TOKEN, &path, "{}").await;
        assert_eq!(answer.said(), (409, "environment_not_declared"));
        assert!(desk.opens(&made.secret()).await);
    }
}

#[tokio::test]
async fn a_dead_key_stays_dead() {
    let desk = Desk::at_will();
    let revoked = desk.key(&["a"]).await;
    desk.delete(TOKEN, &revoked.path()).await.ok();
    let expired = desk
        .key_for("acme", &["a"], Expiry::In(Duration::from_secs(1)))
        .await;
    let disabled = desk.key(&["a"]).await;
    desk.patch(TOKEN, &disabled.path(), r#"{"enabled": false}"#)
        .await
        .ok();
    desk.clock.advance(Duration::from_secs(1));
    for (key, expected) in [
        (&revoked, (409, "key_revoked")),
        (&expired, (409, "key_expired")),
        (&disabled, (200, "")),
    ] {
        let answer = desk.post(TOKEN, &key.below("rotate"), "{}").await;
        assert_eq!(answer.said(), expected);
    }
}

#[tokio::test]
async fn a_caller_that_was_revoked_elsewhere_a_moment_ago_rotates_and_mints_nothing() {
    for desk in Desk::everywhere().await {
        let caller = desk.key(&["keys:admin", "a"]).await;
        let target = desk.key(&["a"]).await;
        let replica = desk.replica();
        replica.keyring.ready().await.unwrap();
        assert!(replica.opens(&caller.secret).await);
        desk.keyring.revoke(&caller.id, None).await.unwrap();
        // It still remembers the caller, until a write looks at the row.
        let listed = replica.get(&caller.secret, "/keys").await;
        assert_eq!(listed.status, 200);
        let calls = [
            ("/keys".to_owned(), r#"{"name": "n", "scopes": []}"#),
            (target.below("rotate"), "{}"),
            ("/keys/key_0000000000000000/rotate".to_owned(), "{}"),
            ("/keys/revoke".to_owned(), r#"{"all": true, "reason": "r"}"#),
        ];
        for (path, body) in calls {
            let answer = replica.post(&caller.secret, &path, body).await;
            assert_eq!(answer.said(), (401, "invalid_token"), "{path}");
        }
        let patched = replica.patch(&caller.secret, &target.path(), "{}").await;
        assert_eq!(patched.said(), (401, "invalid_token"));
        let ended = replica
            .delete(&caller.secret, &target.below("previous"))
            .await;
        assert_eq!(ended.said(), (401, "invalid_token"));
        assert!(desk.opens(&target.secret).await);
        let keys = desk.get(TOKEN, "/keys").await;
        assert_eq!(keys.body["keys"].as_array().unwrap().len(), 2);
    }
}
