//! Scopes and grants by their documentation: naive, over plain texts.

const RESERVED: [&str; 3] = ["keys:read", "keys:write", "keys:admin"];

fn has_scope_characters(text: &str) -> bool {
    let fine = |c: char| c.is_ascii_alphanumeric() || "._:-".contains(c);
    text.chars().all(fine)
}

fn rank(text: &str) -> Option<usize> {
    RESERVED.iter().position(|reserved| *reserved == text)
}

/// Whether this names one permission.
pub fn is_scope(text: &str) -> bool {
    (1..=64).contains(&text.chars().count())
        && has_scope_characters(text)
        && (!text.starts_with("keys:") || rank(text).is_some())
}

/// Whether this can be one entry of what a key holds.
pub fn is_grant(text: &str) -> bool {
    if text == "*" || is_scope(text) {
        return true;
    }
    let Some(stem) = text.strip_suffix(":*") else {
        return false;
    };
    let in_the_reserved_namespace = stem == "keys" || stem.starts_with("keys:");
    !stem.is_empty()
        && text.chars().count() <= 64
        && has_scope_characters(stem)
        && !in_the_reserved_namespace
}

/// Whether `grant` lets its holder do what `scope` names.
pub fn allows(grant: &str, scope: &str) -> bool {
    if let Some(asked) = rank(scope) {
        return rank(grant).is_some_and(|held| held >= asked);
    }
    if grant == "*" {
        return true;
    }
    match grant.strip_suffix('*') {
        Some(stem) => scope.starts_with(stem) && scope != stem,
        None => grant == scope,
    }
}

/// Whether the holder of `held` may hand `wanted` on.
pub fn covers(held: &str, wanted: &str) -> bool {
    match (held.strip_suffix('*'), wanted.strip_suffix('*')) {
        (Some(ours), Some(theirs)) => theirs.starts_with(ours),
        (None, Some(_)) => false,
        (_, None) => allows(held, wanted),
    }
}

/// Whether each of `wanted` is covered by one of `held`.
pub fn all_covered(held: &[&str], wanted: &[&str]) -> bool {
    let covered = |wanted: &&str| held.iter().any(|held| covers(held, wanted));
    wanted.iter().all(covered)
}
