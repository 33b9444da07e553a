//! What was done to keys.

use std::time::Duration;

use super::sample::{
    add, add_as, change, committed, digest, event, id, inserting, keep, moment, named, on,
    position, record, rename, revoked,
};
use super::stage::Stage;
use crate::key::KeyId;
use crate::store::{
    Decide, Decision, Event, EventDetail, EventKind, EventQuery, KeyRecord, KeyStore, Previous,
    Provenance, RecordedEvent, Refusal, Revocation, SessionId, Subjects, Whose,
};
use crate::timestamp::Timestamp;

async fn read(store: &dyn KeyStore, query: EventQuery) -> Vec<RecordedEvent> {
    store.events(&query).await.unwrap().value
}

/// All lines about this key, newest first.
pub(super) async fn trail(store: &dyn KeyStore, key: KeyId) -> Vec<RecordedEvent> {
    let query = EventQuery {
        key: Some(key),
        limit: 10_000,
        ..EventQuery::default()
    };
    read(store, query).await
}

/// All lines, newest first.
pub(super) async fn all(store: &dyn KeyStore) -> Vec<RecordedEvent> {
    let query = EventQuery {
        limit: 10_000,
        ..EventQuery::default()
    };
    read(store, query).await
}

/// One that says all there is to say.
fn wordy(what: EventKind, second: u32) -> Event {
    Event {
        at: moment(second),
        by: Provenance::Session(SessionId::parse("u:1 'ü'").unwrap()),
        what,
        detail: EventDetail {
            fields: vec!["name".into(), "enabled".into()],
            enabled: Some(true),
            reason: Some("a \"b\" 'ü' \u{1f511} ;--".into()),
            previous_until: Some(Timestamp::MAX),
            repeated: true,
        },
    }
}

/// As it was written, whichever way it is read, and in the order in which it was done.
pub async fn each_change_leaves_its_line(stage: &Stage) {
    let what = [
        EventKind::Imported,
        EventKind::Disabled,
        EventKind::Rotated,
        EventKind::PreviousEnded,
        EventKind::Revoked,
    ];
    let decide = |at: usize| -> Decide {
        let event = wordy(what[at], u32::try_from(at).unwrap());
        Box::new(move |rows| {
            let before = || rows.target.clone().unwrap();
            let event = event.clone();
            match at {
                0 => Decision::Insert {
                    record: record(1),
                    digest: digest(1),
                    replay: None,
                    event,
                },
                2 => Decision::Rotate {
                    record: KeyRecord {
                        previous: Some(Previous {
                            hint: record(1).hint,
                            expires_at: Timestamp::MAX,
                            last_used_at: None,
                        }),
                        ..before()
                    },
                    digest: digest(2),
                    event,
                },
                3 => Decision::EndPrevious {
                    record: KeyRecord {
                        previous: None,
                        ..before()
                    },
                    event,
                },
                _ => Decision::Update {
                    record: named(before(), &format!("name {at}")),
                    event,
                },
            }
        })
    };
    for at in 0..what.len() {
        let handle = stage.handle(u32::try_from(at).unwrap());
        committed(handle.transact(on(id(1)), decide(at)).await.unwrap());
    }
    add(stage.store(), 5).await;
    for store in [stage.store(), stage.other()] {
        let told = trail(store, id(1)).await;
        let numbers: Vec<u64> = told.iter().map(|line| line.seq).collect();
        assert!(numbers.is_sorted_by(|a, b| a > b), "{numbers:?}");
        assert!(told.iter().all(|line| line.key == id(1)));
        let events: Vec<Event> = told.into_iter().rev().map(|line| line.event).collect();
        let written: Vec<Event> = (0..).zip(what).map(|(at, what)| wordy(what, at)).collect();
        assert_eq!(events, written);
        assert_eq!(all(store).await.len(), what.len() + 1);
    }
}

/// Nor does what fails.
pub async fn what_changes_nothing_leaves_no_line(stage: &Stage) {
    add(stage.store(), 1).await;
    let before = all(stage.store()).await;
    assert_eq!(before.len(), 1);
    let end: Decide = Box::new(|rows| Decision::EndPrevious {
        record: rows.target.clone().unwrap(),
        event: event(),
    });
    let refuse: Decide = Box::new(|_| Decision::Refuse(Refusal::NotFound));
    for decide in [keep(), end, refuse] {
        stage.store().transact(on(id(1)), decide).await.unwrap();
    }
    let missing: Decide = Box::new(|_| Decision::Update {
        record: record(2),
        event: event(),
    });
    let taken_id = inserting(record(1), digest(2));
    let taken_digest = inserting(record(2), digest(1));
    for decide in [missing, taken_id, taken_digest] {
        assert!(stage.store().transact(on(id(1)), decide).await.is_err());
    }
    assert_eq!(all(stage.store()).await, before);
    assert_eq!(trail(stage.other(), id(2)).await, []);
}

/// And none for those that were revoked before.
pub async fn an_emergency_stop_leaves_a_line_for_each_key_that_it_revokes(stage: &Stage) {
    for number in 1..=4 {
        let maker = Provenance::Key(id(number - 1));
        let made = KeyRecord {
            created_by: maker,
            ..record(number)
        };
        add_as(stage.store(), made, digest(number)).await;
    }
    committed(change(stage.store(), id(2), revoked).await.unwrap());
    let revocation = Revocation {
        at: moment(500),
        by: Provenance::Key(id(9)),
        reason: Some("leaked".into()),
    };
    let before = all(stage.store()).await.len();
    let (whose, stop) = (Whose::CreatedBy(Provenance::Key(id(1))), revocation.clone());
    for _ in 0..2 {
        let (whose, revocation) = (whose.clone(), stop.clone());
        let decide: Decide = Box::new(move |_| Decision::RevokeAll {
            whose: whose.clone(),
            revocation: revocation.clone(),
        });
        let answer = stage.store().transact(Subjects::default(), decide).await;
        answer.unwrap();
    }
    assert_eq!(all(stage.other()).await.len(), before + 2);
    for number in [3, 4] {
        let told = trail(stage.other(), id(number)).await;
        assert_eq!(told.len(), 2, "key {number}");
        assert_eq!(told[0].event, revocation.event());
    }
}

/// Each takes up where the one before it ended, of one key and of all.
pub async fn a_trail_is_read_in_pages(stage: &Stage) {
    add(stage.store(), 1).await;
    add(stage.store(), 2).await;
    for step in 0..8 {
        rename(stage.store(), id(1 + step % 2), &format!("name {step}")).await;
    }
    for key in [None, Some(id(1))] {
        let whole = match &key {
            None => all(stage.store()).await,
            Some(key) => trail(stage.store(), key.clone()).await,
        };
        assert_eq!(whole.len(), if key.is_none() { 10 } else { 5 });
        let (mut pages, mut before) = (Vec::new(), None);
        loop {
            let query = EventQuery {
                key: key.clone(),
                before,
                limit: 3,
            };
            let page = read(stage.other(), query).await;
            let Some(last) = page.last() else { break };
            assert!(page.len() <= 3);
            before = Some(last.seq);
            pages.extend(page);
        }
        assert_eq!(pages, whole);
        let none = EventQuery {
            key,
            before: Some(0),
            limit: 3,
        };
        assert_eq!(read(stage.other(), none).await, []);
    }
    let unlimited = EventQuery {
        key: None,
        before: Some(u64::MAX),
        limit: u32::MAX,
    };
    assert_eq!(read(stage.other(), unlimited).await.len(), 10);
    assert_eq!(read(stage.other(), EventQuery::default()).await, []);
}

/// By the clock of the store, also where there is no line to be read.
pub async fn a_trail_comes_with_the_clock_of_the_store(stage: &Stage) {
    let query = EventQuery {
        limit: 1,
        ..EventQuery::default()
    };
    let before = stage.store().events(&query).await.unwrap();
    assert_eq!(before.value, []);
    add(stage.store(), 1).await;
    if let Some(clock) = stage.clock() {
        clock.advance(Duration::from_secs(1));
    }
    let after = stage.store().events(&query).await.unwrap();
    assert_eq!(after.value.len(), 1);
    assert!(before.now < after.now);
    let change = position(stage.store()).await;
    assert_eq!(position(stage.other()).await, change);
}
