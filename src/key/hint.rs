//! What people recognize a key by in a list.

use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use super::shape::Shape;
use super::{Environment, KeyFormat};

/// How many characters of the body a hint shows: 24 of its 190 bits.
pub(super) const SHOWN: usize = 4;

/// The longest hint that is read back from a store, in bytes.
const LONGEST: usize = 64;

/// The most characters of the body in the hint of a key that was made elsewhere.
const MOST_SHOWN: usize = 8;

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

/// Why a text is not the hint of a key that was made elsewhere. Nothing of it is repeated: it may
/// well be the key itself.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NotAHint {
    /// No key begins so.
    #[error(
        "the hint is not the beginning of a key of the environment {environment}: that is \
         {beginnings}, and 1 to {MOST_SHOWN} characters of what follows"
    )]
    Beginning {
        /// The environment.
        environment: Environment,
        /// What its keys begin with.
        beginnings: String,
    },
    /// There are no keys of this environment.
    #[error("there are no keys of the environment {:?}, which is not declared", .0.as_str())]
    Undeclared(Environment),
}

impl KeyFormat {
    /// The hint of a key of `environment` that was made elsewhere, in our own form or in a foreign
    /// one that is accepted: what such keys begin with, and 1 to 8 characters of what follows. Less
    /// would not tell keys apart, and more would give them away.
    ///
    /// ```
    /// use portcullis::key::KeyFormat;
    ///
    /// let format = KeyFormat::new("acme", ["live", "test"])?;
    /// let live = format.default_environment();
    /// assert_eq!(format.imported_hint("acme_live_3Jd4x", live)?.as_str(), "acme_live_3Jd4x");
    /// assert!(format.imported_hint("acme_test_3Jd4x", live).is_err());
    /// assert!(format.imported_hint("acme_live_3Jd4xYz01", live).is_err());
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn imported_hint(
        &self,
        text: &str,
        environment: &Environment,
    ) -> Result<KeyHint, NotAHint> {
        if !self.environments().contains(environment) {
            return Err(NotAHint::Undeclared(environment.clone()));
        }
        let ours = self.names(environment);
        let foreign = self.foreign.iter();
        let foreign = foreign.filter(|format| format.environment == *environment);
        let shapes = foreign.map(|format| format.shape());
        let shapes: Vec<_> = std::iter::once(Shape::of_our_own(&ours))
            .chain(shapes)
            .collect();
        if shapes.iter().any(|shape| shape.begins(text, MOST_SHOWN)) {
            return Ok(KeyHint(text.into()));
        }
        let beginnings: Vec<&str> = shapes.iter().map(|shape| shape.prefix).collect();
        Err(NotAHint::Beginning {
            environment: environment.clone(),
            beginnings: beginnings.join(" or "),
        })
    }
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
    use crate::key::{Alphabet, ForeignFormat};

    #[test]
    fn the_hint_of_a_key_made_elsewhere_is_its_beginning_and_never_all_of_it() {
        let foreign = |prefix, alphabet, environment: &str| {
            let format = ForeignFormat::new(prefix, alphabet, 48).unwrap();
            format.environment(environment.parse().unwrap())
        };
        let format = KeyFormat::new("acme", ["live", "test"]).unwrap();
        let format = format.with_foreign([
            foreign("xx_", Alphabet::Hex, "live"),
            foreign("xx_test_", Alphabet::Base64Url, "test"),
        ]);
        let format = format.unwrap();
        let cases = [
            ("our own form", "acme_live_3", Ok("live")),
            ("eight characters", "acme_live_0aZ45678", Ok("live")),
            (
                "our own, of another environment",
                "acme_test_3Jd4",
                Ok("test"),
            ),
            ("a foreign form", "xx_0aff3", Ok("live")),
            ("another one", "xx_test_a-_Z", Ok("test")),
            ("nothing", "", Err(())),
            ("the prefix alone", "xx_", Err(())),
            ("nine characters", "xx_012345678", Err(())),
            (
                "the whole key",
                "xx_000102030405060708090a0b0c0d0e0f1011121314151617",
                Err(()),
            ),
            ("upper case", "xx_0AFF3", Err(())),
            ("not of the alphabet", "acme_live_3-", Err(())),
            ("an undeclared environment", "acme_prod_3Jd4", Err(())),
            ("the prefix in another case", "XX_0aff3", Err(())),
            ("something before it", " xx_0aff3", Err(())),
            ("something behind it", "xx_0aff3\n", Err(())),
        ];
        for (name, text, expected) in cases {
            for environment in format.environments() {
                let hint = format.imported_hint(text, environment);
                let expected = expected == Ok(environment.as_str());
                assert_eq!(hint.is_ok(), expected, "{name} as {environment}");
                match hint {
                    Ok(hint) => assert_eq!(hint.as_str(), text),
                    Err(why) => assert!(text.len() < 5 || !why.to_string().contains(text)),
                }
            }
        }
    }

    #[test]
    fn what_would_be_a_hint_is_said() {
        let format = KeyFormat::new("acme", ["live", "test"]).unwrap();
        let old = ForeignFormat::new("old_sk_", Alphabet::Hex, 48).unwrap();
        let format = format.with_foreign([old]).unwrap();
        let said = |environment: &str| {
            let environment = environment.parse().unwrap();
            let why = format.imported_hint("acme_liv", &environment).unwrap_err();
            why.to_string()
        };
        assert_eq!(
            said("live"),
            "the hint is not the beginning of a key of the environment live: that is acme_live_ \
             or old_sk_, and 1 to 8 characters of what follows"
        );
        assert_eq!(
            said("prod"),
            "there are no keys of the environment \"prod\", which is not declared"
        );
    }

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
