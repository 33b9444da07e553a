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
use std::sync::{Arc, OnceLock};

use arc_swap::Guard;

use super::concurrency::ArcSwapOption;
use crate::clock::BootTime;
use crate::key::{DigestHasherBuilder, KeyDigest};
use crate::principal::Known;

/// Above this, more places bring little: what does not fit is found in the map.
const MOST_PLACES: u64 = 1 << 16;

/// Places are made by so many, when the first of them is taken: a new epoch then costs nothing, and
/// a service with a handful of keys has a handful of places.
const PLACES_A_PAGE: usize = 64;

/// Of the entries found in the map, one in so many takes its place here. Where two keys share a
/// place, they would otherwise put each other out at every request.
const ADMITTED: u64 = 8;

pub(crate) struct HotTable {
    pages: Box<[OnceLock<Page>]>,
    hasher: DigestHasherBuilder,
}

type Place = ArcSwapOption<Known>;
type Page = Box<[Place; PLACES_A_PAGE]>;

impl HotTable {
    /// For a cache of so many keys.
    pub(crate) fn beside(keys: u64, hasher: DigestHasherBuilder) -> Self {
        let places = keys.min(MOST_PLACES).next_power_of_two();
        let pages = places.div_ceil(PLACES_A_PAGE as u64);
        Self {
            pages: (0..pages).map(|_| OnceLock::new()).collect(),
            hasher,
        }
    }

    #[inline]
    pub(crate) fn get(&self, digest: &KeyDigest, tag: u64) -> Option<Arc<Known>> {
        let entry = self.place(digest)?.load();
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
        let (page, place) = self.position(&known.digest);
        let page = self.pages[page].get_or_init(|| Box::new([const { Place::const_empty() }; _]));
        page[place].store(Some(Arc::clone(known)));
    }

    /// The map keeps this one no more.
    #[cold]
    pub(crate) fn drop_entry(&self, known: &Arc<Known>) {
        if let Some(place) = self.place(&known.digest) {
            // Unless another has taken it meanwhile.
            place.compare_and_swap(known, None);
        }
    }

    /// The same key was looked up again, and this is what is known of it from now on.
    pub(crate) fn renew(&self, known: &Arc<Known>) {
        if self.holds(&known.digest) {
            self.put(known);
        }
    }

    /// There is no such key any more.
    pub(crate) fn forget(&self, digest: &KeyDigest) {
        if self.holds(digest)
            && let Some(place) = self.place(digest)
        {
            place.store(None);
        }
    }

    fn holds(&self, digest: &KeyDigest) -> bool {
        let entry = self.place(digest).map(Place::load);
        let known = entry.as_ref().and_then(|entry| entry.as_ref());
        known.is_some_and(|known| known.digest == *digest)
    }

    /// The place of a digest, unless nobody near it has taken one yet.
    #[inline]
    fn place(&self, digest: &KeyDigest) -> Option<&Place> {
        let (page, place) = self.position(digest);
        Some(&self.pages[page].get()?[place])
    }

    #[inline]
    fn position(&self, digest: &KeyDigest) -> (usize, usize) {
        let hash = self.hasher.hash_one(digest);
        let hash = usize::try_from(hash).unwrap_or(usize::MAX);
        let page = (hash / PLACES_A_PAGE) & (self.pages.len() - 1);
        (page, hash % PLACES_A_PAGE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyring::cache::tests::known;
    use crate::keyring::concurrency::on_many_schedules;

    /// Two keys that share a place.
    fn neighbours(table: &HotTable) -> (Arc<Known>, Arc<Known>) {
        let first = known(0, 5);
        let place = table.position(&first.digest);
        let second = (1..=u16::MAX)
            .map(|number| known(number, 5))
            .find(|known| table.position(&known.digest) == place);
        (first, second.unwrap())
    }

    fn small_table() -> HotTable {
        HotTable::beside(1, DigestHasherBuilder::new().unwrap())
    }

    #[test]
    fn an_entry_of_another_tag_or_key_is_not_found() {
        let table = small_table();
        let (entry, neighbour) = neighbours(&table);
        assert!(table.get(&entry.digest, 5).is_none());
        table.put(&entry);
        let found = table.get(&entry.digest, 5);
        assert!(found.is_some_and(|found| Arc::ptr_eq(&found, &entry)));
        assert!(table.get(&entry.digest, 6).is_none(), "it was changed");
        assert!(table.get(&entry.digest, 4).is_none());
        assert!(table.get(&neighbour.digest, 5).is_none());
    }

    #[test]
    fn a_place_that_another_has_taken_is_left_alone() {
        let table = small_table();
        let (old, new) = neighbours(&table);
        table.put(&old);
        table.put(&new);
        table.drop_entry(&old);
        table.forget(&old.digest);
        table.renew(&old);
        assert!(table.get(&new.digest, 5).is_some());
        table.drop_entry(&new);
        assert!(table.get(&new.digest, 5).is_none());
    }

    #[test]
    fn two_at_one_place_are_not_taken_for_each_other_on_any_schedule() {
        let found = DigestHasherBuilder::new().unwrap();
        let (old, new) = neighbours(&HotTable::beside(1, found.clone()));
        on_many_schedules(move || {
            let table = Arc::new(HotTable::beside(1, found.clone()));
            table.put(&old);
            let on_a_thread = |work: fn(&HotTable, &Arc<Known>), known: &Arc<Known>| {
                let (table, known) = (Arc::clone(&table), Arc::clone(known));
                shuttle::thread::spawn(move || work(&table, &known))
            };
            let is_itself = |table: &HotTable, known: &Arc<Known>| {
                let found = table.get(&known.digest, known.tag);
                assert!(found.is_none_or(|found| Arc::ptr_eq(&found, known)));
            };
            let threads = [
                on_a_thread(is_itself, &old),
                on_a_thread(is_itself, &new),
                on_a_thread(HotTable::put, &new),
                on_a_thread(HotTable::drop_entry, &old),
            ];
            for thread in threads {
                thread.join().unwrap();
            }
            assert!(table.get(&new.digest, 5).is_some(), "it has the place");
        });
    }

    #[test]
    fn room_is_bounded_and_taken_when_it_is_needed() {
        let hasher = DigestHasherBuilder::new().unwrap();
        let table = HotTable::beside(u64::MAX, hasher);
        assert_eq!(table.pages.len() * PLACES_A_PAGE, 1 << 16);
        table.put(&known(1, 5));
        let made = table.pages.iter().filter(|page| page.get().is_some());
        assert_eq!(made.count(), 1);
    }
}
