//! The outage grace: known keys keep working for a while, and nothing else does.

use std::time::Duration;

use super::fixture::{
    Answer, DISABLED, REVOKED, Replica, Rerouted, UNKNOWN, allowed, answers, soon, timed,
    unavailable,
};
use crate::key::{DigestHasherBuilder, KeyId};
use crate::keyring::cache::{Cache, time_to_keep};
use crate::keyring::epoch::CacheSizes;
use crate::keyring::{Builder, Expiry, NewKey, Unavailable};
use crate::store::{KeyStore, MemoryStore, Whose};

const MAX_STALENESS: Duration = Duration::from_secs(5);
const GRACE: Duration = Duration::from_mins(30);
const TICK: Duration = Duration::from_nanos(1);

fn graceful(builder: Builder) -> Builder {
    builder.dangerously_accept_known_keys_during_outage(GRACE)
}

async fn of(store: impl KeyStore) -> Replica {
    Replica::with(store, graceful).await
}

/// A key that was used here not long before the store went away, and the lease is over.
async fn in_outage() -> (Replica, KeyId, String) {
    let replica = of(MemoryStore::new()).await;
    let created = replica.create().await;
    let secret = created.secret.expose().to_owned();
    replica.sync().await;
    assert_eq!(replica.ask(&secret).await, allowed());
    replica.faults.fail();
    replica.clock.advance(MAX_STALENESS + TICK);
    (replica, created.key.id, secret)
}

async fn marked(replica: &Replica, secret: &str) -> bool {
    replica.principal(secret).await.is_judged_in_outage()
}

fn away() -> Answer {
    unavailable(Unavailable::StoreFailed)
}

#[tokio::test(start_paused = true)]
async fn a_known_key_works_from_the_end_of_the_lease_to_the_end_of_the_grace() {
    let (replica, _, secret) = in_outage().await;
    assert!(marked(&replica, &secret).await);
    replica.clock.advance(GRACE.saturating_sub(TICK));
    assert!(
        marked(&replica, &secret).await,
        "the grace holds to its end"
    );
    replica.clock.advance(TICK);
    assert_eq!(replica.ask(&secret).await, away(), "and not a tick longer");
    assert_eq!(replica.keyring.health().judged_in_outage, 2);
}

#[tokio::test(start_paused = true)]
async fn without_the_option_there_is_none() {
    let replica = Replica::alone().await;
    let created = replica.create().await;
    let secret = created.secret.expose();
    assert_eq!(replica.ask(secret).await, allowed());
    replica.faults.fail();
    replica.clock.advance(MAX_STALENESS + TICK);
    assert_eq!(replica.ask(secret).await, away());
    assert_eq!(replica.keyring.health().judged_in_outage, 0);
}

#[tokio::test(start_paused = true)]
async fn while_the_lease_holds_nobody_is_marked() {
    let replica = of(MemoryStore::new()).await;
    let created = replica.create().await;
    let secret = created.secret.expose();
    assert!(!marked(&replica, secret).await);
    replica.faults.fail();
    replica.clock.advance(MAX_STALENESS);
    assert!(!marked(&replica, secret).await);
    assert_eq!(replica.keyring.health().judged_in_outage, 0);
}

#[tokio::test(start_paused = true)]
async fn a_look_up_that_is_answered_decides_alone() {
    let (replica, _, secret) = in_outage().await;
    replica.faults.heal();
    replica.faults.syncs.fail();
    let before = replica.faults.look_ups.calls();
    assert!(!marked(&replica, &secret).await);
    assert_eq!(replica.faults.look_ups.calls(), before + 1);
    assert_eq!(replica.keyring.health().judged_in_outage, 0);
}

#[tokio::test(start_paused = true)]
async fn what_this_process_has_changed_is_not_let_in_as_it_was() {
    #[derive(Clone, Copy, Debug)]
    enum Change {
        Revoke,
        EmergencyStop,
        Rotate,
        RotateWithGrace,
        Disable,
        LostRevoke,
    }
    async fn make(change: Change, replica: &Replica, id: &KeyId) {
        let keyring = &replica.keyring;
        match change {
            Change::Revoke => replica.revoke(id).await,
            Change::EmergencyStop => {
                assert_eq!(keyring.revoke_all(Whose::All, "stop").await.unwrap(), 1);
            }
            Change::Rotate => drop(keyring.rotate(id, Duration::ZERO).await.unwrap()),
            Change::RotateWithGrace => drop(keyring.rotate(id, GRACE).await.unwrap()),
            Change::Disable => replica.enable(id, false).await,
            Change::LostRevoke => {
                replica.faults.writes.lose_answers();
                assert!(keyring.revoke(id, None).await.is_err());
            }
        }
    }
    for change in [
        Change::Revoke,
        Change::EmergencyStop,
        Change::Rotate,
        Change::RotateWithGrace,
        Change::Disable,
        Change::LostRevoke,
    ] {
        // Before the outage.
        let replica = of(MemoryStore::new()).await;
        let created = replica.create().await;
        let secret = created.secret.expose();
        replica.sync().await;
        assert_eq!(replica.ask(secret).await, allowed());
        make(change, &replica, &created.key.id).await;
        replica.faults.fail();
        replica.clock.advance(MAX_STALENESS + TICK);
        assert_eq!(replica.ask(secret).await, away(), "{change:?}");
        // In the midst of it, when neither look-ups nor syncs come through.
        let (replica, id, secret) = in_outage().await;
        assert!(marked(&replica, &secret).await);
        replica.faults.writes.heal();
        replica.faults.reads.heal();
        make(change, &replica, &id).await;
        assert_eq!(replica.ask(&secret).await, away(), "{change:?}");
        // While a request waits in vain for the store.
        let (replica, id, secret) = in_outage().await;
        replica.faults.writes.heal();
        replica.faults.reads.heal();
        replica.faults.look_ups.hang();
        let request = replica.asking(&secret);
        tokio::time::sleep(Duration::from_millis(100)).await;
        make(change, &replica, &id).await;
        let answer = request.await.unwrap();
        assert_eq!(answer, unavailable(Unavailable::Deadline), "{change:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_looked_up_last_counts_though_no_sync_has_brought_it() {
    #[derive(Clone, Copy, Debug)]
    enum Change {
        Revoke,
        Disable,
        Rotate,
    }
    for change in [Change::Revoke, Change::Disable, Change::Rotate] {
        let store = MemoryStore::new();
        let (here, there) = (of(store.clone()).await, of(store).await);
        let created = there.create().await;
        let (id, secret) = (&created.key.id, created.secret.expose());
        here.sync().await;
        assert_eq!(here.ask(secret).await, allowed());
        here.faults.syncs.fail();
        here.clock.advance(MAX_STALENESS + TICK);
        let read = match change {
            Change::Revoke => {
                there.revoke(id).await;
                REVOKED
            }
            Change::Disable => {
                there.enable(id, false).await;
                DISABLED
            }
            Change::Rotate => {
                drop(there.keyring.rotate(id, Duration::ZERO).await.unwrap());
                UNKNOWN
            }
        };
        assert_eq!(here.ask(secret).await, read);
        here.faults.fail();
        // "Unknown" itself is remembered for a short while only.
        let unknown = &here.keyring.inner.timeline.current().cache;
        unknown.forget_unknown();
        assert_eq!(here.ask(secret).await, away(), "{change:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_was_shown_as_revoked_is_not_let_in() {
    let store = MemoryStore::new();
    let (here, there) = (of(store.clone()).await, of(store).await);
    let created = there.create().await;
    let secret = created.secret.expose();
    here.sync().await;
    assert_eq!(here.ask(secret).await, allowed());
    here.faults.syncs.fail();
    there.revoke(&created.key.id).await;
    let shown = here.keyring.get(&created.key.id).await.unwrap();
    assert!(shown.unwrap().revoked.is_some());
    here.faults.fail();
    here.clock.advance(MAX_STALENESS + TICK);
    assert_eq!(here.ask(secret).await, away());
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_revoked_elsewhere_during_the_outage_lives_until_the_grace_is_over() {
    let store = MemoryStore::new();
    let (here, there) = (of(store.clone()).await, of(store).await);
    let created = there.create().await;
    let secret = created.secret.expose();
    here.sync().await;
    assert_eq!(here.ask(secret).await, allowed());
    here.faults.fail();
    there.revoke(&created.key.id).await;
    here.clock.advance(MAX_STALENESS + GRACE);
    assert!(marked(&here, secret).await, "this is the danger");
    here.clock.advance(TICK);
    assert_eq!(here.ask(secret).await, away());
    here.faults.heal();
    assert_eq!(here.ask(secret).await, REVOKED);
}

#[tokio::test(start_paused = true)]
async fn a_life_ends_in_an_outage_too() {
    let replica = of(MemoryStore::new()).await;
    let new = NewKey::named("key").unwrap();
    let new = new.expiry(Expiry::In(Duration::from_mins(10)));
    let created = replica.keyring.create(new).await.unwrap();
    let secret = created.secret.expose();
    replica.sync().await;
    assert_eq!(replica.ask(secret).await, allowed());
    replica.faults.fail();
    replica.clock.advance(Duration::from_mins(9));
    assert!(marked(&replica, secret).await);
    replica.clock.advance(Duration::from_mins(1));
    assert_eq!(replica.ask(secret).await, away());
}

#[tokio::test(start_paused = true)]
async fn what_is_not_known_to_be_good_is_not_let_in() {
    let replica = of(MemoryStore::new()).await;
    let (unused, junk) = (replica.create().await, replica.junk());
    replica.sync().await;
    assert_eq!(replica.ask(&junk).await, UNKNOWN);
    replica.faults.fail();
    replica.clock.advance(MAX_STALENESS + TICK);
    assert_eq!(replica.ask(unused.secret.expose()).await, away());
    assert_eq!(replica.ask(&junk).await, away(), "nor called unknown");
}

#[tokio::test(start_paused = true)]
async fn it_takes_a_look_up_that_failed_in_the_store() {
    let (replica, _, secret) = in_outage().await;
    replica.faults.look_ups.corrupt();
    let answer = replica.ask(&secret).await;
    assert_eq!(answer, unavailable(Unavailable::Corrupt), "a row");

    let few = |builder| graceful(builder).lookups(2, 1);
    let replica = Replica::with(MemoryStore::new(), few).await;
    let created = replica.create().await;
    let secret = created.secret.expose();
    replica.sync().await;
    assert_eq!(replica.ask(secret).await, allowed());
    replica.faults.syncs.fail();
    replica.clock.advance(MAX_STALENESS + TICK);
    replica.faults.look_ups.freeze_next(1);
    let other = replica.asking(&replica.junk());
    soon(replica.faults.look_ups.frozen(1)).await;
    let answer = replica.ask(secret).await;
    assert_eq!(
        answer,
        unavailable(Unavailable::Overloaded),
        "too much to do"
    );
    replica.faults.look_ups.release();
    assert_eq!(other.await.unwrap(), UNKNOWN);

    let store = MemoryStore::new();
    let route = Rerouted::to(&store);
    let replica = of(route.clone()).await;
    let created = replica.create().await;
    let secret = created.secret.expose();
    replica.sync().await;
    assert_eq!(replica.ask(secret).await, allowed());
    replica.faults.syncs.fail();
    replica.clock.advance(MAX_STALENESS + TICK);
    route.demote();
    let answer = replica.ask(secret).await;
    assert_eq!(answer, unavailable(Unavailable::Behind), "an old state");
}

#[tokio::test(start_paused = true)]
async fn there_is_none_before_the_first_sync_nor_after_everything_was_forgotten() {
    let store = MemoryStore::new();
    let created = Replica::of(store.clone()).await.create().await;
    let secret = created.secret.expose();
    let replica = Replica::out_of_step(store, graceful);
    replica.faults.syncs.fail();
    assert_eq!(replica.ask(secret).await, allowed());
    replica.faults.fail();
    assert_eq!(replica.ask(secret).await, away());

    let (replica, _, secret) = in_outage().await;
    assert!(marked(&replica, &secret).await);
    replica.keyring.trust_restored_store();
    assert_eq!(replica.ask(&secret).await, away());
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_is_waited_for_by_a_few() {
    let replica = of(MemoryStore::new()).await;
    let mut secrets = Vec::new();
    for _ in 0..100 {
        let created = replica.create().await;
        secrets.push(created.secret.expose().to_owned());
        assert_eq!(replica.ask(&secrets[secrets.len() - 1]).await, allowed());
    }
    replica.sync().await;
    replica.faults.syncs.hang();
    replica.faults.look_ups.hang();
    replica.clock.advance(MAX_STALENESS + TICK);
    let (first, took) = timed(replica.ask(&secrets[0])).await;
    assert_eq!(first, allowed());
    assert!(took >= Duration::from_millis(500), "somebody has to ask");
    let before = replica.faults.look_ups.calls();
    let mut waited = 0;
    for _ in 0..10 {
        for secret in &secrets {
            tokio::time::sleep(Duration::from_millis(1)).await;
            let (answer, took) = timed(replica.ask(secret)).await;
            assert_eq!(answer, allowed());
            waited += usize::from(took > Duration::ZERO);
        }
    }
    assert!(waited <= 15, "{waited} of a thousand");
    let asked = replica.faults.look_ups.calls() - before;
    assert!(asked <= 15, "{asked} look-ups");
}

#[tokio::test(start_paused = true)]
async fn a_crowd_that_comes_at_once_when_the_lease_is_over_is_let_in() {
    let replica = of(MemoryStore::new()).await;
    let mut secrets = Vec::new();
    for _ in 0..100 {
        let created = replica.create().await;
        secrets.push(created.secret.expose().to_owned());
        assert_eq!(replica.ask(&secrets[secrets.len() - 1]).await, allowed());
    }
    replica.sync().await;
    replica.faults.fail();
    replica.clock.advance(MAX_STALENESS + TICK);
    let crowd = secrets
        .iter()
        .map(|secret| replica.asking(secret))
        .collect();
    for answer in answers(crowd).await {
        assert_eq!(answer, allowed());
    }
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_outage_is_found_out_though_nobody_has_to_wait() {
    let (replica, _, secret) = in_outage().await;
    for _ in 0..100 {
        assert!(marked(&replica, &secret).await);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    replica.faults.heal();
    // By the look-ups, within their pause.
    tokio::time::sleep(Duration::from_millis(130)).await;
    assert!(!marked(&replica, &secret).await);
    // And by the sync.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let health = replica.keyring.health();
    assert!(health.in_sync);
    let judged = health.judged_in_outage;
    assert!(!marked(&replica, &secret).await);
    assert_eq!(replica.keyring.health().judged_in_outage, judged);
}

#[tokio::test(start_paused = true)]
async fn an_old_answer_is_looked_up_again_and_stands_in_an_outage() {
    let replica = of(MemoryStore::new()).await;
    let created = replica.create().await;
    let secret = created.secret.expose();
    let age = Duration::from_mins(10);
    for looked_up in 1..=2 {
        replica.sync().await;
        assert_eq!(replica.ask(secret).await, allowed());
        assert_eq!(replica.faults.look_ups.calls(), looked_up);
        replica.clock.advance(age.saturating_sub(TICK));
        replica.sync().await;
        assert_eq!(replica.ask(secret).await, allowed());
        assert_eq!(replica.faults.look_ups.calls(), looked_up, "not old yet");
        replica.clock.advance(TICK);
    }
    // It is due again; the lease still holds, and then it is over.
    replica.faults.fail();
    assert!(!marked(&replica, secret).await);
    replica
        .clock
        .advance(MAX_STALENESS + GRACE.saturating_sub(TICK));
    assert!(marked(&replica, secret).await);
    replica.clock.advance(TICK);
    assert_eq!(replica.ask(secret).await, away());
}

#[tokio::test(start_paused = true)]
async fn without_a_grace_an_old_answer_stands_while_the_lease_holds() {
    let replica = Replica::alone().await;
    let created = replica.create().await;
    let secret = created.secret.expose();
    replica.sync().await;
    assert_eq!(replica.ask(secret).await, allowed());
    replica.clock.advance(Duration::from_mins(10));
    replica.sync().await;
    replica.faults.fail();
    assert_eq!(replica.ask(secret).await, allowed());
    replica.clock.advance(MAX_STALENESS);
    assert_eq!(replica.ask(secret).await, allowed());
    replica.clock.advance(TICK);
    assert_eq!(replica.ask(secret).await, away());
}

#[test]
fn what_is_remembered_is_kept_for_as_long_as_it_may_be_used() {
    let kept = |grace| {
        let sizes = CacheSizes {
            positive: 1,
            negative: 1,
            kept: time_to_keep(MAX_STALENESS, grace),
            hasher: DigestHasherBuilder::new().unwrap(),
        };
        Cache::new(&sizes).kept()
    };
    let again = Duration::from_mins(10);
    assert_eq!(kept(None), Some(again + MAX_STALENESS));
    // Looked up just before it was due, used just before it was due again, and then the outage.
    assert_eq!(kept(Some(GRACE)), Some(again * 2 + MAX_STALENESS + GRACE));
}
