//! A store that goes back in time, or becomes another one.

use super::fixture::{REVOKED, Replica, Rerouted, UNKNOWN, allowed, soon, unavailable};
use crate::keyring::Unavailable;
use crate::store::MemoryStore;

#[tokio::test(start_paused = true)]
async fn after_a_restore_nothing_remembered_is_used() {
    let store = MemoryStore::new();
    let rerouted = Rerouted::to(&store);
    let replica = Replica::of(rerouted.clone()).await;
    let old = replica.create().await;
    let backup = store.backup();
    let new = replica.create().await;
    replica.sync().await;
    assert_eq!(replica.ask(old.secret.expose()).await, allowed());
    assert_eq!(replica.ask(new.secret.expose()).await, allowed());
    let epoch = replica.keyring.health().epoch;

    rerouted.reroute(&backup);
    replica.sync().await;
    assert!(replica.keyring.health().epoch > epoch);
    assert_eq!(replica.ask(new.secret.expose()).await, UNKNOWN);
    assert_eq!(replica.ask(old.secret.expose()).await, allowed());
    assert_eq!(replica.faults.look_ups.calls(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_restored_store_that_went_on_by_another_way_is_noticed() {
    let store = MemoryStore::new();
    let rerouted = Rerouted::to(&store);
    let replica = Replica::of(rerouted.clone()).await;
    let backup = store.backup();
    let lost = replica.create().await;
    replica.sync().await;
    assert_eq!(replica.ask(lost.secret.expose()).await, allowed());
    // As many revisions, and more, with other nonces.
    let elsewhere = Replica::of(backup.clone()).await;
    elsewhere.create().await;
    elsewhere.create().await;
    rerouted.reroute(&backup);
    replica.sync().await;
    assert_eq!(replica.ask(lost.secret.expose()).await, UNKNOWN);
}

#[tokio::test(start_paused = true)]
async fn another_store_is_noticed() {
    let rerouted = Rerouted::to(&MemoryStore::new());
    let replica = Replica::of(rerouted.clone()).await;
    let lost = replica.create().await;
    assert_eq!(replica.ask(lost.secret.expose()).await, allowed());
    rerouted.reroute(&MemoryStore::new());
    replica.sync().await;
    assert_eq!(replica.ask(lost.secret.expose()).await, UNKNOWN);
}

#[tokio::test(start_paused = true)]
async fn a_row_from_before_what_is_known_is_given_to_nobody_and_the_next_sync_settles_it() {
    let store = MemoryStore::new();
    let rerouted = Rerouted::to(&store);
    let replica = Replica::of(rerouted.clone()).await;
    let created = replica.create().await;
    let secret = created.secret.expose();
    let backup = store.backup();
    replica.enable(&created.key.id, false).await;
    replica.sync().await;
    rerouted.reroute(&backup);
    assert_eq!(replica.ask(secret).await, unavailable(Unavailable::Behind));
    replica.sync().await;
    assert_eq!(replica.ask(secret).await, allowed(), "the change was lost");
}

#[tokio::test(start_paused = true)]
async fn a_row_from_before_what_is_known_makes_the_next_sync_come_at_once() {
    let store = MemoryStore::new();
    let rerouted = Rerouted::to(&store);
    let replica = Replica::of(rerouted.clone()).await;
    // The background task has done its own first sync a while ago and waits.
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    let created = replica.create().await;
    let secret = created.secret.expose();
    let backup = store.backup();
    replica.enable(&created.key.id, false).await;
    replica.sync().await;
    rerouted.reroute(&backup);
    assert_eq!(replica.ask(secret).await, unavailable(Unavailable::Behind));
    tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    assert_eq!(replica.ask(secret).await, allowed());
}

#[tokio::test(start_paused = true)]
async fn a_restore_to_just_before_our_last_write_is_noticed() {
    let store = MemoryStore::new();
    let rerouted = Rerouted::to(&store);
    let replica = Replica::of(rerouted.clone()).await;
    let created = replica.create().await;
    let secret = created.secret.expose();
    // The sync follows to exactly the state of the backup.
    replica.sync().await;
    let backup = store.backup();
    replica.rename(&created.key.id, "renamed").await;
    rerouted.reroute(&backup);
    assert_eq!(replica.ask(secret).await, unavailable(Unavailable::Behind));
    replica.sync().await;
    assert_eq!(replica.ask(secret).await, allowed());
}

#[tokio::test(start_paused = true)]
async fn a_write_to_another_store_forgets_everything_before_it_is_answered() {
    let store = MemoryStore::new();
    let rerouted = Rerouted::to(&store);
    let replica = Replica::of(rerouted.clone()).await;
    let lost = replica.create().await;
    replica.sync().await;
    assert_eq!(replica.ask(lost.secret.expose()).await, allowed());
    // It is further on than ours was, so that its numbers say nothing.
    let another = MemoryStore::new();
    let elsewhere = Replica::of(another.clone()).await;
    for _ in 0..5 {
        elsewhere.create().await;
    }
    rerouted.reroute(&another);
    let created = replica.create().await;
    assert_eq!(replica.ask(lost.secret.expose()).await, UNKNOWN);
    assert_eq!(replica.ask(created.secret.expose()).await, allowed());
}

#[tokio::test(start_paused = true)]
async fn a_write_that_gets_an_old_revision_forgets_everything_before_it_is_answered() {
    let store = MemoryStore::new();
    let rerouted = Rerouted::to(&store);
    let replica = Replica::of(rerouted.clone()).await;
    let victim = replica.create().await;
    let secret = victim.secret.expose();
    let backup = store.backup();
    for _ in 0..5 {
        replica.create().await;
    }
    let lost = replica.create().await;
    replica.sync().await;
    assert_eq!(replica.ask(secret).await, allowed());
    assert_eq!(replica.ask(lost.secret.expose()).await, allowed());
    rerouted.reroute(&backup);
    replica.revoke(&victim.key.id).await;
    assert_eq!(replica.ask(secret).await, REVOKED);
    assert_eq!(replica.ask(lost.secret.expose()).await, UNKNOWN);
    replica.sync().await;
    assert_eq!(replica.ask(secret).await, REVOKED);
    let created = replica.create().await;
    replica.sync().await;
    assert_eq!(replica.ask(created.secret.expose()).await, allowed());
}

#[tokio::test(start_paused = true)]
async fn a_look_up_from_before_the_restore_lands_where_nobody_looks() {
    let store = MemoryStore::new();
    let rerouted = Rerouted::to(&store);
    let replica = Replica::of(rerouted.clone()).await;
    let backup = store.backup();
    let lost = replica.create().await;
    let secret = lost.secret.expose();
    replica.sync().await;
    replica.faults.look_ups.freeze_next(1);
    let earlier = replica.asking(secret);
    soon(replica.faults.look_ups.frozen(1)).await;
    rerouted.reroute(&backup);
    replica.sync().await;
    assert_eq!(replica.ask(secret).await, UNKNOWN);
    replica.faults.look_ups.release();
    drop(earlier.await.unwrap());
    assert_eq!(replica.ask(secret).await, UNKNOWN);
}
