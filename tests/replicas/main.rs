//! Several replicas of the example server on one Postgres, and everything that can go wrong
//! between them.
//!
//! `cargo test` builds the examples before it runs this; see `docs/faults.md` for the long run.

mod bite;
mod chance;
mod client;
#[path = "../postgres/cluster.rs"]
mod cluster;
mod episode;
mod fault;
mod figures;
mod ground;
mod hand;
mod healthy;
mod history;
mod judge;
mod key;
mod lives;
mod load;
mod proxy;
mod replica;
mod restored;
mod stage;
mod waiting;
mod world;

mod cut_off;
mod each_fault;
mod when_all_is_well;
