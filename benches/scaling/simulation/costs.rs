//! What things cost a Postgres in processor time, as `scripts/postgres-costs` measured it, and how
//! long the way there is taken to be. All in microseconds.

/// One look-up by digest.
pub(crate) const LOOK_UP: f64 = 65.0;

/// One sync that brings nothing new.
pub(crate) const SYNC: f64 = 110.0;

/// Each change row that it brings.
pub(crate) const CHANGE_ROW: f64 = 1.6;

/// One change of a key, from BEGIN to COMMIT.
pub(crate) const CHANGE: f64 = 1_200.0;

/// Waking one listening session for a nudge.
pub(crate) const WAKE: f64 = 30.0;

/// Writing down one use of a secret, as one of a thousand.
pub(crate) const USE: f64 = 40.0;

/// There and back between a replica and the database.
pub(crate) const ROUND_TRIP: f64 = 200.0;

/// How long a change holds the lock of the revision: from the answer to the statement that takes it
/// until its COMMIT is there, and a flush of the log.
pub(crate) const LOCK_HELD: f64 = ROUND_TRIP + 200.0;

/// How many cores the database has.
pub(crate) const CORES: u32 = 8;
