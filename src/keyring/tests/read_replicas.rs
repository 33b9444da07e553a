//! Look-ups that a read replica answers, which may lag behind by any time.

use std::time::Duration;

use super::fixture::{
    DISABLED, REVOKED, Replica, Rerouted, UNKNOWN, allowed, soon, timed, unavailable, until,
};
use crate::keyring::{Expiry, NewKey, Unavailable};
use crate::store::MemoryStore;

const MAX_STALENESS: Duration = Duration::from_secs(5);
const DEADLINE: Duration = Duration::from_millis(500);
const TICK: Duration = Duration::from_nanos(1);

/// A store, the way to it, and two keyrings that go that way: one that asks and one that changes.
struct Scene {
    store: MemoryStore,
    route: Rerouted,
    here: Replica,
    there: Replica,
}

impl Scene {
    async fn new() -> Self {
        let store = MemoryStore::new();
        let route = Rerouted::to(&store);
        Self {
            here: Replica::of(route.clone()).await,
            there: Replica::of(store.clone()).await,
            store,
            route,
        }
    }

    /// From now on the read replica hears of nothing.
    fn replica_stops(&self) {
        self.route.read_from(&self.store.backup());
    }

    fn look_ups(&self) -> u64 {
        self.here.faults.look_ups.calls()
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_is_in_step_answers_alone() {
    let scene = Scene::new().await;
    let created = scene.there.create().await;
    scene.here.sync().await;
    scene.replica_stops();
    assert_eq!(scene.here.ask(created.secret.expose()).await, allowed());
    assert_eq!(scene.look_ups(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_life_is_counted_from_the_answer_though_it_is_believed_as_of_the_lease() {
    let scene = Scene::new().await;
    let new = NewKey::named("key").unwrap();
    let new = new.expiry(Expiry::In(Duration::from_secs(3)));
    let created = scene.there.keyring.create(new).await.unwrap();
    scene.here.sync().await;
    scene.replica_stops();
    scene.here.clock.advance(Duration::from_secs(4));
    // The replica's own clock says that there are three seconds left.
    assert_eq!(scene.here.ask(created.secret.expose()).await, allowed());
    assert_eq!(scene.look_ups(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_row_from_before_what_is_known_is_asked_for_again_of_the_primary() {
    let scene = Scene::new().await;
    let created = scene.there.create().await;
    let secret = created.secret.expose();
    scene.replica_stops();
    scene.there.revoke(&created.key.id).await;
    scene.here.sync().await;
    assert_eq!(scene.here.ask(secret).await, REVOKED);
    assert_eq!(scene.look_ups(), 2, "the replica, and the primary");
    assert_eq!(scene.here.ask(secret).await, REVOKED);
    assert_eq!(scene.look_ups(), 2, "which is remembered");
}

#[tokio::test(start_paused = true)]
async fn what_was_disabled_before_is_asked_for_again_too() {
    let scene = Scene::new().await;
    let created = scene.there.create().await;
    let secret = created.secret.expose();
    scene.there.enable(&created.key.id, false).await;
    scene.here.sync().await;
    scene.replica_stops();
    assert_eq!(scene.here.ask(secret).await, DISABLED);
    scene.there.enable(&created.key.id, true).await;
    scene.here.sync().await;
    assert_eq!(scene.here.ask(secret).await, allowed());
}

#[tokio::test(start_paused = true)]
async fn a_row_that_a_sync_overtakes_on_its_way_is_asked_for_again() {
    let scene = Scene::new().await;
    let created = scene.there.create().await;
    let secret = created.secret.expose();
    scene.here.sync().await;
    scene.replica_stops();
    let look_ups = &scene.here.faults.look_ups;
    look_ups.freeze_next(1);
    let request = scene.here.asking(secret);
    soon(look_ups.frozen(1)).await;
    scene.there.revoke(&created.key.id).await;
    scene.here.sync().await;
    look_ups.release();
    assert_eq!(request.await.unwrap(), REVOKED);
    assert_eq!(scene.here.ask(secret).await, REVOKED);
}

#[tokio::test(start_paused = true)]
async fn a_revoke_here_is_not_undone_by_a_row_from_before_it() {
    let scene = Scene::new().await;
    let created = scene.there.create().await;
    let secret = created.secret.expose();
    scene.here.sync().await;
    scene.replica_stops();
    assert_eq!(scene.here.ask(secret).await, allowed());
    scene.here.revoke(&created.key.id).await;
    assert_eq!(scene.here.ask(secret).await, REVOKED);
}

#[tokio::test(start_paused = true)]
async fn a_revoke_during_the_first_sync_is_not_undone_either() {
    let store = MemoryStore::new();
    let created = Replica::of(store.clone()).await.create().await;
    let secret = created.secret.expose();
    let route = Rerouted::to(&store);
    route.read_from(&store.backup());
    let here = Replica::out_of_step(route, |builder| builder);
    let syncs = &here.faults.syncs;
    syncs.freeze_next(1);
    soon(syncs.frozen(1)).await;
    here.revoke(&created.key.id).await;
    syncs.release();
    until(async || here.keyring.health().in_sync).await;
    assert_eq!(here.ask(secret).await, REVOKED);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_was_just_made_elsewhere_is_not_called_unknown() {
    let scene = Scene::new().await;
    scene.replica_stops();
    let created = scene.there.create().await;
    let secret = created.secret.expose();
    assert_eq!(scene.here.ask(secret).await, allowed());
    assert_eq!(scene.look_ups(), 2);
    let junk = scene.here.junk();
    assert_eq!(scene.here.ask(&junk).await, UNKNOWN, "both say so");
    assert_eq!(scene.look_ups(), 4);
    assert_eq!(scene.here.ask(&junk).await, UNKNOWN);
    assert_eq!(scene.look_ups(), 4);
}

#[tokio::test(start_paused = true)]
async fn no_such_key_is_said_by_nobody_when_the_primary_is_away() {
    let scene = Scene::new().await;
    scene.replica_stops();
    let created = scene.there.create().await;
    let look_ups = &scene.here.faults.look_ups;
    look_ups.freeze_next(1);
    let request = scene.here.asking(created.secret.expose());
    soon(look_ups.frozen(1)).await;
    look_ups.fail();
    look_ups.release();
    let answer = request.await.unwrap();
    assert_eq!(answer, unavailable(Unavailable::StoreFailed));
    assert_eq!(scene.here.keyring.health().unknown, 0);
}

#[tokio::test(start_paused = true)]
async fn while_the_lease_is_over_the_primary_alone_is_asked() {
    let scene = Scene::new().await;
    let created = scene.there.create().await;
    let secret = created.secret.expose();
    scene.here.sync().await;
    scene.replica_stops();
    scene.here.faults.syncs.fail();
    scene.there.revoke(&created.key.id).await;
    scene.here.clock.advance(MAX_STALENESS);
    assert_eq!(scene.here.ask(secret).await, allowed(), "as of the lease");
    scene.here.clock.advance(TICK);
    assert_eq!(scene.here.ask(secret).await, REVOKED);
    assert_eq!(scene.look_ups(), 2);
}

#[tokio::test(start_paused = true)]
async fn before_the_first_sync_the_primary_alone_is_asked() {
    let store = MemoryStore::new();
    let there = Replica::of(store.clone()).await;
    let created = there.create().await;
    let secret = created.secret.expose();
    let route = Rerouted::to(&store);
    route.read_from(&store.backup());
    there.revoke(&created.key.id).await;
    let here = Replica::out_of_step(route, |builder| builder);
    here.faults.syncs.fail();
    for asked in 1..=3 {
        assert_eq!(here.ask(secret).await, REVOKED);
        assert_eq!(here.faults.look_ups.calls(), asked, "each by the primary");
    }
    assert!(!here.keyring.health().in_sync);
    assert!(here.keyring.ready().await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_ends_while_the_replica_answers_is_no_ground_to_believe_it() {
    let scene = Scene::new().await;
    let created = scene.there.create().await;
    let secret = created.secret.expose();
    scene.here.sync().await;
    scene.replica_stops();
    let look_ups = &scene.here.faults.look_ups;
    scene.here.faults.syncs.fail();
    scene.here.clock.advance(MAX_STALENESS);
    look_ups.freeze_next(1);
    let request = scene.here.asking(secret);
    soon(look_ups.frozen(1)).await;
    scene.there.revoke(&created.key.id).await;
    scene.here.clock.advance(TICK);
    look_ups.release();
    assert_eq!(request.await.unwrap(), REVOKED);
}

#[tokio::test(start_paused = true)]
async fn one_of_another_store_is_not_believed() {
    let scene = Scene::new().await;
    let created = scene.there.create().await;
    let secret = created.secret.expose();
    scene.here.sync().await;
    scene.replica_stops();
    scene.route.misplace_replica();
    assert_eq!(scene.here.ask(secret).await, allowed());
    assert_eq!(scene.look_ups(), 2);
}

#[tokio::test(start_paused = true)]
async fn one_that_was_restored_with_its_primary_is_not_believed_before_the_sync() {
    let scene = Scene::new().await;
    let created = scene.there.create().await;
    let secret = created.secret.expose();
    let backup = scene.store.backup();
    scene.here.revoke(&created.key.id).await;
    scene.here.sync().await;
    // Both go on, past the revision of the revoke, which is in neither.
    let elsewhere = Replica::of(backup.clone()).await;
    for _ in 0..5 {
        elsewhere.create().await;
    }
    scene.route.reroute(&backup);
    scene.route.read_from(&backup);
    assert_eq!(scene.here.ask(secret).await, REVOKED);
}

#[tokio::test(start_paused = true)]
async fn the_primary_is_asked_again_within_the_same_deadline() {
    let scene = Scene::new().await;
    let created = scene.there.create().await;
    scene.replica_stops();
    scene.there.revoke(&created.key.id).await;
    scene.here.sync().await;
    scene.here.faults.look_ups.delay(DEADLINE * 3 / 5);
    let (answer, took) = timed(scene.here.ask(created.secret.expose())).await;
    assert_eq!(answer, unavailable(Unavailable::Deadline));
    assert!(took <= DEADLINE + Duration::from_millis(1), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_primary_that_became_a_standby_is_no_primary() {
    let scene = Scene::new().await;
    let created = scene.there.create().await;
    let secret = created.secret.expose();
    scene.here.faults.syncs.fail();
    scene.here.clock.advance(MAX_STALENESS + TICK);
    scene.route.demote();
    let answer = scene.here.ask(secret).await;
    assert_eq!(answer, unavailable(Unavailable::Behind));
}

#[tokio::test(start_paused = true)]
async fn a_primary_of_another_store_is_not_believed_and_the_next_sync_comes_at_once() {
    let scene = Scene::new().await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    let another = MemoryStore::new();
    let elsewhere = Replica::of(another.clone()).await;
    for _ in 0..5 {
        elsewhere.create().await;
    }
    let created = elsewhere.create().await;
    let secret = created.secret.expose();
    scene.route.reroute(&another);
    let answer = scene.here.ask(secret).await;
    assert_eq!(answer, unavailable(Unavailable::Behind));
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(scene.here.keyring.health().history_breaks, 1);
    assert_eq!(scene.here.ask(secret).await, allowed());
}

#[tokio::test(start_paused = true)]
async fn one_that_calls_a_key_alive_which_was_read_as_revoked_is_asked_no_further() {
    let scene = Scene::new().await;
    let created = scene.there.create().await;
    let secret = created.secret.expose();
    scene.here.sync().await;
    scene.replica_stops();
    scene.there.revoke(&created.key.id).await;
    // No sync has brought it yet, and here somebody has been told.
    let shown = scene.here.keyring.get(&created.key.id).await.unwrap();
    assert!(shown.unwrap().revoked.is_some());
    assert_eq!(scene.here.ask(secret).await, REVOKED);
}

#[tokio::test(start_paused = true)]
async fn requests_that_ask_all_the_time_do_not_make_the_sync_spin() {
    let scene = Scene::new().await;
    let created = scene.there.create().await;
    scene.here.faults.syncs.fail();
    scene.here.clock.advance(MAX_STALENESS + TICK);
    scene.route.demote();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let before = scene.here.faults.syncs.calls();
    for _ in 0..1_000 {
        let answer = scene.here.ask(created.secret.expose()).await;
        assert_eq!(answer, unavailable(Unavailable::Behind));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let syncs = scene.here.faults.syncs.calls() - before;
    assert!((3..=5).contains(&syncs), "{syncs} in a second");
}
