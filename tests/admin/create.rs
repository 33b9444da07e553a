//! `POST /keys`.

use axum::http::Method;
use serde_json::{Value, json};

use crate::world::{ADMIN_TOKEN, World, request};

on_every_store!(
    a_new_key_is_shown_whole_and_opens_what_it_grants,
    names_are_trimmed_and_kept_as_they_are,
    what_is_wrong_is_named_and_nothing_is_made,
    everything_that_is_wrong_is_named_at_once,
    scopes_are_sorted_and_there_once,
    an_expiry_is_what_was_asked_for,
    the_admin_tokens_keys_belong_to_admin_and_a_keys_to_its_owner,
);

async fn a_new_key_is_shown_whole_and_opens_what_it_grants(world: World) {
    let body =
        r#"{"name":" ci ","scopes":["keys:read","b","a:*"],"owner":"acme","expires_in":"1d"}"#;
    let reply = world.post(ADMIN_TOKEN, body).await;
    assert_eq!(reply.status, 201);
    let made = reply.json();
    let (key, secret) = (&made["key"], made["secret"].as_str().unwrap());
    let id = key["id"].as_str().unwrap();
    assert_eq!(reply.header("location"), format!("keys/{id}"));
    assert_eq!(made.as_object().unwrap().len(), 2);
    let expected = json!({
        "id": id,
        "name": "ci",
        "owner": "acme",
        "environment": "live",
        "hint": &secret[..14],
        "scopes": ["a:*", "b", "keys:read"],
        "roles": [],
        "resources": null,
        "allowed_ips": null,
        "metadata": {},
        "enabled": true,
        "status": "active",
        "created_at": "2030-01-01T00:00:00Z",
        "created_by": "admin-token",
        "expires_at": "2030-01-02T00:00:00Z",
        "last_used_at": null,
        "revoked_at": null,
        "revoked_by": null,
        "revoked_reason": null,
        "previous": null,
    });
    assert_eq!(*key, expected);
    assert!(secret.starts_with("acme_live_") && secret.len() == 48);

    let shown = world.get(&format!("/admin/keys/{id}"), secret).await;
    assert_eq!(shown.json(), expected);
}

async fn names_are_trimmed_and_kept_as_they_are(world: World) {
    let hundred = "é".repeat(100);
    for (name, kept) in [
        ("\u{2003} x\t\n", "x"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ("'; DROP TABLE keys; --", "'; DROP TABLE keys; --"),
        (r#"a "quoted" \ name"#, r#"a "quoted" \ name"#),
        ("🗝️", "🗝️"),
        ("%00%0a{}", "%00%0a{}"),
        (&hundred, &hundred),
    ] {
        let body = json!({"name": name, "scopes": []}).to_string();
        let made = world.post(ADMIN_TOKEN, body).await.json();
        assert_eq!(made["key"]["name"], kept, "{name}");
        let shown = world.shown(made["key"]["id"].as_str().unwrap()).await;
        assert_eq!(shown["name"], kept, "{name}");
    }
}

/// What is put into a request that is good but for that, and the pointer of the one error.
fn wrong() -> Vec<(Value, String)> {
    let huge = "n".repeat(10_000);
    let mut cases = Vec::new();
    let mut add = |field: &str, pointer: &str, values: &[&str]| {
        for value in values.iter().copied().chain([&*huge]) {
            cases.push((json!({field: value}), pointer.to_owned()));
        }
    };
    add(
        "name",
        "#/name",
        &[
            "",
            " ",
            "\u{2003}",
            "a\nb",
            "a\0b",
            "a\u{7f}b",
            "a\u{85}b",
            "\u{1b}[31m",
            "a\u{202e}b",
            "a\u{200f}",
            "\u{2066}a",
            "\u{61c}a",
            &"é".repeat(101),
        ],
    );
    let owners = ["", "a\nb", "\0", "\u{9f}", &"o".repeat(256)];
    add("owner", "#/owner", &owners);
    let environments = ["", "Live", "test", "live ", "live\0", "*"];
    add("environment", "#/environment", &environments);
    add(
        "expires_at",
        "#/expires_at",
        &[
            "",
            "never",
            "tomorrow",
            "1d",
            "2031-01-01",
            "2031-01-01T00:00:00",
            "2031-01-01T00:00Z",
            "2030-12-31T23:59:60Z",
            "2031-01-01T00:00:00.1234567890Z",
            "2031-01-01T00:00:00.Z",
            "10000-01-01T00:00:00Z",
            "+2031-01-01T00:00:00Z",
            "9999-12-31T23:59:59-00:01",
            "2031-13-01T00:00:00Z",
            "2031-02-29T00:00:00Z",
            "2031-01-01T24:00:00Z",
            "2031-01-01T00:00:00+24:00",
            " 2031-01-01T00:00:00Z",
            "2030-01-01T00:00:00Z",
            "2030-01-01T00:59:59+01:00",
            "2029-12-31T23:59:59.999999Z",
            "0000-01-01T00:00:00Z",
            "1924988400",
        ],
    );
    add(
        "expires_in",
        "#/expires_in",
        &[
            "",
            "0s",
            "00d",
            "01d",
            "100000s",
            "-1d",
            "+1d",
            "1.5h",
            "1 d",
            " 1d",
            "1d ",
            "1d\n",
            "1w",
            "1D",
            "1M",
            "d",
            "90",
            "1h30m",
            "Never",
            "NEVER",
            "\u{663}d",
            "8000y",
            "99999y",
            "18446744073709551616s",
            "1e3s",
            "0x1s",
            "P1D",
            "2031-01-01T00:00:00Z",
        ],
    );
    let long = "s".repeat(65);
    for scope in [
        "",
        " ",
        "a b",
        "keys:*",
        "keys:delete",
        "keys:",
        "a*",
        "*:a",
        "a:*:b",
        "**",
        "é",
        "a\n",
        &long,
        &huge,
    ] {
        cases.push((json!({"scopes": [scope]}), "#/scopes/0".to_owned()));
    }
    // Wrong types, `null` among them where it means nothing.
    for field in ["name", "owner", "environment", "expires_at", "expires_in"] {
        for value in [json!(1), json!(-1.5), json!(true), json!([]), json!({})] {
            cases.push((json!({field: value}), format!("#/{field}")));
        }
    }
    for field in ["name", "owner", "environment", "expires_in", "scopes"] {
        cases.push((json!({field: null}), format!("#/{field}")));
    }
    for value in [json!("a b"), json!({}), json!(0), json!(false)] {
        cases.push((json!({"scopes": value}), "#/scopes".to_owned()));
    }
    for value in [json!(null), json!(["a"]), json!(1)] {
        let scopes = json!({"scopes": ["a", value]});
        cases.push((scopes, "#/scopes/1".to_owned()));
    }
    let many: Vec<String> = (0..101).map(|n| format!("s{n}")).collect();
    cases.push((json!({"scopes": many}), "#/scopes".to_owned()));
    // What nothing enforces yet does not exist yet, and what is not the client's to say neither.
    for field in [
        "rate_limit",
        "id",
        "enabled",
        "status",
        "created_at",
        "created_by",
        "secret",
        "revoked_at",
        "Name",
    ] {
        for value in [json!(null), json!({}), json!("x"), json!([])] {
            cases.push((json!({field: value}), format!("#/{field}")));
        }
    }
    let pointers = [("", "#/"), ("a/b~c d", "#/a~1b~0c%20d"), ("é", "#/%C3%A9")];
    for (field, pointer) in pointers {
        cases.push((json!({field: 1}), pointer.to_owned()));
    }
    cases.push((json!({"x".repeat(41): 1}), "#".to_owned()));
    for (at, within) in [
        (json!("2031-01-01T00:00:00Z"), "1d"),
        (json!(null), "never"),
        (json!(null), "1d"),
    ] {
        let both = json!({"expires_at": at, "expires_in": within});
        cases.push((both, "#/expires_in".to_owned()));
    }
    cases
}

async fn what_is_wrong_is_named_and_nothing_is_made(world: World) {
    for (more, pointer) in wrong() {
        let mut body = json!({"name": "n", "scopes": []});
        let fields = body.as_object_mut().unwrap();
        fields.extend(more.as_object().unwrap().clone());
        let reply = world.post(ADMIN_TOKEN, body.to_string()).await;
        let what: String = more.to_string().chars().take(80).collect();
        assert_eq!(reply.told(), (422, "invalid_field"), "{what}");
        assert_eq!(reply.places(), [pointer], "{what}");
        assert!(reply.body.len() < 500, "{what}: {}", reply.text());
    }
    let cases: [(&str, &[&str]); 10] = [
        ("{}", &["#/name", "#/scopes"]),
        (r#"{"name":"n"}"#, &["#/scopes"]),
        (r#"{"scopes":[]}"#, &["#/name"]),
        ("[]", &["#"]),
        ("null", &["#"]),
        ("1", &["#"]),
        (r#""name""#, &["#"]),
        (r#"{"name":"n","scopes":[],"name":"n"}"#, &["#/name"]),
        (r#"{"name":"n","scopes":[],"n\u0061me":"n"}"#, &["#/name"]),
        (r#"{"name":"n","scopes":[],"x":1,"x":1}"#, &["#/x", "#/x"]),
    ];
    for (body, pointers) in cases {
        let reply = world.post(ADMIN_TOKEN, body).await;
        assert_eq!(reply.told(), (422, "invalid_field"), "{body}");
        assert_eq!(reply.places(), pointers, "{body}");
    }
    assert_eq!(world.count().await, 0);
}

async fn everything_that_is_wrong_is_named_at_once(world: World) {
    let body =
        r#"{"name":"","scopes":["","a",1],"owner":1,"environment":"x","expires_in":"1w","x":1}"#;
    let path = "/admin/keys?dry_run=1&dry_run=2";
    let reply = world
        .send(request(Method::POST, path, ADMIN_TOKEN, body))
        .await;
    let places = [
        "?dry_run",
        "?dry_run",
        "#/x",
        "#/name",
        "#/owner",
        "#/environment",
        "#/scopes/0",
        "#/scopes/2",
        "#/expires_in",
    ];
    assert_eq!(reply.places(), places);

    let many: Vec<String> = (0..5_000).map(|n| format!("\"f{n}\":0")).collect();
    let body = format!("{{{}}}", many.join(","));
    let reply = world.post(ADMIN_TOKEN, body).await;
    assert_eq!(reply.status, 422);
    assert_eq!(reply.places().len(), 20, "bounded");
}

async fn scopes_are_sorted_and_there_once(world: World) {
    let body = r#"{"name":"n","scopes":["b","*","a:*","b","B","keys:admin"]}"#;
    let made = world.post(ADMIN_TOKEN, body).await.json();
    let expected = json!(["*", "B", "a:*", "b", "keys:admin"]);
    assert_eq!(made["key"]["scopes"], expected);
    let hundred: Vec<String> = (0..100).map(|n| format!("s{n}")).collect();
    let body = json!({"name": "n", "scopes": hundred}).to_string();
    assert_eq!(world.post(ADMIN_TOKEN, body).await.status, 201);
}

async fn an_expiry_is_what_was_asked_for(world: World) {
    let cases = [
        ("", Value::Null),
        (r#","expires_at":null"#, Value::Null),
        (r#","expires_in":"never""#, Value::Null),
        (r#","expires_in":"1s""#, json!("2030-01-01T00:00:01Z")),
        (r#","expires_in":"99999s""#, json!("2030-01-02T03:46:39Z")),
        (r#","expires_in":"2m""#, json!("2030-01-01T00:02:00Z")),
        (r#","expires_in":"3h""#, json!("2030-01-01T03:00:00Z")),
        (r#","expires_in":"31d""#, json!("2030-02-01T00:00:00Z")),
        (r#","expires_in":"1y""#, json!("2031-01-01T00:00:00Z")),
        (r#","expires_in":"3y""#, json!("2032-12-31T00:00:00Z")),
        (
            r#","expires_at":"2030-01-01T00:00:00.000001Z""#,
            json!("2030-01-01T00:00:00.000001Z"),
        ),
        (
            r#","expires_at":"2030-01-01T02:00:00.5+01:00""#,
            json!("2030-01-01T01:00:00.5Z"),
        ),
        (
            r#","expires_at":"2031-01-01t00:00:00.123456789z""#,
            json!("2031-01-01T00:00:00.123456Z"),
        ),
        (
            r#","expires_at":"9999-12-31T23:59:59Z""#,
            json!("9999-12-31T23:59:59Z"),
        ),
    ];
    for (more, expected) in cases {
        let made = world.made(ADMIN_TOKEN, more).await.json();
        assert_eq!(made["key"]["expires_at"], expected, "{more}");
        let shown = world.shown(made["key"]["id"].as_str().unwrap()).await;
        assert_eq!(shown["expires_at"], expected, "{more}");
    }
}

async fn the_admin_tokens_keys_belong_to_admin_and_a_keys_to_its_owner(world: World) {
    let made = world.made(ADMIN_TOKEN, "").await.json();
    assert_eq!(made["key"]["owner"], "admin");
    let writer = world.key("a", &["keys:write"]).await;
    let made = world.made(&writer.secret, "").await.json();
    assert_eq!(made["key"]["owner"], "a");
}

#[tokio::test]
async fn a_scope_outside_the_catalogue_is_named() {
    let world = World::with(|b| b.scopes(["reports:read"]), |admin| admin);
    let scopes = r#"["reports:read","report:read","reports:*","x:*","*","keys:read"]"#;
    let body = format!(r#"{{"name":"n","scopes":{scopes}}}"#);
    let reply = world.post(ADMIN_TOKEN, body).await;
    assert_eq!(reply.told(), (422, "invalid_field"));
    assert_eq!(reply.places(), ["#/scopes/1", "#/scopes/3"]);
    let named = "`report:read` is not declared; declared are keys:admin, keys:read, keys:write, \
                 reports:read";
    assert!(reply.text().contains(named), "{}", reply.text());
}
