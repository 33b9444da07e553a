//! For tests: callers of one's own handlers, time that moves when told, a store that fails on
//! command.
//!
//! A handler that takes a [`Principal`](crate::Principal), and what stands around it, is tested
//! without keys: where the service has its [`ApiKeyLayer`](crate::ApiKeyLayer), the test has a
//! [`caller`].
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use axum::{Router, body::Body, http::{Request, StatusCode}, routing::get};
//! use portcullis::{Principal, require_scope, testing};
//! use tower::ServiceExt;
//!
//! // In production: routes().route_layer(ApiKeyLayer::new(keyring))
//! fn routes() -> Router {
//!     Router::new().route("/reports", get(reports).route_layer(require_scope("reports:read")))
//! }
//!
//! async fn reports(caller: Principal) -> String {
//!     format!("reports of {}", caller.owner())
//! }
//!
//! let acme = testing::caller("acme-corp");
//! for (caller, status) in [
//!     (acme.clone().scopes(["reports:read"]), StatusCode::OK),
//!     (acme, StatusCode::FORBIDDEN),
//!     (testing::anonymous(), StatusCode::UNAUTHORIZED),
//! ] {
//!     let app = routes().route_layer(caller);
//!     let response = app.oneshot(Request::get("/reports").body(Body::empty())?).await?;
//!     assert_eq!(response.status(), status);
//! }
//! # Ok(()) }
//! ```
//!
//! **A [`CallerLayer`] LETS EVERYBODY IN.** Enable the feature `testing` under
//! `[dev-dependencies]` alone, and nothing of this is in the service that you ship:
//!
//! ```toml
//! [dev-dependencies]
//! portcullis = { version = "…", features = ["testing"] }
//! ```
//!
//! What there is:
//!
//! - [`caller`] and [`anonymous`]: who calls, in tests of handlers, and as a plain
//!   [`Principal`](crate::Principal) in tests of the functions behind them;
//! - [`FakeClock`]: for a keyring and its store, so that keys expire when the test says so;
//! - [`FaultStore`]: around any store, to see what a service answers while the store is away;
//! - the [suite](crate::store::conformance) by which a store of your own proves itself.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use portcullis::Keyring;
//! use portcullis::keyring::NewKey;
//! use portcullis::store::MemoryStore;
//! use portcullis::testing::FaultStore;
//!
//! let store = FaultStore::new(MemoryStore::new());
//! let faults = store.faults();
//! let keyring = Keyring::builder(store).prefix("acme").build()?;
//!
//! faults.writes.fail();
//! assert!(keyring.create(NewKey::named("export")?).await.is_err());
//! faults.writes.heal();
//! assert!(keyring.create(NewKey::named("export")?).await.is_ok());
//! assert_eq!(faults.writes.calls(), 2);
//! # Ok(()) }
//! ```

// Not under `cfg(test)`: what lets everybody in is there on demand alone.
#[cfg(feature = "testing")]
mod caller;
mod clock;
mod faults;
mod store;

#[cfg(feature = "testing")]
pub use caller::{CallerLayer, CallerService, anonymous, caller};
pub use clock::FakeClock;
pub use faults::{Faults, Switch};
pub use store::FaultStore;
