//! Keys that another system has issued, and how they are told from ours.
//!
//! Such a key has no checksum: whatever has its form is looked up, and what made-up keys cost then
//! is bounded by [`unknown_lookups`](crate::keyring::Builder::unknown_lookups). No text has two
//! forms, so that there is never a question of which key was meant.

mod accepted;
#[cfg(test)]
mod tests;

use thiserror::Error;

pub(super) use self::accepted::Accepted;
use super::Environment;
use super::shape::{Alphabet, BodyLength, Shape};
use crate::credential::{MAX_CREDENTIAL_BYTES, is_bearer_token};
use crate::excerpt::excerpt;

/// The longest prefix, so that a hint has room behind it.
const LONGEST_PREFIX: usize = 32;

/// How many bits a body has at least. NIST SP 800-63B asks for a slow hash of anything less, and
/// keys are hashed fast.
const FEWEST_BITS: usize = 112;

/// How keys look that another system has issued: a prefix, then so many characters of an alphabet.
///
/// With [`accept_foreign`](crate::keyring::Builder::accept_foreign) they open the gate like keys of
/// our own, once their digests have been imported: the digest of the keyring, computed of the whole
/// key as it is sent, prefix and all. They are never made here; a rotation gives such a key a secret
/// of our own form.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use portcullis::Keyring;
/// use portcullis::key::{Alphabet, ForeignFormat};
/// use portcullis::store::MemoryStore;
///
/// let keyring = Keyring::builder(MemoryStore::new())
///     .prefix("acme")
///     .accept_foreign(ForeignFormat::new("old_sk_", Alphabet::Hex, 48)?)
///     .accept_foreign(ForeignFormat::new("pat-", Alphabet::Base64Url, 32..=64)?)
///     .build()?;
///
/// let old = "old_sk_000102030405060708090a0b0c0d0e0f1011121314151617";
/// assert!(keyring.format().parse(old.as_bytes()).is_ok());
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct ForeignFormat {
    prefix: Box<str>,
    alphabet: Alphabet,
    body: BodyLength,
    environment: Option<Environment>,
}

/// Why foreign keys cannot look like this. Of a long value only the beginning is repeated.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidForeignFormat {
    /// There is no prefix, so that any text of the right length would be a key.
    #[error("the prefix of a foreign key is empty; it has 1 to {LONGEST_PREFIX} characters")]
    EmptyPrefix,
    /// The prefix has this many bytes.
    #[error("the prefix of a foreign key has {0} bytes; it has 1 to {LONGEST_PREFIX}")]
    LongPrefix(usize),
    /// The prefix has characters that cannot be sent after `Bearer`.
    #[error(
        "the prefix `{0}` of a foreign key has characters other than those of a bearer token, \
         `A-Za-z0-9-._~+/`"
    )]
    PrefixCharacters(String),
    /// The body can be so short that it can be guessed from its digest.
    #[error(
        "a body of {body} characters can be guessed from its digest; of this alphabet it needs at \
         least {least}, which are {FEWEST_BITS} bits"
    )]
    ShortBody {
        /// As given.
        body: usize,
        /// The least that it may be.
        least: usize,
    },
    /// The key can be longer than any credential that is looked at.
    #[error(
        "a foreign key of {bytes} bytes is too long: nothing over {MAX_CREDENTIAL_BYTES} is looked at"
    )]
    LongKey {
        /// Prefix and body.
        bytes: usize,
    },
    /// The range ends before it begins.
    #[error("a body of {least} to {most} characters is none; the lower number comes first")]
    NoLength {
        /// Where it begins.
        least: usize,
        /// Where it ends.
        most: usize,
    },
}

impl ForeignFormat {
    /// Keys that begin with `prefix`, exactly, and go on with `body` characters of `alphabet`.
    pub fn new(
        prefix: &str,
        alphabet: Alphabet,
        body: impl Into<BodyLength>,
    ) -> Result<Self, InvalidForeignFormat> {
        let body = body.into();
        let BodyLength { least, most } = body;
        if prefix.is_empty() {
            return Err(InvalidForeignFormat::EmptyPrefix);
        }
        if prefix.len() > LONGEST_PREFIX {
            return Err(InvalidForeignFormat::LongPrefix(prefix.len()));
        }
        // With a character behind it, since `=` may come last of all only.
        if !is_bearer_token(format!("{prefix}0").as_bytes()) {
            return Err(InvalidForeignFormat::PrefixCharacters(excerpt(prefix)));
        }
        if least > most {
            return Err(InvalidForeignFormat::NoLength { least, most });
        }
        let needed = least_of(alphabet);
        if least < needed {
            let (body, least) = (least, needed);
            return Err(InvalidForeignFormat::ShortBody { body, least });
        }
        let bytes = prefix.len().saturating_add(most);
        if bytes > MAX_CREDENTIAL_BYTES {
            return Err(InvalidForeignFormat::LongKey { bytes });
        }
        Ok(Self {
            prefix: prefix.into(),
            alphabet,
            body,
            environment: None,
        })
    }

    /// The environment that these keys are of, one of those that the keyring declares. Defaults
    /// to the one that is declared first.
    pub fn environment(mut self, environment: Environment) -> Self {
        self.environment = Some(environment);
        self
    }

    /// The regular expression by which secret scanners find leaked keys of this form.
    ///
    /// ```
    /// use portcullis::key::{Alphabet, ForeignFormat};
    ///
    /// let format = ForeignFormat::new("old.sk_", Alphabet::Hex, 32..=48)?;
    /// assert_eq!(format.scanner_regex(), r"\bold\.sk_[0-9a-f]{32,48}\b");
    /// # Ok::<_, portcullis::key::InvalidForeignFormat>(())
    /// ```
    #[must_use]
    pub fn scanner_regex(&self) -> String {
        let mut prefix = String::new();
        for character in self.prefix.chars() {
            if matches!(character, '.' | '+') {
                prefix.push('\\');
            }
            prefix.push(character);
        }
        let alphabet = match self.alphabet {
            Alphabet::Hex => "0-9a-f",
            Alphabet::Base62 => "0-9A-Za-z",
            Alphabet::Base64Url => "0-9A-Za-z_-",
        };
        let BodyLength { least, most } = self.body;
        if least == most {
            format!(r"\b{prefix}[{alphabet}]{{{least}}}\b")
        } else {
            format!(r"\b{prefix}[{alphabet}]{{{least},{most}}}\b")
        }
    }

    /// The form of these keys.
    pub(super) fn shape(&self) -> Shape<'_> {
        Shape {
            prefix: &self.prefix,
            alphabet: self.alphabet,
            body: self.body,
        }
    }
}

/// The fewest characters that are [`FEWEST_BITS`].
fn least_of(alphabet: Alphabet) -> usize {
    match alphabet {
        Alphabet::Hex => FEWEST_BITS / 4,
        // 5.95 bits each, and 6.
        Alphabet::Base62 | Alphabet::Base64Url => FEWEST_BITS.div_ceil(6),
    }
}
