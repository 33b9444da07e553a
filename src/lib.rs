//! API-key authentication for any tower HTTP service.

#[allow(dead_code, unreachable_pub)]
mod credential;
pub mod key;
