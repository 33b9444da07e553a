//! One shared look-up for a crowd.
//!
//! A flight is a task of its own: the requests that wait for it may come and go, none of them
//! owns the store's future, and one that hangs up cancels nothing for the others. It ends by its
//! deadline whatever the store does, and a panic in the store ends it too. What it asks, and what
//! it makes of the answer, is in `look_up`.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use super::Inner;
use super::authorize::{Question, Unavailable};
use super::concurrency::{AtomicUsize, Mutex, MutexGuard, Ordering, spawn};
use super::epoch::Epoch;
use crate::clock::BootTime;
use crate::principal::Known;

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
    pub(super) known: Semaphore,
    /// And of all others.
    pub(super) unknown: Semaphore,
    pub(super) deadline: Duration,
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
        epoch: &Arc<Epoch>,
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
        // An answer from before the sleep is too old, whoever waited for it; not that the store
        // had failed to give one.
        let age = inner.clock.boot().saturating_since(as_of);
        if age > inner.max_staleness {
            return Landing::Unavailable(Unavailable::Behind);
        }
        landing
    }

    fn board(
        &self,
        inner: &Arc<Inner>,
        epoch: &Arc<Epoch>,
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
            epoch: Arc::clone(epoch),
            question,
            once_found,
            asked: now,
            as_of: now,
            sender,
            landed: false,
        };
        spawn(flight.fly());
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
pub(super) struct Flight {
    pub(super) inner: Arc<Inner>,
    pub(super) epoch: Arc<Epoch>,
    pub(super) question: Question,
    /// Whether the digest opened a key not long ago.
    pub(super) once_found: bool,
    /// When the question was sent that was answered.
    pub(super) asked: BootTime,
    /// The moment for which its answer holds: that one, or an earlier one.
    pub(super) as_of: BootTime,
    sender: watch::Sender<Option<Landed>>,
    landed: bool,
}

impl Flight {
    async fn fly(mut self) {
        let landing = self.look_up().await;
        match &landing {
            // Remembered before the flight goes from the table: whoever looks for both from then on
            // finds one. Who came between its two looks asks once more, which does no harm.
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
