//! The one row about the store itself.

use sqlx::PgConnection;
use sqlx::postgres::PgRow;

use super::connections::Connections;
use super::failure::failed;
use super::row::{self, sent};
use super::writing::{Company, Writing};
use crate::store::{StoreError, StoreErrorKind, StoreId};
use crate::timestamp::Timestamp;

/// The newest revision is looked up, not counted in this row: were it changed with each revision, a
/// long transaction elsewhere would leave a trail of dead versions for every look-up to walk.
const META: &str = concat!(
    "SELECT store_id, ever_had_a_key, \
            (SELECT max(revision) FROM portcullis.change_sets) AS revision, ",
    sent!("clock_timestamp()" AS "now"),
    " FROM portcullis.meta"
);

/// Takes the name unless there may be keys whose digests were made otherwise.
const TAKE_NAME: &str = "\
    UPDATE portcullis.meta SET digest_algorithm = $1 \
    WHERE NOT ever_had_a_key OR digest_algorithm IS NULL";

/// Where the store stands.
pub(super) struct Meta {
    pub(super) store: StoreId,
    pub(super) revision: u64,
    pub(super) ever_had_a_key: bool,
    pub(super) now: Timestamp,
}

impl Meta {
    pub(super) async fn read(connection: &mut PgConnection) -> Result<Self, StoreError> {
        let row = sqlx::query(META)
            .fetch_optional(connection)
            .await
            .map_err(failed("reading the newest revision"))?
            .ok_or_else(no_meta)?;
        Ok(Self {
            store: row::store(&row)?,
            revision: row::revision(&row)?,
            ever_had_a_key: row::column(&row, "ever_had_a_key")?,
            now: row::moment(&row, "now")?,
        })
    }
}

pub(super) async fn cursor_key(lists: &Connections) -> Result<[u8; 32], StoreError> {
    let statement = "SELECT cursor_key FROM portcullis.meta";
    let row = the_row(lists, statement, "reading the key of cursors").await?;
    row::bytes(&row, "cursor_key")
}

pub(super) async fn digest_algorithm(
    reads: &Connections,
    writes: &Connections,
    name: &str,
) -> Result<String, StoreError> {
    // Most of the time there is nothing to write, and no lock to wait for.
    let statement = "SELECT ever_had_a_key, digest_algorithm FROM portcullis.meta";
    let row = the_row(reads, statement, "reading the digest algorithm").await?;
    let theirs: Option<String> = row::column(&row, "digest_algorithm")?;
    let had_a_key: bool = row::column(&row, "ever_had_a_key")?;
    match theirs {
        Some(theirs) if had_a_key || theirs == name => Ok(theirs),
        _ => take_name(writes, name).await,
    }
}

/// Alone: or else another process could be about to make the first key.
async fn take_name(writes: &Connections, name: &str) -> Result<String, StoreError> {
    let mut writing = Writing::begin(writes, Company::Alone).await?;
    sqlx::query(TAKE_NAME)
        .bind(name)
        .execute(writing.connection())
        .await
        .map_err(failed("writing down the digest algorithm"))?;
    let row = sqlx::query("SELECT digest_algorithm FROM portcullis.meta")
        .fetch_optional(writing.connection())
        .await
        .map_err(failed("reading the digest algorithm"))?
        .ok_or_else(no_meta)?;
    let theirs = row::column(&row, "digest_algorithm")?;
    writing.commit().await?;
    Ok(theirs)
}

async fn the_row(
    connections: &Connections,
    statement: &'static str,
    context: &'static str,
) -> Result<PgRow, StoreError> {
    let rows = connections.rows(|| sqlx::query(statement)).await;
    let mut rows = rows.map_err(failed(context))?;
    rows.pop().ok_or_else(no_meta)
}

pub(super) fn no_meta() -> StoreError {
    StoreError::new(StoreErrorKind::Corrupt, "portcullis.meta has lost its row")
}
