//! What a route demands, as a layer.

use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::Request;
use portcullis::layer::{Reason, RequireLayer};
use portcullis::{ApiKeyLayer, require_all, require_any, require_scope};

use crate::canary;
use crate::challenge::Challenge;
use crate::ground::{Ground, call, with_key, without_key};

fn app(demand: RequireLayer, layer: ApiKeyLayer) -> Router {
    Router::new()
        .route("/", get(async || "inside").route_layer(demand))
        .route_layer(layer)
}

#[tokio::test]
async fn the_challenge_names_all_that_is_demanded_sorted_and_once() {
    let ground = Ground::new().await;
    let layer = ApiKeyLayer::new(ground.keyring.clone());
    let key = ground.key(&["b"]).await;
    for (demand, scope) in [
        (require_scope("a:b.c_d-1"), "a:b.c_d-1"),
        (require_all(["b", "a", "Z", "b"]), "Z a b"),
        (require_all(vec!["c".to_owned()]), "c"),
        (require_any(["z", "y:1", "y"]), "y y:1 z"),
    ] {
        let seen = call(app(demand, layer.clone()), with_key(&key)).await;
        assert_eq!(seen.status, 403);
        assert_eq!(
            seen.challenge().unwrap(),
            format!(r#"Bearer realm="api", error="insufficient_scope", scope="{scope}""#)
        );
        let expected = Challenge::bearer("api", Some("insufficient_scope"), Some(scope));
        assert_eq!(Challenge::parse(seen.challenge().unwrap()), expected);
    }
}

#[tokio::test]
async fn who_gets_in() {
    let ground = Ground::new().await;
    let layer = ApiKeyLayer::new(ground.keyring.clone());
    let rows: [(&[&str], RequireLayer, u16); 10] = [
        (&["a"], require_scope("a"), 200),
        (&["*"], require_scope("a:b:c"), 200),
        (&["a:*"], require_scope("a:b"), 200),
        (&["a:*"], require_scope("a"), 403),
        (&["A"], require_scope("a"), 403),
        (&["*"], require_scope("keys:read"), 403),
        (&["keys:admin"], require_scope("keys:read"), 200),
        (&["a", "b"], require_all(["b", "a"]), 200),
        (&["b"], require_all(["b", "a"]), 403),
        (&["b"], require_any(["b", "a"]), 200),
    ];
    for (held, demand, expected) in rows {
        let key = ground.key(held).await;
        let name = format!("{held:?} {demand:?}");
        let seen = call(app(demand, layer.clone()), with_key(&key)).await;
        assert_eq!(seen.status, expected, "{name}");
    }
}

#[tokio::test]
async fn every_demand_around_a_route_must_be_met() {
    let ground = Ground::new().await;
    let layer = ApiKeyLayer::new(ground.keyring.clone());
    let inside = get(async || "inside").route_layer(require_scope("a"));
    let app = Router::new()
        .route("/", inside)
        .route_layer(require_scope("b"))
        .route_layer(layer);
    for (held, expected) in [(&["a"][..], 403), (&["b"], 403), (&["a", "b"], 200)] {
        let key = ground.key(held).await;
        assert_eq!(call(app.clone(), with_key(&key)).await.status, expected);
    }
}

#[tokio::test]
async fn anonymous_is_401_through_the_gate_that_let_it_pass() {
    let ground = Ground::new().await;
    let layer = ApiKeyLayer::new(ground.keyring.clone()).optional();
    let layer = layer.realm("mine").unwrap();
    let seen = call(app(require_scope("a"), layer), without_key()).await;
    assert_eq!(
        (seen.status.as_u16(), seen.code().as_str()),
        (401, "missing_credentials")
    );
    assert_eq!(seen.challenge(), Some(r#"Bearer realm="mine""#));
}

#[tokio::test]
async fn without_a_layer_around_it_a_demand_is_500() {
    let ground = Ground::new().await;
    let key = ground.key(&["a"]).await;
    // No layer at all, and one that stands further in than the demand.
    let none = Router::new().route("/", get(async || "inside").route_layer(require_scope("a")));
    let inside = Router::new()
        .route("/", get(async || "inside"))
        .route_layer(ApiKeyLayer::new(ground.keyring.clone()))
        .route_layer(require_scope("a"));
    for app in [none, inside] {
        for method in ["GET", "HEAD"] {
            canary::take_log();
            let mut request: Request<Body> = with_key(&key);
            *request.method_mut() = method.parse().unwrap();
            let seen = call(app.clone(), request).await;
            assert_eq!((seen.status.as_u16(), seen.challenge()), (500, None));
            assert_eq!(*seen.rejection().reason(), Reason::Misconfigured);
            assert_eq!(seen.body.is_empty(), method == "HEAD");
            assert!(canary::take_log().contains("ERROR"));
        }
    }
}

thread_local! {
    static LAST_PANIC: RefCell<Option<(String, u32)>> = const { RefCell::new(None) };
}

/// The message of the panic and where it is said to have come from.
fn panic_of<T>(f: impl FnOnce() -> T) -> (String, String, u32) {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let place = info.location().map(|at| (at.file().to_owned(), at.line()));
            LAST_PANIC.set(place);
            before(info);
        }));
    });
    let Err(payload) = panic::catch_unwind(AssertUnwindSafe(f)) else {
        panic!("it did not panic");
    };
    let (file, line) = LAST_PANIC.take().unwrap();
    let message = match payload.downcast::<String>() {
        Ok(message) => *message,
        Err(payload) => (*payload.downcast::<&str>().unwrap()).to_owned(),
    };
    (message, file, line)
}

#[test]
fn a_demand_that_nobody_can_meet_panics_where_it_is_written() {
    let mut last = line!();
    for (value, (message, file, line)) in [
        ("`a b`", panic_of(|| require_scope("a b"))),
        ("`reports:*`", panic_of(|| require_scope("reports:*"))),
        ("`*`", panic_of(|| require_all(["a", "*"]))),
        ("`\\u{e9}`", panic_of(|| require_any(["a", "\u{e9}"]))),
        ("is empty", panic_of(|| require_scope(""))),
        ("`[]`", panic_of(|| require_all([""; 0]))),
        ("`[]`", panic_of(|| require_any([""; 0]))),
    ] {
        assert!(message.contains(value), "{message}");
        assert_eq!(file, file!());
        assert!((last + 1..line!()).contains(&line), "{line}: {message}");
        last = line;
    }
}
