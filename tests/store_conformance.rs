//! The suite on the stores that come with the crate.

use std::sync::Arc;

use async_trait::async_trait;
use portcullis::clock::Clock;
use portcullis::store::conformance::Backend;
use portcullis::store::{
    Decision, Event, EventKind, KeyRecord, KeyStore, ListQuery, MemoryStore, Provenance,
    SqliteStore, Subjects,
};
use sqlx::{Connection, SqliteConnection};
use tempfile::TempDir;

#[derive(Debug)]
struct Memory(MemoryStore);

#[async_trait]
impl Backend for Memory {
    type Store = MemoryStore;

    const TAKES_A_CLOCK: bool = true;

    async fn create(clock: Arc<dyn Clock>) -> Self {
        Self(MemoryStore::with_clock(clock))
    }

    async fn open(&self) -> MemoryStore {
        self.0.clone()
    }

    async fn outlive_the_changes(&self) -> bool {
        let query = ListQuery {
            limit: 1,
            ..ListQuery::default()
        };
        let key: KeyRecord = self.0.list(&query).await.unwrap().value.remove(0);
        for _ in 0..10_001 {
            let (subjects, key) = (
                Subjects {
                    target: Some(key.id.clone()),
                    ..Subjects::default()
                },
                key.clone(),
            );
            let decide = Box::new(move |_: &_| Decision::Update {
                record: key.clone(),
                event: Event::new(EventKind::Changed, Provenance::System, key.created_at),
            });
            self.0.transact(subjects, decide).await.unwrap();
        }
        true
    }
}

#[derive(Debug)]
struct Sqlite {
    folder: TempDir,
    clock: Arc<dyn Clock>,
}

impl Sqlite {
    fn url(&self) -> String {
        format!("sqlite://{}", self.folder.path().join("keys.db").display())
    }
}

#[async_trait]
impl Backend for Sqlite {
    type Store = SqliteStore;

    const TAKES_A_CLOCK: bool = true;

    async fn create(clock: Arc<dyn Clock>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder, clock }
    }

    async fn open(&self) -> SqliteStore {
        SqliteStore::options(&self.url())
            .clock(Arc::clone(&self.clock))
            .connect()
            .await
            .unwrap()
    }

    async fn outlive_the_changes(&self) -> bool {
        let mut connection = SqliteConnection::connect(&self.url()).await.unwrap();
        sqlx::raw_sql(
            "WITH RECURSIVE count (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM count LIMIT 10001) \
             INSERT INTO portcullis_touch (digest, kind) SELECT x'0000', 'absence' FROM count",
        )
        .execute(&mut connection)
        .await
        .unwrap();
        true
    }
}

portcullis::conformance_tests!(memory, Memory);
portcullis::conformance_tests!(sqlite, Sqlite);
