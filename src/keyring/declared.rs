//! The scopes and roles that an application declares, looked at when its keyring is built.

use std::collections::BTreeMap;

use crate::excerpt::excerpt;
use crate::scope::{Catalogue, InvalidRole, InvalidScope, Role, RoleName, Roles, ScopeSet};

/// As they were given.
#[derive(Default)]
pub(super) struct Declared {
    /// `None`: nothing is declared, unless something is described.
    pub(super) scopes: Option<Vec<String>>,
    /// Each with its description.
    pub(super) described: Vec<(String, String)>,
    /// Name, description and grants.
    pub(super) roles: Vec<(String, String, Vec<String>)>,
}

/// Why scopes or roles cannot be declared like this.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidDeclaration {
    /// One of the scopes.
    #[error(transparent)]
    Scope(#[from] InvalidScope),
    /// The name of a role.
    #[error(transparent)]
    Role(#[from] InvalidRole),
    /// What a role is to grant.
    #[error("the role {role:?} cannot grant this: {why}")]
    Grants {
        /// The role.
        role: String,
        /// What is wrong with its grants.
        why: InvalidScope,
    },
    /// A role is to grant a scope that is not declared, so that no key could be given it.
    #[error("the role {role:?} grants {scope:?}, which is not among the declared scopes")]
    Undeclared {
        /// The role.
        role: String,
        /// What it is to grant.
        scope: String,
    },
    /// Two roles have one name.
    #[error("the role {0:?} is given more than once")]
    RepeatedRole(String),
}

impl Declared {
    pub(super) fn check(self) -> Result<(Option<Catalogue>, Roles), InvalidDeclaration> {
        let catalogue = match (self.scopes, self.described) {
            (None, described) if described.is_empty() => None,
            (scopes, described) => {
                let scopes = scopes.into_iter().flatten().map(|name| (name, None));
                let described = described.into_iter().map(|(name, text)| (name, Some(text)));
                Some(Catalogue::described(scopes.chain(described))?)
            }
        };
        let mut roles = BTreeMap::new();
        for (name, description, grants) in self.roles {
            let name: RoleName = name.parse()?;
            let role = || name.to_string();
            let grants = ScopeSet::parse(&grants)
                .map_err(|why| InvalidDeclaration::Grants { role: role(), why })?;
            let permitted = |grant| catalogue.as_ref().is_none_or(|it| it.permits(grant));
            if let Some(grant) = grants.iter().find(|grant| !permitted(grant)) {
                let (role, scope) = (role(), excerpt(grant.as_str()));
                return Err(InvalidDeclaration::Undeclared { role, scope });
            }
            if roles.contains_key(&name) {
                return Err(InvalidDeclaration::RepeatedRole(role()));
            }
            roles.insert(name, Role::new(&description, grants));
        }
        Ok((catalogue, Roles::described(roles)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(scopes: Option<&[&str]>, roles: &[(&str, &[&str])]) -> Declared {
        let owned = |texts: &[&str]| texts.iter().map(ToString::to_string).collect();
        let roles = roles.iter();
        let roles = roles.map(|(name, grants)| (name.to_string(), String::new(), owned(grants)));
        Declared {
            scopes: scopes.map(owned),
            described: Vec::new(),
            roles: roles.collect(),
        }
    }

    #[test]
    fn roles_grant_what_is_declared_and_the_error_says_what_is_not() {
        let known = Some(&["reports:read", "reports:write"][..]);
        let cases: [(&str, Declared, &str); 10] = [
            ("none", declared(known, &[]), ""),
            ("a scope", declared(known, &[("a", &["reports:read"])]), ""),
            (
                "wildcards",
                declared(known, &[("a", &["*", "reports:*"])]),
                "",
            ),
            (
                "the reserved ones",
                declared(known, &[("a", &["keys:admin"])]),
                "",
            ),
            ("nothing", declared(known, &[("a", &[])]), ""),
            ("anything, undeclared", declared(None, &[("a", &["x"])]), ""),
            (
                "a typo",
                declared(known, &[("a", &["report:read"])]),
                r#"the role "a" grants "report:read", which is not among the declared scopes"#,
            ),
            (
                "what is no scope",
                declared(None, &[("a", &["a b"])]),
                r#"the role "a" cannot grant this: `a b` has the character ` `"#,
            ),
            (
                "what is no name",
                declared(None, &[("a:b", &[])]),
                "`a:b` has the character `:`",
            ),
            (
                "twice",
                declared(None, &[("a", &[]), ("b", &[]), ("a", &["x"])]),
                r#"the role "a" is given more than once"#,
            ),
        ];
        for (name, declared, expected) in cases {
            let said = declared.check().err().map(|why| why.to_string());
            let said = said.unwrap_or_default();
            assert!(said.starts_with(expected), "{name}: {said}");
            assert_eq!(said.is_empty(), expected.is_empty(), "{name}: {said}");
        }
    }

    #[test]
    fn what_is_described_is_declared() {
        let described = |scopes: Option<&[&str]>| Declared {
            described: vec![("b".to_owned(), "The second.".to_owned())],
            ..declared(scopes, &[("all", &["b"])])
        };
        for (scopes, expected) in [(None, vec!["b"]), (Some(&["a"][..]), vec!["a", "b"])] {
            let (catalogue, _) = described(scopes).check().unwrap();
            let catalogue = catalogue.unwrap();
            let names = catalogue.iter().map(AsRef::as_ref);
            let names: Vec<&str> = names.filter(|name| !name.starts_with("keys:")).collect();
            assert_eq!(names, expected);
            let told = catalogue.description(&"b".parse().unwrap());
            assert_eq!(told, Some("The second."));
        }
        assert!(declared(None, &[]).check().unwrap().0.is_none());
    }
}
