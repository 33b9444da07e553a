//! The rows of a store by rule.

use portcullis::key::{KeyDigest, KeyHint, KeyId};
use portcullis::scope::{RoleSet, ScopeSet};
use portcullis::store::{FoundKey, KeyName, KeyRecord, Metadata, Owner, Provenance, Revocation};

use super::{ByRule, NOW};

/// What became of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It may be used.
    Good,
    /// Somebody has revoked it.
    Revoked,
    /// Somebody has switched it off.
    Disabled,
    /// Its time is over.
    Expired,
}

/// What a row of a usual key looks like: texts of the usual lengths, each allocated as reading a
/// row would.
pub(super) fn row(digest: &KeyDigest, life: Life, store: &ByRule) -> FoundKey {
    let number = digest.as_bytes().first_chunk().copied();
    let number = u64::from_be_bytes(number.unwrap_or_default());
    FoundKey {
        record: KeyRecord {
            id: format!("key_{number:022}").parse::<KeyId>().unwrap(),
            name: KeyName::parse("nightly export").unwrap(),
            owner: Owner::parse(&format!("customer-{:04}", number % store.owners)).unwrap(),
            environment: "live".parse().unwrap(),
            hint: KeyHint::from_stored("acme_live_3Jd4").unwrap(),
            scopes: ScopeSet::from_stored("reports:read reports:write").unwrap(),
            roles: RoleSet::empty(),
            resources: None,
            allowed_ips: store.allowed_ips.clone(),
            enabled: life != Life::Disabled,
            created_at: NOW,
            created_by: Provenance::System,
            expires_at: (life == Life::Expired).then_some(NOW),
            revoked: (life == Life::Revoked).then_some(Revocation {
                at: NOW,
                by: Provenance::System,
                reason: None,
            }),
            metadata: Metadata::default(),
            last_used_at: None,
            previous: None,
        },
        secret_expires_at: None,
        secret_last_used_at: None,
    }
}
