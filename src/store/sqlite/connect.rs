//! Opening the file.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqliteLockingMode, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions as _, Connection as _, SqliteConnection, SqlitePool};
use tokio::time::sleep;

use super::failure::{failed, is_busy};
use super::file::DatabaseFile;
use super::{SqliteStore, schema};
use crate::clock::{Clock, SystemClock};
use crate::store::{StoreError, StoreErrorKind};

/// How long a connection waits for another one's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a look-up waits for one of the connections for reading.
const READ_PATIENCE: Duration = Duration::from_secs(2);

/// How long a write waits for the one connection for writing.
const WRITE_PATIENCE: Duration = Duration::from_secs(5);

const READERS: u32 = 4;

/// How a [`SqliteStore`] is opened.
#[must_use]
pub struct SqliteStoreOptions {
    connection: Result<SqliteConnectOptions, StoreError>,
    migrate: bool,
    clock: Arc<dyn Clock>,
}

impl SqliteStoreOptions {
    pub(super) fn from_url(url: &str) -> Self {
        Self::new(parse(url))
    }

    pub(super) fn from_pool(pool: &SqlitePool) -> Self {
        Self::new(Ok(SqliteConnectOptions::clone(&pool.connect_options())))
    }

    fn new(connection: Result<SqliteConnectOptions, StoreError>) -> Self {
        Self {
            connection: connection.map(ours),
            migrate: true,
            clock: Arc::new(SystemClock),
        }
    }

    /// Whether to bring the tables up to date, which is the default. Otherwise connecting fails
    /// and names the version that is missing.
    pub fn migrate(mut self, migrate: bool) -> Self {
        self.migrate = migrate;
        self
    }

    /// The clock to write into rows and to judge the end of keys by: the machine's by default.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Opens the store.
    pub async fn connect(self) -> Result<SqliteStore, StoreError> {
        let options = self.connection?;
        let mut first = open(&options).await?;
        must_be_a_file_with_a_log(&mut first).await?;
        if self.migrate {
            schema::migrate(&mut first).await?;
        } else {
            schema::must_be_up_to_date(&mut first).await?;
        }
        // Now it is there. One that is gone later is a failure, not a reason to begin a new one.
        let options = options.create_if_missing(false);
        let pool = |size, patience| {
            SqlitePoolOptions::new()
                .max_connections(size)
                .acquire_timeout(patience)
                // A file does not hang up, and a connection is tested when it is given back.
                .test_before_acquire(false)
                .idle_timeout(None)
                .max_lifetime(None)
                .connect_lazy_with(options.clone())
        };
        let store = SqliteStore {
            file: DatabaseFile::opened(options.get_filename())?,
            clock: self.clock,
            reads: pool(READERS, READ_PATIENCE),
            syncs: pool(1, READ_PATIENCE),
            lists: pool(1, READ_PATIENCE),
            writes: pool(1, WRITE_PATIENCE),
            options,
            listening: Arc::default(),
        };
        first
            .close()
            .await
            .map_err(failed("closing the first connection"))?;
        Ok(store)
    }
}

impl fmt::Debug for SqliteStoreOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The options of a connection may hold the key of an encrypted file.
        f.debug_struct("SqliteStoreOptions")
            .field("migrate", &self.migrate)
            .field("clock", &self.clock)
            .finish_non_exhaustive()
    }
}

fn parse(url: &str) -> Result<SqliteConnectOptions, StoreError> {
    let unfit = |why| StoreError::new(StoreErrorKind::Misconfigured, why);
    let Some((scheme, rest)) = url.split_once(':') else {
        return Err(unfit("the URL does not begin with \"sqlite:\"".to_owned()));
    };
    if scheme != "sqlite" {
        // The scheme alone: what comes after it may hold a password.
        let scheme: String = scheme.chars().take(32).collect();
        return Err(unfit(format!(
            "the URL begins with {scheme:?}: this store opens \"sqlite:\" alone"
        )));
    }
    let options: SqliteConnectOptions = url
        .parse()
        .map_err(failed("reading the URL of the database"))?;
    let has_mode = rest
        .split_once('?')
        .is_some_and(|(_, query)| query.split('&').any(|pair| pair.starts_with("mode=")));
    Ok(if has_mode {
        options
    } else {
        options.create_if_missing(true)
    })
}

/// What this store needs of each of its connections, whatever the application chose for its own.
fn ours(options: SqliteConnectOptions) -> SqliteConnectOptions {
    options
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        // On macOS fsync alone does not reach the disk.
        .pragma("fullfsync", "ON")
        .locking_mode(SqliteLockingMode::Normal)
        .shared_cache(false)
        .immutable(false)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .thread_name(|number| format!("portcullis-sqlite-{number}"))
        .disable_statement_logging()
}

async fn open(options: &SqliteConnectOptions) -> Result<SqliteConnection, StoreError> {
    const PAUSE: Duration = Duration::from_millis(20);
    let mut waited = Duration::ZERO;
    loop {
        match options.connect().await {
            // A new file is put into WAL mode under a lock for which SQLite does not wait.
            Err(error) if is_busy(&error) && waited < BUSY_TIMEOUT => {
                sleep(PAUSE).await;
                waited += PAUSE;
            }
            result => return result.map_err(failed("opening the database")),
        }
    }
}

async fn must_be_a_file_with_a_log(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let unfit = |why: &str| Err(StoreError::new(StoreErrorKind::Misconfigured, why));
    let context = "asking where the database lies";
    let file: Option<String> =
        sqlx::query_scalar("SELECT file FROM pragma_database_list WHERE name = 'main'")
            .fetch_one(&mut *connection)
            .await
            .map_err(failed(context))?;
    if file.is_none_or(|file| file.is_empty()) {
        return unfit(
            "each connection would have an in-memory database of its own: use MemoryStore",
        );
    }
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode")
        .fetch_one(&mut *connection)
        .await
        .map_err(failed(context))?;
    if mode != "wal" {
        return unfit("the database cannot be put into WAL mode");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use sqlx::Row as _;

    use super::*;

    #[tokio::test]
    async fn what_makes_a_commit_durable_holds_whatever_the_application_chose() {
        let folder = tempfile::tempdir().unwrap();
        let careless = SqliteConnectOptions::new()
            .filename(folder.path().join("keys.db"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Delete)
            .synchronous(SqliteSynchronous::Off)
            .locking_mode(SqliteLockingMode::Exclusive)
            .foreign_keys(false)
            .busy_timeout(Duration::ZERO);
        let pool = SqlitePool::connect_lazy_with(careless);
        let store = SqliteStore::new(&pool).await.unwrap();
        for pool in [&store.reads, &store.writes] {
            let mut connection = pool.acquire().await.unwrap();
            for (pragma, value) in [
                ("PRAGMA journal_mode", "wal"),
                ("PRAGMA synchronous", "2"),
                ("PRAGMA locking_mode", "normal"),
                ("PRAGMA foreign_keys", "1"),
                ("PRAGMA busy_timeout", "2000"),
                ("PRAGMA fullfsync", "1"),
            ] {
                let query = sqlx::query(pragma);
                let row = query.fetch_one(&mut *connection).await.unwrap();
                // Some are numbers.
                let answer: String = row.get_unchecked(0);
                assert_eq!(answer, value, "{pragma}");
            }
        }
    }
}
