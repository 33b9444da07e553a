//! A mesh of peers that lets programs from outside in: each key belongs to a mesh, has some of a
//! fixed set of capabilities, and may be bound to topics.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Request};
use axum::http::header::{CONNECTION, UPGRADE};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get as on_get, post as on_post, put};
use portcullis::admin::{Admin, TrustedCaller};
use portcullis::keyring::Keyring;
use portcullis::resources::Resources;
use portcullis::store::SqliteStore;
use portcullis::testing::FakeClock;
use portcullis::{ApiKeyLayer, Principal, require_resource, require_scope};
use serde_json::{Value, json};

use crate::asking::{Answer, With, delete, get, post, request, send, session_of};
use crate::canary;

/// What the service itself comes with.
const SERVICE: With<'_> = With::Bearer("30c81c46a35ce411e5fbc1191a0a52ef");
const CAPABILITIES: [&str; 4] = ["admin", "read", "send", "state_write"];
const KEYS: &str = "/members/keys";

struct Mesh {
    app: Router,
    _folder: canary::Folder,
}

impl Mesh {
    async fn start() -> Self {
        let (clock, folder) = (Arc::new(FakeClock::new()), canary::Folder::new());
        let url = format!("sqlite://{}", folder.path().join("keys.db").display());
        let store = SqliteStore::options(&url).clock(clock.clone());
        canary::listen();
        let keyring = Keyring::builder(store.connect().await.unwrap())
            .prefix("mesh")
            .scopes(CAPABILITIES)
            .clock(clock)
            .build()
            .unwrap();
        Self {
            app: app(keyring),
            _folder: folder,
        }
    }

    /// A key that a member makes: its id and its secret.
    async fn key(&self, member: &str, body: Value) -> (String, String) {
        post(&self.app, With::Cookie(member), KEYS, &body)
            .await
            .made()
    }

    async fn topic(&self, key: &str, method: Method, topic: &str) -> u16 {
        let path = format!("/mesh/m1/topics/{topic}");
        let sent = request(With::Bearer(key), method, &path, &Value::Null);
        send(&self.app, sent).await.status
    }
}

fn app(keyring: Keyring) -> Router {
    let topic = || require_resource("topic", "topic");
    let read = on_get(async || "read").route_layer(require_scope("read"));
    let sent = on_post(async || "sent").route_layer(require_scope("send"));
    let outside = Router::new()
        .route("/topics/{topic}", read.merge(sent).route_layer(topic()))
        .route(
            "/topics/{topic}/state",
            put(async || "kept")
                .route_layer(topic())
                .route_layer(require_scope("state_write")),
        )
        .route(
            "/broadcast",
            on_post(broadcast).route_layer(require_scope("send")),
        )
        .route(
            "/members",
            on_get(async || "all").route_layer(require_scope("admin")),
        )
        .route("/socket", on_get(socket).route_layer(require_scope("read")));
    let admin = Admin::new(keyring.clone());
    let members = admin.clone().self_service_router();
    let service = admin.bootstrap_token("30c81c46a35ce411e5fbc1191a0a52ef");
    Router::new()
        .nest("/mesh/{mesh}", outside.route_layer(from_fn(own_mesh)))
        .route_layer(ApiKeyLayer::new(keyring))
        .nest("/members", members.layer(from_fn(member)))
        .nest("/service", service.unwrap().router())
}

/// A key opens its own mesh alone. Of another one it learns nothing, not even that it exists.
async fn own_mesh(
    caller: Principal,
    path: Path<Vec<(String, String)>>,
    request: Request,
    next: Next,
) -> Response {
    let own = |(name, value): &(String, String)| name == "mesh" && value == caller.owner();
    if path.iter().any(own) {
        next.run(request).await
    } else {
        StatusCode::NOT_FOUND.into_response()
    }
}

/// To every topic at once, which takes a key for every topic.
async fn broadcast(caller: Principal) -> StatusCode {
    match caller.resources() {
        None => StatusCode::OK,
        Some(_) => StatusCode::FORBIDDEN,
    }
}

/// The beginning of a connection that then stays.
async fn socket(headers: HeaderMap) -> StatusCode {
    match headers.get(UPGRADE) {
        Some(protocol) if protocol == "websocket" => StatusCode::SWITCHING_PROTOCOLS,
        _ => StatusCode::UPGRADE_REQUIRED,
    }
}

/// Which mesh a member is of, and what that one may hand on.
async fn member(mut request: Request, next: Next) -> Response {
    let all = ["admin", "read", "send", "state_write", "keys:write"];
    let some = ["read", "send", "keys:write"];
    let (mesh, capabilities, topics) = match session_of(request.headers()) {
        Some("mia") => ("m1", &all[..], None),
        Some("noah") => ("m2", &all[..], None),
        Some("guest") => ("m1", &some[..], Some(["#deploys", "#alerts"])),
        _ => return next.run(request).await,
    };
    let name = session_of(request.headers()).unwrap_or_default();
    let caller = TrustedCaller::new(name, mesh).unwrap();
    let mut caller = caller.scopes(capabilities).unwrap();
    if let Some(topics) = topics {
        caller = caller.resources(Resources::new([("topic", topics)]).unwrap());
    }
    request.extensions_mut().insert(caller);
    next.run(request).await
}

fn bot() -> Value {
    json!({
        "name": "deploy bot",
        "scopes": ["send", "read"],
        "resources": {"topic": ["#deploys"]},
        "metadata": {"labels": ["bot", "ci"], "issued_by": "mia"},
    })
}

#[tokio::test]
async fn a_bot_speaks_where_it_may_and_never_to_the_whole_mesh() {
    let mesh = Mesh::start().await;
    let (_, bot) = mesh.key("mia", bot()).await;
    let (_, everywhere) = mesh
        .key("mia", json!({"name": "n", "scopes": ["send"]}))
        .await;
    let (_, nowhere) = mesh
        .key(
            "mia",
            json!({"name": "n", "scopes": ["send", "read"], "resources": {"topic": []}}),
        )
        .await;
    let cases = [
        (&bot, Method::POST, "%23deploys", 200),
        (&bot, Method::GET, "%23deploys", 200),
        (&bot, Method::POST, "%23general", 403),
        (&bot, Method::GET, "%23general", 403),
        (&bot, Method::POST, "deploys", 403),
        (&bot, Method::POST, "%23DEPLOYS", 403),
        (&bot, Method::PUT, "%23deploys/state", 403),
        (&everywhere, Method::POST, "%23deploys", 200),
        (&everywhere, Method::POST, "%23general", 200),
        (&everywhere, Method::GET, "%23general", 403),
        (&nowhere, Method::POST, "%23deploys", 403),
    ];
    for (key, method, topic, expected) in cases {
        let status = mesh.topic(key, method.clone(), topic).await;
        assert_eq!(status, expected, "{method} {topic}");
    }
    for (key, expected) in [(&bot, 403), (&everywhere, 200), (&nowhere, 403)] {
        let sent = post(
            &mesh.app,
            With::Bearer(key),
            "/mesh/m1/broadcast",
            &Value::Null,
        )
        .await;
        assert_eq!(sent.status, expected);
    }
}

#[tokio::test]
async fn a_capability_gives_what_it_says_and_there_are_no_others() {
    let mesh = Mesh::start().await;
    let calls = [
        ("admin", Method::GET, "/mesh/m1/members"),
        ("read", Method::GET, "/mesh/m1/topics/a"),
        ("send", Method::POST, "/mesh/m1/topics/a"),
        ("state_write", Method::PUT, "/mesh/m1/topics/a/state"),
    ];
    for capability in CAPABILITIES {
        let (_, key) = mesh
            .key("mia", json!({"name": "n", "scopes": [capability]}))
            .await;
        for (needed, method, path) in calls.clone() {
            let sent = request(With::Bearer(&key), method, path, &Value::Null);
            let expected = if needed == capability { 200 } else { 403 };
            assert_eq!(
                send(&mesh.app, sent).await.status,
                expected,
                "{capability} {path}"
            );
        }
    }
    for unknown in ["delete", "Send", "send:x"] {
        let body = json!({"name": "n", "scopes": [unknown]});
        let refused = post(&mesh.app, With::Cookie("mia"), KEYS, &body).await;
        assert_eq!(
            refused.told(),
            (422, "invalid_field".to_owned()),
            "{unknown}"
        );
        for known in CAPABILITIES {
            assert!(refused.text.contains(known), "{}", refused.text);
        }
    }
}

#[tokio::test]
async fn a_key_of_one_mesh_is_nothing_in_another() {
    let mesh = Mesh::start().await;
    let (id, of_mia) = mesh.key("mia", bot()).await;
    let (_, of_noah) = mesh.key("noah", bot()).await;
    for (key, name, expected) in [
        (&of_mia, "m1", 200),
        (&of_mia, "m2", 404),
        (&of_mia, "m3", 404),
        (&of_noah, "m1", 404),
        (&of_noah, "m2", 200),
    ] {
        let path = format!("/mesh/{name}/topics/%23deploys");
        assert_eq!(
            get(&mesh.app, With::Bearer(key), &path).await.status,
            expected,
            "{name}"
        );
    }
    let noah = With::Cookie("noah");
    assert_eq!(get(&mesh.app, noah, KEYS).await.each("owner"), ["m2"]);
    let path = format!("{KEYS}/{id}");
    assert_eq!(get(&mesh.app, noah, &path).await.status, 404);
    assert_eq!(delete(&mesh.app, noah, &path).await.status, 404);
    let theirs = json!({"name": "n", "scopes": [], "owner": "m1"});
    assert_eq!(post(&mesh.app, noah, KEYS, &theirs).await.status, 403);
}

#[tokio::test]
async fn a_member_hands_on_no_more_than_that_one_has() {
    let mesh = Mesh::start().await;
    let cases = [
        (
            json!({"scopes": ["send"], "resources": {"topic": ["#deploys"]}}),
            201,
        ),
        (
            json!({"scopes": ["send"], "resources": {"topic": ["#alerts", "#deploys"]}}),
            201,
        ),
        (
            json!({"scopes": ["send"], "resources": {"topic": ["#general"]}}),
            403,
        ),
        (json!({"scopes": ["send"]}), 403),
        (
            json!({"scopes": ["admin"], "resources": {"topic": ["#deploys"]}}),
            403,
        ),
    ];
    for (mut body, status) in cases {
        body["name"] = json!("n");
        let answer = post(&mesh.app, With::Cookie("guest"), KEYS, &body).await;
        assert_eq!(answer.status, status, "{body}: {}", answer.text);
    }
    let nobody = post(&mesh.app, With::Nothing, KEYS, &bot()).await;
    assert_eq!(nobody.status, 401);
}

#[tokio::test]
async fn who_issued_a_key_and_its_labels_are_shown_with_it() {
    let mesh = Mesh::start().await;
    let (id, key) = mesh.key("mia", bot()).await;
    let path = format!("{KEYS}/{id}");
    let shown = get(&mesh.app, With::Cookie("mia"), &path).await.json();
    assert_eq!(shown["name"], "deploy bot");
    assert_eq!(shown["owner"], "m1");
    assert_eq!(shown["scopes"], json!(["read", "send"]));
    assert_eq!(shown["resources"], json!({"topic": ["#deploys"]}));
    assert_eq!(
        shown["metadata"],
        json!({"labels": ["bot", "ci"], "issued_by": "mia"})
    );
    assert_eq!(shown["created_by"], "session:mia");
    assert!(key.starts_with(shown["hint"].as_str().unwrap()));

    // The labels may change, and who issued it may not.
    let change = async |body: Value| -> Answer {
        let sent = request(With::Cookie("mia"), Method::PATCH, &path, &body);
        send(&mesh.app, sent).await
    };
    let relabelled = change(json!({"metadata": {"labels": ["old"]}}))
        .await
        .json();
    assert_eq!(relabelled["metadata"], json!({"labels": ["old"]}));
    assert_eq!(
        change(json!({"created_by": "session:noah"})).await.status,
        422
    );
    let moved = json!({"resources": {"topic": ["#alerts"]}});
    assert_eq!(change(moved).await.json()["created_by"], "session:mia");
    assert_eq!(mesh.topic(&key, Method::POST, "%23alerts").await, 200);
    assert_eq!(mesh.topic(&key, Method::POST, "%23deploys").await, 403);
}

#[tokio::test]
async fn keys_die_with_their_mesh_or_with_the_member_who_goes() {
    let mesh = Mesh::start().await;
    let (_, of_mia) = mesh.key("mia", bot()).await;
    let (_, of_guest) = mesh.key("guest", bot()).await;
    let (_, of_noah) = mesh.key("noah", bot()).await;
    let lives = async |key: &str| {
        let current = format!("{KEYS}/current");
        get(&mesh.app, With::Bearer(key), &current).await.status == 200
    };
    let stop = async |whose: Value| {
        let stopped = post(&mesh.app, SERVICE, "/service/keys/revoke", &whose).await;
        stopped.json()["revoked"].clone()
    };
    for key in [&of_mia, &of_guest, &of_noah] {
        assert!(lives(key).await);
    }
    let left = json!({"created_by": "session:guest", "reason": "left"});
    assert_eq!(stop(left).await, 1);
    assert!(lives(&of_mia).await && !lives(&of_guest).await);
    let over = json!({"owner": "m1", "reason": "the mesh is gone"});
    assert_eq!(stop(over).await, 1);
    assert!(!lives(&of_mia).await && lives(&of_noah).await);
}

#[tokio::test]
async fn a_connection_that_stays_begins_with_the_same_keys() {
    let mesh = Mesh::start().await;
    let (id, reader) = mesh.key("mia", bot()).await;
    let (_, sender) = mesh
        .key("mia", json!({"name": "n", "scopes": ["send"]}))
        .await;
    let begins = async |with| {
        let mut sent = request(with, Method::GET, "/mesh/m1/socket", &Value::Null);
        let headers = sent.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        send(&mesh.app, sent).await.status
    };
    assert_eq!(begins(With::Bearer(&reader)).await, 101);
    assert_eq!(begins(With::Bearer(&sender)).await, 403);
    assert_eq!(begins(With::Nothing).await, 401);
    delete(&mesh.app, With::Cookie("mia"), &format!("{KEYS}/{id}")).await;
    assert_eq!(begins(With::Bearer(&reader)).await, 401);
}
