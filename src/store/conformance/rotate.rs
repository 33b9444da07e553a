//! Giving a key another secret.

use std::collections::HashSet;

use tokio::task::JoinSet;

use super::sample::{
    Committed, add, add_as, change, committed, digest, event, id, keep, moment, named, on,
    position, record,
};
use super::stage::Stage;
use crate::key::KeyHint;
use crate::scope::ScopeSet;
use crate::store::{
    Change, Decide, Decision, FoundKey, KeyRecord, KeyStore, ListQuery, Metadata, Outcome, Owner,
    Position, Previous, Provenance, Rows, Source, StoreError, StoreErrorKind, Subjects, Touched,
    Transacted, Use, Where,
};
use crate::timestamp::Timestamp;

fn hint(number: u32) -> KeyHint {
    KeyHint::from_stored(&format!("acme_live_{number:04}")).unwrap()
}

/// Ends the current secret at this moment, and at once without one.
fn rotating(number: u32, grace: Option<Timestamp>) -> Decide {
    Box::new(move |rows: &Rows| {
        let mut record = rows.target.clone().unwrap();
        record.previous = grace.map(|expires_at| Previous {
            hint: record.hint.clone(),
            expires_at,
            last_used_at: None,
        });
        record.hint = hint(number);
        Decision::Rotate {
            record,
            digest: digest(number),
            event: event(),
        }
    })
}

async fn try_to_rotate(
    store: &dyn KeyStore,
    to: u32,
    grace: Option<Timestamp>,
) -> Result<Transacted, StoreError> {
    store.transact(on(id(1)), rotating(to, grace)).await
}

/// Gives key 1 the digest and hint of this number.
async fn rotate(store: &dyn KeyStore, to: u32, grace: Option<Timestamp>) -> Committed {
    committed(try_to_rotate(store, to, grace).await.unwrap())
}

fn ending(rows: &Rows) -> Decision {
    Decision::EndPrevious {
        record: KeyRecord {
            previous: None,
            ..rows.target.clone().unwrap()
        },
        event: event(),
    }
}

/// The key is `record` whichever way it is read, and the secrets of these numbers open it, each
/// until its end, while those of the others do not.
async fn must_be_opened_by(
    stage: &Stage,
    record: &KeyRecord,
    live: &[(u32, Option<Timestamp>)],
    dead: &[u32],
) {
    for store in [stage.store(), stage.other()] {
        for &(number, end) in live {
            let found: FoundKey = store
                .look_up(&digest(number), Source::Primary)
                .await
                .unwrap()
                .found
                .unwrap();
            assert_eq!(found.record, *record, "by secret {number}");
            assert_eq!(found.secret_expires_at, end, "by secret {number}");
        }
        for &number in dead {
            let found = store
                .look_up(&digest(number), Source::Primary)
                .await
                .unwrap()
                .found;
            assert_eq!(found, None, "by secret {number}");
        }
        assert_eq!(
            store.get(&record.id).await.unwrap().value.as_ref(),
            Some(record)
        );
        let query = ListQuery {
            limit: 10,
            ..ListQuery::default()
        };
        let listed = store.list(&query).await.unwrap().value;
        assert_eq!(listed, std::slice::from_ref(record));
    }
}

/// What it says of itself is what the change rows say: of the old secrets everything, of the new
/// one that it is there, and nothing of any other key.
async fn must_have_touched(
    stage: &Stage,
    before: Position,
    written: &Committed,
    old: &[u32],
    new: Option<u32>,
) {
    let said: HashSet<Touched> = written.touched.iter().copied().collect();
    for store in [stage.store(), stage.other()] {
        let report = store.sync(Some(before)).await.unwrap();
        assert_eq!(report.nonce_then, Some(before.nonce));
        assert_eq!(report.position.revision, written.revision);
        let newest = report.changes.iter().map(|change| change.revision).max();
        assert_eq!(newest, Some(written.revision));
        let told: HashSet<Touched> = report
            .changes
            .iter()
            .map(|Change { touched, .. }| *touched)
            .collect();
        assert_eq!(told, said);
    }
    for &number in old {
        assert!(
            said.contains(&Touched::changed(&digest(number))),
            "{said:?}"
        );
    }
    let shards = old
        .iter()
        .map(|&number| Touched::changed(&digest(number)).place);
    let mut places: HashSet<Where> = shards.collect();
    if let Some(new) = new {
        let added = Touched::added(&digest(new));
        let changed = Touched::changed(&digest(new));
        assert!(said.contains(&added) || said.contains(&changed), "{said:?}");
        places.insert(added.place);
    }
    assert!(said.iter().all(|touched| places.contains(&touched.place)));
}

/// Without a grace, from the commit on.
pub async fn a_replaced_secret_opens_nothing_more(stage: &Stage) {
    let before = add(stage.store(), 1).await.record;
    let rotated = rotate(stage.other(), 2, None).await.record;
    let expected = KeyRecord {
        hint: hint(2),
        ..before
    };
    assert_eq!(rotated, expected);
    must_be_opened_by(stage, &rotated, &[(2, None)], &[1]).await;
}

/// Until the end that it was given. What becomes of it then is for those who read to judge.
pub async fn a_secret_in_its_grace_goes_on_opening_the_key(stage: &Stage) {
    let before = add(stage.store(), 1).await.record;
    let rotated = rotate(stage.other(), 2, Some(moment(50))).await.record;
    let expected = KeyRecord {
        previous: Some(Previous {
            hint: before.hint.clone(),
            expires_at: moment(50),
            last_used_at: None,
        }),
        hint: hint(2),
        ..before
    };
    assert_eq!(rotated, expected);
    let live = [(2, None), (1, Some(moment(50)))];
    must_be_opened_by(stage, &rotated, &live, &[]).await;
}

/// One secret at most is in its grace.
pub async fn another_rotation_ends_the_grace_of_the_last(stage: &Stage) {
    add(stage.store(), 1).await;
    rotate(stage.store(), 2, Some(moment(50))).await;
    let rotated = rotate(stage.other(), 3, Some(moment(60))).await.record;
    let previous = rotated.previous.as_ref().unwrap();
    assert_eq!(
        (&previous.hint, previous.expires_at),
        (&hint(2), moment(60))
    );
    let live = [(3, None), (2, Some(moment(60)))];
    must_be_opened_by(stage, &rotated, &live, &[1]).await;

    let rotated = rotate(stage.store(), 4, None).await.record;
    assert_eq!(rotated.previous, None);
    must_be_opened_by(stage, &rotated, &[(4, None)], &[1, 2, 3]).await;
}

/// The use of a secret goes with the secret, that of the key stays with the key.
pub async fn a_rotation_keeps_the_last_uses(stage: &Stage) {
    add(stage.store(), 1).await;
    let used = Use {
        digest: digest(1),
        at: moment(5),
    };
    stage.store().touch(&[used]).await.unwrap();
    let rotated = rotate(stage.store(), 2, Some(moment(50))).await.record;
    assert_eq!(rotated.last_used_at, Some(moment(5)));
    assert_eq!(
        rotated.previous.as_ref().unwrap().last_used_at,
        Some(moment(5))
    );
    let live = [(2, None), (1, Some(moment(50)))];
    must_be_opened_by(stage, &rotated, &live, &[]).await;
    for (number, used) in [(1, Some(moment(5))), (2, None)] {
        let found = stage
            .other()
            .look_up(&digest(number), Source::Primary)
            .await
            .unwrap()
            .found;
        assert_eq!(found.unwrap().secret_last_used_at, used);
    }
}

/// Somebody may have the old secret, and somebody may have asked for the new one in vain.
pub async fn a_rotation_touches_all_secrets_it_is_about(stage: &Stage) {
    add(stage.store(), 1).await;
    let before = position(stage.store()).await;
    let rotated = rotate(stage.store(), 2, None).await;
    must_have_touched(stage, before, &rotated, &[1], Some(2)).await;

    let before = position(stage.store()).await;
    let rotated = rotate(stage.store(), 3, Some(moment(50))).await;
    must_have_touched(stage, before, &rotated, &[2], Some(3)).await;

    let before = position(stage.store()).await;
    let rotated = rotate(stage.store(), 4, Some(moment(60))).await;
    must_have_touched(stage, before, &rotated, &[2, 3], Some(4)).await;
}

/// Another request may do that at the same time.
pub async fn a_rotation_changes_nothing_else(stage: &Stage) {
    add(stage.store(), 1).await;
    let decide: Decide = Box::new(|rows| Decision::Rotate {
        record: KeyRecord {
            hint: hint(2),
            ..another(rows.target.clone().unwrap())
        },
        digest: digest(2),
        event: event(),
    });
    let answer = stage.store().transact(on(id(1)), decide).await;
    let expected = KeyRecord {
        hint: hint(2),
        previous: Some(Previous {
            hint: hint(98),
            expires_at: moment(98),
            last_used_at: None,
        }),
        ..record(1)
    };
    assert_eq!(committed(answer.unwrap()).record, expected);
    let read = stage.other().get(&id(1)).await.unwrap().value;
    assert_eq!(read, Some(expected));
}

/// The same key, and nothing of it as it was.
fn another(record: KeyRecord) -> KeyRecord {
    KeyRecord {
        owner: Owner::parse("another").unwrap(),
        environment: "test".parse().unwrap(),
        hint: hint(99),
        scopes: ScopeSet::from_stored("another").unwrap(),
        enabled: false,
        created_at: moment(99),
        created_by: Provenance::AdminToken,
        expires_at: Some(moment(99)),
        metadata: Metadata::parse(r#"{"another":1}"#).unwrap(),
        last_used_at: Some(moment(99)),
        previous: Some(Previous {
            hint: hint(98),
            expires_at: moment(98),
            last_used_at: Some(moment(98)),
        }),
        ..named(record, "another")
    }
}

/// What a key was made with and what its secrets are is not for an update to change.
pub async fn an_update_leaves_secrets_and_origin_alone(stage: &Stage) {
    add(stage.store(), 1).await;
    let before = rotate(stage.store(), 2, Some(moment(50))).await.record;
    let changed = change(stage.store(), id(1), another).await.unwrap();
    let other = another(before.clone());
    let expected = KeyRecord {
        name: other.name,
        owner: other.owner,
        scopes: other.scopes,
        enabled: other.enabled,
        expires_at: other.expires_at,
        metadata: other.metadata,
        ..before
    };
    assert_eq!(committed(changed).record, expected);
    let live = [(2, None), (1, Some(moment(50)))];
    must_be_opened_by(stage, &expected, &live, &[]).await;
}

/// A key that is revoked is revoked for whoever holds its old secret as well.
pub async fn a_change_touches_both_secrets(stage: &Stage) {
    add(stage.store(), 1).await;
    rotate(stage.store(), 2, Some(moment(50))).await;
    let before = position(stage.store()).await;
    let disable = |record| KeyRecord {
        enabled: false,
        ..record
    };
    let changed = committed(change(stage.store(), id(1), disable).await.unwrap());
    must_have_touched(stage, before, &changed, &[1, 2], None).await;

    let answer = stage.store().transact(on(id(1)), keep()).await.unwrap();
    let Outcome::Kept { touched, .. } = answer.outcome else {
        panic!("{:?}", answer.outcome);
    };
    let touched: HashSet<Touched> = touched.into_iter().collect();
    let both = [1, 2].map(|number| Touched::changed(&digest(number)));
    assert_eq!(touched, HashSet::from(both));
}

/// The previous secret alone.
pub async fn a_grace_can_be_ended(stage: &Stage) {
    add(stage.store(), 1).await;
    rotate(stage.store(), 2, Some(moment(50))).await;
    let before = position(stage.store()).await;
    let ended = stage.other().transact(on(id(1)), Box::new(ending)).await;
    let ended = committed(ended.unwrap());
    assert_eq!(ended.record.previous, None);
    assert_eq!(ended.record.hint, hint(2));
    must_be_opened_by(stage, &ended.record, &[(2, None)], &[1]).await;
    assert!(ended.touched.contains(&Touched::changed(&digest(1))));
    assert_ne!(position(stage.store()).await, before);
    let report = stage.other().sync(Some(before)).await.unwrap();
    let told = report.changes.iter().map(|change| change.touched);
    assert!(told.eq(ended.touched.iter().copied()));

    // There is none any more.
    let before = position(stage.store()).await;
    let again = stage.store().transact(on(id(1)), Box::new(ending)).await;
    match again.unwrap().outcome {
        Outcome::Kept { touched, record } => {
            assert_eq!(touched, [Touched::changed(&digest(2))]);
            assert_eq!(record, ended.record);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(position(stage.store()).await, before);
}

/// Whether by this key or by another.
pub async fn a_rotation_to_a_taken_digest_is_a_conflict(stage: &Stage) {
    add(stage.store(), 1).await;
    rotate(stage.store(), 2, Some(moment(50))).await;
    add(stage.store(), 3).await;
    let before = position(stage.store()).await;
    let read = stage.store().get(&id(1)).await.unwrap().value;
    for to in [1, 2, 3] {
        for grace in [None, Some(moment(60))] {
            let error = try_to_rotate(stage.store(), to, grace).await.unwrap_err();
            assert_eq!(error.kind(), StoreErrorKind::Conflict);
        }
    }
    assert_eq!(position(stage.store()).await, before);
    assert_eq!(stage.store().get(&id(1)).await.unwrap().value, read);
    for (number, key) in [(1, 1), (2, 1), (3, 3)] {
        let found = stage
            .other()
            .look_up(&digest(number), Source::Primary)
            .await
            .unwrap()
            .found;
        assert_eq!(found.unwrap().record.id, id(key));
    }
}

/// A decision gives another secret to the row that it was shown and to no other.
pub async fn a_rotation_needs_its_target(stage: &Stage) {
    add(stage.store(), 1).await;
    let rotated = rotate(stage.store(), 2, Some(moment(50))).await.record;
    let before = position(stage.store()).await;
    for subjects in [Subjects::default(), on(id(2))] {
        let record = rotated.clone();
        let rotate: Decide = Box::new(move |_| Decision::Rotate {
            record: record.clone(),
            digest: digest(3),
            event: event(),
        });
        assert!(
            stage
                .store()
                .transact(subjects.clone(), rotate)
                .await
                .is_err()
        );
        let record = rotated.clone();
        let end: Decide = Box::new(move |_| Decision::EndPrevious {
            record: record.clone(),
            event: event(),
        });
        assert!(stage.store().transact(subjects, end).await.is_err());
    }
    assert_eq!(position(stage.store()).await, before);
    let live = [(2, None), (1, Some(moment(50)))];
    must_be_opened_by(stage, &rotated, &live, &[3]).await;
}

/// Each is committed, and the secret of the last one lives.
pub async fn rotations_come_one_after_the_other(stage: &Stage) {
    const ROTATIONS: u32 = 20;
    add_as(stage.store(), record(1), digest(100)).await;
    let mut rotations = JoinSet::new();
    for number in 0..ROTATIONS {
        let handle = stage.handle(number);
        let grace = number.is_multiple_of(2).then_some(moment(50));
        rotations.spawn(async move { (number, rotate(&*handle, number, grace).await) });
    }
    let mut rotated = rotations.join_all().await;
    rotated.sort_by_key(|(_, rotated)| rotated.revision);
    let revisions: HashSet<u64> = rotated.iter().map(|(_, it)| it.revision).collect();
    assert_eq!(revisions.len(), rotated.len(), "a revision was given twice");
    let (last, newest) = rotated.pop().unwrap();
    let (before, _) = rotated.pop().unwrap();
    let read = stage.other().get(&id(1)).await.unwrap().value.unwrap();
    assert_eq!(read, newest.record);
    assert_eq!(read.hint, hint(last));
    for number in (0..ROTATIONS).chain([100]) {
        let found = stage
            .store()
            .look_up(&digest(number), Source::Primary)
            .await
            .unwrap()
            .found;
        let alive = number == last || (number == before && read.previous.is_some());
        assert_eq!(found.is_some(), alive, "secret {number} of {last}");
    }
    assert_eq!(read.previous.is_some(), last.is_multiple_of(2));
}
