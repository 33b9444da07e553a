//! The simulation itself, and the arithmetic that it is held against.
//!
//! Compiled into the benchmark that prints the tables and into the tests that check them.

#[expect(dead_code, reason = "the simulation reports no lease")]
#[path = "../../../src/keyring/freshness.rs"]
mod freshness;

mod concurrency {
    pub(crate) use std::sync::atomic::{AtomicU64, Ordering};
}

pub(crate) mod arithmetic;
mod calendar;
mod chance;
pub(crate) mod costs;
mod database;
mod flights;
mod following;
mod memory;
pub(crate) mod moment;
pub(crate) mod outcome;
mod page;
mod popularity;
mod replica;
pub(crate) mod scenario;
pub(crate) mod settings;
pub(crate) mod table;
pub(crate) mod tables;
pub(crate) mod world;

pub(crate) use page::Page;
