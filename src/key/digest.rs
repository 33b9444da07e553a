//! What is kept of a key: enough to recognize it, nothing to use it.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use sha2::block_api::compress256;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The padding of a message takes a byte and its length eight more.
const LONGEST_IN_ONE_BLOCK: usize = 64 - 9;

/// Where SHA-256 begins (FIPS 180-4, 5.3.3).
const INITIAL_STATE: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// The digest of a key exactly as it was sent: all that a store ever sees of it.
///
/// Which digest that is, a [`DigestAlgorithm`](super::DigestAlgorithm) says. Nothing is decoded before hashing. Two spellings of one key do not exist, and decoding would
/// cost as much as the hash.
///
/// Equality takes the same time wherever two digests differ. `Debug` shows nothing.
///
/// ```
/// use portcullis::key::KeyDigest;
///
/// let stored = [7; 32];
/// assert_eq!(KeyDigest::from_bytes(stored).as_bytes(), &stored);
/// assert_eq!(format!("{:?}", KeyDigest::from_bytes(stored)), "KeyDigest(redacted)");
/// ```
#[derive(Clone, Copy)]
pub struct KeyDigest([u8; 32]);

impl KeyDigest {
    /// The SHA-256 of `bytes`.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        if bytes.len() > LONGEST_IN_ONE_BLOCK {
            return Self(Sha256::digest(bytes).into());
        }
        // Every key fits one block, and which one it is follows from its length alone: the general
        // way, which takes bytes as they come, costs a third of a hash more (FIPS 180-4, 5.1.1).
        let mut block = [0; 64];
        block[..bytes.len()].copy_from_slice(bytes);
        block[bytes.len()] = 0x80;
        let bits = 8 * bytes.len() as u64;
        block[56..].copy_from_slice(&bits.to_be_bytes());
        let mut state = INITIAL_STATE;
        compress256(&mut state, &[block]);
        let mut digest = [0; 32];
        for (to, word) in digest.as_chunks_mut::<4>().0.iter_mut().zip(state) {
            *to = word.to_be_bytes();
        }
        Self(digest)
    }

    /// A digest read back from a store.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes that a store keeps.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first 16 bits, most significant byte first: an even spread of all keys over 65,536
    /// shards.
    #[must_use]
    pub const fn shard(&self) -> u16 {
        u16::from_be_bytes([self.0[0], self.0[1]])
    }

    fn words(&self) -> [u64; 4] {
        let (chunks, _) = self.0.as_chunks::<8>();
        std::array::from_fn(|word| u64::from_le_bytes(chunks[word]))
    }
}

impl PartialEq for KeyDigest {
    fn eq(&self, other: &Self) -> bool {
        // Constant time over 32 single bytes costs half a SHA-256. Folding the difference into one
        // word first leaves one constant-time comparison to pay for, and no branch before it.
        let (ours, theirs) = (self.words(), other.words());
        let difference = (ours[0] ^ theirs[0])
            | (ours[1] ^ theirs[1])
            | (ours[2] ^ theirs[2])
            | (ours[3] ^ theirs[3]);
        difference.ct_eq(&0).into()
    }
}

impl Eq for KeyDigest {}

impl Hash for KeyDigest {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // A digest is uniform already, so eight bytes of it tell as much as a hash of all 32.
        state.write_u64(self.words()[0]);
    }
}

/// By bytes, so that an ordered map can hold digests.
///
/// This takes time that depends on where two digests first differ, which tells nothing worth
/// having: a caller chooses keys, not digests, and a digest whose first bytes are known still does
/// not lead back to a key. What grants access is equality.
impl Ord for KeyDigest {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }
}

impl PartialOrd for KeyDigest {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyDigest(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &[u8] = b"acme_live_0123456789ABCDEFGHIJKLMNOPQRSTUV4IG2In";

    fn from_hex(hex: &str) -> KeyDigest {
        let byte = |at: usize| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap();
        KeyDigest::from_bytes(std::array::from_fn(byte))
    }

    #[test]
    fn the_short_way_is_the_general_one() {
        let bytes: Vec<u8> = (0..200).collect();
        for length in 0..bytes.len() {
            let general: [u8; 32] = Sha256::digest(&bytes[..length]).into();
            let short = KeyDigest::of(&bytes[..length]);
            assert_eq!(*short.as_bytes(), general, "{length} bytes");
        }
    }

    #[test]
    fn it_is_the_sha_256_of_the_bytes_as_sent() {
        let cases: [(&str, &[u8], &str); 2] = [
            (
                "the test vector of FIPS 180-2",
                b"abc",
                "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            ),
            (
                "a key",
                KEY,
                "83c04433ba215d4f160f55bbcef021857d8950f7015dad30f2cbad0eed3674ec",
            ),
        ];
        for (name, bytes, expected) in cases {
            assert_eq!(KeyDigest::of(bytes), from_hex(expected), "{name}");
        }
    }

    #[test]
    fn one_bit_anywhere_makes_another_digest() {
        let digest = KeyDigest::of(KEY);
        assert_eq!(digest, KeyDigest::from_bytes(*digest.as_bytes()));
        for bit in 0..256 {
            let mut bytes = *digest.as_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(KeyDigest::from_bytes(bytes), digest, "bit {bit}");
        }
    }

    #[test]
    fn equal_differences_in_two_words_do_not_cancel_out() {
        for (one, other) in [(0, 8), (0, 16), (0, 24), (8, 16), (8, 24), (16, 24)] {
            let mut bytes = [0; 32];
            (bytes[one], bytes[other]) = (1, 1);
            let different = KeyDigest::from_bytes(bytes);
            assert_ne!(different, KeyDigest::from_bytes([0; 32]), "{one} {other}");
        }
    }

    #[test]
    fn the_order_is_the_order_of_the_bytes() {
        let [mut low, mut high] = [[0; 32]; 2];
        (low[0], low[31], high[0]) = (1, 255, 2);
        let (low, high) = (KeyDigest::from_bytes(low), KeyDigest::from_bytes(high));
        assert!(low < high);
        assert_eq!(low.cmp(&low), Ordering::Equal);
    }

    #[test]
    fn the_shard_is_the_first_two_bytes_read_as_they_are_written() {
        assert_eq!(KeyDigest::of(KEY).shard(), 0x83c0);
    }

    #[test]
    fn hashing_writes_one_word() {
        #[derive(Default)]
        struct Words(Vec<u64>);
        impl Hasher for Words {
            fn write(&mut self, _: &[u8]) {
                unreachable!("a digest writes a word, not bytes")
            }
            fn write_u64(&mut self, word: u64) {
                self.0.push(word);
            }
            fn finish(&self) -> u64 {
                0
            }
        }
        let mut words = Words::default();
        KeyDigest::of(KEY).hash(&mut words);
        assert_eq!(words.0, [0x4f5d_21ba_3344_c083]);
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", KeyDigest::of(KEY)), "KeyDigest(redacted)");
    }
}
