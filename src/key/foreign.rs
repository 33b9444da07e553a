//! Keys that another system has issued, and how they are told from ours.
//!
//! Such a key has no checksum: whatever has its form is looked up, and what made-up keys cost then
//! is bounded by [`unknown_lookups`](crate::keyring::Builder::unknown_lookups). No text has two
//! forms, so that there is never a question of which key was meant.

use thiserror::Error;

use super::format::InvalidFormat;
use super::shape::{Alphabet, BodyLength, Shape};
use super::{Environment, KeyFormat};
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

/// A foreign format that a keyring accepts.
#[derive(Clone, Debug)]
pub(super) struct Accepted {
    format: ForeignFormat,
    pub(super) environment: Environment,
}

impl Accepted {
    pub(super) fn shape(&self) -> Shape<'_> {
        self.format.shape()
    }
}

impl KeyFormat {
    /// The same keys, and these beside them.
    pub(crate) fn with_foreign(
        mut self,
        formats: impl IntoIterator<Item = ForeignFormat>,
    ) -> Result<Self, InvalidFormat> {
        let mut accepted: Vec<Accepted> = Vec::new();
        for format in formats {
            let shape = format.shape();
            for environment in self.environments() {
                let ours = self.names(environment);
                if shape.overlaps(&Shape::of_our_own(&ours)) {
                    let (foreign, other) = (format.prefix.into(), ours);
                    return Err(InvalidFormat::ForeignOverlap { foreign, other });
                }
            }
            if let Some(other) = accepted.iter().find(|it| shape.overlaps(&it.shape())) {
                let other = other.format.prefix.to_string();
                let foreign = format.prefix.into();
                return Err(InvalidFormat::ForeignOverlap { foreign, other });
            }
            let environment = match &format.environment {
                None => self.default_environment().clone(),
                Some(declared) if self.environments().contains(declared) => declared.clone(),
                Some(other) => return Err(InvalidFormat::ForeignEnvironment(other.clone())),
            };
            accepted.push(Accepted {
                format,
                environment,
            });
        }
        self.foreign = accepted.into();
        Ok(self)
    }

    /// The environment of a foreign key.
    #[cold]
    pub(super) fn foreign(&self, presented: &[u8]) -> Option<&Environment> {
        let mut formats = self.foreign.iter();
        let format = formats.find(|format| format.shape().includes(presented))?;
        Some(&format.environment)
    }

    /// Whether `presented` begins as foreign keys do.
    pub(super) fn starts_like_foreign(&self, presented: &[u8]) -> bool {
        let mut formats = self.foreign.iter();
        formats.any(|format| presented.starts_with(format.format.prefix.as_bytes()))
    }

    /// What all keys of this environment begin with.
    pub(super) fn names(&self, environment: &Environment) -> String {
        format!("{}_{environment}_", self.prefix())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{KeyDigest, NotAKey};
    use super::*;

    const LIVE: &str = "acme_live_0123456789ABCDEFGHIJKLMNOPQRSTUV4IG2In";
    const HEX: &str = "000102030405060708090a0b0c0d0e0f1011121314151617";

    fn foreign(prefix: &str, alphabet: Alphabet, body: impl Into<BodyLength>) -> ForeignFormat {
        ForeignFormat::new(prefix, alphabet, body).unwrap()
    }

    fn accepting(formats: impl IntoIterator<Item = ForeignFormat>) -> KeyFormat {
        let format = KeyFormat::new("acme", ["live", "test"]).unwrap();
        format.with_foreign(formats).unwrap()
    }

    /// The environment of a key.
    fn environment<'a>(format: &'a KeyFormat, text: &'a str) -> Result<&'a str, NotAKey> {
        let key = format.parse(text.as_bytes())?;
        assert_eq!(
            key.digest(),
            KeyDigest::of(text.as_bytes()),
            "as it was sent"
        );
        Ok(key.environment().as_str())
    }

    #[test]
    fn scanners_look_for_what_is_accepted() {
        let cases = [
            (
                foreign("a.b+_", Alphabet::Hex, 48),
                r"\ba\.b\+_[0-9a-f]{48}\b",
            ),
            (
                foreign("pat-", Alphabet::Base64Url, 32..=40),
                r"\bpat-[0-9A-Za-z_-]{32,40}\b",
            ),
            (
                foreign("gh", Alphabet::Base62, 36),
                r"\bgh[0-9A-Za-z]{36}\b",
            ),
        ];
        for (format, regex) in cases {
            assert_eq!(format.scanner_regex(), regex);
        }
    }

    #[test]
    fn foreign_keys_are_keys_and_near_misses_are_none() {
        let format = accepting([
            foreign("old_", Alphabet::Hex, 48),
            foreign("pat-", Alphabet::Base64Url, 32..=40).environment("test".parse().unwrap()),
            foreign("gh", Alphabet::Base62, 36),
        ]);
        let a = |times| "a".repeat(times);
        let cases = [
            ("ours", LIVE.to_owned(), Some("live")),
            ("in hex", format!("old_{HEX}"), Some("live")),
            (
                "of the least length",
                format!("pat-{}", a(32)),
                Some("test"),
            ),
            ("of the most", format!("pat-_-{}", a(38)), Some("test")),
            ("without a separator", format!("gh{}", a(36)), Some("live")),
            ("one character less", format!("old_{}", &HEX[1..]), None),
            ("one more", format!("old_{HEX}0"), None),
            ("upper case", format!("old_{}", HEX.to_uppercase()), None),
            ("a prefix in upper case", format!("OLD_{HEX}"), None),
            ("no prefix", HEX.to_owned(), None),
            ("no separator", format!("old{HEX}"), None),
            ("not of the alphabet", format!("old_{}g", &HEX[1..]), None),
            ("padding", format!("old_{}=", &HEX[1..]), None),
            ("a line feed behind it", format!("old_{HEX}\n"), None),
            ("less than the least", format!("pat-{}", a(31)), None),
            ("more than the most", format!("pat-{}", a(41)), None),
            ("a dot", format!("pat-.{}", a(32)), None),
            ("a dash in base62", format!("gh-{}", a(35)), None),
            ("a megabyte", format!("old_{}", "0".repeat(1 << 20)), None),
            (
                "ours with a wrong checksum",
                LIVE.replace("4IG2In", "4IG2Im"),
                None,
            ),
        ];
        for (name, text, expected) in cases {
            assert_eq!(environment(&format, &text).ok(), expected, "{name}");
        }
        // Without them the same is no key, and a typo in ours is a typo either way.
        let ours_alone = KeyFormat::new("acme", ["live"]).unwrap();
        assert!(environment(&ours_alone, &format!("old_{HEX}")).is_err());
        let typo = LIVE.replace("4IG2In", "4IG2Im");
        assert_eq!(environment(&format, &typo), Err(NotAKey::Checksum));
    }

    #[test]
    fn every_other_byte_at_every_position_is_refused() {
        let format = accepting([foreign("old_", Alphabet::Hex, 48)]);
        let key = format!("old_{HEX}");
        for position in 0..key.len() {
            for byte in 0..=u8::MAX {
                let mut presented = key.as_bytes().to_vec();
                presented[position] = byte;
                let is_key = match position {
                    0..4 => byte == key.as_bytes()[position],
                    _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
                };
                let parsed = format.parse(&presented);
                assert_eq!(parsed.is_ok(), is_key, "{byte:#04x} at {position}");
            }
        }
    }

    #[test]
    fn forms_that_some_text_would_share_are_refused() {
        use Alphabet::{Base62, Base64Url, Hex};
        let cases = [
            ("ours", vec![foreign("acme_live_", Base62, 38)], false),
            (
                "not the first environment",
                vec![foreign("acme_test_", Hex, 30..=50)],
                false,
            ),
            (
                "all that begins with a letter",
                vec![foreign("a", Base64Url, 32..=64)],
                false,
            ),
            (
                "ours in another length",
                vec![foreign("acme_live_", Hex, 48)],
                true,
            ),
            (
                "twice",
                vec![foreign("x_", Hex, 32), foreign("x_", Hex, 32)],
                false,
            ),
            (
                "side by side",
                vec![foreign("x_", Hex, 32), foreign("x_", Hex, 33)],
                true,
            ),
        ];
        for (name, formats, expected) in cases {
            let format = KeyFormat::new("acme", ["live", "test"]).unwrap();
            let built = format.with_foreign(formats);
            assert_eq!(built.is_ok(), expected, "{name}");
        }
    }

    #[test]
    fn an_overlap_is_told_with_both_and_so_is_an_environment() {
        let ours = || KeyFormat::new("acme", ["live", "test"]).unwrap();
        let why = ours().with_foreign([foreign("acme_", Alphabet::Base64Url, 43)]);
        assert_eq!(
            why.unwrap_err().to_string(),
            "keys that begin with \"acme_\" cannot be told from those that begin with \
             \"acme_live_\": some have the length and the characters of both"
        );
        let prod = foreign("x_", Alphabet::Hex, 32).environment("prod".parse().unwrap());
        assert_eq!(
            ours().with_foreign([prod]).unwrap_err().to_string(),
            "foreign keys are to be of the environment \"prod\", which is not declared"
        );
    }

    #[test]
    fn what_cannot_be_a_foreign_key_is_refused_and_the_error_says_why() {
        use Alphabet::{Base62, Base64Url, Hex};
        let (x32, x33) = ("x".repeat(32), "x".repeat(33));
        let cases: [(&str, Alphabet, BodyLength, &str); 15] = [
            ("x_", Hex, 28.into(), ""),
            ("x_", Base62, 19.into(), ""),
            ("x.~+/", Base64Url, (19..=251).into(), ""),
            (&x32, Hex, 28.into(), ""),
            ("", Hex, 48.into(), "the prefix of a foreign key is empty"),
            (&x33, Hex, 48.into(), "has 33 bytes; it has 1 to 32"),
            (
                "x y",
                Hex,
                48.into(),
                "the prefix `x y` of a foreign key has characters",
            ),
            (
                "x=",
                Hex,
                48.into(),
                "the prefix `x=` of a foreign key has characters",
            ),
            (
                "é_",
                Hex,
                48.into(),
                "the prefix `\\u{e9}_` of a foreign key has characters",
            ),
            ("x_", Hex, 27.into(), "at least 28, which are 112 bits"),
            (
                "x_",
                Base62,
                (18..=40).into(),
                "a body of 18 characters can be guessed",
            ),
            ("x_", Base64Url, 0.into(), "at least 19, which are 112 bits"),
            (
                "x_",
                Hex,
                255.into(),
                "of 257 bytes is too long: nothing over 256",
            ),
            ("x_", Hex, usize::MAX.into(), "is too long"),
            (
                "x_",
                Hex,
                BodyLength {
                    least: 48,
                    most: 32,
                },
                "a body of 48 to 32 characters is none",
            ),
        ];
        for (prefix, alphabet, body, expected) in cases {
            match ForeignFormat::new(prefix, alphabet, body) {
                Ok(format) => {
                    assert_eq!(expected, "", "{prefix:?} {body:?}");
                    let key = prefix.to_owned() + &"0".repeat(body.most);
                    assert!(key.len() <= 256 && is_bearer_token(key.as_bytes()));
                    assert!(format.shape().includes(key.as_bytes()));
                }
                Err(why) => {
                    let said = why.to_string();
                    assert!(!expected.is_empty() && said.contains(expected), "{said}");
                }
            }
        }
    }

    #[test]
    fn what_starts_like_a_foreign_key_starts_like_a_key() {
        let format = accepting([foreign("old_", Alphabet::Hex, 48)]);
        for (text, expected) in [
            ("old_", true),
            ("acme_", true),
            ("old", false),
            ("eyJ", false),
        ] {
            let told = format.starts_like_a_key(text.as_bytes());
            assert_eq!(told, expected, "{text}");
        }
    }

    #[test]
    fn a_keyed_checksum_is_asked_of_our_own_keys_alone() {
        let secret = super::super::ChecksumSecret::new('1', [7; 32]).unwrap();
        let format = KeyFormat::new("acme", ["live"]).unwrap();
        let format = format.with_keyed_checksum([secret]).unwrap();
        let format = format
            .with_foreign([foreign("old_", Alphabet::Hex, 48)])
            .unwrap();
        assert_eq!(environment(&format, LIVE), Err(NotAKey::Checksum));
        assert_eq!(environment(&format, &format!("old_{HEX}")), Ok("live"));
    }
}
