//! What `Debug` and `Display` show, word by word.

use std::convert::Infallible;
use std::fmt::Debug;

use axum::body::Body;
use http::{Request, Response};
use portcullis::layer::Reason;
use portcullis::{
    ApiKeyLayer, ExtractRejection, Malformed, Principal, Rejection, RequiredScope, Scoped,
    require_any, require_scope,
};
use tower::{Layer as _, Service as _, ServiceExt as _, service_fn};

use crate::ground::Ground;
use crate::ground::of_any_body::{with_key, without_key};

/// How every gate here is shown.
const GATE: &str = "Gate { keyring: Keyring { store: Watched, prefix: \"acme\", \
                    environments: [Environment(\"live\")], .. }, realm: Realm { quoted: \
                    \"\\\"api\\\"\" }, places: [Bearer], optional: false, environments: None, .. }";

#[track_caller]
fn assert_shown(shown: impl Debug, expected: &str) {
    assert_eq!(format!("{shown:?}"), expected);
}

#[tokio::test]
async fn a_layer_and_its_service() {
    let ground = Ground::new().await;
    let layer = ApiKeyLayer::new(ground.keyring.clone());
    assert_shown(&layer, &format!("ApiKeyLayer {{ gate: {GATE} }}"));
    let service = layer.layer("inside");
    let expected = format!("ApiKeyService {{ inner: \"inside\", gate: {GATE} }}");
    assert_shown(service, &expected);
    let layer = layer
        .add_header("x-api-key".parse().unwrap())
        .pass_foreign_bearer()
        .environments(["live"])
        .unwrap();
    let gate = GATE
        .replace("[Bearer]", "[Bearer, Header(\"x-api-key\")]")
        .replace("optional: false", "optional: true")
        .replace(
            "environments: None",
            "environments: Some([Environment(\"live\")])",
        );
    assert_shown(layer, &format!("ApiKeyLayer {{ gate: {gate} }}"));
}

#[test]
fn a_demand_and_its_service() {
    assert_shown(
        require_scope("a"),
        "RequireLayer { demand: Demand(all of a) }",
    );
    let service = require_any(["b", "a"]).layer("inside");
    let expected = "Require { inner: \"inside\", demand: Demand(any of a b) }";
    assert_shown(service, expected);
}

#[tokio::test]
async fn futures_and_bodies() {
    let ground = Ground::new().await;
    let key = ground.key(&[]).await;
    let layer = ApiKeyLayer::new(ground.keyring.clone());
    let inner =
        service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(String::new())));
    let mut service = layer.layer(inner);
    service.ready().await.unwrap();
    assert_shown(service.call(without_key()), "ResponseFuture(\"refused\")");
    assert_shown(service.call(with_key("x")), "ResponseFuture(\"refused\")");
    let miss = service.ready().await.unwrap().call(with_key(&key));
    assert_shown(&miss, "ResponseFuture(\"waiting\")");
    assert_shown(miss.await.unwrap().body(), "ResponseBody(\"inner\")");
    let hit = service.ready().await.unwrap().call(with_key(&key));
    assert_shown(&hit, "ResponseFuture(\"inner\")");
    let refused = service.oneshot(without_key()).await.unwrap();
    assert_shown(refused.body(), "ResponseBody(\"refusal\")");
    let mut required = require_scope("a").layer(inner);
    assert_shown(required.call(without_key()), "RequireFuture { .. }");
}

struct Write;

impl RequiredScope for Write {
    const SCOPE: &'static str = "reports:write";
}

#[tokio::test]
async fn who_calls_and_who_does_not() {
    type Asked = Result<Scoped<Write>, ExtractRejection>;
    let ground = Ground::new().await;
    let granted = ground.create(&["reports:*"]).await;
    let app = axum::Router::new()
        .route(
            "/",
            axum::routing::get(async |who: Asked| format!("{who:?}")),
        )
        .route(
            "/who",
            axum::routing::get(async |who: Principal| format!("{who:?}")),
        )
        .route_layer(ApiKeyLayer::new(ground.keyring.clone()));
    let shown = async |target: &str, key: &str| {
        let request = Request::get(target).header("authorization", format!("Bearer {key}"));
        let request = request.body(Body::empty()).unwrap();
        crate::ground::call(app.clone(), request).await.body
    };
    let principal = format!(
        "Principal {{ key_id: {:?}, owner: Owner(\"acme-corp\"), name: KeyName(\"ci\"), \
         environment: Environment(\"live\"), scopes: ScopeSet([Grant(\"reports:*\")]), roles: RoleSet([]), .. }}",
        granted.key.id
    );
    let key = granted.secret.expose();
    assert_eq!(shown("/who", key).await, principal);
    assert_eq!(shown("/", key).await, format!("Ok(Scoped({principal}))"));
    assert_eq!(
        shown("/", &ground.key(&[]).await).await,
        "Err(ExtractRejection(Rejection { reason: InsufficientScope(Demand(all of \
         reports:write)) }))"
    );
}

#[tokio::test]
async fn rejections_and_their_reasons() {
    let ground = Ground::new().await;
    let revoked = ground.create(&[]).await;
    ground.keyring.revoke(&revoked.key.id, None).await.unwrap();
    let layer = ApiKeyLayer::new(ground.keyring.clone());
    let inner =
        service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(String::new())));
    let service = layer.layer(require_scope("a:b").layer(inner));
    let key = ground.key(&[]).await;
    let long = "x".repeat(257);
    for (token, shown, told) in [
        (
            "",
            "Malformed(NotBearerToken)",
            "unreadable credentials: the credential is not a bearer token",
        ),
        (long.as_str(), "TooLong", "the credential is too long"),
        (
            "x",
            "NotAKey(TooShort)",
            "not a key: it is shorter than any key",
        ),
        (
            revoked.secret.expose(),
            "Dead(Revoked)",
            "dead key: the key is revoked",
        ),
        (
            key.as_str(),
            "InsufficientScope(Demand(all of a:b))",
            "the key lacks the scope: Demand(all of a:b)",
        ),
    ] {
        let answer = service.clone().oneshot(with_key(token)).await.unwrap();
        let rejection: &Rejection = answer.extensions().get().unwrap();
        assert_shown(rejection, &format!("Rejection {{ reason: {shown} }}"));
        assert_shown(rejection.reason(), shown);
        assert_eq!(rejection.to_string(), told);
    }
    assert_shown(Reason::Misconfigured, "Misconfigured");
    assert_shown(Malformed::TwoPlaces, "TwoPlaces");
    for (malformed, told) in [
        (Malformed::Empty, "the credential is empty"),
        (
            Malformed::Repeated,
            "the header for the credential is repeated",
        ),
        (Malformed::TwoPlaces, "there are credentials in two places"),
    ] {
        assert_eq!(malformed.to_string(), told);
    }
}

#[tokio::test]
async fn mistakes_in_the_settings() {
    let ground = Ground::new().await;
    let layer = || ApiKeyLayer::new(ground.keyring.clone());
    assert_shown(layer().realm("\n").unwrap_err(), "InvalidRealm(\"\\n\")");
    let types = layer().problem_types("x").unwrap_err();
    assert_shown(types, "InvalidProblemTypes(\"x\")");
    assert_shown(
        layer().environments(["test"]).unwrap_err(),
        "UndeclaredEnvironment { environment: \"test\", declared: \"live\" }",
    );
}
