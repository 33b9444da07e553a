//! What a body may be.

use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderValue, Method};

use crate::late::Late;
use crate::world::{ADMIN_TOKEN, World, key_path, request};

on_every_store!(
    sixty_four_kibibytes_are_the_most,
    what_says_that_it_is_too_large_is_not_waited_for,
    a_body_is_json_by_its_own_account,
    a_body_is_json,
    a_body_nests_128_deep_at_most,
    a_body_is_not_read_for_nobody,
);

/// A key with spaces before it, so that the whole has this many bytes.
fn of_length(bytes: usize) -> String {
    let key = r#"{"name":"n","scopes":[]}"#;
    " ".repeat(bytes - key.len()) + key
}

async fn sixty_four_kibibytes_are_the_most(world: World) {
    for (bytes, told) in [
        (65_535, (201, "")),
        (65_536, (201, "")),
        (65_537, (413, "payload_too_large")),
        (5_000_000, (413, "payload_too_large")),
    ] {
        let whole = world.post(ADMIN_TOKEN, of_length(bytes)).await;
        assert_eq!(whole.told(), told, "{bytes}");
        // Now without saying beforehand how long it is.
        let (late, _asked, send) = Late::body();
        send.send(of_length(bytes)).unwrap();
        let late = world.post(ADMIN_TOKEN, late).await;
        assert_eq!(late.told(), told, "{bytes}");
    }
}

async fn what_says_that_it_is_too_large_is_not_waited_for(world: World) {
    for length in ["65537", "18446744073709551615"] {
        let (late, mut asked, _send) = Late::body();
        let mut request = request(Method::POST, "/admin/keys", ADMIN_TOKEN, late);
        let value = HeaderValue::from_static(length);
        request.headers_mut().insert(CONTENT_LENGTH, value);
        let reply = world.send(request).await;
        assert_eq!(reply.told(), (413, "payload_too_large"), "{length}");
        assert!(asked.try_recv().is_err(), "{length}");
    }
}

async fn a_body_is_json_by_its_own_account(world: World) {
    let target = world.key("a", &[]).await;
    let there = key_path(&target.id);
    let cases: [(&[&str], bool); 12] = [
        (&["application/json"], true),
        (&["APPLICATION/Json"], true),
        (&["application/json; charset=utf-8"], true),
        (&["application/json;charset=\"latin1\""], true),
        (&[], false),
        (&[""], false),
        (&["text/plain"], false),
        (&["text/json"], false),
        (&["application/x-www-form-urlencoded"], false),
        (&["application/merge-patch+json"], false),
        (&["application/json", "application/json"], false),
        (&["application/json, application/json"], false),
    ];
    for (types, accepted) in cases {
        for (method, path, body, status) in [
            (
                Method::POST,
                "/admin/keys",
                r#"{"name":"n","scopes":[]}"#,
                201,
            ),
            (Method::POST, "/admin/keys", "{}", 422),
            (Method::PATCH, &there, "{}", 200),
            (Method::PATCH, &there, "", 400),
        ] {
            let mut request = request(method, path, ADMIN_TOKEN, body);
            request.headers_mut().remove(CONTENT_TYPE);
            for value in types {
                let value = HeaderValue::from_static(value);
                request.headers_mut().append(CONTENT_TYPE, value);
            }
            let reply = world.send(request).await;
            if accepted {
                assert_eq!(reply.status, status, "{types:?} {body}");
            } else {
                let told = (415, "unsupported_media_type");
                assert_eq!(reply.told(), told, "{types:?} {body}");
            }
        }
    }
}

async fn a_body_is_json(world: World) {
    for body in [
        "",
        " ",
        "{",
        "{}}",
        "{} {}",
        "{'name':'n'}",
        "{name:1}",
        r#"{"name":"n",}"#,
        "name=n&scopes=",
        "<name>n</name>",
        "NaN",
        "{\"name\":\"a\nb\"}",
        r#"{"name":"\ud800"}"#,
        "\u{feff}{}",
        "{}//",
    ] {
        let reply = world.post(ADMIN_TOKEN, body).await;
        assert_eq!(reply.told(), (400, "invalid_json"), "{body}");
    }
    let not_utf8 = b"{\"name\":\"\xff\"}".to_vec();
    let reply = world.post(ADMIN_TOKEN, not_utf8).await;
    assert_eq!(reply.told(), (400, "invalid_json"));
}

async fn a_body_nests_128_deep_at_most(world: World) {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    for (depth, told) in [
        (127, (422, "invalid_field")),
        (128, (422, "invalid_field")),
        (129, (400, "invalid_json")),
        (10_000, (400, "invalid_json")),
        (30_000, (400, "invalid_json")),
    ] {
        let reply = world.post(ADMIN_TOKEN, nested(depth)).await;
        assert_eq!(reply.told(), told, "{depth}");
        let member = format!(r#"{{"name":{},"scopes":[]}}"#, nested(depth - 1));
        let reply = world.post(ADMIN_TOKEN, member).await;
        assert_eq!(reply.told(), told, "{depth} in all");
        let open = world.post(ADMIN_TOKEN, "[".repeat(depth)).await;
        assert_eq!(open.told(), (400, "invalid_json"), "{depth} open");
    }
}

async fn a_body_is_not_read_for_nobody(world: World) {
    let reader = world.key("a", &["keys:read"]).await;
    for (token, status) in [("", 401), ("nonsense", 401), (&*reader.secret, 403)] {
        for (method, path) in [
            (Method::POST, "/admin/keys".to_owned()),
            (Method::PATCH, key_path(&reader.id)),
        ] {
            let (late, mut asked, _send) = Late::body();
            let reply = world.send(request(method, &path, token, late)).await;
            assert_eq!(reply.status, status, "{path}");
            assert!(asked.try_recv().is_err(), "{path}");
        }
    }
}
