//! What only Postgres has: a server of its own, links to it that fail, sessions that wait for each
//! other, and people who type SQL into it. And the suite of all stores.

mod by_hand;
#[path = "../canary/mod.rs"]
mod canary;
mod cluster;
mod conformance;
mod digests;
mod failures;
mod keyrings;
mod links;
mod opening;
mod overlapping;
mod owners;
mod plans;
mod policy;
mod proxy;
mod races;
mod replicas;
mod sample;
mod stops;
mod waits;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use portcullis::store::PostgresStore;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, PgConnection};
use tokio::time::{sleep, timeout};

use cluster::{CARELESS, Cluster, SUPERUSER};

/// More than anything takes that is expected to happen.
const PATIENCE: Duration = Duration::from_secs(10);

/// The server of all tests that need none of their own. `None` where there is none to be had.
fn cluster() -> Option<&'static Cluster> {
    static CLUSTER: OnceLock<Option<Cluster>> = OnceLock::new();
    CLUSTER.get_or_init(|| Cluster::start(CARELESS)).as_ref()
}

/// A database of a test's own.
struct Place {
    cluster: &'static Cluster,
    database: String,
    has_keyrings: AtomicBool,
}

impl Place {
    fn new() -> Option<Self> {
        let cluster = cluster()?;
        Some(Self {
            cluster,
            database: cluster.create_database(),
            has_keyrings: AtomicBool::new(false),
        })
    }

    fn url(&self) -> String {
        self.cluster.url(&self.database)
    }

    /// Another database with all that is in this one, in which nobody may be.
    async fn copy(&self) -> Self {
        let mut hand = Hand::at(self.cluster, "postgres").await;
        let sql = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = '{}'",
            self.database
        );
        soon("everybody has left", async || {
            hand.reads::<i64>(&sql).await == 0
        })
        .await;
        Self {
            cluster: self.cluster,
            database: self.cluster.copy_database(&self.database),
            has_keyrings: AtomicBool::new(false),
        }
    }

    async fn store(&self) -> PostgresStore {
        PostgresStore::connect(&self.url()).await.unwrap()
    }

    /// A store for a keyring with keys as people have them, for whose secrets everything is
    /// searched.
    async fn store_of_keyring(&self) -> PostgresStore {
        canary::listen();
        self.has_keyrings.store(true, Ordering::Relaxed);
        self.store().await
    }

    async fn hand(&self) -> Hand {
        Hand::at(self.cluster, &self.database).await
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.has_keyrings.load(Ordering::Relaxed) && !std::thread::panicking() {
            let dump = self.cluster.dump(&self.database);
            canary::absent_from_a_database("a dump", dump);
        }
    }
}

/// What somebody with a command line tool has: a session.
struct Hand(PgConnection);

impl Hand {
    async fn at(cluster: &Cluster, database: &str) -> Self {
        let options = PgConnectOptions::new_without_pgpass()
            .host("127.0.0.1")
            .port(cluster.port())
            .username(SUPERUSER)
            .database(database)
            .application_name("hand");
        Self(options.connect().await.unwrap())
    }

    async fn types(&mut self, sql: &str) -> Result<(), sqlx::Error> {
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&mut self.0)
            .await?;
        Ok(())
    }

    async fn reads<T>(&mut self, sql: &str) -> T
    where
        T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send + Unpin,
    {
        let read = sqlx::query_scalar(AssertSqlSafe(sql));
        read.fetch_one(&mut self.0).await.unwrap()
    }

    /// How many sessions, other than those typed by hand, there are in this database.
    async fn sessions(&mut self, which: &str) -> i64 {
        let sql = format!(
            "SELECT count(*) FROM pg_stat_activity \
             WHERE datname = current_database() AND application_name <> 'hand' AND {which}"
        );
        self.reads(&sql).await
    }
}

/// Asks again and again until the answer is yes.
async fn soon(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let asking = async {
        while !holds().await {
            sleep(Duration::from_millis(5)).await;
        }
    };
    let asked = timeout(PATIENCE, asking).await;
    assert!(asked.is_ok(), "{what}: not within {PATIENCE:?}");
}
