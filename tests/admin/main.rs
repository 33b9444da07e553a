//! The admin API from outside.
//!
//! [`world`] and [`desk`] are what the tests stand on: they check with every answer what holds
//! for all of them, and show it to [`canary`]. Each other file is one endpoint or one claim.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, also in what it stands on"
)]
#![expect(clippy::too_many_lines, reason = "a table is as long as it is")]

#[path = "../canary/mod.rs"]
mod canary;
#[macro_use]
mod world;
mod document;
mod late;
mod postgres;
mod reply;

mod attack;
mod body;
mod bootstrap;
mod change;
mod columns;
mod create;
mod denied;
mod elsewhere;
mod first_start;
mod import;
mod leaks;
mod leaks_github;
mod list;
mod log;
mod narrowed;
mod on_change;
mod openapi;
mod order;
mod outage;
mod outer_layer;
mod policy;
mod read;
mod refusals;
mod revoke;
mod self_service;
mod sessions;
mod taken;
mod trail;

mod desk;

mod absurd;
mod addresses;
mod current;
mod emergency;
mod every_change_logged;
mod filters;
mod grace;
mod idempotency;
mod metadata;
mod patch;
mod previous;
mod rotate;
mod second_order;
