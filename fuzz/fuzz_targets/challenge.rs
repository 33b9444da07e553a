//! A challenge says to an independent reader what was put into it.
//!
//! The first line is the realm, the second the scopes that a route demands.
#![no_main]

use std::convert::Infallible;

use axum::body::Body;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{Request, Response};
use libfuzzer_sys::fuzz_target;
use portcullis::keyring::NewKey;
use portcullis::{ApiKeyLayer, Keyring, require_all, require_any};
use portcullis_fuzz::scope_rules::is_scope;
use portcullis_fuzz::{challenge, ground};
use tokio::runtime::Runtime;
use tower::{Layer as _, ServiceExt as _, service_fn};

struct Stage {
    runtime: Runtime,
    keyring: Keyring,
}

thread_local! {
    static STAGE: Stage = stage();
}

fn stage() -> Stage {
    let runtime = ground::runtime();
    let (keyring, _) = {
        let _inside = runtime.enter();
        ground::keyring(|builder| builder)
    };
    let new = NewKey::named("grants nothing").unwrap();
    runtime.block_on(ground::put(&keyring, ground::LIVING, new));
    Stage { runtime, keyring }
}

fuzz_target!(|data: &[u8]| {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let (realm, scopes) = text.split_once('\n').unwrap_or((text, ""));
    STAGE.with(|stage| round_trip(stage, realm, scopes));
});

fn round_trip(stage: &Stage, realm: &str, scopes: &str) {
    let layer = match ApiKeyLayer::new(stage.keyring.clone()).realm(realm) {
        Ok(layer) => layer,
        Err(why) => {
            assert!(realm.chars().any(char::is_control), "{why}");
            return;
        }
    };
    assert!(!realm.chars().any(char::is_control));
    let mut scopes: Vec<&str> = scopes.split(' ').filter(|scope| is_scope(scope)).collect();
    if scopes.is_empty() {
        scopes.push("a");
    }
    let living = format!("Bearer {}", ground::secret(ground::LIVING));
    for demand in [require_all(&scopes), require_any(&scopes)] {
        let inner =
            service_fn(async |_: Request<Body>| Ok::<_, Infallible>(Response::new(Body::empty())));
        let service = layer.layer(demand.layer(inner));
        for (credential, status) in [
            ("", 401),
            ("Bearer x", 401),
            ("Bearer ,", 400),
            (&living, 403),
        ] {
            let mut request = Request::new(Body::empty());
            if !credential.is_empty() {
                let value = credential.parse().unwrap();
                request.headers_mut().insert(AUTHORIZATION, value);
            }
            let Ok(response) = stage.runtime.block_on(service.clone().oneshot(request));
            assert_eq!(response.status(), status);
            let error = match (status, credential) {
                (400, _) => Some("invalid_request"),
                (403, _) => Some("insufficient_scope"),
                (_, "") => None,
                _ => Some("invalid_token"),
            };
            let mut lines = response.headers().get_all(WWW_AUTHENTICATE).iter();
            let read = challenge::read(lines.next().expect("a challenge").as_bytes());
            assert_eq!(
                (read, lines.next()),
                (Some(said(realm, error, &scopes)), None)
            );
        }
    }
}

fn said(realm: &str, error: Option<&str>, scopes: &[&str]) -> challenge::Challenge {
    let mut parameters = vec![("realm".to_owned(), realm.into())];
    parameters.extend(error.map(|error| ("error".to_owned(), error.into())));
    if error == Some("insufficient_scope") {
        let mut scopes = scopes.to_vec();
        scopes.sort_unstable();
        scopes.dedup();
        parameters.push(("scope".to_owned(), scopes.join(" ").into()));
    }
    challenge::Challenge {
        scheme: "Bearer".to_owned(),
        parameters,
    }
}
