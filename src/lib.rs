//! API-key authentication for any tower HTTP service.

mod excerpt;
pub mod lifetime;
pub mod scope;
pub mod timestamp;
