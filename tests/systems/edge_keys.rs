//! Keys that users make in their own browsers, behind a gateway at the edge.
//!
//! The server takes a name, a hint and a SHA-256 digest, and never sees a key. A user has five keys
//! at most, and a plan that includes the API: to make a key, and to use it.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE};
use axum::http::{Method, StatusCode};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use http_body_util::BodyExt;
use portcullis::admin::{Admin, Minting, Policy, TrustedCaller};
use portcullis::clock::Clock;
use portcullis::key::{Alphabet, ForeignFormat};
use portcullis::keyring::NewKey;
use portcullis::store::SqliteStore;
use portcullis::testing::{FakeClock, FaultStore, Faults};
use portcullis::timestamp::Timestamp;
use portcullis::{ApiKeyLayer, Keyring, Principal, require_scope};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::task::JoinSet;
use tower::ServiceExt;

use crate::canary;

/// What users have paid for.
#[derive(Clone)]
struct Plans {
    plans: Arc<Mutex<HashMap<String, Plan>>>,
    clock: FakeClock,
}

struct Plan {
    api_access: bool,
    valid_until: Timestamp,
}

impl Plans {
    fn buy(&self, user: &str, api_access: bool, valid_until: &str) {
        let valid_until = Timestamp::parse(valid_until).unwrap();
        let plan = Plan {
            api_access,
            valid_until,
        };
        self.plans.lock().unwrap().insert(user.to_owned(), plan);
    }

    fn include_the_api(&self, user: &str) -> bool {
        let plans = self.plans.lock().unwrap();
        plans
            .get(user)
            .is_some_and(|plan| plan.api_access && self.clock.wall() < plan.valid_until)
    }
}

/// Vouches for whoever is signed in.
async fn sessions(mut request: Request, next: Next) -> Response {
    let cookie = request.headers().get(COOKIE);
    let user = cookie.and_then(|cookie| cookie.to_str().ok()?.strip_prefix("session="));
    if let Some(user) = user {
        let caller = TrustedCaller::new(user, user)
            .and_then(|caller| caller.scopes(["keys:write", "sites:publish"]));
        let Ok(caller) = caller else {
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        };
        request.extensions_mut().insert(caller);
    }
    next.run(request).await
}

/// Lets a key in while the plan of its user includes the API, and that of an administrator always.
async fn entitled(
    State(plans): State<Plans>,
    principal: Principal,
    request: Request,
    next: Next,
) -> Response {
    if principal.has_scope("plans:bypass") || plans.include_the_api(principal.owner()) {
        return next.run(request).await;
    }
    let problem = Json(json!({"code": "entitlement_required"}));
    (StatusCode::FORBIDDEN, problem).into_response()
}

/// What is made belongs to the user, and outlives the key.
async fn publish(principal: Principal) -> Json<Value> {
    Json(json!({"site_of": principal.owner()}))
}

struct Edge {
    app: Router,
    keyring: Keyring,
    plans: Plans,
    faults: Faults,
    clock: FakeClock,
    _folder: canary::Folder,
}

impl Edge {
    /// On 2030-01-01T00:00:00Z, where alice and bob have a plan for that month.
    async fn open() -> Self {
        let (clock, folder) = (FakeClock::new(), canary::Folder::new());
        let url = format!("sqlite://{}", folder.path().join("keys.db").display());
        let store = SqliteStore::options(&url).clock(Arc::new(clock.clone()));
        let store = FaultStore::new(store.connect().await.unwrap());
        let faults = store.faults();
        canary::listen();
        let keyring = Keyring::builder(store)
            .prefix("edge")
            .describe_scopes([
                ("sites:publish", "Publish sites."),
                ("plans:bypass", "Go past what the plan of the user says."),
            ])
            .role(
                "administrator",
                "Publishes for everybody.",
                ["sites:publish", "plans:bypass"],
            )
            .accept_foreign(ForeignFormat::new("xx_", Alphabet::Hex, 64).unwrap())
            .last_used_every(Duration::from_mins(5))
            .clock(Arc::new(clock.clone()))
            .build()
            .unwrap();
        keyring.ready().await.unwrap();

        let plans = Plans {
            plans: Arc::default(),
            clock: clock.clone(),
        };
        plans.buy("alice", true, "2030-02-01T00:00:00Z");
        plans.buy("bob", true, "2030-02-01T00:00:00Z");
        let asked = plans.clone();
        let policy = Policy::new()
            .live_keys_per_owner(5)
            .entitlement(move |minting: Minting| {
                let entitled = asked.include_the_api(minting.owner.as_str());
                async move { Ok::<_, Infallible>(entitled) }
            });
        let account = Admin::new(keyring.clone()).policy(policy).unwrap();
        let account = account.self_service_router().layer(from_fn(sessions));
        let gateway = Router::new()
            .route("/sites", post(publish))
            .route_layer(from_fn_with_state(plans.clone(), entitled))
            .route_layer(require_scope("sites:publish"))
            .route_layer(ApiKeyLayer::new(keyring.clone()));
        Self {
            app: gateway.nest("/account", account),
            keyring,
            plans,
            faults,
            clock,
            _folder: folder,
        }
    }

    /// Lets time pass, and the keyring poll as it does in that time.
    async fn advance(&self, by: Duration) {
        self.clock.advance(by);
        self.keyring.sync().await.unwrap();
    }

    /// Makes a key as the page for signed-in users does.
    async fn made(&self, user: &str, key: &MadeByClient) -> Reply {
        self.asked(user, Method::POST, "/account/keys", key.body())
            .await
    }

    async fn must_make(&self, user: &str, key: &MadeByClient) -> String {
        let reply = self.made(user, key).await;
        assert_eq!(reply.said(), (201, ""), "{}", reply.body);
        reply.body["key"]["id"].as_str().unwrap().to_owned()
    }

    async fn revoked(&self, user: &str, id: &str) -> Reply {
        let path = format!("/account/keys/{id}");
        self.asked(user, Method::DELETE, &path, Value::Null).await
    }

    /// What the page shows of this key.
    async fn shown(&self, user: &str, id: &str) -> Value {
        let list = self.list(user).await;
        list.into_iter().find(|key| key["id"] == id).unwrap()
    }

    async fn list(&self, user: &str) -> Vec<Value> {
        let list = self.asked(user, Method::GET, "/account/keys", Value::Null);
        list.await.body["keys"].as_array().unwrap().clone()
    }

    /// Sends what a page of ours sends for a user who is signed in.
    async fn asked(&self, user: &str, method: Method, path: &str, body: Value) -> Reply {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(COOKIE, format!("session={user}"))
            .header("sec-fetch-site", "same-origin")
            .header(CONTENT_TYPE, "application/json");
        let body = match body {
            Value::Null => Body::empty(),
            body => Body::from(body.to_string()),
        };
        send(self.app.clone(), request.body(body).unwrap()).await
    }

    /// Publishes a site with this key.
    async fn published(&self, key: &str) -> Reply {
        send(self.app.clone(), publishing(key)).await
    }
}

fn publishing(key: &str) -> Request {
    let request = Request::builder().method(Method::POST).uri("/sites");
    let request = request.header(AUTHORIZATION, format!("Bearer {key}"));
    request.body(Body::empty()).unwrap()
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

async fn send(app: Router, request: Request) -> Reply {
    let asked = request.method().clone();
    let (parts, body) = app.oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    canary::answer_to(&asked, &parts, &body);
    Reply {
        status: parts.status.as_u16(),
        body: serde_json::from_slice(&body).unwrap_or_default(),
    }
}

/// A key as the page makes it, and what it tells the server.
struct MadeByClient {
    key: String,
    digest: String,
    hint: String,
}

impl MadeByClient {
    /// A page takes random bytes; to the server these are as good as random.
    fn of(seed: &str) -> Self {
        let key = format!("xx_{}", sha256(seed));
        canary::know(&key);
        let (digest, hint) = (sha256(&key), key[..8].to_owned());
        Self { key, digest, hint }
    }

    fn body(&self) -> Value {
        let Self { digest, hint, .. } = self;
        json!({"name": "a laptop", "scopes": ["sites:publish"], "digest": digest, "hint": hint})
    }
}

fn sha256(text: &str) -> String {
    let digest = Sha256::digest(text);
    digest.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    })
}

#[tokio::test]
async fn a_user_has_five_keys_that_the_server_never_sees() {
    let edge = Edge::open().await;
    let mut ids = Vec::new();
    for seed in ["1", "2", "3", "4", "5"] {
        let key = MadeByClient::of(seed);
        assert_eq!(edge.published(&key.key).await.said().0, 401, "not yet");
        let made = edge.made("alice", &key).await;
        assert_eq!(made.said(), (201, ""), "{}", made.body);
        assert!(made.body.get("secret").is_none(), "{}", made.body);
        assert_eq!(made.body["key"]["hint"], key.hint);
        assert!(!made.body.to_string().contains(&key.key[8..]));
        assert!(!made.body.to_string().contains(&key.digest));
        let used = edge.published(&key.key).await;
        assert_eq!((used.status, &used.body["site_of"]), (200, &json!("alice")));
        ids.push(made.body["key"]["id"].as_str().unwrap().to_owned());
    }
    let sixth = MadeByClient::of("6");
    let reached = (409, "key_limit_reached");
    assert_eq!(edge.made("alice", &sixth).await.said(), reached);
    assert_eq!(edge.published(&sixth.key).await.status, 401);
    edge.must_make("bob", &MadeByClient::of("of bob")).await;

    assert_eq!(edge.revoked("alice", &ids[0]).await.status, 200);
    edge.must_make("alice", &sixth).await;
    let seventh = MadeByClient::of("7");
    assert_eq!(edge.made("alice", &seventh).await.said(), reached);
}

#[tokio::test]
async fn a_plan_with_the_api_is_needed_to_make_a_key_and_to_use_it() {
    let edge = Edge::open().await;
    let required = (403, "entitlement_required");
    let key = MadeByClient::of("of carol");
    assert_eq!(edge.made("carol", &key).await.said(), required, "no plan");
    edge.plans.buy("carol", false, "2030-02-01T00:00:00Z");
    assert_eq!(edge.made("carol", &key).await.said(), required, "without");
    edge.plans.buy("carol", true, "2029-12-31T23:59:59Z");
    assert_eq!(edge.made("carol", &key).await.said(), required, "over");
    edge.plans.buy("carol", true, "2030-01-02T00:00:00Z");
    edge.must_make("carol", &key).await;
    assert_eq!(edge.published(&key.key).await.status, 200);

    edge.advance(Duration::from_hours(24)).await;
    assert_eq!(edge.published(&key.key).await.said(), required);
    let other = MadeByClient::of("another of carol");
    assert_eq!(edge.made("carol", &other).await.said(), required);

    // Neither does an administrator need a plan, nor can a user become one.
    let administrator = NewKey::named("support").unwrap().owner("staff").unwrap();
    let administrator = administrator.roles(["administrator"]).unwrap();
    let administrator = edge.keyring.create(administrator).await.unwrap();
    let used = edge.published(administrator.secret.expose()).await;
    assert_eq!((used.status, &used.body["site_of"]), (200, &json!("staff")));
    for (field, wide) in [("roles", "administrator"), ("scopes", "plans:bypass")] {
        let mut body = MadeByClient::of("wide").body();
        body[field] = json!([wide]);
        let reply = edge.asked("alice", Method::POST, "/account/keys", body);
        assert_eq!(reply.await.said(), (403, "exceeds_caller"), "{wide}");
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_new_key_is_told_apart() {
    let edge = Edge::open().await;
    let good = MadeByClient::of("good");
    let wrong = [
        ("name", json!("  "), "#/name"),
        ("hint", json!("yy_01234"), "#/hint"),
        ("hint", json!("xx_0123g"), "#/hint"),
        ("hint", json!(good.key), "#/hint"),
        ("digest", json!(good.digest[1..]), "#/digest"),
        ("digest", json!(good.digest.to_uppercase()), "#/digest"),
        ("digest", json!(good.key), "#/digest"),
    ];
    for (field, value, pointer) in wrong {
        let mut body = good.body();
        body[field] = value;
        let reply = edge
            .asked("alice", Method::POST, "/account/keys", body.clone())
            .await;
        assert_eq!(reply.said(), (422, "invalid_field"), "{body}");
        assert_eq!(reply.body["errors"][0]["pointer"], pointer, "{body}");
        assert!(!reply.body.to_string().contains(&good.key[8..]));
    }
    assert!(edge.list("alice").await.is_empty());
    edge.must_make("alice", &good).await;
    for user in ["alice", "bob"] {
        let again = edge.made(user, &good).await;
        assert_eq!(again.said(), (409, "digest_taken"), "{user}");
    }
}

#[tokio::test]
async fn users_see_and_revoke_their_own_keys_alone() {
    let edge = Edge::open().await;
    let (mine, spare) = (MadeByClient::of("mine"), MadeByClient::of("spare"));
    let theirs = MadeByClient::of("theirs");
    let id = edge.must_make("alice", &mine).await;
    let spare_id = edge.must_make("alice", &spare).await;
    let their_id = edge.must_make("bob", &theirs).await;

    let reply = edge.revoked("alice", &their_id).await;
    assert_eq!(reply.said(), (404, "not_found"));
    assert_eq!(edge.published(&theirs.key).await.status, 200);
    assert_eq!(edge.published(&mine.key).await.status, 200);
    assert_eq!(edge.revoked("alice", &id).await.status, 200);
    assert_eq!(edge.published(&mine.key).await.status, 401, "at once");
    assert_eq!(edge.published(&spare.key).await.status, 200);

    // Once more changes nothing, and neither does time.
    edge.advance(Duration::from_mins(1)).await;
    assert_eq!(edge.revoked("alice", &id).await.status, 200);
    let shown = edge.shown("alice", &id).await;
    assert_eq!(shown["revoked_at"], "2030-01-01T00:00:00Z");
    assert_eq!(shown["revoked_by"], "session:alice");

    let list = edge.list("alice").await;
    let mut listed: Vec<_> = list
        .iter()
        .map(|key| (key["id"].as_str().unwrap(), key["status"].as_str().unwrap()))
        .collect();
    listed.sort_unstable();
    let mut expected = [(&*id, "revoked"), (&*spare_id, "active")];
    expected.sort_unstable();
    assert_eq!(listed, expected);
    for key in list {
        assert_eq!(key["name"], "a laptop");
        assert_eq!(key["created_at"], "2030-01-01T00:00:00Z");
    }
    // Nobody is signed in, and a key of these manages nothing.
    let anonymous = Request::builder().uri("/account/keys").body(Body::empty());
    let anonymous = send(edge.app.clone(), anonymous.unwrap()).await;
    assert_eq!(anonymous.status, 401);
}

#[tokio::test]
async fn a_last_use_is_written_at_most_every_five_minutes() {
    let edge = Edge::open().await;
    let key = MadeByClient::of("used");
    let id = edge.must_make("alice", &key).await;
    let written = async |expected: u64, at: &str| {
        edge.keyring.shutdown().await;
        assert_eq!(edge.faults.touches.calls(), expected, "{at}");
        assert_eq!(edge.shown("alice", &id).await["last_used_at"], at);
    };
    assert!(edge.shown("alice", &id).await["last_used_at"].is_null());
    assert_eq!(edge.published(&key.key).await.status, 200);
    let asked = edge.faults.look_ups.calls();
    for _ in 0..20 {
        assert_eq!(edge.published(&key.key).await.status, 200);
    }
    assert_eq!(edge.faults.look_ups.calls(), asked, "remembered");
    written(1, "2030-01-01T00:00:00Z").await;

    edge.advance(Duration::from_secs(299)).await;
    assert_eq!(edge.published(&key.key).await.status, 200);
    written(1, "2030-01-01T00:00:00Z").await;
    edge.advance(Duration::from_secs(1)).await;
    assert_eq!(edge.published(&key.key).await.status, 200);
    written(2, "2030-01-01T00:05:00Z").await;

    assert_eq!(edge.revoked("alice", &id).await.status, 200);
    edge.advance(Duration::from_mins(10)).await;
    assert_eq!(edge.published(&key.key).await.status, 401);
    written(2, "2030-01-01T00:05:00Z").await;
}

#[tokio::test]
async fn an_unknown_key_is_asked_for_once() {
    let edge = Edge::open().await;
    let (key, look_ups) = (MadeByClient::of("unknown"), &edge.faults.look_ups);
    look_ups.freeze_next(1);
    let mut crowd = JoinSet::new();
    for _ in 0..50 {
        crowd.spawn(send(edge.app.clone(), publishing(&key.key)));
    }
    look_ups.frozen(1).await;
    look_ups.release();
    for reply in crowd.join_all().await {
        assert_eq!(reply.status, 401);
    }
    assert_eq!(look_ups.calls(), 1, "one for the whole crowd");
    for _ in 0..20 {
        assert_eq!(edge.published(&key.key).await.status, 401);
    }
    assert_eq!(look_ups.calls(), 1, "remembered as unknown");

    // That it is unknown is forgotten with the key's making, not some time later.
    edge.must_make("alice", &key).await;
    assert_eq!(edge.published(&key.key).await.status, 200);

    // Where nobody can say whether there is such a key, it is not called a wrong one.
    look_ups.fail();
    let unseen = MadeByClient::of("unseen");
    assert_eq!(edge.published(&unseen.key).await.status, 503);
    assert_eq!(edge.published(&key.key).await.status, 200);
}
