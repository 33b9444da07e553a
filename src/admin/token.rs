//! The bootstrap admin token: the way in before there is a key.

use std::fmt;

use zeroize::Zeroizing;

use crate::credential::is_b64token;
use crate::key::{KeyDigest, KeyFormat};

/// The fewest characters of a token: 190 bits if drawn from base64, as many as a key has.
const SHORTEST: usize = 32;

/// The most: what is longer is refused in a request before anybody looks at it.
const LONGEST: usize = crate::credential::MAX_CREDENTIAL_BYTES;

/// How many may be valid at a time: the one in use, and the one that replaces it.
const MOST: usize = 2;

/// A token that may do everything on the admin router, and nothing anywhere else.
///
/// It comes from the configuration, say an environment variable, and needs no store to be
/// checked. `Debug` shows nothing of it, and its memory is overwritten when it is dropped.
///
/// ```
/// use portcullis::admin::BootstrapToken;
///
/// let token = BootstrapToken::from("0123456789abcdefghijklmnopqrstuv");
/// assert_eq!(format!("{token:?}"), "BootstrapToken(redacted)");
/// ```
pub struct BootstrapToken(Zeroizing<String>);

/// Why a text cannot be a bootstrap admin token. Nothing of the text is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidToken {
    /// Too few characters: it could be guessed.
    #[error("the admin token has {0} characters; it needs at least {SHORTEST}, drawn at random")]
    TooShort(usize),
    /// More than is ever looked at in a request.
    #[error("the admin token has {0} characters; it has at most {LONGEST}")]
    TooLong(usize),
    /// It could not be sent after `Bearer`.
    #[error(
        "the admin token has characters that a bearer token cannot have; it has only \
         `A-Za-z0-9-._~+/`, and `=` at the end"
    )]
    Characters,
    /// It reads like a key of the keyring, and keys are to be told from it at a glance.
    #[error("the admin token reads like a key of this keyring; draw another one at random")]
    IsAKey,
    /// Two are enough to replace one by another.
    #[error("there are more than {MOST} admin tokens; only {MOST} may be valid at a time")]
    TooMany,
}

impl From<String> for BootstrapToken {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl From<&str> for BootstrapToken {
    fn from(text: &str) -> Self {
        Self::from(text.to_owned())
    }
}

impl fmt::Debug for BootstrapToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BootstrapToken(redacted)")
    }
}

/// The tokens that are valid, as their digests.
#[derive(Clone, Debug, Default)]
pub(super) struct Tokens(Vec<KeyDigest>);

impl Tokens {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Makes one more token valid.
    pub(super) fn add(
        &mut self,
        token: &BootstrapToken,
        format: &KeyFormat,
    ) -> Result<(), InvalidToken> {
        let text = token.0.as_bytes();
        if self.0.len() == MOST {
            return Err(InvalidToken::TooMany);
        }
        if text.len() < SHORTEST {
            return Err(InvalidToken::TooShort(token.0.chars().count()));
        }
        if !is_b64token(text) {
            return Err(InvalidToken::Characters);
        }
        if text.len() > LONGEST {
            return Err(InvalidToken::TooLong(text.len()));
        }
        if format.parse(text).is_ok() {
            return Err(InvalidToken::IsAKey);
        }
        self.0.push(KeyDigest::of(text));
        Ok(())
    }

    /// Whether `presented` is one of them. How long this takes says nothing of them but their
    /// number: digests are compared, each to its end, and all of them.
    pub(super) fn include(&self, presented: &[u8]) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let presented = KeyDigest::of(presented);
        self.0.iter().filter(|token| **token == presented).count() > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format() -> KeyFormat {
        KeyFormat::new("acme", ["live"]).unwrap()
    }

    #[test]
    fn what_may_be_a_token() {
        let a_key = "acme_live_0123456789ABCDEFGHIJKLMNOPQRSTUV4IG2In";
        let (a31, a32, a256, a257) = (
            "a".repeat(31),
            "a".repeat(32),
            "a".repeat(256),
            "a".repeat(257),
        );
        let cases: [(&str, &str, Result<(), InvalidToken>); 13] = [
            ("32 characters", &a32, Ok(())),
            ("31 characters", &a31, Err(InvalidToken::TooShort(31))),
            ("nothing", "", Err(InvalidToken::TooShort(0))),
            ("256 characters", &a256, Ok(())),
            ("257 characters", &a257, Err(InvalidToken::TooLong(257))),
            (
                "every kind of character",
                "ABCDEFabcdef0123456789-._~+/abc===",
                Ok(()),
            ),
            (
                "a space inside",
                "0123456789abcdef 0123456789abcdef",
                Err(InvalidToken::Characters),
            ),
            (
                "a line feed at the end",
                "0123456789abcdef0123456789abcdef\n",
                Err(InvalidToken::Characters),
            ),
            (
                "padding inside",
                "0123456789abcdef=0123456789abcdef",
                Err(InvalidToken::Characters),
            ),
            (
                "padding alone",
                "================================",
                Err(InvalidToken::Characters),
            ),
            (
                "another script",
                "éééééééééééééééééééééééééééééééé",
                Err(InvalidToken::Characters),
            ),
            ("a key of this keyring", a_key, Err(InvalidToken::IsAKey)),
            (
                "a key with a typo",
                "acme_live_0123456789ABCDEFGHIJKLMNOPQRSTUV4IG2Im",
                Ok(()),
            ),
        ];
        for (name, text, expected) in cases {
            let result = Tokens::default().add(&text.into(), &format());
            assert_eq!(result, expected, "{name}");
            if let Err(error) = result
                && !text.is_empty()
            {
                assert!(!error.to_string().contains(text), "{name}: {error}");
            }
        }
    }

    #[test]
    fn two_may_be_valid_and_a_third_is_refused() {
        let (one, two, three) = ("1".repeat(32), "2".repeat(32), "3".repeat(32));
        let mut tokens = Tokens::default();
        assert!(!tokens.include(one.as_bytes()));
        for token in [&one, &two] {
            tokens.add(&token.as_str().into(), &format()).unwrap();
        }
        let third = tokens.add(&three.as_str().into(), &format());
        assert_eq!(third, Err(InvalidToken::TooMany));
        let cases = [
            (one.as_str(), true),
            (&two, true),
            (&three, false),
            ("", false),
            (&one[..31], false),
        ];
        for (presented, expected) in cases {
            assert_eq!(
                tokens.include(presented.as_bytes()),
                expected,
                "{presented}"
            );
        }
    }

    #[test]
    fn debug_shows_nothing() {
        let token = BootstrapToken::from("1".repeat(32));
        let mut tokens = Tokens::default();
        tokens.add(&token, &format()).unwrap();
        let shown = format!("{token:?} {tokens:?}");
        assert_eq!(
            shown,
            "BootstrapToken(redacted) Tokens([KeyDigest(redacted)])"
        );
    }
}
