//! The row of a read replica that has heard of nothing, against the sync that brings what it has
//! missed: it is believed as of a lease, and against the tag that goes with that lease.

use loom::sync::{Arc, Mutex};
use loom::thread;

use super::freshness::{Falsified, Freshness, Reading};
use super::{Row, Store, check, must_break};

const LEASE: u64 = 1;
const REVOKED_AT: u64 = 1;

/// What is done wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Right,
    /// The row is held against the tag of the question, and believed as of the lease of now.
    TagOfTheQuestion,
    /// The row is believed as of the moment at which it was asked for.
    AsOfTheQuestion,
    /// The tag of now comes with a lease that is read after it.
    LeaseReadLast,
}

struct Replica {
    clock: Mutex<u64>,
    primary: Store,
    /// What the read replica says, for ever.
    lagging: Row,
    freshness: Freshness,
}

impl Replica {
    fn now(&self) -> u64 {
        *self.clock.lock().unwrap()
    }

    fn tick(&self) {
        *self.clock.lock().unwrap() += 1;
    }

    fn sync(&self) {
        let began = self.now();
        let revision = self.primary.look_up().revision;
        self.freshness.bump(0, Falsified::Everything, revision);
        self.freshness.publish_sync(began);
    }

    /// The lease and the tag at the moment at which the row is there.
    fn reading(&self, question: Reading, way: Way) -> Reading {
        match way {
            Way::Right | Way::AsOfTheQuestion => self.freshness.read(0),
            Way::TagOfTheQuestion => Reading {
                tag: question.tag,
                ..self.freshness.read(0)
            },
            Way::LeaseReadLast => {
                let tag = self.freshness.read(0).tag;
                let synced_at = self.freshness.synced_at();
                Reading { synced_at, tag }
            }
        }
    }

    /// The moment at which the key was let in, if it was.
    fn request(&self, way: Way) -> Option<u64> {
        let question = self.freshness.read(0);
        let asked = self.now();
        let row = self.lagging;
        let reading = self.reading(question, way);
        let enough =
            !reading.tag.is_ahead_of(row.revision) && reading.is_trusted(self.now(), LEASE);
        let (row, as_of) = match (enough, way) {
            (true, Way::AsOfTheQuestion) => (row, asked),
            (true, _) => (row, asked.min(reading.synced_at)),
            (false, _) => {
                let asked = self.now();
                (self.primary.look_up(), asked)
            }
        };
        // Whoever waited takes the answer if it is not too old by now.
        let now = self.now();
        (row.opens && now - as_of <= LEASE).then_some(now)
    }
}

/// At 1 there is a lease, and the key is revoked elsewhere. From then on syncs begin, requests
/// come, and time goes by.
fn model(way: Way) -> impl Fn() + Send + Sync + 'static {
    move || {
        let primary = Store::new(true);
        let lagging = primary.look_up();
        let freshness = Freshness::at(1, 1);
        freshness.publish_sync(REVOKED_AT);
        primary.commit(false);
        let replica = Arc::new(Replica {
            clock: Mutex::new(REVOKED_AT),
            primary,
            lagging,
            freshness,
        });
        replica.tick();
        let sync = thread::spawn({
            let replica = Arc::clone(&replica);
            move || replica.sync()
        });
        let request = thread::spawn({
            let replica = Arc::clone(&replica);
            move || {
                if let Some(now) = replica.request(way) {
                    assert!(
                        now - REVOKED_AT <= LEASE,
                        "PROMISE: accepted at {now} what was revoked at {REVOKED_AT}"
                    );
                }
            }
        });
        replica.tick();
        sync.join().unwrap();
        request.join().unwrap();
    }
}

#[test]
fn a_lagging_row_is_believed_for_no_longer_than_the_lease() {
    check(model(Way::Right));
}

#[test]
fn holding_it_against_the_tag_of_the_question_is_wrong() {
    must_break(model(Way::TagOfTheQuestion));
}

#[test]
fn believing_it_as_of_the_question_is_wrong() {
    must_break(model(Way::AsOfTheQuestion));
}

#[test]
fn reading_the_lease_after_the_tag_is_wrong() {
    must_break(model(Way::LeaseReadLast));
}
