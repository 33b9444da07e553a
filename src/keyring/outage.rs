//! Going on without the store.
//!
//! When a look-up fails, what is remembered may still answer: while the lease holds, as it does for
//! everybody; and under an outage grace, for as long as that says, provided that the key was good
//! when it was last looked at and that nothing is known here that changed it since. What is known
//! is in the tags and in the epoch, so the rule is the one for every request, with a longer lease:
//! read lease and tag, take the entry that fits the tag, and read the clock last. All of it anew,
//! after the look-up has failed: whatever was revoked here meanwhile has moved the tag, and a swap
//! of the epoch has left nothing to find.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::Inner;
use super::authorize::{bound_to, death};
use crate::key::{Environment, KeyDigest};
use crate::principal::Principal;

/// For how long to go on, and how often that was done.
pub(crate) struct Outage {
    /// Nanoseconds after the start of the last successful sync; `None` if there is no grace.
    trusted_for: Option<u64>,
    judged: AtomicU64,
}

impl Outage {
    /// With a grace that begins when the lease is over.
    pub(crate) fn new(max_staleness: Duration, grace: Option<Duration>) -> Self {
        let nanos = |grace| {
            let whole = max_staleness.saturating_add(grace);
            u64::try_from(whole.as_nanos()).unwrap_or(u64::MAX)
        };
        Self {
            trusted_for: grace.map(nanos),
            judged: AtomicU64::new(0),
        }
    }

    /// How many requests were let in under the grace.
    pub(crate) fn judged(&self) -> u64 {
        self.judged.load(Ordering::Relaxed)
    }
}

impl Inner {
    /// Whether memory lets this key in, now that the store does not answer. Only a yes counts: a
    /// key that was dead may be alive by now, and no outage makes it unauthorized.
    pub(super) fn let_in_by_memory(
        &self,
        digest: &KeyDigest,
        environment: &Environment,
        from: Option<IpAddr>,
    ) -> Option<Principal> {
        let epoch = self.timeline.current();
        let reading = epoch.freshness.read(digest.shard().into());
        let known = epoch.cache.recall_known(digest, reading.tag)?;
        let now = self.clock.boot();
        if death(&known, environment, now).is_some() {
            return None;
        }
        let from = bound_to(&known, || from).ok()?;
        let principal = if reading.is_trusted(now.as_nanos(), self.max_staleness_nanos) {
            Principal::new(Arc::clone(&known))
        } else {
            let trusted_for = self.outage.trusted_for?;
            let over = !reading.is_trusted(now.as_nanos(), trusted_for);
            // The tag says so for whatever was revoked here; not for what was read as revoked
            // where that could not be kept.
            if over || self.seen_revoked.contains(known.id()) {
                return None;
            }
            self.outage.judged.fetch_add(1, Ordering::Relaxed);
            Principal::in_outage(Arc::clone(&known))
        };
        self.last_used
            .note(&known.usage, known.digest, now, &*self.clock);
        Some(principal.used_from(from))
    }
}
