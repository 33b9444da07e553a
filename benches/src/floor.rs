//! The cheapest map there can be: it forgets nothing and nobody else may use it.

use std::hash::{BuildHasher, Hasher};

use crate::keys::scatter;

/// One seeded multiplication of eight bytes of the digest, as the crate's own caches have.
#[derive(Clone, Copy, Debug)]
pub struct OneMultiply {
    seed: u64,
}

impl Default for OneMultiply {
    fn default() -> Self {
        let seed = scatter(u64::from(std::process::id())) | 1;
        Self { seed }
    }
}

/// See [`OneMultiply`].
#[derive(Clone, Copy, Debug)]
pub struct OneMultiplyHasher {
    seed: u64,
    hash: u64,
}

impl BuildHasher for OneMultiply {
    type Hasher = OneMultiplyHasher;

    fn build_hasher(&self) -> OneMultiplyHasher {
        OneMultiplyHasher {
            seed: self.seed,
            hash: 0,
        }
    }
}

impl Hasher for OneMultiplyHasher {
    fn write(&mut self, _: &[u8]) {
        unreachable!("a digest writes a word, not bytes")
    }

    fn write_u64(&mut self, word: u64) {
        let product = u128::from(word ^ self.seed) * u128::from(self.seed);
        let folded = (product >> 64) as u64 ^ product as u64;
        self.hash = folded;
    }

    fn finish(&self) -> u64 {
        self.hash
    }
}
