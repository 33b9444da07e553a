//! What people type and the application says: names, owners, sessions.

use std::fmt;
use std::sync::Arc;

/// Why a text cannot be a name, an owner or the id of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidText {
    /// Nothing, or white space alone.
    #[error("must not be empty")]
    Empty,
    /// Too many Unicode scalar values.
    #[error("must have at most {max} characters")]
    TooLong {
        /// How many are allowed.
        max: usize,
    },
    /// U+0000 to U+001F, U+007F to U+009F.
    #[error("must not contain control characters")]
    Control,
    /// Characters that turn the direction of the text around them, by which one name can be made
    /// to look like another (Unicode TR 36, section 2.6).
    #[error("must not contain bidirectional control characters")]
    Bidirectional,
}

/// What a person calls a key: 1 to 100 Unicode scalar values after trimming, no control
/// characters, no bidirectional controls.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyName(Arc<str>);

impl KeyName {
    /// The most Unicode scalar values.
    pub const MAX: usize = 100;

    /// Trims and checks.
    ///
    /// ```
    /// use portcullis::store::KeyName;
    ///
    /// assert_eq!(KeyName::parse("  nightly export ").unwrap().as_str(), "nightly export");
    /// assert!(KeyName::parse(" ").is_err());
    /// ```
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        let text = text.trim();
        check(text, Self::MAX)?;
        if text.chars().any(is_bidirectional_control) {
            return Err(InvalidText::Bidirectional);
        }
        Ok(Self(text.into()))
    }

    pub(crate) fn of_the_first_key() -> Self {
        Self("first key".into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whose key it is: 1 to 255 Unicode scalar values, no control characters. Compared exactly.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner(Arc<str>);

impl Owner {
    /// The most Unicode scalar values.
    pub const MAX: usize = 255;

    /// Checks, and changes nothing: an owner is an identifier of the application's.
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        check(text, Self::MAX)?;
        Ok(Self(text.into()))
    }

    /// The owner of keys for which nobody named one.
    pub(crate) fn admin() -> Self {
        Self("admin".into())
    }

    /// The owner.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Which session of the application's did something: 1 to 255 Unicode scalar values, no control
/// characters.
///
/// An *id*, which is stored, shown and logged as it is. What a browser sends to prove its session
/// is a secret, and does not belong here.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(Arc<str>);

impl SessionId {
    /// The most Unicode scalar values.
    pub const MAX: usize = 255;

    /// Checks, and changes nothing.
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        check(text, Self::MAX)?;
        Ok(Self(text.into()))
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn check(text: &str, max: usize) -> Result<(), InvalidText> {
    if text.is_empty() {
        return Err(InvalidText::Empty);
    }
    if text.chars().nth(max).is_some() {
        return Err(InvalidText::TooLong { max });
    }
    if text.chars().any(char::is_control) {
        return Err(InvalidText::Control);
    }
    Ok(())
}

/// Unicode's property `Bidi_Control`.
fn is_bidirectional_control(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_trimmed_and_bounded() {
        struct Test {
            name: &'static str,
            text: String,
            result: Result<String, InvalidText>,
        }
        let tests = [
            Test {
                name: "white space around is dropped",
                text: "\u{2003} ci \t".into(),
                result: Ok("ci".into()),
            },
            Test {
                name: "nothing is refused",
                text: String::new(),
                result: Err(InvalidText::Empty),
            },
            Test {
                name: "white space alone is nothing",
                text: "\u{2003}\n".into(),
                result: Err(InvalidText::Empty),
            },
            Test {
                name: "a hundred characters of several bytes",
                text: "é".repeat(100),
                result: Ok("é".repeat(100)),
            },
            Test {
                name: "one more",
                text: "é".repeat(101),
                result: Err(InvalidText::TooLong { max: 100 }),
            },
            Test {
                name: "a line feed inside",
                text: "a\nb".into(),
                result: Err(InvalidText::Control),
            },
            Test {
                name: "a NUL inside",
                text: "a\0b".into(),
                result: Err(InvalidText::Control),
            },
            Test {
                name: "text turned around",
                text: "ab\u{202e}dc".into(),
                result: Err(InvalidText::Bidirectional),
            },
        ];
        for test in tests {
            let result = KeyName::parse(&test.text).map(|name| name.as_str().to_owned());
            assert_eq!(result, test.result, "{}", test.name);
        }
    }

    #[test]
    fn an_owner_is_kept_as_it_is() {
        assert_eq!(Owner::parse(" a ").unwrap().as_str(), " a ");
        assert_eq!(Owner::parse(""), Err(InvalidText::Empty));
        assert_eq!(Owner::parse("a\u{85}"), Err(InvalidText::Control));
        assert!(Owner::parse(&"x".repeat(255)).is_ok());
        assert_eq!(
            Owner::parse(&"x".repeat(256)),
            Err(InvalidText::TooLong { max: 255 })
        );
    }
}
