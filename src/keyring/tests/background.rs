//! The background task follows the store, and ends with the last keyring.

use std::sync::Arc;
use std::time::Duration;

use super::fixture::{Replica, timed};
use crate::keyring::Keyring;
use crate::store::MemoryStore;
use crate::testing::FaultStore;

#[tokio::test(start_paused = true)]
async fn it_syncs_once_a_poll_interval_whatever_the_traffic() {
    let replica = Replica::alone().await;
    let before = replica.faults.syncs.calls();
    tokio::time::sleep(Duration::from_mins(1)).await;
    let polls = replica.faults.syncs.calls() - before;
    assert!((58..=60).contains(&polls), "{polls}");
}

#[tokio::test(start_paused = true)]
async fn it_ends_with_the_last_keyring() {
    let replica = Replica::alone().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let Replica {
        keyring, faults, ..
    } = replica;
    let clone = keyring.clone();
    drop(keyring);
    let before = faults.syncs.calls();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(faults.syncs.calls() > before, "a clone is left");
    drop(clone);
    let before = faults.syncs.calls();
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert_eq!(faults.syncs.calls(), before);
}

#[tokio::test(start_paused = true)]
async fn it_lets_go_of_the_store_at_once() {
    let store = Arc::new(MemoryStore::new());
    let keyring = Keyring::builder(Arc::clone(&store)).prefix("acme").build();
    let keyring = keyring.unwrap();
    keyring.ready().await.unwrap();
    assert!(Arc::strong_count(&store) > 1);
    drop(keyring);
    let began = tokio::time::Instant::now();
    while Arc::strong_count(&store) > 1 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(began.elapsed() < Duration::from_millis(20));
}

#[tokio::test(start_paused = true)]
async fn a_keyring_dropped_while_a_sync_hangs_is_gone_by_the_deadline_of_the_sync() {
    let store = Arc::new(MemoryStore::new());
    let hanging = FaultStore::new(Arc::clone(&store));
    let faults = hanging.faults();
    faults.syncs.hang();
    let keyring = Keyring::builder(hanging).prefix("acme").build().unwrap();
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(faults.syncs.calls(), 1);
    drop(keyring);
    tokio::time::sleep(Duration::from_millis(1_300)).await;
    assert_eq!(Arc::strong_count(&store), 1);
    assert_eq!(faults.syncs.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn nudges_that_come_all_the_time_do_not_make_it_spin() {
    let store = MemoryStore::new();
    let replica = Replica::of(store.clone()).await;
    let other = Replica::of(store).await;
    replica.faults.lose_nudges(false);
    tokio::time::sleep(Duration::from_millis(20)).await;
    let before = replica.faults.syncs.calls();
    for _ in 0..1_000 {
        other.create().await;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let syncs = replica.faults.syncs.calls() - before;
    assert!(syncs <= 101, "{syncs} in a second");
}

#[tokio::test(start_paused = true)]
async fn the_end_of_an_outage_is_found_out_soon() {
    for hang in [false, true] {
        let replica = Replica::alone().await;
        if hang {
            replica.faults.syncs.hang();
        } else {
            replica.faults.syncs.fail();
        }
        tokio::time::sleep(Duration::from_mins(1)).await;
        replica.clock.advance(Duration::from_mins(1));
        let ((), took) = timed(async {
            replica.faults.syncs.heal();
            while !replica.keyring.health().in_sync {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await;
        // What is left of one that hangs, and the pause after a failure.
        assert!(took <= Duration::from_millis(1_502), "{took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn nudges_while_every_sync_fails_do_not_make_it_spin() {
    let store = MemoryStore::new();
    let replica = Replica::of(store.clone()).await;
    let other = Replica::of(store).await;
    replica.faults.lose_nudges(false);
    replica.faults.syncs.fail();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = replica.faults.syncs.calls();
    for _ in 0..1_000 {
        other.create().await;
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let syncs = replica.faults.syncs.calls() - before;
    assert!((3..=5).contains(&syncs), "{syncs} in a second");
}
