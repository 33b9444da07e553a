//! The example server as its users meet it: a process with environment variables, a port and two
//! streams of output.
//!
//! `cargo test` builds the examples before it runs this. `cargo test --test server` alone does
//! not, and would find an old server or none: run `cargo build --examples` first.

#[path = "../canary/mod.rs"]
mod canary;
mod client;
#[cfg(unix)]
#[path = "../postgres/cluster.rs"]
mod cluster;
mod configuration;
mod first_key;
mod killed;
mod main_job;
mod openapi;
#[cfg(unix)]
mod postgres;
mod process;
mod secrecy;
mod stopping;
mod store_away;
mod two_processes;
mod wire;
