//! What was looked up once is not looked up again.

use super::fixture::{Replica, UNKNOWN, allowed};
use crate::keyring::concurrency::locks_taken;

#[tokio::test(start_paused = true)]
async fn a_key_opens_and_is_remembered() {
    let replica = Replica::alone().await;
    let created = replica.create().await;
    for _ in 0..3 {
        assert_eq!(replica.ask(created.secret.expose()).await, allowed());
    }
    assert_eq!(replica.faults.look_ups.calls(), 1);
}

/// None of those in `concurrency`, which are all that requests share in the keyring. What moka does is
/// its own affair: a key in steady use is found before it is asked.
#[tokio::test(start_paused = true)]
async fn a_hit_takes_no_lock() {
    let replica = Replica::alone().await;
    let created = replica.create().await;
    let before = locks_taken();
    assert_eq!(replica.ask(created.secret.expose()).await, allowed());
    assert!(locks_taken() > before, "those of a look-up are counted");
    let before = locks_taken();
    for _ in 0..3 {
        assert_eq!(replica.ask(created.secret.expose()).await, allowed());
    }
    assert_eq!(locks_taken(), before);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_key_opens_nothing_and_that_is_remembered() {
    let replica = Replica::alone().await;
    let junk = replica.junk();
    for _ in 0..3 {
        assert_eq!(replica.ask(&junk).await, UNKNOWN);
    }
    assert_eq!(replica.faults.look_ups.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_asked_of_the_store_for_what_is_remembered_while_it_is_away() {
    let replica = Replica::alone().await;
    let created = replica.create().await;
    let junk = replica.junk();
    assert_eq!(replica.ask(created.secret.expose()).await, allowed());
    assert_eq!(replica.ask(&junk).await, UNKNOWN);
    replica.faults.fail();
    assert_eq!(replica.ask(created.secret.expose()).await, allowed());
    assert_eq!(replica.ask(&junk).await, UNKNOWN);
    assert_eq!(replica.faults.look_ups.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn creating_keys_leaves_other_keys_warm() {
    let replica = Replica::alone().await;
    let first = replica.create().await;
    assert_eq!(replica.ask(first.secret.expose()).await, allowed());
    for _ in 0..10 {
        replica.create().await;
    }
    replica.sync().await;
    assert_eq!(replica.ask(first.secret.expose()).await, allowed());
    assert_eq!(replica.faults.look_ups.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn before_the_first_sync_every_request_is_looked_up() {
    let store = crate::store::MemoryStore::new();
    let created = Replica::of(store.clone()).await.create().await;
    let replica = Replica::out_of_step(store, |builder| builder);
    replica.faults.syncs.fail();
    for _ in 0..3 {
        assert_eq!(replica.ask(created.secret.expose()).await, allowed());
    }
    assert_eq!(replica.faults.look_ups.calls(), 3);
    assert!(replica.keyring.ready().await.is_err());
    replica.faults.syncs.heal();
    assert!(replica.keyring.ready().await.is_ok());
}
