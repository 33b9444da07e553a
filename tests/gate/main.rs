//! The gate from outside: the layer, the scopes that a route demands, and the extractors.
//!
//! [`ground`], [`wire`] and [`challenge`] are what the tests stand on, and show what they see to
//! [`canary`]; each other file is one claim.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, also in what it stands on"
)]
#![expect(clippy::too_many_lines, reason = "a table is as long as it is")]

#[path = "../canary/mod.rs"]
mod canary;
mod challenge;
mod ground;
mod wire;

mod addresses;
mod composition;
mod credential_inside;
mod dead_keys;
mod demands;
mod extractors;
mod flood;
mod foreign;
mod header_bytes;
mod nesting;
mod no_way_around;
mod other_places;
mod outage;
mod readiness;
mod resources;
mod secrecy;
mod settings;
mod shown;
mod table;
