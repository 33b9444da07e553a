//! A server that is stopped, killed, and started again.

use std::time::Duration;

use portcullis::store::{KeyStore, PostgresStore, Source, StoreErrorKind};
use tokio::time::{Instant, timeout};

use super::cluster::Cluster;
use super::sample::{add, digest, disable, id, is_found, on, position, refuse};
use super::{Hand, soon};

/// With everything on the disk that should be.
const CAREFUL: &[(&str, &str)] = &[("shared_buffers", "32MB")];

const BACK: Duration = Duration::from_secs(2);

async fn use_all(store: &PostgresStore, number: u8) {
    add(store, number).await;
    assert!(is_found(store, number).await);
    store.get(&id(number)).await.unwrap();
}

#[tokio::test]
async fn a_server_that_comes_back_is_used_again_and_has_all_that_was_acknowledged() {
    let Some(cluster) = Cluster::start(CAREFUL) else {
        return;
    };
    let database = cluster.create_database();
    let store = PostgresStore::connect(&cluster.url(&database))
        .await
        .unwrap();
    use_all(&store, 1).await;
    soon("it listens", async || store.is_listening()).await;
    let mut expected = vec![1];
    let stops: [fn(&Cluster); 3] = [Cluster::stop, Cluster::stop_immediately, Cluster::kill];
    for (number, stop) in (2..).zip(stops) {
        let before = Hand::at(&cluster, &database).await.sessions("true").await;
        add(&store, number).await;
        expected.push(number);
        let acknowledged = position(&store).await;
        stop(&cluster);
        soon("it is seen", async || !store.is_listening()).await;
        let look_up = store.look_up(&digest(1), Source::Any).await.unwrap_err();
        assert_eq!(look_up.kind(), StoreErrorKind::Unavailable);
        let write = store.transact(on(1), refuse()).await.unwrap_err();
        assert_eq!(write.kind(), StoreErrorKind::Unavailable);
        assert!(store.sync(None).await.is_err());

        cluster.start_again();
        let started = Instant::now();
        soon("look-ups are answered", async || {
            store.look_up(&digest(1), Source::Any).await.is_ok()
        })
        .await;
        soon("syncs are answered", async || {
            store.sync(None).await.is_ok()
        })
        .await;
        soon("it listens", async || store.is_listening()).await;
        assert!(started.elapsed() < BACK, "it took {:?}", started.elapsed());

        assert_eq!(position(&store).await, acknowledged);
        for &number in &expected {
            assert!(is_found(&store, number).await, "{number} was acknowledged");
        }
        use_all(&store, number + 100).await;
        let mut hand = Hand::at(&cluster, &database).await;
        soon("there are as many sessions as before", async || {
            hand.sessions("true").await <= before
        })
        .await;
    }
}

/// Nothing is asked of it in between, so that each connection finds out when it is used.
#[tokio::test]
async fn a_restart_that_nobody_noticed_fails_nothing() {
    let Some(cluster) = Cluster::start(CAREFUL) else {
        return;
    };
    let database = cluster.create_database();
    let store = PostgresStore::connect(&cluster.url(&database))
        .await
        .unwrap();
    use_all(&store, 1).await;
    store.touch(&[]).await.unwrap();
    for number in 2..5 {
        cluster.stop();
        cluster.start_again();
        disable(&store, 1).await.unwrap();
        use_all(&store, number).await;
        let sync = timeout(BACK, async { while store.sync(None).await.is_err() {} });
        sync.await.unwrap();
    }
}
