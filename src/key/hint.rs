//! What people recognize a key by in a list.

use std::fmt;
use std::sync::Arc;

use thiserror::Error;

/// How many characters of the body a hint shows: 24 of its 190 bits.
pub(super) const SHOWN: usize = 4;

/// The most characters of the body in the hint of a key that was made elsewhere.
#[cfg(feature = "admin")]
const MOST_GIVEN: usize = 8;

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

#[cfg(feature = "admin")]
impl super::KeyFormat {
    /// The hint of a key that was made elsewhere, and the environment that it spells: prefix,
    /// environment and 1 to 8 characters of the body. More would be needed by nobody, and a whole
    /// key must not end up here.
    pub(crate) fn read_hint(&self, text: &str) -> Result<(KeyHint, super::Environment), String> {
        let wrong = || {
            let prefix = self.prefix();
            let names: Vec<&str> = self.environments().iter().map(AsRef::as_ref).collect();
            let names = names.join("|");
            format!(
                "must be the beginning of the key: {prefix}_({names})_ and 1 to {MOST_GIVEN} \
                 characters of 0-9A-Za-z"
            )
        };
        let after_prefix = text.strip_prefix(self.prefix()).ok_or_else(wrong)?;
        let after_prefix = after_prefix.strip_prefix('_').ok_or_else(wrong)?;
        let (name, body) = after_prefix.split_once('_').ok_or_else(wrong)?;
        let environments = self.environments().iter();
        let mut of_this_name = environments.filter(|known| known.as_str() == name);
        match of_this_name.next() {
            Some(environment)
                if (1..=MOST_GIVEN).contains(&body.len())
                    && super::alphabet::is_base62(body.as_bytes()) =>
            {
                Ok((KeyHint::new(text), environment.clone()))
            }
            _ => Err(wrong()),
        }
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

    #[cfg(feature = "admin")]
    #[test]
    fn what_may_be_given_for_a_key_that_was_made_elsewhere() {
        let format = crate::key::KeyFormat::new("acme", ["live", "test"]).unwrap();
        let whole = "acme_live_0123456789ABCDEFGHIJKLMNOPQRSTUV4IG2In";
        for (text, expected) in [
            ("acme_live_0", Some("live")),
            ("acme_test_01234567", Some("test")),
            ("acme_test_", None),
            ("acme_test_012345678", None),
            ("acme_prod_0123", None),
            ("acme__0123", None),
            ("acme_live_01_3", None),
            ("acme_live_012\u{e9}", None),
            ("acmelive_0123", None),
            ("Acme_live_0123", None),
            (" acme_live_0123", None),
            ("", None),
            (whole, None),
        ] {
            let read = format.read_hint(text);
            match (&read, expected) {
                (Ok((hint, environment)), Some(expected)) => {
                    assert_eq!((hint.as_str(), environment.as_str()), (text, expected));
                }
                (Err(why), None) => assert!(!why.contains("0123"), "{why}"),
                _ => panic!("{text}: {read:?}"),
            }
        }
    }

    #[test]
    fn it_shows_itself() {
        let hint = KeyHint::new("acme_live_3Jd4");
        assert_eq!(hint.to_string(), "acme_live_3Jd4");
        assert_eq!(format!("{hint:?}"), r#"KeyHint("acme_live_3Jd4")"#);
    }
}
