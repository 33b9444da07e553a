//! One shared look-up for a crowd.
//!
//! A flight is a task of its own: the requests that wait for it may come and go, none of them
//! owns the store's future, and one that hangs up cancels nothing for the others. It ends by its
//! deadline whatever the store does, and a panic in the store ends it too.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit, watch};
use tokio::time::{Instant, timeout, timeout_at};

use super::Inner;
use super::authorize::{Question, Unavailable};
use super::cooldown::{Pass, Verdict};
use super::epoch::Epoch;
use super::last_used::Usage;
use crate::clock::BootTime;
use crate::principal::Known;
use crate::store::{LookUp, Source, StoreError, StoreErrorKind};

/// How a flight ends.
#[derive(Clone)]
pub(crate) enum Landing {
    Found(Arc<Known>),
    Unknown,
    Unavailable(Unavailable),
}

/// What a flight's waiters are given.
#[derive(Clone)]
struct Landed {
    landing: Landing,
    /// The moment for which the answer holds, whatever happened after it.
    as_of: BootTime,
}

/// Where a flight's answer appears.
type Arrival = watch::Receiver<Option<Landed>>;

/// The flights under way. What is bounded here is bounded apart for digests that opened a key not
/// long ago and for all others, so that junk cannot lock the known out.
pub(crate) struct Flights {
    under_way: Mutex<UnderWay>,
    waiting: AtomicUsize,
    /// Those among them whose digest never opened anything.
    waiting_unknown: AtomicUsize,
    places: Places,
    /// Look-ups at a time of digests that opened a key not long ago.
    known: Semaphore,
    /// And of all others.
    unknown: Semaphore,
    deadline: Duration,
}

/// How many may wait, and how many flights may be under way.
#[derive(Clone, Copy)]
struct Places {
    all: usize,
    /// How many of them at most for digests that never opened anything.
    unknown: usize,
}

#[derive(Default)]
struct UnderWay {
    arrivals: HashMap<Question, Arrival>,
    /// How many of them are for digests that never opened anything.
    unknown: usize,
}

impl Flights {
    pub(crate) fn new(concurrent: usize, waiters: usize, deadline: Duration) -> Self {
        let unknown = concurrent.div_ceil(2);
        Self {
            under_way: Mutex::default(),
            waiting: AtomicUsize::new(0),
            waiting_unknown: AtomicUsize::new(0),
            places: Places {
                all: waiters,
                unknown: waiters - waiters / 4,
            },
            known: Semaphore::new(concurrent - unknown),
            unknown: Semaphore::new(unknown),
            deadline,
        }
    }

    /// Waits for the flight that asks `question`, and starts it if there is none.
    pub(crate) async fn join(
        &self,
        inner: &Arc<Inner>,
        epoch: Arc<Epoch>,
        question: Question,
    ) -> Landing {
        let once_found = inner.once_found.contains(&question.digest);
        let Some(_places) = self.take_place(once_found) else {
            return Landing::Unavailable(Unavailable::Overloaded);
        };
        let mut arrival = match self.board(inner, epoch, question, once_found) {
            Ok(arrival) => arrival,
            Err(why) => return Landing::Unavailable(why),
        };
        // The flight keeps the deadline and comes first. Should a store block the thread that the
        // flight runs on, those who wait for it still leave.
        let patience = self.deadline + self.deadline / 8;
        let landed = match timeout(patience, arrival.wait_for(Option::is_some)).await {
            Ok(Ok(landed)) => landed.clone(),
            // The task went without a word: the store panicked, or the runtime is going down.
            Ok(Err(_)) => None,
            Err(_) => return Landing::Unavailable(Unavailable::Deadline),
        };
        let Some(Landed { landing, as_of }) = landed else {
            return Landing::Unavailable(Unavailable::Corrupt);
        };
        // The deadline is kept by Tokio's clock, which stands still while the machine sleeps.
        // An answer from before the sleep is too old, whoever waited for it.
        let age = inner.clock.boot().saturating_since(as_of);
        if age > inner.max_staleness {
            return Landing::Unavailable(Unavailable::Deadline);
        }
        landing
    }

    fn board(
        &self,
        inner: &Arc<Inner>,
        epoch: Arc<Epoch>,
        question: Question,
        once_found: bool,
    ) -> Result<Arrival, Unavailable> {
        let mut under_way = self.under_way();
        if let Some(arrival) = under_way.arrivals.get(&question) {
            return Ok(arrival.clone());
        }
        // Flights whose waiters all left go on to their deadline, so they are bounded as well.
        let no_place = under_way.arrivals.len() >= self.places.all;
        if no_place || (!once_found && under_way.unknown >= self.places.unknown) {
            return Err(Unavailable::Overloaded);
        }
        let now = inner.clock.boot();
        if !once_found && inner.budget.is_spent(now) {
            return Err(Unavailable::TooManyUnknown);
        }
        let (sender, arrival) = watch::channel(None);
        under_way.arrivals.insert(question, arrival.clone());
        under_way.unknown += usize::from(!once_found);
        drop(under_way);
        let flight = Flight {
            inner: Arc::clone(inner),
            epoch,
            question,
            once_found,
            as_of: now,
            sender,
            landed: false,
        };
        tokio::spawn(flight.fly());
        Ok(arrival)
    }

    fn take_place(&self, once_found: bool) -> Option<(Place<'_>, Option<Place<'_>>)> {
        let unknown = if once_found {
            None
        } else {
            Some(Place::take(&self.waiting_unknown, self.places.unknown)?)
        };
        Some((Place::take(&self.waiting, self.places.all)?, unknown))
    }

    /// A flight has landed, or was lost.
    fn remove(&self, question: &Question, once_found: bool) {
        let mut under_way = self.under_way();
        if under_way.arrivals.remove(question).is_some() {
            under_way.unknown -= usize::from(!once_found);
        }
    }

    fn under_way(&self) -> MutexGuard<'_, UnderWay> {
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// How many flights are under way, and how many requests wait for them.
    pub(crate) fn load(&self) -> (usize, usize) {
        let flights = self.under_way().arrivals.len();
        (flights, self.waiting.load(Ordering::Relaxed))
    }
}

/// One look-up under way. However it ends, dropping it makes room for the next.
struct Flight {
    inner: Arc<Inner>,
    epoch: Arc<Epoch>,
    question: Question,
    /// Whether the digest opened a key not long ago.
    once_found: bool,
    as_of: BootTime,
    sender: watch::Sender<Option<Landed>>,
    landed: bool,
}

impl Flight {
    async fn fly(mut self) {
        let landing = self.look_up().await;
        match &landing {
            // Remembered before the flight goes from the table, so that there is no moment at
            // which a request finds neither.
            Landing::Found(known) => {
                self.epoch.cache.remember_known(known);
                self.inner.once_found.insert(&known.digest);
            }
            Landing::Unknown => {
                self.epoch
                    .cache
                    .remember_unknown(self.question.digest, self.question.tag);
                if !self.once_found {
                    self.inner.budget.spend(self.inner.clock.boot());
                }
            }
            Landing::Unavailable(_) => {}
        }
        self.landed = true;
        self.inner.flights.remove(&self.question, self.once_found);
        // Nobody may be waiting any more.
        let as_of = self.as_of;
        self.sender.send_replace(Some(Landed { landing, as_of }));
    }

    async fn look_up(&mut self) -> Landing {
        let inner = Arc::clone(&self.inner);
        let flights = &inner.flights;
        let deadline = Instant::now() + flights.deadline;
        let (_permit, pass) = match self.turn(&inner, deadline).await {
            Ok(turn) => turn,
            Err(why) => return Landing::Unavailable(why),
        };
        // The age of the answer counts from before the question was sent.
        self.as_of = inner.clock.boot();
        let asked = Instant::now();
        let ask = async {
            inner.agreement.hold(&inner.store).await?;
            inner
                .store
                .look_up(&self.question.digest, Source::Any)
                .await
        };
        let answer = timeout_at(deadline, ask).await;
        match answer {
            Ok(Ok(row)) => {
                pass.settle(Verdict::Answered);
                self.read(row)
            }
            Ok(Err(error)) if error.kind() == StoreErrorKind::Corrupt => {
                report(&error);
                pass.settle(Verdict::Answered);
                inner.cooldown.cool_digest(self.question.digest);
                Landing::Unavailable(Unavailable::Corrupt)
            }
            Ok(Err(error)) => {
                report(&error);
                pass.settle(Verdict::Failed);
                Landing::Unavailable(Unavailable::StoreFailed)
            }
            // Most of the time went by in the queue, which is no fault of the store's.
            Err(_) if asked.elapsed() < flights.deadline / 2 => {
                pass.settle(Verdict::CutOff);
                Landing::Unavailable(Unavailable::Overloaded)
            }
            Err(_) => {
                tracing::warn!(deadline = ?flights.deadline, "a look-up did not end within its deadline");
                pass.settle(Verdict::Failed);
                Landing::Unavailable(Unavailable::Deadline)
            }
        }
    }

    /// Waits for a turn: after a failure the store, or this one digest, is left alone for a
    /// moment; and only so many look-ups run at a time.
    async fn turn<'a>(
        &self,
        inner: &'a Inner,
        deadline: Instant,
    ) -> Result<(SemaphorePermit<'a>, Pass<'a>), Unavailable> {
        let cool = inner.cooldown.digest_is_cool(&self.question.digest);
        timeout_at(deadline, cool)
            .await
            .map_err(|_| Unavailable::Corrupt)?;
        let lane = if self.once_found {
            &inner.flights.known
        } else {
            &inner.flights.unknown
        };
        // One whose turn comes at its last moment would be cut off before it is answered: the store
        // has the work and nobody the answer, and so it goes with all that wait behind it. An
        // overload that has passed would then never be over.
        let turn_by = deadline - inner.flights.deadline / 2;
        let Ok(Ok(permit)) = timeout_at(turn_by, lane.acquire()).await else {
            return Err(Unavailable::Overloaded);
        };
        // Again, since those before it in the lane may have spent the rest.
        if !self.once_found && inner.budget.is_spent(inner.clock.boot()) {
            return Err(Unavailable::TooManyUnknown);
        }
        let pass = timeout_at(deadline, inner.cooldown.admit())
            .await
            .map_err(|_| Unavailable::StoreFailed)??;
        Ok((permit, pass))
    }

    fn read(&mut self, row: LookUp) -> Landing {
        let inner = &self.inner;
        if self.question.tag.is_ahead_of(row.revision) {
            // Older than what this process knows of. From a primary that means that its history
            // broke, which the next sync will find; nobody is given this answer meanwhile.
            inner.wake.notify_one();
            return Landing::Unavailable(Unavailable::Behind);
        }
        let began = self.as_of;
        if !row.primary {
            // A read replica may lag behind by any time. Its row counts as of the lease, and
            // against the tag that goes with that lease, which may have moved on meanwhile.
            let shard = self.question.digest.shard().into();
            let reading = self.epoch.freshness.read(shard);
            let now = inner.clock.boot().as_nanos();
            if reading.tag.is_ahead_of(row.revision)
                || !reading.is_trusted(now, inner.max_staleness_nanos)
            {
                return Landing::Unavailable(Unavailable::Behind);
            }
            self.as_of = began.min(BootTime::from_nanos(reading.synced_at));
        }
        let Some(found) = row.found else {
            return Landing::Unknown;
        };
        // The remaining life as the store sees it, laid on the boot clock from before the
        // question was sent: the end comes early by the time of the look-up, never late.
        let ends = found.expires_at().map(|end| {
            let remaining = end.saturating_duration_since(row.now);
            began.saturating_add(remaining)
        });
        let (digest, tag) = (self.question.digest, self.question.tag.positive);
        let usage = self.epoch.cache.usage(&digest).unwrap_or_else(|| {
            // What another replica, or this one before a restart, wrote down counts as well.
            let usage = found.secret_last_used_at.map(|used| {
                let ago = row.now.saturating_duration_since(used);
                Usage::noted_at(began.saturating_sub(ago))
            });
            Arc::new(usage.unwrap_or_default())
        });
        Landing::Found(Arc::new(Known::new(found, digest, tag, ends, usage)))
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if !self.landed {
            // The store panicked. Its digest is left alone for a moment, and the next request
            // starts a flight of its own. Dropping the sender tells the waiters.
            self.inner.cooldown.cool_digest(self.question.digest);
            self.inner.flights.remove(&self.question, self.once_found);
        }
    }
}

fn report(error: &StoreError) {
    tracing::warn!(error = error as &dyn std::error::Error, "a look-up failed");
}

/// One place among those who may wait.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize, places: usize) -> Option<Self> {
        waiting
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| {
                (n < places).then_some(n + 1)
            })
            .ok()
            .map(|_| Self(waiting))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
