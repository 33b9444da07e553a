//! Secrets that somebody has found where they should not be.

use std::sync::Arc;

use super::authority;
use super::caller::Caller;
use super::manage::patiently;
use super::on_behalf::changed;
use super::{Keyring, WriteError};
use crate::key::KeyDigest;
use crate::store::{KeyRecord, Refusal, Rows, Source};

/// Why a key was revoked whose secret was reported.
const REASON: &str = "leaked";

impl Keyring {
    /// Revokes the key that this secret opens, for ever, with the reason `leaked`; also if it is
    /// only in the grace of a rotation, since it opens the key. `None` if there is no such key, or
    /// the secret was replaced and opens it no more.
    ///
    /// A key that is revoked already stays as it is, first time and reason kept.
    pub async fn revoke_leaked(&self, secret: &str) -> Result<Option<KeyRecord>, WriteError> {
        match self.digest_of(secret) {
            Some(digest) => self.revoke_holder(digest).await,
            None => Ok(None),
        }
    }

    /// The digest of what could be a key, found without asking the store.
    pub(crate) fn digest_of(&self, secret: &str) -> Option<KeyDigest> {
        let parsed = self.inner.format.parse(secret.as_bytes()).ok()?;
        Some(parsed.digest())
    }

    pub(crate) async fn revoke_holder(
        &self,
        digest: KeyDigest,
    ) -> Result<Option<KeyRecord>, WriteError> {
        let store = Arc::clone(&self.inner.store);
        let look_up = async move { store.look_up(&digest, Source::Primary).await };
        let found = patiently(look_up).await.map_err(WriteError::Store)?;
        let (now, Some(found)) = (found.now, found.found) else {
            return Ok(None);
        };
        if found.secret_expires_at.is_some_and(|end| end <= now) {
            return Ok(None);
        }
        let (caller, id) = (Caller::System, found.record.id);
        let mut subjects = caller.subjects(Some(id.clone()));
        subjects.digest = Some(digest);
        let roles = self.inner.roles.clone();
        let decide = move |rows: &Rows| {
            // It may have been rotated meanwhile, and then the secret is worth nothing.
            let holder = rows.digest_holder.as_ref();
            if holder.is_none_or(|holder| holder.id != id) {
                return Err(Refusal::NotFound);
            }
            authority::revoke(&caller, Some(REASON), &roles, rows)
        };
        let revoked = self.inner.write(subjects, decide).await;
        match revoked.and_then(changed) {
            Ok(changed) => Ok(Some(changed.record)),
            Err(WriteError::Refused(Refusal::NotFound)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
