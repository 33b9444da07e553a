//! The scopes that an application knows.

use std::{slice, sync::Arc};

use super::{Grant, InvalidScope, Scope};

/// The scopes that an application declares, so that a key with any other is refused at creation.
///
/// The reserved scopes `keys:read`, `keys:write` and `keys:admin` always belong to it. It is kept
/// sorted, each scope once, and cloning is cheap.
///
/// ```
/// use portcullis::scope::Catalogue;
///
/// let known = Catalogue::new(["reports:read", "reports:write"])?;
/// assert!(known.permits(&"reports:read".parse()?));
/// assert!(known.permits(&"reports:*".parse()?));
/// assert!(!known.permits(&"report:read".parse()?));
/// # Ok::<(), portcullis::scope::InvalidScope>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Catalogue(Arc<[Scope]>);

impl Catalogue {
    /// The catalogue of these plain scopes and the three reserved ones.
    ///
    /// # Errors
    ///
    /// The [`InvalidScope`] of the first text that is no plain scope; a wildcard is none.
    ///
    /// ```
    /// use portcullis::scope::{Catalogue, InvalidScope};
    ///
    /// let why = Catalogue::new(["reports:*"]).unwrap_err();
    /// assert!(matches!(why, InvalidScope::Wildcard { value } if value == "reports:*"));
    /// ```
    pub fn new(
        scopes: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<Catalogue, InvalidScope> {
        let mut known: Vec<Scope> = Scope::reserved().collect();
        for scope in scopes {
            known.push(scope.as_ref().parse()?);
        }
        known.sort_unstable();
        known.dedup();
        Ok(Self(known.into()))
    }

    /// Whether a key may be given `grant`.
    ///
    /// A plain scope must be listed. `*` always may be given, and `reports:*` if at least one listed
    /// scope lies below `reports:`.
    #[must_use]
    pub fn permits(&self, grant: &Grant) -> bool {
        if grant.is_wildcard() {
            grant.as_str() == "*" || self.iter().any(|scope| grant.allows(scope))
        } else {
            self.0
                .binary_search_by(|scope| scope.as_str().cmp(grant.as_str()))
                .is_ok()
        }
    }

    /// The scopes, sorted, the three reserved ones among them.
    pub fn iter(&self) -> slice::Iter<'_, Scope> {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a Catalogue {
    type Item = &'a Scope;
    type IntoIter = slice::Iter<'a, Scope>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::Catalogue;

    #[test]
    fn a_catalogue_permits_what_it_lists_and_wildcards_with_something_below() {
        let known = Catalogue::new(["reports:a:read", "reports:", "plain", "keys:read"]).unwrap();
        let cases = [
            ("a listed scope", "plain", true),
            ("another listed scope", "reports:a:read", true),
            ("a listed scope that ends in a colon", "reports:", true),
            ("the beginning of a listed scope", "reports:a", false),
            ("a scope below a listed one", "plain:x", false),
            ("a listed scope in another case", "Plain", false),
            ("a reserved scope that was listed, too", "keys:read", true),
            ("a reserved scope that was not listed", "keys:admin", true),
            ("everything", "*", true),
            ("a wildcard above a listed scope", "reports:*", true),
            ("a wildcard right above a listed scope", "reports:a:*", true),
            (
                "a wildcard with only itself listed",
                "reports:a:read:*",
                false,
            ),
            ("a wildcard over nothing", "plain:*", false),
        ];
        for (sentence, grant, expected) in cases {
            assert_eq!(
                known.permits(&grant.parse().unwrap()),
                expected,
                "{sentence}"
            );
        }
    }

    #[test]
    fn an_empty_catalogue_has_the_reserved_scopes_and_permits_everything_at_once() {
        let known = Catalogue::new([""; 0]).unwrap();
        let names: Vec<&str> = (&known).into_iter().map(AsRef::as_ref).collect();
        assert_eq!(names, ["keys:admin", "keys:read", "keys:write"]);
        assert!(known.permits(&"*".parse().unwrap()));
    }

    #[test]
    fn a_catalogue_lists_plain_scopes_only() {
        for text in ["*", "a:*", "keys:x", "", "a b"] {
            assert!(Catalogue::new(["a", text]).is_err(), "{text:?}");
        }
    }
}
