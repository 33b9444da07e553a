//! Sessions that wait for each other: nobody waits for long, and nobody leaves anything behind.

use std::future::Future;
use std::time::Duration;

use portcullis::store::{
    Decide, Decision, KeyStore, ListQuery, PostgresStore, Source, StoreErrorKind, Subjects, Use,
};
use portcullis::timestamp::Timestamp;
use tokio::runtime::Builder;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::links::cut_short;
use super::sample::{add, adding, digest, disable, event, id, is_found, on, position, refuse};
use super::{Hand, Place, soon};

/// As long as a request waits for a look-up.
const DEADLINE: Duration = Duration::from_millis(500);

/// In this database, who waits for a lock.
const WAITING: &str = "wait_event_type = 'Lock'";

async fn two_keys() -> Option<(Place, PostgresStore, Hand)> {
    let place = Place::new()?;
    let store = place.store().await;
    add(&store, 1).await;
    add(&store, 2).await;
    assert!(is_found(&store, 1).await);
    let hand = place.hand().await;
    Some((place, store, hand))
}

/// Fails, and says why, before anybody would have to guess.
async fn must_be_unavailable<T>(
    patience: Duration,
    work: impl Future<Output = Result<T, portcullis::store::StoreError>>,
) {
    let result = timeout(patience, work).await.expect("it takes too long");
    let error = result.err().expect("it waits for a lock");
    assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
}

#[tokio::test]
async fn look_ups_at_a_locked_table_fail_and_pile_up_nowhere() {
    let Some((place, store, mut hand)) = two_keys().await else {
        return;
    };
    let mut watching = place.hand().await;
    hand.types("BEGIN; LOCK TABLE portcullis.secrets IN ACCESS EXCLUSIVE MODE")
        .await
        .unwrap();
    // Those who wait until they are told.
    let digest = digest(1);
    let told = store.look_up(&digest, Source::Any);
    must_be_unavailable(Duration::from_secs(3), told).await;
    // And those who leave before.
    let mut requests = JoinSet::new();
    for _ in 0..60 {
        let store = store.clone();
        requests.spawn(async move {
            let look_up = timeout(DEADLINE, store.look_up(&digest, Source::Any)).await;
            assert!(!matches!(look_up, Ok(Ok(_))));
        });
        sleep(Duration::from_millis(20)).await;
        let waiting = watching.sessions(WAITING).await;
        // One for each place, and the one before it that is about to give up.
        assert!(waiting <= 8, "{waiting} sessions wait");
    }
    requests.join_all().await;
    soon("nobody waits", async || {
        watching.sessions(WAITING).await == 0
    })
    .await;
    hand.types("COMMIT").await.unwrap();
    soon("look-ups are answered", async || {
        store.look_up(&digest, Source::Any).await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn a_locked_history_keeps_nobody_waiting_for_long() {
    let Some((_place, store, mut hand)) = two_keys().await else {
        return;
    };
    hand.types("BEGIN; LOCK TABLE portcullis.change_sets IN ACCESS EXCLUSIVE MODE")
        .await
        .unwrap();
    must_be_unavailable(Duration::from_secs(3), store.sync(None)).await;
    must_be_unavailable(Duration::from_secs(5), disable(&store, 1)).await;
    hand.types("COMMIT").await.unwrap();
    soon("syncs are answered", async || {
        store.sync(None).await.is_ok()
    })
    .await;
    disable(&store, 1).await.unwrap();
}

/// Somebody has typed BEGIN, changed a key, and gone for lunch.
#[tokio::test]
async fn an_open_transaction_holds_up_its_own_key_alone() {
    let Some((_place, store, mut hand)) = two_keys().await else {
        return;
    };
    let before = position(&store).await;
    hand.types("BEGIN; UPDATE portcullis.keys SET enabled = false WHERE id LIKE '%1'")
        .await
        .unwrap();
    let quick = Duration::from_secs(1);
    let others = async {
        assert!(is_found(&store, 1).await);
        store.get(&id(1)).await.unwrap();
        assert_eq!(position(&store).await, before);
        disable(&store, 2).await.unwrap();
        add(&store, 3).await;
        // One that cannot be written down is left out, and the others are not.
        let uses = [1, 2].map(|number| Use {
            digest: digest(number),
            at: Timestamp::UNIX_EPOCH,
        });
        store.touch(&uses).await.unwrap();
    };
    timeout(quick, others).await.expect("it waits");
    let used = async |number| {
        let key = store.get(&id(number)).await.unwrap().value.unwrap();
        key.last_used_at.is_some()
    };
    assert!(!used(1).await && used(2).await);

    must_be_unavailable(Duration::from_secs(4), disable(&store, 1)).await;
    // Nor does one who waits in vain.
    let waiting = disable(&store, 1);
    let meanwhile = async {
        sleep(Duration::from_millis(100)).await;
        timeout(quick, add(&store, 4)).await.expect("it waits");
    };
    let (waited, ()) = tokio::join!(waiting, meanwhile);
    assert!(waited.is_err());
    hand.types("ROLLBACK").await.unwrap();
    disable(&store, 1).await.unwrap();
}

/// A client that hangs up, at each point where anything is waited for.
#[tokio::test]
async fn what_is_cut_short_leaves_no_lock_and_no_transaction() {
    let Some((place, store, _)) = two_keys().await else {
        return;
    };
    let mut watching = place.hand().await;
    let query = ListQuery {
        limit: 1,
        ..ListQuery::default()
    };
    for polls in 1..=20 {
        drop(cut_short(disable(&store, 1), polls).await);
        drop(cut_short(store.transact(on(1), refuse()), polls).await);
        drop(cut_short(store.list(&query), polls).await);
        drop(cut_short(store.digest_algorithm("another"), polls).await);
        let locks = "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database \
                     WHERE d.datname = current_database() AND l.pid <> pg_backend_pid()";
        soon("all locks are released", async || {
            watching.reads::<i64>(locks).await == 0
                && watching.sessions("state <> 'idle'").await == 0
        })
        .await;
        // Whatever is there now, is there for whoever comes next.
        timeout(DEADLINE, disable(&store, 2))
            .await
            .expect("it waits")
            .unwrap();
    }
}

/// A process that was stopped in the midst of a write, or a machine that is gone.
#[tokio::test]
async fn a_writer_that_stands_still_is_ended_by_the_server() {
    let Some((place, store, mut watching)) = two_keys().await else {
        return;
    };
    let (tell, told) = std::sync::mpsc::channel();
    let (wake, sleep) = std::sync::mpsc::channel::<()>();
    let decide: Decide = Box::new(move |_| {
        tell.send(()).unwrap();
        // As if it stood still: the thread that runs it does.
        sleep.recv().unwrap_err();
        Decision::Insert {
            record: super::sample::record(9),
            digest: digest(9),
            replay: None,
            event: event(),
        }
    });
    let standing = std::thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let url = place.url();
        runtime.block_on(async move {
            let stopped = PostgresStore::connect(&url).await.unwrap();
            stopped.transact(on(1), decide).await
        })
    });
    told.recv().unwrap();
    let began = Instant::now();
    // It holds the key's row, and the lock that an emergency stop waits for.
    soon("the key can be changed", async || {
        disable(&store, 1).await.is_ok()
    })
    .await;
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    drop(wake);
    let outcome = standing.join().unwrap();
    assert_eq!(outcome.unwrap_err().kind(), StoreErrorKind::Unavailable);
    assert!(!is_found(&store, 9).await, "nothing was written");
    soon("its session is gone", async || {
        watching.sessions("state LIKE 'idle in transaction%'").await == 0
    })
    .await;
    store
        .transact(Subjects::default(), adding(9))
        .await
        .unwrap();
}
