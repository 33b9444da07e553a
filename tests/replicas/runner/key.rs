//! Keys that are made by hand, as the documentation describes them.

use crate::runner::chance::Chance;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The part of a key that is random.
pub(crate) fn any_body(chance: &mut Chance) -> String {
    (0..32)
        .map(|_| char::from(ALPHABET[chance.below(62)]))
        .collect()
}

/// With its checksum: CRC-32 in base62, padded with `0`.
pub(crate) fn well_formed(body: &str) -> String {
    let start = format!("acme_live_{body}");
    let mut crc = crc32fast::hash(start.as_bytes());
    let mut checksum = [b'0'; 6];
    for digit in checksum.iter_mut().rev() {
        *digit = ALPHABET[(crc % 62) as usize];
        crc /= 62;
    }
    start + std::str::from_utf8(&checksum).unwrap()
}
