//! Look-ups elsewhere than at the primary.

use std::time::Duration;

use portcullis::store::{KeyStore, PostgresStore, Source, StoreErrorKind};
use tokio::time::{Instant, timeout};

use super::cluster::{CARELESS, Cluster};
use super::proxy::Proxy;
use super::sample::{add, digest, disable, is_found, position};
use super::{Hand, Place, soon};

/// Whether the answer came from the primary, and its revision.
async fn look_up(store: &PostgresStore, source: Source) -> (bool, u64) {
    let look_up = store.look_up(&digest(1), source).await.unwrap();
    assert!(look_up.found.is_some());
    (look_up.primary, look_up.revision)
}

#[tokio::test]
async fn a_read_replica_answers_look_ups_and_nothing_else() {
    let Some(primary) = Cluster::start(CARELESS) else {
        return;
    };
    let database = primary.create_database();
    let store = PostgresStore::connect(&primary.url(&database))
        .await
        .unwrap();
    let added = add(&store, 1).await;
    let standby = primary.standby();
    let proxy = Proxy::to(standby.port()).await;
    let at_the_standby = Cluster::url_at(proxy.port(), &database);
    let store = PostgresStore::options(&primary.url(&database))
        .look_ups_at(&at_the_standby)
        .connect()
        .await
        .unwrap();
    // A new session may take longer than anybody waits for it.
    soon("it is asked", async || {
        look_up(&store, Source::Any).await == (false, added)
    })
    .await;
    assert_eq!(look_up(&store, Source::Primary).await, (true, added));

    // It lags behind, and says so.
    let mut hand = Hand::at(&standby, &database).await;
    hand.types("SELECT pg_wal_replay_pause()").await.unwrap();
    let changed = disable(&store, 1).await.unwrap().revision;
    soon("it is asked", async || {
        look_up(&store, Source::Any).await == (false, added)
    })
    .await;
    assert_eq!(look_up(&store, Source::Primary).await, (true, changed));
    assert_eq!(position(&store).await.revision, changed);
    hand.types("SELECT pg_wal_replay_resume()").await.unwrap();
    soon("it has caught up", async || {
        look_up(&store, Source::Any).await == (false, changed)
    })
    .await;

    // It does not answer: the primary does, within the deadline of a request.
    proxy.silence();
    let began = Instant::now();
    assert_eq!(look_up(&store, Source::Any).await, (true, changed));
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
    let began = Instant::now();
    for _ in 0..10 {
        assert_eq!(look_up(&store, Source::Any).await, (true, changed));
    }
    assert!(
        began.elapsed() < Duration::from_secs(1),
        "{:?}",
        began.elapsed()
    );
    proxy.pass();
    soon("it is asked again", async || {
        !look_up(&store, Source::Any).await.0
    })
    .await;
    standby.kill();
    assert_eq!(look_up(&store, Source::Any).await, (true, changed));
    drop(hand);

    // One that is no replica's primary takes no syncs, whatever it is asked.
    standby.start_again();
    let misled = PostgresStore::options(&standby.url(&database))
        .connect()
        .await
        .unwrap();
    assert!(!look_up(&misled, Source::Any).await.0);
    let sync = timeout(Duration::from_secs(5), misled.sync(None))
        .await
        .unwrap();
    assert_eq!(sync.unwrap_err().kind(), StoreErrorKind::Unavailable);
    assert!(!misled.is_listening());
    let write = disable(&misled, 1).await.unwrap_err();
    assert_eq!(write.kind(), StoreErrorKind::Unavailable);
}

/// Promoted, it is the primary, with the history it had.
#[tokio::test]
async fn a_promoted_replica_takes_over() {
    let Some(primary) = Cluster::start(CARELESS) else {
        return;
    };
    let database = primary.create_database();
    let store = PostgresStore::connect(&primary.url(&database))
        .await
        .unwrap();
    add(&store, 1).await;
    let standby = primary.standby();
    // What a name that always leads to the primary does.
    let there = Proxy::to(standby.port()).await;
    let promoted = PostgresStore::options(&Cluster::url_at(there.port(), &database))
        .connect()
        .await
        .unwrap();
    assert!(promoted.sync(None).await.is_err());
    let last = position(&store).await;
    soon("it has caught up", async || {
        look_up(&promoted, Source::Any).await.1 == last.revision
    })
    .await;
    primary.kill();
    standby.psql("postgres", "SELECT pg_promote()");
    soon("it syncs", async || promoted.sync(Some(last)).await.is_ok()).await;
    let report = promoted.sync(Some(last)).await.unwrap();
    assert_eq!(report.nonce_then, Some(last.nonce));
    assert_eq!(report.position, last);
    disable(&promoted, 1).await.unwrap();
    assert!(is_found(&promoted, 1).await);
}

/// A pooler hands each statement to whichever session is free, and refuses what it cannot keep apart.
#[tokio::test]
async fn look_ups_through_a_pooler_bring_all_they_need() {
    let Some(place) = Place::new() else { return };
    let store = place.store().await;
    add(&store, 1).await;
    let proxy = Proxy::to(place.cluster.port()).await;
    let through = Cluster::url_at(proxy.port(), &place.database);
    let pooled = PostgresStore::options(&place.url())
        .look_ups_at(&format!("{through}?application_name=pooled"))
        .look_ups_through_a_pooler(true)
        .connect()
        .await
        .unwrap();
    for number in 1..=3 {
        let sent = store.look_up(&digest(number), Source::Any).await.unwrap();
        let plain = pooled.look_up(&digest(number), Source::Any).await.unwrap();
        assert_eq!(plain.found, sent.found);
        assert_eq!((plain.store, plain.revision), (sent.store, sent.revision));
        assert!(plain.primary && plain.now >= sent.now);
    }
    assert_eq!(proxy.open(), 1, "that is where they went");
    // The session is as anybody's: nothing of ours is set in it.
    let mut hand = place.hand().await;
    hand.types("BEGIN; LOCK TABLE portcullis.secrets")
        .await
        .unwrap();
    let digest = digest(1);
    let locked = pooled.look_up(&digest, Source::Any);
    let mut watching = place.hand().await;
    let waiting = async {
        soon("it waits", async || {
            watching
                .sessions("application_name = 'pooled' AND wait_event_type = 'Lock'")
                .await
                == 1
        })
        .await;
        let query = "SELECT query FROM pg_stat_activity WHERE application_name = 'pooled'";
        watching.reads::<String>(query).await
    };
    let (answer, query) = tokio::join!(locked, waiting);
    assert!(answer.is_err());
    assert!(
        query.contains("set_config('statement_timeout', '1s', true)"),
        "{query}"
    );
    assert!(!query.contains("$1"), "{query}");
    soon("it has given up", async || {
        watching
            .sessions("application_name = 'pooled' AND state <> 'idle'")
            .await
            == 0
    })
    .await;
}
