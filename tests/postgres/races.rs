//! What happens at the same time.

use std::sync::mpsc;
use std::time::Duration;

use portcullis::store::{
    Decide, Decision, KeyRecord, KeyStore, Outcome, PostgresStore, Provenance, Refusal, Replay,
    ReplayKey, Revocation, StoreError, Subjects, Transacted, Whose,
};
use portcullis::timestamp::Timestamp;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use super::sample::{
    add, committed, digest, disable, event, id, is_found, on, position, record, rotate,
};
use super::{PATIENCE, Place, soon};

fn revocation() -> Revocation {
    Revocation {
        at: Timestamp::UNIX_EPOCH,
        by: Provenance::AdminToken,
        reason: None,
    }
}

fn stop(store: &PostgresStore, whose: Whose) -> JoinHandle<Result<Transacted, StoreError>> {
    let store = store.clone();
    let decide: Decide = Box::new(move |_| Decision::RevokeAll {
        whose: whose.clone(),
        revocation: revocation(),
    });
    tokio::spawn(async move { store.transact(Subjects::default(), decide).await })
}

/// Makes this key on behalf of key 1, which has to be alive.
fn made_by_1(number: u8) -> Decide {
    Box::new(move |rows| match &rows.caller {
        Some(caller) if caller.record.revoked.is_none() => Decision::Insert {
            record: KeyRecord {
                created_by: Provenance::Key(id(1)),
                ..record(number)
            },
            digest: digest(number),
            replay: None,
            event: event(),
        },
        _ => Decision::Refuse(Refusal::CallerDead),
    })
}

fn as_1() -> Subjects {
    Subjects {
        caller: Some(digest(1)),
        ..Subjects::default()
    }
}

/// Stands still inside its transaction until it is let go.
struct Held {
    write: JoinHandle<Result<Transacted, StoreError>>,
    let_go: mpsc::Sender<()>,
}

/// On a runtime with more than one thread: the decision blocks the one it is on.
async fn held(store: &PostgresStore, subjects: Subjects, mut decide: Decide) -> Held {
    let (arrive, mut arrived) = tokio::sync::mpsc::unbounded_channel();
    let (let_go, wait) = mpsc::channel::<()>();
    let store = store.clone();
    let decide: Decide = Box::new(move |rows| {
        arrive.send(()).unwrap();
        wait.recv().unwrap_err();
        decide(rows)
    });
    let write = tokio::spawn(async move { store.transact(subjects, decide).await });
    arrived.recv().await.unwrap();
    Held { write, let_go }
}

impl Held {
    async fn goes_on(self) -> Transacted {
        drop(self.let_go);
        let written = timeout(PATIENCE, self.write).await;
        written.expect("it waits").unwrap().unwrap()
    }
}

async fn is_revoked(store: &PostgresStore, number: u8) -> bool {
    let key = store.get(&id(number)).await.unwrap().value.unwrap();
    key.revoked.is_some()
}

/// Were they to pass each other, there would be a key that the stop has not seen.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn an_emergency_stop_gets_the_keys_that_are_just_being_made() {
    let Some(place) = Place::new() else { return };
    let (store, other) = (place.store().await, place.store().await);
    add(&store, 1).await;
    let mut hand = place.hand().await;
    let waits = "wait_event_type = 'Lock' AND wait_event = 'advisory'";

    // Under way when the stop comes: it waits, and gets it.
    let making = held(&store, as_1(), made_by_1(2)).await;
    let stopping = stop(&other, Whose::CreatedBy(Provenance::Key(id(1))));
    soon("the stop waits", async || hand.sessions(waits).await > 0).await;
    committed(&making.goes_on().await);
    let stopped = stopping.await.unwrap().unwrap();
    assert!(matches!(
        stopped.outcome,
        Outcome::RevokedAll { revoked: 1, .. }
    ));
    assert!(is_revoked(&store, 2).await);

    // Not so far when the stop gets its caller as well: it is refused.
    let making = held(&store, as_1(), made_by_1(3)).await;
    let stopping = stop(&other, Whose::All);
    soon("the stop waits", async || hand.sessions(waits).await > 0).await;
    // Behind the stop.
    let late = tokio::spawn({
        let store = other.clone();
        async move { store.transact(as_1(), made_by_1(4)).await }
    });
    soon("the other one waits, too", async || {
        hand.sessions(waits).await > 1
    })
    .await;
    committed(&making.goes_on().await);
    stopping.await.unwrap().unwrap();
    let late = late.await.unwrap().unwrap().outcome;
    assert!(
        matches!(late, Outcome::Refused(Refusal::CallerDead)),
        "{late:?}"
    );
    assert!(is_revoked(&store, 1).await && is_revoked(&store, 3).await);
    assert!(!is_found(&store, 4).await);
}

/// By a stop that is typed by hand, which takes no lock but those of rows.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_caller_that_is_revoked_by_hand_makes_nothing_afterwards() {
    let Some(place) = Place::new() else { return };
    let store = place.store().await;
    add(&store, 1).await;
    let (mut hand, mut watching) = (place.hand().await, place.hand().await);
    let making = held(&store, as_1(), made_by_1(2)).await;
    let revoking = tokio::spawn(async move {
        hand.types("UPDATE portcullis.keys SET revoked_at = now() WHERE id LIKE '%1'")
            .await
            .unwrap();
    });
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                 AND application_name = 'hand' AND wait_event_type = 'Lock'";
    soon("it waits", async || watching.reads::<i64>(waits).await > 0).await;
    let made = committed(&making.goes_on().await).0;
    revoking.await.unwrap();
    assert_eq!(
        position(&store).await.revision,
        made + 1,
        "first the one, then the other"
    );
    let late = store.transact(as_1(), made_by_1(3)).await.unwrap().outcome;
    assert!(
        matches!(late, Outcome::Refused(Refusal::CallerDead)),
        "{late:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn there_is_one_first_key() {
    for _ in 0..3 {
        let Some(place) = Place::new() else { return };
        let mut makers = JoinSet::new();
        for number in 1..=8 {
            let url = place.url();
            makers.spawn(async move {
                let store = PostgresStore::connect(&url).await.unwrap();
                let decide: Decide = Box::new(move |rows| {
                    if rows.ever_had_a_key {
                        return Decision::Refuse(Refusal::NotTheFirst);
                    }
                    Decision::Insert {
                        record: record(number),
                        digest: digest(number),
                        replay: None,
                        event: event(),
                    }
                });
                store
                    .transact(Subjects::default(), decide)
                    .await
                    .unwrap()
                    .outcome
            });
        }
        let outcomes = makers.join_all().await;
        let made = outcomes
            .iter()
            .filter(|outcome| matches!(outcome, Outcome::Committed { .. }));
        assert_eq!(made.count(), 1, "{outcomes:?}");
        let mut hand = place.hand().await;
        assert_eq!(
            hand.reads::<i64>("SELECT count(*) FROM portcullis.keys")
                .await,
            1
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_request_that_comes_twice_at_once_makes_one_key() {
    let Some(place) = Place::new() else { return };
    let stores = [place.store().await, place.store().await];
    add(&stores[0], 100).await;
    for round in 0..8 {
        let request = Subjects {
            replay: Some(ReplayKey([round; 32])),
            ..Subjects::default()
        };
        let mut makers = JoinSet::new();
        for number in 0..4 {
            let (store, request) = (stores[usize::from(number % 2)].clone(), request.clone());
            let number = 1 + round * 4 + number;
            let decide: Decide = Box::new(move |rows| match &rows.replay {
                Some(_) => Decision::Keep,
                None => Decision::Insert {
                    record: record(number),
                    digest: digest(number),
                    replay: Some(Replay {
                        request: [7; 32],
                        made: id(number),
                        expires_at: Timestamp::MAX,
                    }),
                    event: event(),
                },
            });
            makers.spawn(async move { store.transact(request, decide).await.unwrap().outcome });
        }
        let mut keys = Vec::new();
        for outcome in makers.join_all().await {
            match outcome {
                Outcome::Committed { record, .. } | Outcome::Kept { record, .. } => {
                    keys.push(record.id);
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn the_last_of_many_rotations_holds() {
    let Some(place) = Place::new() else { return };
    let stores = [place.store().await, place.store().await];
    add(&stores[0], 1).await;
    let mut rotations = JoinSet::new();
    for number in 2..12 {
        let store = stores[usize::from(number % 2)].clone();
        rotations.spawn(async move {
            let rotated = rotate(&store, number, Timestamp::MAX).await.unwrap();
            (rotated.revision, number)
        });
    }
    let mut rotated = rotations.join_all().await;
    rotated.sort_unstable();
    let order: Vec<u8> = rotated.into_iter().map(|(_, number)| number).collect();
    let (dead, alive) = order.split_at(order.len() - 2);
    for number in alive {
        assert!(is_found(&stores[0], *number).await, "{order:?}");
    }
    for number in [&[1], dead].concat() {
        assert!(!is_found(&stores[0], number).await, "{number} of {order:?}");
    }
}

/// Each is the other one's caller: each locks both rows.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn two_that_change_each_other_both_get_through() {
    let Some(place) = Place::new() else { return };
    let stores = [place.store().await, place.store().await];
    add(&stores[0], 1).await;
    add(&stores[0], 2).await;
    for round in 0..20 {
        let mut changes = JoinSet::new();
        for (store, caller, target) in [(&stores[0], 1, 2), (&stores[1], 2, 1)] {
            let store = store.clone();
            let subjects = Subjects {
                caller: Some(digest(caller)),
                ..on(target)
            };
            let decide: Decide = Box::new(move |rows| {
                assert!(rows.caller.is_some());
                let mut record = rows.target.clone().unwrap();
                record.enabled = round % 2 == 0;
                Decision::Update {
                    record,
                    event: event(),
                }
            });
            changes.spawn(async move { store.transact(subjects, decide).await });
        }
        let changing = timeout(Duration::from_secs(5), changes.join_all()).await;
        for change in changing.expect("they wait for each other") {
            committed(&change.unwrap());
        }
    }
}

/// Somebody who types locks rows in whatever order. The server ends one of the two.
#[tokio::test]
async fn a_deadlock_with_somebody_who_types_is_tried_again() {
    let Some(place) = Place::new() else { return };
    let store = place.store().await;
    add(&store, 1).await;
    add(&store, 2).await;
    let mut hand = place.hand().await;
    let mut watching = place.hand().await;
    hand.types("BEGIN; UPDATE portcullis.keys SET name = 'x' WHERE id LIKE '%2'")
        .await
        .unwrap();
    let subjects = Subjects {
        caller: Some(digest(1)),
        ..on(2)
    };
    let decide: Decide = Box::new(|rows| Decision::Update {
        record: rows.target.clone().unwrap(),
        event: event(),
    });
    let writer = store.clone();
    let write = tokio::spawn(async move { writer.transact(subjects, decide).await });
    let waits = "wait_event_type = 'Lock'";
    soon("it waits", async || watching.sessions(waits).await > 0).await;
    // A victim is chosen when somebody has waited for a second; whoever it is, the other gets through.
    let typed = hand
        .types("UPDATE portcullis.keys SET name = 'x' WHERE id LIKE '%1'; COMMIT")
        .await;
    if typed.is_err() {
        hand.types("ROLLBACK").await.unwrap();
    }
    committed(&write.await.unwrap().unwrap());
    disable(&store, 1).await.unwrap();
}
