//! What people recognize a key by in a list.

use std::fmt;
use std::sync::Arc;

use thiserror::Error;

/// How many characters of the body a hint shows: 24 of its 190 bits.
pub(super) const SHOWN: usize = 4;

/// The longest hint that is read back from a store, in bytes.
const LONGEST: usize = 64;

/// The beginning of a key, to tell one's keys apart: `acme_live_3Jd4`.
///
/// It has the prefix, the environment and the first four characters of the body. The other 28
/// are what keeps the key secret, so a hint may be shown and logged.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct KeyHint(Arc<str>);

/// Why a text cannot be a hint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum InvalidHint {
    /// It has this many bytes.
    #[error("the hint has {0} bytes: it has 1 to {LONGEST}")]
    Length(usize),
    /// It has this character.
    #[error("the hint has {0:?}: it has only printable ASCII without spaces")]
    Character(char),
}

impl KeyHint {
    /// `beginning` is a key up to and with the last character to show.
    pub(super) fn new(beginning: &str) -> Self {
        Self(beginning.into())
    }

    /// A hint read back from a store.
    ///
    /// It need not fit the format of today, since a key keeps the hint that it was made with: any
    /// 1 to 64 printable ASCII characters without spaces will do.
    ///
    /// ```
    /// use portcullis::key::KeyHint;
    ///
    /// assert_eq!(KeyHint::from_stored("acme_live_3Jd4")?.as_str(), "acme_live_3Jd4");
    /// assert!(KeyHint::from_stored("<b>\n").is_err());
    /// # Ok::<_, portcullis::key::InvalidHint>(())
    /// ```
    pub fn from_stored(text: &str) -> Result<Self, InvalidHint> {
        if text.is_empty() || text.len() > LONGEST {
            return Err(InvalidHint::Length(text.len()));
        }
        match text.chars().find(|character| !character.is_ascii_graphic()) {
            Some(foreign) => Err(InvalidHint::Character(foreign)),
            None => Ok(Self(text.into())),
        }
    }

    /// The hint as it is shown.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyHint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for KeyHint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KeyHint").field(&&*self.0).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_store_may_give_back() {
        let cases = [
            ("what was stored", "acme_live_3Jd4".to_owned(), Ok(())),
            ("a single character", "a".to_owned(), Ok(())),
            (
                "the first and the last of the graphic characters",
                "!~".to_owned(),
                Ok(()),
            ),
            ("sixty-four bytes", "a".repeat(64), Ok(())),
            ("nothing", String::new(), Err(InvalidHint::Length(0))),
            (
                "sixty-five bytes",
                "a".repeat(65),
                Err(InvalidHint::Length(65)),
            ),
            (
                "a space",
                "acme live".to_owned(),
                Err(InvalidHint::Character(' ')),
            ),
            (
                "a zero byte",
                "acme\0".to_owned(),
                Err(InvalidHint::Character('\0')),
            ),
            (
                "an escape",
                "\u{1b}[31m".to_owned(),
                Err(InvalidHint::Character('\u{1b}')),
            ),
            (
                "the delete character",
                "a\u{7f}".to_owned(),
                Err(InvalidHint::Character('\u{7f}')),
            ),
            (
                "another script",
                "é".to_owned(),
                Err(InvalidHint::Character('é')),
            ),
        ];
        for (name, text, expected) in cases {
            let read = KeyHint::from_stored(&text).map(|hint| assert_eq!(hint.as_str(), text));
            assert_eq!(read, expected, "{name}");
        }
    }

    #[test]
    fn it_shows_itself() {
        let hint = KeyHint::new("acme_live_3Jd4");
        assert_eq!(hint.to_string(), "acme_live_3Jd4");
        assert_eq!(format!("{hint:?}"), r#"KeyHint("acme_live_3Jd4")"#);
    }
}
