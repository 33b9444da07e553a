//! Requests that come again.

use std::time::Duration;

use super::sample::{add, digest, event, id, position, record, rename, rows};
use super::stage::Stage;
use crate::clock::Clock as _;
use crate::key::KeyId;
use crate::store::{
    Decide, Decision, KeyStore, Outcome, Refusal, Replay, ReplayKey, Source, StoreError,
    StoreErrorKind, Subjects, Transacted,
};
use crate::timestamp::Timestamp;

fn request(number: u8) -> Subjects {
    Subjects {
        replay: Some(ReplayKey([number; 32])),
        ..Subjects::default()
    }
}

fn replay(made: KeyId, expires_at: Timestamp) -> Replay {
    Replay {
        request: [0xb7; 32],
        made,
        expires_at,
    }
}

/// Adds the sample of this number, and remembers that this request made it.
async fn make(
    store: &dyn KeyStore,
    request: Subjects,
    number: u32,
    until: Timestamp,
) -> Result<Transacted, StoreError> {
    let decide: Decide = Box::new(move |_| Decision::Insert {
        record: record(number),
        digest: digest(number),
        replay: Some(replay(id(number), until)),
        event: event(),
    });
    store.transact(request, decide).await
}

/// The next one that asks is shown both, the key as it is by then.
pub async fn a_request_is_remembered_with_the_key_it_made(stage: &Stage) {
    let seen = rows(stage.store(), request(1)).await;
    assert_eq!((seen.replay, seen.target), (None, None));
    let made = make(stage.store(), request(1), 1, Timestamp::MAX).await;
    assert!(matches!(made.unwrap().outcome, Outcome::Committed { .. }));
    let renamed = rename(stage.other(), id(1), "new").await.record;
    add(stage.store(), 2).await;
    for store in [stage.store(), stage.other()] {
        // Whatever else it may be about.
        for target in [None, Some(id(2))] {
            let subjects = Subjects {
                target,
                ..request(1)
            };
            let seen = rows(store, subjects).await;
            assert_eq!(seen.replay, Some(replay(id(1), Timestamp::MAX)));
            assert_eq!(seen.target.as_ref(), Some(&renamed));
        }
    }
    // It can be changed as the target that it is.
    let before = position(stage.store()).await;
    let rotate: Decide = Box::new(|rows| Decision::Rotate {
        record: rows.target.clone().unwrap(),
        digest: digest(3),
        event: event(),
    });
    let answer = stage.other().transact(request(1), rotate).await.unwrap();
    assert!(answer.revision > before.revision);
    let found = stage
        .store()
        .look_up(&digest(3), Source::Primary)
        .await
        .unwrap()
        .found;
    assert_eq!(found.unwrap().record.id, id(1));
}

/// By the clock of the store. Then it may make another key.
pub async fn a_request_is_forgotten_at_its_end(stage: &Stage) {
    let Some(clock) = stage.clock() else { return };
    let end = clock.wall().checked_add(Duration::from_mins(1)).unwrap();
    make(stage.store(), request(1), 1, end).await.unwrap();
    clock.advance(Duration::from_micros(59_999_999));
    let seen = rows(stage.other(), request(1)).await;
    assert_eq!(seen.replay, Some(replay(id(1), end)));
    clock.advance(Duration::from_micros(1));
    let seen = rows(stage.other(), request(1)).await;
    assert_eq!((seen.replay, seen.target), (None, None));
    make(stage.store(), request(1), 2, Timestamp::MAX)
        .await
        .unwrap();
    let seen = rows(stage.other(), request(1)).await;
    assert_eq!(seen.replay, Some(replay(id(2), Timestamp::MAX)));
    assert_eq!(seen.target, Some(record(2)));
}

/// Nor is a request that does not say which it is.
pub async fn a_remembered_request_is_no_other_one(stage: &Stage) {
    make(stage.store(), request(1), 1, Timestamp::MAX)
        .await
        .unwrap();
    make(stage.store(), Subjects::default(), 2, Timestamp::MAX)
        .await
        .unwrap();
    add(stage.store(), 3).await;
    for subjects in [request(0), request(2), Subjects::default()] {
        let seen = rows(stage.other(), subjects).await;
        assert_eq!((seen.replay, seen.target), (None, None));
    }
    let seen = rows(stage.other(), request(1)).await;
    assert_eq!(seen.target, Some(record(1)));
}

/// It made nothing.
pub async fn a_request_that_failed_is_not_remembered(stage: &Stage) {
    add(stage.store(), 1).await;
    let taken = make(stage.store(), request(1), 1, Timestamp::MAX).await;
    assert_eq!(taken.unwrap_err().kind(), StoreErrorKind::Conflict);
    let refuse: Decide = Box::new(|_| Decision::Refuse(Refusal::NotFound));
    stage.store().transact(request(1), refuse).await.unwrap();
    let seen = rows(stage.other(), request(1)).await;
    assert_eq!((seen.replay, seen.target), (None, None));
}
