//! Several replicas of the example server on one Postgres, and everything that can go wrong
//! between them.
//!
//! `cargo test` builds the examples before it runs this; see `docs/faults.md` for the long run.

#![cfg(unix)]

#[path = "../canary/mod.rs"]
mod canary;
mod cut_off;
mod each_fault;
mod ground;
mod runner;
mod when_all_is_well;
