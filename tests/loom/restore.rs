//! A revoke against a restore that loses it: once the revoke has been answered, the key stays
//! refused, whatever was looked up in between and whenever the restore is noticed.

use loom::sync::{Arc, Mutex};
use loom::thread;

use super::freshness::{Falsified, Freshness};
use super::{Row, Store, check, must_break};

/// Where the restored store is: further on than all that was known of it.
const RESTORED: Row = Row {
    revision: 9,
    opens: true,
};

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

/// What syncs and writes know of the history, under the lock that they share.
#[derive(Clone, Copy)]
struct History {
    highest: u64,
    breaks: u64,
}

struct Replica {
    store: Store,
    current: Mutex<Arc<Epoch>>,
    history: Mutex<History>,
    /// Whether this process has seen the key revoked.
    seen_revoked: Mutex<bool>,
}

/// What is done wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Right,
    /// What was revoked is noted after the tags have moved, just before the answer.
    NotedAfterTheTags,
    /// A write goes by its number alone, which fits into the restored history by chance.
    ByTheNumber,
    /// The epoch that a break begins is believed to hold all that has to be known.
    NothingNoted,
}

impl Replica {
    fn new() -> Self {
        Self {
            store: Store::new(true),
            current: Mutex::new(Epoch::at(1)),
            history: Mutex::new(History {
                highest: 1,
                breaks: 0,
            }),
            seen_revoked: Mutex::new(false),
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
        let row = self.store.look_up();
        if tag.is_ahead_of(row.revision) {
            return false;
        }
        let opens = row.opens && !*self.seen_revoked.lock().unwrap();
        *epoch.cache.lock().unwrap() = Some((tag.positive, opens));
        opens
    }

    fn revoke(&self, way: Way) {
        let then = *self.history.lock().unwrap();
        let revision = self.store.commit(false);
        if matches!(way, Way::Right | Way::ByTheNumber) {
            *self.seen_revoked.lock().unwrap() = true;
        }
        let mut history = self.history.lock().unwrap();
        let astray = history.breaks != then.breaks && way != Way::ByTheNumber;
        history.highest = history.highest.max(revision);
        if astray || revision <= then.highest {
            *self.current.lock().unwrap() = Epoch::at(history.highest);
        } else {
            let epoch = self.current();
            epoch.freshness.bump(0, Falsified::Everything, revision);
        }
        drop(history);
        if way == Way::NotedAfterTheTags {
            *self.seen_revoked.lock().unwrap() = true;
        }
    }

    /// The store is put back, and a sync notices.
    fn restore(&self) {
        *self.store.0.lock().unwrap() = RESTORED;
        let mut history = self.history.lock().unwrap();
        history.breaks += 1;
        history.highest = RESTORED.revision;
        *self.current.lock().unwrap() = Epoch::at(RESTORED.revision);
    }
}

fn model(way: Way) -> impl Fn() + Send + Sync + 'static {
    move || {
        let replica = Arc::new(Replica::new());
        let restore = thread::spawn({
            let replica = Arc::clone(&replica);
            move || replica.restore()
        });
        let earlier = thread::spawn({
            let replica = Arc::clone(&replica);
            move || {
                replica.request();
            }
        });
        replica.revoke(way);
        let promise = "PROMISE: revoked here and let in again after a restore";
        assert!(!replica.request(), "{promise}");
        restore.join().unwrap();
        earlier.join().unwrap();
        assert!(!replica.request(), "{promise}");
    }
}

#[test]
fn a_revoke_outlives_the_restore_that_loses_it() {
    check(model(Way::Right));
}

#[test]
fn noting_what_was_revoked_after_the_tags_is_wrong() {
    must_break(model(Way::NotedAfterTheTags));
}

#[test]
fn going_by_the_number_of_a_write_alone_is_wrong() {
    must_break(model(Way::ByTheNumber));
}

#[test]
fn a_new_epoch_alone_is_not_enough() {
    must_break(model(Way::NothingNoted));
}
