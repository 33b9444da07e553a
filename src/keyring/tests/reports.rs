//! What dashboards and the log are told: each change of state once, and the numbers as they are.

use std::time::Duration;

use super::fixture::{Replica, allowed, soon};
use super::log;
use crate::store::MemoryStore;

const MAX_STALENESS: Duration = Duration::from_secs(5);
const TICK: Duration = Duration::from_nanos(1);

/// In step, and the log read up to here.
async fn quiet() -> Replica {
    let replica = Replica::alone().await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    drop(log::lines(""));
    replica
}

async fn fail_to_sync(replica: &Replica) {
    assert!(replica.keyring.sync().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_lease_is_told_once_and_so_is_its_return() {
    let replica = quiet().await;
    replica.faults.syncs.fail();
    fail_to_sync(&replica).await;
    assert!(log::lines("portcullis::lease").is_empty(), "it holds yet");
    replica.clock.advance(MAX_STALENESS + TICK);
    for _ in 0..3 {
        fail_to_sync(&replica).await;
    }
    let told = log::lines("portcullis::lease");
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("WARN") && told[0].contains("lease=\"over\""));
    assert!(told[0].contains("age=Some(5.000000001s)"), "{told:?}");
    replica.faults.syncs.heal();
    for _ in 0..3 {
        replica.sync().await;
    }
    let told = log::lines("portcullis::lease");
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("INFO") && told[0].contains("lease=\"held\""));
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_ended_while_the_process_was_stopped_is_told_too() {
    let replica = quiet().await;
    replica.clock.advance(Duration::from_secs(20));
    replica.sync().await;
    let told = log::lines("portcullis::lease");
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("over") && told[0].contains("age=Some(20s)"));
    assert!(told[1].contains("held"));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_from_the_start_has_ended_no_lease() {
    let replica = Replica::out_of_step(MemoryStore::new(), |builder| builder);
    drop(log::lines(""));
    replica.faults.fail();
    for _ in 0..3 {
        fail_to_sync(&replica).await;
    }
    let all = log::lines("");
    let with = |part: &str| all.iter().filter(|line| line.contains(part)).count();
    assert_eq!(with("portcullis::lease"), 0, "{all:?}");
    assert_eq!(with("a sync failed"), 1, "{all:?}");
    assert_eq!(replica.keyring.health().lease_age, None);
    assert_eq!(replica.keyring.health().sync_lag, None);
}

#[tokio::test(start_paused = true)]
async fn nudges_that_go_and_come_are_told_once() {
    let replica = quiet().await;
    assert!(!replica.keyring.health().listening, "in all these tests");
    for (lost, level) in [(false, "INFO"), (true, "WARN")] {
        replica.faults.lose_nudges(lost);
        assert_eq!(replica.keyring.health().listening, !lost);
        for _ in 0..3 {
            replica.sync().await;
        }
        let told = log::lines("portcullis::listener");
        assert_eq!(told.len(), 1, "{told:?}");
        let listening = format!("listening={}", !lost);
        assert!(told[0].contains(level) && told[0].contains(&listening));
    }
}

#[tokio::test(start_paused = true)]
async fn each_sync_leaves_a_line_for_whoever_wants_to_know() {
    let store = MemoryStore::new();
    let there = Replica::of(store.clone()).await;
    let here = Replica::of(store).await;
    there.create().await;
    there.create().await;
    drop(log::lines(""));
    here.sync().await;
    let told = log::lines("in step");
    assert_eq!(told.len(), 1, "{told:?}");
    for part in ["DEBUG", "revision=2", "changes=2", "took=0ns"] {
        assert!(told[0].contains(part), "{part} is not in {told:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_lag_is_that_of_the_last_sync_that_succeeded() {
    let replica = quiet().await;
    let syncs = &replica.faults.syncs;
    syncs.freeze_next(1);
    let sync = tokio::spawn({
        let keyring = replica.keyring.clone();
        async move { keyring.sync().await }
    });
    soon(syncs.frozen(1)).await;
    replica.clock.advance(Duration::from_millis(30));
    syncs.release();
    sync.await.unwrap().unwrap();
    let health = replica.keyring.health();
    let lag = Some(Duration::from_millis(30));
    assert_eq!(health.sync_lag, lag);
    assert_eq!(health.lease_age, lag, "it counts from the start");
    replica.clock.advance(Duration::from_secs(1));
    syncs.fail();
    fail_to_sync(&replica).await;
    assert_eq!(replica.keyring.health().sync_lag, lag);
}

#[tokio::test(start_paused = true)]
async fn it_is_not_ready_before_the_first_sync() {
    let store = MemoryStore::new();
    let created = Replica::of(store.clone()).await.create().await;
    let replica = Replica::out_of_step(store, |builder| builder);
    replica.faults.syncs.fail();
    assert!(replica.keyring.ready().await.is_err());
    for asked in 1..=3 {
        let health = replica.keyring.health();
        assert!(!health.in_sync);
        assert_eq!((health.lease_age, health.revision), (None, None));
        let answer = replica.ask(created.secret.expose()).await;
        assert_eq!(answer, allowed(), "by a look-up");
        assert_eq!(replica.faults.look_ups.calls(), asked, "each");
    }
    replica.faults.syncs.heal();
    replica.keyring.ready().await.unwrap();
    let health = replica.keyring.health();
    assert!(health.in_sync);
    assert_eq!((health.epoch, health.history_breaks), (1, 0));
    assert_eq!(replica.ask(created.secret.expose()).await, allowed());
    assert_eq!(replica.ask(created.secret.expose()).await, allowed());
    assert_eq!(replica.faults.look_ups.calls(), 4);
}
