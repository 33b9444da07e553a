//! The lock under which the history that a keyring follows moves on, from sync to sync, by writes of
//! its own, and from one epoch to the next.

use std::sync::{Arc, PoisonError};

use super::concurrency::{ArcSwap, AtomicU64, Mutex, MutexGuard, Ordering};
use super::epoch::{CacheSizes, Epoch, Start};
use super::own_writes::OwnWrites;
use crate::store::{Change, Position, StoreId, Touched, Where};

/// The current epoch, and what only syncs and writes look at.
pub(crate) struct Timeline {
    current: ArcSwap<Epoch>,
    history: Mutex<History>,
    epochs: AtomicU64,
    sizes: CacheSizes,
}

#[derive(Default)]
struct History {
    followed: Followed,
    ours: OwnWrites,
}

/// How far the store's history was followed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Followed {
    /// Up to where every change row has been applied to the current epoch.
    pub(crate) applied: Option<Position>,
    /// The newest revision seen: by a sync, by a write, or by a look-up that the primary answered.
    pub(crate) highest: u64,
    /// How many writes of ours were heeded.
    pub(crate) writes: u64,
    /// Every change up to this revision has been heeded in the current epoch, be it by a sync or
    /// as a write of ours that followed on the one before.
    pub(crate) seamless: u64,
    /// How often the history was found broken.
    pub(crate) breaks: u64,
}

/// A write of ours, as the store has answered it.
pub(crate) struct Write<'a> {
    pub(crate) store: StoreId,
    /// At which it committed, or at which it found its change already made.
    pub(crate) revision: u64,
    /// What it put out of date.
    pub(crate) touched: &'a [Touched],
    pub(crate) committed: bool,
}

/// How a write fits into the history that was followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fit {
    /// Whatever came before it is known of.
    Seamless,
    /// Others have written before it, of which nothing is known yet.
    Gap,
    /// It went to another history; what was remembered is dropped.
    Broken,
    /// The history was found broken while it was under way, and nobody can tell to which of the
    /// two it went; what was remembered is dropped.
    Astray,
}

impl Timeline {
    pub(crate) fn new(sizes: CacheSizes) -> Self {
        Self {
            current: ArcSwap::from_pointee(Epoch::first(&sizes)),
            history: Mutex::default(),
            epochs: AtomicU64::new(0),
            sizes,
        }
    }

    /// Requests load this once and never take the lock.
    #[inline]
    pub(crate) fn current(&self) -> arc_swap::Guard<Arc<Epoch>> {
        self.current.load()
    }

    /// How far the history was followed, to be asked before a sync or a write is sent.
    pub(crate) fn followed(&self) -> Followed {
        self.history().followed
    }

    /// The primary has answered a look-up of this epoch at this revision. A store below it has lost
    /// what that look-up saw.
    pub(crate) fn saw(&self, epoch: u64, revision: u64) {
        let mut history = self.history();
        // Under the lock, so that no revision of a history that is left behind comes after it.
        if self.current.load().number == epoch {
            let followed = &mut history.followed;
            followed.highest = followed.highest.max(revision);
        }
    }

    /// A sync that began at `began` continues the history; or it does not, because a write of ours
    /// is missing, and nothing is done.
    pub(crate) fn continue_to(&self, position: Position, changes: &[Change], began: u64) -> bool {
        let mut history = self.history();
        let History { followed, ours } = &mut *history;
        if !ours.are_among(changes, position.revision) {
            return false;
        }
        let epoch = self.current.load();
        for change in changes {
            epoch.bump(change.touched, change.revision);
        }
        followed.applied = Some(position);
        followed.highest = followed.highest.max(position.revision);
        followed.seamless = followed.seamless.max(position.revision);
        // Last: the lease vouches for everything above.
        epoch.freshness.publish_sync(began);
        true
    }

    /// A sync that began at `began` found another history, `broken` off from the one that was
    /// followed, or the first one. `then` is how far the history was followed before it was sent.
    /// Answers with the number of the new epoch.
    pub(crate) fn start_over_at(
        &self,
        position: Position,
        then: Followed,
        broken: bool,
        began: u64,
    ) -> u64 {
        let mut history = self.history();
        let History { followed, ours } = &mut *history;
        followed.applied = Some(position);
        // A write of ours that committed since then may have come after the sync looked, and a
        // read replica may not have it yet. If it went to the history that is left behind here,
        // then this is too high, and the next sync finds that.
        // Counted, since after a restore its revision may be lower than what was seen before.
        let written_meanwhile = followed.writes != then.writes;
        let revision = if written_meanwhile {
            position.revision.max(followed.highest)
        } else {
            position.revision
        };
        followed.highest = revision;
        // Nothing is remembered yet, and nothing read below this will be.
        followed.seamless = revision;
        followed.breaks += u64::from(broken);
        ours.forget();
        let epoch = self.next_epoch(&Start {
            store: Some(position.store),
            revision,
            broken,
        });
        // Before anybody can see the new epoch; a look-up of the old one lands in the old cache.
        epoch.freshness.publish_sync(began);
        self.swap(epoch)
    }

    /// A write of ours was answered; its caller hears of it only after this. `then` is how far the
    /// history was followed before it was sent. Where the history that was known then holds no
    /// more, everything is looked up again until the next sync.
    pub(crate) fn heed(&self, write: &Write<'_>, then: Followed) -> Fit {
        let &Write {
            store,
            revision,
            touched,
            committed,
        } = write;
        let mut history = self.history();
        let epoch = self.current.load_full();
        history.followed.writes += 1;
        // A commit gets a revision above all that were known when it was sent; what is found done
        // has one at least as high.
        let least = then.highest + u64::from(committed);
        let another = epoch.store.is_some_and(|followed| followed != store);
        if another || revision < least || history.has_missed(&epoch, write, then) {
            // It went to another store, or to another past of it, than the one we know: what we
            // remember is not of that.
            history.followed.highest = revision;
            self.break_off(&mut history, Some(store));
            return Fit::Broken;
        }
        history.followed.highest = history.followed.highest.max(revision);
        if history.followed.breaks != then.breaks {
            // Its revision may be one of the history that was left behind, and say nothing to the
            // tags of the one that is followed now.
            self.start_again(&mut history.followed);
            return Fit::Astray;
        }
        // Under the lock that a swap takes too, so that the bump is not lost on an epoch on its
        // way out. `applied` and the lease stay: other changes up to this revision are not known.
        for &touched in touched {
            epoch.bump(touched, revision);
        }
        let History { followed, ours } = &mut *history;
        let Some(applied) = followed.applied else {
            // Before the first sync nothing that is remembered is believed.
            followed.seamless = followed.seamless.max(revision);
            return Fit::Seamless;
        };
        if committed && revision > applied.revision {
            ours.note(then.highest, revision, touched);
        }
        let others = revision - u64::from(committed && revision > 0);
        if others <= followed.seamless {
            followed.seamless = followed.seamless.max(revision);
            return Fit::Seamless;
        }
        Fit::Gap
    }

    /// A look-up has shown that the history broke: a key that is revoked for ever is alive. Answers
    /// with the number of the new epoch, unless it is known already.
    pub(crate) fn break_found(&self) -> Option<u64> {
        let mut history = self.history();
        let known = self.current.load().refuses_seen_revoked;
        (!known).then(|| self.break_off(&mut history, None))
    }

    /// The history is not the one that was followed. The next sync finds which it is.
    fn break_off(&self, history: &mut History, store: Option<StoreId>) -> u64 {
        let History { followed, ours } = history;
        followed.applied = None;
        followed.seamless = followed.highest;
        followed.breaks += 1;
        ours.forget();
        self.swap(self.next_epoch(&Start {
            store,
            revision: followed.highest,
            broken: true,
        }))
    }

    /// Nothing remembered can be believed any more, and nothing will be until the next sync.
    pub(crate) fn forget(&self) {
        self.start_again(&mut self.history().followed);
    }

    /// The store's word counts again, also for what was seen revoked, which `forget` forgets.
    pub(crate) fn trust(&self, forget: impl FnOnce()) {
        // Under the lock, so that a history that breaks at this moment does so before or after.
        let followed = &mut self.history().followed;
        forget();
        followed.seamless = followed.highest;
        let mut epoch = self.next_epoch(&Start {
            store: None,
            revision: followed.highest,
            broken: false,
        });
        epoch.refuses_seen_revoked = false;
        self.swap(epoch);
    }

    fn start_again(&self, followed: &mut Followed) {
        followed.seamless = followed.highest;
        self.swap(self.next_epoch(&Start {
            store: None,
            revision: followed.highest,
            broken: false,
        }));
    }

    /// Only under the lock: what it takes over from the current epoch must not change meanwhile.
    fn next_epoch(&self, start: &Start) -> Epoch {
        let number = self.epochs.fetch_add(1, Ordering::Relaxed) + 1;
        self.current.load().next(number, start, &self.sizes)
    }

    /// Answers with the number of the new epoch.
    fn swap(&self, epoch: Epoch) -> u64 {
        let number = epoch.number;
        self.current.store(Arc::new(epoch));
        number
    }

    fn history(&self) -> MutexGuard<'_, History> {
        // Nothing under the lock can panic half-way but an allocation.
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl History {
    /// Whether a sync has come as far as this write and has not found it: then it is in a history
    /// that is no more.
    fn has_missed(&self, epoch: &Epoch, write: &Write<'_>, then: Followed) -> bool {
        let passed = |applied: Position| applied.revision >= write.revision;
        let was_brought = |touched: &Touched| match touched.place {
            // Every change moves the negative tag.
            Where::Shard(shard) => epoch.freshness.read(shard.into()).tag.negative > then.highest,
            Where::Anywhere => true,
        };
        write.committed
            && self.followed.applied.is_some_and(passed)
            && !write.touched.is_empty()
            && !write.touched.iter().any(was_brought)
    }
}
