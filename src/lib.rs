//! API-key authentication for any tower HTTP service.

pub mod clock;
mod excerpt;
pub mod key;
pub mod keyring;
pub mod lifetime;
pub mod principal;
pub mod scope;
pub mod store;
pub mod timestamp;

pub use keyring::Keyring;
pub use principal::Principal;
