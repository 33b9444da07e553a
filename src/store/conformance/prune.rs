//! Deleting what has been kept long enough.

use std::collections::BTreeSet;
use std::time::Duration;

use super::sample::{
    add, add_as, digest, event, id, moment, on, position, record, rename, revoked, rows,
};
use super::stage::Stage;
use super::trail::{all, trail};
use crate::store::{
    Decide, Decision, Event, EventKind, EventQuery, KeyRecord, KeyStore, MOST_PRUNED, Provenance,
    Pruned, Replay, ReplayKey, Retention, Revocation, Source, Subjects, Touched,
};
use crate::timestamp::Timestamp;

const KEPT: Duration = Duration::from_hours(24);

/// No more than a day.
const DEAD_KEYS: Retention = Retention {
    dead_keys: Some(KEPT),
    events: None,
};

const EVENTS: Retention = Retention {
    dead_keys: None,
    events: Some(KEPT),
};

/// What the store has to say is so much older than its own now.
async fn ago(store: &dyn KeyStore, age: Duration) -> Timestamp {
    let read = store.events(&EventQuery::default()).await.unwrap();
    read.now.checked_sub(age).unwrap()
}

async fn prune(store: &dyn KeyStore, retention: Retention) -> Pruned {
    store.prune(&retention).await.unwrap()
}

async fn there(store: &dyn KeyStore, numbers: impl IntoIterator<Item = u32>) -> Vec<u32> {
    let mut there = Vec::new();
    for number in numbers {
        let read = store.get(&id(number)).await.unwrap().value;
        let look_up = store.look_up(&digest(number), Source::Primary).await;
        assert_eq!(
            look_up.unwrap().found.map(|found| found.record),
            read,
            "a key and its secret go together"
        );
        there.extend(read.map(|_| number));
    }
    there
}

/// Revoked or expired, and that for longer than they are kept. It is a change like any other.
pub async fn keys_that_are_dead_for_long_are_deleted(stage: &Stage) {
    let hour = Duration::from_hours(1);
    let (long, short) = (
        ago(stage.store(), KEPT + hour).await,
        ago(stage.store(), KEPT.checked_sub(hour).unwrap()).await,
    );
    let revoked_at = |at, key: KeyRecord| KeyRecord {
        revoked: Some(Revocation {
            at,
            by: Provenance::System,
            reason: None,
        }),
        ..key
    };
    let ending = |number, at| KeyRecord {
        expires_at: Some(at),
        ..record(number)
    };
    let disabled = KeyRecord {
        enabled: false,
        ..record(2)
    };
    for (number, key) in (1..).zip([
        record(1),
        disabled,
        ending(3, Timestamp::MAX),
        ending(4, short),
        ending(5, long),
        revoked_at(short, record(6)),
        revoked_at(long, record(7)),
        revoked_at(long, ending(8, Timestamp::MAX)),
        revoked_at(short, ending(9, long)),
    ]) {
        add_as(stage.store(), key, digest(number)).await;
    }
    let before = position(stage.store()).await;
    let pruned = prune(stage.store(), DEAD_KEYS).await;
    let expected = Pruned {
        keys: 4,
        ..Pruned::default()
    };
    assert_eq!(pruned, expected);
    for store in [stage.store(), stage.other()] {
        assert_eq!(there(store, 1..=9).await, [1, 2, 3, 4, 6]);
    }
    let report = stage.other().sync(Some(before)).await.unwrap();
    assert_eq!(report.nonce_then, Some(before.nonce));
    let told: BTreeSet<_> = report
        .changes
        .iter()
        .map(|change| format!("{:?}", change.touched))
        .collect();
    let gone = [5, 7, 8, 9].map(|number| format!("{:?}", Touched::changed(&digest(number))));
    assert_eq!(told, BTreeSet::from(gone));

    let again = position(stage.store()).await;
    assert_eq!(prune(stage.other(), DEAD_KEYS).await, Pruned::default());
    assert_eq!(position(stage.store()).await, again);
}

/// Or else an emergency stop would not find its way to all that came from a key.
pub async fn a_maker_stays_as_long_as_what_it_made(stage: &Stage) {
    let made_by = |number, maker, key: KeyRecord| {
        let created_by = Provenance::Key(id(maker));
        let id = id(number);
        KeyRecord {
            id,
            created_by,
            ..key
        }
    };
    // One made two; of what these made, one lives.
    for (number, key) in (1..).zip([
        revoked(record(1)),
        made_by(2, 1, revoked(record(2))),
        made_by(3, 1, revoked(record(3))),
        made_by(4, 2, record(4)),
        made_by(5, 3, revoked(record(5))),
    ]) {
        add_as(stage.store(), key, digest(number)).await;
    }
    let mut steps = Vec::new();
    for _ in 0..4 {
        prune(stage.store(), DEAD_KEYS).await;
        steps.push(there(stage.store(), 1..=5).await);
    }
    assert_eq!(steps.last().unwrap(), &[1, 2, 4]);
    assert!(steps[0].starts_with(&[1, 2]), "{steps:?}");
}

/// Its key may go before it. Of the others, lines go when they are old enough, which is no change
/// of any key.
pub async fn a_trail_outlives_its_key_and_ends_by_itself(stage: &Stage) {
    add_as(stage.store(), revoked(record(1)), digest(1)).await;
    add(stage.store(), 2).await;
    let before = trail(stage.store(), id(1)).await;
    assert_eq!(before.len(), 1);
    assert_eq!(prune(stage.store(), DEAD_KEYS).await.keys, 1);
    assert_eq!(trail(stage.other(), id(1)).await, before);

    let now = ago(stage.store(), Duration::ZERO).await;
    let recent = Event::new(EventKind::Changed, Provenance::System, now);
    let told = recent.clone();
    let decide: Decide = Box::new(move |rows| {
        let mut record = rows.target.clone().unwrap();
        record.enabled = false;
        Decision::Update {
            record,
            event: told.clone(),
        }
    });
    stage.store().transact(on(id(2)), decide).await.unwrap();
    let newest = all(stage.store()).await[0].seq;
    let here = position(stage.store()).await;
    let pruned = prune(stage.other(), EVENTS).await;
    let expected = Pruned {
        events: 2,
        ..Pruned::default()
    };
    assert_eq!(pruned, expected);
    let left = all(stage.store()).await;
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].event, recent);
    assert_eq!(position(stage.store()).await, here, "no key was changed");
    assert_eq!(there(stage.store(), [2]).await, [2]);

    if let Some(clock) = stage.clock() {
        clock.advance(KEPT + Duration::from_secs(1));
        assert_eq!(prune(stage.store(), EVENTS).await.events, 1);
        rename(stage.store(), id(2), "new").await;
        let told = all(stage.store()).await;
        assert!(told[0].seq > newest, "no number is given twice");
    }
}

/// Also where the store has nothing that is as old.
pub async fn what_is_kept_for_ever_stays(stage: &Stage) {
    add_as(stage.store(), revoked(record(1)), digest(1)).await;
    let before = (position(stage.store()).await, all(stage.store()).await);
    let kept = [
        None,
        Some(Duration::from_hours(876_000)),
        Some(Duration::MAX),
    ];
    for kept in kept {
        let retention = Retention {
            dead_keys: kept,
            events: kept,
        };
        assert_eq!(prune(stage.store(), retention).await, Pruned::default());
    }
    let after = (position(stage.store()).await, all(stage.store()).await);
    assert_eq!(before, after);
    assert_eq!(there(stage.store(), [1]).await, [1]);
}

/// It makes another key then.
pub async fn a_request_is_forgotten_with_the_key_that_it_made(stage: &Stage) {
    let request = || Subjects {
        replay: Some(ReplayKey([1; 32])),
        ..Subjects::default()
    };
    let decide: Decide = Box::new(|_| Decision::Insert {
        record: revoked(record(1)),
        digest: digest(1),
        replay: Some(Replay {
            request: [2; 32],
            made: id(1),
            expires_at: Timestamp::MAX,
        }),
        event: event(),
    });
    stage.store().transact(request(), decide).await.unwrap();
    assert!(rows(stage.store(), request()).await.replay.is_some());
    assert_eq!(prune(stage.store(), DEAD_KEYS).await.keys, 1);
    let seen = rows(stage.other(), request()).await;
    assert_eq!((seen.replay, seen.target), (None, None));
}

/// However much there is, one call deletes so much at most, and says that there is more.
pub async fn so_much_is_deleted_at_once_and_no_more(stage: &Stage) {
    let most = u64::from(MOST_PRUNED);
    for number in 1..=MOST_PRUNED + 1 {
        add_as(stage.store(), revoked(record(number)), digest(number)).await;
    }
    let all = Retention {
        dead_keys: Some(Duration::ZERO),
        events: Some(Duration::ZERO),
    };
    for (number, more) in [(most, true), (1, false), (0, false)] {
        let expected = Pruned {
            keys: number,
            events: number,
            more,
        };
        assert_eq!(prune(stage.store(), all).await, expected);
    }
    let last = ago(stage.store(), Duration::ZERO).await;
    assert!(last > moment(9));
}
