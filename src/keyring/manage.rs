//! Making, listing, changing and revoking keys, on behalf of the application itself.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::authority::KeyPatch;
use super::caller::Caller;
use super::limits::Limits;
use super::new_key::{Created, Imported, MadeElsewhere, NewKey};
use super::on_behalf::Making;
use super::writes::PATIENCE;
use super::{Keyring, WriteError};
use crate::key::KeyId;
use crate::store::{
    EventQuery, KeyRecord, ListQuery, Read, RecordedEvent, Refusal, StoreError, StoreErrorKind,
    Whose,
};

/// The longest time that an old secret goes on working after a rotation.
pub(crate) const LONGEST_GRACE: Duration = Duration::from_hours(30 * 24);

impl Keyring {
    /// Makes a key, on behalf of the application itself.
    pub async fn create(&self, new: NewKey) -> Result<Created, WriteError> {
        self.create_as(Caller::System, new, Making::default())
            .await
            .map(Created::from)
    }

    /// Makes a key whose secret was made elsewhere, on behalf of the application itself: the secret
    /// that opens it is the one that has this digest.
    ///
    /// The hint must be the beginning of a key of that environment, in our own form or in a foreign one
    /// that is accepted: see [`KeyFormat::imported_hint`](crate::key::KeyFormat::imported_hint).
    ///
    /// Where the same owner has a key with this digest already, that one is handed back as it is;
    /// where another has, this fails with [`Refusal::DigestTaken`], and so it does where any key once
    /// had it, also of the same owner: a secret that was replaced, or went with its key, does not
    /// come back.
    pub async fn import(
        &self,
        new: NewKey,
        elsewhere: MadeElsewhere,
    ) -> Result<Imported, WriteError> {
        let making = Making::default();
        let imported = self.import_as(Caller::System, new, elsewhere, making).await;
        imported.map(|(_, imported)| imported)
    }

    /// Makes the very first key of a new store: owner `admin`, everything granted. `None` if the
    /// store has, or ever had, a key. Of several processes that ask at once, one gets a key.
    pub async fn create_first(&self) -> Result<Option<Created>, WriteError> {
        let new = NewKey::first();
        let making = Making {
            only_first: true,
            ..Making::default()
        };
        match self.create_as(Caller::System, new, making).await {
            Ok(made) => Ok(Some(made.into())),
            Err(WriteError::Refused(Refusal::NotTheFirst)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// One key, dead or alive; `None` if there is none.
    pub async fn get(&self, id: &KeyId) -> Result<Option<KeyRecord>, StoreError> {
        self.read(id.clone()).await.map(|read| read.value)
    }

    /// Keys, newest first.
    pub async fn list(&self, query: ListQuery) -> Result<Vec<KeyRecord>, StoreError> {
        self.read_list(query).await.map(|read| read.value)
    }

    pub(crate) async fn read(&self, id: KeyId) -> Result<Read<Option<KeyRecord>>, StoreError> {
        let store = Arc::clone(&self.inner.store);
        let read = patiently(async move { store.get(&id).await }).await?;
        self.see(&read.value);
        Ok(read)
    }

    pub(crate) async fn read_list(
        &self,
        query: ListQuery,
    ) -> Result<Read<Vec<KeyRecord>>, StoreError> {
        let store = Arc::clone(&self.inner.store);
        let read = patiently(async move { store.list(&query).await }).await?;
        self.see(&read.value);
        Ok(read)
    }

    /// Remembers which of these are revoked, before anybody is told.
    fn see<'a>(&self, records: impl IntoIterator<Item = &'a KeyRecord>) {
        let revoked = records
            .into_iter()
            .filter(|record| record.revoked.is_some());
        let ids = revoked.map(|record| &record.id);
        self.inner.seen_revoked.read_as_revoked(ids);
    }

    #[cfg(feature = "admin")]
    pub(crate) async fn cursor_key(&self) -> Result<[u8; 32], StoreError> {
        let store = Arc::clone(&self.inner.store);
        patiently(async move { store.cursor_key().await }).await
    }

    /// Changes a key. Fails for one that is revoked or expired.
    pub async fn update(&self, id: &KeyId, patch: KeyPatch) -> Result<KeyRecord, WriteError> {
        let updated = self
            .update_as(Caller::System, id, patch, Limits::default())
            .await?;
        Ok(updated.record)
    }

    /// Revokes a key, for ever. Once this has returned, this keyring accepts it no more; other
    /// replicas follow within their poll interval and at the latest after `max_staleness`.
    ///
    /// A key that is revoked already stays as it is, first time and reason kept.
    pub async fn revoke(&self, id: &KeyId, reason: Option<&str>) -> Result<KeyRecord, WriteError> {
        let reason = reason.map(str::to_owned);
        let revoked = self.revoke_as(Caller::System, id, reason).await?;
        Ok(revoked.record)
    }

    /// Gives a key another secret: same id, same scopes, same end. The old secret dies at once, or
    /// after `grace`, which is cut to 30 days and to the life of the key. A secret that is still in
    /// the grace of a rotation before dies.
    pub async fn rotate(&self, id: &KeyId, grace: Duration) -> Result<Created, WriteError> {
        let read = self.read(id.clone()).await.map_err(WriteError::Store)?;
        let key = read.value.ok_or(Refusal::NotFound)?;
        let (rotated, secret) = self
            .rotate_as(
                Caller::System,
                id,
                &key.environment,
                grace.min(LONGEST_GRACE),
            )
            .await?;
        Ok(Created {
            key: rotated.record,
            secret,
        })
    }

    /// Ends the grace of a rotation: the previous secret dies now.
    pub async fn end_previous(&self, id: &KeyId) -> Result<KeyRecord, WriteError> {
        let ended = self.end_previous_as(Caller::System, id).await?;
        Ok(ended.record)
    }

    /// Lines of the trail of keys, newest first.
    pub async fn events(&self, query: EventQuery) -> Result<Vec<RecordedEvent>, StoreError> {
        let store = Arc::clone(&self.inner.store);
        let read = patiently(async move { store.events(&query).await }).await?;
        Ok(read.value)
    }

    /// The emergency stop: revokes every key of these that is not revoked yet, in one transaction.
    /// Answers how many.
    pub async fn revoke_all(&self, whose: Whose, reason: &str) -> Result<u64, WriteError> {
        self.revoke_all_as(Caller::System, whose, reason.to_owned())
            .await
    }
}

/// Reads on a task of its own, so that a client that hangs up never drops a store's future half
/// way, and waits for it as long as anybody waits for a write.
pub(super) async fn patiently<T: Send + 'static>(
    read: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> Result<T, StoreError> {
    let unavailable = |context| StoreError::new(StoreErrorKind::Unavailable, context);
    match timeout(PATIENCE, tokio::spawn(timeout(PATIENCE, read))).await {
        Ok(Ok(Ok(result))) => result,
        Ok(Err(panic)) => Err(unavailable("a read panicked").caused_by(panic)),
        Ok(Ok(Err(_))) | Err(_) => Err(unavailable("a read did not end in time")),
    }
}
