//! Keys of a storage engine's API: two environments, three roles, and BLAKE3 for the digests.
//!
//! The keys that an older release has made, `kv_live_` or `kv_test_` and 48 hexadecimal digits, are
//! brought over by their digests and go on working beside the new ones.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{Method, Request};
use axum::routing::{delete, get, put};
use http_body_util::BodyExt;
use portcullis::admin::Admin;
use portcullis::key::{Alphabet, DigestAlgorithm, ForeignFormat};
use portcullis::store::SqliteStore;
use portcullis::testing::FakeClock;
use portcullis::{ApiKeyLayer, Keyring, require_scope};
use serde_json::{Value, json};
use sha2::Digest;
use tower::ServiceExt;

use crate::canary;

const BOOTSTRAP: &str = "8e73b0f7da0e6452c810f32b809079e5";

/// As the older release made them.
const OLD_LIVE: &str = "kv_live_603deb1015ca71be2b73aef0857d77811f352c073b6108d7";
const OLD_TEST: &str = "kv_test_603deb1015ca71be2b73aef0857d77811f352c073b6108d7";

/// The objects of one environment.
fn objects(keyring: &Keyring, environment: &str) -> Router {
    let layer = ApiKeyLayer::new(keyring.clone());
    let read = get(async || "an object").layer(require_scope("objects:read"));
    let write = put(async || "written").layer(require_scope("objects:write"));
    let drop = delete(async || "dropped").layer(require_scope("engine:drop"));
    Router::new()
        .route("/objects", read.merge(write).merge(drop))
        .route_layer(layer.environments([environment]).unwrap())
}

struct Engine {
    app: Router,
    keyring: Keyring,
    clock: FakeClock,
    /// Secrets of the role `admin`, made with the bootstrap token: a key makes keys of its own
    /// environment alone.
    live_admin: String,
    test_admin: String,
    _folder: canary::Folder,
}

struct Key {
    id: String,
    secret: String,
}

impl Engine {
    async fn open() -> Self {
        let (clock, folder) = (FakeClock::new(), canary::Folder::new());
        let url = format!("sqlite://{}", folder.path().join("keys.db").display());
        let store = SqliteStore::options(&url).clock(Arc::new(clock.clone()));
        let old = |prefix, environment: &str| {
            let format = ForeignFormat::new(prefix, Alphabet::Hex, 48).unwrap();
            format.environment(environment.parse().unwrap())
        };
        canary::listen();
        let keyring = Keyring::builder(store.connect().await.unwrap())
            .prefix("kv")
            .environments(["live", "test"])
            .digest(DigestAlgorithm::blake3())
            .accept_foreign(old("kv_live_", "live"))
            .accept_foreign(old("kv_test_", "test"))
            .describe_scopes([
                ("objects:read", "Read objects."),
                ("objects:write", "Write objects."),
                ("engine:drop", "Drop everything."),
            ])
            .role("read_only", "Reads.", ["objects:read"])
            .role(
                "write_agent",
                "Reads and writes.",
                ["objects:read", "objects:write"],
            )
            .role("admin", "Does everything.", ["*", "keys:admin"])
            .clock(Arc::new(clock.clone()))
            .build()
            .unwrap();
        keyring.ready().await.unwrap();
        let management = Admin::new(keyring.clone())
            .bootstrap_token(BOOTSTRAP)
            .unwrap();
        let app = Router::new()
            .nest("/live", objects(&keyring, "live"))
            .nest("/test", objects(&keyring, "test"))
            .nest("/admin", management.router());
        let mut engine = Self {
            app,
            keyring,
            clock,
            live_admin: BOOTSTRAP.to_owned(),
            test_admin: BOOTSTRAP.to_owned(),
            _folder: folder,
        };
        engine.live_admin = engine.minted("admin", "live").await.secret;
        engine.test_admin = engine.minted("admin", "test").await.secret;
        engine
    }

    /// A key with this role, made by the administrator.
    async fn minted(&self, role: &str, environment: &str) -> Key {
        let reply = self.post("/admin/keys", wanted(role, environment)).await;
        assert_eq!(reply.status, 201, "{}", reply.body);
        let secret = reply.body["secret"].as_str().unwrap();
        assert!(secret.starts_with(&format!("kv_{environment}_")));
        assert_eq!(reply.body["key"]["roles"], json!([role]));
        Key {
            id: reply.body["key"]["id"].as_str().unwrap().to_owned(),
            secret: secret.to_owned(),
        }
    }

    async fn post(&self, path: &str, body: Value) -> Reply {
        let admin = match body["environment"].as_str() {
            Some("test") => &self.test_admin,
            _ => &self.live_admin,
        };
        self.send(Method::POST, path, admin, body).await
    }

    async fn patch(&self, key: &Key, body: Value) -> Reply {
        let path = format!("/admin/keys/{}", key.id);
        self.send(Method::PATCH, &path, &self.live_admin, body)
            .await
    }

    /// Status of reading an object there with this key.
    async fn read(&self, environment: &str, secret: &str) -> u16 {
        let path = format!("/{environment}/objects");
        let reply = self.send(Method::GET, &path, secret, Value::Null).await;
        reply.status
    }

    async fn send(&self, method: Method, path: &str, secret: &str, body: Value) -> Reply {
        canary::know(secret);
        let asked = method.clone();
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(AUTHORIZATION, format!("Bearer {secret}"))
            .header(CONTENT_TYPE, "application/json");
        let body = match body {
            Value::Null => Body::empty(),
            body => Body::from(body.to_string()),
        };
        let request = request.body(body).unwrap();
        let response = self.app.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        canary::answer_to(&asked, &parts, &body);
        Reply {
            status: parts.status.as_u16(),
            body: serde_json::from_slice(&body).unwrap_or_default(),
        }
    }
}

struct Reply {
    status: u16,
    body: Value,
}

impl Reply {
    /// The status and, of a problem, its code.
    fn said(&self) -> (u16, &str) {
        (self.status, self.body["code"].as_str().unwrap_or_default())
    }
}

fn wanted(role: &str, environment: &str) -> Value {
    json!({
        "name": "a service",
        "owner": "storage",
        "environment": environment,
        "scopes": [],
        "roles": [role],
    })
}

fn hex(digest: &[u8]) -> String {
    digest.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}

#[tokio::test]
async fn a_role_opens_what_it_grants_in_its_own_environment() {
    let engine = Engine::open().await;
    let roles = [
        ("read_only", [200, 403, 403, 403]),
        ("write_agent", [200, 200, 403, 403]),
        ("admin", [200, 200, 200, 200]),
    ];
    for (environment, elsewhere) in [("live", "test"), ("test", "live")] {
        for (role, expected) in roles {
            let key = engine.minted(role, environment).await;
            let (here, there) = (
                format!("/{environment}/objects"),
                format!("/{elsewhere}/objects"),
            );
            let calls = [
                (Method::GET, &*here),
                (Method::PUT, &*here),
                (Method::DELETE, &*here),
                (Method::GET, "/admin/keys"),
            ];
            for ((method, path), expected) in calls.into_iter().zip(expected) {
                let what = format!("{role} of {environment}: {method} {path}");
                let reply = engine.send(method, path, &key.secret, Value::Null).await;
                assert_eq!(reply.status, expected, "{what}: {}", reply.body);
            }
            for method in [Method::GET, Method::PUT, Method::DELETE] {
                let reply = engine.send(method, &there, &key.secret, Value::Null).await;
                assert_eq!(reply.status, 401, "{role} of {environment}");
            }
            // Not even somebody who works here gets any further alone.
            let mint = wanted("admin", environment);
            let minted = engine.send(Method::POST, "/admin/keys", &key.secret, mint);
            let expected = if role == "admin" { 201 } else { 403 };
            assert_eq!(minted.await.status, expected, "{role}");
        }
    }
}

#[tokio::test]
async fn what_cannot_be_made_is_refused_with_what_can() {
    let engine = Engine::open().await;
    let long = "x".repeat(101);
    let wrong = [
        ("environment", json!("prod"), "#/environment", "live, test"),
        ("roles", json!(["root"]), "#/roles/0", "write_agent"),
        ("name", json!(""), "#/name", "empty"),
        ("name", json!(long), "#/name", "100"),
    ];
    for (field, value, pointer, said) in wrong {
        let mut body = wanted("read_only", "live");
        body[field] = value;
        let reply = engine.post("/admin/keys", body.clone()).await;
        assert_eq!(reply.said(), (422, "invalid_field"), "{body}");
        let error = &reply.body["errors"][0];
        assert_eq!(error["pointer"], pointer, "{body}");
        assert!(error["detail"].as_str().unwrap().contains(said), "{error}");
    }
    let mut body = wanted("read_only", "live");
    body["name"] = json!(long[1..]);
    assert_eq!(engine.post("/admin/keys", body).await.status, 201);
}

#[tokio::test]
async fn keys_of_the_older_release_open_by_their_blake3_digests() {
    let engine = Engine::open().await;
    let import = |key: &str, digest: String| {
        let mut body = wanted("read_only", &key[3..7]);
        (body["hint"], body["digest"]) = (json!(key[..12]), json!(digest));
        body
    };
    let blake3 = |key: &str| hex(blake3::hash(key.as_bytes()).as_bytes());
    let sha256 = hex(&sha2::Sha256::digest(OLD_LIVE));
    let other = import(OLD_LIVE, sha256);
    assert_eq!(engine.post("/admin/keys", other).await.status, 201);
    assert_eq!(engine.read("live", OLD_LIVE).await, 401, "another digest");

    for (key, environment, elsewhere) in [(OLD_LIVE, "live", "test"), (OLD_TEST, "test", "live")] {
        let made = engine.post("/admin/keys", import(key, blake3(key))).await;
        assert_eq!(made.status, 201, "{}", made.body);
        assert_eq!(made.body["key"]["hint"], key[..12]);
        assert_eq!(made.body["key"]["environment"], environment);
        assert_eq!(engine.read(environment, key).await, 200);
        assert_eq!(engine.read(elsewhere, key).await, 401);
        let again = engine.post("/admin/keys", import(key, blake3(key))).await;
        assert_eq!(again.said(), (409, "digest_taken"));
        for wrong in [blake3(key)[2..].to_owned(), "g".repeat(64)] {
            let reply = engine.post("/admin/keys", import(key, wrong)).await;
            assert_eq!(reply.said(), (422, "invalid_field"));
        }
        let mut other = import(key, blake3(&key[1..]));
        other["environment"] = json!(elsewhere);
        let reply = engine.post("/admin/keys", other).await;
        assert_eq!(reply.body["errors"][0]["pointer"], "#/hint");
    }
    // A new key is known by the same kind of digest.
    let new = engine.minted("read_only", "live").await;
    let taken = import(OLD_LIVE, blake3(&new.secret));
    let reply = engine.post("/admin/keys", taken).await;
    assert_eq!(reply.said(), (409, "digest_taken"));
}

#[tokio::test]
async fn a_key_is_disabled_and_enabled_with_the_same_secret() {
    let engine = Engine::open().await;
    let key = engine.minted("write_agent", "live").await;
    for (enabled, status, expected) in [
        (false, "disabled", 401),
        (true, "active", 200),
        (false, "disabled", 401),
    ] {
        let changed = engine.patch(&key, json!({"enabled": enabled})).await;
        assert_eq!(
            (changed.status, &changed.body["status"]),
            (200, &json!(status))
        );
        assert_eq!(engine.read("live", &key.secret).await, expected, "{status}");
    }
    let path = "/admin/keys?status=disabled";
    let list = engine
        .send(Method::GET, path, &engine.live_admin, Value::Null)
        .await;
    assert_eq!(list.status, 200, "{}", list.body);
    assert_eq!(list.body["keys"].as_array().unwrap().len(), 1);
    assert_eq!(list.body["keys"][0]["id"], key.id);
}

#[tokio::test]
async fn a_rotation_changes_the_secret_and_nothing_else() {
    let engine = Engine::open().await;
    let mut body = wanted("write_agent", "live");
    body["expires_in"] = json!("3600s");
    let made = engine.post("/admin/keys", body).await.body;
    let old = made["secret"].as_str().unwrap();
    let id = made["key"]["id"].as_str().unwrap();
    assert_eq!(made["key"]["expires_at"], "2030-01-01T01:00:00Z");
    assert_eq!(engine.read("live", old).await, 200);

    engine.clock.advance(Duration::from_mins(59));
    engine.keyring.sync().await.unwrap();
    let path = format!("/admin/keys/{id}/rotate");
    let rotated = engine.post(&path, json!({})).await;
    assert_eq!(rotated.status, 200, "{}", rotated.body);
    let new = rotated.body["secret"].as_str().unwrap();
    for field in ["id", "name", "owner", "environment", "roles", "expires_at"] {
        assert_eq!(rotated.body["key"][field], made["key"][field], "{field}");
    }
    assert!(new.starts_with("kv_live_"));
    assert_eq!(engine.read("live", old).await, 401, "at once");
    assert_eq!(engine.read("live", new).await, 200);

    // A rotation is no way to live longer.
    engine.clock.advance(Duration::from_mins(1));
    engine.keyring.sync().await.unwrap();
    assert_eq!(engine.read("live", new).await, 401);
}

#[tokio::test]
async fn a_revoked_key_is_dead_for_good_and_an_unknown_one_is_not_found() {
    let engine = Engine::open().await;
    let key = engine.minted("read_only", "live").await;
    assert_eq!(engine.read("live", &key.secret).await, 200);
    let revoke = async |id: &str| {
        let path = format!("/admin/keys/{id}");
        let secret = &engine.live_admin;
        engine
            .send(Method::DELETE, &path, secret, Value::Null)
            .await
    };
    assert_eq!(revoke(&key.id).await.body["status"], "revoked");
    assert_eq!(engine.read("live", &key.secret).await, 401);
    let enabled = engine.patch(&key, json!({"enabled": true})).await;
    assert_eq!(enabled.said(), (409, "key_revoked"));
    assert_eq!(engine.read("live", &key.secret).await, 401);
    for id in ["key_0000000000000000", "no-id"] {
        assert_eq!(revoke(id).await.said(), (404, "not_found"), "{id}");
    }
}

#[tokio::test]
async fn the_openapi_document_tells_of_every_call() {
    let engine = Engine::open().await;
    let path = "/admin/openapi.json";
    let nobody = engine.send(Method::GET, path, "", Value::Null).await;
    assert!(nobody.status >= 400, "{}", nobody.status);
    let key = engine.minted("read_only", "live").await;
    let document = engine.send(Method::GET, path, &key.secret, Value::Null);
    let document = document.await.body;
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["servers"], json!([{"url": "/admin"}]));
    for (path, method, status) in [
        ("/keys", "get", "200"),
        ("/keys", "post", "201"),
        ("/keys/{id}", "patch", "200"),
        ("/keys/{id}", "delete", "200"),
        ("/keys/{id}/rotate", "post", "200"),
    ] {
        let responses = &document["paths"][path][method]["responses"];
        for status in [status, "401", "403", "503"] {
            assert!(responses[status].is_object(), "{method} {path}: {status}");
        }
    }
}
