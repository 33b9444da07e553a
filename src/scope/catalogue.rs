//! The scopes that an application knows.

use std::{collections::BTreeMap, slice, sync::Arc};

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
pub struct Catalogue {
    scopes: Arc<[Scope]>,
    descriptions: Arc<BTreeMap<Scope, Box<str>>>,
}

/// What people are told of the reserved scopes, unless the application has its own words.
const RESERVED: [(&str, &str); 3] = [
    ("keys:admin", "Manage the keys of every owner."),
    ("keys:read", "See the keys of the same owner."),
    (
        "keys:write",
        "Make, change and revoke keys of the same owner.",
    ),
];

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
        Self::described(scopes.into_iter().map(|scope| (scope, None::<&str>)))
    }

    /// The same, with what people are told of each scope, if they are told anything. Of two
    /// descriptions of one scope the last counts, also of a reserved one.
    ///
    /// # Errors
    ///
    /// The [`InvalidScope`] of the first text that is no plain scope.
    ///
    /// ```
    /// use portcullis::scope::Catalogue;
    ///
    /// let known = Catalogue::described([("reports:read", Some("See reports."))])?;
    /// assert_eq!(known.description(&"reports:read".parse()?), Some("See reports."));
    /// # Ok::<(), portcullis::scope::InvalidScope>(())
    /// ```
    pub fn described(
        scopes: impl IntoIterator<Item = (impl AsRef<str>, Option<impl AsRef<str>>)>,
    ) -> Result<Catalogue, InvalidScope> {
        let mut known: Vec<Scope> = Scope::reserved().collect();
        let mut descriptions = BTreeMap::new();
        for (scope, description) in RESERVED {
            descriptions.insert(scope.parse()?, description.into());
        }
        for (scope, description) in scopes {
            let scope: Scope = scope.as_ref().parse()?;
            if let Some(description) = description {
                descriptions.insert(scope.clone(), description.as_ref().into());
            }
            known.push(scope);
        }
        known.sort_unstable();
        known.dedup();
        Ok(Self {
            scopes: known.into(),
            descriptions: Arc::new(descriptions),
        })
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
            self.scopes
                .binary_search_by(|scope| scope.as_str().cmp(grant.as_str()))
                .is_ok()
        }
    }

    /// The scopes, sorted, the three reserved ones among them.
    pub fn iter(&self) -> slice::Iter<'_, Scope> {
        self.scopes.iter()
    }

    /// What people are told of this scope.
    #[must_use]
    pub fn description(&self, scope: &Scope) -> Option<&str> {
        self.descriptions.get(scope).map(|text| &**text)
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
    fn descriptions_are_those_of_the_application_where_it_has_any() {
        let known = Catalogue::described([
            ("a", Some("first")),
            ("a", Some("last")),
            ("a", None),
            ("b", None),
            ("keys:read", Some("Look.")),
        ]);
        let known = known.unwrap();
        let cases = [
            ("a", Some("last")),
            ("b", None),
            ("c", None),
            ("keys:read", Some("Look.")),
            ("keys:admin", Some("Manage the keys of every owner.")),
        ];
        for (scope, expected) in cases {
            let told = known.description(&scope.parse().unwrap());
            assert_eq!(told, expected, "{scope}");
        }
        for scope in &Catalogue::new([""; 0]).unwrap() {
            assert!(known.description(scope).is_some(), "{scope}");
        }
    }

    #[test]
    fn a_catalogue_lists_plain_scopes_only() {
        for text in ["*", "a:*", "keys:x", "", "a b"] {
            assert!(Catalogue::new(["a", text]).is_err(), "{text:?}");
        }
    }
}
