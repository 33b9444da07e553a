//! Keys that another system has issued, at the gate.

use axum::Router;
use axum::routing::get;
use portcullis::key::{Alphabet, ForeignFormat, KeyHint};
use portcullis::keyring::{Builder, Dead, Imported, MadeElsewhere, NewKey};
use portcullis::layer::Reason;
use portcullis::{ApiKeyLayer, Principal};

use crate::ground::{Ground, call, with_key};

const OLD: &str = "old_sk_000102030405060708090a0b0c0d0e0f1011121314151617";

fn accepting(builder: Builder) -> Builder {
    let old = ForeignFormat::new("old_sk_", Alphabet::Hex, 48).unwrap();
    let test = ForeignFormat::new("old_test_", Alphabet::Hex, 48).unwrap();
    builder
        .environments(["live", "test"])
        .accept_foreign(old)
        .accept_foreign(test.environment("test".parse().unwrap()))
}

fn app(layer: ApiKeyLayer) -> Router {
    async fn handler(caller: Option<Principal>) -> String {
        caller.map_or("nobody".to_owned(), |caller| caller.name().to_owned())
    }
    Router::new().route("/", get(handler)).route_layer(layer)
}

fn live(ground: &Ground) -> ApiKeyLayer {
    let layer = ApiKeyLayer::new(ground.keyring.clone());
    layer.environments(["live"]).unwrap()
}

/// Brings a key in by its digest, as a migration does.
async fn import(ground: &Ground, text: &str, environment: &str) -> portcullis::key::KeyId {
    let format = ground.keyring.format();
    let elsewhere = MadeElsewhere {
        digest: format.parse(text.as_bytes()).unwrap().digest(),
        hint: KeyHint::from_stored(&text[..11]).unwrap(),
    };
    let new = NewKey::named("old").unwrap();
    let new = new.environment(environment.parse().unwrap());
    match ground.keyring.import(new, elsewhere).await.unwrap() {
        Imported::Made(key) => key.id,
        Imported::Exists(key) => panic!("{key:?}"),
    }
}

#[tokio::test]
async fn an_imported_key_opens_until_it_is_revoked_and_rotates_into_one_of_ours() {
    let ground = Ground::with(accepting).await;
    let app = app(live(&ground));
    let seen = call(app.clone(), with_key(OLD)).await;
    assert_eq!(
        *seen.rejection().reason(),
        Reason::Dead(Dead::Unknown),
        "not imported yet"
    );

    let id = import(&ground, OLD, "live").await;
    let seen = call(app.clone(), with_key(OLD)).await;
    assert_eq!((seen.status.as_u16(), &*seen.body), (200, "old"));
    let asked = ground.store.asked();
    assert_eq!(call(app.clone(), with_key(OLD)).await.status, 200);
    assert_eq!(ground.store.asked(), asked, "remembered like any other");

    let rotated = ground
        .keyring
        .rotate(&id, std::time::Duration::ZERO)
        .await
        .unwrap();
    let ours = rotated.secret.expose();
    assert!(ours.starts_with("acme_live_"));
    assert_eq!(call(app.clone(), with_key(OLD)).await.status, 401);
    assert_eq!(call(app.clone(), with_key(ours)).await.status, 200);
    ground.keyring.revoke(&id, None).await.unwrap();
    assert_eq!(call(app, with_key(ours)).await.status, 401);
}

#[tokio::test]
async fn what_nearly_has_a_form_costs_no_look_up() {
    let ground = Ground::with(accepting).await;
    let app = app(live(&ground));
    let near = [
        OLD.to_uppercase(),
        OLD.replace("0a0b", "0A0B"),
        OLD.replace("old_sk_", "old-sk-"),
        OLD[..OLD.len() - 1].to_owned(),
        format!("{OLD}0"),
        format!("{}{}", &OLD[..OLD.len() - 1], "g"),
        format!("old_sk_{}", "0".repeat(249)),
        format!("old_sk_{}", "0".repeat(1 << 16)),
    ];
    for text in near {
        let seen = call(app.clone(), with_key(&text)).await;
        assert_eq!(
            (seen.status.as_u16(), &*seen.code()),
            (401, "invalid_token")
        );
        assert!(
            !matches!(seen.rejection().reason(), Reason::Dead(_)),
            "{}",
            text.len()
        );
    }
    assert_eq!(ground.store.asked(), 0);
}

#[tokio::test]
async fn made_up_ones_are_shed_like_other_junk() {
    let ground = Ground::with(|builder| accepting(builder).unknown_lookups(1, 3)).await;
    let app = app(live(&ground));
    let mut statuses = Vec::new();
    for number in 0..6 {
        let text = format!("old_sk_{number:048x}");
        statuses.push(call(app.clone(), with_key(&text)).await.status.as_u16());
    }
    assert_eq!(statuses, [401, 401, 401, 503, 503, 503]);
    assert_eq!(ground.store.asked(), 3);
}

#[tokio::test]
async fn the_environment_is_that_of_the_form() {
    let ground = Ground::with(accepting).await;
    let app = app(live(&ground));
    let test = OLD.replace("old_sk_", "old_test_");
    import(&ground, &test, "test").await;
    let seen = call(app.clone(), with_key(&test)).await;
    assert_eq!(*seen.rejection().reason(), Reason::Dead(Dead::Environment));
    assert_eq!(
        ground.store.asked(),
        0,
        "not of an environment that is accepted here"
    );
}

#[tokio::test]
async fn a_foreign_key_is_no_foreign_bearer_token() {
    let ground = Ground::with(accepting).await;
    let app = app(live(&ground).pass_foreign_bearer());
    let jwt = "eyJhbGciOiJIUzI1NiJ9.e30.c2ln";
    assert_eq!(call(app.clone(), with_key(jwt)).await.body, "nobody");
    // Good, unknown, or nearly one: it is judged, and never lets anybody pass as nobody.
    for text in [OLD, &OLD[..20]] {
        assert_eq!(
            call(app.clone(), with_key(text)).await.status,
            401,
            "{}",
            text.len()
        );
    }
    import(&ground, OLD, "live").await;
    assert_eq!(call(app, with_key(OLD)).await.body, "old");
}

#[tokio::test]
async fn without_the_option_it_is_no_key() {
    let ground = Ground::new().await;
    let app = app(ApiKeyLayer::new(ground.keyring.clone()));
    let seen = call(app, with_key(OLD)).await;
    assert!(matches!(seen.rejection().reason(), Reason::NotAKey(_)));
    assert_eq!(ground.store.asked(), 0);
}
