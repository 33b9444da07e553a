//! The store in memory: for tests, examples, and services whose keys may go with the process.

mod state;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::watch;

use self::state::{State, must_be_the_target, position};
use super::contract::{
    Change, KeyStore, ListQuery, LookUp, Nudges, Position, Read, Source, StoreId, SyncReport, Use,
};
use super::decision::{Decide, Decision, Outcome, Subjects, Transacted};
use super::error::StoreError;
use super::event::{EventQuery, Pruned, RecordedEvent, Retention};
use super::record::KeyRecord;
use crate::clock::{Clock, SystemClock};
use crate::key::{KeyDigest, KeyId};
use crate::timestamp::Timestamp;

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
                state: Mutex::new(State::new(position, random())),
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

    fn nudge(&self, revision: u64) {
        self.shared.revision.send_if_modified(|sent| {
            let moved = *sent < revision;
            *sent = (*sent).max(revision);
            moved
        });
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
    async fn look_up(&self, digest: &KeyDigest, _source: Source) -> Result<LookUp, StoreError> {
        let state = self.state();
        Ok(LookUp {
            store: state.position.store,
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

    fn is_listening(&self) -> bool {
        true
    }

    async fn get(&self, id: &KeyId) -> Result<Read<Option<KeyRecord>>, StoreError> {
        let value = self.state().record(id);
        Ok(Read {
            now: self.now(),
            value,
        })
    }

    async fn list(&self, query: &ListQuery) -> Result<Read<Vec<KeyRecord>>, StoreError> {
        let now = self.now();
        let mut value: Vec<_> = self.state().list(query, now);
        value.sort_unstable_by_key(|record| std::cmp::Reverse(position(record)));
        value.truncate(usize::try_from(query.limit).unwrap_or(usize::MAX));
        Ok(Read { now, value })
    }

    async fn transact(
        &self,
        subjects: Subjects,
        mut decide: Decide,
    ) -> Result<Transacted, StoreError> {
        // Drawn before anything is changed, since it is the one thing here that can panic.
        let nonce = i64::from_le_bytes(random());
        let mut state = self.state();
        let rows = state.rows(&subjects, self.now());
        let outcome = match decide(&rows) {
            Decision::Insert {
                record,
                digest,
                replay,
                event,
            } => {
                let outcome = state.insert(record, digest, nonce)?;
                state.remember(subjects.replay.zip(replay), rows.now);
                state.record_event(&outcome, event);
                outcome
            }
            Decision::Update { record, event } => {
                must_be_the_target(&rows, &record.id)?;
                let outcome = state.update(record, nonce)?;
                state.record_event(&outcome, event);
                outcome
            }
            Decision::Rotate {
                record,
                digest,
                event,
            } => {
                must_be_the_target(&rows, &record.id)?;
                let outcome = state.rotate(record, digest, nonce)?;
                state.record_event(&outcome, event);
                outcome
            }
            Decision::EndPrevious { record, event } => {
                must_be_the_target(&rows, &record.id)?;
                let outcome = state.end_previous(&record.id, nonce)?;
                state.record_event(&outcome, event);
                outcome
            }
            Decision::RevokeAll { whose, revocation } => {
                state.revoke_all(&whose, &revocation, nonce)
            }
            Decision::Keep => state.keep(rows.target.as_ref())?,
            Decision::Refuse(refusal) => Outcome::Refused(refusal),
        };
        let Position {
            store, revision, ..
        } = state.position;
        drop(state);
        self.nudge(revision);
        Ok(Transacted {
            now: rows.now,
            store,
            revision,
            outcome,
        })
    }

    async fn events(&self, query: &EventQuery) -> Result<Read<Vec<RecordedEvent>>, StoreError> {
        let value = self.state().events(query);
        Ok(Read {
            now: self.now(),
            value,
        })
    }

    async fn prune(&self, retention: &Retention) -> Result<Pruned, StoreError> {
        let nonce = i64::from_le_bytes(random());
        let mut state = self.state();
        let pruned = state.prune(retention, self.now(), nonce);
        let revision = state.position.revision;
        drop(state);
        self.nudge(revision);
        Ok(pruned)
    }

    async fn touch(&self, uses: &[Use]) -> Result<(), StoreError> {
        let mut state = self.state();
        for used in uses {
            state.touch(used);
        }
        Ok(())
    }

    async fn digest_algorithm(&self, name: &str) -> Result<String, StoreError> {
        let mut state = self.state();
        if !state.ever_had_a_key || state.digest_algorithm.is_none() {
            state.digest_algorithm = Some(name.to_owned());
        }
        Ok(state.digest_algorithm.clone().unwrap_or_default())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing_that_is_in_it() {
        assert_eq!(format!("{:?}", MemoryStore::new()), "MemoryStore { .. }");
    }
}
