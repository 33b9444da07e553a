//! Changing keys.

use std::collections::BTreeSet;

use tokio::task::JoinSet;

use super::sample::{
    add, add_as, change, committed, digest, event, id, inserting, keep, moment, named, on,
    position, record, rename, revoked, rows,
};
use super::stage::Stage;
use crate::allowed_ips::AllowedIps;
use crate::clock::Clock as _;
use crate::key::KeyDigest;
use crate::resources::Resources;
use crate::scope::{RoleSet, ScopeSet};
use crate::store::{
    Decide, Decision, KeyRecord, Metadata, Outcome, Owner, Refusal, Revocation, Source,
    StoreErrorKind, Subjects, Touched,
};

/// Revisions grow by the order of commits, whichever handle they come from.
pub async fn every_write_takes_a_higher_revision(stage: &Stage) {
    let mut last = position(stage.store()).await;
    for number in 0..6 {
        let handle = stage.handle(number);
        let written = match number {
            0 | 1 => add(&*handle, number).await,
            2 | 3 => rename(&*handle, id(0), &format!("name {number}")).await,
            _ => committed(change(&*handle, id(1), revoked).await.unwrap()),
        };
        assert!(written.revision > last.revision);
        assert_eq!(written.store, last.store);
        let now = position(stage.store()).await;
        assert_eq!(now.revision, written.revision);
        assert_eq!(now.store, last.store);
        assert_ne!(now.nonce, last.nonce, "each revision has its own");
        last = now;
    }
}

/// What was acknowledged is there for everybody.
pub async fn a_write_is_seen_by_other_handles(stage: &Stage) {
    add(stage.store(), 1).await;
    let read = stage.other().get(&id(1)).await.unwrap().value;
    assert_eq!(read, Some(record(1)));
    let changed = KeyRecord {
        enabled: false,
        expires_at: Some(moment(5)),
        owner: Owner::parse("another").unwrap(),
        scopes: ScopeSet::from_stored("a b").unwrap(),
        roles: RoleSet::from_stored("r").unwrap(),
        resources: Some(Resources::none()),
        allowed_ips: Some(AllowedIps::from_stored("::1").unwrap()),
        metadata: Metadata::parse(r#"{"a":[1]}"#).unwrap(),
        ..revoked(named(record(1), "another"))
    };
    let written = changed.clone();
    let answer = change(stage.other(), id(1), move |_| written.clone()).await;
    assert_eq!(committed(answer.unwrap()).record, changed);
    for store in [stage.store(), stage.other()] {
        let found = store
            .look_up(&digest(1), Source::Primary)
            .await
            .unwrap()
            .found;
        assert_eq!(found.unwrap().record, changed);
        assert_eq!(
            store.get(&id(1)).await.unwrap().value,
            Some(changed.clone())
        );
    }
}

/// A target that is as it should be is handed back, with what a change of it would touch and the
/// revision that it was read at.
pub async fn keeping_writes_nothing(stage: &Stage) {
    add(stage.store(), 1).await;
    let before = position(stage.store()).await;
    let answer = stage.store().transact(on(id(1)), keep()).await.unwrap();
    assert_eq!(answer.store, before.store);
    assert_eq!(answer.revision, before.revision);
    match answer.outcome {
        Outcome::Kept {
            touched,
            record: kept,
        } => {
            assert_eq!(kept, record(1));
            assert_eq!(touched, [Touched::changed(&digest(1))]);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(position(stage.store()).await, before);

    let nothing_to_keep = stage.store().transact(on(id(2)), keep()).await;
    assert!(nothing_to_keep.is_err());
    assert_eq!(position(stage.store()).await, before);
}

/// A refusal is no error of the store.
pub async fn refusing_writes_nothing_and_hands_the_refusal_back(stage: &Stage) {
    add(stage.store(), 1).await;
    let before = position(stage.store()).await;
    for refusal in [Refusal::CallerDead, Refusal::NotTheFirst] {
        let answer = stage
            .store()
            .transact(on(id(1)), Box::new(move |_| Decision::Refuse(refusal)))
            .await
            .unwrap();
        assert_eq!(answer.store, before.store);
        assert_eq!(answer.revision, before.revision);
        match answer.outcome {
            Outcome::Refused(refused) => assert_eq!(refused, refusal),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(position(stage.store()).await, before);
    assert_eq!(
        stage.store().get(&id(1)).await.unwrap().value,
        Some(record(1))
    );
}

/// The caller by its digest, the target by its id, the time, as they are now.
pub async fn a_decision_sees_its_rows(stage: &Stage) {
    add(stage.store(), 1).await;
    add(stage.store(), 2).await;
    rename(stage.other(), id(2), "changed elsewhere").await;
    let subjects = Subjects {
        caller: Some(digest(1)),
        target: Some(id(2)),
        ..Subjects::default()
    };
    let rows = rows(stage.store(), subjects).await;
    let caller = rows.caller.unwrap();
    assert_eq!(caller.record, record(1));
    assert_eq!(caller.secret_expires_at, None);
    assert_eq!(rows.target, Some(named(record(2), "changed elsewhere")));
    assert!(rows.ever_had_a_key);
    if let Some(clock) = stage.clock() {
        assert_eq!(rows.now, clock.wall());
    }
}

/// What was not asked for, or is not there, is `None`.
pub async fn a_decision_sees_no_rows_where_there_are_none(stage: &Stage) {
    let nobody = Subjects {
        caller: Some(digest(1)),
        target: Some(id(1)),
        ..Subjects::default()
    };
    let seen = rows(stage.store(), nobody).await;
    assert_eq!((seen.caller, seen.target), (None, None));
    add(stage.store(), 1).await;
    let seen = rows(stage.store(), Subjects::default()).await;
    assert_eq!((seen.caller, seen.target), (None, None));
}

/// From the first key on, and not before it.
pub async fn a_store_remembers_that_it_had_a_key(stage: &Stage) {
    assert!(
        !rows(stage.store(), Subjects::default())
            .await
            .ever_had_a_key
    );
    add(stage.store(), 1).await;
    for store in [stage.store(), stage.other()] {
        assert!(rows(store, Subjects::default()).await.ever_had_a_key);
    }
}

async fn must_conflict(stage: &Stage, taken: KeyRecord, digest: KeyDigest) {
    let before = position(stage.store()).await;
    let error = stage
        .store()
        .transact(Subjects::default(), inserting(taken, digest))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Conflict);
    assert_eq!(position(stage.store()).await, before);
}

/// Whether that key is alive or not.
pub async fn a_taken_id_is_a_conflict(stage: &Stage) {
    add(stage.store(), 1).await;
    add_as(stage.store(), revoked(record(2)), digest(2)).await;
    for number in [1, 2] {
        let before = stage.store().get(&id(number)).await.unwrap().value;
        must_conflict(stage, named(record(number), "another"), digest(3)).await;
        let after = stage.store().get(&id(number)).await.unwrap().value;
        assert_eq!(after, before);
    }
    let look_up = stage
        .store()
        .look_up(&digest(3), Source::Primary)
        .await
        .unwrap();
    assert_eq!(look_up.found, None);
    // And the store goes on.
    add(stage.store(), 3).await;
}

/// Nothing is left of the key that was to have it.
pub async fn a_taken_digest_is_a_conflict(stage: &Stage) {
    add(stage.store(), 1).await;
    must_conflict(stage, record(2), digest(1)).await;
    assert_eq!(stage.store().get(&id(2)).await.unwrap().value, None);
    let found = stage
        .store()
        .look_up(&digest(1), Source::Primary)
        .await
        .unwrap()
        .found;
    assert_eq!(found.unwrap().record, record(1));
    add(stage.store(), 2).await;
}

/// A decision changes the row that it was shown and no other.
pub async fn a_change_needs_its_target(stage: &Stage) {
    add(stage.store(), 1).await;
    let before = position(stage.store()).await;
    for subjects in [Subjects::default(), on(id(2))] {
        let decide: Decide = Box::new(|_| Decision::Update {
            record: named(record(1), "another"),
            event: event(),
        });
        assert!(stage.store().transact(subjects, decide).await.is_err());
    }
    assert_eq!(position(stage.store()).await, before);
    let read = stage.store().get(&id(1)).await.unwrap().value;
    assert_eq!(read, Some(record(1)));
}

/// Not even a decision brings a key back.
pub async fn a_revoked_key_stays_revoked(stage: &Stage) {
    add(stage.store(), 1).await;
    committed(change(stage.store(), id(1), revoked).await.unwrap());
    let before = position(stage.store()).await;
    let back = change(stage.store(), id(1), |_| record(1)).await;
    assert!(back.is_err());
    let later = change(stage.store(), id(1), |record| KeyRecord {
        revoked: record.revoked.map(|revoked| Revocation {
            at: moment(10),
            ..revoked
        }),
        ..record
    });
    assert!(later.await.is_err());
    assert_eq!(position(stage.store()).await, before);
    let read = stage.other().get(&id(1)).await.unwrap().value;
    assert_eq!(read, Some(revoked(record(1))));
    // What else there is to it may still change.
    rename(stage.store(), id(1), "gone").await;
}

/// Each writer sees what all before it have written.
pub async fn writers_come_one_after_the_other(stage: &Stage) {
    const WRITERS: u32 = 20;
    add_as(stage.store(), named(record(1), "0"), digest(1)).await;
    let mut writers = JoinSet::new();
    for number in 0..WRITERS {
        let handle = stage.handle(number);
        writers.spawn(async move {
            let count_up = |record: KeyRecord| {
                let count: u32 = record.name.as_str().parse().unwrap();
                named(record, &(count + 1).to_string())
            };
            committed(change(&*handle, id(1), count_up).await.unwrap())
        });
    }
    let mut written = writers.join_all().await;
    written.sort_by_key(|written| written.revision);
    let counts: Vec<u32> = written
        .iter()
        .map(|written| written.record.name.as_str().parse().unwrap())
        .collect();
    assert_eq!(counts, (1..=WRITERS).collect::<Vec<_>>());
    let revisions: BTreeSet<u64> = written.iter().map(|written| written.revision).collect();
    assert_eq!(revisions.len(), written.len(), "a revision was given twice");
    let read = stage.store().get(&id(1)).await.unwrap().value;
    assert_eq!(read.unwrap().name.as_str(), WRITERS.to_string());
}
