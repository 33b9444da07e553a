//! The suite of all stores.

use std::sync::Arc;

use async_trait::async_trait;
use portcullis::clock::Clock;
use portcullis::store::conformance::Backend;
use portcullis::store::{KeyStore, MemoryStore, PostgresStore};

use super::cluster;
use super::cluster::Cluster;

#[derive(Debug)]
enum Postgres {
    At {
        cluster: &'static Cluster,
        database: String,
    },
    /// Where there is no server to be had, which has been said aloud.
    NotTested(MemoryStore),
}

#[async_trait]
impl Backend for Postgres {
    type Store = Arc<dyn KeyStore>;

    const TAKES_A_CLOCK: bool = false;

    async fn create(_clock: Arc<dyn Clock>) -> Self {
        match cluster() {
            Some(cluster) => Self::At {
                cluster,
                database: cluster.create_database(),
            },
            None => Self::NotTested(MemoryStore::new()),
        }
    }

    async fn open(&self) -> Arc<dyn KeyStore> {
        match self {
            Self::At { cluster, database } => {
                let store = PostgresStore::connect(&cluster.url(database)).await;
                Arc::new(store.unwrap())
            }
            Self::NotTested(store) => Arc::new(store.clone()),
        }
    }

    async fn outlive_the_changes(&self) -> bool {
        let Self::At { cluster, database } = self else {
            return false;
        };
        cluster.psql(
            database,
            "DO $$ BEGIN FOR i IN 1..10101 LOOP \
                 UPDATE portcullis.keys SET name = i::text; COMMIT; \
             END LOOP; END $$",
        );
        true
    }
}

portcullis::conformance_tests!(suite, Postgres);
