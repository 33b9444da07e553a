//! The background task follows the store, and ends with the last keyring.

use std::sync::Arc;
use std::time::Duration;

use super::fixture::{REVOKED, Replica, allowed, timed};
use super::log;
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

/// In step, with nobody asking, and polls that come or do not.
async fn idle(poll: bool) -> Replica {
    let replica = Replica::with(MemoryStore::new(), |b| b.poll_when_idle(poll)).await;
    tokio::time::sleep(Duration::from_mins(1)).await;
    replica
}

#[tokio::test(start_paused = true)]
async fn while_nobody_asks_there_are_no_polls_if_so_wished() {
    for (poll, expected) in [(true, 58..=60), (false, 0..=0)] {
        let replica = idle(poll).await;
        let before = replica.faults.syncs.calls();
        tokio::time::sleep(Duration::from_mins(1)).await;
        let polls = replica.faults.syncs.calls() - before;
        assert!(expected.contains(&polls), "{polls}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_request_after_idleness_is_answered_right_and_makes_a_sync_come() {
    let store = MemoryStore::new();
    let there = Replica::of(store.clone()).await;
    let here = Replica::with(store, |b| b.poll_when_idle(false)).await;
    let (old, other) = (there.create().await, there.create().await);
    for created in [&old, &other] {
        assert_eq!(here.ask(created.secret.expose()).await, allowed());
    }
    tokio::time::sleep(Duration::from_mins(1)).await;
    here.clock.advance(Duration::from_mins(1));
    there.revoke(&old.key.id).await;
    drop(log::lines(""));
    let syncs = here.faults.syncs.calls();
    assert_eq!(here.ask(old.secret.expose()).await, REVOKED);
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(here.faults.syncs.calls(), syncs + 1);
    let look_ups = here.faults.look_ups.calls();
    assert_eq!(here.ask(other.secret.expose()).await, allowed());
    assert_eq!(here.faults.look_ups.calls(), look_ups, "trusted again");
    let told = log::lines("portcullis::lease");
    assert!(told.iter().all(|line| !line.contains("WARN")), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn while_somebody_asks_polls_come_as_ever() {
    let replica = idle(false).await;
    let created = replica.create().await;
    let before = replica.faults.syncs.calls();
    for _ in 0..600 {
        assert_eq!(replica.ask(created.secret.expose()).await, allowed());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let polls = replica.faults.syncs.calls() - before;
    assert!((58..=62).contains(&polls), "{polls}");
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = replica.faults.syncs.calls();
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert_eq!(replica.faults.syncs.calls(), before);
}

#[tokio::test(start_paused = true)]
async fn a_nudge_is_heeded_while_nobody_asks_and_the_task_ends_all_the_same() {
    let store = MemoryStore::new();
    let here = Replica::with(store.clone(), |b| b.poll_when_idle(false)).await;
    here.faults.lose_nudges(false);
    tokio::time::sleep(Duration::from_mins(1)).await;
    Replica::of(store).await.create().await;
    let before = here.faults.syncs.calls();
    tokio::time::sleep(Duration::from_millis(25)).await;
    assert_eq!(here.faults.syncs.calls(), before + 1);
    let Replica {
        keyring, faults, ..
    } = here;
    tokio::time::sleep(Duration::from_mins(1)).await;
    drop(keyring);
    let before = faults.syncs.calls();
    tokio::time::sleep(Duration::from_mins(1)).await;
    assert_eq!(faults.syncs.calls(), before);
}
