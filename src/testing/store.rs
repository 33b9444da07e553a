//! A store that fails on command.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;

use super::faults::{Fault, Faults};
use crate::key::{KeyDigest, KeyId};
use crate::store::{
    Decide, KeyRecord, KeyStore, ListQuery, LookUp, Nudges, Position, Read, StoreError,
    StoreErrorKind, Subjects, SyncReport, Transacted,
};

/// Wraps a store and lets its operations fail, hang, panic or stop half-way, one by one, while it
/// is in use. See [`Faults`].
#[derive(Debug)]
pub struct FaultStore<S> {
    inner: S,
    faults: Faults,
    looked_up: Mutex<HashMap<KeyDigest, LookUp>>,
    synced: Mutex<Option<SyncReport>>,
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

    async fn look_up_now(&self, digest: &KeyDigest) -> Result<LookUp, StoreError> {
        let answer = self.inner.look_up(digest).await?;
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
    async fn look_up(&self, digest: &KeyDigest) -> Result<LookUp, StoreError> {
        let switch = &self.faults.look_ups;
        let fault = switch.called();
        let work = async {
            let before = match fault {
                Fault::Stale => self.looked_up_before(digest),
                _ => None,
            };
            let mut answer = match before {
                Some(before) => before,
                None => self.look_up_now(digest).await?,
            };
            answer.primary &= !self.faults.answers_as_replica();
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
