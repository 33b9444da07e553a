//! Changes to keys: committed, then visible to this keyring's own cache, then answered.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::timeout;
use tracing::Instrument as _;

use super::Inner;
use super::change::KeyChange;
use super::concurrency::spawn;
use super::history::{Break, alarm};
use super::timeline::{Fit, Followed, Write};
use crate::key::{KeyDigest, NotAHint};
use crate::store::{
    Decision, Event, Outcome, Refusal, Rows, StoreError, StoreErrorKind, Subjects, Touched,
    Transacted,
};

/// How long a caller of the admin API waits for the store. A write itself goes on to its end.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// How long a change that was committed waits for a sync before it is answered. Longer than a good
/// sync takes, and short beside [`PATIENCE`].
const CATCH_UP: Duration = Duration::from_secs(1);

/// Why a change to a key did not happen, or may not have.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The rules do not allow it. Nothing was written.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The operating system gave no random bytes to make a key from. Nothing was written.
    #[error("no random bytes for a new key")]
    NoRandomness(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The environment is not declared. Nothing was written.
    #[error("the environment {0:?} is not declared")]
    UnknownEnvironment(String),
    /// The application declares its scopes, and this is none of them. Nothing was written.
    #[error("the scope `{scope}` is not declared; declared are {known}")]
    UnknownScope {
        /// How it begins that was asked for.
        scope: String,
        /// The scopes that are declared.
        known: String,
    },
    /// A key that was made elsewhere cannot begin so. Nothing was written.
    #[error(transparent)]
    NotAHint(#[from] NotAHint),
    /// The application does not know this role. Nothing was written.
    #[error("the role `{role}` is not known; known are {known}")]
    UnknownRole {
        /// How it begins that was asked for.
        role: String,
        /// The roles that are known.
        known: String,
    },
    /// The store failed. Nothing was written.
    #[error("the change could not be written")]
    Store(#[source] StoreError),
    /// Nobody knows whether it was written. Ask again what the key is now.
    #[error("the store did not say whether the change was written")]
    OutcomeUnknown(#[source] Option<StoreError>),
}

impl Inner {
    /// Commits what `decide` says, tells the cache, and only then returns. Whoever waits may hang
    /// up: the write is on a task of its own and is neither cut short nor left unknown to the
    /// cache.
    pub(super) async fn write(
        self: &Arc<Self>,
        subjects: Subjects,
        mut decide: impl FnMut(&Rows) -> Result<Decision, Refusal> + Send + 'static,
    ) -> Result<Transacted, WriteError> {
        let inner = Arc::clone(self);
        let seeing = Arc::clone(self);
        // A store that starts over asks again: the last time counts.
        let decided = Arc::new(Mutex::new(None));
        let event = Arc::clone(&decided);
        let decide = Box::new(move |rows: &Rows| {
            seeing.see(rows);
            let decision = decide(rows).unwrap_or_else(Decision::Refuse);
            *lock(&decided) = decision.event();
            decision
        });
        let work = async move {
            let unsettled = Unsettled(&inner);
            let caller = subjects.caller;
            let then = inner.timeline.followed();
            let result = match inner.agreement.hold(&inner.store).await {
                Ok(()) => inner.store.transact(subjects, decide).await,
                Err(error) => Err(error),
            };
            match &result {
                Ok(transacted) => {
                    unsettled.settle();
                    if inner.heed(transacted, caller, then) == Fit::Gap {
                        inner.catch_up(transacted.revision).await;
                    }
                    if let Some(change) = KeyChange::made(&transacted.outcome, lock(&event).take())
                    {
                        change.log();
                        inner.listeners.tell(&change);
                    }
                }
                // The drop forgets: what it put out of date is not known.
                Err(error) if error.kind() == StoreErrorKind::OutcomeUnknown => drop(unsettled),
                Err(_) => unsettled.settle(),
            }
            result
        };
        let task = spawn(work.in_current_span());
        let transacted = match timeout(PATIENCE, task).await {
            Ok(Ok(Ok(transacted))) => transacted,
            Ok(Ok(Err(error))) if error.kind() == StoreErrorKind::OutcomeUnknown => {
                return Err(WriteError::OutcomeUnknown(Some(error)));
            }
            Ok(Ok(Err(error))) => return Err(WriteError::Store(error)),
            // The store panicked, or it takes longer than anybody waits. The task heeds what comes of
            // it, but whoever asked is told now that it may be done.
            Ok(Err(_)) | Err(_) => {
                self.timeline.forget();
                self.wake.notify_one();
                return Err(WriteError::OutcomeUnknown(None));
            }
        };
        match transacted.outcome {
            Outcome::Refused(refusal) => Err(WriteError::Refused(refusal)),
            _ => Ok(transacted),
        }
    }

    /// Makes what a transaction did, or found done, hold for what is remembered here, before
    /// anybody is told of it.
    fn heed(&self, transacted: &Transacted, caller: Option<KeyDigest>, then: Followed) -> Fit {
        // Before the tags move, and the epoch is swapped where it has to be: whoever comes after
        // that and finds such a key alive finds it here too.
        match &transacted.outcome {
            Outcome::Committed { record, .. } if record.revoked.is_some() => {
                self.seen_revoked.revoked([&record.id]);
            }
            Outcome::RevokedAll { keys, .. } => self.seen_revoked.revoked(keys),
            _ => {}
        }
        let (touched, committed) = match &transacted.outcome {
            Outcome::Committed { touched, .. } => (touched.clone(), true),
            Outcome::RevokedAll {
                touched, revoked, ..
            } => (touched.clone(), *revoked > 0),
            Outcome::Kept { touched, .. } => (touched.clone(), false),
            // The caller came in on a remembered answer that is out of date.
            Outcome::Refused(Refusal::CallerDead | Refusal::CallerLacksScope) => {
                let touched = caller.iter().map(Touched::changed).collect();
                (touched, false)
            }
            Outcome::Refused(_) => return Fit::Seamless,
        };
        let write = Write {
            store: transacted.store,
            revision: transacted.revision,
            touched: &touched,
            committed,
        };
        let fit = self.timeline.heed(&write, then);
        if fit == Fit::Broken {
            let epoch = self.timeline.current().number;
            alarm(Break::ByOurs, transacted.revision, epoch);
        }
        if matches!(fit, Fit::Broken | Fit::Astray) {
            self.wake.notify_one();
        }
        fit
    }

    /// Remembers which of the rows that a decision is about are revoked.
    fn see(&self, rows: &Rows) {
        let caller = rows.caller.as_ref().map(|caller| &caller.record);
        let revoked = caller.into_iter().chain(&rows.target);
        let revoked = revoked.filter(|record| record.revoked.is_some());
        self.seen_revoked
            .read_as_revoked(revoked.map(|record| &record.id));
    }

    /// Others have written before the write that is about to be answered. What they did may be
    /// what its caller takes for granted: a secret that was replaced elsewhere is none of the
    /// key's any more, so that a revoke here does not touch it, and yet it may be remembered here.
    ///
    /// The change is committed, and its answer waits for this, so not for long.
    async fn catch_up(self: &Arc<Self>, revision: u64) {
        let caught_up = timeout(CATCH_UP, self.sync_up_to(revision)).await;
        if !matches!(caught_up, Ok(Ok(()))) {
            self.timeline.forget();
            self.wake.notify_one();
        }
    }
}

fn lock(event: &Mutex<Option<Event>>) -> MutexGuard<'_, Option<Event>> {
    event.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A write on its way. Dropped before it is settled, whether by a panic in the store or because
/// the answer to the COMMIT was lost, it makes the keyring forget all that it remembers.
struct Unsettled<'a>(&'a Inner);

impl Unsettled<'_> {
    fn settle(self) {
        std::mem::forget(self);
    }
}

impl Drop for Unsettled<'_> {
    fn drop(&mut self) {
        self.0.timeline.forget();
        self.0.wake.notify_one();
    }
}
