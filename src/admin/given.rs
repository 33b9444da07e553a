//! What several endpoints take, read the same everywhere.

use super::errors::{below, shown};
use super::fields::Fields;
use super::json::Json;
use crate::key::Environment;
use crate::keyring::Keyring;
use crate::scope::{Grant, RoleName, RoleSet, ScopeSet};
use crate::store::Metadata;

/// The most Unicode scalar values of a reason.
const LONGEST_REASON: usize = 500;

/// The longest pointer into metadata, in bytes. What lies deeper is told by what it lies in.
const LONGEST_POINTER: usize = 200;

/// The field `scopes`: all that a key is to grant.
pub(super) fn scopes(fields: &mut Fields<'_>, keyring: &Keyring) -> Option<ScopeSet> {
    let grants: Vec<Grant> = fields.texts("scopes", |text| {
        // Scopes are stored and shown as they are. A key in the wrong field must not be.
        if keyring.format().starts_like_a_key(text.as_bytes()) {
            return Err("begins like a key, which no scope does".to_owned());
        }
        let grant: Grant = text.parse().map_err(|error| format!("{error}"))?;
        if keyring.declares(&grant) {
            Ok(grant)
        } else {
            Err(keyring.unknown_scope(&grant).to_string())
        }
    })?;
    ScopeSet::new(grants)
        .map_err(|error| fields.wrong("scopes", error))
        .ok()
}

/// The field `roles`: all that a key is to have.
pub(super) fn roles(fields: &mut Fields<'_>, keyring: &Keyring) -> Option<RoleSet> {
    let names: Vec<RoleName> = fields.texts("roles", |text| {
        // Nor is one repeated that was put among the roles.
        if keyring.format().starts_like_a_key(text.as_bytes()) {
            return Err("begins like a key, which no role does".to_owned());
        }
        let role: RoleName = text.parse().map_err(|error| format!("{error}"))?;
        if keyring.roles().grants(&role).is_some() {
            return Ok(role);
        }
        Err(keyring.unknown_role(&role).to_string())
    })?;
    RoleSet::new(names)
        .map_err(|error| fields.wrong("roles", error))
        .ok()
}

/// An environment, which has to be declared.
pub(super) fn environment(name: &str, keyring: &Keyring) -> Result<Environment, String> {
    let environments = keyring.environments();
    let found = environments.iter().find(|known| known.as_str() == name);
    found.cloned().ok_or_else(|| {
        let names: Vec<&str> = environments.iter().map(Environment::as_str).collect();
        format!("must be one of {}", names.join(", "))
    })
}

/// What somebody says about why. Nothing is nothing said.
pub(super) fn reason(text: &str) -> Result<Option<String>, String> {
    if text.chars().nth(LONGEST_REASON).is_some() {
        return Err(format!("must have at most {LONGEST_REASON} characters"));
    }
    if text.chars().any(char::is_control) {
        return Err("must not contain control characters".to_owned());
    }
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

/// What `null` means where it could stand for nothing at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Null {
    /// A mistake.
    Wrong,
    /// Nothing is kept, and nothing is restricted.
    Empty,
}

/// The field `metadata`.
pub(super) fn metadata(fields: &mut Fields<'_>, null: Null) -> Option<Metadata> {
    let json = match fields.take("metadata")? {
        json @ Json::Object(_) => json,
        Json::Null if null == Null::Empty => return Some(Metadata::default()),
        other => {
            fields.wrong_type("metadata", "an object", &other);
            return None;
        }
    };
    if !is_portable(&json, "#/metadata", fields) {
        return None;
    }
    let mut text = String::new();
    json.write(&mut text);
    Metadata::parse(&text)
        .map_err(|error| fields.wrong("metadata", error))
        .ok()
}

/// Whether everybody reads the same in it: each name is there once, and each number is one that a
/// machine can hold. Notes where it is not.
fn is_portable(json: &Json, pointer: &str, fields: &mut Fields<'_>) -> bool {
    match json {
        Json::Object(members) => {
            let mut names: Vec<&str> = members.iter().map(|(name, _)| name.as_str()).collect();
            names.sort_unstable();
            let mut fine = true;
            for twice in names.chunk_by(|a, b| a == b).filter(|same| same.len() > 1) {
                match inner(pointer, twice[0]) {
                    Some(inner) => fields.wrong_at(inner, "is given more than once"),
                    None => fields.wrong_at(
                        pointer.to_owned(),
                        "has a field that is given more than once",
                    ),
                }
                fine = false;
            }
            for (name, value) in members {
                let inner = inner(pointer, name);
                let pointer = inner.as_deref().unwrap_or(pointer);
                fine &= is_portable(value, pointer, fields);
            }
            fine
        }
        Json::Array(items) => {
            let mut fine = true;
            for (at, item) in items.iter().enumerate() {
                let inner = inner(pointer, &at.to_string());
                let pointer = inner.as_deref().unwrap_or(pointer);
                fine &= is_portable(item, pointer, fields);
            }
            fine
        }
        Json::Number(digits) if !digits.parse().is_ok_and(f64::is_finite) => {
            fields.wrong_at(pointer.to_owned(), "has a number that is out of range");
            false
        }
        _ => true,
    }
}

/// The pointer to a member, if it is short enough to be repeated.
fn inner(pointer: &str, name: &str) -> Option<String> {
    let inner = below(pointer, shown(name)?);
    (inner.len() <= LONGEST_POINTER).then_some(inner)
}
