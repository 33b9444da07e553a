//! Reads: one statement each, so that each is one snapshot, and nothing stays open when its
//! future is dropped.

use sqlx::pool::PoolConnection;
use sqlx::sqlite::SqliteRow;
use sqlx::{Sqlite, SqlitePool};

use super::failure::failed;
use super::row::{self, found_columns, key_columns};
use crate::key::{KeyDigest, KeyId};
use crate::store::{
    FoundKey, KeyRecord, ListQuery, Position, StoreError, StoreErrorKind, StoreId, SyncReport,
};

/// One row, whether there is such a key or not: the revision belongs to "no such key" too.
const LOOK_UP: &str = concat!(
    "SELECT m.revision, ",
    found_columns!(),
    " FROM portcullis_meta m \
      LEFT JOIN portcullis_secrets s ON s.digest = ?1 \
      LEFT JOIN portcullis_keys k ON k.id = s.key_id"
);

/// One row for each change, or one without a change.
const SYNC: &str = "\
    SELECT m.store_id, m.revision, m.nonce, t.nonce AS nonce_then, \
           c.revision AS change_revision, c.shard, c.kind \
    FROM portcullis_meta m \
    LEFT JOIN portcullis_changes t ON t.revision = coalesce(?1, m.revision) \
    LEFT JOIN portcullis_changes c ON c.revision > coalesce(?1, m.revision)";

const GET: &str = concat!(
    "SELECT ",
    key_columns!(),
    " FROM portcullis_keys k WHERE k.id = ?1"
);

const LIST: &str = concat!(
    "SELECT ",
    key_columns!(),
    " FROM portcullis_keys k \
      WHERE (k.created_at, k.id) < (?1, ?2) \
      ORDER BY k.created_at DESC, k.id DESC LIMIT ?3"
);

const LIST_OF_OWNER: &str = concat!(
    "SELECT ",
    key_columns!(),
    " FROM portcullis_keys k \
      WHERE k.owner = ?4 AND (k.created_at, k.id) < (?1, ?2) \
      ORDER BY k.created_at DESC, k.id DESC LIMIT ?3"
);

pub(super) async fn look_up(
    pool: &SqlitePool,
    digest: &KeyDigest,
) -> Result<(u64, Option<FoundKey>), StoreError> {
    const CONTEXT: &str = "looking up a key";
    let mut connection = pool.acquire().await.map_err(failed(CONTEXT))?;
    let row = sqlx::query(LOOK_UP)
        .bind(row::blob(digest))
        .fetch_optional(&mut *connection)
        .await;
    let row = given_back(connection, row)
        .map_err(failed(CONTEXT))?
        .ok_or_else(no_meta)?;
    Ok((row::revision(&row)?, row::found(&row)?))
}

pub(super) async fn sync(
    pool: &SqlitePool,
    since: Option<Position>,
) -> Result<SyncReport, StoreError> {
    const CONTEXT: &str = "reading the change rows";
    // No revision is beyond what SQLite can count.
    let then = since.map(|since| i64::try_from(since.revision).unwrap_or(i64::MAX));
    let mut connection = pool.acquire().await.map_err(failed(CONTEXT))?;
    let rows = sqlx::query(SYNC)
        .bind(then)
        .fetch_all(&mut *connection)
        .await;
    let rows = given_back(connection, rows).map_err(failed(CONTEXT))?;
    let first = rows.first().ok_or_else(no_meta)?;
    Ok(SyncReport {
        position: Position {
            store: StoreId(row::bytes(first, "store_id")?),
            revision: row::revision(first)?,
            nonce: row::column(first, "nonce")?,
        },
        nonce_then: row::column(first, "nonce_then")?,
        changes: rows
            .iter()
            .filter_map(|row| row::change(row).transpose())
            .collect::<Result<_, _>>()?,
    })
}

pub(super) async fn get(pool: &SqlitePool, id: &KeyId) -> Result<Option<KeyRecord>, StoreError> {
    const CONTEXT: &str = "reading a key";
    let mut connection = pool.acquire().await.map_err(failed(CONTEXT))?;
    let row = sqlx::query(GET)
        .bind(id.as_str())
        .fetch_optional(&mut *connection)
        .await;
    given_back(connection, row)
        .map_err(failed(CONTEXT))?
        .as_ref()
        .map(row::record)
        .transpose()
}

pub(super) async fn list(
    pool: &SqlitePool,
    query: &ListQuery,
) -> Result<Vec<KeyRecord>, StoreError> {
    const CONTEXT: &str = "listing keys";
    let (created_at, id) = match &query.after {
        Some((created_at, id)) => (created_at.unix_micros(), id.as_str()),
        // Beyond any moment there is.
        None => (i64::MAX, ""),
    };
    let statement = match query.owner {
        Some(_) => LIST_OF_OWNER,
        None => LIST,
    };
    let mut select = sqlx::query(statement)
        .bind(created_at)
        .bind(id)
        .bind(i64::from(query.limit));
    if let Some(owner) = &query.owner {
        select = select.bind(owner.as_str());
    }
    let mut connection = pool.acquire().await.map_err(failed(CONTEXT))?;
    let rows = select.fetch_all(&mut *connection).await;
    let rows: Vec<SqliteRow> = given_back(connection, rows).map_err(failed(CONTEXT))?;
    rows.iter().map(row::record).collect()
}

pub(super) async fn cursor_key(pool: &SqlitePool) -> Result<[u8; 32], StoreError> {
    const CONTEXT: &str = "reading the key of cursors";
    let mut connection = pool.acquire().await.map_err(failed(CONTEXT))?;
    let row = sqlx::query("SELECT cursor_key FROM portcullis_meta")
        .fetch_optional(&mut *connection)
        .await;
    let row = given_back(connection, row)
        .map_err(failed(CONTEXT))?
        .ok_or_else(no_meta)?;
    row::bytes(&row, "cursor_key")
}

/// A connection whose read failed is not used again: it may hold on to pages of a file that was
/// cut or overwritten for a moment, and would then go on failing when the file is whole again.
fn given_back<T>(
    mut connection: PoolConnection<Sqlite>,
    read: Result<T, sqlx::Error>,
) -> Result<T, sqlx::Error> {
    if read.is_err() {
        connection.close_on_drop();
    }
    read
}

pub(super) fn no_meta() -> StoreError {
    StoreError::new(StoreErrorKind::Corrupt, "portcullis_meta has lost its row")
}
