//! The entries used most, in front of the map that decides which to keep.
//!
//! That map's bookkeeping costs several times as much as finding an entry: it writes down every
//! read, in a log that all threads share. A key in steady use does not need it. So its entry also
//! lies in a table where a digest has one place, found by one multiplication and read without
//! writing anything but its reference count.
//!
//! No second thing to invalidate: an entry carries its tag, and one that is out of date is seen to
//! be so wherever it lies.

use std::hash::BuildHasher;
use std::sync::Arc;

use arc_swap::{ArcSwapOption, Guard};

use crate::clock::BootTime;
use crate::key::{DigestHasherBuilder, KeyDigest};
use crate::principal::Known;

/// Above this, more places bring little: what does not fit is found in the map.
const MOST_PLACES: u64 = 1 << 16;

/// Of the entries found in the map, one in so many takes its place here. Where two keys share a
/// place, they would otherwise put each other out at every request.
const ADMITTED: u64 = 8;

pub(crate) struct HotTable {
    places: Box<[ArcSwapOption<Known>]>,
    hasher: DigestHasherBuilder,
}

impl HotTable {
    /// For a cache of so many keys.
    pub(crate) fn beside(keys: u64, hasher: DigestHasherBuilder) -> Self {
        let places = keys.min(MOST_PLACES).next_power_of_two();
        Self {
            places: (0..places).map(|_| ArcSwapOption::empty()).collect(),
            hasher,
        }
    }

    #[inline]
    pub(crate) fn get(&self, digest: &KeyDigest, tag: u64) -> Option<Arc<Known>> {
        let entry = self.place(digest).load();
        let known = entry.as_ref()?;
        if known.tag == tag && known.digest == *digest {
            Guard::into_inner(entry)
        } else {
            None
        }
    }

    /// An entry was found in the map at `now`: it may take its place here.
    #[inline]
    pub(crate) fn offer(&self, known: &Arc<Known>, now: BootTime) {
        // The last digits of the clock are as good as a die.
        if now.as_nanos().is_multiple_of(ADMITTED) {
            self.put(known);
        }
    }

    #[cold]
    pub(crate) fn put(&self, known: &Arc<Known>) {
        self.place(&known.digest).store(Some(Arc::clone(known)));
    }

    /// The map keeps this one no more.
    #[cold]
    pub(crate) fn drop_entry(&self, known: &Arc<Known>) {
        let place = self.place(&known.digest);
        // Unless another has taken its place meanwhile.
        place.compare_and_swap(known, None);
    }

    /// The same key was looked up again, and this is what is known of it from now on.
    pub(crate) fn renew(&self, known: &Arc<Known>) {
        if self.holds(&known.digest) {
            self.put(known);
        }
    }

    /// There is no such key any more.
    pub(crate) fn forget(&self, digest: &KeyDigest) {
        if self.holds(digest) {
            self.place(digest).store(None);
        }
    }

    fn holds(&self, digest: &KeyDigest) -> bool {
        let entry = self.place(digest).load();
        entry.as_ref().is_some_and(|known| known.digest == *digest)
    }

    fn place(&self, digest: &KeyDigest) -> &ArcSwapOption<Known> {
        let hash = self.hasher.hash_one(digest);
        let at = usize::try_from(hash).unwrap_or(usize::MAX) & (self.places.len() - 1);
        &self.places[at]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyring::cache::tests::known;

    fn table_of_one_place() -> HotTable {
        HotTable::beside(1, DigestHasherBuilder::new().unwrap())
    }

    #[test]
    fn an_entry_of_another_tag_or_key_is_not_found() {
        let table = table_of_one_place();
        let entry = known(1, 5);
        table.put(&entry);
        let found = table.get(&entry.digest, 5);
        assert!(found.is_some_and(|found| Arc::ptr_eq(&found, &entry)));
        assert!(table.get(&entry.digest, 6).is_none(), "it was changed");
        assert!(table.get(&entry.digest, 4).is_none());
        let other = known(2, 5);
        assert!(table.get(&other.digest, 5).is_none(), "one place for both");
    }

    #[test]
    fn a_place_that_another_has_taken_is_left_alone() {
        let table = table_of_one_place();
        let (old, new) = (known(1, 5), known(2, 5));
        table.put(&old);
        table.put(&new);
        table.drop_entry(&old);
        assert!(table.get(&new.digest, 5).is_some());
        table.drop_entry(&new);
        assert!(table.get(&new.digest, 5).is_none());
    }

    #[test]
    fn room_is_bounded() {
        let hasher = DigestHasherBuilder::new().unwrap();
        assert_eq!(HotTable::beside(u64::MAX, hasher).places.len(), 1 << 16);
    }
}
