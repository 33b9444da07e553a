//! The embedded store: keys in an SQLite file, shared by all processes that open it.
//!
//! How it is opened is in `connect`, the tables and the triggers that number every change in
//! `schema`, what is read in `read` and `row`, what is written in `transact`, `change`,
//! `revoke_all`, `trail`, `prune` and `touch`, and how changes of other processes are noticed in `nudges`.

mod change;
mod connect;
mod failure;
mod file;
mod meta;
mod nudges;
mod prune;
mod read;
mod revoke_all;
mod row;
mod schema;
mod touch;
mod trail;
mod transact;
mod writing;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use sqlx::SqlitePool;
use sqlx::sqlite::SqliteConnectOptions;

pub use connect::SqliteStoreOptions;

use self::file::DatabaseFile;

use super::contract::{
    KeyStore, ListQuery, LookUp, Nudges, Position, Read, Source, SyncReport, Use,
};
use super::decision::{Decide, Subjects, Transacted};
use super::error::StoreError;
use super::event::{EventQuery, Pruned, RecordedEvent, Retention};
use super::record::KeyRecord;
use crate::clock::Clock;
use crate::key::{KeyDigest, KeyId};
use crate::timestamp::Timestamp;

/// Keys in an SQLite file. Clones share their connections; several processes may open one file.
///
/// A write is acknowledged once it is on the disk (WAL, `synchronous = FULL`), and all that it
/// takes to notice it is in the file: SQL typed by hand counts like everything else. Its tables
/// begin with `portcullis_` and may lie beside those of the application. A secret that was deleted
/// does not come back, unless its digest is deleted from `portcullis_digests`, too.
///
/// To go back to a backup, copy it *into* the open database (`.restore` of the command line
/// tool) or stop all processes first. SQLite itself forbids replacing a file that is open; where it is
/// done all the same, every operation fails until the file is back, or the store is opened anew.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let url = format!("sqlite://{}", folder.path().join("keys.db").display());
/// use portcullis::Keyring;
/// use portcullis::store::SqliteStore;
///
/// let store = SqliteStore::connect(&url).await?;
/// let keyring = Keyring::builder(store).prefix("acme").build()?;
/// assert!(keyring.ready().await.is_ok());
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct SqliteStore {
    file: DatabaseFile,
    clock: Arc<dyn Clock>,
    /// For look-ups alone.
    reads: SqlitePool,
    /// For syncs alone: were they to queue with anything else, a load could end the lease.
    syncs: SqlitePool,
    /// For what people ask of the admin API. One connection, so that lists wait for each other
    /// and for nothing that a request through the gate needs.
    lists: SqlitePool,
    writes: SqlitePool,
    /// To open the connections by which changes are noticed.
    options: SqliteConnectOptions,
    /// Whether they are noticed.
    listening: Arc<AtomicBool>,
}

impl SqliteStore {
    /// Opens `sqlite://path` or `sqlite:path`, makes the file if there is none (unless the URL
    /// has a `mode`), and brings its tables up to date.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        Self::options(url).connect().await
    }

    /// Opens the database of the application's pool, and brings its tables up to date.
    ///
    /// Of the pool only the options of its connections are taken. The store opens a few
    /// connections of its own, so that no load on the application's can starve the gate.
    pub async fn new(pool: &SqlitePool) -> Result<Self, StoreError> {
        Self::options_from(pool).connect().await
    }

    /// What [`connect`](Self::connect) does, with a choice.
    pub fn options(url: &str) -> SqliteStoreOptions {
        SqliteStoreOptions::from_url(url)
    }

    /// What [`new`](Self::new) does, with a choice.
    pub fn options_from(pool: &SqlitePool) -> SqliteStoreOptions {
        SqliteStoreOptions::from_pool(pool)
    }

    /// The tables and triggers as plain SQL, one text for each version of the schema, for those
    /// who keep migrations elsewhere and switch these off with
    /// [`migrate`](SqliteStoreOptions::migrate).
    ///
    /// Each text is to be run once, in order, in one transaction.
    pub fn migrations() -> impl Iterator<Item = &'static str> {
        schema::migrations()
    }

    fn now(&self) -> Timestamp {
        self.clock.wall()
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore")
            .field("file", &self.file.path())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl KeyStore for SqliteStore {
    async fn look_up(&self, digest: &KeyDigest, _source: Source) -> Result<LookUp, StoreError> {
        self.file.must_be_in_place()?;
        let (store, revision, found) = read::look_up(&self.reads, digest).await?;
        Ok(LookUp {
            store,
            revision,
            now: self.now(),
            primary: true,
            found,
        })
    }

    async fn sync(&self, since: Option<Position>) -> Result<SyncReport, StoreError> {
        self.file.must_be_in_place()?;
        read::sync(&self.syncs, since).await
    }

    fn nudges(&self) -> Box<dyn Nudges> {
        let listening = Arc::clone(&self.listening);
        Box::new(nudges::DataVersion::of(self.options.clone(), listening))
    }

    fn is_listening(&self) -> bool {
        self.listening.load(Ordering::Relaxed)
    }

    async fn get(&self, id: &KeyId) -> Result<Read<Option<KeyRecord>>, StoreError> {
        self.file.must_be_in_place()?;
        let value = read::get(&self.lists, id).await?;
        Ok(Read {
            now: self.now(),
            value,
        })
    }

    async fn list(&self, query: &ListQuery) -> Result<Read<Vec<KeyRecord>>, StoreError> {
        self.file.must_be_in_place()?;
        // By this moment keys are told apart that have ended, or not.
        let now = self.now();
        let value = read::list(&self.lists, query, now).await?;
        Ok(Read { now, value })
    }

    async fn transact(&self, subjects: Subjects, decide: Decide) -> Result<Transacted, StoreError> {
        self.file.must_be_in_place()?;
        transact::transact(&self.writes, &*self.clock, subjects, decide).await
    }

    async fn events(&self, query: &EventQuery) -> Result<Read<Vec<RecordedEvent>>, StoreError> {
        self.file.must_be_in_place()?;
        let value = trail::events(&self.lists, query).await?;
        Ok(Read {
            now: self.now(),
            value,
        })
    }

    async fn prune(&self, retention: &Retention) -> Result<Pruned, StoreError> {
        self.file.must_be_in_place()?;
        prune::prune(&self.writes, retention, self.now()).await
    }

    async fn touch(&self, uses: &[Use]) -> Result<(), StoreError> {
        self.file.must_be_in_place()?;
        touch::touch(&self.writes, uses).await
    }

    async fn digest_algorithm(&self, name: &str) -> Result<String, StoreError> {
        self.file.must_be_in_place()?;
        meta::digest_algorithm(&self.syncs, &self.writes, name).await
    }

    async fn cursor_key(&self) -> Result<[u8; 32], StoreError> {
        self.file.must_be_in_place()?;
        meta::cursor_key(&self.lists).await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn lists_and_writes_hold_up_neither_look_ups_nor_syncs() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("keys.db").display());
        let store = SqliteStore::connect(&url).await.unwrap();
        let _list = store.lists.acquire().await.unwrap();
        let _write = store.writes.acquire().await.unwrap();
        let digest = KeyDigest::from_bytes([1; 32]);
        let both = async {
            store.look_up(&digest, Source::Any).await.unwrap();
            store.sync(None).await.unwrap();
        };
        timeout(Duration::from_secs(1), both).await.unwrap();

        let mut look_ups = Vec::new();
        for _ in 0..store.reads.options().get_max_connections() {
            look_ups.push(store.reads.acquire().await.unwrap());
        }
        timeout(Duration::from_secs(1), store.sync(None))
            .await
            .expect("look-ups hold up no sync")
            .unwrap();
    }
}
