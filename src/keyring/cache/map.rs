//! What the cache asks of a map: all that another one would have to do in moka's place.
//!
//! moka is what is shipped. That `quick_cache` can stand there as well is for the benchmark alone,
//! which says what moka costs; a flag of the compiler and not a feature, so that nobody's
//! dependencies have it.

use std::time::Duration;

use crate::key::{DigestHasherBuilder, KeyDigest};

/// A bounded map that many threads use at once and that chooses itself what to let go.
pub(super) trait Map<V> {
    /// For so many entries, none of which is kept for longer than `time_to_live`.
    fn new(capacity: u64, time_to_live: Duration, hasher: DigestHasherBuilder) -> Self;
    /// Counts as a use of the entry.
    fn get(&self, digest: &KeyDigest) -> Option<V>;
    fn insert(&self, digest: KeyDigest, value: V);
    fn invalidate(&self, digest: &KeyDigest);
    /// About how many there are.
    fn entry_count(&self) -> u64;

    #[cfg(test)]
    fn time_to_live(&self) -> Option<Duration>;
    #[cfg(test)]
    fn clear(&self);
}

#[cfg(not(portcullis_quick_cache))]
pub(super) use with_moka::Moka as Chosen;
#[cfg(portcullis_quick_cache)]
pub(super) use with_quick_cache::QuickCache as Chosen;

#[cfg(not(portcullis_quick_cache))]
mod with_moka {
    use super::{DigestHasherBuilder, Duration, KeyDigest, Map};

    // A type of its own: moka's own methods would hide those of the trait.
    pub(in super::super) struct Moka<V>(moka::sync::Cache<KeyDigest, V, DigestHasherBuilder>);

    impl<V: Clone + Send + Sync + 'static> Map<V> for Moka<V> {
        fn new(capacity: u64, time_to_live: Duration, hasher: DigestHasherBuilder) -> Self {
            let builder = moka::sync::Cache::builder()
                .max_capacity(capacity)
                .time_to_live(time_to_live);
            Self(builder.build_with_hasher(hasher))
        }

        #[inline]
        fn get(&self, digest: &KeyDigest) -> Option<V> {
            self.0.get(digest)
        }

        fn insert(&self, digest: KeyDigest, value: V) {
            self.0.insert(digest, value);
        }

        fn invalidate(&self, digest: &KeyDigest) {
            self.0.invalidate(digest);
        }

        fn entry_count(&self) -> u64 {
            self.0.entry_count()
        }

        #[cfg(test)]
        fn time_to_live(&self) -> Option<Duration> {
            self.0.policy().time_to_live()
        }

        #[cfg(test)]
        fn clear(&self) {
            self.0.invalidate_all();
        }
    }
}

#[cfg(portcullis_quick_cache)]
mod with_quick_cache {
    use quick_cache::{UnitWeighter, sync};

    use super::{DigestHasherBuilder, Duration, KeyDigest, Map};

    pub(in super::super) struct QuickCache<V>(
        sync::Cache<KeyDigest, V, UnitWeighter, DigestHasherBuilder>,
    );

    impl<V: Clone> Map<V> for QuickCache<V> {
        /// It has no time to live. Whether an answer is fresh the tags and the lease say, so that
        /// nothing is believed for longer; what nobody asks for stays until there is no room.
        fn new(capacity: u64, _: Duration, hasher: DigestHasherBuilder) -> Self {
            let entries = usize::try_from(capacity).unwrap_or(usize::MAX);
            let lifecycle = sync::DefaultLifecycle::default();
            Self(sync::Cache::with(
                entries,
                capacity,
                UnitWeighter,
                hasher,
                lifecycle,
            ))
        }

        #[inline]
        fn get(&self, digest: &KeyDigest) -> Option<V> {
            self.0.get(digest)
        }

        fn insert(&self, digest: KeyDigest, value: V) {
            self.0.insert(digest, value);
        }

        fn invalidate(&self, digest: &KeyDigest) {
            self.0.remove(digest);
        }

        fn entry_count(&self) -> u64 {
            self.0.len() as u64
        }

        #[cfg(test)]
        fn time_to_live(&self) -> Option<Duration> {
            None
        }

        #[cfg(test)]
        fn clear(&self) {
            self.0.clear();
        }
    }
}
