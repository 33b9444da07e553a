//! A write on this replica against look-ups under way: once it has been answered, nobody who
//! comes later gets the answer from before.

use loom::sync::{Arc, Mutex};
use loom::thread;

use super::freshness::{Falsified, Freshness};
use super::{Store, check, must_break};

/// What is done in the order of the design, or otherwise.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// The tag is read once; the bump comes after the commit and before the answer.
    ByTags,
    /// The cache has no tags; a write removes the entry.
    PlainRemove,
    /// The cache has no tags; an answer is kept if the tag is still that of the question.
    CheckThenInsert,
    /// The answer is kept under the tag of the moment at which it is kept.
    TagReadAgain,
    /// The tags are moved to the revision that the write will surely get.
    BumpBeforeCommit,
    /// A look-up under way is joined by whoever asks for the same key.
    JoinByKeyAlone,
}

/// A change that makes a key open or not, and what it falsifies.
#[derive(Clone, Copy)]
struct Change {
    opens_after: bool,
    falsifies: Falsified,
}

const REVOKE: Change = Change {
    opens_after: false,
    falsifies: Falsified::Everything,
};

/// The mirror of a revoke: "disabled" must not outlive the answer to "enable".
const ENABLE: Change = Change {
    opens_after: true,
    falsifies: Falsified::Everything,
};

/// The other mirror: nor may "no such key" outlive the answer to "create".
const CREATE: Change = Change {
    opens_after: true,
    falsifies: Falsified::Absence,
};

/// Where a flight's answer appears, once it has landed.
type Landing = Arc<Mutex<Option<bool>>>;

struct Replica {
    way: Way,
    change: Change,
    store: Store,
    freshness: Freshness,
    /// The answer and the tag it was read under.
    cache: Mutex<Option<(u64, bool)>>,
    /// The flight under way and the tag it was started under.
    flight: Mutex<Option<(u64, Landing)>>,
}

enum Asked {
    Answered(bool),
    Joined(Landing),
}

impl Replica {
    fn new(way: Way, change: Change) -> Self {
        let freshness = Freshness::at(1, 1);
        freshness.publish_sync(1);
        Self {
            way,
            change,
            store: Store::new(!change.opens_after),
            freshness,
            cache: Mutex::new(None),
            flight: Mutex::new(None),
        }
    }

    /// The tag that the answer from before the change is kept under.
    fn tag(&self) -> u64 {
        let tag = self.freshness.read(0).tag;
        match self.change.falsifies {
            Falsified::Absence => tag.negative,
            Falsified::Everything => tag.positive,
        }
    }

    fn request(&self) -> Asked {
        let tag = self.tag();
        let untagged = matches!(self.way, Way::PlainRemove | Way::CheckThenInsert);
        let cached = *self.cache.lock().unwrap();
        if let Some((cached_tag, opens)) = cached
            && (untagged || cached_tag == tag)
        {
            return Asked::Answered(opens);
        }
        let landing = {
            let mut flight = self.flight.lock().unwrap();
            match &*flight {
                Some((of, landing)) if *of == tag || self.way == Way::JoinByKeyAlone => {
                    return Asked::Joined(Arc::clone(landing));
                }
                _ => {}
            }
            let landing = Landing::default();
            *flight = Some((tag, Arc::clone(&landing)));
            landing
        };
        let row = self.store.look_up();
        assert!(
            row.revision >= tag || self.way == Way::BumpBeforeCommit,
            "the store is behind its own tags"
        );
        match self.way {
            Way::CheckThenInsert if self.tag() != tag => {}
            Way::TagReadAgain => {
                let again = self.tag();
                *self.cache.lock().unwrap() = Some((again, row.opens));
            }
            Way::BumpBeforeCommit if row.revision < tag => {}
            _ => *self.cache.lock().unwrap() = Some((tag, row.opens)),
        }
        let mut flight = self.flight.lock().unwrap();
        if flight.as_ref().is_some_and(|(of, _)| *of == tag) {
            *flight = None;
        }
        drop(flight);
        *landing.lock().unwrap() = Some(row.opens);
        Asked::Answered(row.opens)
    }

    fn write(&self) {
        let bump = |revision| self.freshness.bump(0, self.change.falsifies, revision);
        if self.way == Way::BumpBeforeCommit {
            let expected = self.store.look_up().revision + 1;
            bump(expected);
            self.store.commit(self.change.opens_after);
        } else {
            bump(self.store.commit(self.change.opens_after));
        }
        if matches!(self.way, Way::PlainRemove | Way::CheckThenInsert) {
            *self.cache.lock().unwrap() = None;
        }
    }
}

/// One request may be under way while the change is made; those after it must see it, whether
/// that first one has landed or not.
fn model(way: Way, change: Change) -> impl Fn() + Send + Sync + 'static {
    move || {
        let replica = Arc::new(Replica::new(way, change));
        let earlier = thread::spawn({
            let replica = Arc::clone(&replica);
            move || drop(replica.request())
        });
        let elsewhere = (way == Way::BumpBeforeCommit).then(|| {
            let replica = Arc::clone(&replica);
            thread::spawn(move || replica.store.commit_elsewhere())
        });
        replica.write();
        let asked = replica.request();
        earlier.join().unwrap();
        let answer = |asked| match asked {
            Asked::Answered(opens) => Some(opens),
            Asked::Joined(landing) => *landing.lock().unwrap(),
        };
        let promise = "PROMISE: whoever comes after the answer to a write sees the write";
        assert_eq!(answer(asked), Some(change.opens_after), "{promise}");
        let much_later = replica.request();
        assert_eq!(answer(much_later), Some(change.opens_after), "{promise}");
        if let Some(elsewhere) = elsewhere {
            elsewhere.join().unwrap();
        }
    }
}

#[test]
fn after_a_revoke_nobody_is_accepted_whatever_was_under_way() {
    check(model(Way::ByTags, REVOKE));
}

#[test]
fn after_an_enable_nobody_is_refused_whatever_was_under_way() {
    check(model(Way::ByTags, ENABLE));
}

#[test]
fn after_a_create_nobody_is_told_no_such_key_whatever_was_under_way() {
    check(model(Way::ByTags, CREATE));
}

#[test]
fn two_requests_under_way_at_a_revoke_do_not_help_each_other_past_it() {
    check(|| {
        let replica = Arc::new(Replica::new(Way::ByTags, REVOKE));
        let earlier = [(), ()].map(|()| {
            let replica = Arc::clone(&replica);
            thread::spawn(move || drop(replica.request()))
        });
        replica.write();
        let asked = replica.request();
        for request in earlier {
            request.join().unwrap();
        }
        // It may have joined one of the others, if that one too began after the revoke.
        let opens = match asked {
            Asked::Answered(opens) => Some(opens),
            Asked::Joined(landing) => *landing.lock().unwrap(),
        };
        assert_eq!(opens, Some(false), "PROMISE: revoked");
    });
}

#[test]
fn removing_the_entry_is_not_enough() {
    must_break(model(Way::PlainRemove, REVOKE));
}

#[test]
fn checking_before_an_untagged_insert_is_not_enough() {
    must_break(model(Way::CheckThenInsert, REVOKE));
}

#[test]
fn reading_the_tag_again_at_the_insert_is_wrong() {
    must_break(model(Way::TagReadAgain, REVOKE));
    must_break(model(Way::TagReadAgain, CREATE));
}

#[test]
fn bumping_before_the_commit_is_wrong() {
    must_break(model(Way::BumpBeforeCommit, REVOKE));
}

#[test]
fn joining_a_flight_by_its_key_alone_is_wrong() {
    must_break(model(Way::JoinByKeyAlone, REVOKE));
}
