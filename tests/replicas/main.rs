//! Several replicas of the example server on one Postgres, and everything that can go wrong
//! between them.
//!
//! `cargo test` builds the examples before it runs this; see `docs/faults.md` for the long run.

mod chance;
mod client;
mod episode;
mod fault;
mod figures;
mod hand;
mod history;
mod judge;
mod key;
mod lives;
mod load;
mod postgres;
mod proxy;
mod replica;
mod stage;
mod waiting;
mod world;

mod each_fault;
