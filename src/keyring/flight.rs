//! One shared look-up for a crowd.
//!
//! A flight is a task of its own: the requests that wait for it may come and go, none of them
//! owns the store's future, and one that hangs up cancels nothing for the others. It ends by its
//! deadline whatever the store does, and a panic in the store ends it too.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, timeout_at};

use super::Inner;
use super::authorize::{Question, Unavailable};
use super::budget::Reservation;
use super::cooldown::Verdict;
use super::epoch::Epoch;
use crate::principal::Known;
use crate::store::{LookUp, StoreError, StoreErrorKind};

/// How a flight ends.
#[derive(Clone)]
pub(crate) enum Landing {
    Found(Arc<Known>),
    Unknown,
    Unavailable(Unavailable),
}

/// The flights under way.
pub(crate) struct Flights {
    under_way: Mutex<HashMap<Question, watch::Receiver<Option<Landing>>>>,
    waiting: AtomicUsize,
    waiters: usize,
    /// Look-ups at a time of digests that opened a key not long ago.
    known: Semaphore,
    /// And of all others. Apart, so that junk cannot starve the known.
    unknown: Semaphore,
    deadline: Duration,
}

impl Flights {
    pub(crate) fn new(concurrent: usize, waiters: usize, deadline: Duration) -> Self {
        let unknown = concurrent.div_ceil(2);
        Self {
            under_way: Mutex::default(),
            waiting: AtomicUsize::new(0),
            waiters,
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
        let Some(_place) = Place::take(&self.waiting, self.waiters) else {
            return Landing::Unavailable(Unavailable::Overloaded);
        };
        let mut landing = match self.board(inner, epoch, question) {
            Ok(landing) => landing,
            Err(why) => return Landing::Unavailable(why),
        };
        match landing.wait_for(Option::is_some).await {
            Ok(landed) => landed
                .clone()
                .unwrap_or(Landing::Unavailable(Unavailable::Corrupt)),
            // The task went without a word: the store panicked, or the runtime is going down.
            Err(_) => Landing::Unavailable(Unavailable::Corrupt),
        }
    }

    fn board(
        &self,
        inner: &Arc<Inner>,
        epoch: Arc<Epoch>,
        question: Question,
    ) -> Result<watch::Receiver<Option<Landing>>, Unavailable> {
        let mut under_way = self.under_way();
        if let Some(landing) = under_way.get(&question) {
            return Ok(landing.clone());
        }
        // Flights whose waiters all left go on to their deadline, so they are bounded apart.
        if under_way.len() >= self.waiters {
            return Err(Unavailable::Overloaded);
        }
        let once_found = epoch.cache.once_found(&question.digest);
        let reservation = if once_found {
            None
        } else {
            let reservation = inner.budget.reserve(inner.clock.boot());
            Some(reservation.ok_or(Unavailable::TooManyUnknown)?)
        };
        let (sender, landing) = watch::channel(None);
        under_way.insert(question, landing.clone());
        drop(under_way);
        let flight = Flight {
            inner: Arc::clone(inner),
            epoch,
            question,
            sender,
            landed: false,
        };
        tokio::spawn(flight.fly(once_found, reservation));
        Ok(landing)
    }

    fn under_way(&self) -> MutexGuard<'_, HashMap<Question, watch::Receiver<Option<Landing>>>> {
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// How many flights are under way, and how many requests wait for them.
    pub(crate) fn load(&self) -> (usize, usize) {
        (self.under_way().len(), self.waiting.load(Ordering::Relaxed))
    }
}

/// One look-up under way. However it ends, dropping it makes room for the next.
struct Flight {
    inner: Arc<Inner>,
    epoch: Arc<Epoch>,
    question: Question,
    sender: watch::Sender<Option<Landing>>,
    landed: bool,
}

impl Flight {
    async fn fly(mut self, once_found: bool, reservation: Option<Reservation>) {
        let landing = self.look_up(once_found).await;
        match &landing {
            // Remembered before the flight goes from the table, so that there is no moment at
            // which a request finds neither.
            Landing::Found(known) => self.epoch.cache.remember_known(known),
            Landing::Unknown => {
                self.epoch
                    .cache
                    .remember_unknown(self.question.digest, self.question.tag);
                if let Some(reservation) = reservation {
                    reservation.spend();
                }
            }
            Landing::Unavailable(_) => {}
        }
        self.landed = true;
        self.inner.flights.under_way().remove(&self.question);
        // Nobody may be waiting any more.
        self.sender.send_replace(Some(landing));
    }

    async fn look_up(&self, once_found: bool) -> Landing {
        let inner = &self.inner;
        let flights = &inner.flights;
        let deadline = Instant::now() + flights.deadline;
        // The wait for a turn: after a failure the store, or this one digest, is left alone for
        // a moment; and only so many look-ups run at a time.
        let turn = async {
            inner.cooldown.digest_is_cool(&self.question.digest).await;
            let lane = if once_found {
                &flights.known
            } else {
                &flights.unknown
            };
            let permit = lane.acquire().await.map_err(|_| Unavailable::Overloaded)?;
            let pass = inner.cooldown.admit().await?;
            Ok::<_, Unavailable>((permit, pass))
        };
        let (_permit, pass) = match timeout_at(deadline, turn).await {
            Ok(Ok(turn)) => turn,
            Ok(Err(why)) => return Landing::Unavailable(why),
            Err(_) => return Landing::Unavailable(Unavailable::Overloaded),
        };
        // The age of the answer counts from before the question was sent.
        let began = inner.clock.boot();
        let answer = timeout_at(deadline, inner.store.look_up(&self.question.digest)).await;
        match answer {
            Ok(Ok(row)) => {
                pass.settle(Verdict::Answered);
                self.read(row, began)
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
            Err(_) => {
                tracing::warn!(deadline = ?flights.deadline, "a look-up did not end within its deadline");
                pass.settle(Verdict::Failed);
                Landing::Unavailable(Unavailable::Deadline)
            }
        }
    }

    fn read(&self, row: LookUp, began: crate::clock::BootTime) -> Landing {
        let inner = &self.inner;
        if self.question.tag.is_ahead_of(row.revision) {
            // Older than what this process knows of. From a primary that means that its history
            // broke, which the next sync will find; nobody is given this answer meanwhile.
            inner.wake.notify_one();
            return Landing::Unavailable(Unavailable::Behind);
        }
        if !row.primary && !self.lease_holds() {
            return Landing::Unavailable(Unavailable::Behind);
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
        Landing::Found(Arc::new(Known::new(found, digest, tag, ends)))
    }

    fn lease_holds(&self) -> bool {
        let reading = self
            .epoch
            .freshness
            .read(self.question.digest.shard().into());
        let now = self.inner.clock.boot().as_nanos();
        reading.is_trusted(now, self.inner.max_staleness_nanos)
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        if !self.landed {
            // The store panicked. Its digest is left alone for a moment, and the next request
            // starts a flight of its own. Dropping the sender tells the waiters.
            self.inner.cooldown.cool_digest(self.question.digest);
            self.inner.flights.under_way().remove(&self.question);
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
