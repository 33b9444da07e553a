//! The switches of a store that fails on command.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::store::{StoreError, StoreErrorKind};

/// What goes wrong in a [`FaultStore`](super::FaultStore), switched while it is in use. Clones
/// switch the same store.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// [`look_up`](crate::store::KeyStore::look_up).
    pub look_ups: Switch,
    /// [`sync`](crate::store::KeyStore::sync).
    pub syncs: Switch,
    /// [`transact`](crate::store::KeyStore::transact).
    pub writes: Switch,
    /// [`touch`](crate::store::KeyStore::touch).
    pub touches: Switch,
    /// [`prune`](crate::store::KeyStore::prune).
    pub prunes: Switch,
    /// Everything else that is read: [`get`](crate::store::KeyStore::get),
    /// [`list`](crate::store::KeyStore::list), [`events`](crate::store::KeyStore::events), [`cursor_key`](crate::store::KeyStore::cursor_key),
    /// [`digest_algorithm`](crate::store::KeyStore::digest_algorithm).
    pub reads: Switch,
    nudges_lost: Arc<AtomicBool>,
    replica: Arc<AtomicBool>,
}

impl Faults {
    /// The whole store is away: every operation fails.
    pub fn fail(&self) {
        self.each(Switch::fail);
    }

    /// Every operation works again.
    pub fn heal(&self) {
        self.each(Switch::heal);
    }

    /// Whether nudges get lost from now on.
    pub fn lose_nudges(&self, lost: bool) {
        self.nudges_lost.store(lost, Ordering::SeqCst);
    }

    /// Whether look-ups from now on are answered by a read replica, but for those that ask for
    /// the [primary](crate::store::Source::Primary). It is up to date, unless look-ups
    /// [answer as before](Switch::answer_as_before), which the primary then does not.
    pub fn answer_as_replica(&self, replica: bool) {
        self.replica.store(replica, Ordering::SeqCst);
    }

    pub(super) fn nudges_are_lost(&self) -> bool {
        self.nudges_lost.load(Ordering::SeqCst)
    }

    pub(super) fn answers_as_replica(&self) -> bool {
        self.replica.load(Ordering::SeqCst)
    }

    fn each(&self, switch: fn(&Switch)) {
        let Self {
            look_ups,
            syncs,
            writes,
            touches,
            prunes,
            reads,
            nudges_lost: _,
            replica: _,
        } = self;
        for operation in [look_ups, syncs, writes, touches, prunes, reads] {
            switch(operation);
        }
    }
}

/// What goes wrong in one operation, and how often it was called. At first nothing does. A fault
/// stays until the next is chosen or [`heal`](Switch::heal) is called, and meets calls that begin
/// after that.
#[derive(Clone, Debug, Default)]
pub struct Switch {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    fault: Mutex<Fault>,
    calls: AtomicU64,
    /// How many of the next calls are to be held.
    to_hold: AtomicUsize,
    held: watch::Sender<usize>,
    /// Moves on with each release.
    releases: watch::Sender<u64>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    None,
    Fail,
    Corrupt,
    Hang,
    Panic,
    Delay(Duration),
    LoseAnswer,
    Stale,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            fault: Mutex::new(Fault::None),
            calls: AtomicU64::new(0),
            to_hold: AtomicUsize::new(0),
            held: watch::Sender::new(0),
            releases: watch::Sender::new(0),
        }
    }
}

impl Switch {
    /// It works again. What is held stays held; what hangs, hangs.
    pub fn heal(&self) {
        self.set(Fault::None);
    }

    /// It fails at once with [`StoreErrorKind::Unavailable`], and does nothing.
    pub fn fail(&self) {
        self.set(Fault::Fail);
    }

    /// It fails at once with [`StoreErrorKind::Corrupt`], and does nothing.
    pub fn corrupt(&self) {
        self.set(Fault::Corrupt);
    }

    /// It does nothing and never ends.
    pub fn hang(&self) {
        self.set(Fault::Hang);
    }

    /// It panics.
    pub fn panic(&self) {
        self.set(Fault::Panic);
    }

    /// It takes this long, on Tokio's clock, before it begins.
    pub fn delay(&self, by: Duration) {
        self.set(Fault::Delay(by));
    }

    /// It is done, and its answer gets lost: [`StoreErrorKind::OutcomeUnknown`] from a write,
    /// [`StoreErrorKind::Unavailable`] from everything else.
    pub fn lose_answers(&self) {
        self.set(Fault::LoseAnswer);
    }

    /// A look-up answers as it did when it was last asked for that key without this fault, and a
    /// sync as it last did. What was never asked before, and every other operation, works.
    pub fn answer_as_before(&self) {
        self.set(Fault::Stale);
    }

    /// How often it was called.
    pub fn calls(&self) -> u64 {
        self.shared.calls.load(Ordering::SeqCst)
    }

    /// Freezes the next `calls`: each does its work and is then held, answer in hand, until
    /// [`release`](Switch::release). One whose future is dropped is held no more.
    pub fn freeze_next(&self, calls: usize) {
        self.shared.to_hold.store(calls, Ordering::SeqCst);
    }

    /// Waits until so many calls are held.
    pub async fn frozen(&self, calls: usize) {
        let mut held = self.shared.held.subscribe();
        // The sender is a field of `self`: this cannot fail.
        let _ = held.wait_for(|held| *held >= calls).await;
    }

    /// How many calls are held.
    pub fn held(&self) -> usize {
        *self.shared.held.borrow()
    }

    /// Lets go of all that is held, and holds nothing more.
    pub fn release(&self) {
        self.shared.to_hold.store(0, Ordering::SeqCst);
        self.shared.releases.send_modify(|releases| *releases += 1);
    }

    fn set(&self, fault: Fault) {
        *self
            .shared
            .fault
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = fault;
    }

    /// Counts a call and takes the fault that it meets.
    pub(super) fn called(&self) -> Fault {
        self.shared.calls.fetch_add(1, Ordering::SeqCst);
        *self
            .shared
            .fault
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Does `work`, or what `fault` makes of it.
    pub(super) async fn meet<T>(
        &self,
        fault: Fault,
        lost: StoreErrorKind,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        match fault {
            Fault::None | Fault::Stale => {}
            Fault::Fail => return Err(failure(StoreErrorKind::Unavailable)),
            Fault::Corrupt => return Err(failure(StoreErrorKind::Corrupt)),
            Fault::Hang => std::future::pending().await,
            #[expect(clippy::panic, reason = "on command")]
            Fault::Panic => panic!("a fault was switched on"),
            Fault::Delay(by) => tokio::time::sleep(by).await,
            Fault::LoseAnswer => {
                work.await?;
                return Err(failure(lost));
            }
        }
        let answer = work.await;
        self.hold().await;
        answer
    }

    async fn hold(&self) {
        let shared = &*self.shared;
        // Before the call counts as held, so that a release from then on lets it go.
        let mut releases = shared.releases.subscribe();
        let is_to_be_held = shared
            .to_hold
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
        if is_to_be_held.is_ok() {
            let _held = Held::new(&shared.held);
            let _ = releases.changed().await;
        }
    }
}

/// One held call, until it goes on or is dropped.
struct Held<'a>(&'a watch::Sender<usize>);

impl<'a> Held<'a> {
    fn new(held: &'a watch::Sender<usize>) -> Self {
        held.send_modify(|held| *held += 1);
        Self(held)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|held| *held -= 1);
    }
}

fn failure(kind: StoreErrorKind) -> StoreError {
    StoreError::new(kind, "meeting a fault that was switched on")
}
