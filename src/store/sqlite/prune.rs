//! Deleting what has been kept long enough.

use std::time::Duration;

use sqlx::{SqliteConnection, SqlitePool};

use super::failure::{committing, failed};
use super::writing::{begin, connection, given_back};
use crate::store::{MOST_PRUNED, Pruned, Retention, StoreError};
use crate::timestamp::Timestamp;

/// Those that made no key that is there. Each way to be dead has its index, and so has what a key
/// made.
const DEAD_KEYS: &str = "\
    DELETE FROM portcullis_keys WHERE id IN ( \
        SELECT dead.id FROM ( \
            SELECT id FROM portcullis_keys WHERE revoked_at < ?1 \
            UNION ALL \
            SELECT id FROM portcullis_keys \
            WHERE expires_at < ?1 AND (revoked_at IS NULL OR revoked_at >= ?1) \
        ) AS dead \
        WHERE NOT EXISTS ( \
            SELECT 1 FROM portcullis_keys m WHERE m.created_by = 'key:' || dead.id) \
        LIMIT ?2)";

const EVENTS: &str = "\
    DELETE FROM portcullis_events WHERE seq IN ( \
        SELECT seq FROM portcullis_events WHERE done_at < ?1 ORDER BY done_at LIMIT ?2)";

pub(super) async fn prune(
    writes: &SqlitePool,
    retention: &Retention,
    now: Timestamp,
) -> Result<Pruned, StoreError> {
    let mut connection = connection(writes).await?;
    let result = prune_on(&mut connection, retention, now).await;
    given_back(connection, result)
}

async fn prune_on(
    connection: &mut SqliteConnection,
    retention: &Retention,
    now: Timestamp,
) -> Result<Pruned, StoreError> {
    let Retention { dead_keys, events } = retention;
    let mut transaction = begin(connection).await?;
    let keys = delete(&mut transaction, DEAD_KEYS, *dead_keys, now).await?;
    let events = delete(&mut transaction, EVENTS, *events, now).await?;
    transaction.commit().await.map_err(committing)?;
    let most = u64::from(MOST_PRUNED);
    Ok(Pruned {
        keys,
        events,
        more: keys >= most || events >= most,
    })
}

async fn delete(
    connection: &mut SqliteConnection,
    statement: &'static str,
    kept: Option<Duration>,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let Some(before) = kept.and_then(|kept| now.checked_sub(kept)) else {
        return Ok(0);
    };
    let deleted = sqlx::query(statement)
        .bind(before.unix_micros())
        .bind(MOST_PRUNED)
        .execute(connection)
        .await
        .map_err(failed("deleting what was kept long enough"))?;
    Ok(deleted.rows_affected())
}

#[cfg(test)]
mod tests {
    use sqlx::Row as _;

    use super::*;
    use crate::store::SqliteStore;

    #[tokio::test]
    async fn no_table_is_read_in_full() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("keys.db").display());
        SqliteStore::connect(&url).await.unwrap();
        let pool = SqlitePool::connect(&url).await.unwrap();
        for statement in [DEAD_KEYS, EVENTS] {
            let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {statement}"));
            let plan = sqlx::query(explain).fetch_all(&pool).await.unwrap();
            let steps: Vec<String> = plan.iter().map(|row| row.get("detail")).collect();
            let scans = steps.iter().filter(|step| step.starts_with("SCAN"));
            let scans: Vec<_> = scans.filter(|step| *step != "SCAN dead").collect();
            assert!(scans.is_empty(), "{steps:?}");
        }
    }
}
