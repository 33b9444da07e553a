//! What is simulated: a fleet, its keys, and what happens to them.

use super::popularity::Popularity;
use super::{costs, settings};

#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) replicas: u32,
    pub(crate) keys: u32,
    pub(crate) shards: u32,
    /// Revokes and other changes of keys, a second, each in a transaction of its own.
    pub(crate) changes: f64,
    /// New keys a second.
    pub(crate) creations: f64,
    /// Requests a second at each replica.
    pub(crate) requests: f64,
    pub(crate) poll: f64,
    /// Whether notifications arrive.
    pub(crate) nudged: bool,
    /// How far behind the standby is that takes the look-ups, if one does.
    pub(crate) standby_lag: Option<f64>,
    pub(crate) begin: Begin,
    /// When everything is revoked in one statement.
    pub(crate) stop_at: Option<f64>,
    /// How many cores the database has.
    pub(crate) cores: u32,
    /// Within which time a look-up has its turn, or is not made.
    pub(crate) turn_within: f64,
    pub(crate) time_to_live: f64,
    pub(crate) last_used_every: f64,
    /// How long it runs before anything is counted, and after that.
    pub(crate) settle: f64,
    pub(crate) counted: f64,
    pub(crate) seed: u64,
}

/// What replicas remember at the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Begin {
    /// Nothing.
    Cold,
    /// As much as the arithmetic expects after a long time.
    Warm,
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            replicas: 1,
            keys: 1_000_000,
            shards: settings::SHARDS,
            changes: 0.0,
            creations: 0.0,
            requests: 0.0,
            poll: settings::POLL,
            nudged: true,
            standby_lag: None,
            begin: Begin::Warm,
            stop_at: None,
            cores: costs::CORES,
            turn_within: settings::TURN_WITHIN,
            time_to_live: settings::TIME_TO_LIVE,
            last_used_every: settings::LAST_USED_EVERY,
            settle: 2.0,
            counted: 10.0,
            seed: 7,
        }
    }
}

impl Scenario {
    pub(crate) fn popularity(&self) -> Popularity {
        Popularity::of(self.keys)
    }

    /// How often the tag moves that one key hangs on: with its own changes, and with those of the
    /// keys that share its shard.
    pub(crate) fn tag_moves(&self) -> f64 {
        let own = 1.0 / f64::from(self.keys);
        self.changes * (own + (1.0 - own) / f64::from(self.shards))
    }
}
