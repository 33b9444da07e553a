//! Which digests opened a key not long ago.
//!
//! Under a flood of junk these keep working, so this must outlast what is remembered of them:
//! answers go with their epoch and their time to live. A fingerprint of each digest, at a place
//! that follows from it; where two meet, the later stays. Nothing here lets anybody in.

use std::hash::BuildHasher;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::key::{DigestHasherBuilder, KeyDigest};

pub(crate) struct OnceFound {
    places: Box<[AtomicU64]>,
    hasher: DigestHasherBuilder,
}

impl OnceFound {
    /// With room for about `keys` digests: 16 bytes for each, and 16 MiB at most.
    pub(crate) fn with_room_for(keys: u64, hasher: DigestHasherBuilder) -> Self {
        const MOST: u64 = 1 << 20;
        let places = keys.min(MOST).next_power_of_two() * 2;
        Self {
            places: (0..places).map(|_| AtomicU64::new(0)).collect(),
            hasher,
        }
    }

    pub(crate) fn insert(&self, digest: &KeyDigest) {
        let (place, fingerprint) = self.place(digest);
        place.store(fingerprint, Ordering::Relaxed);
    }

    pub(crate) fn contains(&self, digest: &KeyDigest) -> bool {
        let (place, fingerprint) = self.place(digest);
        place.load(Ordering::Relaxed) == fingerprint
    }

    /// Where a digest belongs, and what stands for it there. The place follows from its first
    /// word by a hash that nobody outside can aim at; the fingerprint is its last word, never 0.
    fn place(&self, digest: &KeyDigest) -> (&AtomicU64, u64) {
        let mask = self.places.len() - 1;
        let hash = self.hasher.hash_one(digest);
        let at = usize::try_from(hash).unwrap_or(usize::MAX) & mask;
        let last = digest.as_bytes().last_chunk().copied().unwrap_or_default();
        (&self.places[at], u64::from_le_bytes(last) | 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(number: u64) -> KeyDigest {
        KeyDigest::of(&number.to_le_bytes())
    }

    #[test]
    fn what_was_found_is_known_and_nothing_else() {
        let found = OnceFound::with_room_for(1_000, DigestHasherBuilder::new().unwrap());
        for number in 0..500 {
            found.insert(&digest(number));
        }
        let known = (0..500).filter(|&number| found.contains(&digest(number)));
        assert!(known.count() > 350, "few share a place");
        let mistaken = (500..100_000).filter(|&number| found.contains(&digest(number)));
        assert_eq!(mistaken.count(), 0);
    }

    #[test]
    fn nothing_is_known_at_first_and_room_is_bounded() {
        let found = OnceFound::with_room_for(u64::MAX, DigestHasherBuilder::new().unwrap());
        assert_eq!(found.places.len(), 1 << 21);
        assert!(!found.contains(&KeyDigest::from_bytes([0; 32])));
    }
}
