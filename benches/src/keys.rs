//! Any number of keys, the same in every run: the n-th key is a function of n.

use portcullis::key::{Alphabet, ChecksumSecret, ForeignFormat, KeyDigest, KeyFormat};
use sha2::{Digest, Sha256};

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// What all keys here begin with.
pub const PREFIX: &str = "acme";

/// The secret of keyrings with the keyed checksum.
pub fn checksum_secret() -> ChecksumSecret {
    ChecksumSecret::new('1', [7; 32]).unwrap()
}

/// The n-th key, with a right CRC-32.
pub fn nth(n: u64) -> String {
    let mut key = beginning(n);
    key.push_str(&base62(crc32fast::hash(key.as_bytes())));
    key
}

/// The n-th key with one letter of its body changed, so that only the checksum is wrong.
pub fn mistyped(n: u64) -> String {
    let key = nth(n);
    let other = if key.as_bytes()[20] == b'a' { "b" } else { "a" };
    format!("{}{other}{}", &key[..20], &key[21..])
}

/// The n-th string that looks like a key with a keyed checksum, made by somebody without the
/// secret: its version is right.
pub fn forged(n: u64) -> String {
    let mut key = beginning(n);
    key.push('1');
    key.push_str(&base62(scatter(n) as u32)[1..]);
    key
}

/// A key with a right keyed checksum, another one in every run.
pub fn keyed(format: &KeyFormat) -> String {
    let made = format.generate(format.default_environment()).unwrap();
    made.plain.expose().to_owned()
}

/// What the n-th key of another system looks like: `old_` and 48 hexadecimal digits.
pub fn foreign(n: u64) -> String {
    let word = |word| scatter(n.wrapping_mul(3).wrapping_add(word));
    format!("old_{:016x}{:016x}{:016x}", word(0), word(1), word(2))
}

/// The form of [`foreign`] keys.
pub fn foreign_format() -> ForeignFormat {
    ForeignFormat::new("old_", Alphabet::Hex, 48).unwrap()
}

/// What a store knows a key by, by default.
pub fn digest(key: &str) -> KeyDigest {
    KeyDigest::from_bytes(Sha256::digest(key.as_bytes()).into())
}

/// How a request carries a key.
pub fn bearer(key: &str) -> String {
    format!("Bearer {key}")
}

fn beginning(n: u64) -> String {
    let mut key = String::with_capacity(48);
    key.push_str(PREFIX);
    key.push_str("_live_");
    for word in 0..4 {
        let mut random = scatter(n.wrapping_mul(4).wrapping_add(word));
        for _ in 0..8 {
            key.push(char::from(ALPHABET[(random % 62) as usize]));
            random /= 62;
        }
    }
    key
}

fn base62(mut number: u32) -> String {
    let mut digits = [b'0'; 6];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[(number % 62) as usize];
        number /= 62;
    }
    String::from_utf8_lossy(&digits).into_owned()
}

/// `SplitMix64`: consecutive numbers become ones that look random.
pub fn scatter(n: u64) -> u64 {
    let mut z = n
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use portcullis::key::NotAKey;

    use super::*;

    #[test]
    fn keys_are_what_they_are_said_to_be() {
        let crc = KeyFormat::new(PREFIX, ["live"]).unwrap();
        for n in [0, 1, 77, u64::MAX] {
            assert!(crc.parse(nth(n).as_bytes()).is_ok(), "{n}");
            let mistyped = mistyped(n);
            assert_eq!(
                crc.parse(mistyped.as_bytes()).unwrap_err(),
                NotAKey::Checksum,
                "{n}"
            );
        }
    }
}
