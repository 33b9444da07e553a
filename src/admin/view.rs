//! A key as the outside sees it.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;

use crate::store::{KeyRecord, Metadata, Provenance};
use crate::timestamp::Timestamp;

/// A key in JSON, its members in this order. Nothing is left out: what is absent is null.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Key))]
#[derive(Serialize)]
pub(super) struct KeyView<'a> {
    id: &'a str,
    name: &'a str,
    owner: &'a str,
    environment: &'a str,
    hint: &'a str,
    scopes: Vec<&'a str>,
    roles: Vec<&'a str>,
    resources: Option<BTreeMap<&'a str, Vec<&'a str>>>,
    allowed_ips: Option<Vec<String>>,
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    metadata: &'a RawValue,
    enabled: bool,
    status: &'static str,
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    created_at: String,
    created_by: String,
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    expires_at: Option<String>,
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    last_used_at: Option<String>,
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    revoked_at: Option<String>,
    revoked_by: Option<String>,
    revoked_reason: Option<&'a str>,
    previous: Option<PreviousView<'a>>,
}

/// A secret in its grace.
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Previous))]
#[derive(Serialize)]
pub(super) struct PreviousView<'a> {
    hint: &'a str,
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    expires_at: String,
    #[cfg_attr(feature = "openapi", schema(format = DateTime))]
    last_used_at: Option<String>,
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
            roles,
            resources,
            allowed_ips,
            enabled,
            created_at,
            created_by,
            expires_at,
            revoked,
            metadata,
            last_used_at,
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
            roles: roles.iter().map(AsRef::as_ref).collect(),
            resources: resources.as_ref().map(|resources| {
                let kinds = resources.iter();
                kinds.map(|(kind, ids)| (kind, ids.collect())).collect()
            }),
            allowed_ips: allowed_ips
                .as_ref()
                .map(|networks| networks.iter().map(|network| network.to_string()).collect()),
            metadata: raw(metadata),
            enabled: *enabled,
            status: key.status(now).as_str(),
            created_at: created_at.to_string(),
            created_by: created_by.to_string(),
            expires_at: expires_at.as_ref().map(Timestamp::to_string),
            last_used_at: last_used_at.as_ref().map(Timestamp::to_string),
            revoked_at: revoked.map(|revoked| revoked.at.to_string()),
            revoked_by: revoked.map(|revoked| Provenance::to_string(&revoked.by)),
            revoked_reason: revoked.and_then(|revoked| revoked.reason.as_deref()),
            previous: previous(key, now),
        }
    }
}

/// The previous secret, while it opens the key, or would if the key was enabled.
fn previous(key: &KeyRecord, now: Timestamp) -> Option<PreviousView<'_>> {
    let previous = key.previous.as_ref()?;
    // The key may have been given an earlier end since.
    let end = key
        .expires_at
        .map_or(previous.expires_at, |key| key.min(previous.expires_at));
    let in_its_grace = key.revoked.is_none() && now < end;
    in_its_grace.then(|| PreviousView {
        hint: previous.hint.as_str(),
        expires_at: end.to_string(),
        last_used_at: previous.last_used_at.as_ref().map(Timestamp::to_string),
    })
}

/// As it is kept, to the digit.
fn raw(metadata: &Metadata) -> &RawValue {
    // It is JSON, or it would not be metadata.
    serde_json::from_str(metadata.as_str()).unwrap_or(RawValue::NULL)
}
