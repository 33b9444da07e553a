//! Two keyrings on one store: what one changes, the other follows in time, whatever fails.

use std::time::Duration;

use super::fixture::{DISABLED, REVOKED, Replica, allowed, soon, unavailable};
use crate::keyring::Unavailable;
use crate::store::MemoryStore;

const MAX_STALENESS: Duration = Duration::from_secs(5);
const TICK: Duration = Duration::from_nanos(1);

async fn two() -> (Replica, Replica) {
    let store = MemoryStore::new();
    (Replica::of(store.clone()).await, Replica::of(store).await)
}

#[tokio::test(start_paused = true)]
async fn a_revoke_elsewhere_is_heeded_after_a_sync() {
    let (here, there) = two().await;
    let created = there.create().await;
    let secret = created.secret.expose();
    assert_eq!(here.ask(secret).await, allowed());
    there.revoke(&created.key.id).await;
    here.sync().await;
    assert_eq!(here.ask(secret).await, REVOKED);
}

#[tokio::test(start_paused = true)]
async fn a_revoke_elsewhere_is_heeded_soon_after_the_nudge() {
    let (here, there) = two().await;
    here.faults.lose_nudges(false);
    let created = there.create().await;
    let secret = created.secret.expose();
    assert_eq!(here.ask(secret).await, allowed());
    there.revoke(&created.key.id).await;
    tokio::time::sleep(Duration::from_millis(25)).await;
    assert_eq!(here.ask(secret).await, REVOKED);
}

#[tokio::test(start_paused = true)]
async fn a_revoke_elsewhere_is_heeded_after_a_poll_when_the_nudge_is_lost() {
    let (here, there) = two().await;
    let created = there.create().await;
    let secret = created.secret.expose();
    assert_eq!(here.ask(secret).await, allowed());
    there.revoke(&created.key.id).await;
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(here.ask(secret).await, REVOKED);
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_cannot_sync_trusts_what_it_remembers_until_the_lease_ends() {
    let (here, there) = two().await;
    let created = there.create().await;
    let secret = created.secret.expose();
    here.sync().await;
    assert_eq!(here.ask(secret).await, allowed());
    here.faults.syncs.fail();
    there.revoke(&created.key.id).await;
    here.clock.advance(MAX_STALENESS);
    assert_eq!(
        here.ask(secret).await,
        allowed(),
        "the lease holds to its end"
    );
    assert_eq!(here.faults.look_ups.calls(), 1);
    here.clock.advance(TICK);
    assert_eq!(here.ask(secret).await, REVOKED, "and not a tick longer");
    assert_eq!(here.faults.look_ups.calls(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_replica_cut_off_for_longer_than_the_lease_says_unavailable_and_nothing_else() {
    let (here, there) = two().await;
    let living = there.create().await;
    let revoked = there.create().await;
    let junk = here.junk();
    for secret in [living.secret.expose(), revoked.secret.expose(), &junk] {
        drop(here.ask(secret).await);
    }
    here.faults.fail();
    there.revoke(&revoked.key.id).await;
    here.clock.advance(MAX_STALENESS + TICK);
    for secret in [living.secret.expose(), revoked.secret.expose(), &junk] {
        let answer = here.ask(secret).await;
        assert_eq!(answer, unavailable(Unavailable::StoreFailed));
    }
    here.faults.heal();
    assert_eq!(here.ask(living.secret.expose()).await, allowed());
    assert_eq!(here.ask(revoked.secret.expose()).await, REVOKED);
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_cannot_sync_but_can_look_up_still_answers_right() {
    let (here, there) = two().await;
    let created = there.create().await;
    let secret = created.secret.expose();
    here.faults.syncs.hang();
    here.clock.advance(MAX_STALENESS + TICK);
    for _ in 0..3 {
        assert_eq!(here.ask(secret).await, allowed());
    }
    assert_eq!(here.faults.look_ups.calls(), 3, "each request looks up");
    there.enable(&created.key.id, false).await;
    assert_eq!(here.ask(secret).await, DISABLED);
}

#[tokio::test(start_paused = true)]
async fn what_is_enabled_elsewhere_opens_here_within_the_bound() {
    let (here, there) = two().await;
    let created = there.create().await;
    let secret = created.secret.expose();
    there.enable(&created.key.id, false).await;
    here.sync().await;
    assert_eq!(here.ask(secret).await, DISABLED);
    there.enable(&created.key.id, true).await;
    here.faults.syncs.fail();
    here.clock.advance(MAX_STALENESS + TICK);
    assert_eq!(here.ask(secret).await, allowed());
}

#[tokio::test(start_paused = true)]
async fn what_is_created_elsewhere_opens_here_at_once() {
    let (here, there) = two().await;
    let created = there.create().await;
    assert_eq!(here.ask(created.secret.expose()).await, allowed());
}

#[tokio::test(start_paused = true)]
async fn a_lease_counts_from_the_start_of_the_sync() {
    let (here, there) = two().await;
    let created = there.create().await;
    let secret = created.secret.expose();
    assert_eq!(here.ask(secret).await, allowed());
    let syncs = &here.faults.syncs;
    syncs.freeze_next(1);
    let sync = tokio::spawn({
        let keyring = here.keyring.clone();
        async move { keyring.sync().await }
    });
    soon(syncs.frozen(1)).await;
    // The report has been read. What comes now is not in it.
    there.revoke(&created.key.id).await;
    here.clock.advance(MAX_STALENESS + TICK);
    syncs.release();
    sync.await.unwrap().unwrap();
    assert_eq!(here.ask(secret).await, REVOKED);
}

#[tokio::test(start_paused = true)]
async fn a_hanging_sync_is_given_up_and_followed_by_others() {
    let (here, _there) = two().await;
    here.faults.syncs.hang();
    assert!(here.keyring.sync().await.is_err());
    here.faults.syncs.heal();
    here.clock.advance(MAX_STALENESS + TICK);
    assert!(!here.keyring.health().in_sync);
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    assert!(here.keyring.health().in_sync, "the background task went on");
}

#[tokio::test(start_paused = true)]
async fn a_panicking_sync_is_followed_by_others() {
    let (here, _there) = two().await;
    here.faults.syncs.panic();
    assert!(here.keyring.sync().await.is_err());
    tokio::time::sleep(Duration::from_secs(3)).await;
    here.faults.syncs.heal();
    here.clock.advance(MAX_STALENESS + TICK);
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert!(here.keyring.health().in_sync, "the background task went on");
}

#[tokio::test(start_paused = true)]
async fn a_row_that_waited_for_longer_than_the_lease_is_given_to_nobody() {
    let (here, there) = two().await;
    let created = there.create().await;
    let secret = created.secret.expose();
    here.faults.look_ups.freeze_next(1);
    let earlier = here.asking(secret);
    soon(here.faults.look_ups.frozen(1)).await;
    there.revoke(&created.key.id).await;
    // The machine sleeps, and Tokio's clock with it.
    here.clock.advance(Duration::from_hours(1));
    let joiner = here.asking(secret);
    tokio::task::yield_now().await;
    here.faults.look_ups.release();
    for request in [earlier, joiner] {
        let answer = request.await.unwrap();
        assert!(answer.is_err(), "revoked an hour ago");
    }
    assert_eq!(here.ask(secret).await, REVOKED);
}
