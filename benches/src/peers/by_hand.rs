//! What people write by hand: a `from_fn` over `sha2` and `moka`.
//!
//! Both are careful in their way, and neither has what makes the difference when something goes
//! wrong: a bound on revocation, a negative cache, a shared look-up that survives its first asker,
//! a checksum before the hash.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use http::StatusCode;
use http::header::AUTHORIZATION;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::world::open;

/// How many keys most people remember.
const ROOM: u64 = 100_000;

/// What a row says.
#[derive(Debug)]
struct Row {
    hash: [u8; 32],
    owner: String,
    scopes: Vec<String>,
    enabled: bool,
    expires_at: Option<SystemTime>,
}

fn row(key: &str) -> Arc<Row> {
    Arc::new(Row {
        hash: Sha256::digest(key.as_bytes()).into(),
        owner: "acme-corp".to_owned(),
        scopes: vec!["reports:read".to_owned(), "reports:write".to_owned()],
        enabled: true,
        expires_at: Some(SystemTime::now() + Duration::from_hours(24)),
    })
}

impl Row {
    fn is_alive(&self) -> bool {
        self.enabled
            && !self.owner.is_empty()
            && self.expires_at.is_none_or(|end| SystemTime::now() < end)
    }
}

fn presented(request: &Request) -> Result<&str, StatusCode> {
    request
        .headers()
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .ok_or(StatusCode::UNAUTHORIZED)
}

/// The typical one: the digest as a hexadecimal `String`, an async cache with a loader, the
/// standard library's hasher.
#[derive(Clone)]
struct Typical {
    cache: moka::future::Cache<String, Arc<Row>>,
    database: Arc<HashMap<String, Arc<Row>>>,
}

/// A router behind the typical one, which knows `keys`.
pub fn typical(keys: impl Iterator<Item = String>) -> Router {
    typical_with_room(ROOM, keys)
}

/// The same with room for so many in its cache.
pub fn typical_with_room(room: u64, keys: impl Iterator<Item = String>) -> Router {
    let database = keys.map(|key| (hex(&key), row(&key))).collect();
    let state = Typical {
        cache: moka::future::Cache::builder()
            .max_capacity(room)
            .time_to_live(Duration::from_mins(1))
            .build(),
        database: Arc::new(database),
    };
    open().layer(from_fn_with_state(state, Typical::check))
}

impl Typical {
    async fn check(
        State(state): State<Self>,
        mut request: Request,
        next: Next,
    ) -> Result<Response, StatusCode> {
        let digest = hex(presented(&request)?);
        let database = Arc::clone(&state.database);
        let wanted = digest.clone();
        let load = async move {
            let found = database.get(&wanted).cloned();
            found.ok_or(StatusCode::UNAUTHORIZED)
        };
        let row = state.cache.try_get_with(digest, load).await;
        let row = row.map_err(|status| *status)?;
        if !row.is_alive() {
            return Err(StatusCode::UNAUTHORIZED);
        }
        if !row.scopes.iter().any(|scope| scope == "reports:read") {
            return Err(StatusCode::FORBIDDEN);
        }
        request.extensions_mut().insert(row);
        Ok(next.run(request).await)
    }
}

fn hex(key: &str) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digest = Sha256::digest(key.as_bytes());
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    digest
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

/// The lean one: the digest as it is, a cache that is asked without waiting, a comparison in
/// constant time.
#[derive(Clone)]
struct Lean {
    cache: moka::sync::Cache<[u8; 32], Arc<Row>>,
    database: Arc<HashMap<[u8; 32], Arc<Row>>>,
}

/// A router behind the lean one, which knows `keys`.
pub fn lean(keys: impl Iterator<Item = String>) -> Router {
    lean_with_room(ROOM, keys)
}

/// The same with room for so many in its cache.
pub fn lean_with_room(room: u64, keys: impl Iterator<Item = String>) -> Router {
    let database = keys.map(|key| row(&key)).map(|row| (row.hash, row));
    let state = Lean {
        cache: moka::sync::Cache::builder()
            .max_capacity(room)
            .time_to_live(Duration::from_mins(1))
            .build(),
        database: Arc::new(database.collect()),
    };
    open().layer(from_fn_with_state(state, Lean::check))
}

impl Lean {
    async fn check(
        State(state): State<Self>,
        mut request: Request,
        next: Next,
    ) -> Result<Response, StatusCode> {
        let digest: [u8; 32] = Sha256::digest(presented(&request)?.as_bytes()).into();
        let row = if let Some(row) = state.cache.get(&digest) {
            row
        } else {
            let found = state.database.get(&digest).cloned();
            let row = found.ok_or(StatusCode::UNAUTHORIZED)?;
            state.cache.insert(digest, Arc::clone(&row));
            row
        };
        if !bool::from(row.hash.ct_eq(&digest)) || !row.is_alive() {
            return Err(StatusCode::UNAUTHORIZED);
        }
        if !row.scopes.iter().any(|scope| scope == "reports:read") {
            return Err(StatusCode::FORBIDDEN);
        }
        request.extensions_mut().insert(row);
        Ok(next.run(request).await)
    }
}
