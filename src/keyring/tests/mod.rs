//! The keyring against a store that fails on command and a clock that is told the time.

mod agreement;
mod authority;
mod authority_model;
mod background;
mod builder;
mod chance;
mod concurrent;
mod debug;
mod expiry;
mod fixture;
mod flights;
mod freshness;
mod grace;
mod junk;
mod last_used;
mod naive;
mod outage;
mod races;
mod remembering;
mod replicas;
mod restore;
mod rotation;
mod state_machine;
mod writes;
