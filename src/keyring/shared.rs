//! What many keys have alike, kept once: owners have several keys, and there are few sets of scopes.
//!
//! A row that is read brings texts of its own. Kept with each of a million remembered keys they
//! take more room than all the rest of what is known of them.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

use crate::key::Environment;
use crate::scope::ScopeSet;
use crate::store::Owner;

/// How many different ones of a kind are kept for others to share. Above that all are let go, and
/// those that come from then on are shared among themselves.
const MOST: usize = 100_000;

/// Asked where a row was read, never on a hit.
#[derive(Default)]
pub(crate) struct Shared {
    environments: Pool<Environment>,
    owners: Pool<Owner>,
    scopes: Pool<ScopeSet>,
}

impl Shared {
    pub(crate) fn environment(&self, environment: &mut Environment) {
        self.environments.put(environment);
    }

    pub(crate) fn owner(&self, owner: &mut Owner) {
        self.owners.put(owner);
    }

    pub(crate) fn scopes(&self, scopes: &mut ScopeSet) {
        self.scopes.put(scopes);
    }
}

/// Values that are handles to what they say, one of each.
struct Pool<T> {
    kept: Mutex<HashSet<T>>,
}

impl<T: Clone + Eq + Hash> Pool<T> {
    /// Puts the handle that is kept in the place of this one, which says the same.
    fn put(&self, value: &mut T) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(same) = kept.get(value) {
            value.clone_from(same);
            return;
        }
        if kept.len() >= MOST {
            kept.clear();
        }
        kept.insert(value.clone());
    }
}

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self {
            kept: Mutex::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(name: &str) -> Owner {
        Owner::parse(name).unwrap()
    }

    #[test]
    fn what_says_the_same_is_kept_once() {
        let shared = Shared::default();
        let (mut first, mut second, mut other) = (owner("acme"), owner("acme"), owner("corp"));
        assert!(!std::ptr::eq(first.as_str(), second.as_str()));
        for owner in [&mut first, &mut second, &mut other] {
            shared.owner(owner);
        }
        assert!(std::ptr::eq(first.as_str(), second.as_str()));
        assert_eq!((second.as_str(), other.as_str()), ("acme", "corp"));
    }

    #[test]
    fn no_stream_of_different_ones_makes_it_grow_for_ever() {
        let shared = Shared::default();
        for number in 0..=MOST {
            shared.owner(&mut owner(&number.to_string()));
        }
        assert_eq!(shared.owners.kept.lock().unwrap().len(), 1);
    }
}
