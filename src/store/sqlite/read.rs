//! Reads: one statement each, so that each is one snapshot, and nothing stays open when its
//! future is dropped.

use sqlx::pool::PoolConnection;
use sqlx::sqlite::SqliteRow;
use sqlx::{Sqlite, SqlitePool};

use super::failure::failed;
use super::meta::no_meta;
use super::row::{self, found_columns, key_columns, with_previous};
use crate::key::{Environment, KeyDigest, KeyId};
use crate::store::{
    FoundKey, KeyRecord, ListQuery, Position, Status, StoreError, StoreId, SyncReport,
};
use crate::timestamp::Timestamp;

/// One row, whether there is such a key or not: the revision belongs to "no such key" too.
const LOOK_UP: &str = concat!(
    "SELECT m.store_id, m.revision, ",
    found_columns!(),
    " FROM portcullis_meta m \
      LEFT JOIN portcullis_secrets s ON s.digest = ?1 \
      LEFT JOIN portcullis_keys k ON k.id = s.key_id",
    with_previous!()
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
    " FROM portcullis_keys k",
    with_previous!(),
    "WHERE k.id = ?1"
);

/// What a list asks of each key, beside its place. The status is [`KeyRecord::status`].
macro_rules! filters {
    () => {
        " AND (?4 IS NULL OR k.environment = ?4) \
          AND (?5 IS NULL OR k.expires_at < ?5) \
          AND (?6 IS NULL OR ?6 = CASE \
              WHEN k.revoked_at IS NOT NULL THEN 'revoked' \
              WHEN k.expires_at <= ?7 THEN 'expired' \
              WHEN k.enabled = 0 THEN 'disabled' \
              ELSE 'active' END) \
          ORDER BY k.created_at DESC, k.id DESC LIMIT ?3"
    };
}

const LIST: &str = concat!(
    "SELECT ",
    key_columns!(),
    " FROM portcullis_keys k",
    with_previous!(),
    "WHERE (k.created_at, k.id) < (?1, ?2)",
    filters!()
);

const LIST_OF_OWNER: &str = concat!(
    "SELECT ",
    key_columns!(),
    " FROM portcullis_keys k",
    with_previous!(),
    "WHERE k.owner = ?8 AND (k.created_at, k.id) < (?1, ?2)",
    filters!()
);

pub(super) async fn look_up(
    pool: &SqlitePool,
    digest: &KeyDigest,
) -> Result<(StoreId, u64, Option<FoundKey>), StoreError> {
    const CONTEXT: &str = "looking up a key";
    let mut connection = pool.acquire().await.map_err(failed(CONTEXT))?;
    let row = sqlx::query(LOOK_UP)
        .bind(row::blob(digest))
        .fetch_optional(&mut *connection)
        .await;
    let row = given_back(connection, row)
        .map_err(failed(CONTEXT))?
        .ok_or_else(no_meta)?;
    let store = StoreId(row::bytes(&row, "store_id")?);
    Ok((store, row::revision(&row)?, row::found(&row)?))
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
    now: Timestamp,
) -> Result<Vec<KeyRecord>, StoreError> {
    const CONTEXT: &str = "listing keys";
    let ListQuery {
        owner,
        after,
        limit,
        status,
        environment,
        expires_before,
    } = query;
    let (created_at, id) = match after {
        Some((created_at, id)) => (created_at.unix_micros(), id.as_str()),
        // Beyond any moment there is.
        None => (i64::MAX, ""),
    };
    let statement = match owner {
        Some(_) => LIST_OF_OWNER,
        None => LIST,
    };
    let mut select = sqlx::query(statement)
        .bind(created_at)
        .bind(id)
        .bind(i64::from(*limit))
        .bind(environment.as_ref().map(Environment::as_str))
        .bind(expires_before.map(Timestamp::unix_micros))
        .bind(status.map(Status::as_str))
        .bind(now.unix_micros());
    if let Some(owner) = owner {
        select = select.bind(owner.as_str());
    }
    let mut connection = pool.acquire().await.map_err(failed(CONTEXT))?;
    let rows = select.fetch_all(&mut *connection).await;
    let rows: Vec<SqliteRow> = given_back(connection, rows).map_err(failed(CONTEXT))?;
    rows.iter().map(row::record).collect()
}

/// A connection whose read failed is not used again: it may hold on to pages of a file that was
/// cut or overwritten for a moment, and would then go on failing when the file is whole again.
pub(super) fn given_back<T>(
    mut connection: PoolConnection<Sqlite>,
    read: Result<T, sqlx::Error>,
) -> Result<T, sqlx::Error> {
    if read.is_err() {
        connection.close_on_drop();
    }
    read
}

#[cfg(test)]
mod tests {
    use sqlx::{Row as _, SqlitePool};

    use super::*;
    use crate::store::SqliteStore;

    #[tokio::test]
    async fn no_list_is_sorted_by_hand() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("keys.db").display());
        SqliteStore::connect(&url).await.unwrap();
        let pool = SqlitePool::connect(&url).await.unwrap();
        for (list, index) in [
            (
                LIST,
                "USING INDEX portcullis_keys_newest ((created_at,id)<(?,?))",
            ),
            (
                LIST_OF_OWNER,
                "USING INDEX portcullis_keys_newest_of_owner (owner=? AND (created_at,id)<(?,?))",
            ),
        ] {
            let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {list}"));
            let plan: Vec<String> = sqlx::query(explain)
                .fetch_all(&pool)
                .await
                .unwrap()
                .iter()
                .map(|row| row.get("detail"))
                .collect();
            assert!(plan[0].contains(index), "{plan:?}");
            assert!(!plan.iter().any(|step| step.contains("B-TREE")), "{plan:?}");
        }
    }
}
