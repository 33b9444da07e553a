//! What is answered where it is not done: every status with its codes.

use std::collections::{BTreeMap, BTreeSet};

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::routes::{Needs, Route};

/// A code, its status, and when it is answered.
const CODES: [(&str, u16, &str); 26] = [
    (
        "invalid_request",
        400,
        "the credentials do not say one thing",
    ),
    (
        "ambiguous_caller",
        400,
        "there is a bearer token beside a session",
    ),
    (
        "invalid_idempotency_key",
        400,
        "`Idempotency-Key` is repeated or malformed",
    ),
    ("invalid_json", 400, "the body is not JSON"),
    ("invalid_cursor", 400, "the cursor is not of this list"),
    ("missing_credentials", 401, "there are no credentials"),
    ("invalid_token", 401, "the key is not valid"),
    ("insufficient_scope", 403, "the caller lacks the scope"),
    (
        "cross_site_request",
        403,
        "a page of another site has sent it",
    ),
    ("exceeds_caller", 403, "it is more than the caller holds"),
    (
        "entitlement_required",
        403,
        "the owner is not entitled to it",
    ),
    (
        "invalid_signature",
        403,
        "the body is not signed by a key that is known",
    ),
    (
        "not_found",
        404,
        "there is no such key, or the caller may not see it",
    ),
    ("key_revoked", 409, "the key is revoked"),
    ("key_expired", 409, "the key has expired"),
    (
        "key_limit_reached",
        409,
        "the owner has as many keys as one may have",
    ),
    (
        "digest_taken",
        409,
        "the digest is, or was, that of another secret",
    ),
    (
        "environment_not_declared",
        409,
        "the environment of the key is no longer declared",
    ),
    (
        "idempotency_key_in_use",
        409,
        "the same request is still running",
    ),
    ("payload_too_large", 413, "the body is too large"),
    (
        "unsupported_media_type",
        415,
        "the body is not of the type that is taken",
    ),
    (
        "invalid_field",
        422,
        "a field or parameter is wrong, unknown or repeated",
    ),
    (
        "idempotency_key_reused",
        422,
        "the same `Idempotency-Key` came with another request",
    ),
    ("rate_limited", 429, "too much was asked for"),
    ("unavailable", 503, "the store does not answer; try again"),
    ("outcome_unknown", 503, "it may or may not have been done"),
];

/// The answers of a route beside the one when it is done.
pub(super) fn of(route: &Route) -> Map<String, Value> {
    let mut by_status: BTreeMap<u16, Vec<(&str, &str)>> = BTreeMap::new();
    let codes = codes(route);
    for (code, status, when) in CODES {
        if codes.contains(code) {
            by_status.entry(status).or_default().push((code, when));
        }
    }
    let answers = by_status.into_iter();
    answers
        .map(|(status, codes)| (status.to_string(), answer(status, &codes)))
        .collect()
}

fn codes(route: &Route) -> BTreeSet<&'static str> {
    let mut codes: BTreeSet<&str> = route.codes.iter().copied().collect();
    codes.extend(["invalid_field", "unavailable"]);
    if route.path.contains("{id}") {
        codes.insert("not_found");
    }
    if route.body.is_some() {
        codes.extend([
            "payload_too_large",
            "unsupported_media_type",
            "invalid_json",
        ]);
    }
    if route.needs == Needs::Nobody {
        return codes;
    }
    codes.extend([
        "missing_credentials",
        "invalid_token",
        "invalid_request",
        "ambiguous_caller",
    ]);
    if let Needs::Scope(_) = route.needs {
        codes.insert("insufficient_scope");
    }
    if route.method != "get" {
        codes.extend(["cross_site_request", "outcome_unknown"]);
    }
    codes
}

fn answer(status: u16, codes: &[(&str, &str)]) -> Value {
    let title = StatusCode::from_u16(status).ok();
    let title = title.and_then(|status| status.canonical_reason());
    let (mut words, mut lines, mut examples) = (BTreeSet::new(), Vec::new(), Map::new());
    for (code, when) in codes {
        let word = word(code);
        words.insert(word);
        lines.push(format!("`{word}`: {when}."));
        let mut problem = json!({
            "type": "about:blank", "title": title, "status": status, "code": word,
        });
        if *code == "invalid_field" {
            problem["errors"] = json!([{"pointer": "#/name", "detail": "must not be empty"}]);
        }
        examples.insert((*code).to_owned(), json!({ "value": problem }));
    }
    let schema = json!({
        "allOf": [{"$ref": "#/components/schemas/Problem"}],
        "properties": {"status": {"const": status}, "code": {"enum": words}},
    });
    let mut answer = json!({
        "description": lines.join("\n"),
        "content": {"application/problem+json": {"schema": schema, "examples": examples}},
    });
    if let Some((name, description)) = header(status) {
        let schema = json!({"type": "string"});
        answer["headers"] = json!({name: {"description": description, "schema": schema}});
    }
    answer
}

/// As it is on the wire: two kinds of what cannot be read have one word.
fn word(code: &str) -> &str {
    if code == "invalid_idempotency_key" {
        "invalid_request"
    } else {
        code
    }
}

fn header(status: u16) -> Option<(&'static str, &'static str)> {
    match status {
        401 => Some(("WWW-Authenticate", "The challenge (RFC 6750).")),
        429 | 503 => Some(("Retry-After", "After how many seconds to try again.")),
        _ => None,
    }
}
