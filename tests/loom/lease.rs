//! A write on another replica against the sync that brings it here: whoever sees the new lease
//! sees the new tags, so that nobody accepts for longer than the lease what was revoked elsewhere.

use loom::sync::atomic::{AtomicU64, Ordering};
use loom::sync::{Arc, Mutex};
use loom::thread;

use super::freshness::{Falsified, Freshness, Reading, Tag};
use super::{Store, check, must_break};

const LEASE: u64 = 1;
const REVOKED_AT: u64 = 1;

/// The lease and the tags, right or wrong.
trait Lease: Send + Sync + 'static {
    fn new() -> Self;
    fn read(&self) -> Reading;
    fn apply(&self, revision: u64, began: u64);
}

/// A clock that all threads agree on.
struct Clock(Mutex<u64>);

impl Clock {
    fn now(&self) -> u64 {
        *self.0.lock().unwrap()
    }

    fn tick(&self) {
        *self.0.lock().unwrap() += 1;
    }
}

/// At 1 the key is in the cache, the lease is of 1, and another replica revokes the key. At 2 or
/// later a sync begins, which takes some time; a request comes at any time.
fn model<L: Lease>() {
    let clock = Arc::new(Clock(Mutex::new(REVOKED_AT)));
    let store = Arc::new(Store::new(true));
    let lease = Arc::new(L::new());
    lease.apply(1, REVOKED_AT);
    let cached = lease.read().tag.positive;
    store.commit(false);
    clock.tick();
    let sync = thread::spawn({
        let (clock, store, lease) = (Arc::clone(&clock), Arc::clone(&store), Arc::clone(&lease));
        move || {
            let began = clock.now();
            lease.apply(store.look_up().revision, began);
        }
    });
    let request = thread::spawn({
        let (clock, lease) = (Arc::clone(&clock), Arc::clone(&lease));
        move || {
            let reading = lease.read();
            let remembered = reading.tag.positive == cached;
            let now = clock.now();
            let accepted = remembered && reading.is_trusted(now, LEASE);
            assert!(
                !accepted || now - REVOKED_AT <= LEASE,
                "PROMISE: accepted at {now} what was revoked at {REVOKED_AT}"
            );
        }
    });
    clock.tick();
    sync.join().unwrap();
    request.join().unwrap();
}

/// The real core, as the sync and the request use it.
struct Real(Freshness);

impl Lease for Real {
    fn new() -> Self {
        Self(Freshness::at(1, 1))
    }

    fn read(&self) -> Reading {
        self.0.read(0)
    }

    fn apply(&self, revision: u64, began: u64) {
        self.0.bump(0, Falsified::Everything, revision);
        self.0.publish_sync(began);
    }
}

#[test]
fn whoever_sees_the_new_lease_sees_the_new_tags() {
    check(model::<Real>);
}

/// The real core, with the lease published before the tags.
struct LeaseFirst(Real);

impl Lease for LeaseFirst {
    fn new() -> Self {
        Self(Real::new())
    }

    fn read(&self) -> Reading {
        self.0.read()
    }

    fn apply(&self, revision: u64, began: u64) {
        self.0.0.publish_sync(began);
        self.0.0.bump(0, Falsified::Everything, revision);
    }
}

#[test]
fn publishing_the_lease_before_the_tags_is_wrong() {
    must_break(model::<LeaseFirst>);
}

/// The real core, with the tags read before the lease.
struct TagsReadFirst(Real);

impl Lease for TagsReadFirst {
    fn new() -> Self {
        Self(Real::new())
    }

    fn read(&self) -> Reading {
        let tag = self.0.0.read(0).tag;
        let synced_at = self.0.0.synced_at();
        Reading { synced_at, tag }
    }

    fn apply(&self, revision: u64, began: u64) {
        self.0.apply(revision, began);
    }
}

#[test]
fn reading_the_tags_before_the_lease_is_wrong() {
    must_break(model::<TagsReadFirst>);
}

/// A core in the right order, with nothing that makes other threads see that order.
struct Relaxed {
    tag: AtomicU64,
    synced_at: AtomicU64,
}

impl Lease for Relaxed {
    fn new() -> Self {
        Self {
            tag: AtomicU64::new(1),
            synced_at: AtomicU64::new(0),
        }
    }

    fn read(&self) -> Reading {
        let synced_at = self.synced_at.load(Ordering::Relaxed);
        let revision = self.tag.load(Ordering::Relaxed);
        let tag = Tag {
            positive: revision,
            negative: revision,
        };
        Reading { synced_at, tag }
    }

    fn apply(&self, revision: u64, began: u64) {
        self.tag.store(revision, Ordering::Relaxed);
        self.synced_at.store(began, Ordering::Relaxed);
    }
}

#[test]
fn relaxed_atomics_are_wrong() {
    must_break(model::<Relaxed>);
}

/// The real core, with the lease dated from the end of the sync.
#[test]
fn dating_the_lease_from_the_end_of_the_sync_is_wrong() {
    must_break(|| {
        let clock = Clock(Mutex::new(1));
        let store = Store::new(true);
        let core = Real::new();
        let cached = core.read().tag.positive;
        let report = store.look_up().revision;
        store.commit(false);
        clock.tick();
        clock.tick();
        core.apply(report, clock.now());
        let reading = core.read();
        let accepted = reading.tag.positive == cached && reading.is_trusted(clock.now(), LEASE);
        assert!(!accepted, "PROMISE: revoked for longer than the lease");
    });
}

/// A pair of tags is read while a change moves both: never a new positive one with an old
/// negative one, or a row from before the change would not be seen to be too old.
#[test]
fn a_new_positive_tag_never_comes_with_an_old_negative_one() {
    check(|| {
        let core = Arc::new(Real::new());
        let writer = thread::spawn({
            let core = Arc::clone(&core);
            move || core.0.bump(0, Falsified::Everything, 2)
        });
        let tag = core.read().tag;
        assert!(tag.positive <= tag.negative, "PROMISE: {tag:?}");
        writer.join().unwrap();
    });
}
