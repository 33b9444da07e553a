//! The name of a key, which may be shown, logged and sent about.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

use super::alphabet;

const PREFIX: &str = "key_";
const SHORTEST: usize = 16;
const LONGEST: usize = 32;

/// What [`KeyId::generate`] draws: 131 bits, so that two ids never meet by chance.
const GENERATED: usize = 22;

/// The name of a key: `key_` and 16 to 32 of `[0-9A-Za-z]`.
///
/// An id is not a secret. It says nothing about the key's text, and it stays the same for as long
/// as the key exists. Cloning one copies a pointer.
///
/// ```
/// use portcullis::key::KeyId;
///
/// let id: KeyId = "key_2vQ9dKfTn0aYxZbC3LmP8s".parse()?;
/// assert_eq!(id.to_string(), "key_2vQ9dKfTn0aYxZbC3LmP8s");
/// # Ok::<_, portcullis::key::ParseKeyIdError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(Arc<str>);

/// Why a text is not the id of a key. Nothing of the text but a single character is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParseKeyIdError {
    /// It begins with something else.
    #[error("the id does not begin with {PREFIX:?}")]
    Prefix,
    /// It has this many bytes after `key_`.
    #[error("the id has {0} bytes after {PREFIX:?}: it has {SHORTEST} to {LONGEST}")]
    Length(usize),
    /// It has this character after `key_`.
    #[error("the id has {0:?} after {PREFIX:?}: it has only 0-9, A-Z and a-z there")]
    Character(char),
}

impl KeyId {
    /// Makes a new id from the operating system's generator.
    pub(crate) fn generate() -> Result<Self, getrandom::Error> {
        let mut digits = [0; GENERATED];
        alphabet::fill_random(&mut digits)?;
        let digits = digits.iter().map(|&digit| char::from(digit));
        Ok(Self(
            PREFIX.chars().chain(digits).collect::<String>().into(),
        ))
    }

    /// The id, with its `key_`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KeyId {
    type Err = ParseKeyIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix(PREFIX).ok_or(ParseKeyIdError::Prefix)?;
        if !(SHORTEST..=LONGEST).contains(&digits.len()) {
            return Err(ParseKeyIdError::Length(digits.len()));
        }
        match digits.chars().find(|digit| !digit.is_ascii_alphanumeric()) {
            Some(foreign) => Err(ParseKeyIdError::Character(foreign)),
            None => Ok(Self(text.into())),
        }
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KeyId").field(&&*self.0).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn generated_ids_can_be_read_back_and_are_all_different() {
        let ids: HashSet<KeyId> = (0..1000).map(|_| KeyId::generate().unwrap()).collect();
        assert_eq!(ids.len(), 1000);
        for id in ids {
            assert_eq!(id.as_str().len(), 26);
            assert_eq!(id.as_str().parse(), Ok(id.clone()));
            assert_eq!(id.to_string(), id.as_str());
        }
    }

    #[test]
    fn what_is_an_id_and_what_is_not() {
        use ParseKeyIdError::{Character, Length, Prefix};
        let cases = [
            (
                "sixteen characters",
                "key_0123456789abcdef".to_owned(),
                Ok(()),
            ),
            (
                "thirty-two characters",
                format!("key_{}", "Z".repeat(32)),
                Ok(()),
            ),
            (
                "fifteen characters",
                "key_0123456789abcde".to_owned(),
                Err(Length(15)),
            ),
            (
                "thirty-three characters",
                format!("key_{}", "Z".repeat(33)),
                Err(Length(33)),
            ),
            (
                "a megabyte",
                format!("key_{}", "Z".repeat(1 << 20)),
                Err(Length(1 << 20)),
            ),
            ("nothing", String::new(), Err(Prefix)),
            ("the prefix alone", "key_".to_owned(), Err(Length(0))),
            (
                "the prefix in upper case",
                "KEY_0123456789abcdef".to_owned(),
                Err(Prefix),
            ),
            (
                "another prefix",
                "usr_0123456789abcdef".to_owned(),
                Err(Prefix),
            ),
            (
                "a space in front",
                " key_0123456789abcdef".to_owned(),
                Err(Prefix),
            ),
            (
                "a line feed at the end",
                "key_0123456789abcdef\n".to_owned(),
                Err(Character('\n')),
            ),
            (
                "an underscore",
                "key_0123456789_abcdef".to_owned(),
                Err(Character('_')),
            ),
            (
                "a path",
                "key_../../../../../../a".to_owned(),
                Err(Character('.')),
            ),
            (
                "another script",
                "key_0123456789abcdeé".to_owned(),
                Err(Character('é')),
            ),
            (
                "a zero byte",
                "key_0123456789abcde\0".to_owned(),
                Err(Character('\0')),
            ),
        ];
        for (name, text, expected) in cases {
            assert_eq!(
                text.parse::<KeyId>()
                    .map(|id| assert_eq!(id.as_str(), text)),
                expected,
                "{name}"
            );
        }
    }

    #[test]
    fn errors_say_what_would_be_right() {
        let cases = [
            (
                ParseKeyIdError::Prefix,
                r#"the id does not begin with "key_""#,
            ),
            (
                ParseKeyIdError::Length(3),
                r#"the id has 3 bytes after "key_": it has 16 to 32"#,
            ),
            (
                ParseKeyIdError::Character('\n'),
                r#"the id has '\n' after "key_": it has only 0-9, A-Z and a-z there"#,
            ),
        ];
        for (error, message) in cases {
            assert_eq!(error.to_string(), message);
        }
    }

    #[test]
    fn debug_shows_the_id() {
        let id: KeyId = "key_0123456789abcdef".parse().unwrap();
        assert_eq!(format!("{id:?}"), r#"KeyId("key_0123456789abcdef")"#);
    }
}
