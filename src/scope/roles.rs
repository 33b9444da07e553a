//! What each role grants, and what it is for.

use std::{collections::BTreeMap, sync::Arc};

use super::{Grant, RoleName, RoleSet, ScopeSet};

/// What each role that an application knows grants. The default knows none. Cloning is cheap.
///
/// ```
/// use portcullis::scope::{RoleSet, Roles, ScopeSet};
///
/// let roles = Roles::new([("auditor".parse()?, ScopeSet::parse(["reports:read"])?)]);
/// let own = ScopeSet::parse(["status"])?;
/// let held = roles.effective(&own, &RoleSet::parse(["auditor", "forgotten"])?);
/// assert_eq!(held.to_string(), "reports:read status");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roles(Arc<BTreeMap<RoleName, Role>>);

/// A role: what it grants, and what people are told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    description: Box<str>,
    grants: ScopeSet,
}

impl Role {
    /// One that grants this.
    pub fn new(description: &str, grants: ScopeSet) -> Self {
        Self {
            description: description.into(),
            grants,
        }
    }

    /// What it is for, in the words of the application.
    #[must_use]
    pub fn description(&self) -> &str {
        &self.description
    }

    /// What it grants.
    #[must_use]
    pub fn grants(&self) -> &ScopeSet {
        &self.grants
    }
}

impl Roles {
    /// These roles without descriptions. Of two with one name the last counts.
    pub fn new(roles: impl IntoIterator<Item = (RoleName, ScopeSet)>) -> Self {
        let roles = roles.into_iter();
        Self::described(roles.map(|(name, grants)| (name, Role::new("", grants))))
    }

    /// These roles. Of two with one name the last counts.
    pub fn described(roles: impl IntoIterator<Item = (RoleName, Role)>) -> Self {
        Self(Arc::new(roles.into_iter().collect()))
    }

    /// What this role grants; `None` if the application does not know it.
    pub fn grants(&self, role: &RoleName) -> Option<&ScopeSet> {
        self.0.get(role).map(Role::grants)
    }

    /// The roles, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&RoleName, &Role)> {
        self.0.iter()
    }

    /// All that scopes and roles grant together. A role that is not known grants nothing.
    ///
    /// These may be more than a [`ScopeSet`] can be given.
    #[must_use]
    pub fn effective(&self, scopes: &ScopeSet, roles: &RoleSet) -> ScopeSet {
        let known = roles.iter().filter_map(|role| self.grants(role));
        let mut known = known.peekable();
        if known.peek().is_none() {
            return scopes.clone();
        }
        let grants: Vec<Grant> = known.flatten().chain(scopes).cloned().collect();
        ScopeSet::of_any_number(grants)
    }

    /// Those of `roles` that the application does not know.
    pub fn unknown<'a>(&self, roles: &'a RoleSet) -> impl Iterator<Item = &'a RoleName> {
        roles.iter().filter(|role| self.grants(role).is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(stored: &str) -> ScopeSet {
        ScopeSet::from_stored(stored).unwrap()
    }

    #[test]
    fn what_is_held_is_scopes_and_known_roles_together() {
        let role = |name: &str, grants| (name.parse().unwrap(), set(grants));
        let roles = Roles::new([
            role("reads", "a b"),
            role("writes", "b c:*"),
            role("no", ""),
        ]);
        for (scopes, names, expected) in [
            ("", "", ""),
            ("x", "", "x"),
            ("x", "unknown", "x"),
            ("x", "no", "x"),
            ("", "reads", "a b"),
            ("b x", "reads unknown writes", "a b c:* x"),
            ("", "Reads", ""),
        ] {
            let names = RoleSet::from_stored(names).unwrap();
            assert_eq!(roles.effective(&set(scopes), &names), set(expected));
        }
        let names = RoleSet::from_stored("no u1 u2").unwrap();
        assert!(roles.unknown(&names).map(RoleName::as_str).eq(["u1", "u2"]));
    }

    #[test]
    fn descriptions_are_kept() {
        let role = Role::new("may look", set("a"));
        let roles = Roles::described([("reads".parse().unwrap(), role)]);
        let told = roles
            .iter()
            .map(|(name, role)| (name.as_str(), role.description()));
        assert_eq!(told.collect::<Vec<_>>(), [("reads", "may look")]);
    }

    #[test]
    fn roles_may_grant_more_than_a_set_can_be_given() {
        let many = |letter: char| {
            let scopes = (0..100).map(|n| format!("{letter}{n}"));
            ScopeSet::parse(scopes).unwrap()
        };
        let roles = Roles::new([("r".parse().unwrap(), many('r'))]);
        let held = roles.effective(&many('s'), &RoleSet::parse(["r"]).unwrap());
        assert_eq!(held.len(), 200);
        assert!(held.allows(&"r99".parse().unwrap()) && held.allows(&"s0".parse().unwrap()));
    }
}
