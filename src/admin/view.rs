//! A key as the outside sees it.

use serde::Serialize;

use crate::store::{KeyRecord, Provenance};
use crate::timestamp::Timestamp;

/// A key in JSON, its members in this order. Nothing is left out: what is absent is null.
#[derive(Serialize)]
pub(super) struct KeyView<'a> {
    id: &'a str,
    name: &'a str,
    owner: &'a str,
    environment: &'a str,
    hint: &'a str,
    scopes: Vec<&'a str>,
    enabled: bool,
    status: &'static str,
    created_at: String,
    created_by: String,
    expires_at: Option<String>,
    revoked_at: Option<String>,
    revoked_by: Option<String>,
    revoked_reason: Option<&'a str>,
}

impl<'a> KeyView<'a> {
    /// The key as it is at `now`, by the store's clock.
    pub(super) fn new(key: &'a KeyRecord, now: Timestamp) -> Self {
        // Every field by name, so that a new one cannot be overlooked here.
        let KeyRecord {
            id,
            name,
            owner,
            environment,
            hint,
            scopes,
            enabled,
            created_at,
            created_by,
            expires_at,
            revoked,
            metadata: _,
            last_used_at: _,
            previous: _,
        } = key;
        let revoked = revoked.as_ref();
        Self {
            id: id.as_str(),
            name: name.as_str(),
            owner: owner.as_str(),
            environment: environment.as_str(),
            hint: hint.as_str(),
            scopes: scopes.iter().map(AsRef::as_ref).collect(),
            enabled: *enabled,
            status: key.status(now).as_str(),
            created_at: created_at.to_string(),
            created_by: created_by.to_string(),
            expires_at: expires_at.as_ref().map(Timestamp::to_string),
            revoked_at: revoked.map(|revoked| revoked.at.to_string()),
            revoked_by: revoked.map(|revoked| Provenance::to_string(&revoked.by)),
            revoked_reason: revoked.and_then(|revoked| revoked.reason.as_deref()),
        }
    }
}
