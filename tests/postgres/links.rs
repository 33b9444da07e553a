//! Links that are cut, and links that go silent.
//!
//! Behind each of these is a way in which a pool of sqlx 0.9, or its listener, goes wrong.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use portcullis::store::{KeyStore, ListQuery, Nudges, PostgresStore, Source, Subjects, Use};
use portcullis::timestamp::Timestamp;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::cluster::Cluster;
use super::failures::chain;
use super::proxy::Proxy;
use super::sample::{add, adding, digest, disable, id, is_found, on, position, refuse};
use super::{PATIENCE, Place, soon};

/// As long as a request waits for a look-up.
const DEADLINE: Duration = Duration::from_millis(150);

/// How soon a service has to be back.
const BACK: Duration = Duration::from_secs(2);

struct Linked {
    place: Place,
    proxy: Proxy,
    store: PostgresStore,
}

impl Linked {
    async fn new() -> Option<Self> {
        let place = Place::new()?;
        let proxy = Proxy::to(place.cluster.port()).await;
        let url = Cluster::url_at(proxy.port(), &place.database);
        let store = PostgresStore::connect(&url).await.unwrap();
        soon("it listens", async || store.is_listening()).await;
        Some(Self {
            place,
            proxy,
            store,
        })
    }

    /// Uses each kind of connection once.
    async fn use_all(&self, number: u8) {
        disable(&self.store, number).await.unwrap();
        assert!(is_found(&self.store, number).await);
        self.store.get(&id(number)).await.unwrap();
        position(&self.store).await;
        self.store.touch(&[used(number)]).await.unwrap();
    }
}

fn used(number: u8) -> Use {
    Use {
        digest: digest(number),
        at: Timestamp::UNIX_EPOCH,
    }
}

/// Polls a future so many times at most, whenever it wants to be, and then drops it.
pub(crate) async fn cut_short<T>(future: impl Future<Output = T>, polls: u32) -> Option<T> {
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

/// Waits for a nudge, and for no other to follow.
async fn settle(nudges: &mut dyn Nudges) {
    const QUIET: Duration = Duration::from_millis(200);
    while timeout(QUIET, nudges.nudged()).await.is_ok() {}
}

/// A pool that takes back what was dropped hands on the transaction that was being begun, and a
/// write that was acknowledged in there is gone with it.
#[tokio::test]
async fn a_write_after_one_that_was_cut_short_is_no_part_of_it() {
    let Some(Linked {
        place,
        proxy,
        store,
    }) = Linked::new().await
    else {
        return;
    };
    add(&store, 0).await;
    let mut hand = place.hand().await;
    for round in 1..=10 {
        // The answer to BEGIN, or to whatever comes then, is on its way when nobody waits any more.
        proxy.silence();
        let patience = Duration::from_millis(u64::from(round));
        drop(timeout(patience, disable(&store, 0)).await);
        proxy.pass();
        drop(cut_short(disable(&store, 0), u32::from(round)).await);
        // One that is a single statement, and one that is a transaction.
        let now = Timestamp::from_unix_micros(i64::from(round)).unwrap();
        let used = Use {
            digest: digest(0),
            at: now,
        };
        let written = "SELECT count(*) FROM portcullis.secrets \
                       WHERE last_used_at = timestamptz 'epoch' + $1 * interval '1 microsecond'";
        let touched = async || {
            store.touch(&[used]).await.unwrap();
            hand.reads::<i64>(&written.replace("$1", &round.to_string()))
                .await
                == 1
        };
        soon("an acknowledged use is there", touched).await;
        add(&store, round).await;
        let key = format!(
            "SELECT count(*) FROM portcullis.keys WHERE id = '{}'",
            id(round)
        );
        assert_eq!(
            hand.reads::<i64>(&key).await,
            1,
            "acknowledged means committed"
        );
    }
    soon("no transaction stays open", async || {
        hand.sessions("state LIKE 'idle in transaction%'").await == 0
    })
    .await;
}

/// A pool waits for what was dropped to answer, and keeps its place for it.
#[tokio::test]
async fn a_link_that_was_silent_takes_nothing_with_it() {
    let Some(linked) = Linked::new().await else {
        return;
    };
    let Linked {
        place,
        proxy,
        store,
    } = &linked;
    add(store, 1).await;
    linked.use_all(1).await;
    let mut hand = place.hand().await;
    let before = hand.sessions("true").await;
    let open = proxy.open();

    proxy.silence();
    let query = ListQuery {
        limit: 1,
        ..ListQuery::default()
    };
    let digest = digest(1);
    // More often than there are places for connections.
    for _ in 0..8 {
        let look_up = timeout(DEADLINE, store.look_up(&digest, Source::Any));
        let sync = timeout(DEADLINE, store.sync(None));
        let list = timeout(DEADLINE, store.list(&query));
        let write = timeout(DEADLINE, store.transact(on(1), refuse()));
        let uses = [used(1)];
        let touch = timeout(DEADLINE, store.touch(&uses));
        let (look_up, sync, list, write, touch) = tokio::join!(look_up, sync, list, write, touch);
        assert!(look_up.is_err(), "nothing answers");
        assert!(!matches!(sync, Ok(Ok(_))));
        assert!(!matches!(list, Ok(Ok(_))));
        assert!(!matches!(write, Ok(Ok(_))));
        assert!(!matches!(touch, Ok(Ok(()))));
    }
    proxy.pass();
    let passed = Instant::now();
    soon("look-ups are answered", async || {
        let look_up = timeout(DEADLINE, store.look_up(&digest, Source::Any)).await;
        matches!(look_up, Ok(Ok(_)))
    })
    .await;
    soon("syncs are answered", async || {
        store.sync(None).await.is_ok()
    })
    .await;
    soon("it listens", async || store.is_listening()).await;
    assert!(passed.elapsed() < BACK, "it took {:?}", passed.elapsed());

    // What was opened for those who gave up goes when it is not needed.
    soon("no connection is left over", async || {
        linked.use_all(1).await;
        hand.sessions("true").await <= before && proxy.open() <= open
    })
    .await;
}

/// What comes while nobody listens is not told again.
#[tokio::test]
async fn a_lost_link_is_seen_and_made_up_for() {
    let Some(Linked {
        place,
        proxy,
        store,
    }) = Linked::new().await
    else {
        return;
    };
    add(&store, 1).await;
    let mut nudges = store.nudges();
    settle(&mut *nudges).await;
    let before = position(&store).await;

    proxy.cut();
    soon("that nobody listens is seen", async || {
        !store.is_listening()
    })
    .await;
    assert!(store.sync(Some(before)).await.is_err());
    let sql = "UPDATE portcullis.keys SET enabled = false";
    place.hand().await.types(sql).await.unwrap();
    proxy.pass();
    timeout(PATIENCE, nudges.nudged()).await.expect("no nudge");
    assert!(store.is_listening());
    let report = store.sync(Some(before)).await.unwrap();
    assert_eq!(report.changes.len(), 1);
}

/// The server says that it hangs up, and does.
#[tokio::test]
async fn a_session_that_was_terminated_is_replaced() {
    let Some(linked) = Linked::new().await else {
        return;
    };
    let store = &linked.store;
    add(store, 1).await;
    linked.use_all(1).await;
    let mut nudges = store.nudges();
    settle(&mut *nudges).await;
    let mut hand = linked.place.hand().await;
    for _ in 0..3 {
        hand.types(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        .await
        .unwrap();
        timeout(PATIENCE, nudges.nudged()).await.expect("no nudge");
        // Each finds out on a connection that it had before.
        linked.use_all(1).await;
    }
}

/// It shows nothing by itself: a sync is what finds out. And a listener that is dropped then says
/// goodbye for ever.
#[tokio::test]
async fn a_sync_finds_out_that_the_link_is_silent() {
    let Some(Linked {
        place,
        proxy,
        store,
    }) = Linked::new().await
    else {
        return;
    };
    let mut nudges = store.nudges();
    settle(&mut *nudges).await;
    let before = position(&store).await;
    let tasks = Handle::current().metrics().num_alive_tasks();

    proxy.silence();
    add(&place.store().await, 1).await;
    assert!(store.is_listening(), "nobody can know");
    for _ in 0..4 {
        assert!(timeout(DEADLINE, store.sync(None)).await.is_err());
        soon("it is noticed", async || !store.is_listening()).await;
    }
    // While the link is still silent, between two attempts.
    soon("what was opened before is closed", async || {
        proxy.open() == 0
    })
    .await;
    proxy.pass();
    timeout(PATIENCE, nudges.nudged()).await.expect("no nudge");
    let report = store.sync(Some(before)).await.unwrap();
    assert_eq!(report.changes.len(), 1);
    soon("no task is left over", async || {
        Handle::current().metrics().num_alive_tasks() <= tasks
    })
    .await;
}

/// What was asked before a silence, and whose answer is lost, keeps nobody waiting after it.
#[tokio::test]
async fn what_waits_for_a_lost_answer_ends_with_the_silence() {
    let Some(Linked { proxy, store, .. }) = Linked::new().await else {
        return;
    };
    add(&store, 1).await;
    store.get(&id(1)).await.unwrap();
    let both = tokio::join!(disable(&store, 1), disable(&store, 1));
    both.0.and(both.1).unwrap();
    proxy.swallow();
    let began = Instant::now();
    // As many as there are places, and they would wait for seconds.
    let mut lost = JoinSet::new();
    for _ in 0..2 {
        let store = store.clone();
        lost.spawn(async move { disable(&store, 1).await.map(drop) });
    }
    let lister = store.clone();
    lost.spawn(async move { lister.get(&id(1)).await.map(drop) });
    sleep(Duration::from_millis(300)).await;
    assert!(timeout(DEADLINE, store.sync(None)).await.is_err());
    proxy.pass();
    let passed = Instant::now();
    disable(&store, 1).await.unwrap();
    store.get(&id(1)).await.unwrap();
    assert!(passed.elapsed() < BACK, "it took {:?}", passed.elapsed());
    for lost in lost.join_all().await {
        // Unless it could be asked again.
        let error = lost.err().map(|error| chain(&error)).unwrap_or_default();
        assert!(error.is_empty() || error.contains("went silent"), "{error}");
    }
    assert!(began.elapsed() < Duration::from_secs(4));
}

#[tokio::test]
async fn the_link_ends_with_the_store() {
    let Some(Linked {
        place,
        proxy,
        store,
    }) = Linked::new().await
    else {
        return;
    };
    let transact = store.transact(Subjects::default(), adding(1));
    transact.await.unwrap();
    let clone = store.clone();
    drop(store);
    assert!(is_found(&clone, 1).await);
    drop(clone);
    soon("all connections are closed", async || proxy.open() == 0).await;
    let mut hand = place.hand().await;
    soon("all sessions end", async || {
        hand.sessions("true").await == 0
    })
    .await;
}
