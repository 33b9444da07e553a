//! What the inner service sees of a credential: nothing, unless it was asked for.

use std::convert::Infallible;

use http::{HeaderName, Request, Response};
use portcullis::{ApiKeyLayer, Principal};
use tower::{ServiceBuilder, service_fn};

use crate::ground::of_any_body::{with_key, without_key};
use crate::ground::{Ground, call};

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// The headers that the inner service sees, as their `Debug`, on a miss and on a hit.
async fn seen_inside(layer: ApiKeyLayer, lines: &[(&str, &str)]) -> [String; 2] {
    let mut seen = [const { String::new() }; 2];
    for seen in &mut seen {
        let service = ServiceBuilder::new()
            .layer(layer.clone())
            .service(service_fn(async |request: Request<String>| {
                let shown = format!("{request:?}");
                assert!(!shown.contains("acme_"), "{shown}");
                let headers = format!("{:?}", request.headers());
                Ok::<_, Infallible>(Response::new(headers))
            }));
        let mut request = Request::new(String::new());
        for (name, value) in lines {
            let name: HeaderName = name.parse().unwrap();
            request.headers_mut().append(name, value.parse().unwrap());
        }
        let answer = call(service, request).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        *seen = answer.body;
    }
    seen
}

fn twice(text: &str) -> [String; 2] {
    [text.to_owned(), text.to_owned()]
}

#[tokio::test]
async fn it_is_taken_away_and_the_rest_stays() {
    let ground = Ground::new().await;
    let bearer = format!("Bearer {}", ground.key(&[]).await);
    let lines = [
        ("accept", "*/*"),
        ("authorization", &bearer),
        ("cookie", "a=b"),
    ];
    let seen = seen_inside(ApiKeyLayer::new(ground.keyring.clone()), &lines).await;
    assert_eq!(seen, twice(r#"{"accept": "*/*", "cookie": "a=b"}"#));
}

#[tokio::test]
async fn kept_it_is_marked_as_sensitive() {
    let ground = Ground::new().await;
    let bearer = format!("Bearer {}", ground.key(&[]).await);
    let layer = ApiKeyLayer::new(ground.keyring.clone()).keep_credential();
    let seen = seen_inside(layer, &[("authorization", &bearer)]).await;
    assert_eq!(seen, twice(r#"{"authorization": Sensitive}"#));
}

#[tokio::test]
async fn another_header_is_taken_away_and_authorization_stays_if_it_is_not_ours() {
    let ground = Ground::new().await;
    let key = ground.key(&[]).await;
    let layer = || ApiKeyLayer::new(ground.keyring.clone()).add_header(X_API_KEY);
    let seen = seen_inside(layer(), &[("x-api-key", &key)]).await;
    assert_eq!(seen, twice("{}"));
    let seen = seen_inside(layer().keep_credential(), &[("x-api-key", &key)]).await;
    assert_eq!(seen, twice(r#"{"x-api-key": Sensitive}"#));
    let basic = [("x-api-key", key.as_str()), ("authorization", "Basic YTpi")];
    let seen = seen_inside(layer(), &basic).await;
    assert_eq!(seen, twice(r#"{"authorization": Sensitive}"#));
    let kept = seen_inside(layer().keep_credential(), &basic).await;
    assert_eq!(
        kept,
        twice(r#"{"x-api-key": Sensitive, "authorization": Sensitive}"#)
    );
}

#[tokio::test]
async fn credentials_for_somebody_else_stay_and_are_marked_as_sensitive() {
    let ground = Ground::new().await;
    let layer = || ApiKeyLayer::new(ground.keyring.clone());
    let seen = seen_inside(layer().optional(), &[("authorization", "Basic YTpi")]).await;
    assert_eq!(seen, twice(r#"{"authorization": Sensitive}"#));
    let token = [("authorization", "Bearer eyJ.e30.c2ln")];
    let seen = seen_inside(layer().pass_foreign_bearer(), &token).await;
    assert_eq!(seen, twice(r#"{"authorization": Sensitive}"#));
    let seen = seen_inside(layer().optional(), &[]).await;
    assert_eq!(seen, twice("{}"));
}

#[tokio::test]
async fn the_values_that_stay_are_whole() {
    let ground = Ground::new().await;
    let bearer = format!("Bearer {}", ground.key(&[]).await);
    let layer = || ApiKeyLayer::new(ground.keyring.clone());
    for (layer, value) in [
        (layer().keep_credential(), bearer.as_str()),
        (layer().optional(), "Basic YTpi"),
        (layer().pass_foreign_bearer(), "Bearer eyJ.e30.c2ln"),
    ] {
        let service = ServiceBuilder::new().layer(layer).service(service_fn(
            async |request: Request<String>| {
                // It is told whether, not what: no answer shows a key, whoever gives it.
                let is_whole = request.headers()["authorization"] == value;
                Ok::<_, Infallible>(Response::new(is_whole.to_string()))
            },
        ));
        let request = Request::get("/").header("authorization", value);
        let seen = call(service, request.body(String::new()).unwrap()).await;
        assert_eq!(seen.body, "true");
    }
}

#[tokio::test]
async fn the_inner_service_is_told_who_calls() {
    let ground = Ground::new().await;
    let key = ground.key(&["a"]).await;
    let who = service_fn(async |request: Request<String>| {
        let who = Principal::of(request.extensions());
        Ok::<_, Infallible>(Response::new(format!("{:?}", who.map(Principal::owner))))
    });
    let layer = ApiKeyLayer::new(ground.keyring.clone()).optional();
    let service = ServiceBuilder::new().layer(layer).service(who);
    for _ in 0..2 {
        let seen = call(service.clone(), with_key(&key)).await;
        assert_eq!(seen.body, r#"Some("acme-corp")"#);
    }
    let seen = call(service, without_key()).await;
    assert_eq!(seen.body, "None");
}
