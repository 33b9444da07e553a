//! The admin API from outside, request by request.
//!
//! [`desk`] is what the tests stand on; each other file is one endpoint or one claim.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, also in what it stands on"
)]
#![expect(clippy::too_many_lines, reason = "a table is as long as it is")]

mod desk;

mod absurd;
mod current;
mod emergency;
mod every_change_logged;
mod filters;
mod idempotency;
mod metadata;
mod patch;
mod previous;
mod rotate;
mod second_order;
