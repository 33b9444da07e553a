//! Two secrets of one key: the old one ends at once or with its grace, never later than the key,
//! and whatever is remembered or under way of either follows every change of the key.

use std::sync::Arc;
use std::time::Duration;

use super::fixture::{Answer, DISABLED, EXPIRED, REVOKED, Replica, UNKNOWN, allowed, soon};
use crate::key::KeyId;
use crate::keyring::{Created, End, Expiry, KeyPatch, NewKey};
use crate::store::{KeyStore, MemoryStore, Whose};
use crate::testing::FakeClock;

const GRACE: Duration = Duration::from_mins(1);
const TICK: Duration = Duration::from_micros(1);

/// On a store with the same clock, so that no time passes between the two.
async fn replica() -> Replica {
    let clock = FakeClock::new();
    on(MemoryStore::with_clock(Arc::new(clock.clone())), &clock).await
}

async fn on(store: impl KeyStore, clock: &FakeClock) -> Replica {
    let replica = Replica::with(store, |builder| builder.clock(Arc::new(clock.clone()))).await;
    Replica {
        clock: clock.clone(),
        ..replica
    }
}

/// A key that was rotated, and its old secret.
struct Rotated {
    id: KeyId,
    old: String,
    new: String,
}

async fn rotated(replica: &Replica, created: Created, grace: Duration) -> Rotated {
    let old = created.secret.expose().to_owned();
    let id = created.key.id;
    let rotated = replica.keyring.rotate(&id, grace).await.unwrap();
    assert_eq!(rotated.key.id, id);
    let new = rotated.secret.expose().to_owned();
    Rotated { id, old, new }
}

async fn with_end(replica: &Replica, after: Duration) -> Created {
    let new = NewKey::named("key").unwrap().expiry(Expiry::In(after));
    replica.keyring.create(new).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn without_a_grace_the_old_secret_dies_at_once() {
    for warm in [false, true] {
        let replica = replica().await;
        let created = replica.create().await;
        if warm {
            assert_eq!(replica.ask(created.secret.expose()).await, allowed());
        }
        let key = rotated(&replica, created, Duration::ZERO).await;
        assert_eq!(replica.ask(&key.old).await, UNKNOWN);
        assert_eq!(replica.ask(&key.new).await, allowed());
    }
}

#[tokio::test(start_paused = true)]
async fn with_a_grace_the_old_secret_dies_at_its_very_end_unasked() {
    let replica = replica().await;
    let created = replica.create().await;
    let key = rotated(&replica, created, GRACE).await;
    // No sync renews the lease meanwhile but this one, which finds nothing.
    replica
        .clock
        .advance(GRACE.saturating_sub(Duration::from_secs(1)));
    replica.sync().await;
    assert_eq!(replica.ask(&key.old).await, allowed());
    assert_eq!(replica.ask(&key.new).await, allowed());
    let look_ups = replica.faults.look_ups.calls();
    replica.faults.fail();
    replica
        .clock
        .advance(Duration::from_secs(1).saturating_sub(TICK));
    assert_eq!(replica.ask(&key.old).await, allowed());
    replica.clock.advance(TICK);
    assert_eq!(replica.ask(&key.old).await, EXPIRED);
    assert_eq!(replica.ask(&key.new).await, allowed());
    assert_eq!(replica.faults.look_ups.calls(), look_ups);
    // And by the store's own clock.
    replica.faults.heal();
    replica.clock.advance(Duration::from_hours(1));
    assert_eq!(replica.ask(&key.old).await, EXPIRED);
    assert_eq!(replica.ask(&key.new).await, allowed());
}

#[tokio::test(start_paused = true)]
async fn jumps_of_the_wall_clock_do_not_prolong_a_grace() {
    let replica = Replica::alone().await;
    let created = replica.create().await;
    let key = rotated(&replica, created, GRACE).await;
    assert_eq!(replica.ask(&key.old).await, allowed());
    replica.clock.set_wall(crate::timestamp::Timestamp::MIN);
    replica
        .clock
        .advance(GRACE.saturating_sub(Duration::from_secs(1)));
    replica.sync().await;
    assert_eq!(replica.ask(&key.old).await, allowed());
    replica.clock.advance(Duration::from_secs(1));
    assert_eq!(replica.ask(&key.old).await, EXPIRED);
}

#[tokio::test(start_paused = true)]
async fn a_grace_never_outlives_the_key() {
    let replica = replica().await;
    let created = with_end(&replica, Duration::from_secs(3)).await;
    let key = rotated(&replica, created, GRACE).await;
    let record = replica.keyring.get(&key.id).await.unwrap().unwrap();
    let previous = record.previous.unwrap();
    assert_eq!(Some(previous.expires_at), record.expires_at);
    replica
        .clock
        .advance(Duration::from_secs(3).saturating_sub(TICK));
    assert_eq!(replica.ask(&key.old).await, allowed());
    replica.clock.advance(TICK);
    assert_eq!(replica.ask(&key.old).await, EXPIRED);
    assert_eq!(replica.ask(&key.new).await, EXPIRED);
}

#[tokio::test(start_paused = true)]
async fn a_life_cut_short_later_cuts_a_running_grace_and_a_longer_one_does_not_prolong_it() {
    let replica = replica().await;
    let created = with_end(&replica, GRACE / 2).await;
    let key = rotated(&replica, created, GRACE).await;
    assert_eq!(replica.ask(&key.old).await, allowed());
    let now = crate::clock::Clock::wall(&replica.clock);
    let end_in = async |seconds| {
        let end = now.checked_add(Duration::from_secs(seconds)).unwrap();
        let patch = KeyPatch {
            expires_at: Some(End::At(end)),
            ..KeyPatch::default()
        };
        replica.keyring.update(&key.id, patch).await.unwrap();
    };
    end_in(1).await;
    replica
        .clock
        .advance(Duration::from_secs(1).saturating_sub(TICK));
    assert_eq!(replica.ask(&key.old).await, allowed());
    end_in(3_600).await;
    replica.clock.advance(GRACE / 2);
    replica.sync().await;
    assert_eq!(replica.ask(&key.old).await, EXPIRED);
    assert_eq!(replica.ask(&key.new).await, allowed());
}

#[tokio::test(start_paused = true)]
async fn a_grace_is_at_most_thirty_days() {
    let replica = replica().await;
    let created = replica.create().await;
    let key = rotated(&replica, created, Duration::MAX).await;
    let record = replica.keyring.get(&key.id).await.unwrap().unwrap();
    let longest = record.created_at.checked_add(Duration::from_hours(30 * 24));
    assert_eq!(Some(record.previous.unwrap().expires_at), longest);
}

#[tokio::test(start_paused = true)]
async fn another_rotation_ends_the_grace_of_the_one_before() {
    let replica = replica().await;
    let created = replica.create().await;
    let key = rotated(&replica, created, GRACE).await;
    for secret in [&key.old, &key.new] {
        assert_eq!(replica.ask(secret).await, allowed());
    }
    let third = replica.keyring.rotate(&key.id, GRACE).await.unwrap();
    assert_eq!(replica.ask(&key.old).await, UNKNOWN);
    assert_eq!(replica.ask(&key.new).await, allowed());
    assert_eq!(replica.ask(third.secret.expose()).await, allowed());
    replica
        .keyring
        .rotate(&key.id, Duration::ZERO)
        .await
        .unwrap();
    for secret in [&key.old, &key.new, third.secret.expose()] {
        assert_eq!(replica.ask(secret).await, UNKNOWN);
    }
}

#[derive(Clone, Copy, Debug)]
enum Change {
    EndPrevious,
    Revoke,
    RevokeAgain,
    RevokeAll,
    Disable,
    Rename,
    Rotate,
}

const CHANGES: [Change; 7] = [
    Change::EndPrevious,
    Change::Revoke,
    Change::RevokeAgain,
    Change::RevokeAll,
    Change::Disable,
    Change::Rename,
    Change::Rotate,
];

impl Change {
    async fn make(self, replica: &Replica, id: &KeyId) {
        match self {
            Self::EndPrevious => drop(replica.keyring.end_previous(id).await.unwrap()),
            Self::Revoke | Self::RevokeAgain => replica.revoke(id).await,
            Self::RevokeAll => {
                let all = replica.keyring.revoke_all(Whose::All, "leaked").await;
                assert_eq!(all.unwrap(), 1);
            }
            Self::Disable => replica.enable(id, false).await,
            Self::Rename => replica.rename(id, "renamed").await,
            Self::Rotate => drop(replica.keyring.rotate(id, GRACE).await.unwrap()),
        }
    }

    /// The answers to the old and to the new secret.
    fn after(self) -> [Answer; 2] {
        match self {
            Self::EndPrevious | Self::Rotate => [UNKNOWN, allowed()],
            Self::Revoke | Self::RevokeAgain | Self::RevokeAll => [REVOKED, REVOKED],
            Self::Disable => [DISABLED, DISABLED],
            Self::Rename => [Ok("renamed".to_owned()), Ok("renamed".to_owned())],
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_of_a_key_is_heeded_for_both_of_its_remembered_secrets() {
    for change in CHANGES {
        let replica = replica().await;
        let created = replica.create().await;
        let key = rotated(&replica, created, GRACE).await;
        for secret in [&key.old, &key.new] {
            assert_eq!(replica.ask(secret).await, allowed(), "{change:?}");
        }
        if matches!(change, Change::RevokeAgain) {
            // By somebody else, of which nothing was heard here.
            let store = &replica.keyring.inner.store;
            let elsewhere = on(Arc::clone(store), &replica.clock).await;
            elsewhere.revoke(&key.id).await;
        }
        change.make(&replica, &key.id).await;
        let [old, new] = change.after();
        assert_eq!(replica.ask(&key.old).await, old, "{change:?}");
        assert_eq!(replica.ask(&key.new).await, new, "{change:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_of_a_key_elsewhere_is_heeded_for_both_of_its_secrets_after_a_sync() {
    for change in CHANGES {
        let clock = FakeClock::new();
        let store = MemoryStore::with_clock(Arc::new(clock.clone()));
        let (here, there) = (on(store.clone(), &clock).await, on(store, &clock).await);
        let created = here.create().await;
        let key = rotated(&here, created, GRACE).await;
        here.sync().await;
        for secret in [&key.old, &key.new] {
            assert_eq!(here.ask(secret).await, allowed(), "{change:?}");
        }
        change.make(&there, &key.id).await;
        here.sync().await;
        let [old, new] = change.after();
        assert_eq!(here.ask(&key.old).await, old, "{change:?}");
        assert_eq!(here.ask(&key.new).await, new, "{change:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_is_heeded_while_look_ups_of_both_secrets_are_frozen_and_after_they_landed() {
    for change in CHANGES {
        let replica = replica().await;
        let look_ups = &replica.faults.look_ups;
        let created = replica.create().await;
        let key = rotated(&replica, created, GRACE).await;
        look_ups.freeze_next(2);
        let earlier = [replica.asking(&key.old), replica.asking(&key.new)];
        soon(look_ups.frozen(2)).await;
        change.make(&replica, &key.id).await;
        let [old, new] = change.after();
        for _ in 0..3 {
            assert_eq!(replica.ask(&key.old).await, old, "{change:?}");
            if !matches!(change, Change::EndPrevious) {
                assert_eq!(replica.ask(&key.new).await, new, "{change:?}");
            }
        }
        look_ups.release();
        for request in earlier {
            drop(request.await.unwrap());
        }
        for _ in 0..3 {
            assert_eq!(replica.ask(&key.old).await, old, "{change:?}");
            assert_eq!(replica.ask(&key.new).await, new, "{change:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_frozen_look_up_of_the_old_secret_lands_after_its_rotation_and_opens_nothing_later() {
    for lands_first in [false, true] {
        let replica = replica().await;
        let look_ups = &replica.faults.look_ups;
        let created = replica.create().await;
        let old = created.secret.expose().to_owned();
        look_ups.freeze_next(1);
        let earlier = replica.asking(&old);
        soon(look_ups.frozen(1)).await;
        let key = rotated(&replica, created, Duration::ZERO).await;
        if !lands_first {
            assert_eq!(replica.ask(&old).await, UNKNOWN);
        }
        look_ups.release();
        // It was sent before the rotation was answered, so that either answer is true.
        let earlier = earlier.await.unwrap();
        assert!(earlier == allowed() || earlier == UNKNOWN, "{earlier:?}");
        for _ in 0..10 {
            assert_eq!(replica.ask(&old).await, UNKNOWN);
            assert_eq!(replica.ask(&key.new).await, allowed());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_frozen_look_up_from_before_a_rotation_with_grace_does_not_outlive_the_grace() {
    let replica = replica().await;
    let look_ups = &replica.faults.look_ups;
    let created = replica.create().await;
    let old = created.secret.expose().to_owned();
    look_ups.freeze_next(1);
    let earlier = replica.asking(&old);
    soon(look_ups.frozen(1)).await;
    let second = Duration::from_secs(1);
    let key = rotated(&replica, created, second).await;
    look_ups.release();
    assert_eq!(earlier.await.unwrap(), allowed());
    assert_eq!(replica.ask(&old).await, allowed());
    replica.clock.advance(second);
    assert_eq!(replica.ask(&old).await, EXPIRED);
    assert_eq!(replica.ask(&key.new).await, allowed());
}

#[tokio::test(start_paused = true)]
async fn a_rotation_whose_answer_is_lost_leaves_no_old_secret_remembered() {
    let replica = replica().await;
    let created = replica.create().await;
    let old = created.secret.expose();
    assert_eq!(replica.ask(old).await, allowed());
    replica.faults.writes.lose_answers();
    let lost = replica.keyring.rotate(&created.key.id, Duration::ZERO);
    assert!(lost.await.is_err());
    assert_eq!(replica.ask(old).await, UNKNOWN);
    replica.faults.heal();
    let again = replica.keyring.rotate(&created.key.id, Duration::ZERO);
    let again = again.await.unwrap();
    assert_eq!(replica.ask(again.secret.expose()).await, allowed());
}

#[tokio::test(start_paused = true)]
async fn after_a_revoke_no_secret_is_left_that_was_replaced_elsewhere_unheard_of() {
    for syncs_fail in [false, true] {
        let clock = FakeClock::new();
        let store = MemoryStore::with_clock(Arc::new(clock.clone()));
        let (here, there) = (on(store.clone(), &clock).await, on(store, &clock).await);
        let created = here.create().await;
        let old = created.secret.expose().to_owned();
        assert_eq!(here.ask(&old).await, allowed());
        let key = rotated(&there, created, Duration::ZERO).await;
        assert_eq!(here.ask(&old).await, allowed(), "not heard of yet");
        if syncs_fail {
            here.faults.syncs.fail();
        }
        here.revoke(&key.id).await;
        // The store no longer knows that this was a secret of the key.
        assert_eq!(here.ask(&old).await, UNKNOWN, "syncs fail: {syncs_fail}");
        assert_eq!(here.ask(&key.new).await, REVOKED);
    }
}
