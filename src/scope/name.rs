//! The name of a scope.

use std::{fmt, str::FromStr, sync::Arc};

use super::InvalidScope;

/// The most characters that a scope may have, a wildcard included.
pub(super) const LONGEST: usize = 64;

/// The only scopes that exist in the namespace `keys:`, in the order of [`reserved_rank`].
pub(super) const RESERVED: [&str; 3] = ["keys:read", "keys:write", "keys:admin"];

/// One permission by its name, without a wildcard, such as `projects:read`.
///
/// A name has 1 to 64 characters of `A-Z`, `a-z`, `0-9`, `.`, `_`, `:` and `-`, and upper and lower
/// case differ. The namespace `keys:` is reserved for `keys:read`, `keys:write` and `keys:admin`.
/// Cloning is cheap: the text is shared.
///
/// # Errors
///
/// Parsing anything else gives the [`InvalidScope`] that says what is wrong.
///
/// ```
/// use portcullis::scope::{InvalidScope, Scope};
///
/// let scope: Scope = "projects:read".parse()?;
/// assert_eq!(scope.as_str(), "projects:read");
/// assert!(matches!("projects:*".parse::<Scope>(), Err(InvalidScope::Wildcard { .. })));
/// # Ok::<(), InvalidScope>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope(Arc<str>);

impl Scope {
    /// The name, as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Manage the keys of one's own owner.
    pub(crate) fn keys_write() -> Self {
        Self(RESERVED[1].into())
    }

    /// Manage the keys of every owner.
    pub(crate) fn keys_admin() -> Self {
        Self(RESERVED[2].into())
    }

    /// The three scopes that every application has.
    pub(super) fn reserved() -> impl Iterator<Item = Self> {
        RESERVED.into_iter().map(|name| Self(name.into()))
    }
}

impl FromStr for Scope {
    type Err = InvalidScope;

    fn from_str(value: &str) -> Result<Self, InvalidScope> {
        match fault(value) {
            None => Ok(Self(value.into())),
            Some(fault) => Err(InvalidScope::new(fault, value)),
        }
    }
}

impl TryFrom<&str> for Scope {
    type Error = InvalidScope;

    fn try_from(value: &str) -> Result<Self, InvalidScope> {
        value.parse()
    }
}

impl AsRef<str> for Scope {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The way in which a text is no plain scope, found without allocating and also while compiling.
#[derive(Clone, Copy)]
pub(super) enum Fault {
    Empty,
    TooLong,
    Character,
    Wildcard,
    Reserved,
}

/// Whether a route can demand `scope`: a plain scope, and a reserved one only if it exists.
///
/// It is `const`, so that a scope that is part of a type is checked while compiling.
pub(crate) const fn is_valid_demand(scope: &str) -> bool {
    fault(scope).is_none()
}

/// What is wrong with `scope` as a plain scope. Looks at 65 bytes at most.
pub(super) const fn fault(scope: &str) -> Option<Fault> {
    let bytes = scope.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if at == LONGEST {
            return Some(Fault::TooLong);
        }
        if bytes[at] == b'*' {
            return Some(Fault::Wildcard);
        }
        if !is_scope_byte(bytes[at]) {
            return Some(Fault::Character);
        }
        at += 1;
    }
    match bytes {
        [] => Some(Fault::Empty),
        b"keys:read" | b"keys:write" | b"keys:admin" => None,
        [b'k', b'e', b'y', b's', b':', ..] => Some(Fault::Reserved),
        _ => None,
    }
}

pub(super) const fn is_scope_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b':' | b'-')
}

/// How far a reserved scope reaches: each includes those of a lower rank. None for any other scope.
pub(super) fn reserved_rank(scope: &str) -> Option<usize> {
    RESERVED.iter().position(|&reserved| reserved == scope)
}

#[cfg(test)]
mod tests {
    use super::{Scope, is_valid_demand};

    const _: () = assert!(is_valid_demand("projects:read") && !is_valid_demand("projects:*"));

    #[test]
    fn these_are_scopes() {
        let longest = "a".repeat(64);
        let cases = [
            ("one letter", "a"),
            ("every kind of character", "Az09._:-"),
            ("64 characters", &longest),
            ("only a colon", ":"),
            ("a colon at the end", "projects:"),
            ("the reserved word without its colon", "keys"),
            (
                "a namespace that merely begins like the reserved one",
                "keyset:x",
            ),
            ("another case is another namespace", "Keys:read"),
            ("reserved: read", "keys:read"),
            ("reserved: write", "keys:write"),
            ("reserved: admin", "keys:admin"),
        ];
        for (sentence, value) in cases {
            let parsed = Scope::try_from(value);
            assert_eq!(
                parsed.map(|scope| scope.to_string()),
                Ok(value.to_owned()),
                "{sentence}"
            );
            assert!(is_valid_demand(value), "{sentence}");
        }
    }

    #[test]
    fn these_are_not_scopes_and_the_error_says_why() {
        let (long, foreign) = ("a".repeat(65), "é".repeat(65));
        let endless = "x".repeat(1 << 20);
        let cases: &[(&str, &[(&str, &str)])] = &[
            ("is empty", &[("nothing", "")]),
            (
                "is too long",
                &[("65 characters", &long), ("a megabyte", &endless)],
            ),
            ("the character ` `", &[("a space", "a b")]),
            ("the character `\\n`", &[("a line break, escaped", "a\nb")]),
            (
                "the character `\\u{e9}`",
                &[
                    ("a foreign letter, escaped", "caf\u{e9}"),
                    ("long and foreign names the letter", &foreign),
                ],
            ),
            (
                "the character `\\u{0}`",
                &[("a NUL after 63 letters", &format!("{}\0", &long[..63]))],
            ),
            (
                "name a plain scope",
                &[
                    ("the wildcard", "*"),
                    ("a wildcard at the end", "projects:*"),
                    ("a wildcard inside", "pro*cts"),
                ],
            ),
            (
                "reserved namespace",
                &[
                    ("an unknown reserved scope", "keys:delete"),
                    ("the bare reserved namespace", "keys:"),
                    ("below a reserved scope", "keys:read:all"),
                    ("a reserved scope in another case", "keys:Read"),
                ],
            ),
        ];
        for (expected, refused) in cases {
            for (sentence, value) in *refused {
                let why = value.parse::<Scope>().unwrap_err();
                let said = why.to_string();
                assert!(said.contains(expected), "{sentence}: {said}");
                assert!(said.is_ascii() && said.len() < 200, "{sentence}: {said}");
                assert!(!is_valid_demand(value), "{sentence}");
            }
        }
    }
}
