//! The store in memory: for tests, examples, and services whose keys may go with the process.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::watch;

use super::contract::{
    Change, Decide, Decision, KeyStore, ListQuery, LookUp, Nudges, Outcome, Position, Read, Rows,
    StoreId, Subjects, SyncReport, Touched, Transacted,
};
use super::error::{StoreError, StoreErrorKind};
use super::record::{FoundKey, KeyRecord};
use crate::clock::{Clock, SystemClock};
use crate::key::{KeyDigest, KeyId};
use crate::timestamp::Timestamp;

/// How many revisions' change rows are kept. A keyring that is further behind starts afresh.
const REVISIONS_KEPT: u64 = 10_000;

/// Keys in memory. Clones share them, so that several keyrings can stand for several replicas.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use portcullis::Keyring;
/// use portcullis::store::MemoryStore;
///
/// let keyring = Keyring::builder(MemoryStore::new()).prefix("acme").build().unwrap();
/// assert!(keyring.ready().await.is_ok());
/// # }
/// ```
#[derive(Clone)]
pub struct MemoryStore {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    /// Carries the newest revision, as a nudge to other keyrings on the same store.
    revision: watch::Sender<u64>,
}

#[cfg_attr(test, derive(Clone))]
struct State {
    position: Position,
    cursor_key: [u8; 32],
    ever_had_a_key: bool,
    keys: BTreeMap<KeyId, Stored>,
    secrets: BTreeMap<KeyDigest, KeyId>,
    /// By revision. Each revision has at least one row, so that its nonce can be found.
    changes: BTreeMap<u64, (i64, Vec<Touched>)>,
}

#[cfg_attr(test, derive(Clone))]
struct Stored {
    record: KeyRecord,
    digest: KeyDigest,
}

impl MemoryStore {
    /// An empty store on the machine's clock.
    ///
    /// # Panics
    ///
    /// If the operating system has no random bytes to give.
    pub fn new() -> Self {
        Self::with_clock(Arc::new(SystemClock))
    }

    /// An empty store on this clock.
    ///
    /// # Panics
    ///
    /// If the operating system has no random bytes to give.
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        let position = Position {
            store: StoreId(random()),
            revision: 0,
            nonce: i64::from_le_bytes(random()),
        };
        Self {
            shared: Arc::new(Shared {
                clock,
                state: Mutex::new(State {
                    position,
                    cursor_key: random(),
                    ever_had_a_key: false,
                    keys: BTreeMap::new(),
                    secrets: BTreeMap::new(),
                    changes: BTreeMap::from([(0, (position.nonce, Vec::new()))]),
                }),
                revision: watch::Sender::new(0),
            }),
        }
    }

    /// The store as it is now, as a backup has it. From here on they go their own ways.
    #[cfg(test)]
    pub(crate) fn backup(&self) -> Self {
        let state = self.state().clone();
        Self {
            shared: Arc::new(Shared {
                clock: Arc::clone(&self.shared.clock),
                revision: watch::Sender::new(state.position.revision),
                state: Mutex::new(state),
            }),
        }
    }

    /// The lock is never held across an await or a call to foreign code but `decide`; a panic in
    /// there comes before anything was changed, so that the state behind a poisoned lock is whole.
    fn state(&self) -> MutexGuard<'_, State> {
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Timestamp {
        self.shared.clock.wall()
    }
}

impl fmt::Debug for MemoryStore {
    // Not what is in it: that is everybody's keys, and the secret that seals cursors.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").finish_non_exhaustive()
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

#[expect(clippy::expect_used, reason = "documented on the constructors")]
fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    bytes
}

#[async_trait]
impl KeyStore for MemoryStore {
    async fn look_up(&self, digest: &KeyDigest) -> Result<LookUp, StoreError> {
        let state = self.state();
        Ok(LookUp {
            revision: state.position.revision,
            now: self.now(),
            primary: true,
            found: state.found(digest),
        })
    }

    async fn sync(&self, since: Option<Position>) -> Result<SyncReport, StoreError> {
        let state = self.state();
        let then = since.map_or(state.position.revision, |since| since.revision);
        let changes = state
            .changes
            .iter()
            .filter(|(revision, _)| **revision > then)
            .flat_map(|(&revision, (_, touched))| {
                touched
                    .iter()
                    .map(move |&touched| Change { revision, touched })
            })
            .collect();
        Ok(SyncReport {
            position: state.position,
            nonce_then: state.changes.get(&then).map(|(nonce, _)| *nonce),
            changes,
        })
    }

    fn nudges(&self) -> Box<dyn Nudges> {
        Box::new(Revisions(self.shared.revision.subscribe()))
    }

    async fn get(&self, id: &KeyId) -> Result<Read<Option<KeyRecord>>, StoreError> {
        let value = self.state().record(id);
        Ok(Read {
            now: self.now(),
            value,
        })
    }

    async fn list(&self, query: &ListQuery) -> Result<Read<Vec<KeyRecord>>, StoreError> {
        let position = |record: &KeyRecord| (record.created_at, record.id.clone());
        let mut value: Vec<_> = self
            .state()
            .keys
            .values()
            .map(|stored| &stored.record)
            .filter(|record| query.owner.as_ref().is_none_or(|o| *o == record.owner))
            .filter(|record| query.after.as_ref().is_none_or(|a| position(record) < *a))
            .cloned()
            .collect();
        value.sort_unstable_by_key(|record| std::cmp::Reverse(position(record)));
        value.truncate(usize::try_from(query.limit).unwrap_or(usize::MAX));
        Ok(Read {
            now: self.now(),
            value,
        })
    }

    async fn transact(
        &self,
        subjects: Subjects,
        mut decide: Decide,
    ) -> Result<Transacted, StoreError> {
        // Drawn before anything is changed, since it is the one thing here that can panic.
        let nonce = i64::from_le_bytes(random());
        let mut state = self.state();
        let rows = Rows {
            now: self.now(),
            caller: subjects.caller.and_then(|digest| state.found(&digest)),
            target: subjects.target.as_ref().and_then(|id| state.record(id)),
            ever_had_a_key: state.ever_had_a_key,
        };
        let outcome = match decide(&rows) {
            Decision::Insert { record, digest } => state.insert(record, digest, nonce)?,
            Decision::Update(record) => state.update(rows.target.as_ref(), record, nonce)?,
            Decision::Keep => state.keep(rows.target)?,
            Decision::Refuse(refusal) => Outcome::Refused(refusal),
        };
        let Position {
            store, revision, ..
        } = state.position;
        drop(state);
        self.shared.revision.send_if_modified(|sent| {
            let moved = *sent < revision;
            *sent = (*sent).max(revision);
            moved
        });
        Ok(Transacted {
            now: rows.now,
            store,
            revision,
            outcome,
        })
    }

    async fn cursor_key(&self) -> Result<[u8; 32], StoreError> {
        Ok(self.state().cursor_key)
    }
}

#[derive(Debug)]
struct Revisions(watch::Receiver<u64>);

#[async_trait]
impl Nudges for Revisions {
    async fn nudged(&mut self) {
        if self.0.changed().await.is_err() {
            // The store is gone, and with it every reason to wake up.
            std::future::pending::<()>().await;
        }
    }
}

impl State {
    fn found(&self, digest: &KeyDigest) -> Option<FoundKey> {
        Some(FoundKey {
            record: self.record(self.secrets.get(digest)?)?,
            secret_expires_at: None,
        })
    }

    fn record(&self, id: &KeyId) -> Option<KeyRecord> {
        Some(self.keys.get(id)?.record.clone())
    }

    fn insert(
        &mut self,
        record: KeyRecord,
        digest: KeyDigest,
        nonce: i64,
    ) -> Result<Outcome, StoreError> {
        if self.keys.contains_key(&record.id) || self.secrets.contains_key(&digest) {
            let context = "adding a key whose id or digest is taken";
            return Err(StoreError::new(StoreErrorKind::Conflict, context));
        }
        self.ever_had_a_key = true;
        self.secrets.insert(digest, record.id.clone());
        self.keys.insert(
            record.id.clone(),
            Stored {
                record: record.clone(),
                digest,
            },
        );
        Ok(self.commit(record, Touched::added(&digest), nonce))
    }

    fn update(
        &mut self,
        target: Option<&KeyRecord>,
        record: KeyRecord,
        nonce: i64,
    ) -> Result<Outcome, StoreError> {
        let target = target
            .filter(|target| target.id == record.id)
            .ok_or_else(no_target)?;
        let was = target.revoked.as_ref().map(|revoked| revoked.at);
        if was.is_some() && was != record.revoked.as_ref().map(|revoked| revoked.at) {
            let context = "a revoked key stays revoked";
            return Err(StoreError::new(StoreErrorKind::Corrupt, context));
        }
        let stored = self.keys.get_mut(&record.id).ok_or_else(no_target)?;
        stored.record = record.clone();
        let touched = Touched::changed(&stored.digest);
        Ok(self.commit(record, touched, nonce))
    }

    fn keep(&self, target: Option<KeyRecord>) -> Result<Outcome, StoreError> {
        let record = target.ok_or_else(no_target)?;
        let stored = self.keys.get(&record.id).ok_or_else(no_target)?;
        let touched = vec![Touched::changed(&stored.digest)];
        Ok(Outcome::Kept { touched, record })
    }

    fn commit(&mut self, record: KeyRecord, touched: Touched, nonce: i64) -> Outcome {
        self.position.revision += 1;
        self.position.nonce = nonce;
        let revision = self.position.revision;
        self.changes.insert(revision, (nonce, vec![touched]));
        self.changes = self
            .changes
            .split_off(&revision.saturating_sub(REVISIONS_KEPT));
        Outcome::Committed {
            touched: vec![touched],
            record,
        }
    }
}

fn no_target() -> StoreError {
    StoreError::new(
        StoreErrorKind::Corrupt,
        "a decision kept or changed a key that is not there",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing_that_is_in_it() {
        assert_eq!(format!("{:?}", MemoryStore::new()), "MemoryStore { .. }");
    }
}
