//! `PATCH /keys/{id}`.

use std::time::Duration;

use portcullis::keyring::{Builder, Expiry};
use serde_json::{Value, json};

use crate::desk::{Desk, TOKEN};

#[tokio::test]
async fn what_is_given_replaces_what_was_there_and_the_rest_stays() {
    let steps = [
        (r#"{"name": "  b "}"#, "name", json!("b")),
        (
            r#"{"scopes": ["z", "a", "a"]}"#,
            "scopes",
            json!(["a", "z"]),
        ),
        (r#"{"scopes": []}"#, "scopes", json!([])),
        (
            r#"{"expires_at": "2100-01-01T01:00:00.5+01:00"}"#,
            "expires_at",
            json!("2100-01-01T00:00:00.5Z"),
        ),
        (r#"{"expires_at": null}"#, "expires_at", json!(null)),
        (
            r#"{"metadata": {"a": 1, "b": 2}}"#,
            "metadata",
            json!({"a": 1, "b": 2}),
        ),
        (r#"{"metadata": {"c": 3}}"#, "metadata", json!({"c": 3})),
        (r#"{"metadata": null}"#, "metadata", json!({})),
        (r#"{"enabled": false}"#, "enabled", json!(false)),
        (r#"{"enabled": true}"#, "enabled", json!(true)),
    ];
    for desk in Desk::everywhere().await {
        let key = desk.key(&["a"]).await;
        let mut expected = desk.get(TOKEN, &key.path()).await.body;
        for (body, field, value) in &steps {
            let changed = desk.patch(TOKEN, &key.path(), body).await.ok();
            expected[field] = value.clone();
            let status = if *value == json!(false) {
                "disabled"
            } else {
                "active"
            };
            expected["status"] = json!(status);
            assert_eq!(changed.body, expected, "{body}");
            let shown = desk.get(TOKEN, &key.path()).await;
            assert_eq!(shown.text, changed.text, "{body}");
            let kept = desk.patch(TOKEN, &key.path(), "{}").await.ok();
            assert_eq!(kept.text, changed.text, "{body}");
        }
        let all = r#"{"name": "n", "scopes": ["s"], "expires_at": "2100-01-01T00:00:00Z",
            "metadata": {"m": 1}, "enabled": false}"#;
        let changed = desk.patch(TOKEN, &key.path(), all).await.ok();
        assert_eq!(changed.body["status"], "disabled");
        assert!(!desk.opens(&key.secret).await);
    }
}

#[tokio::test]
async fn each_field_has_its_type_and_null_only_where_it_means_something() {
    let values = [
        ("null", "null"),
        ("a boolean", "true"),
        ("a number", "1"),
        ("a string", "\"x\""),
        ("an array", "[1]"),
        ("an object", "{}"),
    ];
    let fields: [(&str, &[&str]); 5] = [
        ("name", &["a string"]),
        ("scopes", &[]),
        ("enabled", &["a boolean"]),
        ("expires_at", &["null"]),
        ("metadata", &["null", "an object"]),
    ];
    for desk in Desk::everywhere().await {
        let key = desk.key(&["a"]).await;
        for (field, fine) in fields {
            for (kind, value) in values {
                let body = format!(r#"{{"{field}": {value}}}"#);
                let answer = desk.patch(TOKEN, &key.path(), &body).await;
                if fine.contains(&kind) {
                    assert_eq!(answer.status, 200, "{body}");
                } else {
                    assert_eq!(answer.said(), (422, "invalid_field"), "{body}");
                    let in_array = if field == "scopes" && kind == "an array" {
                        "/0"
                    } else {
                        ""
                    };
                    assert_eq!(answer.at(), [format!("#/{field}{in_array}")], "{body}");
                }
            }
        }
        for unknown in [
            "rate_limit",
            "owner",
            "environment",
            "expires_in",
            "id",
            "status",
            "digest",
            "previous",
            "Name",
            "",
        ] {
            let body = format!(r#"{{"{unknown}": null}}"#);
            let answer = desk.patch(TOKEN, &key.path(), &body).await;
            assert_eq!(answer.said(), (422, "invalid_field"), "{body}");
            assert_eq!(answer.at(), [format!("#/{unknown}")], "{body}");
        }
    }
}

#[tokio::test]
async fn a_past_expiry_is_refused_and_names_the_field() {
    let desk = Desk::at_will();
    let key = desk.key(&["a"]).await;
    for (end, status) in [
        ("2029-12-31T23:59:59.999999Z", 422),
        ("2030-01-01T00:00:00Z", 422),
        ("2030-01-01T00:00:00.0000009Z", 422),
        ("2030-01-01T00:00:00.000001Z", 200),
        ("0000-01-01T00:00:00Z", 422),
        ("9999-12-31T23:59:59.999999999Z", 200),
    ] {
        let body = format!(r#"{{"expires_at": "{end}"}}"#);
        for path in [key.path(), "/keys/none".to_owned()] {
            let answer = desk.patch(TOKEN, &path, &body).await;
            match status {
                // Before it is asked whether there is such a key.
                422 => assert_eq!(answer.at(), ["#/expires_at"], "{path} {end}"),
                _ if path.ends_with("none") => assert_eq!(answer.status, 404),
                _ => assert_eq!(answer.status, 200, "{path} {end}"),
            }
        }
    }
}

#[tokio::test]
async fn a_key_neither_extends_itself_nor_gives_itself_more() {
    for desk in Desk::everywhere().await {
        let hour = Expiry::In(Duration::from_hours(1));
        let key = desk.key_for("acme", &["keys:write", "a"], hour).await;
        let end = desk.get(TOKEN, &key.path()).await.body["expires_at"].clone();
        let same = json!({"expires_at": end}).to_string();
        let cases = [
            (r#"{"expires_at": null}"#, 403),
            (r#"{"expires_at": "9999-01-01T00:00:00Z"}"#, 403),
            (r#"{"scopes": ["keys:write", "a", "b"]}"#, 403),
            (r#"{"scopes": ["keys:admin"]}"#, 403),
            (&same, 200),
            (r#"{"name": "other"}"#, 200),
            (r#"{"scopes": ["keys:write"]}"#, 200),
            (r#"{"enabled": false}"#, 200),
        ];
        for (body, status) in cases {
            let answer = desk.patch(&key.secret, &key.path(), body).await;
            assert_eq!(answer.status, status, "{body}");
            if status == 403 {
                assert_eq!(answer.said(), (403, "exceeds_caller"), "{body}");
            }
        }
        assert!(!desk.opens(&key.secret).await, "it has disabled itself");
    }
    for desk in Desk::everywhere_with(Builder::self_renewal).await {
        let hour = Expiry::In(Duration::from_hours(1));
        let key = desk.key_for("acme", &["keys:write", "a"], hour).await;
        let more = r#"{"expires_at": null, "scopes": ["keys:write", "b"]}"#;
        let answer = desk.patch(&key.secret, &key.path(), more).await;
        assert_eq!(answer.said(), (403, "exceeds_caller"));
        let longer = r#"{"expires_at": null}"#;
        let answer = desk.patch(&key.secret, &key.path(), longer).await.ok();
        assert_eq!(answer.body["expires_at"], Value::Null);
    }
}

#[tokio::test]
async fn a_caller_covers_the_key_before_and_after() {
    for desk in Desk::everywhere().await {
        let writer = desk.key(&["keys:write", "a:*"]).await;
        let less = desk.key(&["a:x"]).await;
        let more = desk.key(&["a:x", "b"]).await;
        let cases = [
            ("within", &less, r#"{"scopes": ["a:y", "a:*"]}"#, 200),
            ("more after", &less, r#"{"scopes": ["b"]}"#, 403),
            ("more before", &more, r#"{"scopes": ["a:x"]}"#, 403),
            ("the name of more", &more, r#"{"name": "n"}"#, 403),
            ("metadata of more", &more, r#"{"metadata": null}"#, 403),
            (
                "disabling with another change",
                &more,
                r#"{"enabled": false, "name": "n"}"#,
                403,
            ),
            ("disabling more", &more, r#"{"enabled": false}"#, 200),
            ("enabling more", &more, r#"{"enabled": true}"#, 403),
            ("nothing at all", &more, "{}", 200),
        ];
        for (name, key, body, status) in cases {
            let answer = desk.patch(&writer.secret, &key.path(), body).await;
            assert_eq!(answer.status, status, "{name}: {}", answer.text);
        }
    }
}

#[tokio::test]
async fn a_dead_key_is_not_changed_not_even_by_nothing() {
    let desk = Desk::at_will();
    let revoked = desk.key(&["a"]).await;
    desk.delete(TOKEN, &revoked.path()).await.ok();
    let second = Expiry::In(Duration::from_secs(1));
    let expired = desk.key_for("acme", &["a"], second).await;
    desk.clock.advance(Duration::from_secs(1));
    for (key, code) in [(&revoked, "key_revoked"), (&expired, "key_expired")] {
        for body in [
            "{}",
            r#"{"name": "n"}"#,
            r#"{"enabled": false}"#,
            r#"{"expires_at": null}"#,
        ] {
            let answer = desk.patch(TOKEN, &key.path(), body).await;
            assert_eq!(answer.said(), (409, code), "{body}");
        }
    }
}

#[tokio::test]
async fn a_scope_that_is_not_declared_is_refused() {
    let declared = |builder: Builder| builder.scopes(["a", "b:c"]);
    for desk in Desk::everywhere_with(declared).await {
        let key = desk.key(&["a"]).await;
        let body = r#"{"scopes": ["a", "b:*", "c"]}"#;
        let answer = desk.patch(TOKEN, &key.path(), body).await;
        assert_eq!(answer.said(), (422, "invalid_field"));
        assert_eq!(answer.at(), ["#/scopes/2"]);
    }
}
