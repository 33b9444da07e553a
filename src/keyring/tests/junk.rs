//! Floods of keys that read well and do not exist.

use std::time::Duration;

use super::fixture::{Replica, UNKNOWN, allowed, answers, soon, timed, unavailable};
use crate::keyring::{Builder, Unavailable};
use crate::store::MemoryStore;

const SHED: super::fixture::Answer = Err(crate::keyring::Denial::Unavailable(
    Unavailable::TooManyUnknown,
));

#[tokio::test(start_paused = true)]
async fn unknown_keys_are_shed_after_the_burst_and_then_so_many_a_second_get_through() {
    let replica = Replica::with(MemoryStore::new(), |b| b.unknown_lookups(10, 5)).await;
    for _ in 0..5 {
        assert_eq!(replica.ask(&replica.junk()).await, UNKNOWN);
    }
    let (answer, took) = timed(replica.ask(&replica.junk())).await;
    assert_eq!((answer, took), (SHED, Duration::ZERO));
    assert_eq!(replica.faults.look_ups.calls(), 5, "shed unseen");
    replica.clock.advance(Duration::from_millis(100));
    assert_eq!(replica.ask(&replica.junk()).await, UNKNOWN);
    assert_eq!(replica.ask(&replica.junk()).await, SHED);
}

#[tokio::test(start_paused = true)]
async fn a_flood_that_comes_all_at_once_is_shed_too() {
    let replica = Replica::with(MemoryStore::new(), |b| {
        b.unknown_lookups(10, 50).lookups(8, 2_000)
    })
    .await;
    let crowd = (0..1_000)
        .map(|_| replica.asking(&replica.junk()))
        .collect();
    let answers = answers(crowd).await;
    let shed = answers.iter().filter(|a| **a == SHED).count();
    let unknown = answers.iter().filter(|a| **a == UNKNOWN).count();
    assert_eq!(shed + unknown, 1_000);
    // The burst, and what was under way when it was spent.
    assert!((50..=54).contains(&unknown), "{unknown}");
}

#[tokio::test(start_paused = true)]
async fn keys_that_were_good_before_are_looked_up_while_junk_is_shed() {
    let replica = Replica::with(MemoryStore::new(), |b| b.unknown_lookups(1, 1)).await;
    let created = replica.create().await;
    let secret = created.secret.expose();
    assert_eq!(replica.ask(secret).await, allowed());
    assert_eq!(replica.ask(&replica.junk()).await, UNKNOWN);
    assert_eq!(replica.ask(&replica.junk()).await, SHED);
    replica.rename(&created.key.id, "renamed").await;
    assert_eq!(replica.ask(secret).await, Ok("renamed".to_owned()));
    assert_eq!(replica.faults.look_ups.calls(), 3);
}

/// Nothing tells a good key from junk before it is looked up. The keyed checksum does.
#[tokio::test(start_paused = true)]
async fn a_key_that_was_never_found_here_is_shed_with_the_junk_and_not_refused() {
    let (store, budget) = (MemoryStore::new(), |b: Builder| b.unknown_lookups(1, 1));
    let other = Replica::with(store.clone(), budget).await;
    let created = other.create().await;
    let secret = created.secret.expose();
    let replica = Replica::with(store, budget).await;
    assert_eq!(replica.ask(&replica.junk()).await, UNKNOWN);
    assert_eq!(replica.ask(secret).await, SHED);
    replica.clock.advance(Duration::from_secs(1));
    assert_eq!(replica.ask(secret).await, allowed());
    assert_eq!(replica.ask(&replica.junk()).await, UNKNOWN);
    assert_eq!(replica.ask(secret).await, allowed());
}

#[tokio::test(start_paused = true)]
async fn an_unknown_key_that_is_remembered_costs_nothing() {
    let replica = Replica::with(MemoryStore::new(), |b| b.unknown_lookups(1, 1)).await;
    let junk = replica.junk();
    for _ in 0..100 {
        assert_eq!(replica.ask(&junk).await, UNKNOWN);
    }
}

#[tokio::test(start_paused = true)]
async fn a_cold_start_of_many_keys_is_not_shed() {
    let store = MemoryStore::new();
    let other = Replica::of(store.clone()).await;
    let mut secrets = Vec::new();
    for _ in 0..5_000 {
        secrets.push(other.create().await.secret);
    }
    let replica = Replica::with(store, |b| b.lookups(64, 10_000)).await;
    let crowd = secrets.iter().map(|secret| replica.asking(secret.expose()));
    let answers = answers(crowd.collect()).await;
    assert!(answers.iter().all(|a| *a == allowed()));
}

#[tokio::test(start_paused = true)]
async fn failures_and_panics_do_not_use_up_the_budget() {
    let replica = Replica::with(MemoryStore::new(), |b| b.unknown_lookups(1, 1)).await;
    replica.faults.look_ups.fail();
    for _ in 0..5 {
        let answer = replica.ask(&replica.junk()).await;
        assert_eq!(answer, unavailable(Unavailable::StoreFailed));
    }
    replica.faults.look_ups.panic();
    for _ in 0..5 {
        let answer = replica.ask(&replica.junk()).await;
        assert_eq!(answer, unavailable(Unavailable::Corrupt));
    }
    replica.faults.look_ups.heal();
    assert_eq!(replica.ask(&replica.junk()).await, UNKNOWN);
    assert_eq!(replica.ask(&replica.junk()).await, SHED);
}

#[tokio::test(start_paused = true)]
async fn junk_that_hangs_in_the_store_does_not_stop_keys_that_were_good_before() {
    let replica = Replica::with(MemoryStore::new(), |b| b.lookups(4, 100)).await;
    let created = replica.create().await;
    let secret = created.secret.expose();
    assert_eq!(replica.ask(secret).await, allowed());
    replica.rename(&created.key.id, "renamed").await;
    replica.faults.look_ups.freeze_next(2);
    let junk: Vec<_> = (0..20).map(|_| replica.asking(&replica.junk())).collect();
    soon(replica.faults.look_ups.frozen(2)).await;
    let (answer, took) = timed(replica.ask(secret)).await;
    assert_eq!(answer, Ok("renamed".to_owned()));
    assert_eq!(took, Duration::ZERO);
    assert_eq!(
        replica.faults.look_ups.calls(),
        4,
        "two of junk, two of ours"
    );
    replica.faults.look_ups.release();
    assert!(answers(junk).await.iter().all(|a| *a == UNKNOWN));
}

#[tokio::test(start_paused = true)]
async fn junk_that_waits_leaves_places_for_keys_that_were_good_before() {
    let replica = Replica::with(MemoryStore::new(), |b| b.lookups(4, 20)).await;
    let created = replica.create().await;
    let secret = created.secret.expose();
    assert_eq!(replica.ask(secret).await, allowed());
    replica.rename(&created.key.id, "renamed").await;
    replica.faults.look_ups.freeze_next(2);
    let _junk: Vec<_> = (0..40).map(|_| replica.asking(&replica.junk())).collect();
    soon(replica.faults.look_ups.frozen(2)).await;
    assert_eq!(replica.ask(secret).await, Ok("renamed".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_key_that_was_good_before_is_known_beyond_a_break_of_the_history() {
    let replica = Replica::with(MemoryStore::new(), |b| b.unknown_lookups(1, 1)).await;
    let created = replica.create().await;
    let other = replica.create().await;
    let secret = created.secret.expose();
    assert_eq!(replica.ask(secret).await, allowed());
    assert_eq!(replica.ask(&replica.junk()).await, UNKNOWN);
    replica.faults.writes.lose_answers();
    assert!(replica.keyring.revoke(&other.key.id, None).await.is_err());
    replica.faults.heal();
    replica.sync().await;
    assert_eq!(replica.ask(&replica.junk()).await, SHED);
    assert_eq!(replica.ask(secret).await, allowed());
}

#[tokio::test(start_paused = true)]
async fn a_look_up_that_was_cut_off_by_the_queue_is_no_failure_of_the_store() {
    let replica = Replica::with(MemoryStore::new(), |b| b.lookups(2, 20)).await;
    let created = replica.create().await;
    let secret = created.secret.expose();
    assert_eq!(replica.ask(secret).await, allowed());
    replica.rename(&created.key.id, "renamed").await;
    // Each look-up is answered well within the deadline; the second has to wait for the first.
    replica.faults.look_ups.delay(Duration::from_millis(300));
    let one = replica.asking(&replica.junk());
    tokio::task::yield_now().await;
    let two = replica.asking(&replica.junk());
    assert_eq!(one.await.unwrap(), UNKNOWN);
    assert_eq!(two.await.unwrap(), unavailable(Unavailable::Overloaded));
    assert!(replica.keyring.health().lookups_answered);
    let (answer, took) = timed(replica.ask(secret)).await;
    assert_eq!(answer, Ok("renamed".to_owned()));
    assert_eq!(took, Duration::from_millis(300));
}
