//! Requests under an outage grace, when no look-up succeeds, against a revoke of this process:
//! whoever comes after its answer is refused.

use loom::sync::{Arc, Mutex};
use loom::thread;

use super::freshness::{Falsified, Freshness};
use super::{Store, check, must_break};

/// The lease and the grace.
const TRUSTED_FOR: u64 = 100;
const NOW: u64 = 50;

/// What is done wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Right,
    /// Whatever is remembered of the key will do: it was good once.
    WithoutTags,
    /// What was let in is kept under the tag of now, so that the next one has it at once.
    KeptAnew,
    /// When everything is forgotten, what was good goes along: the store is away.
    TakenAlong,
}

struct Epoch {
    freshness: Freshness,
    cache: Mutex<Option<(u64, bool)>>,
}

impl Epoch {
    fn at(revision: u64, cached: Option<(u64, bool)>) -> Arc<Self> {
        Arc::new(Self {
            freshness: Freshness::at(revision, 1),
            cache: Mutex::new(cached),
        })
    }
}

struct Replica {
    store: Store,
    current: Mutex<Arc<Epoch>>,
    /// The lock that writes and swaps share.
    history: Mutex<()>,
}

impl Replica {
    /// The key is known to be good, as of a lease that is over.
    fn new() -> Self {
        let epoch = Epoch::at(1, Some((1, true)));
        epoch.freshness.publish_sync(1);
        Self {
            store: Store::new(true),
            current: Mutex::new(epoch),
            history: Mutex::new(()),
        }
    }

    fn current(&self) -> Arc<Epoch> {
        Arc::clone(&self.current.lock().unwrap())
    }

    /// Its look-up fails.
    fn request(&self, way: Way) -> bool {
        let epoch = self.current();
        let reading = epoch.freshness.read(0);
        let cached = *epoch.cache.lock().unwrap();
        let Some((of, opens)) = cached else {
            return false;
        };
        let fits = of == reading.tag.positive || way == Way::WithoutTags;
        let let_in = fits && opens && reading.is_trusted(NOW, TRUSTED_FOR);
        if let_in && way == Way::KeptAnew {
            let again = epoch.freshness.read(0).tag.positive;
            *epoch.cache.lock().unwrap() = Some((again, opens));
        }
        let_in
    }

    /// The revoke is answered.
    fn revoke(&self) {
        let revision = self.store.commit(false);
        let _history = self.history.lock().unwrap();
        let epoch = self.current();
        epoch.freshness.bump(0, Falsified::Everything, revision);
    }

    /// Another write could not catch up with what others have written.
    fn forget(&self, way: Way) {
        let _history = self.history.lock().unwrap();
        let before = self.current();
        let tag = before.freshness.read(0).tag.positive;
        let after = if way == Way::TakenAlong {
            let cached = *before.cache.lock().unwrap();
            let after = Epoch::at(tag, cached.map(|(_, opens)| (tag, opens)));
            after.freshness.publish_sync(before.freshness.synced_at());
            after
        } else {
            Epoch::at(tag, None)
        };
        *self.current.lock().unwrap() = after;
    }
}

fn model(way: Way) -> impl Fn() + Send + Sync + 'static {
    move || {
        let replica = Arc::new(Replica::new());
        let earlier = thread::spawn({
            let replica = Arc::clone(&replica);
            move || {
                replica.request(way);
            }
        });
        let forget = thread::spawn({
            let replica = Arc::clone(&replica);
            move || replica.forget(way)
        });
        replica.revoke();
        let promise = "PROMISE: let in under a grace after this process has revoked it";
        let at_once = replica.request(way);
        // Nothing may be under way when a model fails.
        earlier.join().unwrap();
        forget.join().unwrap();
        assert!(!at_once && !replica.request(way), "{promise}");
    }
}

/// Nobody is let in under a grace by what was known before everything was forgotten: a lost
/// answer to a COMMIT may have been that of a revoke.
fn forgotten(way: Way) -> impl Fn() + Send + Sync + 'static {
    move || {
        let replica = Arc::new(Replica::new());
        let earlier = thread::spawn({
            let replica = Arc::clone(&replica);
            move || {
                replica.request(way);
            }
        });
        replica.forget(way);
        let promise = "PROMISE: let in under a grace by what was forgotten";
        let at_once = replica.request(way);
        earlier.join().unwrap();
        assert!(!at_once && !replica.request(way), "{promise}");
    }
}

#[test]
fn after_a_revoke_here_no_grace_lets_the_key_in() {
    check(model(Way::Right));
}

#[test]
fn after_everything_was_forgotten_no_grace_lets_anybody_in() {
    check(forgotten(Way::Right));
}

#[test]
fn going_by_what_is_remembered_whatever_its_tag_is_wrong() {
    must_break(model(Way::WithoutTags));
}

#[test]
fn keeping_what_was_let_in_under_the_tag_of_now_is_wrong() {
    must_break(model(Way::KeptAnew));
}

#[test]
fn taking_what_was_good_along_is_wrong() {
    must_break(forgotten(Way::TakenAlong));
}
