//! `metadata`: what the application keeps beside a key.

use crate::desk::{Answer, Desk, TOKEN};

async fn make(desk: &Desk, metadata: &str) -> Answer {
    let body = format!(r#"{{"name": "n", "scopes": [], "metadata": {metadata}}}"#);
    desk.post(TOKEN, "/keys", &body).await
}

#[tokio::test]
async fn it_comes_back_as_it_was_sent() {
    let cases = [
        ("{}", "{}"),
        (
            r#"{ "b" : [1, 2.50, -0, 1E5, 12345678901234567890123456789], "a" : {"c": null} }"#,
            r#"{"b":[1,2.50,-0,1E5,12345678901234567890123456789],"a":{"c":null}}"#,
        ),
        (r#"{"\u00e9":"\u0000<b>\/"}"#, r#"{"é":"\u0000<b>/"}"#),
        (r#"{"": {"": ""}}"#, r#"{"":{"":""}}"#),
        (
            r#"{"a": {"x": 1}, "b": {"x": 1}}"#,
            r#"{"a":{"x":1},"b":{"x":1}}"#,
        ),
        (
            r#"{"$serde_json::private::RawValue": "1"}"#,
            r#"{"$serde_json::private::RawValue":"1"}"#,
        ),
    ];
    for desk in Desk::everywhere().await {
        for (sent, expected) in cases {
            let made = make(&desk, sent).await.ok();
            let expected = format!(r#""metadata":{expected},"enabled""#);
            assert!(made.text.contains(&expected), "{}", made.text);
            let path = format!("/keys/{}", made.id());
            let shown = desk.get(TOKEN, &path).await;
            assert!(shown.text.contains(&expected), "{}", shown.text);
            let body = format!(r#"{{"metadata": {sent}}}"#);
            let patched = desk.patch(TOKEN, &path, &body).await.ok();
            assert_eq!(patched.text, shown.text);
        }
    }
}

#[tokio::test]
async fn four_kibibytes_of_compact_json_are_the_most() {
    for desk in Desk::everywhere().await {
        let of = |length: usize| format!(r#"{{"a":"{}"}}"#, "x".repeat(length - 8));
        let spaced = of(4096).replace(':', "   :\n\t ");
        let escaped = format!(r#"{{"a":"{}"}}"#, "\\u0041".repeat(4088));
        let wide = format!(r#"{{"a":"{}"}}"#, "é".repeat(2044));
        for (name, metadata, status) in [
            ("4096", of(4096), 201),
            ("4097", of(4097), 422),
            ("4096 and space", spaced, 201),
            ("4096 and escapes", escaped, 201),
            ("4096 of two bytes each", wide, 201),
            ("60 KB", of(60_000), 422),
        ] {
            let answer = make(&desk, &metadata).await;
            assert_eq!(answer.status, status, "{name}");
            if status == 422 {
                assert_eq!(answer.at(), ["#/metadata"], "{name}");
            }
        }
    }
}

#[tokio::test]
async fn what_two_readers_would_read_differently_is_named() {
    let long = format!(r#"{{"{0}": 1, "{0}": 2}}"#, "n".repeat(41));
    let deep = format!(
        r#"{}{{"x": 1, "x": 1}}{}"#,
        r#"{"aaaaaaaaaaaaaaaa":"#.repeat(50),
        "}".repeat(50)
    );
    let cases = [
        (r#"{"a": 1, "a": 1}"#, "#/metadata/a"),
        (r#"{"a": 1, "\u0061": 2}"#, "#/metadata/a"),
        (
            r#"{"a": {"b": [0, {"c": 1, "c": 2}]}}"#,
            "#/metadata/a/b/1/c",
        ),
        (r#"{"a/b": {"~": 1, "~": 2}}"#, "#/metadata/a~1b/~0"),
        (r#"{"": 1, "": 1}"#, "#/metadata/"),
        (&long, "#/metadata"),
        (r#"{"a": [1e400]}"#, "#/metadata/a/0"),
        (r#"{"a": -1e999}"#, "#/metadata/a"),
        ("null", "#/metadata"),
        ("[]", "#/metadata"),
        ("\"{}\"", "#/metadata"),
        ("1", "#/metadata"),
        ("true", "#/metadata"),
    ];
    for desk in Desk::everywhere().await {
        for (metadata, at) in cases {
            let answer = make(&desk, metadata).await;
            assert_eq!(answer.said(), (422, "invalid_field"), "{metadata}");
            assert_eq!(answer.at(), [at], "{metadata}");
        }
        let answer = make(&desk, &deep).await;
        assert_eq!(answer.said(), (422, "invalid_field"));
        assert!(answer.text.len() < 1000);
        // A secret in the wrong place does not come back.
        let key = desk.key(&[]).await;
        let twice = format!(r#"{{"{0}": 1, "{0}": 1}}"#, key.secret);
        let answer = make(&desk, &twice).await;
        assert!(!answer.text.contains(&key.secret));
    }
}

#[tokio::test]
async fn a_key_has_its_members_in_order() {
    let members = [
        "id",
        "name",
        "owner",
        "environment",
        "hint",
        "scopes",
        "roles",
        "resources",
        "allowed_ips",
        "metadata",
        "enabled",
        "status",
        "created_at",
        "created_by",
        "expires_at",
        "last_used_at",
        "revoked_at",
        "revoked_by",
        "revoked_reason",
        "previous",
    ];
    for desk in Desk::everywhere().await {
        let key = desk.key(&[]).await;
        let shown = desk.get(TOKEN, &key.path()).await.ok();
        let places: Vec<_> = members
            .iter()
            .map(|name| shown.text.find(&format!(r#""{name}":"#)).unwrap())
            .collect();
        assert!(places.is_sorted(), "{}", shown.text);
        assert_eq!(shown.body.as_object().unwrap().len(), members.len());
    }
}
