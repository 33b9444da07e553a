//! The checksum that only its deployment can compute.
//!
//! Its first character is the version of a secret, the other five are an HMAC-SHA-256 under that
//! secret. One in 62⁵ made-up keys passes, about a billionth; with a CRC-32 all of them do.

use std::fmt;

use subtle::ConstantTimeEq;

use super::alphabet;
use super::checksum::CHECKSUM_BYTES;
use super::format::InvalidFormat;
use super::secret::{InvalidSecret, PreKeyed};

/// Tags are reduced modulo this: as many as five digits of base62 can tell apart.
const MODULUS: u64 = 62_u64.pow(5);

/// A secret under which a deployment makes the checksum of its keys, and the version by which a
/// key says that it was this one.
///
/// To replace one, give two to [`keyed_checksum`](crate::keyring::Builder::keyed_checksum):
///
/// 1. `[old, new]` everywhere, so that every replica knows the new one;
/// 2. `[new, old]` everywhere: the first signs new keys, all of them verify;
/// 3. `[new]` once no key of the old version is wanted any more. Those left over are refused.
///
/// It makes forged keys cheap to refuse and nothing else: whoever knows the secret has no key yet.
/// Use a secret for this alone. `Debug` shows the version, and memory is overwritten on drop.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use portcullis::Keyring;
/// use portcullis::key::{ChecksumSecret, KeyFormat, NotAKey};
/// use portcullis::store::MemoryStore;
///
/// let secret = [7; 32]; // 32 random bytes, from wherever secrets come from
/// let keyring = Keyring::builder(MemoryStore::new())
///     .prefix("acme")
///     .keyed_checksum([ChecksumSecret::new('1', secret)?])
///     .build()?;
///
/// let forged = KeyFormat::new("acme", ["live"])?;
/// let forged = forged.generate(forged.default_environment())?;
/// let refused = keyring.format().parse(forged.plain.expose().as_bytes());
/// assert_eq!(refused.unwrap_err(), NotAKey::Checksum);
/// # Ok(()) }
/// ```
pub struct ChecksumSecret {
    version: u8,
    keyed: PreKeyed,
}

impl ChecksumSecret {
    /// A secret of at least 32 bytes, and its version, one of `[0-9A-Za-z]`. Keys show the
    /// version; never give it to another secret.
    pub fn new(version: char, secret: impl AsRef<[u8]>) -> Result<Self, InvalidSecret> {
        let byte = u8::try_from(version).map_err(|_| InvalidSecret::Version(version))?;
        if !alphabet::is_base62(&[byte]) {
            return Err(InvalidSecret::Version(version));
        }
        Ok(Self {
            version: byte,
            keyed: PreKeyed::new(secret.as_ref())?,
        })
    }

    /// What the last five characters stand for: the tag, a big-endian number, modulo 62⁵.
    #[inline]
    fn number(&self, before: &[u8]) -> u32 {
        let tag = self.keyed.tag(before);
        let (words, _) = tag.as_chunks::<4>();
        let rest = words.iter().fold(0, |rest, &word| {
            ((rest << 32) | u64::from(u32::from_be_bytes(word))) % MODULUS
        });
        #[expect(clippy::cast_possible_truncation, reason = "62⁵ is less than 2³²")]
        let number = rest as u32;
        number
    }
}

impl fmt::Debug for ChecksumSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChecksumSecret")
            .field("version", &char::from(self.version))
            .finish_non_exhaustive()
    }
}

/// The secrets in use, all of different versions.
#[derive(Debug)]
pub(super) struct KeyedChecksum {
    signing: ChecksumSecret,
    others: Box<[ChecksumSecret]>,
}

impl KeyedChecksum {
    pub(super) fn new(
        secrets: impl IntoIterator<Item = ChecksumSecret>,
    ) -> Result<Self, InvalidFormat> {
        let mut secrets = secrets.into_iter();
        let signing = secrets.next().ok_or(InvalidFormat::NoChecksumSecret)?;
        let mut others: Vec<ChecksumSecret> = Vec::new();
        for secret in secrets {
            let version = secret.version;
            if version == signing.version || others.iter().any(|other| other.version == version) {
                return Err(InvalidFormat::RepeatedChecksumVersion(version.into()));
            }
            others.push(secret);
        }
        Ok(Self {
            signing,
            others: others.into(),
        })
    }

    /// The checksum of a new key.
    pub(super) fn of(&self, before: &[u8]) -> [u8; CHECKSUM_BYTES] {
        let mut checksum = alphabet::digits(self.signing.number(before));
        // Five digits are all that the number has: the first of six is still to be filled.
        checksum[0] = self.signing.version;
        checksum
    }

    /// Whether a key that reads so far ends in this.
    #[inline]
    pub(super) fn fits(&self, before: &[u8], presented: [u8; CHECKSUM_BYTES]) -> bool {
        let [version, digits @ ..] = presented;
        let Some(secret) = self.of_version(version) else {
            return false;
        };
        // What was presented is decoded, rather than what is right written out: neither the
        // comparison nor a table is then any quicker for a good guess, and nobody can find the
        // right characters one by one.
        alphabet::number(digits)
            .is_some_and(|presented| presented.ct_eq(&secret.number(before)).into())
    }

    fn of_version(&self, version: u8) -> Option<&ChecksumSecret> {
        // Versions are no secret: every key shows its own.
        std::iter::once(&self.signing)
            .chain(&self.others)
            .find(|secret| secret.version == version)
    }
}

#[cfg(test)]
mod tests {
    use super::super::alphabet::BASE62;
    use super::super::{KeyFormat, NotAKey};
    use super::*;

    const LIVE: &[u8] = b"acme_live_0123456789ABCDEFGHIJKLMNOPQRSTUV";
    const TEST: &[u8] = b"acme_test_abcdefghijklmnopqrstuvwxyzABCDEF";
    const LONGEST: &[u8] = b"abcdefg_hijklmn_zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz";

    /// The bytes 0 to 31.
    fn short(version: char) -> ChecksumSecret {
        let secret: [u8; 32] = std::array::from_fn(|byte| u8::try_from(byte).unwrap());
        ChecksumSecret::new(version, secret).unwrap()
    }

    /// Longer than a block, so that HMAC hashes it first.
    fn long(version: char) -> ChecksumSecret {
        let secret = "an example of a secret that is longer than one block of SHA-256, \
                      which is hashed first";
        ChecksumSecret::new(version, secret).unwrap()
    }

    fn keyed(secrets: impl IntoIterator<Item = ChecksumSecret>) -> KeyedChecksum {
        KeyedChecksum::new(secrets).unwrap()
    }

    fn format(secrets: impl IntoIterator<Item = ChecksumSecret>) -> KeyFormat {
        let format = KeyFormat::new("acme", ["live", "test"]).unwrap();
        format.with_keyed_checksum(secrets).unwrap()
    }

    fn new_key(format: &KeyFormat) -> String {
        let key = format.generate(format.default_environment()).unwrap();
        key.plain.expose().to_owned()
    }

    #[test]
    fn known_values() {
        // Computed by another implementation of HMAC, SHA-256 and base62.
        let cases: [(&str, ChecksumSecret, &[u8], [u8; 6]); 9] = [
            ("nothing", short('1'), b"", *b"1bktYJ"),
            ("a live key", short('1'), LIVE, *b"1OBBwl"),
            ("a test key", short('1'), TEST, *b"1RigIV"),
            ("the longest key", short('1'), LONGEST, *b"1qmqOt"),
            ("a small number is padded", short('1'), b"763", *b"100lS1"),
            ("nothing, a long secret", long('z'), b"", *b"zFUGBK"),
            ("a live key, a long secret", long('z'), LIVE, *b"zpV0O4"),
            ("a test key, a long secret", long('z'), TEST, *b"zKNXCy"),
            ("the longest, a long secret", long('z'), LONGEST, *b"zXpG6H"),
        ];
        for (name, secret, before, expected) in cases {
            let keyed = keyed([secret]);
            assert_eq!(keyed.of(before), expected, "{name}");
            assert!(keyed.fits(before, expected), "{name}");
        }
    }

    #[test]
    fn the_version_is_one_character_of_base62() {
        for byte in 0..=u8::MAX {
            let version = char::from(byte);
            let secret = ChecksumSecret::new(version, [7; 32]);
            assert_eq!(secret.is_ok(), byte.is_ascii_alphanumeric(), "{version:?}");
        }
        for (version, shown) in [('-', "'-'"), ('é', "'é'"), ('ı', "'ı'"), ('\n', r"'\n'")] {
            assert_eq!(
                ChecksumSecret::new(version, [7; 32])
                    .unwrap_err()
                    .to_string(),
                format!("the version {shown} of a checksum secret is not one of 0-9, A-Z and a-z")
            );
        }
    }

    #[test]
    fn short_secrets_are_refused() {
        assert_eq!(
            ChecksumSecret::new('1', "hunter2").unwrap_err(),
            InvalidSecret::TooShort { bytes: 7 }
        );
    }

    #[test]
    fn there_is_a_secret_and_no_version_is_repeated() {
        let cases = [
            (vec![], "a keyed checksum needs at least one secret"),
            (
                vec![short('1'), long('1')],
                "the version '1' is given to more than one checksum secret",
            ),
            (
                vec![short('1'), short('a'), short('A'), long('a')],
                "the version 'a' is given to more than one checksum secret",
            ),
        ];
        for (secrets, message) in cases {
            let error = KeyedChecksum::new(secrets).unwrap_err();
            assert_eq!(error.to_string(), message);
        }
        keyed(BASE62.map(|version| short(version.into())));
    }

    #[test]
    fn every_typo_is_told() {
        let format = format([short('1'), long('z')]);
        let key = [LIVE, b"1OBBwl"].concat();
        assert!(format.parse(&key).is_ok());
        for position in "acme_live_".len()..key.len() {
            for &digit in BASE62.iter().filter(|&&digit| digit != key[position]) {
                let mut typo = key.clone();
                typo[position] = digit;
                assert_eq!(
                    format.parse(&typo).unwrap_err(),
                    NotAKey::Checksum,
                    "{digit} at {position}"
                );
            }
        }
        // Two neighbours are alike: to swap them is no typo.
        for position in "acme_live_".len() + 1..key.len() {
            let mut swapped = key.clone();
            swapped.swap(position - 1, position);
            let refused = format.parse(&swapped).err();
            let expected = (swapped != key).then_some(NotAKey::Checksum);
            assert_eq!(refused, expected, "swapped at {position}");
        }
    }

    #[test]
    fn what_is_no_digit_fits_nothing() {
        let keyed = keyed([short('1')]);
        for presented in [*b"1OBBw-", *b"-OBBwl", [0xff; 6], [0; 6]] {
            assert!(!keyed.fits(LIVE, presented));
        }
    }

    #[test]
    fn the_first_secret_signs_and_all_verify() {
        let before = format([short('1')]);
        let prepared = format([short('1'), long('2')]);
        let turned = format([long('2'), short('1')]);
        let after = format([long('2')]);
        let (old, new) = (new_key(&before), new_key(&turned));
        assert_eq!(&new_key(&prepared)[42..43], "1");
        assert_eq!(&new[42..43], "2");

        let accepted = |key: &str| {
            [&before, &prepared, &turned, &after].map(|format| format.parse(key.as_bytes()).is_ok())
        };
        assert_eq!(accepted(&old), [true, true, true, false]);
        assert_eq!(accepted(&new), [false, true, true, true]);
    }

    #[test]
    fn a_key_holds_under_the_secret_of_its_version_only() {
        let ours = format([short('1'), long('2')]);
        let relabelled = format([short('2')]);
        let another = format([long('1')]);
        for format in [relabelled, another] {
            let refused = ours.parse(new_key(&format).as_bytes()).map(|_| ());
            assert_eq!(refused, Err(NotAKey::Checksum));
        }
    }

    #[test]
    fn keys_of_one_kind_are_refused_by_the_other() {
        let plain = KeyFormat::new("acme", ["live", "test"]).unwrap();
        // The first digit of a CRC-32 is 0 to 4: these versions can be mistaken for one.
        let keyed = format(['0', '1', '2', '3', '4'].map(short));
        for _ in 0..100 {
            let refused = keyed.parse(new_key(&plain).as_bytes()).map(|_| ());
            assert_eq!(refused, Err(NotAKey::Checksum));
            let refused = plain.parse(new_key(&keyed).as_bytes()).map(|_| ());
            assert_eq!(refused, Err(NotAKey::Checksum));
        }
    }

    #[test]
    fn the_checksum_comes_last() {
        let format = format([short('1')]);
        let cases: [(&[u8], NotAKey); 6] = [
            (b"acme_live_", NotAKey::TooShort),
            (&[b'a'; 49], NotAKey::TooLong),
            (&[b'a'; 48], NotAKey::Prefix),
            (
                b"acme_prod_0123456789ABCDEFGHIJKLMNOPQRSTUV1OBBwl",
                NotAKey::Environment,
            ),
            (
                b"acme_live_0123456789ABCDEFGHIJKLMNOPQRST-V1OBBwl",
                NotAKey::Body,
            ),
            (
                b"acme_live_0123456789ABCDEFGHIJKLMNOPQRSTUV4IG2In",
                NotAKey::Checksum,
            ),
        ];
        for (presented, expected) in cases {
            assert_eq!(format.parse(presented).unwrap_err(), expected);
        }
    }

    #[test]
    fn debug_shows_versions_only() {
        assert_eq!(
            format!("{:?}", keyed([short('1'), long('z')])),
            "KeyedChecksum { signing: ChecksumSecret { version: '1', .. }, \
             others: [ChecksumSecret { version: 'z', .. }] }"
        );
    }
}
