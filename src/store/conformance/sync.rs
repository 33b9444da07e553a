//! Following a store's history.

use super::sample::{Committed, add, change, committed, digest, id, moment, position, rename};
use super::stage::Stage;
use crate::allowed_ips::AllowedIps;
use crate::resources::Resources;
use crate::scope::RoleSet;
use crate::store::{
    Change, KeyRecord, KeyStore, Metadata, Position, Provenance, Revocation, Source, SyncReport,
    Touched,
};

async fn sync(store: &dyn KeyStore, since: Position) -> SyncReport {
    store.sync(Some(since)).await.unwrap()
}

/// A store that has nothing to compare with is told where it begins, and nothing else.
pub async fn a_first_sync_says_where_the_store_is(stage: &Stage) {
    let report = stage.store().sync(None).await.unwrap();
    assert_eq!(report.changes, []);
    assert_eq!(
        stage.other().sync(None).await.unwrap().position,
        report.position
    );
    let added = add(stage.store(), 1).await;
    let report = stage.store().sync(None).await.unwrap();
    assert_eq!(report.changes, []);
    assert_eq!(report.position.revision, added.revision);
    assert_eq!(report.position.store, added.store);
}

/// From the very first position on.
pub async fn nothing_new_leaves_the_history_unbroken(stage: &Stage) {
    for number in 0..3 {
        let here = position(stage.store()).await;
        for store in [stage.store(), stage.other()] {
            let report = sync(store, here).await;
            assert_eq!(report.position, here);
            assert_eq!(report.nonce_then, Some(here.nonce));
            assert_eq!(report.changes, []);
        }
        add(stage.store(), number).await;
    }
}

/// The change rows since `before` are those of this one write, and what it said of itself.
async fn must_have_touched(stage: &Stage, before: Position, written: &Committed, what: Touched) {
    assert_eq!(written.touched, [what]);
    for store in [stage.store(), stage.other()] {
        let report = sync(store, before).await;
        assert_eq!(report.nonce_then, Some(before.nonce));
        assert_eq!(report.position.revision, written.revision);
        let change = Change {
            revision: written.revision,
            touched: what,
        };
        assert_eq!(report.changes, [change]);
    }
}

/// In the shard of its digest. Otherwise making keys would make other keys cold.
pub async fn an_added_key_falsifies_absence_alone(stage: &Stage) {
    for number in 0..8 {
        let before = position(stage.store()).await;
        let added = add(stage.store(), number).await;
        must_have_touched(stage, before, &added, Touched::added(&digest(number))).await;
    }
}

/// In the shard of its digest, whatever it is that changed.
pub async fn a_changed_key_falsifies_everything(stage: &Stage) {
    add(stage.store(), 1).await;
    add(stage.store(), 2).await;
    let revoke = |record| KeyRecord {
        revoked: Some(Revocation {
            at: moment(9),
            by: Provenance::System,
            reason: None,
        }),
        ..record
    };
    let disable = |record| KeyRecord {
        enabled: false,
        ..record
    };
    let expire = |record| KeyRecord {
        expires_at: Some(moment(1)),
        ..record
    };
    let describe = |record| KeyRecord {
        metadata: Metadata::parse(r#"{"team":"billing"}"#).unwrap(),
        ..record
    };
    let give_a_role = |record| KeyRecord {
        roles: RoleSet::from_stored("auditor").unwrap(),
        ..record
    };
    let restrict = |record| KeyRecord {
        resources: Some(Resources::none()),
        ..record
    };
    let tie_down = |record| KeyRecord {
        allowed_ips: Some(AllowedIps::from_stored("10.0.0.0/8").unwrap()),
        ..record
    };
    let changes: [fn(KeyRecord) -> KeyRecord; 7] = [
        disable,
        expire,
        describe,
        give_a_role,
        restrict,
        tie_down,
        revoke,
    ];
    for step in changes {
        let before = position(stage.store()).await;
        let written = committed(change(stage.store(), id(1), step).await.unwrap());
        must_have_touched(stage, before, &written, Touched::changed(&digest(1))).await;
    }
}

/// Each sync takes up where the last one ended, and all of them together tell every change.
pub async fn a_history_can_be_followed_step_by_step(stage: &Stage) {
    let start = position(stage.store()).await;
    let (mut here, mut told, mut made) = (start, Vec::new(), Vec::new());
    for number in 0..12 {
        let handle = stage.handle(number);
        let written = match number {
            0..3 => add(&*handle, number).await,
            _ => rename(&*handle, id(number % 3), &format!("name {number}")).await,
        };
        for &touched in &written.touched {
            made.push((written.revision, touched));
        }
        if number % 5 == 0 {
            let report = sync(stage.store(), here).await;
            assert_eq!(report.nonce_then, Some(here.nonce));
            assert_eq!(report.position.store, here.store);
            here = report.position;
            told.extend(report.changes);
        }
    }
    let report = sync(stage.store(), here).await;
    assert_eq!(report.nonce_then, Some(here.nonce));
    told.extend(report.changes);
    let as_pairs = |changes: Vec<Change>| {
        let mut pairs: Vec<_> = changes
            .into_iter()
            .map(|change| (change.revision, change.touched))
            .collect();
        pairs.sort_by_key(|(revision, _)| *revision);
        pairs
    };
    assert_eq!(as_pairs(told), made);
    let all = sync(stage.other(), start).await;
    assert_eq!(as_pairs(all.changes), made, "all at once is the same");
}

/// A position of a future that was lost, as after a restore, finds no nonce.
pub async fn a_revision_that_never_was_has_no_nonce(stage: &Stage) {
    add(stage.store(), 1).await;
    let here = position(stage.store()).await;
    for revision in [here.revision + 1, u64::MAX] {
        let report = sync(stage.store(), Position { revision, ..here }).await;
        assert_eq!(report.nonce_then, None);
        assert_eq!(report.changes, []);
        assert_eq!(report.position, here);
    }
}

/// Change rows go together with the nonce of their revision.
pub async fn a_sync_that_comes_too_late_is_told_so(stage: &Stage) {
    let start = position(stage.store()).await;
    add(stage.store(), 1).await;
    let then = position(stage.store()).await;
    if !stage.outlive_the_changes().await {
        return;
    }
    for long_ago in [start, then] {
        let report = sync(stage.store(), long_ago).await;
        assert_eq!(report.nonce_then, None);
    }
    let now = position(stage.store()).await;
    assert!(now.revision > then.revision);
    assert_eq!(sync(stage.store(), now).await.nonce_then, Some(now.nonce));
    // Nothing but history is lost.
    assert!(
        stage
            .store()
            .look_up(&digest(1), Source::Primary)
            .await
            .unwrap()
            .found
            .is_some()
    );
}

/// The changes go up to the position, neither less nor more, also while others write.
pub async fn a_sync_is_one_snapshot(stage: &Stage) {
    add(stage.store(), 1).await;
    let start = position(stage.store()).await;
    let writer = stage.handle(1);
    let writing = tokio::spawn(async move {
        for number in 0..50 {
            rename(&*writer, id(1), &format!("name {number}")).await;
        }
    });
    let mut here = start;
    while !writing.is_finished() {
        let report = sync(stage.store(), here).await;
        assert_eq!(report.nonce_then, Some(here.nonce));
        let newest = report.changes.iter().map(|change| change.revision).max();
        assert_eq!(newest.unwrap_or(here.revision), report.position.revision);
        here = report.position;
        tokio::task::yield_now().await;
    }
    writing.await.unwrap();
    assert!(position(stage.store()).await.revision > start.revision);
}
