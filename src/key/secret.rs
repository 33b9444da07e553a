//! Secrets of a deployment, made ready once so that requests pay as little as they can.

use hmac::digest::FixedOutput;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use thiserror::Error;

/// The least that a secret has: as many bytes as the tag, so that guessing it is no shorter way.
const MIN_SECRET_BYTES: usize = 32;

/// HMAC-SHA-256 under a secret, with the key schedule behind it.
///
/// What is kept is as good as the secret, and overwritten on drop. It stays where it is on the
/// heap: every move would leave a copy of it behind.
pub(super) struct PreKeyed(Box<Hmac<Sha256>>);

/// Why a secret cannot be used. The secret itself is never repeated.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidSecret {
    /// The version cannot be written into a key.
    #[error("the version {0:?} of a checksum secret is not one of 0-9, A-Z and a-z")]
    Version(char),
    /// The secret could be guessed.
    #[error(
        "a secret has at least {MIN_SECRET_BYTES} bytes, drawn at random; this one has {bytes}"
    )]
    TooShort {
        /// How many bytes the secret has.
        bytes: usize,
    },
}

impl PreKeyed {
    pub(super) fn new(secret: &[u8]) -> Result<Self, InvalidSecret> {
        if secret.len() < MIN_SECRET_BYTES {
            return Err(InvalidSecret::TooShort {
                bytes: secret.len(),
            });
        }
        #[expect(clippy::expect_used, reason = "HMAC takes secrets of any length")]
        let keyed = Hmac::new_from_slice(secret).expect("HMAC takes secrets of any length");
        Ok(Self(Box::new(keyed)))
    }

    /// The HMAC-SHA-256 of a message.
    #[inline]
    pub(super) fn tag(&self, message: &[u8]) -> [u8; 32] {
        let mut mac = Hmac::clone(&self.0);
        mac.update(message);
        mac.finalize_fixed().into()
    }
}

#[cfg(test)]
mod tests {
    use zeroize::ZeroizeOnDrop;

    use super::*;

    #[test]
    fn secrets_of_less_than_32_bytes_are_refused_without_being_repeated() {
        for bytes in [0, 1, 31] {
            let error = PreKeyed::new(&vec![b's'; bytes]).err().unwrap();
            assert_eq!(
                error.to_string(),
                format!("a secret has at least 32 bytes, drawn at random; this one has {bytes}")
            );
        }
        for bytes in [32, 64, 65, 1000] {
            assert!(PreKeyed::new(&vec![b's'; bytes]).is_ok(), "{bytes}");
        }
    }

    #[test]
    fn every_byte_of_a_secret_counts() {
        for bytes in [32, 64, 65, 100] {
            let secret = vec![7; bytes];
            let tag = PreKeyed::new(&secret).unwrap().tag(b"message");
            for position in 0..bytes {
                let mut other = secret.clone();
                other[position] ^= 1;
                assert_ne!(PreKeyed::new(&other).unwrap().tag(b"message"), tag);
            }
        }
    }

    #[test]
    fn a_tag_leaves_nothing_behind_for_the_next() {
        let keyed = PreKeyed::new(&[7; 32]).unwrap();
        let first = keyed.tag(b"first");
        assert_ne!(keyed.tag(b"second"), first);
        assert_eq!(keyed.tag(b"first"), first);
    }

    #[test]
    fn its_memory_is_overwritten_on_drop() {
        // An HMAC is two states of the hash and a buffer; the hash says so of both.
        fn overwritten<T: ZeroizeOnDrop>() {}
        overwritten::<Sha256>();
    }
}
