//! Every way in which a scope can be wrong.

use super::{
    TooManyScopes,
    name::{Fault, is_scope_byte},
};
use crate::excerpt::excerpt;

/// Why a text is not a scope, or a list of texts not a set of scopes.
///
/// Each variant repeats the offending `value` in printable ASCII, at most 64 characters of it.
///
/// ```
/// use portcullis::scope::Scope;
///
/// let why = "keys:delete".parse::<Scope>().unwrap_err();
/// assert_eq!(
///     why.to_string(),
///     "`keys:delete` is in the reserved namespace `keys:`, which has only `keys:read`, `keys:write` and `keys:admin`",
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidScope {
    /// There is no text at all.
    #[error("a scope is empty; it has 1 to 64 characters of `A-Za-z0-9._:-`")]
    Empty,
    /// There are more than 64 characters.
    #[error("the scope that begins `{value}` is too long; a scope has 1 to 64 characters")]
    TooLong {
        /// How the offending text begins.
        value: String,
    },
    /// One of the characters cannot be part of a scope.
    #[error("`{value}` has the character `{}`; a scope has only `A-Za-z0-9._:-`", character.escape_default())]
    Character {
        /// The offending text.
        value: String,
        /// The first character that cannot stand there.
        character: char,
    },
    /// A wildcard where only a plain scope has a meaning: it can be granted, not demanded.
    #[error("`{value}` has a wildcard, which can only be granted; name a plain scope here")]
    Wildcard {
        /// The offending text.
        value: String,
    },
    /// A granted wildcard that stands neither alone nor last after a colon.
    #[error(
        "`{value}` has a misplaced wildcard; it is `*` alone, or last after a colon as in `projects:*`"
    )]
    MisplacedWildcard {
        /// The offending text.
        value: String,
    },
    /// A scope or wildcard that the reserved namespace `keys:` does not have.
    #[error(
        "`{value}` is in the reserved namespace `keys:`, which has only `keys:read`, `keys:write` and `keys:admin`"
    )]
    Reserved {
        /// The offending text.
        value: String,
    },
    /// More entries than a set may have.
    #[error(transparent)]
    TooMany(#[from] TooManyScopes),
}

impl InvalidScope {
    /// The error for a `fault` that was found in `value`.
    pub(super) fn new(fault: Fault, value: &str) -> Self {
        let foreign = value.chars().find(|&character| {
            character != '*' && !u8::try_from(character).is_ok_and(is_scope_byte)
        });
        let value = excerpt(value);
        match (fault, foreign) {
            (Fault::Empty, _) => Self::Empty,
            (Fault::Character, Some(character)) => Self::Character { value, character },
            (Fault::TooLong | Fault::Character, _) => Self::TooLong { value },
            (Fault::Wildcard, _) => Self::Wildcard { value },
            (Fault::Reserved, _) => Self::Reserved { value },
        }
    }
}
