//! What many keys have alike, kept once: owners have several keys, and there are few sets of scopes.
//!
//! A row that is read brings texts of its own. Kept with each of a million remembered keys they
//! take more room than all the rest of what is known of them.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::{Arc, PoisonError};

use super::concurrency::Mutex;
use crate::key::Environment;
use crate::principal::Holding;
use crate::scope::ScopeSet;

/// How many different ones of a kind are kept for others to share. Above that all are let go, and
/// those that come from then on are shared among themselves.
const MOST: usize = 100_000;

/// Asked where a row was read, never on a hit.
#[derive(Default)]
pub(crate) struct Shared {
    holdings: Pool<Arc<Holding>>,
    // Also where each owner has one key.
    environments: Pool<Environment>,
    scopes: Pool<ScopeSet>,
}

impl Shared {
    pub(crate) fn hold(&self, holding: &mut Arc<Holding>) {
        let own = Arc::make_mut(holding);
        self.environments.put(&mut own.environment);
        self.scopes.put(&mut own.scopes);
        self.holdings.put(holding);
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
    use crate::store::Owner;

    fn holding(owner: &str, scopes: &str) -> Arc<Holding> {
        Arc::new(Holding {
            environment: "live".parse().unwrap(),
            owner: Owner::parse(owner).unwrap(),
            scopes: ScopeSet::parse([scopes]).unwrap(),
        })
    }

    #[test]
    fn what_says_the_same_is_kept_once() {
        let shared = Shared::default();
        let [mut first, mut second] = [(); 2].map(|()| holding("acme", "a"));
        let (mut others, mut more) = (holding("corp", "a"), holding("acme", "b"));
        for holding in [&mut first, &mut second, &mut others, &mut more] {
            shared.hold(holding);
        }
        assert!(Arc::ptr_eq(&first, &second));
        assert_eq!(others.owner.as_str(), "corp");
        assert_eq!(more.scopes.to_string(), "b");
        let environment = |holding: &Holding| holding.environment.as_str().as_ptr();
        assert_eq!(environment(&first), environment(&others));
    }

    #[test]
    fn no_stream_of_different_ones_makes_it_grow_for_ever() {
        let shared = Shared::default();
        for number in 0..=MOST {
            shared.hold(&mut holding(&number.to_string(), "a"));
        }
        assert_eq!(shared.holdings.kept.lock().unwrap().len(), 1);
    }
}
