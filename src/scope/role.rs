//! Roles by their names: which a key has, not what they grant.

use std::{fmt, slice, str::FromStr, sync::Arc};

use super::few::{Few, TooMany, printed};
use crate::excerpt::excerpt;

/// The most characters that the name of a role may have.
const LONGEST: usize = 64;

/// Why a text is not the name of a role, or a list of texts not a set of roles.
///
/// Each variant repeats the offending `value` in printable ASCII, at most 64 characters of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidRole {
    /// There is no text at all.
    #[error("the name of a role is empty; it has 1 to 64 characters of `A-Za-z0-9._-`")]
    Empty,
    /// There are more than 64 characters.
    #[error("the role that begins `{value}` is too long; its name has 1 to 64 characters")]
    TooLong {
        /// How the offending text begins.
        value: String,
    },
    /// One of the characters cannot be part of a name.
    #[error("`{value}` has the character `{}`; the name of a role has only `A-Za-z0-9._-`", character.escape_default())]
    Character {
        /// The offending text.
        value: String,
        /// The first character that cannot stand there.
        character: char,
    },
    /// More entries than a set may have.
    #[error("more than 100 roles are given; at most 100 are possible")]
    TooMany,
}

impl From<TooMany> for InvalidRole {
    fn from(TooMany: TooMany) -> Self {
        Self::TooMany
    }
}

/// The name of a role: 1 to 64 characters of `A-Z`, `a-z`, `0-9`, `.`, `_` and `-`.
///
/// Upper and lower case differ. Cloning is cheap.
///
/// ```
/// use portcullis::scope::RoleName;
///
/// assert_eq!("read_only".parse::<RoleName>()?.as_str(), "read_only");
/// assert!("read:only".parse::<RoleName>().is_err());
/// # Ok::<(), portcullis::scope::InvalidRole>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoleName(Arc<str>);

impl RoleName {
    /// The name, as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RoleName {
    type Err = InvalidRole;

    fn from_str(value: &str) -> Result<Self, InvalidRole> {
        if value.is_empty() {
            return Err(InvalidRole::Empty);
        }
        if let Some(character) = value.chars().take(LONGEST).find(|&c| !is_name(c)) {
            let value = excerpt(value);
            return Err(InvalidRole::Character { value, character });
        }
        if value.len() > LONGEST {
            let value = excerpt(value);
            return Err(InvalidRole::TooLong { value });
        }
        Ok(Self(value.into()))
    }
}

fn is_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '-')
}

impl AsRef<str> for RoleName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RoleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The roles that a key has, sorted by name and each there once.
///
/// At most 100 may be given, repeated ones counted. What they grant, the application says in its
/// code, and says anew whenever it starts: a role that it knows no more grants nothing. A set prints
/// as its names with a space between them, which [`from_stored`](Self::from_stored) reads again.
/// Cloning is cheap.
///
/// ```
/// use portcullis::scope::RoleSet;
///
/// let roles = RoleSet::parse(["write_agent", "read_only", "read_only"])?;
/// assert_eq!(roles.to_string(), "read_only write_agent");
/// assert_eq!(RoleSet::from_stored(&roles.to_string())?, roles);
/// # Ok::<(), portcullis::scope::InvalidRole>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct RoleSet(Few<RoleName>);

impl RoleSet {
    /// No role.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// The set of these roles. No more than 101 are taken from the iterator.
    ///
    /// # Errors
    ///
    /// [`InvalidRole::TooMany`] if more than 100 are given.
    pub fn new(roles: impl IntoIterator<Item = RoleName>) -> Result<Self, InvalidRole> {
        Ok(Self(Few::of(roles)?))
    }

    /// The set of the roles that these texts name.
    ///
    /// # Errors
    ///
    /// The [`InvalidRole`] of the first text that is no name, or [`InvalidRole::TooMany`] if more
    /// than 100 are given.
    pub fn parse(texts: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Self, InvalidRole> {
        Few::parse(texts).map(Self)
    }

    /// The set that was printed as `stored`: names with one space between them, or nothing at all.
    ///
    /// # Errors
    ///
    /// The [`InvalidRole`] of the first entry that is no name. Two spaces in a row have an empty
    /// entry between them.
    pub fn from_stored(stored: &str) -> Result<Self, InvalidRole> {
        Self::parse(printed(stored))
    }

    /// The names, sorted.
    pub fn iter(&self) -> slice::Iter<'_, RoleName> {
        self.0.iter()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether this role is one of them.
    #[must_use]
    pub fn contains(&self, role: &RoleName) -> bool {
        self.0.contains(role)
    }
}

impl<'a> IntoIterator for &'a RoleSet {
    type Item = &'a RoleName;
    type IntoIter = slice::Iter<'a, RoleName>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for RoleSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn these_are_names_of_roles() {
        let longest = "a".repeat(64);
        for name in ["a", "read_only", "Az09._-", "-", &longest] {
            let role: RoleName = name.parse().unwrap();
            assert_eq!((role.as_str(), role.as_ref()), (name, name));
        }
    }

    #[test]
    fn these_are_not_and_the_error_says_why() {
        let long = "a".repeat(65);
        for (value, expected) in [
            ("", "is empty"),
            (&*long, "is too long"),
            ("a b", "the character ` `"),
            ("keys:admin", "the character `:`"),
            ("*", "the character `*`"),
            ("caf\u{e9}", "the character `\\u{e9}`"),
            (&"é".repeat(1 << 20), "the character `\\u{e9}`"),
        ] {
            let said = value.parse::<RoleName>().unwrap_err().to_string();
            assert!(said.contains(expected), "{said}");
            assert!(said.is_ascii() && said.len() < 200, "{said}");
        }
    }

    #[test]
    fn a_set_is_sorted_without_repetition_and_reads_what_it_prints() {
        for (given, printed, len) in [("", "", 0), ("a", "a", 1), ("b a B b", "B a b", 3)] {
            let set = RoleSet::from_stored(given).unwrap();
            assert_eq!(set.to_string(), printed);
            assert_eq!((set.len(), set.is_empty()), (len, len == 0));
            assert_eq!(RoleSet::from_stored(printed), Ok(set.clone()));
            assert!(set.iter().all(|role| set.contains(role)));
            assert_eq!((&set).into_iter().count(), len);
        }
        assert!(!RoleSet::empty().contains(&"a".parse().unwrap()));
    }

    #[test]
    fn a_hundred_are_the_most_and_repeated_ones_count() {
        let names = |n: usize| (0..n).map(|i| format!("role{i}"));
        assert_eq!(RoleSet::parse(names(100)).unwrap().len(), 100);
        for result in [
            RoleSet::parse(names(101)),
            RoleSet::parse(std::iter::repeat("a")),
            RoleSet::from_stored(&["a"; 101].join(" ")),
        ] {
            assert_eq!(result, Err(InvalidRole::TooMany));
        }
    }

    #[test]
    fn a_damaged_stored_form_is_refused() {
        for stored in [" ", " a", "a ", "a  b", "a,b", "a\tb"] {
            assert!(RoleSet::from_stored(stored).is_err(), "{stored:?}");
        }
    }
}
