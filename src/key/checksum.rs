//! The six characters at the end of a key, by which a typo is told without asking.
//!
//! **The checksum is not what keeps keys secret**: that is the body. It spares the store a look-up
//! of what was mistyped or cut off, and spares secret scanners most false alarms. The CRC-32 has
//! no secret in it: everybody can compute it for a body of their own making. The [keyed
//! checksum](KeyedChecksum) only its deployment can compute, so that forged keys end here too.

use std::sync::Arc;

use super::alphabet;
use super::keyed::KeyedChecksum;

/// How many characters a checksum has: 62⁶ is the first power of 62 above 2³².
pub(super) const CHECKSUM_BYTES: usize = 6;

/// How the last six characters of a key follow from those before.
#[derive(Clone, Debug)]
pub(super) enum Checksum {
    /// For everybody to check.
    Crc32,
    /// For this deployment alone.
    Keyed(Arc<KeyedChecksum>),
}

impl Checksum {
    /// The checksum of a new key.
    pub(super) fn of(&self, before: &[u8]) -> [u8; CHECKSUM_BYTES] {
        match self {
            Self::Crc32 => crc32_base62(before),
            Self::Keyed(keyed) => keyed.of(before),
        }
    }

    /// Whether a key that reads so far ends in this.
    #[inline]
    pub(super) fn fits(&self, before: &[u8], presented: [u8; CHECKSUM_BYTES]) -> bool {
        match self {
            // No secret goes into this one, so `==` may take its time.
            Self::Crc32 => presented == crc32_base62(before),
            Self::Keyed(keyed) => keyed.fits(before, presented),
        }
    }
}

/// The CRC-32 (ISO-HDLC, as in zlib) of `bytes` as a base62 number, most significant digit first,
/// padded with `0`.
pub(crate) fn crc32_base62(bytes: &[u8]) -> [u8; CHECKSUM_BYTES] {
    alphabet::digits(crc32fast::hash(bytes))
}

#[cfg(test)]
mod tests {
    use super::alphabet::BASE62;
    use super::*;

    #[test]
    fn known_values() {
        // Computed by another implementation of CRC-32 (zlib) and of base62.
        let cases: [(&str, &[u8], &[u8; 6]); 7] = [
            ("nothing has the checksum zero", b"", b"000000"),
            (
                "the check value of CRC-32 is 0xcbf43926",
                b"123456789",
                b"3jZRME",
            ),
            ("the largest CRC-32 fits", b"\xff\xff\xff\xff", b"4gfFC3"),
            ("a zero byte counts", b"\x00", b"3qRrJN"),
            ("a small number is padded", b"16660", b"000Gcv"),
            (
                "a live key",
                b"acme_live_0123456789ABCDEFGHIJKLMNOPQRSTUV",
                b"4IG2In",
            ),
            (
                "a test key",
                b"acme_test_abcdefghijklmnopqrstuvwxyzABCDEF",
                b"1tmW09",
            ),
        ];
        for (name, bytes, expected) in cases {
            assert_eq!(&crc32_base62(bytes), expected, "{name}");
        }
    }

    #[test]
    fn every_single_typo_and_swap_of_neighbours_changes_it() {
        let key = b"acme_live_0123456789ABCDEFGHIJKLMNOPQRSTUV".to_vec();
        let right = crc32_base62(&key);
        for position in 0..key.len() {
            for digit in BASE62.iter().filter(|&&digit| digit != key[position]) {
                let mut typo = key.clone();
                typo[position] = *digit;
                assert_ne!(crc32_base62(&typo), right, "{digit} at {position}");
            }
        }
        for position in 1..key.len() {
            let mut swapped = key.clone();
            swapped.swap(position - 1, position);
            assert_ne!(crc32_base62(&swapped), right, "swapped at {position}");
        }
    }
}
