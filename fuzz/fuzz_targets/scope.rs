//! Scopes, grants, sets, demands and the catalogue against the rules over plain texts.
//!
//! The first line is what a key holds, the second what it would hand on, the third what a route
//! demands, the fourth what the catalogue lists; entries have a space between them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::scope::{Catalogue, Demand, Grant, RoleName, RoleSet, Roles, Scope, ScopeSet};
use portcullis_fuzz::scope_rules::{all_covered, allows, covers, is_grant, is_scope};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let mut lines = text.split('\n').map(|line| line.split(' ').collect());
    let [held, wanted, demanded, listed]: [Vec<&str>; 4] =
        std::array::from_fn(|_| lines.next().unwrap_or_default());
    for entry in held.iter().chain(&wanted).chain(&demanded).chain(&listed) {
        one(entry);
    }
    let (Some(ours), Some(theirs)) = (set(&held), set(&wanted)) else {
        return;
    };
    let demanded: Vec<&str> = demanded.into_iter().filter(|text| is_scope(text)).collect();
    for scope in &demanded {
        let allowed = held.iter().any(|grant| allows(grant, scope));
        assert_eq!(ours.allows(&scope.parse().unwrap()), allowed, "{scope}");
    }
    handing_on(&held, &wanted, (&ours, &theirs), &demanded);
    demands(&held, &ours, &demanded);
    together(&held, &wanted, (&ours, &theirs), &demanded);
    catalogue(&listed, &held);
});

/// Whether a text is one, is what the rules say, and it prints as it was read.
fn one(text: &str) {
    match text.parse::<Scope>() {
        Ok(scope) => assert!(is_scope(text) && scope.as_str() == text, "{text:?}"),
        Err(why) => assert!(!is_scope(text) && !why.to_string().contains('\n'), "{why}"),
    }
    match text.parse::<Grant>() {
        Ok(grant) => assert!(is_grant(text) && grant.as_str() == text, "{text:?}"),
        Err(why) => assert!(!is_grant(text) && why.to_string().len() < 300, "{why}"),
    }
    let role = text
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    let role = role && (1..=64).contains(&text.len());
    assert_eq!(text.parse::<RoleName>().is_ok(), role, "{text:?}");
}

fn set(texts: &[&str]) -> Option<ScopeSet> {
    let possible = texts.len() <= 100 && texts.iter().all(|text| is_grant(text));
    let set = ScopeSet::parse(texts);
    assert_eq!(set.is_ok(), possible, "{texts:?}");
    let set = set.ok()?;
    assert_eq!(ScopeSet::from_stored(&set.to_string()).as_ref(), Ok(&set));
    let mut sorted = texts.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    assert!(set.iter().map(Grant::as_str).eq(sorted));
    Some(set)
}

fn handing_on(
    held: &[&str],
    wanted: &[&str],
    (ours, theirs): (&ScopeSet, &ScopeSet),
    demanded: &[&str],
) {
    for (one, other) in held
        .iter()
        .flat_map(|one| wanted.iter().map(move |other| (one, other)))
    {
        let (grant, wanted): (Grant, Grant) = (one.parse().unwrap(), other.parse().unwrap());
        assert_eq!(grant.covers(&wanted), covers(one, other), "{one} {other}");
    }
    assert_eq!(ours.covers(theirs), all_covered(held, wanted));
    assert!(ours.covers(ours) && ours.covers(&ScopeSet::empty()));
    if ours.covers(theirs) {
        // What it is for: whoever was handed something can do no more than who handed it on.
        let below = wanted.iter().filter_map(|grant| grant.strip_suffix('*'));
        let below = below.map(|stem| format!("{stem}z"));
        let names = demanded
            .iter()
            .chain(wanted)
            .map(ToString::to_string)
            .chain(below);
        for scope in names.filter_map(|name| name.parse::<Scope>().ok()) {
            assert!(!theirs.allows(&scope) || ours.allows(&scope), "{scope}");
        }
    }
}

fn demands(held: &[&str], ours: &ScopeSet, demanded: &[&str]) {
    if demanded.is_empty() {
        return;
    }
    let met = |scope: &&str| held.iter().any(|grant| allows(grant, scope));
    assert_eq!(Demand::all(demanded).met_by(ours), demanded.iter().all(met));
    assert_eq!(Demand::any(demanded).met_by(ours), demanded.iter().any(met));
}

/// A role grants what it says and not a bit more.
fn together(
    held: &[&str],
    role: &[&str],
    (ours, grants): (&ScopeSet, &ScopeSet),
    demanded: &[&str],
) {
    let roles = Roles::new([("role".parse().unwrap(), grants.clone())]);
    let effective = roles.effective(ours, &RoleSet::parse(["role", "unknown"]).unwrap());
    for scope in demanded {
        let allowed = held.iter().chain(role).any(|grant| allows(grant, scope));
        assert_eq!(
            effective.allows(&scope.parse().unwrap()),
            allowed,
            "{scope}"
        );
    }
}

fn catalogue(listed: &[&str], held: &[&str]) {
    let known = Catalogue::new(listed);
    assert_eq!(known.is_ok(), listed.iter().all(|scope| is_scope(scope)));
    let Ok(known) = known else { return };
    for grant in held {
        let reserved = ["keys:read", "keys:write", "keys:admin"];
        let permitted = match grant.strip_suffix('*') {
            Some("") => true,
            Some(_) => listed.iter().any(|scope| allows(grant, scope)),
            None => listed.contains(grant) || reserved.contains(grant),
        };
        assert_eq!(known.permits(&grant.parse().unwrap()), permitted, "{grant}");
    }
}
