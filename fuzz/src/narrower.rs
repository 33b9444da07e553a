//! Whether a key, as the admin API shows it, is no more than another: by the contract, over the
//! JSON that clients see.

use std::net::IpAddr;

use serde_json::Value;

use crate::scope_rules::all_covered;

/// Panics unless `key` may do no more than `caller`, counting what roles grant.
pub fn must_be_narrower(key: &Value, caller: &Value, role_grants: impl Fn(&str) -> Vec<String>) {
    let held = effective(caller, &role_grants);
    let wanted = effective(key, &role_grants);
    let held: Vec<&str> = held.iter().map(String::as_str).collect();
    let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
    assert!(
        all_covered(&held, &wanted),
        "scopes of {key} beyond {held:?}"
    );
    assert_eq!(key["environment"], caller["environment"], "{key}");
    assert_eq!(key["owner"], caller["owner"], "{key}");
    assert!(ends_no_later(key, caller), "{key} outlives {caller}");
    assert!(
        resources_within(&key["resources"], &caller["resources"]),
        "resources of {key}"
    );
    let (theirs, ours) = (&key["allowed_ips"], &caller["allowed_ips"]);
    assert!(addresses_within(theirs, ours), "addresses of {key}");
}

fn texts(list: &Value) -> impl Iterator<Item = &str> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
}

fn effective(key: &Value, role_grants: impl Fn(&str) -> Vec<String>) -> Vec<String> {
    let own = texts(&key["scopes"]).map(ToOwned::to_owned);
    own.chain(texts(&key["roles"]).flat_map(role_grants))
        .collect()
}

fn ends_no_later(key: &Value, caller: &Value) -> bool {
    match (key["expires_at"].as_str(), caller["expires_at"].as_str()) {
        (_, None) => true,
        (None, Some(_)) => false,
        // Both in UTC and equally long up to the second; a fraction makes a text longer, and later.
        (Some(theirs), Some(ours)) => theirs.trim_end_matches('Z') <= ours.trim_end_matches('Z'),
    }
}

fn resources_within(theirs: &Value, ours: &Value) -> bool {
    match (theirs.as_object(), ours.as_object()) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(theirs), Some(ours)) => theirs.iter().all(|(kind, ids)| {
            let allowed: Vec<&str> = ours.get(kind).map(texts).into_iter().flatten().collect();
            texts(ids).all(|id| allowed.contains(&id))
        }),
    }
}

fn addresses_within(theirs: &Value, ours: &Value) -> bool {
    match (theirs.as_array(), ours.as_array()) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(_), Some(_)) => {
            let ours: Vec<Network> = texts(ours).map(network).collect();
            texts(theirs)
                .map(network)
                .all(|theirs| ours.iter().any(|ours| within(theirs, *ours)))
        }
    }
}

/// The bits of an address from the highest on, how many of them count, and of how many there are.
type Network = (u128, u32, u32);

fn network(text: &str) -> Network {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    let (bits, all) = match address.parse().expect("an address is shown") {
        IpAddr::V4(address) => (u128::from(address.to_bits()) << 96, 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    };
    let length = length.map_or(all, |length| length.parse().expect("a length is shown"));
    (bits, length, all)
}

fn within((bits, length, all): Network, (ours, our_length, our_all): Network) -> bool {
    let different = (bits ^ ours).leading_zeros();
    all == our_all && our_length <= length && different >= our_length
}
