//! How many imports there are at a time: each holds its whole body until its last line is answered.

use std::sync::{Arc, Mutex, PoisonError};

use crate::keyring::Caller;
use crate::store::Owner;

/// The most at a time.
const MOST: usize = 4;

/// How many of these may be of callers who manage the keys of their own owner alone. Customers can
/// be many, and whoever runs the service is to find a place beside them.
const MOST_CONFINED: usize = 3;

/// Whose imports there are. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Turns(Arc<Mutex<Vec<Holder>>>);

/// Of whom there is one import at a time: the owner on whose behalf somebody calls, or whoever has
/// no owner, such as the holder of the admin token.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Holder {
    owner: Option<Owner>,
    confined: bool,
}

/// An import that goes on until this is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    turns: Turns,
    holder: Holder,
}

impl Turns {
    /// `None` if there are too many, or one of the same owner.
    pub(super) fn begin(&self, caller: &Caller) -> Option<Turn> {
        self.take(Holder {
            owner: caller.owner().cloned(),
            confined: caller.confined_to().is_some(),
        })
    }

    fn take(&self, holder: Holder) -> Option<Turn> {
        let begun = self.change(|held| {
            let confined = held.iter().filter(|other| other.confined).count();
            let has_room = held.len() < MOST && (!holder.confined || confined < MOST_CONFINED);
            let begins = has_room && held.iter().all(|other| other.owner != holder.owner);
            if begins {
                held.push(holder.clone());
            }
            begins
        });
        begun.then(|| Turn {
            turns: self.clone(),
            holder,
        })
    }

    fn change<T>(&self, change: impl FnOnce(&mut Vec<Holder>) -> T) -> T {
        // No panic leaves a list half changed.
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let holder = &self.holder;
        self.turns
            .change(|held| held.retain(|other| other.owner != holder.owner));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(owner: &str, confined: bool) -> Holder {
        Holder {
            owner: (!owner.is_empty()).then(|| Owner::parse(owner).unwrap()),
            confined,
        }
    }

    #[test]
    fn one_of_an_owner_and_four_in_all() {
        let turns = Turns::default();
        let take = |owner: &str, confined| turns.take(holder(owner, confined));
        let a = take("a", true).unwrap();
        assert!(take("a", true).is_none() && take("a", false).is_none());
        let rest = [take("b", true).unwrap(), take("c", true).unwrap()];
        assert!(take("d", true).is_none(), "the last is not for customers");
        let token = take("", false).unwrap();
        assert!(take("", false).is_none() && take("e", false).is_none());
        drop(a);
        assert!(take("a", true).is_some(), "and is over as it is dropped");
        assert!(take("d", true).is_some());
        let operators = [take("e", false).unwrap()];
        assert!(take("f", false).is_none());
        drop((rest, token, operators));
        assert!(turns.0.lock().unwrap().is_empty());
    }
}
