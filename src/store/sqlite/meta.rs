//! The one row about the store itself.

use sqlx::sqlite::SqliteRow;
use sqlx::{SqliteConnection, SqlitePool};

use super::failure::{committing, failed};
use super::writing::{begin, connection, given_back};
use super::{read, row};
use crate::store::{StoreError, StoreErrorKind, StoreId};

/// Takes the name unless there may be keys whose digests were made otherwise.
const TAKE_NAME: &str = "\
    UPDATE portcullis_meta SET digest_algorithm = ?1 \
    WHERE ever_had_a_key = 0 OR digest_algorithm IS NULL";

/// Where the store stands.
pub(super) struct Meta {
    pub(super) store: StoreId,
    pub(super) revision: u64,
    pub(super) ever_had_a_key: bool,
}

impl Meta {
    pub(super) async fn read(connection: &mut SqliteConnection) -> Result<Self, StoreError> {
        let row = sqlx::query("SELECT store_id, revision, ever_had_a_key FROM portcullis_meta")
            .fetch_optional(connection)
            .await
            .map_err(failed("reading the newest revision"))?
            .ok_or_else(no_meta)?;
        Ok(Self {
            store: StoreId(row::bytes(&row, "store_id")?),
            revision: row::revision(&row)?,
            ever_had_a_key: row::column(&row, "ever_had_a_key")?,
        })
    }
}

pub(super) async fn cursor_key(pool: &SqlitePool) -> Result<[u8; 32], StoreError> {
    let statement = "SELECT cursor_key FROM portcullis_meta";
    let row = the_row(pool, statement, "reading the key of cursors").await?;
    row::bytes(&row, "cursor_key")
}

pub(super) async fn digest_algorithm(
    reads: &SqlitePool,
    writes: &SqlitePool,
    name: &str,
) -> Result<String, StoreError> {
    // Most of the time there is nothing to write, and no lock to wait for.
    let statement = "SELECT ever_had_a_key, digest_algorithm FROM portcullis_meta";
    let row = the_row(reads, statement, "reading the digest algorithm").await?;
    let theirs: Option<String> = row::column(&row, "digest_algorithm")?;
    let had_a_key: bool = row::column(&row, "ever_had_a_key")?;
    match theirs {
        Some(theirs) if had_a_key || theirs == name => Ok(theirs),
        _ => {
            let mut connection = connection(writes).await?;
            let result = take_name(&mut connection, name).await;
            given_back(connection, result)
        }
    }
}

async fn take_name(connection: &mut SqliteConnection, name: &str) -> Result<String, StoreError> {
    let mut transaction = begin(connection).await?;
    sqlx::query(TAKE_NAME)
        .bind(name)
        .execute(&mut *transaction)
        .await
        .map_err(failed("writing down the digest algorithm"))?;
    // Another process may have come first, and made a key.
    let row = sqlx::query("SELECT digest_algorithm FROM portcullis_meta")
        .fetch_optional(&mut *transaction)
        .await
        .map_err(failed("reading the digest algorithm"))?
        .ok_or_else(no_meta)?;
    let theirs = row::column(&row, "digest_algorithm")?;
    transaction.commit().await.map_err(committing)?;
    Ok(theirs)
}

async fn the_row(
    pool: &SqlitePool,
    statement: &'static str,
    context: &'static str,
) -> Result<SqliteRow, StoreError> {
    let mut connection = pool.acquire().await.map_err(failed(context))?;
    let row = sqlx::query(statement)
        .fetch_optional(&mut *connection)
        .await;
    read::given_back(connection, row)
        .map_err(failed(context))?
        .ok_or_else(no_meta)
}

pub(super) fn no_meta() -> StoreError {
    StoreError::new(StoreErrorKind::Corrupt, "portcullis_meta has lost its row")
}
