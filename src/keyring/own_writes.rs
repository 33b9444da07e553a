//! The writes of this process that no sync has brought yet.
//!
//! A failover that loses the last changes leaves a store that goes on from where it was shortly
//! before, and it may have passed the lost revisions by the next sync: the numbers fit, and so
//! does the nonce from before. What does not fit is a write of ours that was committed and is not
//! among the changes. By that the break is found.

use std::collections::HashSet;

use crate::store::{Change, Touched, Where};

/// The most that are kept while no sync succeeds.
const MOST: usize = 1_000;

#[derive(Default)]
pub(super) struct OwnWrites(Vec<OwnWrite>);

struct OwnWrite {
    /// Its changes have revisions above this one,
    above: u64,
    /// and up to this one.
    revision: u64,
    places: HashSet<Where>,
}

impl OwnWrites {
    /// A write was committed at `revision`, and was sent when `above` was the newest one seen.
    pub(super) fn note(&mut self, above: u64, revision: u64, touched: &[Touched]) {
        if touched.is_empty() {
            return;
        }
        if self.0.len() >= MOST {
            self.0.remove(0);
        }
        self.0.push(OwnWrite {
            above,
            revision,
            places: touched.iter().map(|touched| touched.place).collect(),
        });
    }

    /// Whether `changes`, which are complete up to `revision`, hold each of the writes up to there.
    /// Those are done with then.
    pub(super) fn are_among(&mut self, changes: &[Change], revision: u64) -> bool {
        let brought = |write: &OwnWrite| {
            let since = |change: &&Change| change.revision > write.above;
            changes.iter().filter(since).any(|change| {
                let place = change.touched.place;
                // Where they are many, the one or the other says that it is anywhere; and a store
                // that has too many to tell says it once, at the end.
                place == Where::Anywhere
                    || change.revision <= write.revision
                        && (write.places.contains(&place)
                            || write.places.contains(&Where::Anywhere))
            })
        };
        let due = |write: &&OwnWrite| write.revision <= revision;
        let all = self.0.iter().filter(due).all(brought);
        self.0.retain(|write| write.revision > revision);
        all
    }

    /// The history that they belong to is left behind.
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Falsifies;

    fn at(place: Where) -> Touched {
        Touched {
            place,
            falsifies: Falsifies::Everything,
        }
    }

    fn change(revision: u64, place: Where) -> Change {
        Change {
            revision,
            touched: at(place),
        }
    }

    #[test]
    fn a_write_is_found_among_the_changes_or_is_missed() {
        struct Test {
            name: &'static str,
            touched: &'static [Where],
            changes: &'static [(u64, Where)],
            up_to: u64,
            found: bool,
        }
        use Where::{Anywhere, Shard};
        // Each write was sent at 5 and committed at 7.
        let tests = [
            Test {
                name: "brought",
                touched: &[Shard(1)],
                changes: &[(6, Shard(2)), (7, Shard(1))],
                up_to: 7,
                found: true,
            },
            Test {
                name: "among too many to be told one by one",
                touched: &[Shard(1)],
                changes: &[(9_000, Anywhere)],
                up_to: 9_000,
                found: true,
            },
            Test {
                name: "of another one's later change there is no telling",
                touched: &[Shard(1)],
                changes: &[(8, Shard(1))],
                up_to: 8,
                found: false,
            },
            Test {
                name: "brought under several revisions",
                touched: &[Shard(1), Shard(3)],
                changes: &[(6, Shard(1)), (7, Shard(4))],
                up_to: 9,
                found: true,
            },
            Test {
                name: "an emergency stop that names the dead as well",
                touched: &[Shard(1), Shard(3)],
                changes: &[(7, Shard(3))],
                up_to: 7,
                found: true,
            },
            Test {
                name: "many, by the changes",
                touched: &[Shard(1)],
                changes: &[(7, Anywhere)],
                up_to: 7,
                found: true,
            },
            Test {
                name: "many, by the write",
                touched: &[Anywhere],
                changes: &[(7, Shard(1))],
                up_to: 7,
                found: true,
            },
            Test {
                name: "not yet due",
                touched: &[Shard(1)],
                changes: &[],
                up_to: 6,
                found: true,
            },
            Test {
                name: "somebody else's in its place",
                touched: &[Shard(1)],
                changes: &[(6, Shard(2)), (7, Shard(2)), (8, Shard(1))],
                up_to: 8,
                found: false,
            },
            Test {
                name: "nothing in its place",
                touched: &[Shard(1)],
                changes: &[],
                up_to: 7,
                found: false,
            },
        ];
        for test in tests {
            let mut writes = OwnWrites::default();
            let touched: Vec<Touched> = test.touched.iter().map(|&place| at(place)).collect();
            writes.note(5, 7, &touched);
            let changes = test.changes.iter();
            let changes: Vec<Change> = changes
                .map(|&(revision, place)| change(revision, place))
                .collect();
            let found = writes.are_among(&changes, test.up_to);
            assert_eq!(found, test.found, "{}", test.name);
            assert_eq!(writes.0.is_empty(), test.up_to >= 7, "{}", test.name);
        }
    }

    #[test]
    fn they_are_bounded_and_the_newest_stay() {
        let mut writes = OwnWrites::default();
        for revision in 1..=MOST as u64 + 1 {
            writes.note(revision - 1, revision, &[at(Where::Shard(1))]);
        }
        assert_eq!(writes.0.len(), MOST);
        assert_eq!(writes.0[0].revision, 2);
    }
}
