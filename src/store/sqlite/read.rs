//! Reads: one statement each, so that each is one snapshot, and nothing stays open when its
//! future is dropped.

use sqlx::SqlitePool;
use sqlx::sqlite::SqliteRow;

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
    let row = sqlx::query(LOOK_UP)
        .bind(row::blob(digest))
        .fetch_optional(pool)
        .await
        .map_err(failed("looking up a key"))?
        .ok_or_else(no_meta)?;
    Ok((row::revision(&row)?, row::found(&row)?))
}

pub(super) async fn sync(
    pool: &SqlitePool,
    since: Option<Position>,
) -> Result<SyncReport, StoreError> {
    // No revision is beyond what SQLite can count.
    let then = since.map(|since| i64::try_from(since.revision).unwrap_or(i64::MAX));
    let rows = sqlx::query(SYNC)
        .bind(then)
        .fetch_all(pool)
        .await
        .map_err(failed("reading the change rows"))?;
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
    sqlx::query(GET)
        .bind(id.as_str())
        .fetch_optional(pool)
        .await
        .map_err(failed("reading a key"))?
        .as_ref()
        .map(row::record)
        .transpose()
}

pub(super) async fn list(
    pool: &SqlitePool,
    query: &ListQuery,
) -> Result<Vec<KeyRecord>, StoreError> {
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
    let rows: Vec<SqliteRow> = select
        .fetch_all(pool)
        .await
        .map_err(failed("listing keys"))?;
    rows.iter().map(row::record).collect()
}

pub(super) async fn cursor_key(pool: &SqlitePool) -> Result<[u8; 32], StoreError> {
    let row = sqlx::query("SELECT cursor_key FROM portcullis_meta")
        .fetch_optional(pool)
        .await
        .map_err(failed("reading the key of cursors"))?
        .ok_or_else(no_meta)?;
    row::bytes(&row, "cursor_key")
}

pub(super) fn no_meta() -> StoreError {
    StoreError::new(StoreErrorKind::Corrupt, "portcullis_meta has lost its row")
}
