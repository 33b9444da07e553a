//! API-key authentication for any tower HTTP service, made for axum.
//!
//! A [layer](ApiKeyLayer) takes the bearer key from a request, checks it against a remembered or
//! shared look-up, and leaves a [`Principal`]; further layers and extractors demand scopes; a
//! [router](admin) lets people manage keys.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use axum::{Router, body::Body, http::{Request, StatusCode}, routing::get};
//! use portcullis::keyring::NewKey;
//! use portcullis::store::MemoryStore; // or SqliteStore::connect("sqlite://keys.db").await?
//! use portcullis::{ApiKeyLayer, Keyring, Principal, require_scope};
//! use tower::ServiceExt;
//!
//! let keyring = Keyring::builder(MemoryStore::new()).prefix("acme").build()?;
//! let app: Router = Router::new()
//!     .route("/reports", get(reports).route_layer(require_scope("reports:read")))
//!     .route_layer(ApiKeyLayer::new(keyring.clone()));
//!
//! async fn reports(caller: Principal) -> String {
//!     format!("reports of {}", caller.owner())
//! }
//!
//! let new = NewKey::named("nightly export")?.owner("acme-corp")?.scopes(["reports:read"])?;
//! let created = keyring.create(new).await?;
//! let request = || {
//!     Request::get("/reports")
//!         .header("authorization", format!("Bearer {}", created.secret.expose()))
//!         .body(Body::empty())
//! };
//! let response = app.clone().oneshot(request()?).await?;
//! assert_eq!(response.status(), StatusCode::OK);
//!
//! // Once this has returned, the key is dead here, whatever was under way.
//! keyring.revoke(&created.key.id, Some("leaked")).await?;
//! let response = app.oneshot(request()?).await?;
//! assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
//! # Ok(()) }
//! ```
//!
//! # The way of a request
//!
//! 1. **Credential**: what did the caller present? Nothing, something [unreadable](Malformed), or
//!    one token.
//! 2. **[`key`]**: does it look like a key of ours? Prefix, length, alphabet and checksum are
//!    checked before anything is hashed; then its digest is all that goes on.
//! 3. **[`keyring`]**: what is known of that digest? A remembered answer if it can be proven fresh,
//!    otherwise one look-up in the [`store`] for all who ask.
//! 4. **[`layer`]**: let it in, or answer 400, 401 or 503.
//! 5. **[`scope`]**: does the key grant what the route demands? If not, 403.
//!
//! # Features
//!
//! | feature | brings | default |
//! |---|---|---|
//! | `axum` | [`Principal`], `Option<Principal>` and [`Scoped`] as extractors, [`require_resource`], the address of the peer from `ConnectInfo` | yes |
//! | `admin` | the [router](admin) that manages keys | |
//! | `openapi` | its [OpenAPI](openapi) document, and the means to put scopes into your own | |
//! | `secret-scanning` | [reports of leaks](admin::ScanningKeys) as GitHub's secret scanning signs them | |
//! | `sqlite` | [`SqliteStore`](store::SqliteStore) | |
//! | `postgres` | [`PostgresStore`](store::PostgresStore) | |
//! | `testing` | [callers for your own handler tests, a fake clock, a store that fails on command](testing), the [suite](store::conformance) for stores | |
//! | `blake3` | [BLAKE3](key::DigestAlgorithm::blake3) as the digest of keys | |
//!
//! # What it does not do
//!
//! Sessions, passwords, OAuth, JSON Web Tokens, TLS, rate limits. Keys are never read from URLs,
//! cookies or bodies.

// A library neither prints nor gives up; examples, benchmarks and tests may.
#![warn(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used
)]

#[cfg(feature = "admin")]
pub mod admin;
pub mod allowed_ips;
pub mod clock;
mod credential;
mod escaped;
mod excerpt;
#[cfg(feature = "axum")]
mod extract;
pub mod key;
pub mod keyring;
pub mod layer;
pub mod lifetime;
#[cfg(feature = "openapi")]
pub mod openapi;
mod principal;
pub mod resources;
pub mod scope;
pub mod store;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod timestamp;

pub use credential::Malformed;
#[cfg(feature = "axum")]
pub use extract::{ExtractRejection, RequiredScope, Scoped};
pub use keyring::Keyring;
#[cfg(feature = "axum")]
pub use layer::require_resource;
pub use layer::{ApiKeyLayer, Rejection, require_all, require_any, require_scope};
pub use principal::Principal;

/// The reasons behind it all, from `docs/`.
pub mod manual {
    #[doc = include_str!("../docs/defaults.md")]
    pub mod defaults {}
    #[doc = include_str!("../docs/faults.md")]
    pub mod faults {}
    #[doc = include_str!("../docs/freshness.md")]
    pub mod freshness {}
    #[doc = include_str!("../docs/http.md")]
    pub mod http {}
    #[doc = include_str!("../docs/multi-tenant.md")]
    #[cfg(feature = "admin")]
    pub mod multi_tenant {}
    #[doc = include_str!("../docs/migrating.md")]
    pub mod migrating {}
    #[doc = include_str!("../docs/scaling.md")]
    pub mod scaling {}
    #[doc = include_str!("../docs/service-to-service.md")]
    pub mod service_to_service {}
}
