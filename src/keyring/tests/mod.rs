//! The keyring against a store that fails on command and a clock that is told the time.

mod addresses;
mod agreement;
mod authority;
mod authority_model;
mod background;
mod builder;
#[path = "../../../tests/canary/mod.rs"]
mod canary;
mod chance;
mod concurrent;
mod crowded;
mod debug;
mod epoch;
mod expiry;
mod fixture;
mod flights;
mod freshness;
mod grace;
mod importing;
mod junk;
mod last_used;
mod log;
mod naive;
mod outage;
mod races;
mod read_replicas;
mod remembering;
mod replicas;
mod reports;
mod restore;
mod retention;
mod roles;
mod rotation;
mod schedules;
mod seen_revoked;
#[cfg(feature = "admin")]
mod sessions;
mod state_machine;
mod writes;
