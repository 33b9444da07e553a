//! What there is to be granted, used and come from, and what a key is good for, found out one by one.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::scope::{Roles, ScopeSet};
use crate::store::{FoundKey, KeyRecord, Owner};
use crate::timestamp::Timestamp;

/// What can be granted.
pub(super) const GRANTS: [&str; 16] = [
    "*",
    "a",
    "a:*",
    "a:x",
    "a:y",
    "a:x:*",
    "a:x:1",
    "a::*",
    "b",
    "b:*",
    "b:1",
    "keyset:*",
    "keyset:1",
    "keys:read",
    "keys:write",
    "keys:admin",
];

/// What can be asked for: all plain scopes of above, and below each wildcard one that is not named
/// anywhere, so that no list of plain scopes passes for the wildcard.
pub(super) const UNIVERSE: [&str; 20] = [
    "a",
    "a:",
    "a:x",
    "a:y",
    "a:other",
    "a:x:",
    "a:x:1",
    "a:x:other",
    "a::other",
    "b",
    "b:",
    "b:1",
    "b:other",
    "keys",
    "keyset:1",
    "keyset:other",
    "other",
    "keys:read",
    "keys:write",
    "keys:admin",
];

/// `*` grants everything but the reserved `keys:` scopes; `p:*` everything below `p:`; `keys:admin`
/// includes `keys:write`, which includes `keys:read`; anything else grants itself.
pub(super) fn grants(grant: &str, scope: &str) -> bool {
    let reserved = scope.starts_with("keys:");
    match grant {
        "keys:admin" => reserved,
        "keys:write" => scope == "keys:write" || scope == "keys:read",
        "*" => !reserved,
        _ => match grant.strip_suffix('*') {
            Some(prefix) => !reserved && scope != prefix && scope.starts_with(prefix),
            None => grant == scope,
        },
    }
}

/// What the roles are that the code knows.
pub(super) const ROLES: [(&str, &[&str]); 4] = [
    ("idle", &[]),
    ("reader", &["a:x", "b", "keys:read"]),
    ("writer", &["a:*", "keys:write"]),
    ("ruler", &["*", "keys:admin"]),
];

/// A role that the code knows no more. Whoever has it may hand it on, and nobody else: it may
/// grant anything to another release.
pub(super) const FORGOTTEN: &str = "forgotten";

pub(super) fn roles() -> Roles {
    let known =
        ROLES.map(|(name, grants)| (name.parse().unwrap(), ScopeSet::parse(grants).unwrap()));
    Roles::new(known)
}

/// All that a key is good for by its scopes and roles.
pub(super) fn reach(key: &KeyRecord) -> BTreeSet<&'static str> {
    let mut held: Vec<&str> = key.scopes.iter().map(AsRef::as_ref).collect();
    let has = |name: &str| key.roles.iter().any(|role| role.as_str() == name);
    for (name, grants) in ROLES {
        if has(name) {
            held.extend(grants);
        }
    }
    let allowed = |scope: &&str| held.iter().any(|grant| grants(grant, scope));
    let mut reached: BTreeSet<_> = UNIVERSE.into_iter().filter(allowed).collect();
    reached.extend(has(FORGOTTEN).then_some(FORGOTTEN));
    reached
}

pub(super) fn holds(key: &KeyRecord, scope: &str) -> bool {
    reach(key).contains(scope)
}

/// What there is to be used, among it what no restriction names.
pub(super) const THINGS: [(&str, &str); 6] = [
    ("p", "1"),
    ("p", "2"),
    ("p", "other"),
    ("q", "1"),
    ("q", "other"),
    ("other", "1"),
];

pub(super) const RESTRICTIONS: [&str; 7] = [
    "{}",
    r#"{"p":[]}"#,
    r#"{"p":["1"]}"#,
    r#"{"p":["1","2"]}"#,
    r#"{"q":["1"]}"#,
    r#"{"p":["1"],"q":["1"]}"#,
    r#"{"p":["2","1"],"q":[]}"#,
];

/// The things that a key may be used on.
pub(super) fn things(key: &KeyRecord) -> BTreeSet<(&'static str, &'static str)> {
    let Some(only) = &key.resources else {
        return THINGS.into();
    };
    let mut things = BTreeSet::new();
    for (kind, ids) in only.iter() {
        for id in ids {
            things.extend(THINGS.into_iter().filter(|thing| *thing == (kind, id)));
        }
    }
    things
}

/// Where requests come from, among it where no network is. `None`: nobody knows from where.
pub(super) const PLACES: [Option<&str>; 9] = [
    None,
    Some("10.0.0.1"),
    Some("10.1.0.1"),
    Some("10.1.0.2"),
    Some("192.0.2.1"),
    Some("192.0.2.200"),
    Some("203.0.113.9"),
    Some("2001:db8::1"),
    Some("fe80::1"),
];

pub(super) const NETWORKS: [&str; 8] = [
    "0.0.0.0/0",
    "10.0.0.0/8",
    "10.1.0.0/16",
    "10.1.0.1/32",
    "192.0.2.0/24",
    "192.0.2.0/25",
    "2001:db8::/32",
    "::/0",
];

/// The first bits are the same.
pub(super) fn lies_in(place: &str, network: &str) -> bool {
    let (base, length) = network.split_once('/').unwrap();
    let bits = |address: &str| match address.parse().unwrap() {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    };
    let (place, base) = (bits(place), bits(base));
    let bit = |bytes: &[u8], at: usize| bytes[at / 8] >> (7 - at % 8) & 1;
    let length: usize = length.parse().unwrap();
    place.len() == base.len() && (0..length).all(|at| bit(&place, at) == bit(&base, at))
}

/// Where a key may be used from.
pub(super) fn places(key: &KeyRecord) -> BTreeSet<Option<&'static str>> {
    let Some(only) = &key.allowed_ips else {
        return PLACES.into();
    };
    let networks = only.to_string();
    let one_has = |place| networks.split(' ').any(|network| lies_in(place, network));
    let known = PLACES
        .into_iter()
        .filter(|place| place.is_some_and(one_has));
    known.collect()
}

/// The end of a life as a number, never being beyond all others.
pub(super) fn end(moment: Option<Timestamp>) -> i64 {
    moment.map_or(i64::MAX, Timestamp::unix_micros)
}

/// The end of what the caller came in with: its key's or its secret's, whichever is first.
pub(super) fn own_end(caller: &FoundKey) -> i64 {
    end(caller.record.expires_at).min(end(caller.secret_expires_at))
}

pub(super) fn is_alive(caller: &FoundKey, now: Timestamp) -> bool {
    caller.record.revoked.is_none() && caller.record.enabled && own_end(caller) > now.unix_micros()
}

/// Whether a key like this is within what the caller holds.
pub(super) fn is_within(caller: &FoundKey, key: &KeyRecord) -> bool {
    reach(key).is_subset(&reach(&caller.record))
        && things(key).is_subset(&things(&caller.record))
        && places(key).is_subset(&places(&caller.record))
        && key.environment == caller.record.environment
        && end(key.expires_at) <= own_end(caller)
}

/// Whether the caller is told that this owner's keys exist.
pub(super) fn sees(caller: &FoundKey, owner: &Owner) -> bool {
    caller.record.owner == *owner || holds(&caller.record, "keys:admin")
}
