//! Callers for whom an outer layer vouches, and the order of all who may call.

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderName, HeaderValue, Method};
use portcullis::ApiKeyLayer;
use portcullis::admin::TrustedCaller;
use portcullis::store::{Provenance, SessionId, Whose};

use crate::world::{ADMIN_TOKEN, World, key_path, request, signed_in};

const BODY: &str = r#"{"name":"n","scopes":["a"]}"#;

on_every_store!(
    a_session_manages_the_keys_of_its_owner,
    a_session_hands_on_what_it_holds,
    a_session_beside_a_bearer_token_is_ambiguous,
    a_session_changes_nothing_for_another_site,
);

fn alice() -> TrustedCaller {
    TrustedCaller::new("alice 1", "acme").unwrap()
}

async fn a_session_manages_the_keys_of_its_owner(world: World) {
    let other = world.key("umbrella", &[]).await;
    let sent = signed_in(&alice(), Method::POST, "/admin/keys", BODY);
    let made = world.send(sent).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let key = &made.json()["key"];
    assert_eq!(key["owner"], "acme");
    assert_eq!(key["created_by"], "session:alice 1");
    assert_eq!(key["environment"], "live");
    assert!(key["expires_at"].is_null());
    let made = made.holder();
    assert_eq!(
        world.get("/admin/keys/current", &made.secret).await.status,
        200
    );

    let by = async |method, path: &str, body: &'static str| {
        world.send(signed_in(&alice(), method, path, body)).await
    };
    let list = by(Method::GET, "/admin/keys", "").await.json();
    assert_eq!(list["keys"].as_array().unwrap().len(), 1);
    let own = key_path(&made.id);
    assert_eq!(by(Method::GET, &own, "").await.status, 200);
    let renamed = by(Method::PATCH, &own, r#"{"name":"x"}"#).await;
    assert_eq!(renamed.json()["name"], "x");
    let rotate = format!("{own}/rotate");
    assert_eq!(by(Method::POST, &rotate, "{}").await.status, 200);

    let others = key_path(&other.id);
    let missing = by(Method::GET, &key_path("key_0000000000000000"), "").await;
    for (method, path) in [
        (Method::GET, &others),
        (Method::PATCH, &others),
        (Method::DELETE, &others),
        (Method::POST, &format!("{others}/rotate")),
    ] {
        let reply = by(method, path, "{}").await;
        assert_eq!(reply.told(), (404, "not_found"), "{path}");
        assert_eq!(reply.text(), missing.text(), "{path}");
    }
    for method in [Method::GET, Method::DELETE] {
        let reply = by(method, "/admin/keys/current", "").await;
        assert_eq!(reply.told(), (404, "not_found"));
    }
    let stop = r#"{"all":true,"reason":"r"}"#;
    let refused = by(Method::POST, "/admin/keys/revoke", stop).await;
    assert_eq!(refused.told(), (403, "insufficient_scope"));

    let gone = by(Method::DELETE, &own, "").await.json();
    assert_eq!(gone["revoked_by"], "session:alice 1");
    // What a session has made is found by it.
    let sent = signed_in(&alice(), Method::POST, "/admin/keys", BODY);
    assert_eq!(world.send(sent).await.status, 201);
    let session = Provenance::Session(SessionId::parse("alice 1").unwrap());
    let revoked = world.keyring.revoke_all(Whose::CreatedBy(session), "left");
    assert_eq!(revoked.await.unwrap(), 1);
}

async fn a_session_hands_on_what_it_holds(world: World) {
    let narrow = alice().scopes(["a:*", "keys:write"]).unwrap();
    let admin = alice().scopes(["keys:admin"]).unwrap();
    let reader = alice().scopes(["*", "keys:read"]).unwrap();
    let cases = [
        (
            "all it may",
            &alice(),
            r#"["*","keys:write"]"#,
            "acme",
            (201, ""),
        ),
        (
            "an admin's",
            &alice(),
            r#"["keys:admin"]"#,
            "acme",
            (403, "exceeds_caller"),
        ),
        (
            "what lies below",
            &narrow,
            r#"["a:x","keys:read"]"#,
            "acme",
            (201, ""),
        ),
        (
            "what lies beside",
            &narrow,
            r#"["b"]"#,
            "acme",
            (403, "exceeds_caller"),
        ),
        (
            "all there is",
            &narrow,
            r#"["*"]"#,
            "acme",
            (403, "exceeds_caller"),
        ),
        (
            "of another owner",
            &alice(),
            "[]",
            "umbrella",
            (403, "exceeds_caller"),
        ),
        (
            "of any owner",
            &admin,
            r#"["keys:admin"]"#,
            "umbrella",
            (201, ""),
        ),
        (
            "who only reads",
            &reader,
            "[]",
            "acme",
            (403, "insufficient_scope"),
        ),
    ];
    for (name, caller, scopes, owner, told) in cases {
        let body = format!(r#"{{"name":"n","scopes":{scopes},"owner":"{owner}"}}"#);
        let sent = signed_in(caller, Method::POST, "/admin/keys", body);
        assert_eq!(world.send(sent).await.told(), told, "{name}");
    }
}

async fn a_session_beside_a_bearer_token_is_ambiguous(world: World) {
    let key = world.key("acme", &["keys:write"]).await.secret;
    let cases = [
        (format!("Bearer {key}"), (400, "ambiguous_caller")),
        (format!("bearer   {key}"), (400, "ambiguous_caller")),
        (format!("Bearer {ADMIN_TOKEN}"), (400, "ambiguous_caller")),
        ("Bearer x".to_owned(), (400, "ambiguous_caller")),
        (
            format!("Bearer {}", "x".repeat(300)),
            (400, "ambiguous_caller"),
        ),
        ("Bearer a,b".to_owned(), (400, "ambiguous_caller")),
        (String::new(), (400, "invalid_request")),
        ("Basic dXNlcjpwYXNz".to_owned(), (200, "")),
    ];
    for (line, told) in cases {
        for method in [Method::GET, Method::DELETE] {
            let wrong_method = method == Method::DELETE && told.0 == 200;
            let mut sent = signed_in(&alice(), method, "/admin/keys", "");
            let value = HeaderValue::try_from(&line).unwrap();
            sent.headers_mut().insert(AUTHORIZATION, value);
            let reply = world.send(sent).await;
            if reply.status != 405 && !wrong_method {
                assert_eq!(reply.told(), told, "{line}");
            }
        }
    }
    for line in ["Basic x", &format!("Bearer {key}")] {
        let mut sent = signed_in(&alice(), Method::GET, "/admin/keys", "");
        for _ in 0..2 {
            let value = HeaderValue::try_from(line).unwrap();
            sent.headers_mut().append(AUTHORIZATION, value);
        }
        assert_eq!(world.send(sent).await.told(), (400, "invalid_request"));
    }

    // The same where a layer in between has taken the key out.
    let app = world
        .router
        .clone()
        .layer(ApiKeyLayer::new(world.keyring.clone()));
    let mut sent = request(Method::GET, "/admin/keys", &key, "");
    sent.extensions_mut().insert(alice());
    let reply = world.send_to(app, sent).await;
    assert_eq!(reply.told(), (400, "ambiguous_caller"));
}

async fn a_session_changes_nothing_for_another_site(world: World) {
    let own = world.key("acme", &["keys:write"]).await;
    let spare = world.key("acme", &[]).await;
    let (path, rotate) = (
        key_path(&spare.id),
        format!("{}/rotate", key_path(&spare.id)),
    );
    let all = [
        (Method::POST, "/admin/keys", BODY),
        (Method::PATCH, &path, r#"{"name":"x"}"#),
        (Method::POST, &rotate, "{}"),
        (Method::DELETE, &format!("{path}/previous"), ""),
        (Method::DELETE, &path, ""),
    ];
    let before = world.shown(&spare.id).await;
    let cases: [(&str, &str); 7] = [
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("sec-fetch-site", "?"),
        ("origin", "https://evil.example"),
        ("origin", "http://app.example:81"),
        ("origin", "http://app.example"),
        ("origin", "null"),
    ];
    for (name, value) in cases {
        let with = |mut sent: axum::http::Request<axum::body::Body>| {
            let headers = sent.headers_mut();
            headers.insert("host", HeaderValue::from_static("app.example"));
            let name = HeaderName::try_from(name).unwrap();
            headers.insert(name, HeaderValue::try_from(value).unwrap());
            sent
        };
        for (method, path, body) in all.clone() {
            let sent = with(signed_in(&alice(), method, path, body));
            let reply = world.send(sent).await;
            assert_eq!(reply.told(), (403, "cross_site_request"), "{name}: {value}");
        }
        let read = with(signed_in(&alice(), Method::GET, &path, ""));
        assert_eq!(world.send(read).await.json(), before, "{name}: {value}");
        for token in [&*own.secret, ADMIN_TOKEN] {
            let made = with(request(
                Method::POST,
                "/admin/keys",
                token,
                r#"{"name":"n","scopes":[]}"#,
            ));
            assert_eq!(world.send(made).await.status, 201, "{name}: {value}");
        }
    }
    for (name, value) in [
        ("sec-fetch-site", "same-origin"),
        ("origin", "https://app.example"),
    ] {
        let mut sent = signed_in(&alice(), Method::POST, "/admin/keys", BODY);
        let headers = sent.headers_mut();
        headers.insert("host", HeaderValue::from_static("app.example"));
        headers.insert(name, HeaderValue::from_static(value));
        assert_eq!(world.send(sent).await.status, 201, "{name}: {value}");
    }
}

#[tokio::test]
async fn a_session_of_some_environments_makes_keys_of_these() {
    let world = World::with(
        |builder| builder.environments(["live", "test"]),
        |admin| admin,
    );
    let tester = alice().environments(["test".parse().unwrap()]);
    let asked = async |body: &'static str| {
        let sent = signed_in(&tester, Method::POST, "/admin/keys", body);
        world.send(sent).await
    };
    assert_eq!(asked(BODY).await.json()["key"]["environment"], "test");
    let live = r#"{"name":"n","scopes":[],"environment":"live"}"#;
    assert_eq!(asked(live).await.told(), (403, "exceeds_caller"));
}

#[tokio::test]
async fn a_page_of_another_origin_may_be_trusted() {
    let world = World::with(
        |builder| builder,
        |admin| admin.trusted_origin("https://front.example").unwrap(),
    );
    for (origin, status) in [
        ("https://front.example", 201),
        ("https://evil.example", 403),
    ] {
        let mut sent = signed_in(&alice(), Method::POST, "/admin/keys", BODY);
        let headers = sent.headers_mut();
        headers.insert("sec-fetch-site", HeaderValue::from_static("cross-site"));
        headers.insert("origin", HeaderValue::from_static(origin));
        assert_eq!(world.send(sent).await.status, status, "{origin}");
    }
}

#[test]
fn what_cannot_be_a_caller() {
    let long = "x".repeat(256);
    for (session, owner, why) in [
        ("", "a", "the id of the session must not be empty"),
        (
            "a\nb",
            "a",
            "the id of the session must not contain control characters",
        ),
        (
            &*long,
            "a",
            "the id of the session must have at most 255 characters",
        ),
        ("s", "", "the owner must not be empty"),
    ] {
        let error = TrustedCaller::new(session, owner).unwrap_err();
        assert_eq!(error.to_string(), why);
    }
    assert!(alice().scopes(["keys:*"]).is_err());
    assert!(alice().roles(["no role"]).is_err());
}
