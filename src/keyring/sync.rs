//! Keeping in step with the store: the lease is renewed by each successful sync.
//!
//! One query a poll interval keeps *all* remembered keys fresh, whatever the traffic. Nudges make
//! the next sync come sooner; they carry no truth, so that one that is lost, doubled or forged
//! costs time at most.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard, Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::Inner;
use super::concurrency::{AtomicU64, Ordering, spawn};
use super::history::{Break, Continuity, alarm, continuity};
use super::idle::wait_for_request;
use super::timeline::Followed;
use super::told::Told;
use crate::store::{KeyStore, StoreError, StoreErrorKind, SyncReport};

/// Nudges that come closer together than this share a sync, and no sync but a poll comes sooner
/// after another.
const NUDGE_GAP: Duration = Duration::from_millis(10);

/// Never: no sync has succeeded yet.
const NEVER: u64 = u64::MAX;

/// The syncs of a keyring: one at a time, and what was told of them.
pub(crate) struct Syncs {
    /// Held during a sync: a slow one must not apply an old report over a new one.
    turn: Mutex<Told>,
    /// How long the last successful one took, in nanoseconds.
    lag: AtomicU64,
}

impl Default for Syncs {
    fn default() -> Self {
        Self {
            turn: Mutex::default(),
            lag: AtomicU64::new(NEVER),
        }
    }
}

impl Syncs {
    /// From the start of the last successful sync until all that it brought was applied.
    pub(crate) fn lag(&self) -> Option<Duration> {
        let nanos = self.lag.load(Ordering::Relaxed);
        (nanos != NEVER).then(|| Duration::from_nanos(nanos))
    }

    /// While nobody asks a lease may end, and nobody has to be warned of it.
    pub(super) fn let_the_lease_end(&self) {
        if let Ok(mut told) = self.turn.try_lock() {
            told.nobody_asks();
        }
    }
}

impl Inner {
    /// One sync, on a task of its own so that nobody who leaves can cut it short.
    pub(super) async fn sync(self: &Arc<Self>) -> Result<(), Arc<StoreError>> {
        let inner = Arc::clone(self);
        on_its_own(async move {
            let told = inner.syncs.turn.lock().await;
            inner.sync_in_turn(told).await
        })
        .await
    }

    /// Brings every change up to `revision` here, by a sync unless one has done so by the time
    /// that this one's turn comes: of many who wait for their turn, one syncs for all.
    pub(super) async fn sync_up_to(self: &Arc<Self>, revision: u64) -> Result<(), Arc<StoreError>> {
        let inner = Arc::clone(self);
        on_its_own(async move {
            let told = inner.syncs.turn.lock().await;
            if inner.timeline.followed().seamless >= revision {
                return Ok(());
            }
            inner.sync_in_turn(told).await
        })
        .await
    }

    async fn sync_in_turn(&self, mut told: MutexGuard<'_, Told>) -> Result<(), Arc<StoreError>> {
        // A machine that slept, or a process that was stopped, learns here what it has missed.
        self.tell_lease(&mut told);
        // The lease counts from the start. The answer may be as old as the question.
        let began = self.clock.boot();
        let followed = self.timeline.followed();
        let ask = async {
            self.agreement.hold(&self.store).await?;
            self.store.sync(followed.applied).await
        };
        let answer = timeout(self.sync_deadline, ask).await;
        let result = match answer {
            Ok(Ok(report)) => {
                self.apply(followed, &report, began.as_nanos());
                let took = self.clock.boot().saturating_since(began);
                let nanos = u64::try_from(took.as_nanos()).unwrap_or(NEVER - 1);
                self.syncs.lag.store(nanos, Ordering::Relaxed);
                let (revision, changes) = (report.position.revision, report.changes.len());
                tracing::debug!(revision, changes, ?took, "in step");
                Ok(())
            }
            Ok(Err(error)) => Err(Arc::new(error)),
            Err(_) => {
                let context = format!("a sync did not end within {:?}", self.sync_deadline);
                let error = StoreError::new(StoreErrorKind::Unavailable, context);
                Err(Arc::new(error))
            }
        };
        told.outcome(&result);
        self.tell_lease(&mut told);
        told.listening(self.store.is_listening());
        result
    }

    fn tell_lease(&self, told: &mut Told) {
        let age = self.lease_age();
        told.lease(age, age.is_some_and(|age| age <= self.max_staleness));
    }

    fn apply(&self, followed: Followed, report: &SyncReport, began: u64) {
        let SyncReport {
            position, changes, ..
        } = report;
        let mut continuity = continuity(followed, report);
        if continuity == Continuity::Unbroken
            && !self.timeline.continue_to(*position, changes, began)
        {
            continuity = Continuity::Broken(Break::LostOurs);
        }
        let start_over = |broken| {
            self.timeline
                .start_over_at(*position, followed, broken, began)
        };
        match continuity {
            Continuity::Unbroken => {}
            Continuity::First => {
                start_over(false);
            }
            Continuity::Broken(why) => alarm(why, position.revision, start_over(true)),
        }
    }

    /// A look-up by the primary has found a key alive that is revoked, and revoked is for ever.
    pub(super) fn break_found(&self, revision: u64) {
        if let Some(epoch) = self.timeline.break_found() {
            alarm(Break::Revived, revision, epoch);
            self.wake.notify_one();
        }
    }
}

async fn on_its_own(
    sync: impl Future<Output = Result<(), Arc<StoreError>>> + Send + 'static,
) -> Result<(), Arc<StoreError>> {
    spawn(sync).await.unwrap_or_else(|panic| {
        let context = "a sync panicked";
        let error = StoreError::new(StoreErrorKind::Corrupt, context).caused_by(panic);
        tracing::error!(error = &error as &dyn std::error::Error, "a sync failed");
        Err(Arc::new(error))
    })
}

/// When to sync.
pub(super) struct Rhythm {
    pub(super) poll: Duration,
    /// Makes the next sync come at once.
    pub(super) wake: Arc<Notify>,
    /// Tells of the first request after a poll.
    pub(super) request: Arc<Notify>,
}

/// Syncs on every poll, nudge and wake, until the last keyring is dropped.
pub(super) async fn run(
    inner: Weak<Inner>,
    store: Arc<dyn KeyStore>,
    rhythm: Rhythm,
    mut last_keyring: watch::Receiver<()>,
) {
    let Rhythm {
        poll,
        wake,
        request,
    } = rhythm;
    // A task of its own: nudges are a comfort, and a store that panics over them must not take
    // the syncs along. Dropping the set ends it.
    let nudge = Arc::new(Notify::new());
    let mut listener = JoinSet::new();
    listener.spawn(pass_on_nudges(store, Arc::clone(&nudge)));
    loop {
        let synced = match inner.upgrade() {
            // What went wrong is told by the sync itself.
            Some(inner) => inner.sync().await.is_ok(),
            None => return,
        };
        // After a failure sooner, so that the recovery is found out soon.
        let next = if synced { poll } else { poll / 4 };
        // Whoever nudges or wakes, be it with every request, does not make it spin.
        let gap = if synced { NUDGE_GAP } else { next };
        let soonest = Instant::now() + gap;
        let due = async {
            sleep(next).await;
            wait_for_request(&inner, &request).await;
        };
        tokio::select! {
            () = due => {}
            () = nudge.notified() => sleep(gap).await,
            () = wake.notified() => sleep_until(soonest).await,
            // The sender lives in `Inner`; it says nothing, it only goes.
            _ = last_keyring.changed() => return,
        }
    }
}

async fn pass_on_nudges(store: Arc<dyn KeyStore>, nudge: Arc<Notify>) {
    let mut nudges = store.nudges();
    loop {
        nudges.nudged().await;
        nudge.notify_one();
    }
}
