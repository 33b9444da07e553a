//! Changes whose caller leaves, whose answer is lost, or whose store panics.

use std::time::Duration;

use super::fixture::{REVOKED, Replica, allowed, soon, timed, until};
use crate::keyring::caller::Caller;
use crate::keyring::on_behalf::Making;
use crate::keyring::{NewKey, WriteError};
use crate::store::{MemoryStore, Refusal, StoreErrorKind};

#[tokio::test(start_paused = true)]
async fn a_caller_who_hangs_up_leaves_a_whole_write_and_a_right_cache() {
    let replica = Replica::alone().await;
    let created = replica.create().await;
    let secret = created.secret.expose();
    assert_eq!(replica.ask(secret).await, allowed());
    replica.faults.writes.delay(Duration::from_millis(100));
    let caller = tokio::spawn({
        let (keyring, id) = (replica.keyring.clone(), created.key.id.clone());
        async move { keyring.revoke(&id, None).await }
    });
    tokio::time::sleep(Duration::from_millis(50)).await;
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    assert_eq!(replica.ask(secret).await, allowed(), "not committed yet");
    tokio::time::sleep(Duration::from_millis(60)).await;
    assert_eq!(replica.ask(secret).await, REVOKED);
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_hangs_up_between_commit_and_answer_leaves_a_right_cache() {
    let replica = Replica::alone().await;
    let created = replica.create().await;
    let secret = created.secret.expose();
    assert_eq!(replica.ask(secret).await, allowed());
    let writes = &replica.faults.writes;
    writes.freeze_next(1);
    let caller = tokio::spawn({
        let (keyring, id) = (replica.keyring.clone(), created.key.id.clone());
        async move { keyring.revoke(&id, None).await }
    });
    soon(writes.frozen(1)).await;
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    assert_eq!(writes.held(), 1, "the write goes on without its caller");
    writes.release();
    until(async || replica.ask(secret).await == REVOKED).await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_to_a_revoke_is_told_and_forgets_what_was_remembered() {
    let replica = Replica::alone().await;
    let created = replica.create().await;
    let secret = created.secret.expose();
    replica.sync().await;
    assert_eq!(replica.ask(secret).await, allowed());
    replica.faults.syncs.fail();
    replica.faults.writes.lose_answers();
    let lost = replica.keyring.revoke(&created.key.id, None).await;
    let Err(WriteError::OutcomeUnknown(Some(error))) = lost else {
        panic!("{lost:?}");
    };
    assert_eq!(error.kind(), StoreErrorKind::OutcomeUnknown);
    assert_eq!(replica.ask(secret).await, REVOKED);
    assert_eq!(replica.faults.look_ups.calls(), 2);
    replica.faults.heal();
    replica.sync().await;
    assert_eq!(replica.ask(secret).await, REVOKED);
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_outlives_a_sync_that_was_under_way() {
    let replica = Replica::alone().await;
    let created = replica.create().await;
    let secret = created.secret.expose();
    replica.sync().await;
    assert_eq!(replica.ask(secret).await, allowed());
    replica.faults.syncs.freeze_next(1);
    let sync = tokio::spawn({
        let keyring = replica.keyring.clone();
        async move { keyring.sync().await }
    });
    soon(replica.faults.syncs.frozen(1)).await;
    replica.faults.writes.lose_answers();
    assert!(replica.keyring.revoke(&created.key.id, None).await.is_err());
    replica.faults.syncs.release();
    sync.await.unwrap().unwrap();
    assert_eq!(replica.ask(secret).await, REVOKED);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_panics_in_a_write_leaves_the_outcome_open() {
    let replica = Replica::alone().await;
    let created = replica.create().await;
    let secret = created.secret.expose();
    assert_eq!(replica.ask(secret).await, allowed());
    let epoch = replica.keyring.health().epoch;
    replica.faults.writes.panic();
    let result = replica.keyring.revoke(&created.key.id, None).await;
    assert!(
        matches!(result, Err(WriteError::OutcomeUnknown(None))),
        "{result:?}"
    );
    assert!(replica.keyring.health().epoch > epoch);
    assert_eq!(replica.ask(secret).await, allowed());
}

#[tokio::test(start_paused = true)]
async fn a_write_that_hangs_is_answered_in_time_and_may_still_happen() {
    let replica = Replica::alone().await;
    let created = replica.create().await;
    let secret = created.secret.expose();
    replica.faults.writes.delay(Duration::from_secs(6));
    let result = replica.keyring.revoke(&created.key.id, None).await;
    assert!(
        matches!(result, Err(WriteError::OutcomeUnknown(None))),
        "{result:?}"
    );
    assert_eq!(replica.ask(secret).await, allowed());
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(replica.ask(secret).await, REVOKED);
}

#[tokio::test(start_paused = true)]
async fn a_refused_write_changes_and_forgets_nothing() {
    let replica = Replica::alone().await;
    let created = replica.create().await;
    let secret = created.secret.expose();
    assert_eq!(replica.ask(secret).await, allowed());
    let unknown = "key_0123456789abcdef".parse().unwrap();
    let result = replica.keyring.revoke(&unknown, None).await;
    assert!(
        matches!(result, Err(WriteError::Refused(Refusal::NotFound))),
        "{result:?}"
    );
    assert_eq!(replica.ask(secret).await, allowed());
    assert_eq!(replica.faults.look_ups.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_change_that_was_found_made_already_is_heeded_too() {
    let store = MemoryStore::new();
    let here = Replica::of(store.clone()).await;
    let there = Replica::of(store).await;
    let created = here.create().await;
    let secret = created.secret.expose();
    assert_eq!(here.ask(secret).await, allowed());
    there.revoke(&created.key.id).await;
    assert_eq!(here.ask(secret).await, allowed(), "not heard of yet");
    here.revoke(&created.key.id).await;
    assert_eq!(here.ask(secret).await, REVOKED);
}

#[tokio::test(start_paused = true)]
async fn a_caller_found_dead_by_a_write_is_dead_to_the_gate_too() {
    let store = MemoryStore::new();
    let here = Replica::of(store.clone()).await;
    let there = Replica::of(store).await;
    let new = NewKey::named("key")
        .unwrap()
        .scopes(["keys:write"])
        .unwrap();
    let created = here.keyring.create(new).await.unwrap();
    let secret = created.secret.expose();
    let caller = Caller::Key(here.principal(secret).await);
    there.revoke(&created.key.id).await;
    let new = NewKey::named("key").unwrap();
    let result = here.keyring.create_as(caller, new, Making::default()).await;
    assert!(
        matches!(result, Err(WriteError::Refused(Refusal::CallerDead))),
        "{result:?}"
    );
    assert_eq!(here.ask(secret).await, REVOKED);
}

#[tokio::test(start_paused = true)]
async fn of_many_who_make_the_first_key_one_does() {
    let replica = Replica::alone().await;
    let crowd: Vec<_> = (0..10)
        .map(|_| {
            let keyring = replica.keyring.clone();
            tokio::spawn(async move { keyring.create_first().await.unwrap() })
        })
        .collect();
    let mut made = Vec::new();
    for one in crowd {
        made.extend(one.await.unwrap());
    }
    let [first] = &made[..] else {
        panic!("{} first keys", made.len());
    };
    assert_eq!(first.key.owner.as_str(), "admin");
    replica.revoke(&first.key.id).await;
    assert!(replica.keyring.create_first().await.unwrap().is_none());
}

/// Another replica has written, of which nothing was heard here yet.
async fn others_have_written() -> (Replica, Replica) {
    let store = MemoryStore::new();
    let (here, there) = (Replica::of(store.clone()).await, Replica::of(store).await);
    there.create().await;
    (here, there)
}

#[tokio::test(start_paused = true)]
async fn a_revoke_is_answered_in_time_though_no_sync_succeeds() {
    for hang in [false, true] {
        let (here, there) = others_have_written().await;
        let created = here.create().await;
        let secret = created.secret.expose();
        assert_eq!(here.ask(secret).await, allowed());
        there.create().await;
        if hang {
            here.faults.syncs.hang();
        } else {
            here.faults.syncs.fail();
        }
        // One that has begun before, and holds the others up.
        drop(tokio::spawn({
            let keyring = here.keyring.clone();
            async move { keyring.sync().await }
        }));
        tokio::task::yield_now().await;
        let ((), took) = timed(here.revoke(&created.key.id)).await;
        assert!(took <= Duration::from_millis(1_001), "{took:?}");
        assert_eq!(here.ask(secret).await, REVOKED);
        let health = here.keyring.health();
        assert_eq!(health.lease_age, None, "nothing is trusted");
        assert_eq!(health.history_breaks, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn many_writes_that_have_to_catch_up_share_a_few_syncs() {
    let (here, there) = others_have_written().await;
    let mut keys = Vec::new();
    for _ in 0..50 {
        keys.push(here.create().await);
    }
    here.sync().await;
    there.create().await;
    here.faults.syncs.delay(Duration::from_millis(100));
    here.faults.writes.freeze_next(50);
    let before = here.faults.syncs.calls();
    let revokes: Vec<_> = keys
        .iter()
        .map(|created| {
            let (here, id) = (here.clone(), created.key.id.clone());
            tokio::spawn(async move { here.revoke(&id).await })
        })
        .collect();
    soon(here.faults.writes.frozen(50)).await;
    here.faults.writes.release();
    let ((), took) = timed(async {
        for revoke in revokes {
            revoke.await.unwrap();
        }
    })
    .await;
    assert!(took <= Duration::from_millis(500), "{took:?}");
    let syncs = here.faults.syncs.calls() - before;
    assert!(syncs <= 3, "{syncs} syncs");
    for created in &keys {
        assert_eq!(here.ask(created.secret.expose()).await, REVOKED);
    }
    assert_eq!(here.keyring.health().lease_age, Some(Duration::ZERO));
}
