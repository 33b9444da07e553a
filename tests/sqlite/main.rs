//! What only SQLite has: a file, processes that share it, and people who type SQL into it.

mod by_hand;
mod digests;
mod durability;
mod failures;
mod opening;
mod stop;

use std::collections::BTreeSet;
use std::path::PathBuf;

use portcullis::key::{KeyDigest, KeyHint, KeyId};
use portcullis::scope::ScopeSet;
use portcullis::store::{
    Decide, Decision, Event, EventKind, Falsifies, KeyName, KeyRecord, KeyStore, Metadata, Outcome,
    Owner, Position, Previous, Provenance, SqliteStore, StoreError, Subjects, Transacted, Where,
};
use portcullis::timestamp::Timestamp;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, SqliteConnection};
use tempfile::TempDir;

/// A folder that goes with the test, and the name of a database in it.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("keys.db")
    }

    fn url(&self) -> String {
        format!("sqlite://{}", self.file().display())
    }

    async fn store(&self) -> SqliteStore {
        SqliteStore::connect(&self.url()).await.unwrap()
    }

    /// What somebody with a command line tool has, with foreign keys off as by default there.
    async fn hand(&self) -> Hand {
        let options = SqliteConnectOptions::new()
            .filename(self.file())
            .create_if_missing(true)
            .foreign_keys(false);
        Hand(options.connect().await.unwrap())
    }
}

struct Hand(SqliteConnection);

impl Hand {
    async fn types(&mut self, sql: &str) -> Result<(), sqlx::Error> {
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&mut self.0)
            .await?;
        Ok(())
    }

    async fn reads(&mut self, sql: &str) -> i64 {
        let read = sqlx::query_scalar(AssertSqlSafe(sql));
        read.fetch_one(&mut self.0).await.unwrap()
    }
}

fn id(number: u8) -> KeyId {
    format!("key_{number:022}").parse().unwrap()
}

/// Number 7 is `X'070707…'`, in shard `0x0707`.
fn digest(number: u8) -> KeyDigest {
    KeyDigest::from_bytes([number; 32])
}

/// A line for the trail.
fn event() -> Event {
    Event::new(
        EventKind::Changed,
        Provenance::System,
        Timestamp::UNIX_EPOCH,
    )
}

fn record(number: u8) -> KeyRecord {
    KeyRecord {
        id: id(number),
        name: KeyName::parse("sample").unwrap(),
        owner: Owner::parse("somebody").unwrap(),
        environment: "live".parse().unwrap(),
        hint: KeyHint::from_stored("acme_live_3Jd4").unwrap(),
        scopes: ScopeSet::from_stored("reports:read").unwrap(),
        roles: portcullis::scope::RoleSet::empty(),
        resources: None,
        allowed_ips: None,
        enabled: true,
        created_at: Timestamp::UNIX_EPOCH,
        created_by: Provenance::System,
        expires_at: None,
        revoked: None,
        metadata: Metadata::default(),
        last_used_at: None,
        previous: None,
    }
}

async fn insert(store: &SqliteStore, record: KeyRecord, number: u8) -> Result<u64, StoreError> {
    let digest = digest(number);
    let decide: Decide = Box::new(move |_| Decision::Insert {
        record: record.clone(),
        digest,
        replay: None,
        event: event(),
    });
    let transacted = store.transact(Subjects::default(), decide).await?;
    Ok(committed(&transacted).0)
}

async fn add(store: &SqliteStore, number: u8) -> u64 {
    insert(store, record(number), number).await.unwrap()
}

async fn disable(store: &SqliteStore, number: u8) -> Result<Transacted, StoreError> {
    let decide: Decide = Box::new(|rows| Decision::Update {
        record: KeyRecord {
            enabled: false,
            ..rows.target.clone().unwrap()
        },
        event: event(),
    });
    store.transact(on(number), decide).await
}

fn on(number: u8) -> Subjects {
    Subjects {
        target: Some(id(number)),
        ..Subjects::default()
    }
}

/// Gives key 1 the digest of this number. The old secret ends at this moment.
async fn rotate(store: &SqliteStore, to: u8, end: Timestamp) -> Result<Transacted, StoreError> {
    let decide: Decide = Box::new(move |rows| {
        let mut record = rows.target.clone().unwrap();
        record.previous = Some(Previous {
            hint: record.hint.clone(),
            expires_at: end,
            last_used_at: None,
        });
        Decision::Rotate {
            record,
            digest: digest(to),
            event: event(),
        }
    });
    store.transact(on(1), decide).await
}

type Shards = BTreeSet<(Option<u16>, bool)>;

fn shard(place: Where) -> Option<u16> {
    match place {
        Where::Shard(shard) => Some(shard),
        Where::Anywhere => None,
    }
}

/// The revision, and which shards it touched: whether everything in them or absence alone.
fn committed(transacted: &Transacted) -> (u64, Shards) {
    let Outcome::Committed { touched, .. } = &transacted.outcome else {
        panic!("a write was not committed");
    };
    let touched = touched
        .iter()
        .map(|touched| {
            let everything = touched.falsifies == Falsifies::Everything;
            (shard(touched.place), everything)
        })
        .collect();
    (transacted.revision, touched)
}

/// Which shards have been touched since.
async fn touched_since(store: &SqliteStore, since: Position) -> Shards {
    let report = store.sync(Some(since)).await.unwrap();
    assert_eq!(report.nonce_then, Some(since.nonce));
    let newest = report.changes.iter().map(|change| change.revision).max();
    assert_eq!(newest.unwrap_or(since.revision), report.position.revision);
    report
        .changes
        .iter()
        .map(|change| {
            let everything = change.touched.falsifies == Falsifies::Everything;
            (shard(change.touched.place), everything)
        })
        .collect()
}

async fn position(store: &SqliteStore) -> Position {
    store.sync(None).await.unwrap().position
}
