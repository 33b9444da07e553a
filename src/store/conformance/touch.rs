//! Writing down when secrets were last used.

use super::sample::{
    add, change, committed, digest, event, id, moment, on, position, record, rename, revoked,
};
use super::stage::Stage;
use crate::key::KeyDigest;
use crate::store::{Decide, Decision, KeyRecord, KeyStore, Previous, Source, Use};
use crate::timestamp::Timestamp;

fn used(number: u32, second: u32) -> Use {
    Use {
        digest: digest(number),
        at: moment(second),
    }
}

/// When a secret was last used, and when its key was.
async fn last_uses(
    store: &dyn KeyStore,
    digest: &KeyDigest,
) -> (Option<Timestamp>, Option<Timestamp>) {
    let found = store
        .look_up(digest, Source::Primary)
        .await
        .unwrap()
        .found
        .unwrap();
    (found.secret_last_used_at, found.record.last_used_at)
}

/// Key 1 with the secrets 2 and, in its grace, 1.
async fn add_with_two_secrets(stage: &Stage) -> KeyRecord {
    add(stage.store(), 1).await;
    let rotate: Decide = Box::new(|_| Decision::Rotate {
        record: KeyRecord {
            previous: Some(Previous {
                hint: record(1).hint,
                expires_at: Timestamp::MAX,
                last_used_at: None,
            }),
            ..record(1)
        },
        digest: digest(2),
        event: event(),
    });
    committed(stage.store().transact(on(id(1)), rotate).await.unwrap()).record
}

/// Of two secrets to the one that was used.
pub async fn a_use_is_written_to_the_secret_and_its_key(stage: &Stage) {
    let before = add_with_two_secrets(stage).await;
    stage.store().touch(&[used(1, 5)]).await.unwrap();
    for store in [stage.store(), stage.other()] {
        let (old, new) = (
            last_uses(store, &digest(1)).await,
            last_uses(store, &digest(2)).await,
        );
        assert_eq!(old, (Some(moment(5)), Some(moment(5))));
        assert_eq!(new, (None, Some(moment(5))));
        let previous = before.previous.clone().map(|previous| Previous {
            last_used_at: Some(moment(5)),
            ..previous
        });
        let expected = KeyRecord {
            last_used_at: Some(moment(5)),
            previous,
            ..before.clone()
        };
        let read = store.get(&id(1)).await.unwrap().value;
        assert_eq!(read, Some(expected), "and nothing else was changed");
    }
    stage.other().touch(&[used(2, 7)]).await.unwrap();
    let (old, new) = (
        last_uses(stage.store(), &digest(1)).await,
        last_uses(stage.store(), &digest(2)).await,
    );
    assert_eq!(old, (Some(moment(5)), Some(moment(7))));
    assert_eq!(new, (Some(moment(7)), Some(moment(7))));
}

/// It is no change: nobody has to look the key up again.
pub async fn a_use_makes_no_revision(stage: &Stage) {
    add_with_two_secrets(stage).await;
    let before = position(stage.store()).await;
    stage
        .store()
        .touch(&[used(1, 5), used(2, 6)])
        .await
        .unwrap();
    for store in [stage.store(), stage.other()] {
        let report = store.sync(Some(before)).await.unwrap();
        assert_eq!(report.position, before);
        assert_eq!(report.changes, []);
    }
}

/// Replicas write when they get to it, and their clocks differ.
pub async fn a_use_never_moves_back(stage: &Stage) {
    add_with_two_secrets(stage).await;
    stage.store().touch(&[used(2, 7)]).await.unwrap();
    stage
        .other()
        .touch(&[used(2, 6), used(1, 5)])
        .await
        .unwrap();
    let (old, new) = (
        last_uses(stage.store(), &digest(1)).await,
        last_uses(stage.store(), &digest(2)).await,
    );
    assert_eq!(old, (Some(moment(5)), Some(moment(7))));
    assert_eq!(new, (Some(moment(7)), Some(moment(7))));
}

/// Neither a revoked key nor a secret that is gone holds up the others.
pub async fn a_use_of_what_is_dead_is_skipped(stage: &Stage) {
    for number in 1..=2 {
        add(stage.store(), number).await;
    }
    stage.store().touch(&[used(1, 3)]).await.unwrap();
    committed(change(stage.store(), id(1), revoked).await.unwrap());
    let before = position(stage.store()).await;
    let uses = [used(1, 9), used(3, 9), used(2, 9)];
    stage.store().touch(&uses).await.unwrap();
    let dead = last_uses(stage.other(), &digest(1)).await;
    assert_eq!(dead, (Some(moment(3)), Some(moment(3))));
    let alive = last_uses(stage.other(), &digest(2)).await;
    assert_eq!(alive, (Some(moment(9)), Some(moment(9))));
    let found = stage
        .other()
        .look_up(&digest(3), Source::Primary)
        .await
        .unwrap()
        .found;
    assert_eq!(found, None);
    assert_eq!(position(stage.store()).await, before);
}

/// Of none, and of a few hundred.
pub async fn uses_come_in_batches(stage: &Stage) {
    stage.store().touch(&[]).await.unwrap();
    let numbers = 1..=40;
    for number in numbers.clone() {
        add(stage.store(), number).await;
    }
    let uses: Vec<Use> = (1..=400).map(|at| used(at % 50, at)).collect();
    stage.other().touch(&uses).await.unwrap();
    for number in numbers {
        let last = Some(moment(350 + number));
        let read = last_uses(stage.store(), &digest(number)).await;
        assert_eq!(read, (last, last), "key {number}");
    }
}

/// A change that was decided on does not take a use back that came meanwhile.
pub async fn a_change_keeps_the_last_use(stage: &Stage) {
    add(stage.store(), 1).await;
    let before = record(1);
    stage.store().touch(&[used(1, 5)]).await.unwrap();
    let as_before = change(stage.store(), id(1), move |_| before.clone()).await;
    let written = committed(as_before.unwrap()).record;
    assert_eq!(written.last_used_at, Some(moment(5)));
    let renamed = rename(stage.other(), id(1), "new").await.record;
    assert_eq!(renamed.last_used_at, Some(moment(5)));
    let read = last_uses(stage.store(), &digest(1)).await;
    assert_eq!(read, (Some(moment(5)), Some(moment(5))));
}
