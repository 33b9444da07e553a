//! One entry of what a key holds, and how far it reaches.

use std::{fmt, str::FromStr, sync::Arc};

use super::{
    InvalidScope, Scope, is_valid_demand,
    name::{Fault, LONGEST, fault, reserved_rank},
};

/// One entry on the granting side: a plain scope, `*`, or everything below a prefix as `projects:*`.
///
/// - A plain scope grants itself.
/// - `*` grants everything but the reserved scopes `keys:read`, `keys:write` and `keys:admin`.
/// - `projects:*` grants everything below `projects:`, as `projects:a` and `projects:a:b`, but neither
///   `projects` nor `projects:`.
/// - `keys:admin` includes `keys:write`, which includes `keys:read`.
///
/// The whole has at most 64 characters. Grants are ordered by their text, and cloning is cheap.
///
/// # Errors
///
/// Parsing anything else gives the [`InvalidScope`] that says what is wrong.
///
/// ```
/// use portcullis::scope::{Grant, InvalidScope};
///
/// let grant: Grant = "projects:*".parse()?;
/// assert!(grant.allows(&"projects:read".parse()?));
/// assert!(!grant.allows(&"projects".parse()?));
/// assert!(matches!("pro*".parse::<Grant>(), Err(InvalidScope::MisplacedWildcard { .. })));
/// assert!(matches!("keys:*".parse::<Grant>(), Err(InvalidScope::Reserved { .. })));
/// # Ok::<(), InvalidScope>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Grant(Arc<str>);

impl Grant {
    /// `*`.
    pub(super) fn everything() -> Self {
        Self("*".into())
    }

    /// The entry, as it was given.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this entry grants `scope`.
    ///
    /// ```
    /// use portcullis::scope::Grant;
    ///
    /// let everything: Grant = "*".parse()?;
    /// assert!(everything.allows(&"billing:read".parse()?));
    /// assert!(!everything.allows(&"keys:read".parse()?));
    /// # Ok::<(), portcullis::scope::InvalidScope>(())
    /// ```
    #[must_use]
    pub fn allows(&self, scope: &Scope) -> bool {
        self.reaches(scope.as_str())
    }

    /// Whether this entry grants whatever `other` grants, so that its holder may hand `other` on.
    ///
    /// ```
    /// use portcullis::scope::Grant;
    ///
    /// let projects: Grant = "projects:*".parse()?;
    /// assert!(projects.covers(&"projects:a:*".parse()?));
    /// assert!(!projects.covers(&"*".parse()?));
    /// # Ok::<(), portcullis::scope::InvalidScope>(())
    /// ```
    #[must_use]
    pub fn covers(&self, other: &Grant) -> bool {
        match (self.stem(), other.stem()) {
            (Some(ours), Some(theirs)) => theirs.starts_with(ours),
            // No finite name reaches all that lies below a wildcard.
            (None, Some(_)) => false,
            (_, None) => self.reaches(other.as_str()),
        }
    }

    /// Whether this is `*` or ends in `:*`.
    pub(super) fn is_wildcard(&self) -> bool {
        self.stem().is_some()
    }

    /// What a wildcard puts before every scope that it grants: empty for `*`, `projects:` for
    /// `projects:*`.
    fn stem(&self) -> Option<&str> {
        self.0.strip_suffix('*')
    }

    /// Whether the plain scope `name` is granted.
    fn reaches(&self, name: &str) -> bool {
        match (self.stem(), reserved_rank(name)) {
            // Whoever may do everything in the application does not rule over its keys.
            (Some(_), Some(_)) => false,
            (Some(stem), None) => name.len() > stem.len() && name.starts_with(stem),
            (None, Some(asked)) => reserved_rank(&self.0).is_some_and(|held| held >= asked),
            (None, None) => *self.0 == *name,
        }
    }
}

impl FromStr for Grant {
    type Err = InvalidScope;

    fn from_str(value: &str) -> Result<Self, InvalidScope> {
        if value == "*" || is_valid_demand(value) {
            return Ok(Self(value.into()));
        }
        // The stem keeps its colon, so that a stem in the reserved namespace is seen as such.
        let stem = value
            .strip_suffix('*')
            .filter(|stem| stem.len() > 1 && stem.ends_with(':'));
        match fault(stem.unwrap_or(value)) {
            None if value.len() <= LONGEST => Ok(Self(value.into())),
            None => Err(InvalidScope::new(Fault::TooLong, value)),
            Some(fault) => Err(match InvalidScope::new(fault, value) {
                InvalidScope::Wildcard { value } => InvalidScope::MisplacedWildcard { value },
                other => other,
            }),
        }
    }
}

impl TryFrom<&str> for Grant {
    type Error = InvalidScope;

    fn try_from(value: &str) -> Result<Self, InvalidScope> {
        value.parse()
    }
}

impl From<Scope> for Grant {
    fn from(scope: Scope) -> Self {
        Self(scope.as_str().into())
    }
}

impl AsRef<str> for Grant {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::Grant;
    use crate::scope::{InvalidScope, Scope};

    fn grant(value: &str) -> Grant {
        value.parse().unwrap()
    }

    #[test]
    fn a_wildcard_stands_alone_or_last_after_a_colon() {
        let (longest, long) = (
            format!("{}:*", "a".repeat(62)),
            format!("{}:*", "a".repeat(63)),
        );
        let cases: &[(&str, &[(&str, &str)])] = &[
            (
                "granted",
                &[
                    ("a plain scope", "projects:read"),
                    ("everything", "*"),
                    ("everything below a prefix", "projects:*"),
                    ("everything below a deeper prefix", "projects:a:*"),
                    ("a prefix that ends in a colon", "projects::*"),
                    ("a prefix of one colon", "::*"),
                    ("64 characters", &longest),
                    ("a namespace like the reserved one", "keyset:*"),
                ],
            ),
            ("is too long", &[("65 characters", &long)]),
            ("is empty", &[("nothing", "")]),
            (
                "misplaced",
                &[
                    ("no prefix", ":*"),
                    ("two wildcards", "**"),
                    ("a wildcard in the prefix", "a*:*"),
                    ("two wildcard segments", "*:*"),
                    ("a wildcard without a colon", "projects*"),
                    ("a wildcard that is not last", "*:read"),
                    ("a wildcard in the middle", "a:*:read"),
                ],
            ),
            ("the character ` `", &[("a space in the prefix", "a b:*")]),
            (
                "reserved",
                &[
                    ("everything reserved", "keys:*"),
                    ("below a reserved scope", "keys:read:*"),
                    ("an empty reserved segment", "keys::*"),
                    ("an unknown reserved scope", "keys:delete"),
                ],
            ),
        ];
        for (expected, values) in cases {
            for (sentence, value) in *values {
                let said = match value.parse::<Grant>() {
                    Ok(grant) => {
                        assert_eq!((grant.as_str(), grant.as_ref()), (*value, *value));
                        format!("granted {grant}")
                    }
                    Err(why) => why.to_string(),
                };
                assert!(said.contains(expected), "{sentence}: {said}");
            }
        }
        assert!(matches!(
            grant("*").as_str().parse::<Scope>(),
            Err(InvalidScope::Wildcard { .. })
        ));
    }

    /// Each grant with all that it covers among the grants of this table. What is not listed is not
    /// covered. A plain entry stands for the scope as well, since allowing it is covering it.
    const REACH: &[(&str, &str)] = &[
        (
            "*",
            "* projects:* projects:a:* project:* keyset:* projects projects: projects:a projects:a: \
             projects:a:b Projects:a project:a keys keyset:a",
        ),
        (
            "projects:*",
            "projects:* projects:a:* projects:a projects:a: projects:a:b",
        ),
        ("projects:a:*", "projects:a:* projects:a:b"),
        ("project:*", "project:* project:a"),
        ("keyset:*", "keyset:* keyset:a"),
        ("projects", "projects"),
        ("projects:", "projects:"),
        ("projects:a", "projects:a"),
        ("projects:a:", "projects:a:"),
        ("projects:a:b", "projects:a:b"),
        ("Projects:a", "Projects:a"),
        ("project:a", "project:a"),
        ("keys", "keys"),
        ("keyset:a", "keyset:a"),
        ("keys:read", "keys:read"),
        ("keys:write", "keys:write keys:read"),
        ("keys:admin", "keys:admin keys:write keys:read"),
    ];

    #[test]
    fn every_grant_reaches_what_the_table_says_and_nothing_else() {
        for (holder, reach) in REACH {
            for (asked, _) in REACH {
                let expected = reach.split(' ').any(|reached| reached == *asked);
                assert_eq!(
                    grant(holder).covers(&grant(asked)),
                    expected,
                    "{holder} covers {asked}"
                );
                if let Ok(scope) = asked.parse::<Scope>() {
                    assert_eq!(
                        grant(holder).allows(&scope),
                        expected,
                        "{holder} allows {asked}"
                    );
                }
            }
        }
    }

    #[test]
    fn covering_is_allowing_all_that_the_other_allows() {
        let parts = [
            "a",
            "b",
            "keys",
            "keys:read",
            "keys:write",
            "keys:admin",
            ":",
            "a:",
        ];
        let mut texts = vec!["*".to_owned()];
        for first in parts {
            texts.push(first.to_owned());
            texts.push(format!("{first}:*"));
            for second in parts {
                texts.push(format!("{first}:{second}"));
                texts.push(format!("{first}:{second}:*"));
            }
        }
        let grants: Vec<Grant> = texts.iter().filter_map(|text| text.parse().ok()).collect();
        // Beside each plain grant stands a scope below each wildcard that no plain grant names, so
        // that a wildcard always allows something more than the narrower grants.
        let universe: Vec<Scope> = texts
            .iter()
            .flat_map(|text| [text.clone(), text.replace('*', "unnamed")])
            .filter_map(|text| text.parse().ok())
            .collect();
        assert!(
            grants.len() > 70 && universe.len() > 70,
            "{} {}",
            grants.len(),
            universe.len()
        );

        for ours in &grants {
            for theirs in &grants {
                let includes = universe
                    .iter()
                    .all(|scope| !theirs.allows(scope) || ours.allows(scope));
                assert_eq!(ours.covers(theirs), includes, "{ours} covers {theirs}");
            }
        }
    }
}
