//! The defaults of the crate that the simulation runs on, in seconds. A test holds them to the
//! sources that they are taken from.

/// How often a replica syncs by itself.
pub(crate) const POLL: f64 = 1.0;

/// How long memory is trusted after the last sync.
pub(crate) const MAX_STALENESS: f64 = 5.0;

/// Nudges that come closer together share a sync.
pub(crate) const NUDGE_GAP: f64 = 0.010;

/// How long an answer is kept at most.
pub(crate) const TIME_TO_LIVE: f64 = 600.0;

/// How long a request waits for a look-up.
pub(crate) const LOOK_UP_DEADLINE: f64 = 0.5;

/// The part of it within which a look-up has its turn, or is not made.
pub(crate) const TURN_WITHIN: f64 = LOOK_UP_DEADLINE / 2.0;

/// How long a store is left alone that did not answer in time.
pub(crate) const PAUSE: f64 = 0.1;

/// How often a use of a secret is written down.
pub(crate) const LAST_USED_EVERY: f64 = 300.0;

/// How many requests may wait for look-ups of keys that never opened anything here.
pub(crate) const WAITING_FOR_NEW: usize = 1_500;

/// How many look-ups of a replica run at a time: its connections for look-ups.
pub(crate) const LOOK_UPS_AT_A_TIME: usize = 4;

/// How many shards the keys fall into.
pub(crate) const SHARDS: u32 = 65_536;
