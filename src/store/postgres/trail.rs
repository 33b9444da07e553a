//! The trail of keys: added to with each change, and read.

use sqlx::PgConnection;

use super::connections::Connections;
use super::failure::failed;
use super::meta::no_meta;
use super::row::{self, sent, to_sql};
use crate::key::KeyId;
use crate::store::{Event, EventQuery, Read, RecordedEvent, StoreError};

const ADD: &str = "\
    INSERT INTO portcullis.events (key_id, done_at, done_by, what, detail) \
    VALUES ($1, $2, $3, $4, $5::json)";

/// One row, so that it brings the clock also where nothing is told.
macro_rules! events {
    ($filter:literal) => {
        concat!(
            "SELECT ",
            sent!("clock_timestamp()" AS "now"),
            ", e.seq, e.key_id, e.done_by, e.what, e.detail::text AS detail, ",
            sent!("e.done_at" AS "done_at"),
            " FROM (VALUES (true)) AS one LEFT JOIN LATERAL ( \
                  SELECT * FROM portcullis.events WHERE seq < $1",
            $filter,
            " ORDER BY seq DESC LIMIT $2 \
              ) e ON true ORDER BY e.seq DESC"
        )
    };
}

pub(super) async fn add(
    connection: &mut PgConnection,
    key: &KeyId,
    event: &Event,
) -> Result<(), StoreError> {
    sqlx::query(ADD)
        .bind(key.as_str())
        .bind(to_sql(event.at))
        .bind(event.by.to_string())
        .bind(event.what.as_str())
        .bind(event.detail.to_json())
        .execute(connection)
        .await
        .map_err(failed("adding to the trail of a key"))?;
    Ok(())
}

pub(super) async fn events(
    lists: &Connections,
    query: EventQuery,
) -> Result<Read<Vec<RecordedEvent>>, StoreError> {
    let EventQuery { key, before, limit } = query;
    let statement = match key {
        Some(_) => events!(" AND key_id = $3"),
        None => events!(""),
    };
    // No number is beyond what Postgres can count.
    let before = before.and_then(|before| i64::try_from(before).ok());
    let select = || {
        let select = sqlx::query(statement)
            // Planned each time, for what it asks: a plan for any limit may read all there is.
            .persistent(false)
            .bind(before.unwrap_or(i64::MAX))
            .bind(i64::from(limit));
        match &key {
            Some(key) => select.bind(key.as_str().to_owned()),
            None => select,
        }
    };
    let rows = lists.rows(select).await;
    let rows = rows.map_err(failed("reading the trail of keys"))?;
    let first = rows.first().ok_or_else(no_meta)?;
    let mut told = Vec::new();
    for row in &rows {
        if row::column::<Option<i64>>(row, "seq")?.is_some() {
            told.push(row::event(row)?);
        }
    }
    Ok(Read {
        now: row::moment(first, "now")?,
        value: told,
    })
}
