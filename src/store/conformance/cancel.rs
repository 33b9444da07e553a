//! Futures that are dropped before their end.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use tokio::time::timeout;

use super::sample::{add, digest, id, inserting, moment, position, record, rename};
use super::stage::Stage;
use super::trail::trail;
use crate::store::{Decide, EventQuery, ListQuery, Retention, Source, Subjects, Use};

/// More than any future of a store is polled.
const MOST_POLLS: u32 = 24;

/// Polls a future so many times at most, whenever it wants to be, and then drops it.
pub(super) async fn cut_short<T>(future: impl Future<Output = T>, polls: u32) -> Option<T> {
    let mut future = pin!(future);
    let mut left = polls;
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending if left <= 1 => Poll::Ready(None),
        Poll::Pending => {
            left -= 1;
            Poll::Pending
        }
    })
    .await
}

/// A write that waited for a transaction which was left open would wait in vain.
async fn must_take_a_write(stage: &Stage, number: u32) {
    let name = format!("name {number}");
    for handle in [stage.store(), stage.other()] {
        let renamed = rename(handle, id(0), &name);
        timeout(Duration::from_secs(10), renamed)
            .await
            .expect("the store is locked");
    }
}

/// A keyring gives up when its deadline is over, also on writing down uses.
pub async fn a_read_that_is_cut_short_leaves_nothing_open(stage: &Stage) {
    add(stage.store(), 0).await;
    let since = position(stage.store()).await;
    let query = ListQuery {
        limit: 10,
        ..ListQuery::default()
    };
    for polls in 1..=MOST_POLLS {
        drop(cut_short(stage.store().look_up(&digest(0), Source::Primary), polls).await);
        drop(cut_short(stage.store().sync(Some(since)), polls).await);
        drop(cut_short(stage.store().get(&id(0)), polls).await);
        drop(cut_short(stage.store().list(&query), polls).await);
        let query = EventQuery {
            limit: 10,
            ..EventQuery::default()
        };
        drop(cut_short(stage.store().events(&query), polls).await);
        let retention = Retention {
            dead_keys: Some(Duration::ZERO),
            events: Some(Duration::ZERO),
        };
        drop(cut_short(stage.store().prune(&retention), polls).await);
        drop(cut_short(stage.store().cursor_key(), polls).await);
        drop(cut_short(stage.store().digest_algorithm("sha256"), polls).await);
        let used = Use {
            digest: digest(0),
            at: moment(polls),
        };
        drop(cut_short(stage.store().touch(&[used]), polls).await);
        must_take_a_write(stage, polls).await;
        // A snapshot that is held on to would show what was there before that write.
        let read = stage.store().get(&id(0)).await.unwrap().value.unwrap();
        assert_eq!(read.name.as_str(), format!("name {polls}"));
    }
}

/// A keyring does not do so, but a runtime that ends does.
pub async fn a_write_that_is_cut_short_happens_whole_or_not_at_all(stage: &Stage) {
    add(stage.store(), 0).await;
    for polls in 1..=MOST_POLLS {
        let before = position(stage.store()).await;
        let insert = inserting(record(polls), digest(polls));
        let write = stage.store().transact(Subjects::default(), insert);
        let answer = cut_short(write, polls).await;
        must_take_a_write(stage, polls).await;
        let since = stage.other().sync(Some(before)).await.unwrap();
        let there = stage.other().get(&id(polls)).await.unwrap().value.is_some();
        let found = stage
            .other()
            .look_up(&digest(polls), Source::Primary)
            .await
            .unwrap()
            .found;
        assert_eq!(
            found.is_some(),
            there,
            "a key and its secret belong together"
        );
        assert_eq!(
            since.changes.len(),
            if there { 3 } else { 2 },
            "and so does its change row"
        );
        let told = trail(stage.other(), id(polls)).await;
        assert_eq!(told.len(), usize::from(there), "and its line in the trail");
        if let Some(answer) = answer {
            answer.unwrap();
            assert!(there, "acknowledged means committed");
        }
    }
}

/// Whoever calls finds out by the panic. The store goes on.
pub async fn a_decision_that_panics_writes_nothing(stage: &Stage) {
    add(stage.store(), 0).await;
    let before = position(stage.store()).await;
    let store = stage.handle(0);
    let decide: Decide = Box::new(|_| panic!("this is what the case is about"));
    let write = tokio::spawn(async move { (*store).transact(Subjects::default(), decide).await });
    // A store may turn it into an error as well.
    assert!(!matches!(write.await, Ok(Ok(_))));
    assert_eq!(position(stage.store()).await, before);
    must_take_a_write(stage, 1).await;
}
