//! What a keyring remembers of one unbroken stretch of a store's history: its tags, and the answers
//! remembered under them.
//!
//! When the history breaks (a restore, a failover, a write whose outcome is unknown) the epoch is
//! swapped whole, answers and all. A look-up that began in the old epoch then lands in the old
//! cache, where nobody looks.

use std::time::Duration;

use super::cache::Cache;
use super::freshness::{Falsified, Freshness};
use crate::key::DigestHasherBuilder;
use crate::store::{Falsifies, StoreId, Touched, Where};

/// One shard for each value of [`crate::key::KeyDigest::shard`].
const SHARDS: usize = 1 << 16;

pub(crate) struct Epoch {
    pub(crate) number: u64,
    /// Whose history it is; `None` before the first sync.
    pub(crate) store: Option<StoreId>,
    /// Since the history broke, the store may have forgotten revocations: what was seen revoked is
    /// refused.
    pub(crate) refuses_seen_revoked: bool,
    pub(crate) freshness: Freshness,
    pub(crate) cache: Cache,
}

/// How a new epoch's cache is made.
#[derive(Clone)]
pub(crate) struct CacheSizes {
    pub(crate) positive: u64,
    pub(crate) negative: u64,
    /// How long what is known of a key is kept.
    pub(crate) kept: Duration,
    pub(crate) hasher: DigestHasherBuilder,
}

/// What a new epoch is for.
pub(super) struct Start {
    /// Whose history; `None` is that of before.
    pub(super) store: Option<StoreId>,
    pub(super) revision: u64,
    /// Whether the history broke.
    pub(super) broken: bool,
}

impl Epoch {
    /// The one before the first sync.
    pub(super) fn first(sizes: &CacheSizes) -> Self {
        Self {
            number: 0,
            store: None,
            refuses_seen_revoked: false,
            freshness: Freshness::at(0, SHARDS),
            cache: Cache::new(sizes),
        }
    }

    /// The one after this, under `number`: nothing is remembered in it, and nothing read below
    /// `revision` will be.
    pub(super) fn next(&self, number: u64, start: &Start, sizes: &CacheSizes) -> Self {
        Self {
            number,
            store: start.store.or(self.store),
            refuses_seen_revoked: self.refuses_seen_revoked || start.broken,
            freshness: Freshness::at(start.revision, SHARDS),
            cache: Cache::new(sizes),
        }
    }

    /// A change puts remembered answers out of date.
    pub(super) fn bump(&self, touched: Touched, revision: u64) {
        let falsified = match touched.falsifies {
            Falsifies::Absence => Falsified::Absence,
            Falsifies::Everything => Falsified::Everything,
        };
        match touched.place {
            Where::Shard(shard) => self.freshness.bump(shard.into(), falsified, revision),
            Where::Anywhere => self.freshness.bump_all(revision),
        }
    }
}
