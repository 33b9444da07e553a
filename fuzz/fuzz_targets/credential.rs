//! Whole requests through the gate, against the table of answers in the manual.
//!
//! Each line is a header: `x-api-key:` and a value, or `authorization:` and a value. A line that
//! names neither is one of `authorization`. Values may have every byte that a header can carry.
#![no_main]

use std::convert::Infallible;

use axum::body::{Body, to_bytes};
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, WWW_AUTHENTICATE};
use http::{Request, Response};
use libfuzzer_sys::fuzz_target;
use portcullis::keyring::NewKey;
use portcullis::{ApiKeyLayer, Principal, Rejection};
use portcullis_fuzz::key_rules::{is_bearer_token, is_key};
use portcullis_fuzz::{challenge, ground};
use tokio::runtime::Runtime;
use tower::util::BoxCloneSyncService;
use tower::{Layer as _, ServiceExt as _, service_fn};

const KEY: HeaderName = HeaderName::from_static("x-api-key");

type Service = BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>;

/// What a gate was told to do.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    Bearer,
    BothPlaces,
    Optional,
    PassForeign,
}

struct Stage {
    runtime: Runtime,
    gates: Vec<(Manner, Service)>,
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
    runtime.block_on(async {
        let named = || NewKey::named("a key").unwrap();
        ground::put(&keyring, ground::LIVING, named()).await;
        let revoked = ground::put(&keyring, ground::REVOKED, named()).await;
        keyring.revoke(&revoked.id, None).await.unwrap();
    });
    let layer = || ApiKeyLayer::new(keyring.clone());
    let gates = [
        (Manner::Bearer, layer()),
        (Manner::BothPlaces, layer().add_header(KEY)),
        (Manner::Optional, layer().optional()),
        (Manner::PassForeign, layer().pass_foreign_bearer()),
    ];
    let gates = gates.into_iter().map(|(manner, layer)| {
        let service = layer.layer(service_fn(inner));
        let service = service.map_response(|response| response.map(Body::new));
        (manner, BoxCloneSyncService::new(service))
    });
    Stage {
        gates: gates.collect(),
        runtime,
    }
}

/// Says who came in, and what was left of the credentials.
async fn inner(request: Request<Body>) -> Result<Response<Body>, Infallible> {
    let who = match Principal::of(request.extensions()) {
        Some(_) => "a key",
        None => "anonymous",
    };
    let mut response = Response::new(Body::from(who));
    *response.headers_mut() = request.headers().clone();
    Ok(response)
}

/// What is to come of a request.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Expected {
    Key,
    Anonymous,
    Missing,
    Malformed,
    /// One answer for all that is no living key.
    Invalid,
    /// The same, unless look-ups of unknown keys are too many just now.
    InvalidOrUnavailable,
}

fuzz_target!(|data: &[u8]| {
    let mut headers = HeaderMap::new();
    for line in data.split(|byte| *byte == b'\n') {
        let (name, value) = match line.strip_prefix(b"x-api-key:") {
            Some(value) => (KEY, value),
            None => (
                AUTHORIZATION,
                line.strip_prefix(b"authorization:").unwrap_or(line),
            ),
        };
        let Ok(value) = HeaderValue::from_bytes(value) else {
            return;
        };
        headers.append(name, value);
    }
    STAGE.with(|stage| {
        for (manner, gate) in &stage.gates {
            let mut request = Request::new(Body::empty());
            *request.headers_mut() = headers.clone();
            let answer = stage.runtime.block_on(async {
                let Ok(response) = gate.clone().oneshot(request).await;
                let (parts, body) = response.into_parts();
                (parts, to_bytes(body, usize::MAX).await.unwrap())
            });
            judge(&headers, *manner, &answer);
        }
    });
});

fn judge(
    headers: &HeaderMap,
    manner: Manner,
    (parts, body): &(http::response::Parts, bytes::Bytes),
) {
    let expected = expected(headers, manner);
    let (allowed, code): (&[u16], &str) = match expected {
        Expected::Key | Expected::Anonymous => (&[200], ""),
        Expected::Missing => (&[401], "missing_credentials"),
        Expected::Malformed => (&[400], "invalid_request"),
        Expected::Invalid => (&[401], "invalid_token"),
        Expected::InvalidOrUnavailable => (&[401, 503], "invalid_token"),
    };
    let status = parts.status.as_u16();
    assert!(allowed.contains(&status), "{status}, and not {expected:?}");
    if status == 200 {
        let who = if expected == Expected::Key {
            "a key"
        } else {
            "anonymous"
        };
        assert_eq!(body, who);
        let key_is_gone = parts.headers.get_all(AUTHORIZATION).iter().all(|value| {
            value.is_sensitive()
                && !value
                    .as_bytes()
                    .ends_with(ground::secret(ground::LIVING).as_bytes())
        });
        assert!(key_is_gone || manner != Manner::Bearer || expected != Expected::Key);
        return;
    }
    let answer: serde_json::Value = serde_json::from_slice(body).expect("a problem is JSON");
    let code = if status == 503 { "unavailable" } else { code };
    assert_eq!(
        (&answer["code"], &answer["status"]),
        (&code.into(), &status.into())
    );
    let rejection = parts
        .extensions
        .get::<Rejection>()
        .expect("who logs wants the reason");
    let said = format!("{rejection:?} {rejection} {:?} {answer}", parts.headers);
    for value in headers.values().filter_map(|value| value.to_str().ok()) {
        let credential = value.rsplit(' ').next().unwrap_or_default();
        assert!(
            credential.len() < 20 || !said.contains(credential),
            "repeated: {said}"
        );
    }
    let mut challenges = parts.headers.get_all(WWW_AUTHENTICATE).iter();
    if status == 503 {
        assert_eq!(challenges.next(), None);
        return;
    }
    let read = challenge::read(challenges.next().expect("a challenge").as_bytes());
    let mut parameters = vec![("realm".to_owned(), b"api".to_vec())];
    if code != "missing_credentials" {
        parameters.push(("error".to_owned(), code.into()));
    }
    let scheme = "Bearer".to_owned();
    assert_eq!(read, Some(challenge::Challenge { scheme, parameters }));
    assert_eq!(challenges.next(), None);
}

/// By the table of the manual and RFC 6750, without a look at the code.
fn expected(headers: &HeaderMap, manner: Manner) -> Expected {
    let bearer = one_value(headers, &AUTHORIZATION).map_or_else(
        |wrong| wrong.map(Err),
        |value| bearer(value).map(|read| read.map(|token| (token, true))),
    );
    let own = match manner {
        Manner::BothPlaces => one_value(headers, &KEY).map_or_else(
            |wrong| wrong.map(Err),
            |value| Some(token(value).map(|token| (token, false))),
        ),
        _ => None,
    };
    let passes = matches!(manner, Manner::Optional | Manner::PassForeign);
    match (bearer, own) {
        (Some(_), Some(_)) => Expected::Malformed,
        (None, None) if passes => Expected::Anonymous,
        (None, None) => Expected::Missing,
        (Some(read), None) | (None, Some(read)) => match read {
            Err(wrong) => wrong,
            Ok((token, _)) if manner == Manner::PassForeign && !token.starts_with(b"acme_") => {
                Expected::Anonymous
            }
            Ok((token, _)) if token.len() > 256 => Expected::Invalid,
            Ok((token, _)) if token == ground::secret(ground::LIVING).as_bytes() => Expected::Key,
            Ok((token, _)) if is_key("acme", &["live"], token) => Expected::InvalidOrUnavailable,
            Ok(_) => Expected::Invalid,
        },
    }
}

/// The one value of a header, without space around it; otherwise what is wrong, if anything is.
fn one_value<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<&'h [u8], Option<Expected>> {
    let mut lines = headers.get_all(name).iter();
    let only = lines.next().ok_or(None)?;
    match (lines.next(), only.as_bytes().trim_ascii()) {
        (None, value @ [_, ..]) => Ok(value),
        _ => Err(Some(Expected::Malformed)),
    }
}

/// What is behind `Bearer`; `None` if it is another scheme.
fn bearer(value: &[u8]) -> Option<Result<&[u8], Expected>> {
    let tchar = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let end = value.iter().take_while(|byte| tchar(byte)).count();
    let (scheme, rest) = value.split_at(end);
    if !scheme.eq_ignore_ascii_case(b"bearer") {
        return None;
    }
    let spaces = rest.iter().take_while(|byte| **byte == b' ').count();
    let rest = &rest[spaces..];
    if spaces == 0 {
        let long = rest.len() > 256;
        return Some(Err(if long {
            Expected::Invalid
        } else {
            Expected::Malformed
        }));
    }
    Some(token(rest))
}

fn token(value: &[u8]) -> Result<&[u8], Expected> {
    match (is_bearer_token(value), value.len() > 256) {
        (true, _) => Ok(value),
        (false, true) => Err(Expected::Invalid),
        (false, false) => Err(Expected::Malformed),
    }
}
