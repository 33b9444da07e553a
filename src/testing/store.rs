//! A store that fails on command.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;

use super::faults::{Fault, Faults};
use crate::key::{KeyDigest, KeyId};
use crate::store::{
    Decide, EventQuery, KeyRecord, KeyStore, ListQuery, LookUp, Nudges, Position, Pruned, Read,
    RecordedEvent, Retention, Source, StoreError, StoreErrorKind, Subjects, SyncReport, Transacted,
    Use,
};

/// Wraps a store and lets its operations fail, hang, panic or stop half-way, one by one, while it
/// is in use. See [`Faults`].
pub struct FaultStore<S> {
    inner: S,
    faults: Faults,
    looked_up: Mutex<HashMap<KeyDigest, LookUp>>,
    synced: Mutex<Option<SyncReport>>,
}

impl<S: fmt::Debug> fmt::Debug for FaultStore<S> {
    // Not what it was asked before: that is everybody's keys.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultStore")
            .field("inner", &self.inner)
            .field("faults", &self.faults)
            .finish_non_exhaustive()
    }
}

impl<S: KeyStore> FaultStore<S> {
    /// Around `store`, with nothing wrong yet.
    pub fn new(store: S) -> Self {
        Self {
            inner: store,
            faults: Faults::default(),
            looked_up: Mutex::default(),
            synced: Mutex::default(),
        }
    }

    /// The switches, to be kept when a keyring takes the store.
    pub fn faults(&self) -> Faults {
        self.faults.clone()
    }

    fn looked_up_before(&self, digest: &KeyDigest) -> Option<LookUp> {
        let looked_up = self.looked_up.lock();
        let looked_up = looked_up.unwrap_or_else(PoisonError::into_inner);
        looked_up.get(digest).cloned()
    }

    fn synced_before(&self) -> Option<SyncReport> {
        let synced = self.synced.lock();
        synced.unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn look_up_now(&self, digest: &KeyDigest, source: Source) -> Result<LookUp, StoreError> {
        let answer = self.inner.look_up(digest, source).await?;
        let looked_up = self.looked_up.lock();
        let mut looked_up = looked_up.unwrap_or_else(PoisonError::into_inner);
        looked_up.insert(*digest, answer.clone());
        Ok(answer)
    }

    async fn sync_now(&self, since: Option<Position>) -> Result<SyncReport, StoreError> {
        let report = self.inner.sync(since).await?;
        let mut synced = self.synced.lock().unwrap_or_else(PoisonError::into_inner);
        *synced = Some(report.clone());
        Ok(report)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: KeyStore> KeyStore for FaultStore<S> {
    async fn look_up(&self, digest: &KeyDigest, source: Source) -> Result<LookUp, StoreError> {
        let switch = &self.faults.look_ups;
        let fault = switch.called();
        let replica = self.faults.answers_as_replica();
        let by_replica = replica && source == Source::Any;
        let work = async {
            // Where there is a replica, it is the one that lags behind.
            let before = match fault {
                Fault::Stale if by_replica || !replica => self.looked_up_before(digest),
                _ => None,
            };
            let mut answer = match (before, fault) {
                (Some(before), _) => before,
                // It hears nothing of what the primary is asked meanwhile.
                (None, Fault::Stale) if replica => self.inner.look_up(digest, source).await?,
                (None, _) => self.look_up_now(digest, source).await?,
            };
            answer.primary &= !by_replica;
            Ok(answer)
        };
        switch.meet(fault, StoreErrorKind::Unavailable, work).await
    }

    async fn sync(&self, since: Option<Position>) -> Result<SyncReport, StoreError> {
        let switch = &self.faults.syncs;
        let fault = switch.called();
        let work = async {
            let before = match fault {
                Fault::Stale => self.synced_before(),
                _ => None,
            };
            match before {
                Some(before) => Ok(before),
                None => self.sync_now(since).await,
            }
        };
        switch.meet(fault, StoreErrorKind::Unavailable, work).await
    }

    fn nudges(&self) -> Box<dyn Nudges> {
        Box::new(FaultNudges {
            inner: self.inner.nudges(),
            faults: self.faults.clone(),
        })
    }

    fn is_listening(&self) -> bool {
        self.inner.is_listening() && !self.faults.nudges_are_lost()
    }

    async fn get(&self, id: &KeyId) -> Result<Read<Option<KeyRecord>>, StoreError> {
        let switch = &self.faults.reads;
        let work = self.inner.get(id);
        switch
            .meet(switch.called(), StoreErrorKind::Unavailable, work)
            .await
    }

    async fn list(&self, query: &ListQuery) -> Result<Read<Vec<KeyRecord>>, StoreError> {
        let switch = &self.faults.reads;
        let work = self.inner.list(query);
        switch
            .meet(switch.called(), StoreErrorKind::Unavailable, work)
            .await
    }

    async fn transact(&self, subjects: Subjects, decide: Decide) -> Result<Transacted, StoreError> {
        let switch = &self.faults.writes;
        let work = self.inner.transact(subjects, decide);
        switch
            .meet(switch.called(), StoreErrorKind::OutcomeUnknown, work)
            .await
    }

    async fn events(&self, query: &EventQuery) -> Result<Read<Vec<RecordedEvent>>, StoreError> {
        let switch = &self.faults.reads;
        let work = self.inner.events(query);
        switch
            .meet(switch.called(), StoreErrorKind::Unavailable, work)
            .await
    }

    async fn prune(&self, retention: &Retention) -> Result<Pruned, StoreError> {
        let switch = &self.faults.prunes;
        let work = self.inner.prune(retention);
        switch
            .meet(switch.called(), StoreErrorKind::Unavailable, work)
            .await
    }

    async fn touch(&self, uses: &[Use]) -> Result<(), StoreError> {
        let switch = &self.faults.touches;
        let work = self.inner.touch(uses);
        switch
            .meet(switch.called(), StoreErrorKind::Unavailable, work)
            .await
    }

    async fn digest_algorithm(&self, name: &str) -> Result<String, StoreError> {
        let switch = &self.faults.reads;
        let work = self.inner.digest_algorithm(name);
        switch
            .meet(switch.called(), StoreErrorKind::Unavailable, work)
            .await
    }

    async fn cursor_key(&self) -> Result<[u8; 32], StoreError> {
        let switch = &self.faults.reads;
        let work = self.inner.cursor_key();
        switch
            .meet(switch.called(), StoreErrorKind::Unavailable, work)
            .await
    }
}

#[derive(Debug)]
struct FaultNudges {
    inner: Box<dyn Nudges>,
    faults: Faults,
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Nudges for FaultNudges {
    async fn nudged(&mut self) {
        loop {
            self.inner.nudged().await;
            if !self.faults.nudges_are_lost() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::store::MemoryStore;

    const DIGEST: KeyDigest = KeyDigest::from_bytes([1; 32]);

    fn store() -> (FaultStore<MemoryStore>, Faults) {
        let store = FaultStore::new(MemoryStore::new());
        let faults = store.faults();
        (store, faults)
    }

    #[tokio::test(start_paused = true)]
    async fn a_frozen_call_is_held_until_it_is_released() {
        let (store, faults) = store();
        faults.look_ups.freeze_next(1);
        let (answer, ()) = tokio::join!(store.look_up(&DIGEST, Source::Any), async {
            faults.look_ups.frozen(1).await;
            assert_eq!(faults.look_ups.held(), 1);
            assert!(
                store.look_up(&DIGEST, Source::Any).await.is_ok(),
                "one, and no more"
            );
            faults.look_ups.release();
        });
        assert!(answer.is_ok());
        assert_eq!((faults.look_ups.held(), faults.look_ups.calls()), (0, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_is_dropped_is_held_no_more() {
        let (store, faults) = store();
        faults.look_ups.freeze_next(1);
        let second = Duration::from_secs(1);
        let given_up = tokio::time::timeout(second, store.look_up(&DIGEST, Source::Any)).await;
        assert!(given_up.is_err());
        assert_eq!(faults.look_ups.held(), 0);
        faults.look_ups.hang();
        let given_up = tokio::time::timeout(second, store.look_up(&DIGEST, Source::Any)).await;
        assert!(given_up.is_err());
        faults.look_ups.heal();
        assert!(store.look_up(&DIGEST, Source::Any).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn faults_meet_their_own_operation_alone() {
        let (store, faults) = store();
        faults.syncs.fail();
        let error = store.sync(None).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
        assert!(store.look_up(&DIGEST, Source::Any).await.is_ok());
        assert!(store.cursor_key().await.is_ok());
        faults.fail();
        assert!(store.cursor_key().await.is_err());
        faults.heal();
        assert!(store.sync(None).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_answer_comes_after_the_deed() {
        let (store, faults) = store();
        faults.reads.lose_answers();
        assert!(store.cursor_key().await.is_err());
        faults.writes.lose_answers();
        let refuse = |_: &_| crate::store::Decision::Refuse(crate::store::Refusal::NotFound);
        let result = store.transact(Subjects::default(), Box::new(refuse)).await;
        assert_eq!(result.unwrap_err().kind(), StoreErrorKind::OutcomeUnknown);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_as_before_is_the_one_from_before() {
        let inner = MemoryStore::new();
        let store = FaultStore::new(inner.clone());
        let faults = store.faults();
        assert_eq!(
            store.look_up(&DIGEST, Source::Any).await.unwrap().revision,
            0
        );
        assert_eq!(store.sync(None).await.unwrap().position.revision, 0);
        faults.look_ups.answer_as_before();
        faults.syncs.answer_as_before();
        faults.answer_as_replica(true);
        let keyring = crate::Keyring::builder(inner).prefix("acme").build();
        let new = crate::keyring::NewKey::named("key").unwrap();
        keyring.unwrap().create(new).await.unwrap();
        let old = store.look_up(&DIGEST, Source::Any).await.unwrap();
        assert_eq!((old.revision, old.primary), (0, false));
        assert_eq!(store.sync(None).await.unwrap().position.revision, 0);
        let other = KeyDigest::from_bytes([2; 32]);
        assert_eq!(
            store.look_up(&other, Source::Any).await.unwrap().revision,
            1
        );
    }
}
