//! The freshness core by itself. Not in its own file, which `tests/loom.rs` compiles too.

use crate::keyring::freshness::{Falsified, Freshness};

const LEASE: u64 = 5;

#[test]
fn nothing_is_trusted_before_the_first_sync() {
    let freshness = Freshness::at(7, 2);
    assert!(!freshness.read(0).is_trusted(1, LEASE));
    freshness.publish_sync(1);
    assert!(freshness.read(0).is_trusted(1, LEASE));
}

#[test]
fn the_lease_ends_after_max_staleness_and_not_before() {
    let freshness = Freshness::at(0, 1);
    freshness.publish_sync(10);
    assert!(freshness.read(0).is_trusted(15, LEASE));
    assert!(!freshness.read(0).is_trusted(16, LEASE));
}

#[test]
fn an_older_sync_does_not_shorten_the_lease() {
    let freshness = Freshness::at(0, 1);
    freshness.publish_sync(10);
    freshness.publish_sync(3);
    assert_eq!(freshness.synced_at(), 10);
}

#[test]
fn a_creation_leaves_positive_answers_warm() {
    let freshness = Freshness::at(0, 1);
    freshness.bump(0, Falsified::Absence, 4);
    let tag = freshness.read(0).tag;
    assert_eq!((tag.positive, tag.negative), (0, 4));
}

#[test]
fn a_change_moves_both_tags_of_its_shard_alone() {
    let freshness = Freshness::at(0, 2);
    freshness.bump(1, Falsified::Everything, 4);
    let (other, own) = (freshness.read(0).tag, freshness.read(1).tag);
    assert_eq!((other.positive, other.negative), (0, 0));
    assert_eq!((own.positive, own.negative), (4, 4));
}

#[test]
fn a_tag_never_moves_back() {
    let freshness = Freshness::at(9, 1);
    freshness.bump(0, Falsified::Everything, 4);
    freshness.bump_all(5);
    assert_eq!(freshness.read(0).tag.positive, 9);
}

#[test]
fn a_row_older_than_what_is_known_is_told_apart() {
    let freshness = Freshness::at(3, 1);
    freshness.bump(0, Falsified::Absence, 8);
    let tag = freshness.read(0).tag;
    assert!(tag.is_ahead_of(7));
    assert!(!tag.is_ahead_of(8));
}
