//! JSON Web Tokens, checked by `jsonwebtoken` in a `from_fn`.
//!
//! They need no look-up and no cache, and cannot be revoked before they end: another thing, beside
//! which it is good to know what a key costs.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use http::StatusCode;
use http::header::AUTHORIZATION;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::{Deserialize, Serialize};

use crate::world::open;

/// The key pair of test 1 in RFC 8032.
const PRIVATE: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
const PUBLIC: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
/// What PKCS #8 puts before an Ed25519 key.
const PKCS8: &str = "302e020100300506032b657004220420";

#[derive(Clone, Debug, Deserialize, Serialize)]
struct Claims {
    sub: String,
    exp: u64,
    scope: String,
}

#[derive(Clone)]
struct Checker {
    key: Arc<DecodingKey>,
    validation: Arc<Validation>,
}

/// A router behind HMAC-SHA-256, and a token for it.
pub fn hs256() -> (Router, String) {
    let secret = [7; 32];
    made(
        Algorithm::HS256,
        &EncodingKey::from_secret(&secret),
        DecodingKey::from_secret(&secret),
    )
}

/// A router behind Ed25519, and a token for it.
pub fn eddsa() -> (Router, String) {
    let private = bytes(&format!("{PKCS8}{PRIVATE}"));
    made(
        Algorithm::EdDSA,
        &EncodingKey::from_ed_der(&private),
        DecodingKey::from_ed_der(&bytes(PUBLIC)),
    )
}

fn made(algorithm: Algorithm, signing: &EncodingKey, checking: DecodingKey) -> (Router, String) {
    let tomorrow = SystemTime::now() + Duration::from_hours(24);
    let claims = Claims {
        sub: "acme-corp".to_owned(),
        exp: tomorrow
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap()
            .as_secs(),
        scope: "reports:read reports:write".to_owned(),
    };
    let token = encode(&Header::new(algorithm), &claims, signing).unwrap();
    let state = Checker {
        key: Arc::new(checking),
        validation: Arc::new(Validation::new(algorithm)),
    };
    (
        open().layer(from_fn_with_state(state, Checker::check)),
        token,
    )
}

impl Checker {
    async fn check(
        State(state): State<Self>,
        mut request: Request,
        next: Next,
    ) -> Result<Response, StatusCode> {
        let token = request
            .headers()
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "))
            .ok_or(StatusCode::UNAUTHORIZED)?;
        let decoded = decode::<Claims>(token, &state.key, &state.validation);
        let claims = decoded.map_err(|_| StatusCode::UNAUTHORIZED)?.claims;
        if !claims.scope.split(' ').any(|scope| scope == "reports:read") {
            return Err(StatusCode::FORBIDDEN);
        }
        request.extensions_mut().insert(Arc::new(claims));
        Ok(next.run(request).await)
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(byte).collect()
}
