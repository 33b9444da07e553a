//! The freshness core: which remembered answers may still be believed.
//!
//! std only, and its atomics come through `super::concurrency`, so that `tests/loom.rs` can compile
//! this very file against loom and try every interleaving of request, sync and write that has three
//! preemptions at most.
//!
//! Each key belongs to one of a fixed number of shards. A shard has two *tags*: the highest
//! store revision known to have changed an existing key in it (`positive`), and the highest known
//! to have changed anything in it, creation included (`negative`). A remembered answer carries the
//! tag that was read before its look-up began and is believed only while the tag is still equal.
//! Nothing is ever removed to invalidate: an answer that lands late lands with an old tag.

use super::concurrency::{AtomicU64, Ordering};

/// What a change in the store may have falsified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Falsified {
    /// A key appeared: only "there is no such key" answers are out of date. Were the positive tag
    /// to move too, creating keys would make warm keys cold.
    Absence,
    /// A key changed or went: every answer of the shard is out of date.
    Everything,
}

/// A shard's two tags, read once per request and used for the cache, the flight and the insert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Tag {
    pub(crate) positive: u64,
    pub(crate) negative: u64,
}

impl Tag {
    /// Whether a row read at `revision` is too old to be believed under this tag: it was served
    /// by a store that has not reached what this process already knows of.
    pub(crate) fn is_ahead_of(self, revision: u64) -> bool {
        // The negative tag is never behind the positive one.
        revision < self.negative
    }
}

/// One consistent look at a shard.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    /// Start of the newest successful sync, boot clock nanoseconds; 0 is "never".
    pub(crate) synced_at: u64,
    pub(crate) tag: Tag,
}

impl Reading {
    /// Whether answers remembered under this reading's tag may be used at `now`.
    ///
    /// `now` must have been read after the reading and after the remembered answer: a request
    /// held up in between then only finds itself later, never earlier, than it is.
    pub(crate) fn is_trusted(self, now: u64, max_staleness: u64) -> bool {
        self.synced_at != 0 && now.saturating_sub(self.synced_at) <= max_staleness
    }
}

/// The tags of all shards and the lease.
#[derive(Debug)]
pub(crate) struct Freshness {
    positive: Box<[AtomicU64]>,
    negative: Box<[AtomicU64]>,
    synced_at: AtomicU64,
}

impl Freshness {
    /// Every tag at `revision`, and no lease: nothing read below `revision` is believed, and
    /// nothing remembered is believed before [`Freshness::publish_sync`].
    pub(crate) fn at(revision: u64, shards: usize) -> Self {
        let tags = || (0..shards).map(|_| AtomicU64::new(revision)).collect();
        Self {
            positive: tags(),
            negative: tags(),
            synced_at: AtomicU64::new(0),
        }
    }

    /// Looks at a shard. The lease is read *before* the tags: seeing a sync's `synced_at` then
    /// means seeing every tag that sync moved. The other way round a request could pair an old
    /// tag with a new lease, and believe a revoked key for another `max_staleness`.
    #[inline]
    pub(crate) fn read(&self, shard: usize) -> Reading {
        let synced_at = self.synced_at.load(Ordering::Acquire);
        // Positive before negative. A write moves negative first, so that a pair whose positive
        // tag is new has a new negative tag too, and `is_ahead_of` sees the larger of the two.
        let positive = self.positive[shard].load(Ordering::Acquire);
        let negative = self.negative[shard].load(Ordering::Acquire);
        Reading {
            synced_at,
            tag: Tag { positive, negative },
        }
    }

    /// The lease alone, for reports.
    pub(crate) fn synced_at(&self) -> u64 {
        self.synced_at.load(Ordering::Acquire)
    }

    /// A change of `revision` touched `shard`. Called by the sync, and by a write after its
    /// commit and before its answer. Never moves a tag back.
    pub(crate) fn bump(&self, shard: usize, falsified: Falsified, revision: u64) {
        self.negative[shard].fetch_max(revision, Ordering::AcqRel);
        if falsified == Falsified::Everything {
            self.positive[shard].fetch_max(revision, Ordering::AcqRel);
        }
    }

    /// A change of `revision` that may have touched any key.
    pub(crate) fn bump_all(&self, revision: u64) {
        for shard in 0..self.positive.len() {
            self.bump(shard, Falsified::Everything, revision);
        }
    }

    /// The sync that *began* at `began` has applied all that it read. Only ever called after the
    /// bumps of that sync: the lease vouches for the tags.
    pub(crate) fn publish_sync(&self, began: u64) {
        self.synced_at.fetch_max(began, Ordering::AcqRel);
    }
}
