//! API-key authentication for any tower HTTP service.

#[cfg(feature = "admin")]
pub mod admin;
pub mod clock;
mod credential;
mod excerpt;
#[cfg(feature = "axum")]
mod extract;
pub mod key;
pub mod keyring;
pub mod layer;
pub mod lifetime;
mod principal;
pub mod scope;
pub mod store;
pub mod timestamp;

pub use credential::Malformed;
#[cfg(feature = "axum")]
pub use extract::{ExtractRejection, RequiredScope, Scoped};
pub use keyring::Keyring;
pub use layer::{ApiKeyLayer, Rejection, require_all, require_any, require_scope};
pub use principal::Principal;
