//! `roles`, `resources` and `allowed_ips`.

use axum::http::Method;
use portcullis::keyring::Builder;
use portcullis::layer::PeerAddress;
use serde_json::{Value, json};

use crate::world::{ADMIN_TOKEN, World, request};

on_every_store!(
    what_narrows_a_key_is_kept_and_shown_in_order,
    null_lifts_a_restriction_where_there_is_one_to_lift,
    an_empty_restriction_is_not_none,
    what_is_wrong_is_named_where_it_is,
    a_restriction_may_be_as_large_as_it_may_be,
    a_key_hands_on_no_more_than_it_may_be_used_on,
    a_request_that_differs_in_them_alone_is_another,
);

async fn what_narrows_a_key_is_kept_and_shown_in_order(world: World) {
    let more = r#","roles":[],"resources":{"topic":["b","a","b"],"project":[]},
        "allowed_ips":["2001:db8::/32","::ffff:192.0.2.1","192.0.2.0/24","192.0.2.1"]"#;
    let made = world.made(ADMIN_TOKEN, more).await.json();
    let expected = json!({"project": [], "topic": ["a", "b"]});
    let networks = json!(["192.0.2.0/24", "192.0.2.1/32", "2001:db8::/32"]);
    let shown = world.shown(made["key"]["id"].as_str().unwrap()).await;
    for key in [&made["key"], &shown] {
        assert_eq!(key["roles"], json!([]));
        assert_eq!(key["resources"], expected);
        assert_eq!(key["allowed_ips"], networks);
    }
}

async fn null_lifts_a_restriction_where_there_is_one_to_lift(world: World) {
    let more = r#","resources":{"p":["1"]},"allowed_ips":["192.0.2.1"]"#;
    let made = world.made(ADMIN_TOKEN, more).await.holder();
    for (field, body) in [
        ("resources", r#"{"resources":null}"#),
        ("allowed_ips", r#"{"allowed_ips":null}"#),
    ] {
        assert!(!world.shown(&made.id).await[field].is_null());
        let changed = world.patch(&made.id, ADMIN_TOKEN, body).await;
        assert!(changed.json()[field].is_null(), "{}", changed.text());
    }
    for field in ["roles", "resources", "allowed_ips"] {
        let body = format!(r#"{{"name":"n","scopes":[],"{field}":null}}"#);
        let reply = world.post(ADMIN_TOKEN, body).await;
        assert_eq!(reply.told(), (422, "invalid_field"), "{field}");
        assert_eq!(reply.places(), [format!("#/{field}")]);
    }
    let reply = world
        .patch(&made.id, ADMIN_TOKEN, r#"{"roles":null}"#)
        .await;
    assert_eq!(reply.told(), (422, "invalid_field"));
}

async fn an_empty_restriction_is_not_none(world: World) {
    let made = world.made(ADMIN_TOKEN, r#","resources":{}"#).await.json();
    assert_eq!(made["key"]["resources"], json!({}));
    // A key that may be used from nowhere is good for nothing.
    let nowhere = r#"{"name":"n","scopes":[],"allowed_ips":[]}"#;
    let reply = world.post(ADMIN_TOKEN, nowhere).await;
    assert_eq!(reply.told(), (422, "invalid_field"));
    assert_eq!(reply.places(), ["#/allowed_ips"]);
}

async fn what_is_wrong_is_named_where_it_is(world: World) {
    let long_id = "i".repeat(256);
    let secret = world.key("a", &[]).await.secret;
    let cases = [
        ("resources", json!([]), vec![""]),
        ("resources", json!("x"), vec![""]),
        ("resources", json!({"p": "x"}), vec!["/p"]),
        ("resources", json!({"p": null}), vec!["/p"]),
        (
            "resources",
            json!({"p": [1, "a", null]}),
            vec!["/p/0", "/p/2"],
        ),
        ("resources", json!({"p": [""]}), vec!["/p/0"]),
        ("resources", json!({"p": ["a\nb"]}), vec!["/p/0"]),
        ("resources", json!({"p": ["a", long_id]}), vec!["/p/1"]),
        ("resources", json!({"": ["a"]}), vec!["/"]),
        (
            "resources",
            json!({"a b": ["a"], "c": ["a"]}),
            vec!["/a%20b"],
        ),
        ("resources", json!({"a/b": ["a"]}), vec!["/a~1b"]),
        ("resources", json!({"p": [secret]}), vec!["/p/0"]),
        ("resources", json!({secret.as_str(): ["a"]}), vec![""]),
        ("roles", json!("x"), vec![""]),
        ("roles", json!(["nobody"]), vec!["/0"]),
        ("roles", json!([1, "a b", ""]), vec!["/0", "/1", "/2"]),
        ("roles", json!([secret]), vec!["/0"]),
        ("allowed_ips", json!("192.0.2.1"), vec![""]),
        ("allowed_ips", json!({}), vec![""]),
        ("allowed_ips", json!(["192.0.2.1", 1]), vec!["/1"]),
        ("allowed_ips", json!(["192.0.2.1/24"]), vec!["/0"]),
        (
            "allowed_ips",
            json!(["192.0.2.0/33", "", "::1/129"]),
            vec!["/0", "/1", "/2"],
        ),
        (
            "allowed_ips",
            json!(["192.0.2.0/24 ", "localhost", "1"]),
            vec!["/0", "/1", "/2"],
        ),
        ("allowed_ips", json!([secret]), vec!["/0"]),
    ];
    let key = world.key("a", &[]).await;
    let before = (world.count().await, world.shown(&key.id).await);
    for (field, value, places) in cases {
        let expected: Vec<_> = places.iter().map(|at| format!("#/{field}{at}")).collect();
        let body = json!({"name": "n", "scopes": [], field: value}).to_string();
        let reply = world.post(ADMIN_TOKEN, body.clone()).await;
        assert_eq!(reply.told(), (422, "invalid_field"), "{body}");
        assert_eq!(reply.places(), expected, "{body}");
        let body = json!({ field: value }).to_string();
        let reply = world.patch(&key.id, ADMIN_TOKEN, body.clone()).await;
        assert_eq!(reply.told(), (422, "invalid_field"), "{body}");
        assert_eq!(reply.places(), expected, "{body}");
    }
    let twice = r#"{"name":"n","scopes":[],"resources":{"p":["1"],"q":[],"p":["2"]}}"#;
    let reply = world.post(ADMIN_TOKEN, twice).await;
    assert_eq!(reply.places(), ["#/resources/p"]);
    assert_eq!((world.count().await, world.shown(&key.id).await), before);
}

async fn a_restriction_may_be_as_large_as_it_may_be(world: World) {
    let ids = |count: usize| {
        (0..count)
            .map(|id| json!(format!("{id:04}")))
            .collect::<Vec<_>>()
    };
    let kinds = |count: usize| -> Value {
        (0..count)
            .map(|kind| (format!("k{kind}"), json!([])))
            .collect()
    };
    let networks = |count: usize| -> Value {
        (0..count)
            .map(|at| json!(format!("10.0.{at}.0/24")))
            .collect()
    };
    for (field, value, fits) in [
        ("resources", json!({"a": ids(500), "b": ids(500)}), true),
        ("resources", json!({"a": ids(500), "b": ids(501)}), false),
        ("resources", kinds(100), true),
        ("resources", kinds(101), false),
        ("allowed_ips", networks(100), true),
        ("allowed_ips", networks(101), false),
    ] {
        let body = json!({"name": "n", "scopes": [], field: value}).to_string();
        let reply = world.post(ADMIN_TOKEN, body).await;
        if fits {
            assert!(reply.json()["key"][field] == value, "{field}");
        } else {
            assert_eq!(reply.told(), (422, "invalid_field"));
            assert_eq!(reply.places(), [format!("#/{field}")]);
        }
    }
}

async fn a_key_hands_on_no_more_than_it_may_be_used_on(world: World) {
    let body = r#"{"name":"n","owner":"a","scopes":["keys:write"],
        "resources":{"p":["1","2"]},"allowed_ips":["192.0.2.0/24"]}"#;
    let caller = world.post(ADMIN_TOKEN, body).await.holder();
    let made = async |fields: Value| {
        let mut body = json!({"name": "n", "scopes": []});
        body.as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        let path = "/admin/keys";
        let mut request = request(Method::POST, path, &caller.secret, body.to_string());
        let office = PeerAddress("192.0.2.7".parse().unwrap());
        request.extensions_mut().insert(office);
        world.send(request).await.told()
    };
    let (some, inside) = (json!({"p": ["2"]}), json!(["192.0.2.128/25"]));
    let exceeds = (403, "exceeds_caller");
    assert_eq!(
        made(json!({"resources": some, "allowed_ips": inside})).await,
        (201, "")
    );
    assert_eq!(
        made(json!({"resources": {}, "allowed_ips": inside})).await,
        (201, "")
    );
    assert_eq!(made(json!({"resources": some})).await, exceeds);
    assert_eq!(made(json!({"allowed_ips": inside})).await, exceeds);
    assert_eq!(
        made(json!({"resources": {"p": ["3"]}, "allowed_ips": inside})).await,
        exceeds
    );
    assert_eq!(
        made(json!({"resources": {"q": ["1"]}, "allowed_ips": inside})).await,
        exceeds
    );
    let outside = json!(["192.0.3.0/24"]);
    assert_eq!(
        made(json!({"resources": some, "allowed_ips": outside})).await,
        exceeds
    );
}

#[tokio::test]
async fn a_request_that_differs_in_its_roles_alone_is_another() {
    let roles = |builder: Builder| builder.role("one", "", ["a"]).role("two", "", ["b"]);
    for world in World::everywhere(roles, |admin| admin).await {
        for (role, told) in [
            ("one", (201, "")),
            ("two", (422, "idempotency_key_reused")),
            ("one", (201, "")),
        ] {
            let body = format!(r#"{{"name":"n","scopes":[],"roles":["{role}"]}}"#);
            let mut request = request(Method::POST, "/admin/keys", ADMIN_TOKEN, body);
            let value = "k".parse().unwrap();
            request.headers_mut().insert("idempotency-key", value);
            assert_eq!(world.send(request).await.told(), told, "{role}");
        }
    }
}

async fn a_request_that_differs_in_them_alone_is_another(world: World) {
    let send = async |again: &str, more: &str| {
        let body = format!(r#"{{"name":"n","scopes":[]{more}}}"#);
        let mut request = request(Method::POST, "/admin/keys", ADMIN_TOKEN, body);
        let value = again.parse().unwrap();
        request.headers_mut().insert("idempotency-key", value);
        world.send(request).await.told()
    };
    let bodies = [
        "",
        r#","resources":{}"#,
        r#","resources":{"a":[]}"#,
        r#","resources":{"a":["1"]}"#,
        r#","allowed_ips":["192.0.2.1"]"#,
        r#","allowed_ips":["192.0.2.2"]"#,
    ];
    for (at, first) in bodies.iter().enumerate() {
        let again = format!("request-{at}");
        assert_eq!(send(&again, first).await, (201, ""));
        for other in bodies {
            let expected = if other == *first {
                (201, "")
            } else {
                (422, "idempotency_key_reused")
            };
            assert_eq!(send(&again, other).await, expected, "{first} {other}");
        }
    }
    let again = "the order of them is nothing";
    let again = again.replace(' ', "-");
    assert_eq!(
        send(&again, r#","resources":{"a":["1","2"],"b":[]}"#).await,
        (201, "")
    );
    assert_eq!(
        send(&again, r#","resources":{"b":[],"a":["2","1"]}"#).await,
        (201, "")
    );
}

#[tokio::test]
async fn roles_are_those_that_the_code_knows_and_hand_on_what_they_grant() {
    let roles = |builder: portcullis::keyring::Builder| {
        builder
            .scopes(["reports:read", "reports:write"])
            .role("read_only", "Reads.", ["reports:read"])
            .role("write_agent", "Reads and writes.", ["reports:*"])
            .role("manager", "Makes keys.", ["keys:write"])
    };
    for world in World::everywhere(roles, |admin| admin).await {
        let body = |roles: Value| json!({"name": "n", "scopes": [], "roles": roles}).to_string();
        let made = world
            .post(
                ADMIN_TOKEN,
                body(json!(["write_agent", "read_only", "read_only"])),
            )
            .await
            .json();
        assert_eq!(made["key"]["roles"], json!(["read_only", "write_agent"]));
        assert_eq!(made["key"]["scopes"], json!([]));

        let reply = world
            .post(ADMIN_TOKEN, body(json!(["read_only", "root"])))
            .await;
        assert_eq!(reply.places(), ["#/roles/1"]);
        for known in ["read_only", "write_agent", "manager"] {
            assert!(reply.text().contains(known), "{}", reply.text());
        }
        let scope = json!({"name": "n", "scopes": ["reports:delete"]}).to_string();
        let reply = world.post(ADMIN_TOKEN, scope).await;
        assert_eq!(reply.places(), ["#/scopes/0"]);
        assert!(reply.text().contains("reports:write"), "{}", reply.text());

        // What a role grants may be handed on, as a role or as scopes, and nothing else.
        let caller =
            json!({"name": "n", "owner": "a", "scopes": ["reports:read"], "roles": ["manager"]});
        let caller = world.post(ADMIN_TOKEN, caller.to_string()).await.holder();
        let made = async |roles: Value| world.post(&caller.secret, body(roles)).await.told();
        assert_eq!(made(json!(["read_only"])).await, (201, ""));
        assert_eq!(made(json!(["manager"])).await, (201, ""));
        assert_eq!(made(json!(["write_agent"])).await, (403, "exceeds_caller"));
        let key = world.post(&caller.secret, body(json!([]))).await.holder();
        let patch = async |body: &str| world.patch(&key.id, &caller.secret, body.to_owned()).await;
        assert_eq!(
            patch(r#"{"roles":["write_agent"]}"#).await.told(),
            (403, "exceeds_caller")
        );
        let changed = patch(r#"{"roles":["read_only"]}"#).await;
        assert_eq!(changed.json()["roles"], json!(["read_only"]));
        assert_eq!(patch(r#"{"roles":[]}"#).await.json()["roles"], json!([]));
    }
}
