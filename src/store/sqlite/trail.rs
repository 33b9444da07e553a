//! The trail of keys: added to with each change, and read.

use sqlx::{SqliteConnection, SqlitePool};

use super::failure::failed;
use super::read::given_back;
use super::row;
use crate::key::KeyId;
use crate::store::{Event, EventQuery, RecordedEvent, StoreError};

const ADD: &str = "\
    INSERT INTO portcullis_events (key_id, done_at, done_by, what, detail) VALUES (?1, ?2, ?3, ?4, ?5)";

const EVENTS: &str = "\
    SELECT seq, key_id, done_at, done_by, what, detail FROM portcullis_events \
    WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2";

const EVENTS_OF_KEY: &str = "\
    SELECT seq, key_id, done_at, done_by, what, detail FROM portcullis_events \
    WHERE key_id = ?3 AND seq < ?1 ORDER BY seq DESC LIMIT ?2";

pub(super) async fn add(
    connection: &mut SqliteConnection,
    key: &KeyId,
    event: &Event,
) -> Result<(), StoreError> {
    sqlx::query(ADD)
        .bind(key.as_str())
        .bind(event.at.unix_micros())
        .bind(event.by.to_string())
        .bind(event.what.as_str())
        .bind(event.detail.to_json())
        .execute(connection)
        .await
        .map_err(failed("adding to the trail of a key"))?;
    Ok(())
}

pub(super) async fn events(
    pool: &SqlitePool,
    query: &EventQuery,
) -> Result<Vec<RecordedEvent>, StoreError> {
    const CONTEXT: &str = "reading the trail of keys";
    let EventQuery { key, before, limit } = query;
    let statement = match key {
        Some(_) => EVENTS_OF_KEY,
        None => EVENTS,
    };
    // No number is beyond what SQLite can count.
    let before = before.and_then(|before| i64::try_from(before).ok());
    let mut select = sqlx::query(statement)
        .bind(before.unwrap_or(i64::MAX))
        .bind(i64::from(*limit));
    if let Some(key) = key {
        select = select.bind(key.as_str());
    }
    let mut connection = pool.acquire().await.map_err(failed(CONTEXT))?;
    let rows = select.fetch_all(&mut *connection).await;
    let rows = given_back(connection, rows).map_err(failed(CONTEXT))?;
    rows.iter().map(row::event).collect()
}
