//! What nobody sends in earnest is refused with 4xx, and names the field.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use http::Request;
use http_body::Frame;

use crate::desk::{Desk, TOKEN};

#[tokio::test]
async fn an_expiry_is_a_lifetime_or_a_moment_within_reason() {
    let times = [
        ("2030-01-01T00:00:01Z", true),
        ("2030-01-01T00:00:00.000001Z", true),
        ("2030-01-01T00:00:00Z", false),
        ("2029-12-31T23:59:59Z", false),
        ("2030-01-01T00:00:01.123456789Z", true),
        ("2030-01-01T00:00:01.1234567890Z", false),
        ("2030-01-01T00:00:01.0000000000Z", false),
        ("2030-01-01T01:00:00+00:59", true),
        ("2030-01-01T01:00:00+01:00", false),
        ("2029-12-31T23:00:01-01:00", true),
        ("2040-01-01t00:00:00z", true),
        ("2040-01-01 00:00:00Z", false),
        ("2040-01-01T00:00:00", false),
        ("2040-01-01", false),
        ("2040-01-01T00:00:00+24:00", false),
        ("2040-01-01T24:00:00Z", false),
        ("2040-02-30T00:00:00Z", false),
        ("2040-13-01T00:00:00Z", false),
        ("2036-12-31T23:59:60Z", false),
        ("9999-12-31T23:59:59Z", true),
        ("9999-12-31T23:59:59.999999999Z", true),
        ("9999-12-31T23:59:59-00:01", false),
        ("10000-01-01T00:00:00Z", false),
        ("+10000-01-01T00:00:00Z", false),
        ("-0001-01-01T00:00:00Z", false),
        ("0000-01-01T00:00:00Z", false),
        ("99999999999999999999-01-01T00:00:00Z", false),
        ("2040-01-01T00:00:00Z\\u0000", false),
        ("", false),
        ("never", false),
        ("1893456001", false),
    ];
    let lifetimes = [
        ("1s", true),
        ("99999s", true),
        ("99999m", true),
        ("99999h", true),
        ("99999d", true),
        ("7969y", true),
        ("7980y", false),
        ("9999y", false),
        ("99999y", false),
        ("never", true),
        ("0s", false),
        ("00001s", false),
        ("01s", false),
        ("100000s", false),
        ("2147483647s", false),
        ("2147483648s", false),
        ("4294967296s", false),
        ("9223372036854775807s", false),
        ("18446744073709551616s", false),
        ("1w", false),
        ("1S", false),
        ("-1s", false),
        ("+1s", false),
        ("1.5h", false),
        ("1e3s", false),
        ("1 s", false),
        (" 1s", false),
        ("1s ", false),
        ("s", false),
        ("1", false),
        ("", false),
        ("Never", false),
        ("\\u0661d", false),
        ("1s\\u0000", false),
    ];
    let desk = Desk::at_will();
    for (field, cases) in [("expires_at", &times[..]), ("expires_in", &lifetimes[..])] {
        for (value, fine) in cases {
            let body = format!(r#"{{"name": "n", "scopes": [], "{field}": "{value}"}}"#);
            let answer = desk.post(TOKEN, "/keys", &body).await;
            if *fine {
                assert_eq!(answer.status, 201, "{value}: {}", answer.text);
            } else {
                assert_eq!(answer.said(), (422, "invalid_field"), "{value}");
                assert_eq!(answer.at(), [format!("#/{field}")], "{value}");
            }
        }
    }
    let both = r#"{"name": "n", "scopes": [], "expires_at": null, "expires_in": "1d"}"#;
    let answer = desk.post(TOKEN, "/keys", both).await;
    assert_eq!(answer.said(), (422, "invalid_field"));
}

#[tokio::test]
async fn each_field_has_its_type() {
    let values = [
        ("null", "null"),
        ("a boolean", "true"),
        ("a number", "1"),
        ("a huge number", "1e999"),
        ("a string", "\"x\""),
        ("an array", "[1]"),
        ("an object", "{}"),
    ];
    let fields: [(&str, &[&str]); 7] = [
        ("name", &["a string"]),
        ("scopes", &[]),
        ("owner", &["a string"]),
        ("environment", &[]),
        ("expires_at", &["null"]),
        ("expires_in", &[]),
        ("metadata", &["an object"]),
    ];
    for desk in Desk::everywhere().await {
        for (field, fine) in fields {
            for (kind, value) in values {
                let mut members = vec![("name", "\"n\""), ("scopes", "[]")];
                members.retain(|(name, _)| *name != field);
                members.push((field, value));
                let members: Vec<_> = members
                    .iter()
                    .map(|(name, value)| format!(r#""{name}": {value}"#))
                    .collect();
                let body = format!("{{{}}}", members.join(","));
                let answer = desk.post(TOKEN, "/keys", &body).await;
                if fine.contains(&kind) {
                    assert_eq!(answer.status, 201, "{body}");
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
        for unknown in ["rate_limit", "enabled", "__proto__"] {
            let body = format!(r#"{{"name": "n", "scopes": [], "{unknown}": {{}}}}"#);
            let answer = desk.post(TOKEN, "/keys", &body).await;
            assert_eq!(answer.said(), (422, "invalid_field"), "{unknown}");
            assert_eq!(answer.at(), [format!("#/{unknown}")], "{unknown}");
        }
        for (twice, at) in [
            (r#"{"name": "n", "name": "n", "scopes": []}"#, "#/name"),
            (r#"{"name": "n", "scopes": [], "scopes": []}"#, "#/scopes"),
            (r#"{"name": "n", "scopes": [], "n\u0061me": "n"}"#, "#/name"),
            (
                r#"{"name": "n", "scopes": [], "metadata": {}, "metadata": {}}"#,
                "#/metadata",
            ),
        ] {
            let answer = desk.post(TOKEN, "/keys", twice).await;
            assert_eq!(answer.said(), (422, "invalid_field"), "{twice}");
            assert_eq!(answer.at(), [at], "{twice}");
        }
    }
}

#[tokio::test]
async fn a_name_is_text_and_no_more() {
    let long = "é".repeat(100);
    let longer = "é".repeat(101);
    let ten_kilobytes = "n".repeat(10_240);
    let cases: [(&str, Option<&str>); 12] = [
        (
            "<script>alert(1)</script>",
            Some("<script>alert(1)</script>"),
        ),
        ("'; DROP TABLE keys; --", Some("'; DROP TABLE keys; --")),
        ("\\u00a0 n \\u2003", Some("n")),
        ("\\ud83d\\ude00", Some("\u{1f600}")),
        (&long, Some(&long)),
        (&longer, None),
        (&ten_kilobytes, None),
        ("a\\u0000b", None),
        ("a\\nb", None),
        ("a\\u007fb", None),
        ("a\\u009bb", None),
        ("a\\u202eb", None),
    ];
    for desk in Desk::everywhere().await {
        let key = desk.key(&[]).await;
        for (name, kept) in cases {
            let body = format!(r#"{{"name": "{name}", "scopes": []}}"#);
            let made = desk.post(TOKEN, "/keys", &body).await;
            let patched = desk
                .patch(TOKEN, &key.path(), &format!(r#"{{"name": "{name}"}}"#))
                .await;
            if let Some(kept) = kept {
                assert_eq!(made.ok().body["key"]["name"], kept);
                assert_eq!(patched.ok().body["name"], kept);
            } else {
                assert_eq!(
                    (made.said(), made.at()),
                    ((422, "invalid_field"), vec!["#/name"])
                );
                assert_eq!(patched.at(), ["#/name"]);
            }
        }
    }
}

#[tokio::test]
async fn nesting_ends_at_128() {
    for desk in Desk::everywhere().await {
        let key = desk.key(&[]).await;
        for (depth, expected) in [
            (127, (200, "")),
            (128, (200, "")),
            (129, (400, "invalid_json")),
            (10_000, (400, "invalid_json")),
        ] {
            // The body is the first level and metadata the second.
            let inner = "[".repeat(depth - 2) + &"]".repeat(depth - 2);
            let body = format!(r#"{{"metadata": {{"a": {inner}}}}}"#);
            let answer = desk.patch(TOKEN, &key.path(), &body).await;
            assert_eq!(answer.said(), expected, "{depth}");
        }
        let shown = desk.get(TOKEN, &key.path()).await.ok();
        assert!(shown.text.contains(&"[".repeat(126)));
    }
}

/// A body that comes in pieces and does not say how long it is.
struct Endless(usize);

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.0 == 0 {
            return Poll::Ready(None);
        }
        self.0 -= 1;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b' '; 1024])))))
    }
}

#[tokio::test]
async fn five_megabytes_are_refused_announced_or_not() {
    for desk in Desk::everywhere().await {
        let key = desk.key(&[]).await;
        for path in [
            "/keys".to_owned(),
            key.below("rotate"),
            "/keys/revoke".to_owned(),
        ] {
            for announced in [Some(5 << 20), None] {
                let mut request = Request::post(&path)
                    .header("authorization", format!("Bearer {TOKEN}"))
                    .header("content-type", "application/json");
                let body = match announced {
                    Some(length) => {
                        request = request.header("content-length", length);
                        Body::from(vec![b' '; length])
                    }
                    None => Body::new(Endless(5 << 10)),
                };
                let answer = desk.ask(request.body(body).unwrap()).await;
                assert_eq!(
                    answer.said(),
                    (413, "payload_too_large"),
                    "{path} {announced:?}"
                );
            }
        }
    }
}
