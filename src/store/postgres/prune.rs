//! Deleting what has been kept long enough.

use std::time::Duration;

use sqlx::PgConnection;
use sqlx::postgres::types::PgInterval;

use super::connections::Connections;
use super::failure::failed;
use super::writing::{Company, Writing};
use crate::store::{MOST_PRUNED, Pruned, Retention, StoreError};

/// Those that made no key that is there. Each way to be dead has its index; what somebody else has
/// locked at this moment waits for the next time, so that nobody waits for a batch.
const DEAD_KEYS: &str = "\
    DELETE FROM portcullis.keys WHERE id IN ( \
        SELECT k.id FROM portcullis.keys k \
        WHERE k.id IN ( \
            SELECT dead.id FROM ( \
                SELECT id FROM portcullis.keys WHERE revoked_at < clock_timestamp() - $1 \
                UNION \
                SELECT id FROM portcullis.keys WHERE expires_at < clock_timestamp() - $1 \
            ) AS dead \
            WHERE NOT EXISTS ( \
                SELECT FROM portcullis.keys m WHERE m.created_by = 'key:' || dead.id) \
            LIMIT $2) \
        ORDER BY k.id FOR UPDATE SKIP LOCKED)";

const EVENTS: &str = "\
    DELETE FROM portcullis.events WHERE seq IN ( \
        SELECT seq FROM portcullis.events WHERE done_at < clock_timestamp() - $1 \
        ORDER BY done_at LIMIT $2 FOR UPDATE SKIP LOCKED)";

pub(super) async fn prune(
    writes: &Connections,
    retention: Retention,
) -> Result<Pruned, StoreError> {
    let Retention { dead_keys, events } = retention;
    let writing = Writing::begin(writes, Company::Together).await?;
    let work = async |connection: &mut PgConnection| {
        let keys = delete(connection, DEAD_KEYS, dead_keys).await?;
        let events = delete(connection, EVENTS, events).await?;
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
    kept: Option<Duration>,
) -> Result<u64, StoreError> {
    let Some(kept) = kept.and_then(interval) else {
        return Ok(0);
    };
    let deleted = sqlx::query(statement)
        .bind(kept)
        .bind(i64::from(MOST_PRUNED))
        .execute(connection)
        .await
        .map_err(failed("deleting what was kept long enough"))?;
    Ok(deleted.rows_affected())
}

/// `None` if it is longer than there is anything to keep.
fn interval(kept: Duration) -> Option<PgInterval> {
    const LONGEST: Duration = Duration::from_hours(24 * 366 * 2_000);
    let microseconds = i64::try_from(kept.as_micros()).ok()?;
    (kept <= LONGEST).then_some(PgInterval {
        months: 0,
        days: 0,
        microseconds,
    })
}
