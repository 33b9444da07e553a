//! The answers that are remembered, good ones and "no such key" apart.
//!
//! Two caches, because one would let a stream of unknown keys push the known ones out: an
//! admission policy does not save entries that are read once or twice between evictions. The
//! times to live are hygiene, not freshness, which is the tags' and the lease's business.
//!
//! What is known of a key is asked for again when it is [`LOOKED_AT_AGAIN`] old, and is kept for
//! longer than that: should the store be away then, the lease, or an outage grace, still has
//! something to stand on.

use std::sync::Arc;
use std::time::Duration;

use super::epoch::CacheSizes;
use super::freshness::Tag;
use super::last_used::Usage;
use crate::key::{DigestHasherBuilder, KeyDigest};
use crate::principal::Known;

/// How old what is known of a key may get before it is looked up again, changed or not.
pub(crate) const LOOKED_AT_AGAIN: Duration = Duration::from_mins(10);

const NEGATIVE_TIME_TO_LIVE: Duration = Duration::from_secs(5);

/// How long what is known of a key is kept. Whatever is used is looked at again in time, so that
/// what was used within [`LOOKED_AT_AGAIN`] before an outage is at most twice that old when the
/// outage begins.
pub(crate) fn time_to_keep(max_staleness: Duration, outage_grace: Option<Duration>) -> Duration {
    let kept = LOOKED_AT_AGAIN + max_staleness;
    outage_grace.map_or(kept, |grace| kept + LOOKED_AT_AGAIN + grace)
}

pub(crate) struct Cache {
    positive: moka::sync::Cache<KeyDigest, Arc<Known>, DigestHasherBuilder>,
    /// The negative tag under which a key was not found.
    negative: moka::sync::Cache<KeyDigest, u64, DigestHasherBuilder>,
}

/// What is remembered of a digest under a tag.
pub(crate) enum Remembered {
    Known(Arc<Known>),
    Unknown,
    Nothing,
}

impl Cache {
    pub(crate) fn new(sizes: &CacheSizes) -> Self {
        Self {
            positive: moka::sync::Cache::builder()
                .max_capacity(sizes.positive)
                .time_to_live(sizes.kept)
                .build_with_hasher(sizes.hasher.clone()),
            negative: moka::sync::Cache::builder()
                .max_capacity(sizes.negative)
                .time_to_live(NEGATIVE_TIME_TO_LIVE)
                .build_with_hasher(sizes.hasher.clone()),
        }
    }

    #[inline]
    pub(crate) fn recall(&self, digest: &KeyDigest, tag: Tag) -> Remembered {
        match self.positive.get(digest) {
            Some(known) if known.tag == tag.positive => Remembered::Known(known),
            _ if self.negative.get(digest) == Some(tag.negative) => Remembered::Unknown,
            _ => Remembered::Nothing,
        }
    }

    /// The same for good answers alone.
    pub(crate) fn recall_known(&self, digest: &KeyDigest, tag: Tag) -> Option<Arc<Known>> {
        let known = self.positive.get(digest)?;
        (known.tag == tag.positive).then_some(known)
    }

    /// The statistics of this digest, however out of date the answer that they hang on may be.
    pub(crate) fn usage(&self, digest: &KeyDigest) -> Option<Arc<Usage>> {
        Some(Arc::clone(&self.positive.get(digest)?.usage))
    }

    pub(crate) fn remember_known(&self, known: &Arc<Known>) {
        self.positive.insert(known.digest, Arc::clone(known));
    }

    pub(crate) fn remember_unknown(&self, digest: KeyDigest, tag: Tag) {
        // The key, or this secret of it, is gone. Where no sync has brought that, the tag of what
        // was known is still right, and this answer may be forgotten first: an outage grace would
        // let the key in again.
        self.positive.invalidate(&digest);
        self.negative.insert(digest, tag.negative);
    }

    #[cfg(test)]
    pub(crate) fn kept(&self) -> Option<Duration> {
        self.positive.policy().time_to_live()
    }

    /// As their time to live does.
    #[cfg(test)]
    pub(crate) fn forget_unknown(&self) {
        self.negative.invalidate_all();
    }

    /// How many answers are kept, positive and negative, about.
    pub(crate) fn sizes(&self) -> (u64, u64) {
        (self.positive.entry_count(), self.negative.entry_count())
    }
}
