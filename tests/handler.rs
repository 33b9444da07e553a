//! One's own handlers, tested with callers instead of keys.

#[path = "canary/mod.rs"]
mod canary;

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use axum::Router;
use axum::body::Body;
use axum::routing::{any, get};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use portcullis::keyring::NewKey;
use portcullis::store::MemoryStore;
use portcullis::testing::{CallerLayer, anonymous, caller};
use portcullis::timestamp::Timestamp;
use portcullis::{
    ApiKeyLayer, Keyring, Principal, Rejection, RequiredScope, Scoped, admin, require_all,
    require_any, require_resource, require_scope,
};
use tower::util::Either;
use tower::{Layer as _, ServiceExt as _, service_fn};

struct ReadReports;

impl RequiredScope for ReadReports {
    const SCOPE: &'static str = "reports:read";
}

async fn owner(caller: Principal) -> String {
    format!("{} {}", caller.owner(), caller.environment())
}

async fn whoever(caller: Option<Principal>) -> String {
    caller.map_or_else(|| "nobody".to_owned(), |caller| caller.owner().to_owned())
}

async fn scoped(caller: Scoped<ReadReports>) -> String {
    caller.owner().to_owned()
}

const ROUTES: [&str; 6] = ["/owner", "/whoever", "/scoped", "/one", "/all", "/either"];

/// An application as somebody writes it, behind one layer or the other.
fn app(gate: Either<ApiKeyLayer, CallerLayer>) -> Router {
    let ok = || any(async || "in");
    Router::new()
        .route("/owner", get(owner))
        .route("/whoever", get(whoever))
        .route("/scoped", get(scoped))
        .route("/one", ok().layer(require_scope("reports:read")))
        .route(
            "/all",
            ok().layer(require_all(["reports:read", "reports:write"])),
        )
        .route("/either", ok().layer(require_any(["reports:read", "b:c"])))
        .route_layer(gate)
}

fn keyring() -> Keyring {
    canary::listen();
    let builder = Keyring::builder(MemoryStore::new()).prefix("acme");
    builder.build().unwrap()
}

async fn key(keyring: &Keyring, scopes: &[&str]) -> String {
    let new = NewKey::named("ci").unwrap().owner("acme-corp").unwrap();
    let created = keyring.create(new.scopes(scopes).unwrap()).await.unwrap();
    canary::know(created.secret.expose());
    created.secret.expose().to_owned()
}

fn request(method: &str, path: &str, key: Option<&str>) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(key) = key {
        request = request.header("authorization", format!("Bearer {key}"));
    }
    request.body(Body::empty()).unwrap()
}

/// All that a client sees of an answer.
async fn seen(app: Router, request: Request<Body>) -> (StatusCode, Vec<(String, String)>, Bytes) {
    let (parts, body) = app.oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    canary::answer(&parts.headers, &body);
    let lines = parts.headers.iter();
    let lines = lines.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
    let lines = lines.collect();
    (parts.status, lines, body)
}

async fn status(app: Router, path: &str) -> u16 {
    seen(app, request("GET", path, None)).await.0.as_u16()
}

/// The stand-in answers every route in every way as the real layer does.
async fn assert_same(
    real: impl Fn(ApiKeyLayer) -> ApiKeyLayer,
    stand_in: impl Fn(CallerLayer) -> CallerLayer,
) -> Vec<(StatusCode, Vec<(String, String)>, Bytes)> {
    let keyring = keyring();
    let real = app(Either::Left(real(
        ApiKeyLayer::new(keyring.clone()).optional(),
    )));
    let mut answers = Vec::new();
    for scopes in [
        None,
        Some(&[] as &[&str]),
        Some(&["reports:read"]),
        Some(&["reports:*"]),
        Some(&["b:c"]),
    ] {
        let (key, caller) = match scopes {
            None => (None, anonymous()),
            Some(scopes) => (
                Some(key(&keyring, scopes).await),
                caller("acme-corp").scopes(scopes),
            ),
        };
        let ours = app(Either::Right(stand_in(caller)));
        for path in ROUTES {
            for method in ["GET", "HEAD", "POST"] {
                let expected = seen(real.clone(), request(method, path, key.as_deref())).await;
                let answer = seen(ours.clone(), request(method, path, None)).await;
                assert_eq!(answer, expected, "{method} {path} {scopes:?}");
                answers.push(answer);
            }
        }
    }
    answers
}

#[tokio::test]
async fn answers_are_those_of_the_real_layer_byte_by_byte() {
    let answers = assert_same(|real| real, |ours| ours).await;
    let lines: Vec<_> = answers.iter().flat_map(|(_, lines, _)| lines).collect();
    for challenge in [
        "Bearer realm=\"api\"",
        "Bearer realm=\"api\", error=\"insufficient_scope\", scope=\"reports:read\"",
        "Bearer realm=\"api\", error=\"insufficient_scope\", scope=\"reports:read reports:write\"",
    ] {
        let line = ("www-authenticate".to_owned(), challenge.to_owned());
        assert!(lines.contains(&&line), "{challenge}");
    }
    let statuses = [200, 401, 403];
    for wanted in statuses {
        assert!(answers.iter().any(|(status, ..)| status.as_u16() == wanted));
    }
}

#[tokio::test]
async fn answers_are_those_of_the_real_layer_with_the_same_settings() {
    let base = "https://api.example/problems/";
    assert_same(
        |real| real.realm("a \"b\"").unwrap().problem_types(base).unwrap(),
        |ours| ours.realm("a \"b\"").problem_types(base),
    )
    .await;
    let responder = |rejection: &Rejection| {
        let mut response = Response::new(Bytes::from(rejection.code()));
        *response.status_mut() = rejection.status();
        response
    };
    assert_same(
        |real| real.responder(responder),
        |ours| ours.responder(responder),
    )
    .await;
}

#[tokio::test]
async fn grpc_calls_are_refused_as_by_the_real_layer() {
    let call = || {
        let mut call = request("POST", "/one", None);
        let grpc = http::HeaderValue::from_static("application/grpc");
        call.headers_mut().insert("content-type", grpc);
        call
    };
    let real = ApiKeyLayer::new(keyring()).optional().grpc();
    let expected = seen(app(Either::Left(real)), call()).await;
    let answer = seen(app(Either::Right(anonymous().grpc())), call()).await;
    assert_eq!(answer, expected);
    assert!(answer.1.contains(&("grpc-status".into(), "16".into())));
    let lacking = app(Either::Right(caller("acme-corp").grpc()));
    let answer = seen(lacking, call()).await;
    assert!(answer.1.contains(&("grpc-status".into(), "7".into())));
}

#[tokio::test]
async fn a_handler_sees_whom_the_test_has_chosen() {
    let end: Timestamp = "2030-01-31T12:00:00Z".parse().unwrap();
    let chosen = caller("acme-corp")
        .name(" nightly export ")
        .environment("staging")
        .key_id("key_2vQ9dKfTn0aYxZbC3LmP8s")
        .scopes(["reports:*"])
        .expires_at(end);
    let shown = Router::new().route("/", get(async |caller: Principal| format!("{caller:?}")));
    let (_, _, body) = seen(shown.route_layer(chosen.clone()), request("GET", "/", None)).await;
    let expected = "Principal { key_id: KeyId(\"key_2vQ9dKfTn0aYxZbC3LmP8s\"), owner: \
                    Owner(\"acme-corp\"), name: KeyName(\"nightly export\"), environment: \
                    Environment(\"staging\"), scopes: ScopeSet([Grant(\"reports:*\")]), roles: \
                    RoleSet([]), .. }";
    assert_eq!(body, expected);
    let principal = chosen.principal();
    assert_eq!(format!("{principal:?}"), expected);
    assert_eq!(principal.expires_at(), Some(end));
    assert!(principal.has_scope("reports:read"));
    assert!(!principal.has_scope("keys:read"));
}

#[test]
fn a_caller_that_is_told_nothing_more_grants_nothing_and_is_a_key_of_its_own() {
    let acme = caller("acme-corp");
    let principal = acme.principal();
    assert_eq!(principal.owner(), "acme-corp");
    assert_eq!(principal.name(), "test");
    assert_eq!(principal.environment().as_str(), "live");
    assert!(principal.scopes().is_empty());
    assert_eq!(principal.expires_at(), None);
    assert_eq!(acme.clone().principal().key_id(), principal.key_id());
    assert!(!acme.clone().principal().is_judged_in_outage());
    let in_outage = acme.clone().judged_in_outage().principal();
    assert!(in_outage.is_judged_in_outage());
    let another = caller("acme-corp").principal();
    assert_ne!(another.key_id(), principal.key_id());
}

#[test]
fn no_runtime_is_needed() {
    let inner = service_fn(async |request: Request<()>| {
        let owner = Principal::of(request.extensions()).map(|p| p.owner().to_owned());
        Ok::<_, Infallible>(Response::new(owner.unwrap_or_default()))
    });
    let service = caller("acme-corp").layer(inner);
    let answer = pin!(service.oneshot(Request::new(())));
    let Poll::Ready(answer) = answer.poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("nothing to wait for");
    };
    let body = pin!(answer.unwrap().into_body().collect());
    let Poll::Ready(body) = body.poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("nothing to wait for");
    };
    assert_eq!(body.unwrap().to_bytes(), "acme-corp");
}

#[tokio::test]
async fn roles_and_resources_are_judged_as_those_of_a_key() {
    let app = |caller: CallerLayer| {
        let route = get(async |caller: Principal| caller.roles().to_string())
            .route_layer(require_scope("reports:read"))
            .route_layer(require_resource("project", "id"));
        Router::new().route("/{id}", route).route_layer(caller)
    };
    let auditor = caller("acme-corp")
        .scopes(["status"])
        .role("auditor", ["reports:read"])
        .role("idle", [""; 0]);
    let one = auditor.clone().resources([("project", ["p1"])]);
    let none: [(&str, [&str; 0]); 0] = [];
    for (caller, path, expected) in [
        (auditor.clone(), "/p2", 200),
        (one.clone(), "/p1", 200),
        (one, "/p2", 403),
        (auditor.clone().resources(none), "/p1", 403),
        (caller("acme-corp"), "/p1", 403),
        (anonymous(), "/p1", 401),
    ] {
        assert_eq!(status(app(caller), path).await, expected, "{path}");
    }
    let principal = auditor.principal();
    assert_eq!(principal.roles().to_string(), "auditor idle");
    assert_eq!(principal.scopes().to_string(), "reports:read status");
}

#[tokio::test]
async fn no_keyring_takes_the_word_of_a_test_caller() {
    let keyring = keyring();
    let everything = || caller("acme-corp").scopes(["*", "keys:admin", "keys:read"]);
    let key = key(&keyring, &["reports:read"]).await;
    let both_ways = [
        Router::new()
            .route("/", get(owner))
            .route_layer(ApiKeyLayer::new(keyring.clone()))
            .route_layer(everything()),
        Router::new()
            .route("/", get(owner))
            .route_layer(everything())
            .route_layer(ApiKeyLayer::new(keyring.clone())),
    ];
    for app in both_ways {
        assert_eq!(status(app.clone(), "/").await, 401);
        let (status, ..) = seen(app, request("GET", "/", Some(&key))).await;
        assert_eq!(status, 200);
    }
    let admin = Router::new()
        .nest("/admin", admin::router(keyring.clone()))
        .layer(everything());
    assert_eq!(status(admin, "/admin/keys").await, 401);
}

#[tokio::test]
async fn a_key_that_the_test_presents_reaches_whatever_is_further_in() {
    let echo = get(async |headers: http::HeaderMap| format!("{:?}", headers.get("authorization")));
    let app = Router::new()
        .route("/", echo)
        .route_layer(caller("acme-corp"));
    let (_, _, body) = seen(app, request("GET", "/", Some("x"))).await;
    assert_eq!(body, "Some(\"Bearer x\")");
}

#[test]
fn what_is_impossible_is_named_at_the_place_that_asks_for_it() {
    type Attempt = fn();
    let attempts: [(Attempt, &str); 12] = [
        (
            || drop(caller("")),
            "the owner \"\" of a test caller must not be empty",
        ),
        (
            || drop(caller("a\n")),
            "the owner \"a\\n\" of a test caller must not contain control characters",
        ),
        (
            || drop(caller("a").scopes(["a b"])),
            "a scope that no test caller can hold: `a b` has the character ` `; a scope has only \
             `A-Za-z0-9._:-`",
        ),
        (
            || drop(caller("a").name(" ")),
            "the name \" \" of a test caller must not be empty",
        ),
        (
            || drop(caller("a").key_id("7")),
            "the id \"7\" of a test caller: the id does not begin with \"key_\"",
        ),
        (
            || drop(caller("a").realm("\n")),
            "the realm \"\\n\" has a control character, which no header can carry",
        ),
        (
            || drop(caller("a").role("a:b", ["a"])),
            "a role that no test caller can have: `a:b` has the character `:`",
        ),
        (
            || drop(caller("a").role("r", ["a b"])),
            "the role \"r\" of a test caller cannot grant this: `a b` has",
        ),
        (
            || drop(caller("a").resources([("a b", ["1"])])),
            "resources that no test caller can have: the kind `a b`",
        ),
        (
            || drop(anonymous().scopes(["a"])),
            "an anonymous caller has no key, and so no scopes",
        ),
        (
            || drop(anonymous().principal()),
            "an anonymous caller is no principal",
        ),
        (
            || drop(caller("a").environment("Live")),
            "the environment \"Live\" of a test caller: ",
        ),
    ];
    for (attempt, expected) in attempts {
        let panic = catch_unwind(AssertUnwindSafe(attempt)).unwrap_err();
        let said = panic.downcast_ref::<String>().cloned();
        let said = said.unwrap_or_else(|| (*panic.downcast_ref::<&str>().unwrap()).to_owned());
        assert!(said.starts_with(expected), "{said}");
    }
}
