//! All that a key holds.

use std::{fmt, slice};

use super::few::{Few, TooMany, printed};
use super::{Grant, InvalidScope, Scope};

/// All the grants that a key holds, sorted by their text and each there once.
///
/// At most 100 entries may be given, repeated ones counted. An empty set grants nothing. It prints
/// as its entries with a space between them, which [`from_stored`](Self::from_stored) reads again.
/// Cloning is cheap.
///
/// ```
/// use portcullis::scope::{InvalidScope, ScopeSet};
///
/// let held = ScopeSet::parse(["reports:write", "reports:read", "reports:read"])?;
/// assert_eq!(held.to_string(), "reports:read reports:write");
/// assert!(held.allows(&"reports:read".parse()?));
/// assert!(!ScopeSet::empty().allows(&"reports:read".parse()?));
/// # Ok::<(), InvalidScope>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct ScopeSet(Few<Grant>);

impl ScopeSet {
    /// The set that grants nothing.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// The set that grants all there is, the reserved scopes included.
    pub(crate) fn everything() -> Self {
        let mut grants: Vec<Grant> = Scope::reserved().map(Grant::from).collect();
        grants.push(Grant::everything());
        Self::of_any_number(grants)
    }

    /// The set of these grants.
    ///
    /// # Errors
    ///
    /// [`TooManyScopes`] if more than 100 are given. No more than 101 are taken from the iterator.
    ///
    /// ```
    /// use portcullis::scope::{Grant, ScopeSet};
    ///
    /// let everything: Grant = "*".parse()?;
    /// assert!(ScopeSet::new([everything.clone()])?.contains(&everything));
    /// assert!(ScopeSet::new(std::iter::repeat(everything)).is_err());
    /// # Ok::<(), portcullis::scope::InvalidScope>(())
    /// ```
    pub fn new(grants: impl IntoIterator<Item = Grant>) -> Result<Self, TooManyScopes> {
        let grants = Few::of(grants);
        grants.map(Self).map_err(|TooMany| TooManyScopes(()))
    }

    /// The set of these grants, however many. What code says may be more than what is given.
    pub(super) fn of_any_number(grants: Vec<Grant>) -> Self {
        Self(Few::of_any_number(grants))
    }

    /// The set of the grants that these texts spell.
    ///
    /// # Errors
    ///
    /// The [`InvalidScope`] of the first text that is no grant, or [`InvalidScope::TooMany`] if more
    /// than 100 are given.
    ///
    /// ```
    /// use portcullis::scope::ScopeSet;
    ///
    /// let why = ScopeSet::parse(["reports:read", "reports read"]).unwrap_err();
    /// assert!(why.to_string().contains("`reports read` has the character ` `"));
    /// ```
    pub fn parse(
        texts: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<ScopeSet, InvalidScope> {
        Few::parse(texts).map(Self)
    }

    /// The set that was printed as `stored`: entries with one space between them, or nothing at all.
    ///
    /// # Errors
    ///
    /// The [`InvalidScope`] of the first entry that is no grant. Two spaces in a row have an empty
    /// entry between them.
    ///
    /// ```
    /// use portcullis::scope::{InvalidScope, ScopeSet};
    ///
    /// let held = ScopeSet::parse(["b", "a:*"])?;
    /// assert_eq!(ScopeSet::from_stored(&held.to_string())?, held);
    /// assert_eq!(ScopeSet::from_stored("")?, ScopeSet::empty());
    /// # Ok::<(), InvalidScope>(())
    /// ```
    pub fn from_stored(stored: &str) -> Result<Self, InvalidScope> {
        Self::parse(printed(stored))
    }

    /// The grants, sorted by their text.
    pub fn iter(&self) -> slice::Iter<'_, Grant> {
        self.0.iter()
    }

    /// How many different grants there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no grant, so that nothing is allowed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether one of the grants allows `scope`. Does not allocate.
    #[must_use]
    pub fn allows(&self, scope: &Scope) -> bool {
        self.iter().any(|grant| grant.allows(scope))
    }

    /// Whether each grant of `other` is covered by one of these, so that the holder of this set may
    /// hand `other` on. Anything covers the empty set.
    ///
    /// ```
    /// use portcullis::scope::{InvalidScope, ScopeSet};
    ///
    /// let held = ScopeSet::parse(["*", "keys:write"])?;
    /// assert!(held.covers(&ScopeSet::parse(["reports:*", "keys:read"])?));
    /// assert!(!held.covers(&ScopeSet::parse(["reports:*", "keys:admin"])?));
    /// # Ok::<(), InvalidScope>(())
    /// ```
    #[must_use]
    pub fn covers(&self, other: &ScopeSet) -> bool {
        other
            .iter()
            .all(|theirs| self.iter().any(|ours| ours.covers(theirs)))
    }

    /// This without the reach beyond one owner: `keys:admin` is `keys:write`.
    #[cfg(feature = "admin")]
    pub(crate) fn within_own_owner(&self) -> Self {
        let (admin, write) = (Scope::keys_admin().into(), Scope::keys_write().into());
        if !self.contains(&admin) {
            return self.clone();
        }
        let confined = self
            .iter()
            .map(|grant| if *grant == admin { &write } else { grant });
        Self::of_any_number(confined.cloned().collect())
    }

    /// Whether `grant` itself is one of the entries. What merely lies below a wildcard is not.
    #[must_use]
    pub fn contains(&self, grant: &Grant) -> bool {
        self.0.contains(grant)
    }
}

impl<'a> IntoIterator for &'a ScopeSet {
    type Item = &'a Grant;
    type IntoIter = slice::Iter<'a, Grant>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// More than 100 scopes were given for one set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("more than 100 scopes are given; at most 100 are possible")]
pub struct TooManyScopes(());

impl From<TooMany> for InvalidScope {
    fn from(TooMany: TooMany) -> Self {
        Self::TooMany(TooManyScopes(()))
    }
}

#[cfg(test)]
mod tests {
    use super::{InvalidScope, ScopeSet};

    fn set(stored: &str) -> ScopeSet {
        ScopeSet::from_stored(stored).unwrap()
    }

    #[test]
    fn a_set_is_sorted_without_repetition_and_reads_what_it_prints() {
        let cases = [
            ("empty", "", "", 0),
            ("one", "a", "a", 1),
            ("sorted by bytes", "b a:* B * a", "* B a a:* b", 5),
            ("repeated", "a b a", "a b", 2),
            ("what a wildcard covers stays", "* a", "* a", 2),
        ];
        for (sentence, given, printed, len) in cases {
            let set = set(given);
            assert_eq!(set.to_string(), printed, "{sentence}");
            assert_eq!((set.len(), set.is_empty()), (len, len == 0), "{sentence}");
            assert_eq!(
                ScopeSet::from_stored(printed),
                Ok(set.clone()),
                "{sentence}"
            );
            assert!(
                (&set).into_iter().all(|grant| set.contains(grant)),
                "{sentence}"
            );
        }
        assert!(
            !set("*").contains(&"a".parse().unwrap()),
            "containing is not covering"
        );
    }

    #[test]
    fn a_hundred_entries_are_the_most_and_repeated_ones_count() {
        let names = |n: usize| (0..n).map(|i| format!("scope:{i}"));
        assert_eq!(ScopeSet::parse(names(100)).unwrap().len(), 100);
        for (sentence, result) in [
            ("101 names", ScopeSet::parse(names(101))),
            ("one name 101 times", ScopeSet::parse(["a"; 101])),
            (
                "one name without end",
                ScopeSet::parse(std::iter::repeat("a")),
            ),
            (
                "a stored list of 101",
                ScopeSet::from_stored(&["a"; 101].join(" ")),
            ),
        ] {
            assert!(
                matches!(result, Err(InvalidScope::TooMany(_))),
                "{sentence}: {result:?}"
            );
        }
    }

    #[test]
    fn everything_is_the_wildcard_and_the_reserved_scopes() {
        let everything = ScopeSet::everything().to_string();
        assert_eq!(everything, "* keys:admin keys:read keys:write");
    }

    #[cfg(feature = "admin")]
    #[test]
    fn within_the_own_owner_an_admin_only_writes() {
        let cases = [
            ("", ""),
            ("* a keys:read", "* a keys:read"),
            ("a keys:write", "a keys:write"),
            ("a keys:admin", "a keys:write"),
            (
                "* keys:admin keys:read keys:write",
                "* keys:read keys:write",
            ),
        ];
        for (held, confined) in cases {
            assert_eq!(set(held).within_own_owner(), set(confined), "{held}");
        }
    }

    #[test]
    fn a_damaged_stored_form_is_refused() {
        for stored in [" ", " a", "a ", "a  b", "a,b", "a\tb", "keys:*"] {
            assert!(ScopeSet::from_stored(stored).is_err(), "{stored:?}");
        }
    }

    #[test]
    fn a_set_allows_and_covers_through_any_of_its_grants() {
        let cases = [
            ("nothing allows nothing", "", "a", false),
            ("one of two", "a b", "b", true),
            ("none of two", "a b", "c", false),
            ("a wildcard", "a b:*", "b:c", true),
            (
                "the full wildcard is no key to the keys",
                "*",
                "keys:read",
                false,
            ),
            ("unless it is named", "* keys:admin", "keys:read", true),
        ];
        for (sentence, held, asked, expected) in cases {
            assert_eq!(
                set(held).allows(&asked.parse().unwrap()),
                expected,
                "{sentence}"
            );
            assert_eq!(set(held).covers(&set(asked)), expected, "{sentence}");
        }
        assert!(set("").covers(&set("")), "nothing covers nothing");
        assert!(
            set("a b:*").covers(&set("a b:c b:d:*")),
            "each by one of ours"
        );
        assert!(
            !set("a b:*").covers(&set("a b")),
            "one not covered is enough"
        );
    }
}
