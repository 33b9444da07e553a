//! Keys are made, open what they grant, and are dead at once when they are taken away.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http2;
use hyper::{Request, StatusCode, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::client::bearer;
use crate::process::{ADMIN_TOKEN, Server, Setup, soon, until};

async fn each_store(test: impl AsyncFn(&Server)) {
    for setup in [Setup::sqlite(), Setup::memory()] {
        test(&setup.start().await).await;
    }
}

#[tokio::test]
async fn a_key_made_with_the_admin_token_opens_what_it_grants() {
    each_store(async |server| {
        let new =
            json!({"name": "nightly export", "owner": "acme-corp", "scopes": ["reports:read"]});
        let key = server.create(new).await;
        let who = json!({
            "key_id": key.id, "owner": "acme-corp", "name": "nightly export",
            "scopes": ["reports:read"],
        });
        for path in ["/v1/ping", "/v1/twin", "/v1/any"] {
            let answer = server.get(path, &key.secret).await.is(200);
            assert_eq!(answer.json(), who, "{path}");
        }
        for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE"] {
            let line = bearer(&key.secret);
            let answer = server.send(method, "/v1/any", &[line.as_bytes()]).await;
            assert_eq!(answer.is(200).json(), who, "{method}");
        }
        server.get("/v1/reports", &key.secret).await.is(200);

        let without = server.a_key().await;
        server.get("/v1/ping", &without.secret).await.is(200);
        let refused = server.get("/v1/reports", &without.secret).await.is(403);
        assert_eq!(refused.code(), "insufficient_scope");
        // A key is no way into the admin API, and the admin token opens nothing else.
        server.get("/admin/keys", &key.secret).await.is(403);
        server.get("/v1/ping", ADMIN_TOKEN).await.is(401);
    })
    .await;
}

#[tokio::test]
async fn a_key_that_is_bound_to_addresses_is_used_from_these_alone() {
    each_store(async |server| {
        for (networks, status) in [
            (json!(["127.0.0.0/8", "::1"]), 200),
            (json!(["192.0.2.0/24"]), 401),
        ] {
            let new = json!({"name": "ci", "scopes": ["keys:read"], "allowed_ips": networks});
            let key = server.create(new).await;
            let line = bearer(&key.secret);
            // No proxy is known here, so that nobody is believed.
            let forged = b"x-forwarded-for: 192.0.2.1";
            for path in ["/v1/ping", "/admin/keys"] {
                let answer = server.send("GET", path, &[line.as_bytes(), forged]).await;
                answer.is(status);
            }
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_done_to_a_key_holds_for_the_very_next_request() {
    each_store(async |server| {
        let key = server.a_key().await;
        for _ in 0..10 {
            assert!(server.opens(&key).await, "warm");
            server.enable(&key, false).await;
            assert!(!server.opens(&key).await, "disabled");
            server.enable(&key, true).await;
        }
        assert!(server.opens(&key).await);
        server.revoke(&key).await;
        assert!(!server.opens(&key).await, "revoked");
        // For ever, and with the first reason kept.
        let path = format!("/keys/{}", key.id);
        let first = server.admin("DELETE", &path, Value::Null).await.is(200);
        let again = format!("{path}?reason=later");
        assert_eq!(
            server.admin("DELETE", &again, Value::Null).await.json(),
            first.json()
        );
        let enable = server.admin("PATCH", &path, json!({"enabled": true}));
        assert_eq!(enable.await.is(409).code(), "key_revoked");
        assert!(!server.opens(&key).await);
    })
    .await;
}

#[tokio::test]
async fn an_expired_key_opens_nothing_though_it_is_remembered() {
    each_store(async |server| {
        let key = json!({"name": "short", "scopes": [], "expires_in": "5s"});
        let key = server.create(key).await;
        assert!(server.opens(&key).await);
        until(Duration::from_secs(15), "the key expires", async || {
            !server.opens(&key).await
        })
        .await;
        let path = format!("/keys/{}", key.id);
        // The gate lets a key end early by the time that its look-up took.
        until(
            Duration::from_secs(15),
            "it is shown as expired",
            async || {
                let shown = server.admin("GET", &path, Value::Null).await;
                shown.is(200).json()["status"] == "expired"
            },
        )
        .await;
        let changed = server.admin("PATCH", &path, json!({"name": "longer"}));
        assert_eq!(changed.await.is(409).code(), "key_expired");
    })
    .await;
}

#[tokio::test]
async fn a_list_is_read_page_by_page_newest_first() {
    each_store(async |server| {
        let mut ids = Vec::new();
        for n in 0..7 {
            let new = json!({"name": format!("number {n}"), "owner": "acme", "scopes": []});
            ids.insert(0, server.create(new).await.id);
            server.a_key().await;
        }
        let mut listed = Vec::new();
        let mut path = "/keys?owner=acme&limit=3".to_owned();
        let mut pages = 0;
        loop {
            let page = server.admin("GET", &path, Value::Null).await.is(200).json();
            pages += 1;
            for key in page["keys"].as_array().unwrap() {
                assert!(key.get("secret").is_none());
                listed.push(key["id"].as_str().unwrap().to_owned());
            }
            let Some(cursor) = page["next_cursor"].as_str() else {
                break;
            };
            path = format!("/keys?owner=acme&limit=3&cursor={cursor}");
        }
        assert_eq!((listed, pages), (ids, 3));
    })
    .await;
}

#[tokio::test]
async fn a_key_of_an_owner_manages_that_owner_s_keys_and_no_others() {
    each_store(async |server| {
        let new = json!({"name": "manager", "owner": "acme",
                         "scopes": ["keys:write", "reports:read"]});
        let manager = server.create(new).await.secret;
        let strange = server.a_key().await;
        let call = async |method: &str, path: &str, body: Value| {
            let answer = server.try_admin(&manager, method, path, &body).await;
            answer.expect("an answer")
        };
        let made = call(
            "POST",
            "/keys",
            json!({"name": "n", "scopes": ["reports:read"]}),
        )
        .await;
        assert_eq!(made.clone().is(201).json()["key"]["owner"], "acme");
        let location = made.header("location").expect("a location").to_owned();
        call("GET", &format!("/{location}"), Value::Null)
            .await
            .is(200);

        for body in [
            json!({"name": "n", "scopes": ["*"]}),
            json!({"name": "n", "scopes": ["reports:write"]}),
            json!({"name": "n", "scopes": ["keys:admin"]}),
            json!({"name": "n", "scopes": [], "owner": "somebody else"}),
        ] {
            let refused = call("POST", "/keys", body).await.is(403);
            assert_eq!(refused.code(), "exceeds_caller");
        }
        let path = format!("/keys/{}", strange.id);
        let missing = "/keys/key_0000000000000000";
        for method in ["GET", "DELETE"] {
            let strange = call(method, &path, Value::Null).await.is(404);
            assert_eq!(strange, call(method, missing, Value::Null).await);
        }
        let listed = call("GET", "/keys?owner=admin", Value::Null).await.is(200);
        assert_eq!(listed.json()["keys"], json!([]));
        assert!(server.opens(&strange).await);
    })
    .await;
}

#[tokio::test]
async fn health_is_for_everybody() {
    each_store(async |server| {
        let answer = server.send("GET", "/health", &[]).await.is(200);
        assert_eq!(answer.json()["status"], "ok");
    })
    .await;
}

#[tokio::test]
async fn http_2_with_prior_knowledge_is_spoken_on_the_same_port() {
    let setup = Setup::sqlite();
    let server = setup.start().await;
    let key = server.a_key().await;
    let stream = TcpStream::connect(server.address).await.unwrap();
    let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (mut client, connection) = soon("a handshake", handshake).await.unwrap();
    tokio::spawn(connection);
    let mut get = async |path: &str, credential: &str| {
        let request = Request::get(format!("http://{}{path}", server.address))
            .header("authorization", format!("Bearer {credential}"))
            .body(Empty::<Bytes>::new())
            .unwrap();
        let answer = soon("an answer", client.send_request(request)).await;
        let answer = answer.unwrap();
        assert_eq!(answer.version(), Version::HTTP_2);
        let status = answer.status();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice::<Value>(&body).unwrap())
    };
    let (status, body) = get("/v1/ping", &key.secret).await;
    assert_eq!((status, &body["key_id"]), (StatusCode::OK, &json!(key.id)));
    assert_eq!(
        get("/v1/reports", &key.secret).await.0,
        StatusCode::FORBIDDEN
    );
    assert_eq!(get("/v1/ping", "no key").await.0, StatusCode::BAD_REQUEST);
    server.revoke(&key).await;
    let (status, body) = get("/v1/ping", &key.secret).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert_eq!(body["code"], "invalid_token");
}
