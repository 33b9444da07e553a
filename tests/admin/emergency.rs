//! `POST /keys/revoke`.

use crate::desk::{Desk, Held, TOKEN};

/// Makes a key on behalf of another one.
async fn made_by(desk: &Desk, maker: &Held) -> Held {
    let body = r#"{"name": "made", "scopes": ["keys:write"]}"#;
    let made = desk.post(&maker.secret, "/keys", body).await.ok();
    Held {
        id: made.id().parse().unwrap(),
        secret: made.secret(),
    }
}

#[tokio::test]
async fn the_keys_of_an_owner_die_and_those_of_others_live() {
    for desk in Desk::everywhere().await {
        let admin = desk.key_of("boss", &["keys:admin"]).await;
        let (one, two) = (desk.key(&["a"]).await, desk.key(&["b"]).await);
        let dead = desk.key(&["c"]).await;
        desk.delete(TOKEN, &format!("{}?reason=before", dead.path()))
            .await
            .ok();
        let other = desk.key_of("acme2", &["a"]).await;
        let body = r#"{"owner": "acme", "reason": "leaked"}"#;
        let stopped = desk.post(&admin.secret, "/keys/revoke", body).await.ok();
        assert_eq!(stopped.text, r#"{"revoked":2}"#);
        for key in [&one, &two] {
            assert!(!desk.opens(&key.secret).await);
            let shown = desk.get(TOKEN, &key.path()).await;
            assert_eq!(shown.body["revoked_reason"], "leaked");
            assert_eq!(shown.body["revoked_by"], format!("key:{}", admin.id));
        }
        let shown = desk.get(TOKEN, &dead.path()).await;
        assert_eq!(shown.body["revoked_reason"], "before");
        assert!(desk.opens(&other.secret).await);
        let again = desk.post(&admin.secret, "/keys/revoke", body).await.ok();
        assert_eq!(again.text, r#"{"revoked":0}"#);
    }
}

#[tokio::test]
async fn all_that_came_from_a_maker_dies_with_it_or_without_it() {
    for desk in Desk::everywhere().await {
        let root = desk.key(&["keys:write"]).await;
        let child = made_by(&desk, &root).await;
        let grandchild = made_by(&desk, &child).await;
        let beside = desk.key(&["keys:write"]).await;
        let body = format!(r#"{{"created_by": "key:{}", "reason": "r"}}"#, root.id);
        let stopped = desk.post(TOKEN, "/keys/revoke", &body).await.ok();
        assert_eq!(stopped.text, r#"{"revoked":2}"#);
        for (key, lives) in [
            (&root, true),
            (&child, false),
            (&grandchild, false),
            (&beside, true),
        ] {
            assert_eq!(desk.opens(&key.secret).await, lives);
        }
        let by_token = desk
            .post(TOKEN, "/keys", r#"{"name": "n", "scopes": []}"#)
            .await;
        let body = r#"{"created_by": "admin-token", "reason": "r"}"#;
        let stopped = desk.post(TOKEN, "/keys/revoke", body).await.ok();
        assert_eq!(stopped.text, r#"{"revoked":1}"#);
        assert!(!desk.opens(&by_token.secret()).await);
        let body = r#"{"created_by": "system", "reason": "r"}"#;
        let stopped = desk.post(TOKEN, "/keys/revoke", body).await.ok();
        assert_eq!(stopped.text, r#"{"revoked":2}"#);
    }
}

#[tokio::test]
async fn everything_dies_the_caller_included() {
    for desk in Desk::everywhere().await {
        let admin = desk.key(&["keys:admin"]).await;
        let other = desk.key_of("other", &["a"]).await;
        desk.post(TOKEN, &other.below("rotate"), r#"{"grace_seconds": 60}"#)
            .await
            .ok();
        let body = r#"{"all": true, "reason": "the end"}"#;
        let stopped = desk.post(&admin.secret, "/keys/revoke", body).await.ok();
        assert_eq!(stopped.text, r#"{"revoked":2}"#);
        assert!(!desk.opens(&admin.secret).await);
        assert!(!desk.opens(&other.secret).await);
        let again = desk.post(&admin.secret, "/keys/revoke", body).await;
        assert_eq!(again.said(), (401, "invalid_token"));
        // Nothing brings a revoked key back.
        let enabled = desk
            .patch(TOKEN, &other.path(), r#"{"enabled": true}"#)
            .await;
        assert_eq!(enabled.said(), (409, "key_revoked"));
    }
}

#[tokio::test]
async fn it_takes_the_scope_for_all_owners() {
    for desk in Desk::everywhere().await {
        let writer = desk.key(&["keys:write", "*"]).await;
        let body = r#"{"owner": "acme", "reason": "r"}"#;
        let answer = desk.post(&writer.secret, "/keys/revoke", body).await;
        assert_eq!(answer.said(), (403, "insufficient_scope"));
        let challenge = r#"Bearer realm="api", error="insufficient_scope", scope="keys:admin""#;
        assert_eq!(answer.headers["www-authenticate"], challenge);
        // Taken away elsewhere a moment ago, it is missed all the same.
        let admin = desk.key_of("boss", &["keys:admin"]).await;
        let replica = desk.replica();
        replica.keyring.ready().await.unwrap();
        assert!(replica.opens(&admin.secret).await);
        let path = admin.path();
        desk.patch(TOKEN, &path, r#"{"scopes": ["keys:write"]}"#)
            .await
            .ok();
        let answer = replica.post(&admin.secret, "/keys/revoke", body).await;
        assert_eq!(answer.said(), (403, "insufficient_scope"));
        assert_eq!(answer.headers["www-authenticate"], challenge);
        assert!(desk.opens(&writer.secret).await);
    }
}

#[tokio::test]
async fn exactly_one_aim_and_a_reason() {
    let long = format!(r#"{{"all": true, "reason": "{}"}}"#, "é".repeat(501));
    let cases = [
        ("nothing", "{}", vec!["#/reason", "#"]),
        ("no reason", r#"{"all": true}"#, vec!["#/reason"]),
        ("no aim", r#"{"reason": "r"}"#, vec!["#"]),
        (
            "two aims",
            r#"{"all": true, "owner": "o", "reason": "r"}"#,
            vec!["#"],
        ),
        (
            "three aims",
            r#"{"all": true, "owner": "o", "created_by": "system", "reason": "r"}"#,
            vec!["#"],
        ),
        ("not all", r#"{"all": false, "reason": "r"}"#, vec!["#/all"]),
        (
            "all as a text",
            r#"{"all": "true", "reason": "r"}"#,
            vec!["#/all"],
        ),
        (
            "all as null",
            r#"{"all": null, "reason": "r"}"#,
            vec!["#/all"],
        ),
        (
            "owner as null",
            r#"{"owner": null, "reason": "r"}"#,
            vec!["#/owner"],
        ),
        (
            "an empty owner",
            r#"{"owner": "", "reason": "r"}"#,
            vec!["#/owner"],
        ),
        (
            "maker as a number",
            r#"{"created_by": 1, "reason": "r"}"#,
            vec!["#/created_by"],
        ),
        (
            "a bare id",
            r#"{"created_by": "key_0000000000000000", "reason": "r"}"#,
            vec!["#/created_by"],
        ),
        (
            "no id",
            r#"{"created_by": "key:x", "reason": "r"}"#,
            vec!["#/created_by"],
        ),
        (
            "a session without an id",
            r#"{"created_by": "session:", "reason": "r"}"#,
            vec!["#/created_by"],
        ),
        (
            "an empty reason",
            r#"{"all": true, "reason": ""}"#,
            vec!["#/reason"],
        ),
        (
            "a reason as null",
            r#"{"all": true, "reason": null}"#,
            vec!["#/reason"],
        ),
        (
            "a line feed",
            r#"{"all": true, "reason": "a\nb"}"#,
            vec!["#/reason"],
        ),
        ("501 characters", &long, vec!["#/reason"]),
        (
            "an unknown field",
            r#"{"all": true, "reason": "r", "x": 1}"#,
            vec!["#/x"],
        ),
        (
            "all twice",
            r#"{"all": true, "all": true, "reason": "r"}"#,
            vec!["#/all"],
        ),
        ("an array", "[]", vec!["#"]),
    ];
    for desk in Desk::everywhere().await {
        let key = desk.key(&["a"]).await;
        for (name, body, at) in &cases {
            let answer = desk.post(TOKEN, "/keys/revoke", body).await;
            assert_eq!(answer.said(), (422, "invalid_field"), "{name}");
            assert_eq!(answer.at(), *at, "{name}");
        }
        assert!(desk.opens(&key.secret).await);
        let most = format!(r#"{{"owner": "none", "reason": "{}"}}"#, "é".repeat(500));
        let stopped = desk.post(TOKEN, "/keys/revoke", &most).await.ok();
        assert_eq!(stopped.text, r#"{"revoked":0}"#);
    }
}
