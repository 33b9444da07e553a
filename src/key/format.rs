//! How the keys of one application look.

use std::sync::Arc;

use thiserror::Error;

use super::algorithm::DigestAlgorithm;
use super::checksum::{CHECKSUM_BYTES, Checksum};
use super::environment::{self, Environment, InvalidEnvironment, MAX_NAME_BYTES};
use super::foreign::Accepted;
use super::keyed::{ChecksumSecret, KeyedChecksum};

/// How many random characters a key has.
pub(super) const BODY_BYTES: usize = 32;

/// What follows the environment and its underscore: always as long.
pub(super) const TAIL_BYTES: usize = BODY_BYTES + CHECKSUM_BYTES;

/// What a key has besides the prefix and the environment: the tail and two underscores.
pub(super) const FRAME_BYTES: usize = TAIL_BYTES + 2;

// SHA-256 works on blocks of 64 bytes, nine of which it may need for itself. One byte more, and
// every request would pay for a second block.
const _: () = assert!(MAX_NAME_BYTES + FRAME_BYTES <= 55);

/// How the keys of one application look: `{prefix}_{environment}_{body}{checksum}`.
///
/// The body is 32 random characters of `[0-9A-Za-z]`, 190 bits. The checksum is six more: the
/// CRC-32 of everything before it, as a base62 number. It spots typos and **is not security**;
/// anyone can compute it. Only the format of a keyring with a [keyed
/// checksum](crate::keyring::Builder::keyed_checksum) has one that its deployment alone computes.
/// A whole key has at most 54 bytes and no character at which a double click stops.
///
/// **Changing the prefix revokes every key in the world:** those that exist no longer look like
/// keys, and are refused without being looked up. So does taking an environment away, for the keys
/// of that environment. Adding an environment harms nobody.
///
/// ```
/// use portcullis::key::{KeyFormat, NotAKey};
///
/// let format = KeyFormat::new("acme", ["live", "test"])?;
/// let key = format.generate(format.default_environment())?;
///
/// let parsed = format.parse(key.plain.expose().as_bytes())?;
/// assert_eq!(parsed.digest(), key.digest);
/// assert_eq!(parsed.environment().as_str(), "live");
/// assert_eq!(format.parse(b"hunter2").unwrap_err(), NotAKey::TooShort);
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct KeyFormat {
    prefix: Box<str>,
    /// At least one, all different.
    environments: Box<[Environment]>,
    /// The first of `environments`, kept aside so that there is one whatever happens.
    default_environment: Environment,
    /// The shortest and the longest key, in bytes.
    pub(super) lengths: (usize, usize),
    pub(super) checksum: Checksum,
    pub(super) digest: DigestAlgorithm,
    /// What others have issued and is accepted as well.
    pub(super) foreign: Box<[Accepted]>,
}

/// Why keys cannot look like this. Of a long value only the beginning is repeated.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidFormat {
    /// There is no prefix.
    #[error("the prefix of keys is empty: it has at least one of a-z and 0-9")]
    EmptyPrefix,
    /// The prefix has characters that a key cannot have there.
    #[error("the prefix {0:?} has characters other than a-z and 0-9")]
    PrefixCharacters(String),
    /// An environment cannot have this name.
    #[error(transparent)]
    Environment(#[from] InvalidEnvironment),
    /// No environment is declared.
    #[error("no environment is declared: keys need at least one, such as \"live\"")]
    NoEnvironment,
    /// This environment is declared twice.
    #[error("the environment {:?} is declared more than once", .0.as_str())]
    RepeatedEnvironment(Environment),
    /// A key of this environment would be too long to be hashed in one step.
    #[error(
        "the prefix {prefix:?} and the environment {:?} are too long: \
         together they have at most {MAX_NAME_BYTES} bytes",
        .environment.as_str()
    )]
    TooLong {
        /// The prefix.
        prefix: String,
        /// The first environment that is too long for it.
        environment: Environment,
    },
    /// The checksum is to be keyed, and there is no secret to key it with.
    #[error("a keyed checksum needs at least one secret")]
    NoChecksumSecret,
    /// Two secrets share a version, so that a key would not tell which one it was made under.
    #[error("the version {0:?} is given to more than one checksum secret")]
    RepeatedChecksumVersion(char),
    /// There are texts that would be keys of two forms.
    #[error(
        "keys that begin with {foreign:?} cannot be told from those that begin with {other:?}: \
         some have the length and the characters of both"
    )]
    ForeignOverlap {
        /// What the keys of a foreign format begin with.
        foreign: String,
        /// What the others do.
        other: String,
    },
    /// Foreign keys are to be of an environment that is not declared.
    #[error("foreign keys are to be of the environment {:?}, which is not declared", .0.as_str())]
    ForeignEnvironment(Environment),
}

impl KeyFormat {
    /// Keys that begin with `prefix` and one of `environments`, the first of which is the default.
    ///
    /// Both are made of `[a-z0-9]`, and the prefix has at most 14 bytes together with the longest
    /// environment. **Choose the prefix once:** changing it revokes every key in the world.
    pub fn new(
        prefix: &str,
        environments: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<Self, InvalidFormat> {
        if prefix.is_empty() {
            return Err(InvalidFormat::EmptyPrefix);
        }
        if !environment::is_name(prefix) {
            return Err(InvalidFormat::PrefixCharacters(environment::beginning(
                prefix,
            )));
        }
        let mut declared: Vec<Environment> = Vec::new();
        let (mut shortest, mut longest) = (usize::MAX, 0);
        for name in environments {
            let environment: Environment = name.as_ref().parse()?;
            if declared.contains(&environment) {
                return Err(InvalidFormat::RepeatedEnvironment(environment));
            }
            let names = prefix.len() + environment.as_str().len();
            if names > MAX_NAME_BYTES {
                let prefix = environment::beginning(prefix);
                return Err(InvalidFormat::TooLong {
                    prefix,
                    environment,
                });
            }
            shortest = shortest.min(names + FRAME_BYTES);
            longest = longest.max(names + FRAME_BYTES);
            declared.push(environment);
        }
        let default_environment = declared
            .first()
            .ok_or(InvalidFormat::NoEnvironment)?
            .clone();
        Ok(Self {
            prefix: prefix.into(),
            environments: declared.into(),
            default_environment,
            lengths: (shortest, longest),
            checksum: Checksum::Crc32,
            digest: DigestAlgorithm::default(),
            foreign: Box::default(),
        })
    }

    /// The same keys with a keyed checksum: the first secret signs, all of them verify.
    pub(crate) fn with_keyed_checksum(
        self,
        secrets: impl IntoIterator<Item = ChecksumSecret>,
    ) -> Result<Self, InvalidFormat> {
        let keyed = KeyedChecksum::new(secrets)?;
        Ok(Self {
            checksum: Checksum::Keyed(Arc::new(keyed)),
            ..self
        })
    }

    /// The same keys, known to stores by another digest.
    pub(crate) fn with_digest(self, digest: DigestAlgorithm) -> Self {
        Self { digest, ..self }
    }

    /// Whether nobody without a secret of this deployment can compute the digest of a key.
    #[cfg(feature = "admin")]
    pub(crate) fn digests_take_a_secret(&self) -> bool {
        self.digest.takes_a_secret()
    }

    /// What all keys begin with, without the underscore.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The declared environments, at least one, in the order in which they were declared.
    #[must_use]
    pub fn environments(&self) -> &[Environment] {
        &self.environments
    }

    /// The environment that was declared first.
    #[must_use]
    pub fn default_environment(&self) -> &Environment {
        &self.default_environment
    }

    /// The regular expression by which secret scanners find leaked keys.
    ///
    /// ```
    /// use portcullis::key::KeyFormat;
    ///
    /// let format = KeyFormat::new("acme", ["live", "test"])?;
    /// assert_eq!(format.scanner_regex(), r"\bacme_(?:live|test)_[0-9A-Za-z]{38}\b");
    /// # Ok::<_, portcullis::key::InvalidFormat>(())
    /// ```
    #[must_use]
    pub fn scanner_regex(&self) -> String {
        // Nothing needs escaping: names have letters and digits only.
        let names: Vec<&str> = self.environments.iter().map(Environment::as_str).collect();
        format!(
            r"\b{}_(?:{})_[0-9A-Za-z]{{{TAIL_BYTES}}}\b",
            self.prefix,
            names.join("|")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::Pepper;
    use super::*;

    /// Prefix and environments, written as in `acme: live test`.
    fn format(names: &str) -> Result<KeyFormat, InvalidFormat> {
        let (prefix, environments) = names.split_once(": ").unwrap();
        KeyFormat::new(prefix, environments.split_terminator(' '))
    }

    #[test]
    fn possible_formats_and_how_long_their_keys_are() {
        let cases = [
            ("one environment", "acme: live", (48, 48)),
            ("three of them", "acme: live t staging", (45, 51)),
            ("the shortest names", "a: 1", (42, 42)),
            ("14 bytes together", "abcdefg: hijklmn", (54, 54)),
        ];
        for (name, names, lengths) in cases {
            let format = format(names).unwrap();
            let declared = format.environments().iter().map(Environment::as_str);
            let declared: Vec<&str> = declared.collect();
            let shown = format!("{}: {}", format.prefix(), declared.join(" "));
            assert_eq!(shown, names, "{name}");
            assert_eq!(format.default_environment(), &format.environments()[0]);
            assert_eq!(format.lengths, lengths, "{name}");
        }
    }

    #[test]
    fn refusals_name_the_value_and_what_would_be_right() {
        let characters = "has characters other than a-z and 0-9";
        let long = "are too long: together they have at most 14 bytes";
        let cases: [(&str, String); 10] = [
            (
                ": live",
                "the prefix of keys is empty: it has at least one of a-z and 0-9".into(),
            ),
            ("Acme: live", format!(r#"the prefix "Acme" {characters}"#)),
            ("ac_me: live", format!(r#"the prefix "ac_me" {characters}"#)),
            ("acmé: live", format!(r#"the prefix "acmé" {characters}"#)),
            (
                "acme: ",
                "no environment is declared: keys need at least one, such as \"live\"".into(),
            ),
            (
                "acme: a  b",
                "an environment is empty: it has at least one of a-z and 0-9".into(),
            ),
            (
                "acme: a-b",
                format!(r#"the environment "a-b" {characters}"#),
            ),
            (
                "acme: a b a",
                r#"the environment "a" is declared more than once"#.into(),
            ),
            (
                "abcdefgh: i jklmnop",
                format!(r#"the prefix "abcdefgh" and the environment "jklmnop" {long}"#),
            ),
            (
                "abcdefghijklmn: 1",
                format!(r#"the prefix "abcdefghijklmn" and the environment "1" {long}"#),
            ),
        ];
        for (names, message) in cases {
            assert_eq!(format(names).unwrap_err().to_string(), message, "{names}");
        }
    }

    #[test]
    fn environments_can_be_given_as_environments() {
        let format = KeyFormat::new("acme", ["live", "test"]).unwrap();
        let again = KeyFormat::new("acme", format.environments()).unwrap();
        assert_eq!(again.environments(), format.environments());
    }

    #[test]
    fn debug_shows_how_keys_look_and_no_secret() {
        let format = KeyFormat::new("acme", ["live"]).unwrap();
        let names = "KeyFormat { prefix: \"acme\", environments: [Environment(\"live\")], \
                     default_environment: Environment(\"live\"), lengths: (48, 48), ";
        assert_eq!(
            format!("{format:?}"),
            format!("{names}checksum: Crc32, digest: DigestAlgorithm(sha256), foreign: [] }}")
        );
        let pepper = Pepper::new([7; 32]).unwrap();
        let secret = ChecksumSecret::new('1', [8; 32]).unwrap();
        let format = format
            .with_digest(DigestAlgorithm::hmac_sha256(pepper))
            .with_keyed_checksum([secret])
            .unwrap();
        assert_eq!(
            format!("{format:?}"),
            format!(
                "{names}checksum: Keyed(KeyedChecksum {{ signing: ChecksumSecret {{ \
                 version: '1', .. }}, others: [] }}), \
                 digest: DigestAlgorithm(hmac-sha256:9ffaa13099280955), foreign: [] }}"
            )
        );
    }

    #[test]
    fn another_checksum_or_digest_leaves_the_rest_as_it_was() {
        let plain = format("acme: live t staging").unwrap();
        let secret = ChecksumSecret::new('1', [8; 32]).unwrap();
        let keyed = plain.clone().with_keyed_checksum([secret]).unwrap();
        let keyed = keyed.with_digest(DigestAlgorithm::default());
        assert_eq!(keyed.scanner_regex(), plain.scanner_regex());
        assert_eq!(keyed.lengths, plain.lengths);
        for environment in keyed.environments() {
            let key = keyed.generate(environment).unwrap();
            let names = plain.prefix().len() + environment.as_str().len();
            assert_eq!(key.plain.expose().len(), names + FRAME_BYTES);
            assert!(keyed.parse(key.plain.expose().as_bytes()).is_ok());
        }
    }

    #[test]
    fn the_scanner_expression_for_a_single_environment() {
        let format = KeyFormat::new("acme", ["live"]).unwrap();
        assert_eq!(format.scanner_regex(), r"\bacme_(?:live)_[0-9A-Za-z]{38}\b");
    }
}
