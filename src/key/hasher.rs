//! How the cache spreads digests over its buckets.

use std::hash::{BuildHasher, Hasher};

/// Builds hashers for maps whose keys are [`KeyDigest`](super::KeyDigest)s.
///
/// A digest is uniform, so it seems that its first word could be the bucket as it is. But anyone
/// can compute digests: the checksum of a key is no secret, so somebody can make keys at home until
/// they have thousands whose digests begin alike, send them, and turn one bucket into a list. Hence
/// one multiplication with numbers drawn when the process started, which nobody outside can aim at.
#[derive(Clone)]
pub(crate) struct DigestHasherBuilder {
    offset: u64,
    multiplier: u64,
}

impl DigestHasherBuilder {
    /// Draws this process's numbers from the operating system's generator.
    pub(crate) fn new() -> Result<Self, getrandom::Error> {
        Ok(Self::from_seed(getrandom::u64()?, getrandom::u64()?))
    }

    fn from_seed(offset: u64, multiplier: u64) -> Self {
        // Odd, so that multiplying loses nothing; were it zero, all digests would share a bucket.
        Self {
            offset,
            multiplier: multiplier | 1,
        }
    }
}

impl BuildHasher for DigestHasherBuilder {
    type Hasher = DigestHasher;

    fn build_hasher(&self) -> DigestHasher {
        DigestHasher {
            state: self.offset,
            multiplier: self.multiplier,
        }
    }
}

/// The hasher of [`DigestHasherBuilder`].
pub(crate) struct DigestHasher {
    state: u64,
    multiplier: u64,
}

impl Hasher for DigestHasher {
    #[inline]
    fn write_u64(&mut self, word: u64) {
        // Maps take buckets from the low bits and tags from the high ones. The low half of a
        // product has good high bits, the high half has good low bits: folded, all are good.
        let product = u128::from(self.state ^ word) * u128::from(self.multiplier);
        #[allow(clippy::cast_possible_truncation)] // The two halves are what is wanted.
        let (low, high) = (product as u64, (product >> 64) as u64);
        self.state = low ^ high;
    }

    /// Digests write one word and never come here; for anything else this is right, not fast.
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.write_u64(u64::from_le_bytes(*word));
        }
        let mut last = [0; 8];
        for (to, from) in last.iter_mut().zip(rest) {
            *to = *from;
        }
        self.write_u64(u64::from_le_bytes(last));
        // Without the length "a" and "a\0" would be one.
        self.write_u64(bytes.len() as u64);
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.state
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::*;
    use crate::key::KeyDigest;

    fn seeded() -> DigestHasherBuilder {
        DigestHasherBuilder::from_seed(0x0123_4567_89ab_cdef, 0x9e37_79b9_7f4a_7c15)
    }

    /// How many of 256 buckets are in use, by the lowest and by the highest byte.
    fn buckets(hashes: impl Iterator<Item = u64> + Clone) -> (usize, usize) {
        let low = hashes
            .clone()
            .map(|hash| hash.to_le_bytes()[0])
            .collect::<HashSet<_>>();
        let high = hashes
            .map(|hash| hash.to_le_bytes()[7])
            .collect::<HashSet<_>>();
        (low.len(), high.len())
    }

    #[test]
    fn a_map_finds_what_was_put_in() {
        let mut map = HashMap::with_hasher(DigestHasherBuilder::new().unwrap());
        for key in 0..10_000_u32 {
            map.insert(KeyDigest::of(&key.to_le_bytes()), key);
        }
        for key in 0..10_000_u32 {
            assert_eq!(map.get(&KeyDigest::of(&key.to_le_bytes())), Some(&key));
        }
    }

    #[test]
    fn digests_that_differ_in_few_bits_use_all_buckets() {
        let cases = [("low", 0), ("middle", 26), ("high", 52)];
        for (name, shift) in cases {
            let builder = seeded();
            let (low, high) = buckets((0..4096_u64).map(|n| builder.hash_one(n << shift)));
            assert!(
                low > 240 && high > 240,
                "{name} bits: {low} and {high} of 256 buckets"
            );
        }
    }

    #[test]
    fn what_is_multiplied_by_is_odd_whatever_was_drawn() {
        for drawn in [0, 1, 2, u64::MAX] {
            let builder = DigestHasherBuilder::from_seed(0, drawn);
            assert_eq!(builder.multiplier, drawn | 1);
        }
    }

    #[test]
    fn clones_agree_and_processes_differ() {
        let digest = KeyDigest::of(b"a");
        let (one, other) = (
            DigestHasherBuilder::new().unwrap(),
            DigestHasherBuilder::new().unwrap(),
        );
        assert_eq!(one.hash_one(digest), one.clone().hash_one(digest));
        assert_ne!(one.hash_one(digest), other.hash_one(digest));
    }

    #[test]
    fn the_worst_seed_still_tells_digests_apart() {
        let builder = DigestHasherBuilder::from_seed(0, 0);
        assert_ne!(builder.hash_one(1_u64), builder.hash_one(2_u64));
    }

    #[test]
    fn other_bytes_count_each_and_with_their_length() {
        let inputs: [&[u8]; 8] = [
            b"",
            b"\0",
            b"a",
            b"a\0",
            b"a\0\0",
            b"12345678",
            b"12345678\0",
            b"123456789",
        ];
        let hashes = inputs.map(|bytes| {
            let mut hasher = seeded().build_hasher();
            hasher.write(bytes);
            hasher.finish()
        });
        assert_eq!(HashSet::from(hashes).len(), inputs.len());
    }
}
