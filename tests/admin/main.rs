//! The admin router from outside.
//!
//! [`world`] is what the tests stand on: it checks with every answer what holds for all of them.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, also in what it stands on"
)]
#![expect(clippy::too_many_lines, reason = "a table is as long as it is")]

#[macro_use]
mod world;
mod late;
mod reply;

mod attack;
mod body;
mod bootstrap;
mod change;
mod create;
mod list;
mod log;
mod order;
mod outage;
mod outer_layer;
mod read;
mod revoke;
