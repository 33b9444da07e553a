//! Digests that are taken: somebody has them, or had them once.

use std::time::Duration;

use tokio::task::JoinSet;

use super::sample::{
    add, add_as, committed, digest, event, id, inserting, moment, on, position, record, revoked,
    rows,
};
use super::stage::Stage;
use crate::store::{
    Decide, Decision, KeyRecord, KeyStore, Outcome, Previous, Refusal, Retention, Rows,
    StoreErrorKind, Subjects,
};

fn having(number: u32) -> Subjects {
    Subjects {
        digest: Some(digest(number)),
        ..Subjects::default()
    }
}

/// Gives the key the digest of this number. The current secret goes on for long, or is over.
fn rotating(to: u32, grace: bool) -> Decide {
    Box::new(move |rows: &Rows| {
        let mut record = rows.target.clone().unwrap();
        record.previous = grace.then(|| Previous {
            hint: record.hint.clone(),
            expires_at: moment(50),
            last_used_at: None,
        });
        Decision::Rotate {
            record,
            digest: digest(to),
            event: event(),
        }
    })
}

async fn rotate(store: &dyn KeyStore, key: u32, to: u32, grace: bool) {
    let answer = store.transact(on(id(key)), rotating(to, grace)).await;
    committed(answer.unwrap());
}

/// Looks whether anybody has, or had, the digest `wanted`, and adds a key with it if nobody has.
fn making(number: u32, wanted: u32) -> Decide {
    let mut insert = inserting(record(number), digest(wanted));
    Box::new(move |rows| {
        if rows.digest_holder.is_some() || rows.digest_ended {
            Decision::Refuse(Refusal::DigestTaken)
        } else {
            insert(rows)
        }
    })
}

/// By either of its secrets, dead or alive.
pub async fn whoever_has_a_digest_is_shown(stage: &Stage) {
    let renewed = add(stage.store(), 1).await.record;
    // Also if the grace of the other one is past its end.
    let rotate: Decide = Box::new(move |_| Decision::Rotate {
        record: KeyRecord {
            previous: Some(Previous {
                hint: renewed.hint.clone(),
                expires_at: moment(0),
                last_used_at: None,
            }),
            ..renewed.clone()
        },
        digest: digest(2),
        event: event(),
    });
    let renewed = committed(stage.store().transact(on(id(1)), rotate).await.unwrap());
    let dead = add_as(stage.store(), revoked(record(3)), digest(3)).await;
    for store in [stage.store(), stage.other()] {
        for (number, expected) in [
            (1, Some(&renewed.record)),
            (2, Some(&renewed.record)),
            (3, Some(&dead.record)),
            (4, None),
        ] {
            let seen = rows(store, having(number)).await;
            assert_eq!(seen.digest_holder.as_ref(), expected, "secret {number}");
            assert!(!seen.digest_ended, "secret {number}");
            assert_eq!(seen.target, None);
        }
        assert_eq!(rows(store, Subjects::default()).await.digest_holder, None);
    }
}

/// Of several who look whether a digest is there, and add a key with it if it is not, one does.
pub async fn a_digest_is_given_once(stage: &Stage) {
    let mut makers = JoinSet::new();
    for number in 1..=6 {
        let handle = stage.handle(number);
        makers.spawn(async move { handle.transact(having(9), making(number, 9)).await });
    }
    let mut made = 0;
    for answer in makers.join_all().await {
        // Nobody is told of a conflict, or that the store is not to be had.
        match answer.unwrap().outcome {
            Outcome::Committed { .. } => made += 1,
            Outcome::Refused(refusal) => assert_eq!(refusal, Refusal::DigestTaken),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(made, 1);
}

/// Nobody has it, and nobody gets it: neither a new key, whosever it is, nor one that is there.
async fn must_be_over(stage: &Stage, number: u32) {
    let before = position(stage.store()).await;
    for store in [stage.store(), stage.other()] {
        let seen = rows(store, having(number)).await;
        assert_eq!(seen.digest_holder, None, "secret {number}");
        assert!(seen.digest_ended, "secret {number} is forgotten");
        for (subjects, decide) in [
            (Subjects::default(), inserting(record(90), digest(number))),
            (having(number), inserting(record(90), digest(number))),
            (on(id(1)), rotating(number, true)),
            (on(id(1)), rotating(number, false)),
        ] {
            let given = store.transact(subjects, decide).await;
            let error = given.expect_err("a digest was given twice");
            assert_eq!(error.kind(), StoreErrorKind::Conflict, "secret {number}");
        }
        assert_eq!(store.get(&id(90)).await.unwrap().value, None);
    }
    assert_eq!(position(stage.store()).await, before);
}

/// Whoever learned an old secret could else have a key made by its digest, and what a forgotten
/// client still sends would come in as theirs.
pub async fn the_digest_of_a_replaced_secret_stays_taken(stage: &Stage) {
    add(stage.store(), 1).await;
    rotate(stage.store(), 1, 11, false).await;
    must_be_over(stage, 1).await;
    rotate(stage.other(), 1, 12, true).await;
    assert!(!rows(stage.store(), having(11)).await.digest_ended);
    // The next one cuts the grace of the last short.
    rotate(stage.store(), 1, 13, true).await;
    must_be_over(stage, 11).await;
    let end: Decide = Box::new(|rows| Decision::EndPrevious {
        record: KeyRecord {
            previous: None,
            ..rows.target.clone().unwrap()
        },
        event: event(),
    });
    committed(stage.store().transact(on(id(1)), end).await.unwrap());
    must_be_over(stage, 12).await;
    must_be_over(stage, 1).await;
}

/// With the current secret and the one in its grace.
pub async fn the_digests_of_a_deleted_key_stay_taken(stage: &Stage) {
    add(stage.store(), 1).await;
    add(stage.store(), 2).await;
    rotate(stage.store(), 2, 12, true).await;
    let revoke: Decide = Box::new(|rows| Decision::Update {
        record: revoked(rows.target.clone().unwrap()),
        event: event(),
    });
    committed(stage.store().transact(on(id(2)), revoke).await.unwrap());
    let day = Some(Duration::from_hours(24));
    let retention = Retention {
        dead_keys: day,
        events: day,
    };
    assert_eq!(stage.store().prune(&retention).await.unwrap().keys, 1);
    for number in [2, 12] {
        must_be_over(stage, number).await;
    }
    // Nor does the next time that the store is cleared up.
    stage.other().prune(&retention).await.unwrap();
    must_be_over(stage, 2).await;
}

/// Somebody may repeat it.
pub async fn what_was_not_written_takes_no_digest(stage: &Stage) {
    add(stage.store(), 1).await;
    for decide in [
        // That key is there.
        inserting(record(1), digest(7)),
        making(8, 1),
    ] {
        let answer = stage.store().transact(having(1), decide).await;
        assert!(!matches!(
            answer.map(|answer| answer.outcome),
            Ok(Outcome::Committed { .. })
        ));
    }
    assert!(!rows(stage.other(), having(7)).await.digest_ended);
    add_as(stage.other(), record(7), digest(7)).await;
}

/// Whoever wants it comes before the rotation that ends it, or after: it is taken both times.
pub async fn a_digest_is_not_free_while_its_secret_is_replaced(stage: &Stage) {
    const ROUNDS: u32 = 6;
    const EACH: u32 = 4;
    add(stage.store(), 1).await;
    for current in 1..=ROUNDS {
        let mut makers = JoinSet::new();
        for number in 0..EACH {
            let handle = stage.handle(number);
            let decide = making(100 * current + number, current);
            makers.spawn(async move { handle.transact(having(current), decide).await });
            if number == EACH / 2 {
                let handle = stage.handle(current);
                let rotate = rotating(current + 1, false);
                makers.spawn(async move { handle.transact(on(id(1)), rotate).await });
            }
        }
        let mut refused = 0;
        for answer in makers.join_all().await {
            match answer.unwrap().outcome {
                Outcome::Committed { record, .. } => assert_eq!(record.id, id(1)),
                Outcome::Refused(refusal) => {
                    assert_eq!(refusal, Refusal::DigestTaken);
                    refused += 1;
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(refused, EACH);
    }
}
