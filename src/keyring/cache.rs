//! The answers that are remembered, good ones and "no such key" apart.
//!
//! Two caches, because one would let a stream of unknown keys push the known ones out: an
//! admission policy does not save entries that are read once or twice between evictions. The
//! times to live are hygiene, not freshness, which is the tags' and the lease's business.

use std::sync::Arc;
use std::time::Duration;

use super::epoch::CacheSizes;
use super::freshness::Tag;
use super::last_used::Usage;
use crate::key::{DigestHasherBuilder, KeyDigest};
use crate::principal::Known;

const POSITIVE_TIME_TO_LIVE: Duration = Duration::from_mins(10);
const NEGATIVE_TIME_TO_LIVE: Duration = Duration::from_secs(5);

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
                .time_to_live(POSITIVE_TIME_TO_LIVE)
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

    /// The statistics of this digest, however out of date the answer that they hang on may be.
    pub(crate) fn usage(&self, digest: &KeyDigest) -> Option<Arc<Usage>> {
        Some(Arc::clone(&self.positive.get(digest)?.usage))
    }

    pub(crate) fn remember_known(&self, known: &Arc<Known>) {
        self.positive.insert(known.digest, Arc::clone(known));
    }

    pub(crate) fn remember_unknown(&self, digest: KeyDigest, tag: Tag) {
        self.negative.insert(digest, tag.negative);
    }

    /// How many answers are kept, positive and negative, about.
    pub(crate) fn sizes(&self) -> (u64, u64) {
        (self.positive.entry_count(), self.negative.entry_count())
    }
}
