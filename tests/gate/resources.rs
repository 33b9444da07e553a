//! What a route demands of a key that is restricted to some resources.

use std::panic::{self, AssertUnwindSafe};

use axum::extract::Path;
use axum::routing::{any, get};
use axum::{Router, body::Body};
use http::Request;
use portcullis::keyring::{Dead, NewKey};
use portcullis::layer::Reason;
use portcullis::resources::Resources;
use portcullis::{ApiKeyLayer, Principal, require_resource, require_scope};

use crate::canary;
use crate::ground::{Ground, Seen, call};

const CHALLENGE: &str = r#"Bearer realm="api", error="insufficient_scope""#;

/// The text of a key with these scopes that is restricted so.
async fn key(ground: &Ground, scopes: &[&str], resources: Option<&str>) -> String {
    let new = NewKey::named("ci").unwrap().scopes(scopes).unwrap();
    let new = match resources {
        Some(stored) => new.resources(Resources::from_stored(stored).unwrap()),
        None => new,
    };
    let created = ground.keyring.create(new).await.unwrap();
    created.secret.expose().to_owned()
}

fn request(method: &str, path: &str, key: &str) -> Request<Body> {
    let request = Request::builder().method(method).uri(path);
    let request = match key {
        "" => request,
        key => request.header("authorization", format!("Bearer {key}")),
    };
    request.body(Body::empty()).unwrap()
}

/// Routes about projects, behind a layer.
fn app(layer: ApiKeyLayer) -> Router {
    let demand = || require_resource("project", "project_id");
    let project = async |Path(id): Path<String>| id;
    let tenant = Router::new().route("/projects/{project_id}", any(async || "in").layer(demand()));
    Router::new()
        .route("/projects/{project_id}", get(project).route_layer(demand()))
        .route("/files/{*project_id}", get(project).route_layer(demand()))
        .nest("/in/{project_id}", tenant)
        .route("/other/{id}", get(async || "in").route_layer(demand()))
        .route("/none", get(async || "in").route_layer(demand()))
        .route_layer(layer)
}

async fn ask(app: &Router, path: &str, key: &str) -> Seen {
    call(app.clone(), request("GET", path, key)).await
}

#[tokio::test]
async fn a_restricted_key_reaches_what_it_names_and_nothing_else() {
    let ground = Ground::new().await;
    let app = app(ApiKeyLayer::new(ground.keyring.clone()));
    let one = Some(r#"{"project":["p1","a/b","ü"],"topic":["p2"]}"#);
    let cases: [(&str, Option<&str>, &str, u16); 24] = [
        ("not restricted", None, "/projects/p2", 200),
        ("this one", one, "/projects/p1", 200),
        ("another", one, "/projects/p2", 403),
        ("another of another kind", one, "/projects/p2", 403),
        ("in another case", one, "/projects/P1", 403),
        ("the beginning", one, "/projects/p", 403),
        ("more than that", one, "/projects/p1x", 403),
        ("percent-encoded", one, "/projects/%70%31", 200),
        ("an encoded slash", one, "/projects/a%2Fb", 200),
        ("encoded twice", one, "/projects/%2570%2531", 403),
        ("a space behind it", one, "/projects/p1%20", 403),
        ("a zero byte behind it", one, "/projects/p1%00", 403),
        ("another script", one, "/projects/%C3%BC", 200),
        ("no text", one, "/projects/%FF", 403),
        ("a query is no path", one, "/projects/p2?project_id=p1", 403),
        ("all that follows", one, "/files/a/b", 200),
        ("and no less", one, "/files/a/b/c", 403),
        (
            "no id of this kind",
            Some(r#"{"project":[]}"#),
            "/projects/p1",
            403,
        ),
        (
            "another kind alone",
            Some(r#"{"topic":["p1"]}"#),
            "/projects/p1",
            403,
        ),
        ("nothing at all", Some("{}"), "/projects/p1", 403),
        ("nested, both", one, "/in/p1/projects/p1", 200),
        ("nested, the first", one, "/in/p1/projects/p2", 403),
        ("nested, the last", one, "/in/p2/projects/p1", 403),
        ("nested, not restricted", None, "/in/p1/projects/p2", 200),
    ];
    for (name, resources, path, expected) in cases {
        let key = key(&ground, &[], resources).await;
        let seen = ask(&app, path, &key).await;
        assert_eq!(seen.status, expected, "{name}: {}", seen.body);
        if expected == 403 {
            assert_eq!(seen.code(), "insufficient_scope", "{name}");
            assert_eq!(seen.challenge(), Some(CHALLENGE), "{name}");
            let reason = Reason::OutsideResources("project".into());
            assert_eq!(*seen.rejection().reason(), reason, "{name}");
            assert!(
                !seen.body.contains("p1") && !seen.body.contains("project"),
                "{name}"
            );
        }
    }
}

#[tokio::test]
async fn a_route_without_the_parameter_is_a_mistake_whatever_the_key() {
    let ground = Ground::new().await;
    let app = app(ApiKeyLayer::new(ground.keyring.clone()));
    for resources in [None, Some(r#"{"project":["p1"]}"#)] {
        let key = key(&ground, &[], resources).await;
        for path in ["/other/p1", "/none"] {
            canary::take_log();
            let seen = ask(&app, path, &key).await;
            assert_eq!(
                (seen.status.as_u16(), &*seen.code()),
                (500, "misconfigured"),
                "{path}"
            );
            assert_eq!(seen.challenge(), None);
            let told = canary::take_log();
            assert!(
                told.contains("ERROR") && told.contains("project_id"),
                "{told}"
            );
        }
    }
    // Nobody learns it who has no key.
    assert_eq!(ask(&app, "/none", "").await.status, 401);
}

#[tokio::test]
async fn beside_a_demand_for_a_scope_both_must_be_met_in_either_order() {
    let ground = Ground::new().await;
    let (scope, resource) = (
        || require_scope("read"),
        || require_resource("project", "id"),
    );
    let orders = [
        get(async || "in")
            .route_layer(scope())
            .route_layer(resource()),
        get(async || "in")
            .route_layer(resource())
            .route_layer(scope()),
    ];
    for route in orders {
        let app = Router::new().route("/{id}", route);
        let app = app.route_layer(ApiKeyLayer::new(ground.keyring.clone()));
        let one = Some(r#"{"project":["p1"]}"#);
        for (scopes, path, expected) in [
            (&["read"][..], "/p1", 200),
            (&["read"], "/p2", 403),
            (&[], "/p1", 403),
            (&["*"], "/p2", 403),
        ] {
            let key = key(&ground, scopes, one).await;
            let seen = ask(&app, path, &key).await;
            assert_eq!(seen.status, expected, "{scopes:?} {path}");
            let scoped = seen
                .challenge()
                .is_some_and(|it| it.ends_with(r#"scope="read""#));
            assert_eq!(scoped, scopes.is_empty(), "{scopes:?} {path}");
        }
    }
}

#[tokio::test]
async fn the_form_of_a_refusal_is_that_of_the_gate() {
    let ground = Ground::new().await;
    let key = key(&ground, &[], Some("{}")).await;
    let layer = ApiKeyLayer::new(ground.keyring.clone())
        .realm("mine")
        .unwrap();
    let app = app(layer.optional().grpc());
    let nobody = ask(&app, "/projects/p1", "").await;
    assert_eq!(
        (nobody.status.as_u16(), &*nobody.code()),
        (401, "missing_credentials")
    );
    assert_eq!(nobody.challenge(), Some(r#"Bearer realm="mine""#));

    let whole = ask(&app, "/projects/p1", &key).await;
    let head = call(app.clone(), request("HEAD", "/projects/p1", &key)).await;
    assert_eq!((head.status, &*head.body), (whole.status, ""));
    assert_eq!(head.headers, whole.headers);

    let mut grpc = request("POST", "/in/p1/projects/p1", &key);
    let value = "application/grpc".parse().unwrap();
    grpc.headers_mut().insert("content-type", value);
    let seen = call(app, grpc).await;
    assert_eq!(
        (seen.status.as_u16(), &seen.headers["grpc-status"]),
        (200, &"7".parse().unwrap())
    );
}

#[tokio::test]
async fn where_no_layer_ran_nobody_gets_in() {
    let app = Router::new().route(
        "/{id}",
        get(async || "in").route_layer(require_resource("project", "id")),
    );
    let seen = ask(&app, "/p1", "").await;
    assert_eq!(
        (seen.status.as_u16(), &*seen.code()),
        (500, "misconfigured")
    );
}

#[tokio::test]
async fn a_handler_can_ask_for_what_no_path_names() {
    async fn handler(caller: Principal, id: String) -> String {
        let named = caller.resources().map(ToString::to_string);
        format!(
            "{} {:?}",
            caller.allows("project", &id),
            named.unwrap_or_default()
        )
    }
    let ground = Ground::new().await;
    let app = Router::new().route("/", get(handler));
    let app = app.route_layer(ApiKeyLayer::new(ground.keyring.clone()));
    for (resources, id, expected) in [
        (None, "p1", r#"true """#),
        (
            Some(r#"{"project":["p1"]}"#),
            "p1",
            r#"true "{\"project\":[\"p1\"]}""#,
        ),
        (Some("{}"), "p1", r#"false "{}""#),
    ] {
        let mut request = request("GET", "/", &key(&ground, &[], resources).await);
        *request.body_mut() = Body::from(id);
        assert_eq!(call(app.clone(), request).await.body, expected);
    }
}

#[tokio::test]
async fn a_dead_key_is_dead_before_it_is_restricted() {
    let ground = Ground::new().await;
    let app = app(ApiKeyLayer::new(ground.keyring.clone()));
    let seen = ask(&app, "/projects/p1", &ground.unknown_key()).await;
    assert_eq!(*seen.rejection().reason(), Reason::Dead(Dead::Unknown));
}

#[test]
fn an_impossible_kind_is_refused_where_it_is_written() {
    for kind in ["", "a b", "project:x", "é", &"a".repeat(65)] {
        let built = panic::catch_unwind(AssertUnwindSafe(|| require_resource(kind, "id")));
        assert!(built.is_err(), "{kind:?}");
    }
    let shown = format!("{:?}", require_resource("project", "project_id"));
    let expected = r#"{ kind: "project", path_parameter: "project_id" }"#;
    assert_eq!(shown, format!("RequireResourceLayer {expected}"));
}
