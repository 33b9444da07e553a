//! How a keyring is doing, for `/health` routes and dashboards.

use std::time::Duration;

use super::{Inner, Keyring};

/// How a keyring is doing at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a light of its own on a dashboard"
)]
pub struct Health {
    /// Whether remembered answers are trusted: the last successful sync began at most
    /// `max_staleness` ago.
    pub in_sync: bool,
    /// How long ago the last successful sync began; `None` if there was none in this epoch.
    pub lease_age: Option<Duration>,
    /// The newest revision that was applied; `None` before the first sync.
    pub revision: Option<u64>,
    /// How many unbroken stretches of the store's history came before this one. The first sync
    /// begins the first; every further one means that everything remembered was dropped: after a
    /// restore or a failover, a lost COMMIT, a write that could not be put in its place, or
    /// [`Keyring::trust_restored_store`].
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
    /// How long the last successful sync took, from its start until all that it brought was
    /// applied; `None` before the first. What was committed when it started was heeded here after
    /// so long.
    pub sync_lag: Option<Duration>,
    /// Whether the store's nudges come at the moment. Without them changes made elsewhere are
    /// heeded at the next poll.
    pub listening: bool,
    /// How often the store's history was found broken: by a restore, a failover that lost changes,
    /// another store in the same place, or a gap in the change rows. Each time an error was logged.
    pub history_breaks: u64,
    /// Whether keys that this process has seen revoked are refused whatever the store says, since
    /// its history broke. Ends with [`Keyring::trust_restored_store`].
    pub refuses_what_it_saw_revoked: bool,
    /// Requests that were let in under an outage grace so far. See
    /// [`Builder::dangerously_accept_known_keys_during_outage`](super::Builder::dangerously_accept_known_keys_during_outage).
    pub judged_in_outage: u64,
}

impl Keyring {
    /// How this keyring is doing. Asks nothing of the store.
    pub fn health(&self) -> Health {
        let inner = &self.inner;
        let epoch = inner.timeline.current();
        let lease_age = inner.lease_age();
        let followed = inner.timeline.followed();
        let (lookups, waiting) = inner.flights.load();
        let (known, unknown) = epoch.cache.sizes();
        Health {
            in_sync: lease_age.is_some_and(|age| age <= inner.max_staleness),
            lease_age,
            revision: followed.applied.map(|applied| applied.revision),
            epoch: epoch.number,
            lookups_answered: inner.cooldown.is_healthy(),
            lookups,
            waiting,
            known,
            unknown,
            uses_dropped: inner.last_used.dropped(),
            sync_lag: inner.syncs.lag(),
            listening: inner.store.is_listening(),
            history_breaks: followed.breaks,
            refuses_what_it_saw_revoked: epoch.refuses_seen_revoked,
            judged_in_outage: inner.outage.judged(),
        }
    }
}

impl Inner {
    /// How long ago the last successful sync of this epoch began.
    pub(super) fn lease_age(&self) -> Option<Duration> {
        let synced_at = self.timeline.current().freshness.synced_at();
        // The clock last: an age is never shown to be less than it is.
        let now = self.clock.boot().as_nanos();
        (synced_at != 0).then(|| Duration::from_nanos(now.saturating_sub(synced_at)))
    }
}
