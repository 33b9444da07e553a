//! What is over is deleted when it has been kept long enough, and not before.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::fixture::{REVOKED, Replica, UNKNOWN, allowed};
use crate::keyring::{BuildError, Created, Keyring};
use crate::store::{EventKind, EventQuery, MOST_PRUNED, MemoryStore, Retention};
use crate::testing::{FakeClock, FaultStore};

const DAY: Duration = Duration::from_hours(24);
const HOUR: Duration = Duration::from_hours(1);

const A_DAY: Retention = Retention {
    dead_keys: Some(DAY),
    events: Some(DAY),
};

/// A replica that keeps what is over for a day, on a store with a clock of its own.
async fn keeping_a_day() -> (Replica, FakeClock) {
    let clock = FakeClock::new();
    let store = MemoryStore::with_clock(Arc::new(clock.clone()));
    let replica = Replica::with(store, |builder| builder.retention(A_DAY)).await;
    (replica, clock)
}

async fn is_there(replica: &Replica, created: &Created) -> bool {
    let key = replica.keyring.get(&created.key.id).await.unwrap();
    key.is_some()
}

async fn trail(replica: &Replica) -> Vec<EventKind> {
    let query = EventQuery {
        limit: 10_000,
        ..EventQuery::default()
    };
    let told = replica.keyring.events(query).await.unwrap();
    told.into_iter().map(|line| line.event.what).collect()
}

#[tokio::test(start_paused = true)]
async fn nothing_is_deleted_unless_asked_for() {
    let replica = Replica::alone().await;
    sleep(3 * HOUR).await;
    assert_eq!(replica.faults.prunes.calls(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_is_over_is_deleted_by_the_clock_of_the_store_within_the_hour() {
    let (replica, clock) = keeping_a_day().await;
    let [dead, living] = [replica.create().await, replica.create().await];
    replica.revoke(&dead.key.id).await;
    assert_eq!(replica.ask(dead.secret.expose()).await, REVOKED);
    sleep(3 * HOUR).await;
    assert!(is_there(&replica, &dead).await, "no time has passed there");
    assert_eq!(trail(&replica).await.len(), 3);

    clock.advance(DAY);
    sleep(HOUR + Duration::from_mins(1)).await;
    assert!(is_there(&replica, &dead).await, "not for longer than a day");
    clock.advance(Duration::from_secs(1));
    sleep(HOUR + Duration::from_mins(1)).await;
    assert!(!is_there(&replica, &dead).await);
    assert!(is_there(&replica, &living).await);
    assert_eq!(trail(&replica).await, []);
    // And the replica heard of it as of any change.
    replica.sync().await;
    assert_eq!(replica.ask(dead.secret.expose()).await, UNKNOWN);
    assert_eq!(replica.ask(living.secret.expose()).await, allowed());
}

#[tokio::test(start_paused = true)]
async fn however_much_it_is_one_round_deletes_it_in_small_steps() {
    let (replica, clock) = keeping_a_day().await;
    for _ in 0..=2 * MOST_PRUNED {
        replica.create().await;
    }
    clock.advance(DAY + HOUR);
    let before = replica.faults.prunes.calls();
    assert_eq!(before, 0, "whoever starts has more urgent things to do");
    sleep(Duration::from_millis(60_500)).await;
    assert_eq!(replica.faults.prunes.calls() - before, 1);
    assert_eq!(trail(&replica).await.len(), MOST_PRUNED as usize + 1);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(replica.faults.prunes.calls() - before, 3);
    assert_eq!(trail(&replica).await, []);
    sleep(Duration::from_mins(59)).await;
    assert_eq!(replica.faults.prunes.calls() - before, 3);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_is_asked_again_in_an_hour_and_follows_all_the_while() {
    let (replica, clock) = keeping_a_day().await;
    let dead = replica.create().await;
    replica.revoke(&dead.key.id).await;
    clock.advance(DAY + HOUR);
    let prunes = &replica.faults.prunes;
    let faults: [&dyn Fn(); 3] = [&|| prunes.fail(), &|| prunes.hang(), &|| prunes.panic()];
    for fault in faults {
        fault();
        let (asked, syncs) = (prunes.calls(), replica.faults.syncs.calls());
        sleep(HOUR).await;
        assert_eq!(prunes.calls() - asked, 1);
        assert!(replica.faults.syncs.calls() - syncs > 3_000);
        assert!(is_there(&replica, &dead).await);
    }
    prunes.heal();
    sleep(HOUR).await;
    assert!(!is_there(&replica, &dead).await);
}

#[tokio::test(start_paused = true)]
async fn it_ends_with_the_last_keyring() {
    for hangs in [false, true] {
        let store = Arc::new(MemoryStore::new());
        let wrapped = FaultStore::new(Arc::clone(&store));
        let faults = wrapped.faults();
        let builder = Keyring::builder(wrapped).prefix("acme");
        let keyring = builder.retention(A_DAY).build().unwrap();
        if hangs {
            faults.prunes.hang();
            sleep(Duration::from_secs(61)).await;
            assert_eq!(faults.prunes.calls(), 1);
        }
        drop(keyring);
        let longest = if hangs { 10_000 } else { 10 };
        sleep(Duration::from_millis(longest)).await;
        assert_eq!(Arc::strong_count(&store), 1);
        sleep(DAY).await;
        assert_eq!(faults.prunes.calls(), u64::from(hangs));
    }
}

#[tokio::test]
async fn what_is_over_is_kept_for_an_hour_at_least() {
    let build = |dead_keys, events| {
        let retention = Retention { dead_keys, events };
        let builder = Keyring::builder(MemoryStore::new()).prefix("acme");
        builder.retention(retention).build().map(drop)
    };
    let short = Some(HOUR.checked_sub(Duration::from_nanos(1)).unwrap());
    for (dead_keys, events, option) in [
        (short, None, "retention of dead keys"),
        (None, short, "retention of events"),
        (Some(DAY), Some(Duration::ZERO), "retention of events"),
    ] {
        let error = build(dead_keys, events).unwrap_err();
        assert!(matches!(error, BuildError::TooSmall { option: o, .. } if o == option));
    }
    for fine in [None, Some(HOUR), Some(Duration::MAX)] {
        build(fine, fine).unwrap();
    }
}
