//! Layers around layers: of one keyring they trust each other's word, of two they never do.

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::{HeaderName, Request};
use portcullis::{ApiKeyLayer, Keyring, Principal};

use crate::ground::{Ground, call, with_key, with_value, without_key};

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

async fn who(principal: Option<Principal>) -> String {
    principal.map_or_else(|| "nobody".to_owned(), |p| p.environment().to_string())
}

fn nested(outer: ApiKeyLayer, inner: ApiKeyLayer) -> Router {
    Router::new()
        .route("/", get(who))
        .route_layer(inner)
        .route_layer(outer)
}

fn layer(keyring: &Keyring) -> ApiKeyLayer {
    ApiKeyLayer::new(keyring.clone())
}

#[tokio::test]
async fn the_inner_layer_uses_what_the_outer_found() {
    let ground = Ground::new().await;
    let key = ground.key(&[]).await;
    let plain = || layer(&ground.keyring);
    for (outer, inner) in [
        (plain(), plain()),
        (plain(), plain().optional()),
        (plain().optional(), plain()),
        (plain().keep_credential(), plain()),
        (plain(), plain().with_header(X_API_KEY)),
        (plain().add_header(X_API_KEY), plain()),
    ] {
        let app = nested(outer, inner);
        assert_eq!(call(app.clone(), with_key(&key)).await.body, "live");
        assert_eq!(
            call(app.clone(), with_key("x")).await.code(),
            "invalid_token"
        );
        assert_eq!(
            call(app.clone(), with_value("")).await.code(),
            "invalid_request"
        );
    }
    assert_eq!(ground.store.asked(), 1, "one look-up for all of them");
}

#[tokio::test]
async fn the_inner_layer_judges_the_environment_again() {
    let ground = Ground::with(|builder| builder.environments(["live", "test"])).await;
    let of = |names: &[&str]| layer(&ground.keyring).environments(names).unwrap();
    let (live, test) = (ground.key_of("live").await, ground.key_of("test").await);
    let both_ways = [
        nested(of(&["live", "test"]), of(&["live"])),
        nested(of(&["live"]), of(&["live", "test"])),
        nested(of(&["live", "test"]), of(&["live"]).optional()),
    ];
    for app in both_ways {
        for _ in 0..2 {
            assert_eq!(call(app.clone(), with_key(&live)).await.body, "live");
            let seen = call(app.clone(), with_key(&test)).await;
            assert_eq!(
                (seen.status.as_u16(), seen.code().as_str()),
                (401, "invalid_token")
            );
        }
    }
}

#[tokio::test]
async fn an_anonymous_request_is_not_let_in_by_an_inner_layer_that_requires_a_key() {
    let ground = Ground::new().await;
    let key = ground.key(&[]).await;
    let (strict, optional) = (layer(&ground.keyring), layer(&ground.keyring).optional());
    let foreign = layer(&ground.keyring).pass_foreign_bearer();
    for app in [
        nested(optional.clone(), strict.clone()),
        nested(strict.clone(), optional.clone()),
        nested(foreign.clone(), strict.clone()),
    ] {
        assert_eq!(
            call(app.clone(), without_key()).await.code(),
            "missing_credentials"
        );
        assert_eq!(
            call(app.clone(), with_value("Basic YTpi")).await.code(),
            "missing_credentials"
        );
        assert_eq!(
            call(app.clone(), with_key("eyJ")).await.code(),
            "invalid_token"
        );
        assert_eq!(call(app, with_key(&key)).await.body, "live");
    }
    let app = nested(optional.clone(), optional);
    assert_eq!(call(app, without_key()).await.body, "nobody");
}

#[tokio::test]
async fn the_inner_layer_may_find_a_key_where_the_outer_did_not_look() {
    let ground = Ground::new().await;
    let key = ground.key(&[]).await;
    let inner = layer(&ground.keyring).with_header(X_API_KEY);
    let app = nested(layer(&ground.keyring).optional(), inner);
    let request = || Request::get("/").header(X_API_KEY, &key);
    let seen = call(app.clone(), request().body(Body::empty()).unwrap()).await;
    assert_eq!(
        (seen.body.as_str(), &seen.headers["vary"]),
        ("live", &"x-api-key".parse().unwrap())
    );
    let bad = Request::get("/").header(X_API_KEY, "x").body(Body::empty());
    assert_eq!(call(app, bad.unwrap()).await.code(), "invalid_token");
}

#[tokio::test]
async fn layers_of_two_keyrings_do_not_trust_each_other() {
    let (one, two) = (Ground::new().await, Ground::new().await);
    let (key_one, key_two) = (one.key(&[]).await, two.key(&[]).await);
    for key in [&key_one, &key_two] {
        for app in [
            nested(layer(&one.keyring), layer(&two.keyring)),
            nested(layer(&two.keyring), layer(&one.keyring)),
            nested(layer(&one.keyring).keep_credential(), layer(&two.keyring)),
            nested(layer(&two.keyring).keep_credential(), layer(&one.keyring)),
        ] {
            assert_eq!(call(app, with_key(key)).await.status, 401);
        }
    }
    // The header is gone: nobody vouches for the request at the inner gate.
    let app = nested(layer(&one.keyring), layer(&two.keyring));
    assert_eq!(
        call(app, with_key(&key_one)).await.code(),
        "missing_credentials"
    );
    // Both judge, each its own.
    let app = nested(
        layer(&one.keyring),
        layer(&two.keyring).with_header(X_API_KEY),
    );
    let request = |first: &str, second: &str| {
        Request::get("/")
            .header("authorization", format!("Bearer {first}"))
            .header(X_API_KEY, second)
            .body(Body::empty())
            .unwrap()
    };
    assert_eq!(
        call(app.clone(), request(&key_one, &key_two)).await.body,
        "live"
    );
    for (first, second) in [
        (&key_one, &key_one),
        (&key_two, &key_two),
        (&key_two, &key_one),
    ] {
        let seen = call(app.clone(), request(first, second)).await;
        assert_eq!(seen.code(), "invalid_token");
    }
}

#[tokio::test]
async fn two_keyrings_on_one_store_are_two_keyrings() {
    let ground = Ground::new().await;
    let key = ground.key(&[]).await;
    let again = Keyring::builder(std::sync::Arc::clone(&ground.store));
    let again = again.prefix("acme").build().unwrap();
    again.ready().await.unwrap();
    let app = nested(layer(&ground.keyring).keep_credential(), layer(&again));
    assert_eq!(call(app, with_key(&key)).await.body, "live");
    assert_eq!(ground.store.asked(), 2, "each has looked it up");
    let app = nested(layer(&ground.keyring), layer(&again));
    assert_eq!(
        call(app, with_key(&key)).await.code(),
        "missing_credentials"
    );
}

#[tokio::test]
async fn an_inner_layer_of_the_same_keyring_hides_the_credential_that_it_was_told_to_read() {
    let ground = Ground::new().await;
    let key = ground.key(&[]).await;
    let shown = async |headers: http::HeaderMap| format!("{headers:?}");
    let app = |outer: ApiKeyLayer, inner: ApiKeyLayer| {
        Router::new()
            .route("/", get(shown))
            .route_layer(inner)
            .route_layer(outer)
    };
    let plain = || layer(&ground.keyring);
    let request = || {
        Request::get("/")
            .header("authorization", format!("Bearer {key}"))
            .header(X_API_KEY, &key)
            .body(Body::empty())
            .unwrap()
    };
    let seen = call(app(plain(), plain().with_header(X_API_KEY)), request()).await;
    assert_eq!(seen.body, "{}");
    let kept = plain().with_header(X_API_KEY).keep_credential();
    let seen = call(app(plain(), kept), request()).await;
    assert_eq!(seen.body, r#"{"x-api-key": Sensitive}"#);
    let seen = call(app(plain().keep_credential(), plain()), with_key(&key)).await;
    assert_eq!(seen.body, "{}");
    // What cannot be read is not ours to take away.
    let mut repeated = request();
    let again = format!("Basic {key}").parse().unwrap();
    repeated.headers_mut().append("authorization", again);
    let outer = plain().with_header(X_API_KEY);
    let seen = call(app(outer.clone(), plain()), repeated).await;
    assert_eq!(
        seen.body,
        r#"{"authorization": Sensitive, "authorization": Sensitive}"#
    );
    let inner = plain().pass_foreign_bearer();
    let mut foreign = request();
    foreign
        .headers_mut()
        .insert("authorization", "Bearer eyJ".parse().unwrap());
    let seen = call(app(outer.clone(), inner.clone()), foreign).await;
    assert_eq!(seen.body, r#"{"authorization": Sensitive}"#);
    let seen = call(app(outer, inner), request()).await;
    assert_eq!(seen.body, "{}");
}
