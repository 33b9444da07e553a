//! A swap of the epoch against a write. The timeline is modelled: its pointer is a lock here,
//! since loom knows none of the pointers that are swapped in the real one. That one is run on many
//! schedules in `src/keyring/tests/schedules.rs`.

use loom::sync::{Arc, Mutex};
use loom::thread;

use super::freshness::{Falsified, Freshness};
use super::{Row, Store, check, must_break};

struct Epoch {
    freshness: Freshness,
    cache: Mutex<Option<(u64, bool)>>,
}

impl Epoch {
    fn at(revision: u64) -> Arc<Self> {
        let freshness = Freshness::at(revision, 1);
        freshness.publish_sync(1);
        Arc::new(Self {
            freshness,
            cache: Mutex::new(None),
        })
    }
}

struct Replica {
    store: Store,
    /// A read replica of the store, which has not heard of the revoke.
    lagging: Option<Row>,
    current: Mutex<Arc<Epoch>>,
    /// The lock that syncs and writes share: the newest revision seen.
    highest: Mutex<u64>,
}

/// What is done wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Right,
    /// The epoch is loaded before the commit.
    EpochLoadedBefore,
    /// The bump happens outside the lock that the swap takes.
    BumpOutsideTheLock,
    /// A swap puts the tags where the sync found the store, whatever was committed meanwhile.
    SwapForgetsWrites,
}

impl Replica {
    fn new(lagging: bool) -> Self {
        let store = Store::new(true);
        let row = store.look_up();
        Self {
            store,
            lagging: lagging.then_some(row),
            current: Mutex::new(Epoch::at(1)),
            highest: Mutex::new(1),
        }
    }

    fn current(&self) -> Arc<Epoch> {
        Arc::clone(&self.current.lock().unwrap())
    }

    fn request(&self) -> bool {
        let epoch = self.current();
        let tag = epoch.freshness.read(0).tag;
        let cached = *epoch.cache.lock().unwrap();
        if let Some((of, opens)) = cached
            && of == tag.positive
        {
            return opens;
        }
        let row = self.lagging.unwrap_or_else(|| self.store.look_up());
        if tag.is_ahead_of(row.revision) {
            return false;
        }
        *epoch.cache.lock().unwrap() = Some((tag.positive, row.opens));
        row.opens
    }

    fn revoke(&self, way: Way) {
        let before = self.current();
        let revision = self.store.commit(false);
        let bump = |epoch: Arc<Epoch>| epoch.freshness.bump(0, Falsified::Everything, revision);
        match way {
            Way::EpochLoadedBefore => bump(before),
            Way::BumpOutsideTheLock => {
                let epoch = self.current();
                *self.highest.lock().unwrap() = revision;
                bump(epoch);
            }
            Way::Right | Way::SwapForgetsWrites => {
                let mut highest = self.highest.lock().unwrap();
                *highest = revision;
                bump(self.current());
            }
        }
    }

    /// A sync that finds that the history broke.
    fn swap(&self, way: Way) {
        let highest_then = *self.highest.lock().unwrap();
        let found = self.store.look_up().revision;
        let mut highest = self.highest.lock().unwrap();
        let written_meanwhile = *highest > highest_then && way != Way::SwapForgetsWrites;
        let revision = if written_meanwhile {
            found.max(*highest)
        } else {
            found
        };
        *highest = revision;
        *self.current.lock().unwrap() = Epoch::at(revision);
    }
}

fn model(way: Way, lagging: bool) -> impl Fn() + Send + Sync + 'static {
    move || {
        let replica = Arc::new(Replica::new(lagging));
        let swap = thread::spawn({
            let replica = Arc::clone(&replica);
            move || replica.swap(way)
        });
        let earlier = thread::spawn({
            let replica = Arc::clone(&replica);
            move || {
                replica.request();
            }
        });
        replica.revoke(way);
        let promise = "PROMISE: a revoke outlives the swap of the epoch";
        assert!(!replica.request(), "{promise}");
        swap.join().unwrap();
        earlier.join().unwrap();
        assert!(!replica.request(), "{promise}");
    }
}

#[test]
fn a_revoke_is_heeded_whenever_the_epoch_is_swapped() {
    check(model(Way::Right, false));
}

#[test]
fn a_lagging_read_replica_does_not_undo_a_revoke_when_the_epoch_is_swapped() {
    check(model(Way::Right, true));
}

#[test]
fn bumping_an_epoch_that_was_loaded_before_the_commit_is_wrong() {
    must_break(model(Way::EpochLoadedBefore, false));
}

#[test]
fn bumping_outside_the_lock_is_wrong() {
    must_break(model(Way::BumpOutsideTheLock, true));
}

#[test]
fn a_swap_that_forgets_what_was_written_meanwhile_is_wrong() {
    must_break(model(Way::SwapForgetsWrites, true));
}
