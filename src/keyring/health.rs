//! How a keyring is doing, for `/health` routes and dashboards.

use std::time::Duration;

use super::Keyring;

/// How a keyring is doing at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// Whether remembered answers are trusted: the last successful sync began at most
    /// `max_staleness` ago.
    pub in_sync: bool,
    /// How long ago the last successful sync began; `None` if there was none in this epoch.
    pub lease_age: Option<Duration>,
    /// The newest revision that was applied; `None` before the first sync.
    pub revision: Option<u64>,
    /// How many unbroken stretches of the store's history came before this one. The first sync
    /// begins the first; every further one means a restore, a failover or a lost COMMIT.
    pub epoch: u64,
    /// Whether the last look-ups were answered. `false` while a failed store is left alone.
    pub lookups_answered: bool,
    /// Look-ups under way.
    pub lookups: usize,
    /// Requests that wait for them.
    pub waiting: usize,
    /// Keys remembered, about.
    pub known: u64,
    /// Unknown keys remembered, about.
    pub unknown: u64,
    /// Uses of keys that could not be written down.
    pub uses_dropped: u64,
}

impl Keyring {
    /// How this keyring is doing. Asks nothing of the store.
    pub fn health(&self) -> Health {
        let inner = &self.inner;
        let epoch = inner.timeline.current();
        let synced_at = epoch.freshness.synced_at();
        let now = inner.clock.boot().as_nanos();
        let lease_age =
            (synced_at != 0).then(|| Duration::from_nanos(now.saturating_sub(synced_at)));
        let (lookups, waiting) = inner.flights.load();
        let (known, unknown) = epoch.cache.sizes();
        Health {
            in_sync: lease_age.is_some_and(|age| age <= inner.max_staleness),
            lease_age,
            revision: inner.timeline.applied().map(|applied| applied.revision),
            epoch: epoch.number,
            lookups_answered: inner.cooldown.is_healthy(),
            lookups,
            waiting,
            known,
            unknown,
            uses_dropped: inner.last_used.dropped(),
        }
    }
}
