//! What was seen revoked stays refused when the store has forgotten it.

use std::time::Duration;

use super::fixture::{Answer, REVOKED, Replica, Rerouted, allowed, soon};
use super::log;
use crate::key::KeyId;
use crate::keyring::NewKey;
use crate::keyring::caller::Caller;
use crate::keyring::on_behalf::Making;
use crate::store::{ListQuery, MemoryStore, Whose};

/// A key that lives in a backup, and the store since, where it may be revoked.
struct Scene {
    store: MemoryStore,
    route: Rerouted,
    here: Replica,
    there: Replica,
    backup: MemoryStore,
    id: KeyId,
    secret: String,
}

impl Scene {
    async fn new() -> Self {
        let store = MemoryStore::new();
        let route = Rerouted::to(&store);
        let here = Replica::of(route.clone()).await;
        let there = Replica::of(store.clone()).await;
        let new = NewKey::named("key")
            .unwrap()
            .scopes(["keys:write"])
            .unwrap();
        let created = there.keyring.create(new).await.unwrap();
        here.sync().await;
        Self {
            backup: store.backup(),
            id: created.key.id,
            secret: created.secret.expose().to_owned(),
            store,
            route,
            here,
            there,
        }
    }

    fn restore(&self) {
        self.route.reroute(&self.backup);
    }

    /// The restored store goes on by another way, past all that is known of it.
    async fn restore_and_go_on(&self) {
        let elsewhere = Replica::of(self.backup.clone()).await;
        for _ in 0..10 {
            elsewhere.create().await;
        }
        self.restore();
    }

    async fn ask(&self) -> Answer {
        self.here.ask(&self.secret).await
    }

    async fn stays_refused_after_a_restore(&self) {
        self.restore();
        self.here.sync().await;
        assert_eq!(self.ask().await, REVOKED);
        let health = self.here.keyring.health();
        assert!(health.refuses_what_it_saw_revoked);
        assert_eq!(health.history_breaks, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_was_revoked_here_stays_refused_until_the_store_is_trusted_again() {
    let scene = Scene::new().await;
    scene.here.revoke(&scene.id).await;
    scene.here.sync().await;
    assert!(!scene.here.keyring.health().refuses_what_it_saw_revoked);
    scene.stays_refused_after_a_restore().await;
    let looked_up = scene.here.faults.look_ups.calls();
    assert_eq!(scene.ask().await, REVOKED);
    let again = scene.here.faults.look_ups.calls();
    assert_eq!(again, looked_up, "which is remembered");

    scene.here.keyring.trust_restored_store();
    assert_eq!(scene.ask().await, allowed(), "as the store says");
    assert!(!scene.here.keyring.health().refuses_what_it_saw_revoked);
    scene.here.sync().await;
    assert_eq!(scene.ask().await, allowed());
    assert_eq!(scene.here.keyring.health().history_breaks, 1);
    // For good.
    scene.here.revoke(&scene.id).await;
    assert_eq!(scene.ask().await, REVOKED);
    scene.here.keyring.trust_restored_store();
    scene.here.sync().await;
    assert_eq!(scene.ask().await, REVOKED, "that is what the store says");
}

#[tokio::test(start_paused = true)]
async fn other_keys_are_as_the_restored_store_says() {
    let scene = Scene::new().await;
    let other = scene.here.create().await;
    scene.here.enable(&other.key.id, false).await;
    let backup = scene.store.backup();
    scene.here.enable(&other.key.id, true).await;
    scene.here.revoke(&scene.id).await;
    scene.here.sync().await;
    scene.route.reroute(&backup);
    scene.here.sync().await;
    let answer = scene.here.ask(other.secret.expose()).await;
    assert_eq!(answer, super::fixture::DISABLED);
    scene.here.enable(&other.key.id, true).await;
    let answer = scene.here.ask(other.secret.expose()).await;
    assert_eq!(answer, allowed());
}

#[tokio::test(start_paused = true)]
async fn a_key_that_was_found_revoked_by_a_look_up_stays_refused() {
    let scene = Scene::new().await;
    scene.there.revoke(&scene.id).await;
    scene.here.sync().await;
    assert_eq!(scene.ask().await, REVOKED);
    scene.stays_refused_after_a_restore().await;
}

#[tokio::test(start_paused = true)]
async fn a_key_of_an_emergency_stop_stays_refused() {
    let scene = Scene::new().await;
    let revoked = scene.here.keyring.revoke_all(Whose::All, "stop").await;
    assert_eq!(revoked.unwrap(), 1);
    scene.stays_refused_after_a_restore().await;
}

#[tokio::test(start_paused = true)]
async fn a_key_that_was_found_revoked_already_by_a_revoke_stays_refused() {
    let scene = Scene::new().await;
    scene.there.revoke(&scene.id).await;
    scene.here.revoke(&scene.id).await;
    scene.stays_refused_after_a_restore().await;
}

#[tokio::test(start_paused = true)]
async fn a_key_that_could_not_be_changed_because_it_is_revoked_stays_refused() {
    let scene = Scene::new().await;
    scene.there.revoke(&scene.id).await;
    let rotated = scene.here.keyring.rotate(&scene.id, Duration::ZERO).await;
    assert!(rotated.is_err());
    scene.stays_refused_after_a_restore().await;
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_was_found_revoked_by_a_write_stays_refused() {
    let scene = Scene::new().await;
    let caller = Caller::Key(scene.here.principal(&scene.secret).await);
    scene.there.revoke(&scene.id).await;
    let new = NewKey::named("key").unwrap();
    let made = scene.here.keyring.create_as(caller, new, Making::default());
    assert!(made.await.is_err());
    scene.stays_refused_after_a_restore().await;
}

#[tokio::test(start_paused = true)]
async fn a_key_that_was_shown_as_revoked_stays_refused() {
    let scene = Scene::new().await;
    scene.there.revoke(&scene.id).await;
    scene.here.keyring.get(&scene.id).await.unwrap();
    scene.stays_refused_after_a_restore().await;
}

#[tokio::test(start_paused = true)]
async fn a_key_that_was_listed_as_revoked_stays_refused() {
    let scene = Scene::new().await;
    scene.there.revoke(&scene.id).await;
    let all = ListQuery {
        limit: 10,
        ..ListQuery::default()
    };
    scene.here.keyring.list(all).await.unwrap();
    scene.stays_refused_after_a_restore().await;
}

#[tokio::test(start_paused = true)]
async fn it_is_refused_before_any_sync_has_noticed_the_restore() {
    let scene = Scene::new().await;
    scene.here.revoke(&scene.id).await;
    scene.here.sync().await;
    scene.restore_and_go_on().await;
    assert_eq!(scene.ask().await, REVOKED);
    assert_eq!(scene.here.keyring.health().history_breaks, 1, "found by it");
    assert_eq!(scene.ask().await, REVOKED);
}

#[tokio::test(start_paused = true)]
async fn it_is_refused_while_no_sync_can_notice_anything() {
    let scene = Scene::new().await;
    scene.here.revoke(&scene.id).await;
    scene.here.sync().await;
    scene.restore_and_go_on().await;
    scene.here.faults.syncs.hang();
    assert_eq!(scene.ask().await, REVOKED);
    scene.here.clock.advance(Duration::from_hours(1));
    assert_eq!(scene.ask().await, REVOKED);
    assert_eq!(scene.here.keyring.health().history_breaks, 1);
}

#[tokio::test(start_paused = true)]
async fn a_failover_that_lost_the_revoke_and_went_on_at_once_is_noticed_by_the_sync() {
    let scene = Scene::new().await;
    let bystander = scene.here.create().await;
    scene.here.sync().await;
    let standby = scene.store.backup();
    scene.here.revoke(&scene.id).await;
    // Others write to it first, so that its revisions have passed the one that was lost.
    let elsewhere = Replica::of(standby.clone()).await;
    elsewhere.create().await;
    elsewhere.revoke(&bystander.key.id).await;
    scene.route.reroute(&standby);
    drop(log::lines(""));
    scene.here.sync().await;
    let health = scene.here.keyring.health();
    assert!(health.refuses_what_it_saw_revoked);
    assert_eq!(health.history_breaks, 1);
    let alarms = log::lines("history_broken");
    assert!(alarms[0].contains("why=the store has lost a change that was made here"));
    assert_eq!(scene.ask().await, REVOKED);
    let answer = scene.here.ask(bystander.secret.expose()).await;
    assert_eq!(answer, REVOKED);
    scene.here.sync().await;
    assert_eq!(scene.here.keyring.health().history_breaks, 1);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_lost_what_a_look_up_saw_is_noticed_by_the_sync() {
    let scene = Scene::new().await;
    scene.there.enable(&scene.id, false).await;
    let standby = scene.store.backup();
    scene.here.sync().await;
    scene.there.enable(&scene.id, true).await;
    assert_eq!(scene.ask().await, allowed(), "looked up before any sync");
    scene.route.reroute(&standby);
    scene.here.sync().await;
    assert_eq!(scene.here.keyring.health().history_breaks, 1);
    assert_eq!(scene.ask().await, super::fixture::DISABLED);
}

#[tokio::test(start_paused = true)]
async fn a_look_up_that_is_under_way_when_the_break_is_noticed_lets_nobody_in() {
    let scene = Scene::new().await;
    scene.here.revoke(&scene.id).await;
    scene.here.sync().await;
    scene.restore_and_go_on().await;
    let look_ups = &scene.here.faults.look_ups;
    look_ups.freeze_next(1);
    let earlier = scene.here.asking(&scene.secret);
    soon(look_ups.frozen(1)).await;
    scene.here.sync().await;
    assert_eq!(scene.ask().await, REVOKED);
    look_ups.release();
    assert_eq!(earlier.await.unwrap(), REVOKED);
    assert_eq!(scene.ask().await, REVOKED);
}

#[tokio::test(start_paused = true)]
async fn a_revoke_that_went_to_the_store_before_the_restore_and_is_answered_after_it_holds() {
    for noticed in [true, false] {
        revoked_before_and_answered_after_a_restore(noticed).await;
    }
}

/// `noticed`: whether the sync in between sees that the history broke.
async fn revoked_before_and_answered_after_a_restore(noticed: bool) {
    let scene = Scene::new().await;
    let writes = &scene.here.faults.writes;
    writes.freeze_next(1);
    let revoke = tokio::spawn({
        let (keyring, id) = (scene.here.keyring.clone(), scene.id.clone());
        async move { keyring.revoke(&id, None).await }
    });
    soon(writes.frozen(1)).await;
    if noticed {
        // Something that the sync sees to be lost.
        scene.there.create().await;
        scene.here.sync().await;
    }
    scene.restore_and_go_on().await;
    assert_eq!(scene.ask().await, allowed(), "nobody has been told yet");
    scene.here.sync().await;
    let breaks = scene.here.keyring.health().history_breaks;
    assert_eq!(breaks, u64::from(noticed));
    assert_eq!(scene.ask().await, allowed(), "nor now");
    writes.release();
    revoke.await.unwrap().unwrap();
    for _ in 0..3 {
        assert_eq!(scene.ask().await, REVOKED);
        scene.here.sync().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_that_went_to_the_store_before_the_restore_is_missed_when_it_is_answered() {
    let scene = Scene::new().await;
    let writes = &scene.here.faults.writes;
    writes.freeze_next(1);
    let change = tokio::spawn({
        let (here, id) = (scene.here.clone(), scene.id.clone());
        async move { here.enable(&id, false).await }
    });
    soon(writes.frozen(1)).await;
    scene.restore_and_go_on().await;
    scene.here.sync().await;
    let breaks = || scene.here.keyring.health().history_breaks;
    assert_eq!(breaks(), 0, "for all that the sync can see");
    writes.release();
    change.await.unwrap();
    assert_eq!(breaks(), 1);
    scene.here.sync().await;
    assert_eq!(breaks(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_write_that_finds_the_break_refuses_too() {
    let scene = Scene::new().await;
    scene.here.revoke(&scene.id).await;
    for _ in 0..5 {
        scene.here.create().await;
    }
    scene.restore();
    scene.here.create().await;
    let health = scene.here.keyring.health();
    assert!(health.refuses_what_it_saw_revoked);
    assert_eq!(health.history_breaks, 1);
    assert_eq!(scene.ask().await, REVOKED);
    scene.here.sync().await;
    assert_eq!(scene.ask().await, REVOKED);
}

#[tokio::test(start_paused = true)]
async fn a_revoked_key_that_was_put_in_anew_by_hand_stays_refused_too() {
    let scene = Scene::new().await;
    scene.here.revoke(&scene.id).await;
    scene.here.sync().await;
    scene.route.revive();
    assert_eq!(scene.ask().await, REVOKED);
    assert_eq!(scene.here.keyring.health().history_breaks, 1);
    scene.here.sync().await;
    assert_eq!(scene.ask().await, REVOKED);
    let health = scene.here.keyring.health();
    assert_eq!(health.history_breaks, 1, "the history itself is whole");
    scene.here.keyring.trust_restored_store();
    assert_eq!(scene.ask().await, allowed());
}

#[tokio::test(start_paused = true)]
async fn a_row_from_before_the_revoke_is_no_break() {
    let scene = Scene::new().await;
    let look_ups = &scene.here.faults.look_ups;
    look_ups.freeze_next(1);
    let earlier = scene.here.asking(&scene.secret);
    soon(look_ups.frozen(1)).await;
    scene.here.revoke(&scene.id).await;
    look_ups.release();
    assert_eq!(earlier.await.unwrap(), REVOKED);
    assert_eq!(scene.ask().await, REVOKED);
    assert_eq!(scene.here.keyring.health().history_breaks, 0);
}

#[tokio::test(start_paused = true)]
async fn what_was_written_here_is_found_again_whichever_comes_first() {
    let scene = Scene::new().await;
    let (writes, syncs) = (&scene.here.faults.writes, &scene.here.faults.syncs);
    for frozen in [writes, syncs] {
        for _ in 0..10 {
            frozen.freeze_next(1);
            let (keyring, id) = (scene.here.keyring.clone(), scene.id.clone());
            let rotating = async move { keyring.rotate(&id, Duration::from_mins(1)).await };
            let keyring = scene.here.keyring.clone();
            let syncing = async move { keyring.sync().await };
            if std::ptr::eq(frozen, writes) {
                let write = tokio::spawn(rotating);
                soon(frozen.frozen(1)).await;
                syncing.await.unwrap();
                frozen.release();
                write.await.unwrap().unwrap();
            } else {
                let sync = tokio::spawn(syncing);
                soon(frozen.frozen(1)).await;
                rotating.await.unwrap();
                frozen.release();
                sync.await.unwrap().unwrap();
            }
            scene.there.create().await;
            scene.here.sync().await;
        }
    }
    assert_eq!(scene.here.keyring.health().history_breaks, 0);
}

#[tokio::test(start_paused = true)]
async fn an_emergency_stop_that_names_the_dead_as_well_is_no_break() {
    let scene = Scene::new().await;
    scene.here.revoke(&scene.id).await;
    scene.here.sync().await;
    for _ in 0..3 {
        scene.here.create().await;
        let stopped = scene.here.keyring.revoke_all(Whose::All, "stop").await;
        assert_eq!(stopped.unwrap(), 1);
        let stopped = scene.here.keyring.revoke_all(Whose::All, "stop").await;
        assert_eq!(stopped.unwrap(), 0);
        scene.here.sync().await;
    }
    assert_eq!(scene.here.keyring.health().history_breaks, 0);
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_no_break() {
    let scene = Scene::new().await;
    scene.here.faults.writes.lose_answers();
    assert!(scene.here.keyring.revoke(&scene.id, None).await.is_err());
    scene.here.sync().await;
    let health = scene.here.keyring.health();
    assert!(!health.refuses_what_it_saw_revoked);
    assert_eq!(health.history_breaks, 0);
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_was_rotated_away_comes_back_with_the_backup() {
    let scene = Scene::new().await;
    let rotated = scene.here.keyring.rotate(&scene.id, Duration::ZERO).await;
    let new = rotated.unwrap().secret.expose().to_owned();
    scene.here.sync().await;
    assert_eq!(scene.ask().await, super::fixture::UNKNOWN);
    scene.restore();
    scene.here.sync().await;
    assert_eq!(scene.ask().await, allowed(), "the docs say so");
    assert_eq!(scene.here.ask(&new).await, super::fixture::UNKNOWN);
}

#[tokio::test(start_paused = true)]
async fn the_break_is_told_once_with_fields_to_be_alerted_on() {
    let scene = Scene::new().await;
    scene.here.revoke(&scene.id).await;
    scene.here.sync().await;
    drop(log::lines(""));
    scene.restore();
    scene.here.sync().await;
    scene.here.sync().await;
    let alarms = log::lines("portcullis::history");
    let [alarm] = &alarms[..] else {
        panic!("{alarms:?}");
    };
    for part in [
        "ERROR",
        "alarm=\"history_broken\"",
        "why=the store went back to an older state",
        "revision=1",
        "epoch=2",
    ] {
        assert!(alarm.contains(part), "{part} is not in {alarm}");
    }
    assert_eq!(scene.ask().await, REVOKED);
    let id = format!("key={}", scene.id);
    assert_eq!(log::lines(&id).len(), 1, "which key is refused");
}
