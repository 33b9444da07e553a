//! Which digest a store knows keys by.

use std::fmt;
use std::sync::Arc;

use super::KeyDigest;
use super::secret::{InvalidSecret, PreKeyed};

/// What the fingerprint of a pepper is computed of. No key reads like this.
const FINGERPRINT_LABEL: &[u8] = b"portcullis pepper";

/// Which digest a store knows keys by: SHA-256 unless
/// [the keyring is told otherwise](crate::keyring::Builder::digest).
///
/// **Choose it once:** a key that was stored under another digest is an unknown key.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use portcullis::Keyring;
/// use portcullis::key::{DigestAlgorithm, Pepper};
/// use portcullis::store::MemoryStore;
///
/// let secret = [7; 32]; // 32 random bytes, from wherever secrets come from
/// let keyring = Keyring::builder(MemoryStore::new())
///     .prefix("acme")
///     .digest(DigestAlgorithm::hmac_sha256(Pepper::new(secret)?))
///     .build()?;
/// # Ok(()) }
/// ```
#[derive(Clone, Default)]
pub struct DigestAlgorithm(Algorithm);

#[derive(Clone, Default)]
enum Algorithm {
    #[default]
    Sha256,
    HmacSha256(Arc<Pepper>),
    #[cfg(feature = "blake3")]
    Blake3,
}

/// A secret that goes into the digest of every key and is kept apart from the store.
///
/// Keys are too random to be found from their digests, with a pepper or without. What it adds is
/// that nobody who can only *write* into the store can put in a key of their own making: they
/// cannot compute its digest.
///
/// **There is no way to change it**: without it, or with another, every key is unknown.
/// `Debug` shows nothing, and memory is overwritten on drop.
pub struct Pepper(PreKeyed);

impl Pepper {
    /// A secret of at least 32 bytes.
    pub fn new(secret: impl AsRef<[u8]>) -> Result<Self, InvalidSecret> {
        PreKeyed::new(secret.as_ref()).map(Self)
    }
}

impl DigestAlgorithm {
    /// SHA-256, the default.
    #[must_use]
    pub const fn sha256() -> Self {
        Self(Algorithm::Sha256)
    }

    /// HMAC-SHA-256 under a pepper.
    #[must_use]
    pub fn hmac_sha256(pepper: Pepper) -> Self {
        Self(Algorithm::HmacSha256(Arc::new(pepper)))
    }

    /// BLAKE3.
    #[cfg(feature = "blake3")]
    #[must_use]
    pub const fn blake3() -> Self {
        Self(Algorithm::Blake3)
    }

    /// The digest of a whole key.
    #[inline]
    pub(super) fn digest(&self, key: &[u8]) -> KeyDigest {
        match &self.0 {
            Algorithm::Sha256 => KeyDigest::of(key),
            Algorithm::HmacSha256(pepper) => KeyDigest::from_bytes(pepper.0.tag(key)),
            #[cfg(feature = "blake3")]
            Algorithm::Blake3 => KeyDigest::from_bytes(blake3::hash(key).into()),
        }
    }

    /// Whether nobody without a secret can compute it.
    #[cfg(feature = "admin")]
    pub(super) fn takes_a_secret(&self) -> bool {
        matches!(self.0, Algorithm::HmacSha256(_))
    }

    /// What a store tells the algorithm by. Another pepper has another name, which says no more
    /// about it than that.
    pub(crate) fn name(&self) -> String {
        match &self.0 {
            Algorithm::Sha256 => "sha256".to_owned(),
            Algorithm::HmacSha256(pepper) => {
                let tag = pepper.0.tag(FINGERPRINT_LABEL);
                let (words, _) = tag.as_chunks::<8>();
                format!("hmac-sha256:{:016x}", u64::from_be_bytes(words[0]))
            }
            #[cfg(feature = "blake3")]
            Algorithm::Blake3 => "blake3".to_owned(),
        }
    }
}

impl fmt::Debug for DigestAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DigestAlgorithm({})", self.name())
    }
}

impl fmt::Debug for Pepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pepper(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::super::KeyFormat;
    use super::*;

    const KEY: &[u8] = b"acme_live_0123456789ABCDEFGHIJKLMNOPQRSTUV4IG2In";

    /// The bytes 32 to 63.
    fn short() -> Pepper {
        let secret: [u8; 32] = std::array::from_fn(|byte| 32 + u8::try_from(byte).unwrap());
        Pepper::new(secret).unwrap()
    }

    /// Longer than a block, so that HMAC hashes it first.
    fn long() -> Pepper {
        let secret = "an example of a secret that is longer than one block of SHA-256, \
                      which is hashed first";
        Pepper::new(secret).unwrap()
    }

    fn algorithms() -> Vec<(&'static str, DigestAlgorithm)> {
        vec![
            ("sha256", DigestAlgorithm::sha256()),
            (
                "hmac-sha256:80cfebd421f2df91",
                DigestAlgorithm::hmac_sha256(short()),
            ),
            (
                "hmac-sha256:f77eee484c6b5fda",
                DigestAlgorithm::hmac_sha256(long()),
            ),
            #[cfg(feature = "blake3")]
            ("blake3", DigestAlgorithm::blake3()),
        ]
    }

    fn hex(digest: KeyDigest) -> String {
        digest.as_bytes().map(|byte| format!("{byte:02x}")).concat()
    }

    #[cfg(feature = "admin")]
    #[test]
    fn only_a_pepper_keeps_others_from_computing_a_digest() {
        let format = KeyFormat::new("acme", ["live"]).unwrap();
        for (name, algorithm) in algorithms() {
            let peppered = name.starts_with("hmac");
            assert_eq!(algorithm.takes_a_secret(), peppered, "{name}");
            let format = format.clone().with_digest(algorithm);
            assert_eq!(format.digests_take_a_secret(), peppered, "{name}");
        }
    }

    #[test]
    fn known_digests_of_a_key() {
        // Computed by other implementations.
        let expected = [
            "83c04433ba215d4f160f55bbcef021857d8950f7015dad30f2cbad0eed3674ec",
            "8a24d33d83e7b937fdc2edaa913616efc04eef1f70395ce5dfd1f42b64cbfb2e",
            "7cd59ef0fa960588734c38201ce6672810d3aadc5b4a9c34834ff9086987c76a",
            "554d0c8360fe32a527cb9a6adbc1120eb436fdc3050b044b59e64dad886ad078",
        ];
        for ((name, algorithm), expected) in algorithms().into_iter().zip(expected) {
            assert_eq!(hex(algorithm.digest(KEY)), expected, "{name}");
        }
    }

    #[cfg(feature = "blake3")]
    #[test]
    fn blake3_of_its_own_test_vector() {
        assert_eq!(
            hex(DigestAlgorithm::blake3().digest(b"")),
            "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
        );
    }

    #[test]
    fn names_are_fixed_and_tell_peppers_apart() {
        for (name, algorithm) in algorithms() {
            assert_eq!(algorithm.name(), name);
            assert_eq!(algorithm.clone().name(), name);
        }
        assert_eq!(DigestAlgorithm::default().name(), "sha256");
    }

    #[test]
    fn new_keys_and_presented_ones_have_the_same_digest() {
        for (name, algorithm) in algorithms() {
            let format = KeyFormat::new("acme", ["live"]).unwrap();
            let format = format.with_digest(algorithm.clone());
            let key = format.generate(format.default_environment()).unwrap();
            let plain = key.plain.expose().as_bytes();
            assert_eq!(format.parse(plain).unwrap().digest(), key.digest, "{name}");
            assert_eq!(algorithm.digest(plain), key.digest, "{name}");
        }
    }

    #[test]
    fn short_peppers_are_refused() {
        for bytes in [0, 31] {
            let error = Pepper::new(vec![7; bytes]).unwrap_err();
            assert_eq!(error, InvalidSecret::TooShort { bytes });
        }
    }

    #[test]
    fn debug_shows_names_and_no_pepper() {
        for (name, algorithm) in algorithms() {
            assert_eq!(format!("{algorithm:?}"), format!("DigestAlgorithm({name})"));
        }
        assert_eq!(format!("{:?}", short()), "Pepper(redacted)");
    }
}
