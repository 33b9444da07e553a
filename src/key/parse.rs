//! Telling a key from anything else, without asking a store.
//!
//! What is refused here costs neither a look-up nor a place in a cache, so the checks run from the
//! cheapest to the dearest. None of them allocates, and none lets anybody in: whoever passes them
//! all has shown that they know how keys look, and under a keyed checksum that somebody here made
//! what they present.

use std::fmt;

use thiserror::Error;

use super::checksum::CHECKSUM_BYTES;
use super::format::TAIL_BYTES;
use super::{DigestAlgorithm, Environment, KeyDigest, KeyFormat, alphabet};

/// Bytes that look like a key in every respect. Whether there is such a key, a store knows.
#[derive(Clone, Copy)]
pub struct ParsedKey<'a> {
    presented: &'a [u8],
    environment: &'a Environment,
    algorithm: &'a DigestAlgorithm,
}

/// Why bytes are not a key, for logs and metrics. Callers are not told: to them every key that is
/// not accepted is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum NotAKey {
    /// They are fewer than any key has.
    #[error("it is shorter than any key")]
    TooShort,
    /// They are more than any key has.
    #[error("it is longer than any key")]
    TooLong,
    /// They do not begin with the prefix and an underscore.
    #[error("it does not begin with the prefix of keys")]
    Prefix,
    /// No declared environment and underscore follow the prefix.
    #[error("it is not of a declared environment")]
    Environment,
    /// Not exactly 38 bytes follow the environment.
    #[error("its length does not fit its environment")]
    Length,
    /// A byte after the environment is not of `[0-9A-Za-z]`.
    #[error("its body has characters other than 0-9, A-Z and a-z")]
    Body,
    /// The last six characters do not fit those before: a typo, or a key of somebody's making.
    #[error("its checksum is wrong")]
    Checksum,
}

impl KeyFormat {
    /// Whether `presented` has everything that a key of this format has, or of one of the foreign
    /// formats [that the keyring accepts](crate::keyring::Builder::accept_foreign).
    pub fn parse<'a>(&'a self, presented: &'a [u8]) -> Result<ParsedKey<'a>, NotAKey> {
        // No text has two forms: what is refused as a key of ours, for its checksum say, is no
        // foreign key either.
        let environment = match self.parse_own(presented) {
            Ok(environment) => environment,
            Err(why) if self.foreign.is_empty() => return Err(why),
            Err(why) => self.foreign(presented).ok_or(why)?,
        };
        Ok(ParsedKey {
            presented,
            environment,
            algorithm: &self.digest,
        })
    }

    /// The environment of a key of our own.
    fn parse_own(&self, presented: &[u8]) -> Result<&Environment, NotAKey> {
        let (shortest, longest) = self.lengths;
        if presented.len() < shortest {
            return Err(NotAKey::TooShort);
        }
        if presented.len() > longest {
            return Err(NotAKey::TooLong);
        }
        let after_prefix = self.strip_prefix(presented).ok_or(NotAKey::Prefix)?;
        // At most one can match: no name has an underscore.
        let (environment, tail) = self
            .environments()
            .iter()
            .find_map(|environment| Some((environment, strip(after_prefix, environment.as_str())?)))
            .ok_or(NotAKey::Environment)?;
        if tail.len() != TAIL_BYTES {
            return Err(NotAKey::Length);
        }
        if !alphabet::is_base62(tail) {
            return Err(NotAKey::Body);
        }
        match presented.split_last_chunk::<CHECKSUM_BYTES>() {
            Some((before, checksum)) if self.checksum.fits(before, *checksum) => Ok(environment),
            _ => Err(NotAKey::Checksum),
        }
    }

    /// Whether `presented` begins with the prefix and an underscore, or with the prefix of foreign
    /// keys that are accepted: if it does not, it was never meant to be a key of this application.
    #[must_use]
    pub fn starts_like_a_key(&self, presented: &[u8]) -> bool {
        self.strip_prefix(presented).is_some() || self.starts_like_foreign(presented)
    }

    fn strip_prefix<'a>(&self, presented: &'a [u8]) -> Option<&'a [u8]> {
        strip(presented, self.prefix())
    }
}

/// What follows `name` and an underscore.
fn strip<'a>(bytes: &'a [u8], name: &str) -> Option<&'a [u8]> {
    bytes.strip_prefix(name.as_bytes())?.strip_prefix(b"_")
}

impl<'a> ParsedKey<'a> {
    /// What a store knows the key by. This computes a hash: call it once.
    #[must_use]
    pub fn digest(&self) -> KeyDigest {
        self.algorithm.digest(self.presented)
    }

    /// The environment that the key says it is of.
    #[must_use]
    pub fn environment(&self) -> &'a Environment {
        self.environment
    }
}

impl fmt::Debug for ParsedKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParsedKey")
            .field("environment", self.environment)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::checksum::crc32_base62;
    use super::*;

    const LIVE: &str = "acme_live_0123456789ABCDEFGHIJKLMNOPQRSTUV4IG2In";
    const TEST: &str = "acme_test_abcdefghijklmnopqrstuvwxyzABCDEF1tmW09";
    const BODY: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUV";

    fn format() -> KeyFormat {
        KeyFormat::new("acme", ["live", "test", "s", "preview"]).unwrap()
    }

    /// A text with the checksum that it should have.
    fn signed(names: &str, body: &str) -> String {
        let before = names.to_owned() + body;
        let checksum = crc32_base62(before.as_bytes());
        before + str::from_utf8(&checksum).unwrap()
    }

    fn assert_all(cases: &[(&str, String)], expected: Result<&str, NotAKey>) {
        let format = format();
        for (name, text) in cases {
            let parsed = format.parse(text.as_bytes());
            let environment = parsed.map(|key| key.environment().as_str());
            assert_eq!(environment, expected, "{name}");
        }
    }

    #[test]
    fn keys_are_keys_of_their_environment() {
        assert_all(&[("with digits", LIVE.into())], Ok("live"));
        assert_all(&[("with letters", TEST.into())], Ok("test"));
        assert_all(&[("the shortest", signed("acme_s_", BODY))], Ok("s"));
        assert_all(
            &[("the longest", signed("acme_preview_", BODY))],
            Ok("preview"),
        );
    }

    #[test]
    fn what_no_key_is_as_short_or_long_as_is_refused_for_its_length() {
        let short = [
            ("nothing", String::new()),
            ("one byte less", "x".repeat(44)),
        ];
        assert_all(&short, Err(NotAKey::TooShort));
        let long = [
            ("one byte more", "x".repeat(52)),
            ("a megabyte", "x".repeat(1 << 20)),
        ];
        assert_all(&long, Err(NotAKey::TooLong));
    }

    #[test]
    fn the_prefix_is_matched_exactly() {
        let cases = [
            ("as long as the shortest key", "x".repeat(45)),
            ("as long as the longest key", "x".repeat(51)),
            ("another prefix", signed("acne_live_", BODY)),
            ("a longer prefix", signed("acmes_live_", BODY)),
            ("upper case", signed("Acme_live_", BODY)),
            ("a space in front", format!(" {LIVE}")),
        ];
        assert_all(&cases, Err(NotAKey::Prefix));
    }

    #[test]
    fn the_environment_is_matched_exactly() {
        let cases = [
            ("one not declared", signed("acme_prod_", BODY)),
            ("upper case", signed("acme_Live_", BODY)),
            ("the beginning of one", signed("acme_liv_", BODY)),
            ("more than one", signed("acme_lives_", BODY)),
            ("none", signed("acme__", BODY) + "0"),
        ];
        assert_all(&cases, Err(NotAKey::Environment));
    }

    #[test]
    fn the_length_fits_the_environment() {
        let cases = [
            ("a body too short", signed("acme_live_", &BODY[1..])),
            ("a body too long", signed("acme_live_0", BODY)),
            ("a line feed at the end", format!("{LIVE}\n")),
        ];
        assert_all(&cases, Err(NotAKey::Length));
    }

    #[test]
    fn the_body_is_of_letters_and_digits_even_where_the_checksum_fits() {
        let cases = [
            ("a dash", signed("acme_live_-", &BODY[1..])),
            ("an underscore", signed("acme_live__", &BODY[1..])),
            ("another script", signed("acme_live_é", &BODY[2..])),
            ("a zero byte", LIVE.replace("4IG2In", "4IG2I\0")),
        ];
        assert_all(&cases, Err(NotAKey::Body));
    }

    #[test]
    fn the_checksum_covers_all_that_is_before_it() {
        let cases = [
            ("another environment", LIVE.replace("live", "test")),
            ("a letter in the other case", LIVE.replace('A', "a")),
            ("zeros", LIVE.replace("4IG2In", "000000")),
            ("a number above 32 bits", LIVE.replace("4IG2In", "zzzzzz")),
        ];
        assert_all(&cases, Err(NotAKey::Checksum));
    }

    #[test]
    fn every_other_byte_at_every_position_is_refused_and_named() {
        let format = format();
        for position in 0..LIVE.len() {
            for byte in (0..=u8::MAX).filter(|&byte| byte != LIVE.as_bytes()[position]) {
                let mut presented = LIVE.as_bytes().to_vec();
                presented[position] = byte;
                let expected = match position {
                    0..5 => NotAKey::Prefix,
                    5..10 => NotAKey::Environment,
                    _ if byte.is_ascii_alphanumeric() => NotAKey::Checksum,
                    _ => NotAKey::Body,
                };
                assert_eq!(
                    format.parse(&presented).unwrap_err(),
                    expected,
                    "{byte:#04x} at {position}"
                );
            }
        }
    }

    #[test]
    fn the_digest_is_of_the_bytes_as_sent() {
        assert_eq!(
            format().parse(LIVE.as_bytes()).unwrap().digest(),
            KeyDigest::of(LIVE.as_bytes())
        );
    }

    #[test]
    fn what_starts_like_a_key() {
        let cases: [(&str, &[u8], bool); 7] = [
            ("a key", LIVE.as_bytes(), true),
            ("the prefix alone", b"acme_", true),
            ("the prefix and anything", b"acme_\xff", true),
            ("the prefix without its underscore", b"acme", false),
            ("a longer word", b"acmes_live_", false),
            ("a JSON web token", b"eyJhbGciOiJIUzI1NiJ9.e30.c2ln", false),
            ("nothing", b"", false),
        ];
        for (name, presented, expected) in cases {
            assert_eq!(format().starts_like_a_key(presented), expected, "{name}");
        }
    }

    #[test]
    fn debug_shows_the_environment_only() {
        let format = format();
        let parsed = format.parse(LIVE.as_bytes()).unwrap();
        assert_eq!(
            format!("{parsed:?}"),
            r#"ParsedKey { environment: Environment("live"), .. }"#
        );
    }
}
