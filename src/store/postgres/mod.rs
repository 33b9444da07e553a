//! The store for many replicas: keys in a PostgreSQL database.
//!
//! How it is opened is in `connect`, the tables and the triggers that number every change in
//! `schema`, what is read in `read` and `row`, what is written in `writing`, `subjects`, `transact`,
//! `change`, `revoke_all`, `trail`, `prune` and `touch`. Changes are heard of, and asked for, on the one connection of `link`.
//! What becomes of a connection when an answer does not come is in `connections` and `guard`.

mod change;
mod connect;
mod connections;
mod failure;
mod guard;
mod link;
mod meta;
mod nudges;
mod prune;
mod read;
mod replica;
mod revoke_all;
mod row;
mod schema;
mod subjects;
mod touch;
mod trail;
mod transact;
mod writing;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::PgPool;

pub use connect::PostgresStoreOptions;

use self::connections::Connections;
use self::guard::{on_its_own, within};
use self::link::Link;
use self::read::Form;
use self::replica::Replica;

use super::contract::{
    KeyStore, ListQuery, LookUp, Nudges, Position, Read, Source, SyncReport, Use,
};
use super::decision::{Decide, Subjects, Transacted};
use super::error::StoreError;
use super::event::{EventQuery, Pruned, RecordedEvent, Retention};
use super::record::KeyRecord;
use crate::key::{KeyDigest, KeyId};

/// How long anything may take that is not a write. Whoever asks is seldom as patient.
const PATIENCE: Duration = Duration::from_secs(5);

/// Keys in a PostgreSQL database (14 or newer), shared by all processes that open it. Clones share
/// their connections.
///
/// # What is acknowledged
///
/// A write is acknowledged once it is committed with `synchronous_commit` at least `on`, whatever the
/// server does by default: it survives a crash of the server. Where the answer to a COMMIT is lost, the
/// write [may have happened or not](crate::store::StoreErrorKind::OutcomeUnknown), and that is what
/// is said.
///
/// **A failover keeps what the standby had.** A standby that is promoted before it received a commit
/// has lost it, a revocation as well; only `synchronous_standby_names` keeps that from happening. A
/// keyring notices that its history is not the store's any more, forgets all it knew, and goes on
/// refusing the keys that it has seen revoked. Two servers that both take writes are beyond help.
///
/// # What is in the database
///
/// A schema called `portcullis`, and nothing outside of it. Triggers number every change, so that SQL
/// typed by hand counts like everything else, also `TRUNCATE` and `COPY`, and reaches all replicas
/// by a notification within milliseconds. To end a key in an emergency:
///
/// ```sql
/// UPDATE portcullis.keys SET revoked_at = now() WHERE id = 'key_...';
/// ```
///
/// A transaction that was begun by hand holds up only changes of the keys that it has changed. A
/// dump and its restore keep everything, the history included.
///
/// A secret that was deleted does not come back, not even by hand: `portcullis.digests` has the digest
/// of each that a key ever had. Whoever deleted one by mistake, and is sure that nobody else has learned it,
/// deletes the digest there before putting the secret back.
///
/// Connecting brings the tables up to date, for which the role has to be allowed to create a schema.
/// Where it is not, run [`migrations`](Self::migrations) as somebody else and grant it
/// `USAGE` on the schema, and `SELECT`, `INSERT`, `UPDATE` and `DELETE` on its tables.
///
/// # Connections
///
/// Its own, 8 at most: 4 for look-ups, 1 for what people read in the admin API, 2 for writes, and the one that
/// hears of changes and asks for them. They are opened when they are needed. The URL has to lead to
/// Postgres itself, or to a pooler in session mode; look-ups alone may
/// [go through any](PostgresStoreOptions::look_ups_through_a_pooler), or to
/// [a read replica](PostgresStoreOptions::look_ups_at). A connection on which an answer did not come
/// in time is closed. Behind a name that leads elsewhere after a failover, the next one finds the way.
///
/// **TLS** is the application's choice: without any, `sqlx` connects in the clear unless the URL says
/// `sslmode=require` or more, with which it then fails. Add `sqlx` to your own dependencies with the feature
/// `tls-rustls` or `tls-native-tls`, and `sslmode=verify-full` to the URL.
///
/// ```no_run
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use portcullis::Keyring;
/// use portcullis::store::PostgresStore;
///
/// let store = PostgresStore::connect("postgres://app:secret@db.internal/app").await?;
/// let keyring = Keyring::builder(store).prefix("acme").build()?;
/// assert!(keyring.ready().await.is_ok());
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct PostgresStore {
    /// To be shown.
    server: Arc<str>,
    /// Syncs, and nothing else: were they to queue with anything, a load could end the lease.
    link: Link,
    /// For look-ups alone.
    look_ups: Connections,
    /// Where they go first, if that is somewhere else.
    replica: Option<Replica>,
    /// For what people ask of the admin API, which nothing waits for that a request through the
    /// gate needs.
    lists: Connections,
    writes: Connections,
}

impl PostgresStore {
    /// Opens `postgres://user:password@host/database`, and brings the tables up to date.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        Self::options(url).connect().await
    }

    /// Opens the database of the application's pool, and brings the tables up to date.
    ///
    /// Of the pool only the options of its connections are taken. The store opens a few
    /// connections of its own, so that no load on the application's can starve the gate.
    pub async fn new(pool: &PgPool) -> Result<Self, StoreError> {
        Self::options_from(pool).connect().await
    }

    /// What [`connect`](Self::connect) does, with a choice.
    pub fn options(url: &str) -> PostgresStoreOptions {
        PostgresStoreOptions::from_url(url)
    }

    /// What [`new`](Self::new) does, with a choice.
    pub fn options_from(pool: &PgPool) -> PostgresStoreOptions {
        PostgresStoreOptions::from_pool(pool)
    }

    /// The tables and triggers as plain SQL, one text for each version of the schema, for those
    /// who keep migrations elsewhere and switch these off with
    /// [`migrate`](PostgresStoreOptions::migrate).
    ///
    /// Each text is to be run once, in order, in one transaction.
    pub fn migrations() -> impl Iterator<Item = &'static str> {
        schema::migrations()
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl KeyStore for PostgresStore {
    async fn look_up(&self, digest: &KeyDigest, source: Source) -> Result<LookUp, StoreError> {
        let (look_ups, digest) = (self.look_ups.clone(), *digest);
        let replica = match source {
            Source::Any => self.replica.clone(),
            Source::Primary => None,
        };
        let work = async move {
            if let Some(replica) = replica
                && let Some(look_up) = replica.look_up(digest).await
            {
                return Ok(look_up);
            }
            read::look_up(&look_ups, digest, Form::Prepared).await
        };
        on_its_own(within(PATIENCE, "looking up a key", work)).await
    }

    async fn sync(&self, since: Option<Position>) -> Result<SyncReport, StoreError> {
        self.link.sync(since).await
    }

    fn nudges(&self) -> Box<dyn Nudges> {
        Box::new(self.link.nudges())
    }

    fn is_listening(&self) -> bool {
        self.link.is_listening()
    }

    async fn get(&self, id: &KeyId) -> Result<Read<Option<KeyRecord>>, StoreError> {
        let (lists, id) = (self.lists.clone(), id.clone());
        let work = async move { read::get(&lists, id).await };
        on_its_own(within(PATIENCE, "reading a key", work)).await
    }

    async fn list(&self, query: &ListQuery) -> Result<Read<Vec<KeyRecord>>, StoreError> {
        let (lists, query) = (self.lists.clone(), query.clone());
        let work = async move { read::list(&lists, query).await };
        on_its_own(within(PATIENCE, "listing keys", work)).await
    }

    async fn transact(&self, subjects: Subjects, decide: Decide) -> Result<Transacted, StoreError> {
        let writes = self.writes.clone();
        on_its_own(async move { transact::transact(&writes, subjects, decide).await }).await
    }

    async fn events(&self, query: &EventQuery) -> Result<Read<Vec<RecordedEvent>>, StoreError> {
        let (lists, query) = (self.lists.clone(), query.clone());
        let work = async move { trail::events(&lists, query).await };
        on_its_own(within(PATIENCE, "reading the trail of keys", work)).await
    }

    async fn prune(&self, retention: &Retention) -> Result<Pruned, StoreError> {
        let (writes, retention) = (self.writes.clone(), *retention);
        let work = async move { prune::prune(&writes, retention).await };
        on_its_own(within(PATIENCE, "deleting what was kept long enough", work)).await
    }

    async fn touch(&self, uses: &[Use]) -> Result<(), StoreError> {
        let (writes, uses) = (self.writes.clone(), uses.to_vec());
        let work = async move { touch::touch(&writes, uses).await };
        on_its_own(within(PATIENCE, "writing down the last use of a key", work)).await
    }

    async fn digest_algorithm(&self, name: &str) -> Result<String, StoreError> {
        let (reads, writes) = (self.look_ups.clone(), self.writes.clone());
        let name = name.to_owned();
        let work = async move { meta::digest_algorithm(&reads, &writes, &name).await };
        on_its_own(within(PATIENCE, "agreeing on the digest algorithm", work)).await
    }

    async fn cursor_key(&self) -> Result<[u8; 32], StoreError> {
        let lists = self.lists.clone();
        let work = async move { meta::cursor_key(&lists).await };
        on_its_own(within(PATIENCE, "reading the key of cursors", work)).await
    }
}
