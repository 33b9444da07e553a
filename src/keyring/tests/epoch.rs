//! What an epoch takes over from the one before, and which of its tags a change moves.

use std::time::Duration;

use crate::key::DigestHasherBuilder;
use crate::keyring::epoch::{CacheSizes, Epoch, Start};
use crate::keyring::freshness::Tag;
use crate::store::{Falsifies, StoreId, Touched, Where};

const LAST: usize = u16::MAX as usize;

fn sizes() -> CacheSizes {
    CacheSizes {
        positive: 1,
        negative: 1,
        kept: Duration::from_mins(10),
        hasher: DigestHasherBuilder::new().unwrap(),
    }
}

fn tag(epoch: &Epoch, shard: usize) -> (u64, u64) {
    let Tag { positive, negative } = epoch.freshness.read(shard).tag;
    (positive, negative)
}

#[test]
fn the_first_epoch_knows_no_store_and_has_a_shard_for_each_digest() {
    let epoch = Epoch::first(&sizes());
    assert_eq!((epoch.number, epoch.store), (0, None));
    assert!(!epoch.refuses_seen_revoked);
    assert_eq!((tag(&epoch, 0), tag(&epoch, LAST)), ((0, 0), (0, 0)));
    assert_eq!(epoch.freshness.synced_at(), 0);
}

#[test]
fn once_the_history_broke_it_stays_so_in_the_epochs_to_come() {
    for (before, breaks, after) in [
        (false, false, false),
        (false, true, true),
        (true, false, true),
        (true, true, true),
    ] {
        let mut epoch = Epoch::first(&sizes());
        epoch.refuses_seen_revoked = before;
        let start = Start {
            store: None,
            revision: 0,
            broken: breaks,
        };
        let next = epoch.next(1, &start, &sizes());
        assert_eq!(next.refuses_seen_revoked, after, "{before}, {breaks}");
    }
}

#[test]
fn the_next_epoch_believes_nothing_below_its_revision_and_goes_on_with_the_store() {
    let start = |store, revision| Start {
        store,
        revision,
        broken: false,
    };
    let (one, other) = (StoreId([1; 16]), StoreId([2; 16]));
    let first = Epoch::first(&sizes());
    first.freshness.publish_sync(5);
    let second = first.next(7, &start(Some(one), 9), &sizes());
    assert_eq!((second.number, second.store), (7, Some(one)));
    assert_eq!((tag(&second, 0), tag(&second, LAST)), ((9, 9), (9, 9)));
    assert_eq!(second.freshness.synced_at(), 0, "no lease is taken over");
    let third = second.next(8, &start(None, 9), &sizes());
    assert_eq!(third.store, Some(one));
    let fourth = third.next(9, &start(Some(other), 9), &sizes());
    assert_eq!(fourth.store, Some(other));
}

#[test]
fn a_change_moves_the_tags_of_what_it_touched() {
    let (here, anywhere) = (Where::Shard(3), Where::Anywhere);
    let (absence, everything) = (Falsifies::Absence, Falsifies::Everything);
    // Then the tags of the shard 3, and of the last.
    for (place, falsifies, own, last) in [
        (here, absence, (0, 4), (0, 0)),
        (here, everything, (4, 4), (0, 0)),
        (anywhere, absence, (4, 4), (4, 4)),
        (anywhere, everything, (4, 4), (4, 4)),
    ] {
        let epoch = Epoch::first(&sizes());
        epoch.bump(Touched { place, falsifies }, 4);
        let moved = (tag(&epoch, 3), tag(&epoch, LAST));
        assert_eq!(moved, (own, last), "{place:?}, {falsifies:?}");
    }
}
