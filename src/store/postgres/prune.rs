//! Deleting what has been kept long enough.

use std::time::Duration;

use sqlx::PgConnection;

use super::connections::Connections;
use super::failure::failed;
use super::meta::Meta;
use super::row;
use super::writing::{Company, Writing};
use crate::store::{MOST_PRUNED, Pruned, Retention, StoreError};
use crate::timestamp::Timestamp;

/// Those that made no key that is there. Each way to be dead has its index, and so has what a key
/// made; LIMIT and arrays keep Postgres from reading all keys instead, also before it knows anything
/// of them. What somebody else has locked at this moment waits for the next time, so that nobody
/// waits for a batch.
const DEAD_KEYS: &str = "\
    DELETE FROM portcullis.keys WHERE id = ANY (ARRAY( \
        SELECT id FROM portcullis.keys WHERE id = ANY (ARRAY( \
            SELECT dead.id FROM ( \
                SELECT id FROM portcullis.keys WHERE revoked_at < $1 \
                UNION ALL \
                SELECT id FROM portcullis.keys \
                WHERE expires_at < $1 AND (revoked_at IS NULL OR revoked_at >= $1) \
            ) AS dead \
            LEFT JOIN LATERAL ( \
                SELECT true AS there FROM portcullis.keys \
                WHERE created_by = 'key:' || dead.id LIMIT 1 \
            ) AS made ON true \
            WHERE made.there IS NULL LIMIT $2)) \
        ORDER BY id FOR UPDATE SKIP LOCKED))";

const EVENTS: &str = "\
    DELETE FROM portcullis.events WHERE seq = ANY (ARRAY( \
        SELECT seq FROM portcullis.events WHERE done_at < $1 \
        ORDER BY done_at LIMIT $2 FOR UPDATE SKIP LOCKED))";

pub(super) async fn prune(
    writes: &Connections,
    retention: Retention,
) -> Result<Pruned, StoreError> {
    let Retention { dead_keys, events } = retention;
    let writing = Writing::begin(writes, Company::Together).await?;
    let work = async |connection: &mut PgConnection| {
        let now = Meta::read(connection).await?.now;
        let before = |kept: Option<Duration>| kept.and_then(|kept| now.checked_sub(kept));
        let keys = delete(connection, DEAD_KEYS, before(dead_keys)).await?;
        let events = delete(connection, EVENTS, before(events)).await?;
        Ok((keys, events))
    };
    let (writing, (keys, events)) = writing.over(work).await?;
    writing.commit().await?;
    let most = u64::from(MOST_PRUNED);
    Ok(Pruned {
        keys,
        events,
        more: keys >= most || events >= most,
    })
}

async fn delete(
    connection: &mut PgConnection,
    statement: &'static str,
    before: Option<Timestamp>,
) -> Result<u64, StoreError> {
    let Some(before) = before else { return Ok(0) };
    let deleted = sqlx::query(statement)
        .bind(row::to_sql(before))
        .bind(i64::from(MOST_PRUNED))
        .execute(connection)
        .await
        .map_err(failed("deleting what was kept long enough"))?;
    Ok(deleted.rows_affected())
}
