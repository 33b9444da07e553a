//! The part of a key that says where it is good: `live`, `test`.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

/// How many bytes a prefix and an environment have together at most, which an environment alone
/// cannot exceed either.
pub(super) const MAX_NAME_BYTES: usize = 14;

/// The environment that a key belongs to: `[a-z0-9]`, 1 to 14 of them.
///
/// Environments are matched exactly. Cloning one copies a pointer.
///
/// ```
/// use portcullis::key::Environment;
///
/// let live: Environment = "live".parse()?;
/// assert_eq!(live.as_str(), "live");
/// assert!("Live".parse::<Environment>().is_err());
/// # Ok::<_, portcullis::key::InvalidEnvironment>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Environment(Arc<str>);

/// Why a text does not name an environment. Of a long text only the beginning is repeated.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidEnvironment {
    /// There is nothing.
    #[error("an environment is empty: it has at least one of a-z and 0-9")]
    Empty,
    /// It does not fit into a key.
    #[error("the environment {0:?} is too long: it has at most {MAX_NAME_BYTES} bytes")]
    TooLong(String),
    /// It has characters that a key cannot have there.
    #[error("the environment {0:?} has characters other than a-z and 0-9")]
    Characters(String),
}

impl Environment {
    /// The name, as it stands in keys.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Environment {
    type Err = InvalidEnvironment;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Err(InvalidEnvironment::Empty);
        }
        if text.len() > MAX_NAME_BYTES {
            return Err(InvalidEnvironment::TooLong(beginning(text)));
        }
        if !is_name(text) {
            return Err(InvalidEnvironment::Characters(beginning(text)));
        }
        Ok(Self(text.into()))
    }
}

impl AsRef<str> for Environment {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Environment").field(&&*self.0).finish()
    }
}

/// Whether `text` has only characters that a prefix and an environment may have.
pub(super) fn is_name(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

/// As much of an offending value as an error message repeats.
pub(super) fn beginning(text: &str) -> String {
    let mut beginning: String = text.chars().take(32).collect();
    if beginning.len() < text.len() {
        beginning.push('…');
    }
    beginning
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn environments_are_short_names() {
        for text in ["live", "test", "0", "eu1", "abcdefghijklmn"] {
            let environment: Environment = text.parse().unwrap();
            assert_eq!(
                (environment.as_str(), &*environment.to_string()),
                (text, text)
            );
        }
    }

    #[test]
    fn every_refusal_names_the_value_and_what_would_be_right() {
        let cases = [
            (
                "nothing",
                "",
                "an environment is empty: it has at least one of a-z and 0-9",
            ),
            (
                "upper case",
                "Live",
                r#"the environment "Live" has characters other than a-z and 0-9"#,
            ),
            (
                "the separator of keys",
                "eu_1",
                r#"the environment "eu_1" has characters other than a-z and 0-9"#,
            ),
            (
                "a line feed, escaped",
                "a\n",
                r#"the environment "a\n" has characters other than a-z and 0-9"#,
            ),
            (
                "a letter of another script",
                "é",
                r#"the environment "é" has characters other than a-z and 0-9"#,
            ),
            (
                "fifteen bytes",
                "abcdefghijklmno",
                r#"the environment "abcdefghijklmno" is too long: it has at most 14 bytes"#,
            ),
        ];
        for (name, text, message) in cases {
            assert_eq!(
                text.parse::<Environment>().unwrap_err().to_string(),
                message,
                "{name}"
            );
        }
    }

    #[test]
    fn a_long_value_is_not_repeated_whole() {
        let error = "é".repeat(1_000_000).parse::<Environment>().unwrap_err();
        assert_eq!(error, InvalidEnvironment::TooLong("é".repeat(32) + "…"));
    }
}
