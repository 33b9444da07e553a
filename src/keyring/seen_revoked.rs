//! Which keys this process has seen revoked.
//!
//! A store that was put back to an older state has forgotten the revocations since, and lets those
//! keys in again. This process has not forgotten. What is kept here is asked where the store says
//! that a key is alive: by look-ups, and by decisions that are made without the store. Ordinary
//! hits never come here, since each of them rests on a look-up that has.
//!
//! Bounded, and gone with the process. Nothing here lets anybody in.

use std::collections::{HashSet, VecDeque};
use std::sync::PoisonError;

use super::Keyring;
use super::concurrency::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use crate::key::KeyId;
use crate::store::MOST_KEYS_NAMED;

/// The most ids of each kind; as many as an emergency stop names.
const MOST: usize = MOST_KEYS_NAMED;

/// The newest ids, those that this process itself has revoked apart from those that it has read as
/// revoked: whoever lists the dead of many years pushes no revocation out.
#[derive(Default)]
pub(crate) struct SeenRevoked {
    seen: RwLock<Seen>,
}

#[derive(Default)]
struct Seen {
    revoked: Newest,
    read: Newest,
}

/// The newest of many ids. One that comes again keeps its place.
#[derive(Default)]
struct Newest {
    ids: HashSet<KeyId>,
    order: VecDeque<KeyId>,
}

impl SeenRevoked {
    /// This process has revoked these. To be called before anybody is told.
    pub(crate) fn revoked<'a>(&self, ids: impl IntoIterator<Item = &'a KeyId>) {
        let mut seen = self.write();
        for id in ids {
            seen.revoked.insert(id);
        }
    }

    /// The store has said that these are revoked.
    pub(crate) fn read_as_revoked<'a>(&self, ids: impl IntoIterator<Item = &'a KeyId>) {
        // Most are known already, and readers do not wait for each other.
        let new: Vec<&KeyId> = {
            let seen = self.read();
            ids.into_iter().filter(|id| !seen.contains(id)).collect()
        };
        if !new.is_empty() {
            let mut seen = self.write();
            for id in new {
                seen.read.insert(id);
            }
        }
    }

    pub(crate) fn contains(&self, id: &KeyId) -> bool {
        self.read().contains(id)
    }

    fn forget(&self) {
        *self.write() = Seen::default();
    }

    fn read(&self) -> RwLockReadGuard<'_, Seen> {
        self.seen.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Seen> {
        self.seen.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn contains(&self, id: &KeyId) -> bool {
        self.revoked.ids.contains(id) || self.read.ids.contains(id)
    }
}

impl Newest {
    fn insert(&mut self, id: &KeyId) {
        if !self.ids.insert(id.clone()) {
            return;
        }
        self.order.push_back(id.clone());
        if self.order.len() > MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
    }
}

impl Keyring {
    /// Takes the store's word again for keys that this process has seen revoked.
    ///
    /// When the store's history breaks, because a backup was restored or a failover lost changes,
    /// keys may be alive in it whose revocation this process has made or has read. They stay refused
    /// ([`Health::refuses_what_it_saw_revoked`](super::Health::refuses_what_it_saw_revoked) is
    /// `true`) until this is called. To be called once the store holds what it should: that is,
    /// after the keys that were revoked since the backup have been revoked again.
    ///
    /// Each process remembers for itself, so **each has to be told**, or started anew, which forgets
    /// as well. What is remembered of keys is looked up again; nothing is asked of the store here.
    pub fn trust_restored_store(&self) {
        let inner = &self.inner;
        // The ids first: whoever is in the epoch that comes finds none.
        inner.timeline.trust(|| inner.seen_revoked.forget());
        inner.wake.notify_one();
        tracing::info!(
            target: "portcullis::history",
            "the store is trusted again for keys that were seen revoked"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: usize) -> KeyId {
        format!("key_{number:016}").parse().unwrap()
    }

    fn ids(numbers: std::ops::Range<usize>) -> Vec<KeyId> {
        numbers.map(id).collect()
    }

    #[test]
    fn the_newest_are_kept() {
        let seen = SeenRevoked::default();
        seen.revoked(&ids(0..MOST));
        // Known already: keeps its place, and pushes nothing out.
        seen.revoked(&[id(0)]);
        assert!(seen.contains(&id(0)) && seen.contains(&id(1)));
        seen.revoked(&[id(MOST)]);
        assert!(!seen.contains(&id(0)));
        assert!(seen.contains(&id(1)) && seen.contains(&id(MOST)));
        let seen = seen.read();
        assert_eq!(
            (seen.revoked.ids.len(), seen.revoked.order.len()),
            (MOST, MOST)
        );
    }

    #[test]
    fn whatever_is_read_pushes_nothing_out_that_was_revoked_here() {
        let seen = SeenRevoked::default();
        seen.revoked(&[id(0)]);
        seen.read_as_revoked(&ids(0..MOST + 2));
        assert!(seen.contains(&id(0)));
        assert!(!seen.contains(&id(1)), "the first that was read");
        assert!(seen.contains(&id(MOST + 1)));
    }

    #[test]
    fn nothing_is_seen_at_first_nor_after_it_is_forgotten() {
        let seen = SeenRevoked::default();
        assert!(!seen.contains(&id(0)));
        seen.revoked(&[id(0)]);
        seen.read_as_revoked(&[id(1)]);
        seen.forget();
        assert!(!seen.contains(&id(0)) && !seen.contains(&id(1)));
    }
}
