//! The keyring against a store that fails on command and a clock that is told the time.

mod freshness;
