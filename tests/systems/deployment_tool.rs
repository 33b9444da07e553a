//! A tool that deploys projects: scopes, keys for some projects alone, a choice of ends, and a
//! token from the environment that makes the first key.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::{get as on_get, post as on_post};
use portcullis::admin::Admin;
use portcullis::keyring::Keyring;
use portcullis::store::SqliteStore;
use portcullis::testing::{FakeClock, FaultStore, Faults};
use portcullis::{ApiKeyLayer, Principal, require_resource, require_scope};
use serde_json::{Value, json};

use crate::asking::{Answer, With, delete, get, post};
use crate::canary;

const SUPER_ADMINISTRATOR: &str = "8e73b0f7da0e6452c810f32b809079e5";
const KEYS: &str = "/v1/keys";
const OPEN: [&str; 4] = ["/health", "/ready", "/docs", "/openapi.json"];

struct Tool {
    app: Router,
    keyring: Keyring,
    clock: FakeClock,
    faults: Faults,
    folder: canary::Folder,
}

impl Tool {
    /// The first start of all, on a database that is not there yet.
    async fn start() -> Self {
        let (clock, folder) = (FakeClock::new(), canary::Folder::new());
        let url = format!("sqlite://{}", folder.path().join("keys.db").display());
        let store = SqliteStore::options(&url).clock(Arc::new(clock.clone()));
        let store = FaultStore::new(store.connect().await.unwrap());
        let faults = store.faults();
        canary::listen();
        let keyring = Keyring::builder(store)
            .prefix("ship")
            .environments(["sk"])
            .describe_scopes([
                ("projects:read", "See projects."),
                ("projects:execute", "Deploy projects."),
            ])
            .role("admin", "Everything.", ["*", "keys:admin"])
            .clock(Arc::new(clock.clone()))
            .build()
            .unwrap();
        Self {
            app: app(keyring.clone()),
            keyring,
            clock,
            faults,
            folder,
        }
    }

    async fn make(&self, with: With<'_>, body: Value) -> Answer {
        post(&self.app, with, KEYS, &body).await
    }

    /// Makes a key as the super-administrator.
    async fn key(&self, body: Value) -> String {
        let made = self.make(With::Bearer(SUPER_ADMINISTRATOR), body).await;
        made.made().1
    }

    async fn status(&self, key: &str, path: &str) -> u16 {
        get(&self.app, With::Bearer(key), path).await.status
    }
}

fn app(keyring: Keyring) -> Router {
    let project = || require_resource("project", "project_id");
    let read = async |Path(id): Path<String>| id;
    let execute = async |Path(id): Path<String>| (StatusCode::ACCEPTED, id);
    let of_projects = Router::new()
        .route(
            "/v1/projects",
            on_get(list).route_layer(require_scope("projects:read")),
        )
        .route(
            "/v1/projects/{project_id}",
            on_get(read)
                .route_layer(project())
                .route_layer(require_scope("projects:read")),
        )
        .route(
            "/v1/projects/{project_id}/deployments",
            on_post(execute)
                .route_layer(project())
                .route_layer(require_scope("projects:execute")),
        )
        .route_layer(ApiKeyLayer::new(keyring.clone()));
    let keys = Admin::new(keyring.clone()).bootstrap_token(SUPER_ADMINISTRATOR);
    let ready = async move || {
        if keyring.health().lookups_answered {
            StatusCode::OK
        } else {
            StatusCode::SERVICE_UNAVAILABLE
        }
    };
    Router::new()
        .route("/health", on_get(async || "alive"))
        .route("/ready", on_get(ready))
        .route("/docs", on_get(async || "how to deploy"))
        .route("/openapi.json", on_get(async || "{}"))
        .merge(of_projects)
        .nest("/v1", keys.unwrap().router())
}

/// The projects that the caller may see.
async fn list(caller: Principal) -> String {
    let all = ["p1", "p2", "p3"].into_iter();
    let seen: Vec<_> = all.filter(|id| caller.allows("project", id)).collect();
    seen.join(" ")
}

#[tokio::test]
async fn the_super_administrator_makes_the_first_key_and_that_makes_others() {
    let tool = Tool::start().await;
    let root = With::Bearer(SUPER_ADMINISTRATOR);
    assert_eq!(get(&tool.app, root, KEYS).await.each("id").len(), 0);
    for nobody in [
        With::Nothing,
        With::Bearer("8e73b0f7da0e6452c810f32b809079e6"),
    ] {
        assert_eq!(get(&tool.app, nobody, KEYS).await.status, 401);
    }
    let first = json!({"name": "first", "owner": "platform", "scopes": [], "roles": ["admin"]});
    let first = tool.make(root, first).await;
    assert_eq!(first.json()["key"]["created_by"], "admin-token");
    let (admin_id, admin) = first.made();
    assert!(admin.starts_with("ship_sk_"));

    tool.clock.advance(Duration::from_secs(1));
    let second = json!({"name": "ci", "owner": "web", "scopes": ["projects:read", "keys:write"]});
    let second = tool.make(With::Bearer(&admin), second).await;
    assert_eq!(
        second.json()["key"]["created_by"],
        format!("key:{admin_id}")
    );
    let (ci_id, ci) = second.made();
    tool.clock.advance(Duration::from_secs(1));
    let third = json!({"name": "page", "scopes": ["projects:read"]});
    let (page_id, page) = tool.make(With::Bearer(&ci), third).await.made();

    // Newest first; the administrator sees all, a team its own.
    let names = get(&tool.app, With::Bearer(&admin), KEYS)
        .await
        .each("name");
    assert_eq!(names, ["page", "ci", "first"]);
    let names = get(&tool.app, With::Bearer(&ci), KEYS).await.each("name");
    assert_eq!(names, ["page", "ci"]);
    let path = format!("{KEYS}/{admin_id}");
    assert_eq!(get(&tool.app, With::Bearer(&ci), &path).await.status, 404);

    // The use is written down in the background.
    assert_eq!(tool.status(&page, "/v1/projects").await, 200);
    tool.keyring.shutdown().await;
    let path = format!("{KEYS}/{page_id}");
    let shown = get(&tool.app, With::Bearer(&ci), &path).await.json();
    assert_eq!(shown["last_used_at"], "2030-01-01T00:00:02Z");
    assert_eq!(shown["created_by"], format!("key:{ci_id}"));

    assert_eq!(
        delete(&tool.app, With::Bearer(&ci), &path).await.status,
        200
    );
    assert_eq!(tool.status(&page, "/v1/projects").await, 401);
    assert_eq!(tool.status(&ci, "/v1/projects").await, 200);
}

#[tokio::test]
async fn no_secret_is_in_the_database() {
    let tool = Tool::start().await;
    let key = tool
        .key(json!({"name": "ci", "scopes": ["projects:read"]}))
        .await;
    let mut stored = Vec::new();
    for file in fs::read_dir(tool.folder.path()).unwrap() {
        stored.extend(fs::read(file.unwrap().path()).unwrap());
    }
    let holds = |text: &str| {
        stored
            .windows(text.len())
            .any(|part| part == text.as_bytes())
    };
    // The beginning, by which people tell keys apart, is there to show that it was looked for well.
    assert!(holds(&key[.."ship_sk_".len() + 4]));
    assert!(!holds(&key));
    assert!(!holds(&key["ship_sk_".len() + 4..]));
}

#[tokio::test]
async fn a_key_does_what_its_scopes_say_on_the_projects_that_it_names() {
    let tool = Tool::start().await;
    let (read, execute) = (["projects:read"], ["projects:read", "projects:execute"]);
    let none: [&str; 0] = [];
    let cases = [
        (
            "reads all",
            json!({"scopes": read}),
            [200, 200, 403, 403],
            "p1 p2 p3",
        ),
        (
            "deploys all",
            json!({"scopes": execute}),
            [200, 200, 202, 202],
            "p1 p2 p3",
        ),
        (
            "deploys one",
            json!({"scopes": execute, "resources": {"project": ["p1"]}}),
            [200, 403, 202, 403],
            "p1",
        ),
        (
            "reads two",
            json!({"scopes": read, "resources": {"project": ["p3", "p2"]}}),
            [403, 200, 403, 403],
            "p2 p3",
        ),
        (
            "of no project",
            json!({"scopes": execute, "resources": {"project": []}}),
            [403; 4],
            "",
        ),
        (
            "an admin of one",
            json!({"scopes": [], "roles": ["admin"], "resources": {"project": ["p1"]}}),
            [200, 403, 202, 403],
            "p1",
        ),
        (
            "manages keys",
            json!({"scopes": ["keys:write"]}),
            [403; 4],
            "-",
        ),
        ("does nothing", json!({"scopes": none}), [403; 4], "-"),
    ];
    for (name, mut body, expected, listed) in cases {
        body["name"] = json!(name);
        let key = tool.key(body).await;
        let with = With::Bearer(&key);
        let mut seen = Vec::new();
        for project in ["p1", "p2"] {
            seen.push(tool.status(&key, &format!("/v1/projects/{project}")).await);
        }
        for project in ["p1", "p2"] {
            let path = format!("/v1/projects/{project}/deployments");
            seen.push(post(&tool.app, with, &path, &Value::Null).await.status);
        }
        assert_eq!(seen, expected, "{name}");
        let list = get(&tool.app, with, "/v1/projects").await;
        let list = if list.status == 403 { "-" } else { &list.text };
        assert_eq!(list, listed, "{name}");
    }
}

#[tokio::test]
async fn what_is_unknown_or_more_than_the_maker_has_is_refused() {
    let tool = Tool::start().await;
    for (field, names, known) in [
        (
            "scopes",
            json!(["projects:read", "projects:delete"]),
            "projects:execute",
        ),
        ("roles", json!(["root"]), "admin"),
    ] {
        let mut body = json!({"name": "n", "scopes": []});
        body[field] = names;
        let refused = tool.make(With::Bearer(SUPER_ADMINISTRATOR), body).await;
        assert_eq!(refused.told(), (422, "invalid_field".to_owned()));
        assert!(refused.text.contains(known), "{}", refused.text);
    }
    let maker = json!({
        "name": "n",
        "scopes": ["projects:read", "keys:write"],
        "resources": {"project": ["p1", "p2"]},
    });
    let maker = tool.key(maker).await;
    let cases = [
        (
            json!({"scopes": ["projects:read"], "resources": {"project": ["p2"]}}),
            201,
        ),
        (
            json!({"scopes": ["projects:read"], "resources": {"project": ["p3"]}}),
            403,
        ),
        (json!({"scopes": ["projects:read"]}), 403),
        (
            json!({"scopes": ["projects:execute"], "resources": {"project": ["p2"]}}),
            403,
        ),
        (
            json!({"scopes": [], "roles": ["admin"], "resources": {"project": ["p2"]}}),
            403,
        ),
    ];
    for (mut body, status) in cases {
        body["name"] = json!("n");
        let answer = tool.make(With::Bearer(&maker), body.clone()).await;
        assert_eq!(answer.status, status, "{body}: {}", answer.text);
        if status == 403 {
            assert_eq!(answer.told().1, "exceeds_caller", "{body}");
        }
    }
}

#[tokio::test]
async fn a_key_ends_when_it_was_chosen_to() {
    const DAY: u64 = 24 * 60 * 60;
    let tool = Tool::start().await;
    let choices = [
        ("30d", 30, json!("2030-01-31T00:00:00Z")),
        ("60d", 60, json!("2030-03-02T00:00:00Z")),
        ("90d", 90, json!("2030-04-01T00:00:00Z")),
        ("1y", 365, json!("2031-01-01T00:00:00Z")),
        ("never", u64::MAX, Value::Null),
    ];
    let root = With::Bearer(SUPER_ADMINISTRATOR);
    let mut keys = Vec::new();
    for (choice, days, end) in choices {
        let body = json!({"name": choice, "scopes": ["projects:read"], "expires_in": choice});
        let made = tool.make(root, body).await;
        assert_eq!(made.json()["key"]["expires_at"], end, "{choice}");
        keys.push((choice, days, made.made().1));
    }
    let mut now = 0;
    for day in [30, 60, 90, 365] {
        for (until, over) in [(day * DAY - 1, false), (day * DAY, true)] {
            tool.clock.advance(Duration::from_secs(until - now));
            now = until;
            for (choice, days, key) in &keys {
                let lives = *days > day || (*days == day && !over);
                let status = tool.status(key, "/v1/projects/p1").await;
                assert_eq!(
                    status,
                    if lives { 200 } else { 401 },
                    "{choice} after {now} s"
                );
            }
        }
    }
    let expired = get(&tool.app, root, &format!("{KEYS}?status=expired")).await;
    let mut names = expired.each("name");
    names.sort_by_key(Value::to_string);
    assert_eq!(names, ["1y", "30d", "60d", "90d"]);
    let body = json!({"name": "n", "scopes": [], "expires_in": "1 month"});
    assert_eq!(tool.make(root, body).await.status, 422);
}

#[tokio::test]
async fn what_is_public_stays_open_whatever_somebody_comes_with() {
    let tool = Tool::start().await;
    let dead = tool
        .key(json!({"name": "n", "scopes": ["projects:read"]}))
        .await;
    let current = format!("{KEYS}/current");
    assert_eq!(
        delete(&tool.app, With::Bearer(&dead), &current)
            .await
            .status,
        200
    );
    for with in [With::Nothing, With::Bearer(&dead), With::Bearer("a,b")] {
        for path in OPEN {
            assert_eq!(
                get(&tool.app, with, path).await.status,
                200,
                "{with:?} {path}"
            );
        }
        for path in ["/v1/projects", "/v1/projects/p1", KEYS] {
            let status = get(&tool.app, with, path).await.status;
            assert!([400, 401].contains(&status), "{with:?} {path}: {status}");
        }
    }

    let key = tool
        .key(json!({"name": "n", "scopes": ["projects:read"]}))
        .await;
    tool.faults.fail();
    assert_eq!(tool.status(&key, "/v1/projects").await, 503);
    for path in OPEN {
        let expected = if path == "/ready" { 503 } else { 200 };
        assert_eq!(
            get(&tool.app, With::Nothing, path).await.status,
            expected,
            "{path}"
        );
    }
}
