//! The one connection for writing, and transactions that hold the lock from their first statement
//! on.

use sqlx::pool::PoolConnection;
use sqlx::{Connection as _, Sqlite, SqliteConnection, SqlitePool, Transaction};

use super::failure::failed;
use crate::store::StoreError;

pub(super) async fn connection(writes: &SqlitePool) -> Result<PoolConnection<Sqlite>, StoreError> {
    writes
        .acquire()
        .await
        .map_err(failed("waiting for the connection for writing"))
}

/// Dropped on the way, whether by an error, a panic or its caller, it is rolled back.
pub(super) async fn begin(
    connection: &mut SqliteConnection,
) -> Result<Transaction<'_, Sqlite>, StoreError> {
    connection
        .begin_with("BEGIN IMMEDIATE")
        .await
        .map_err(failed("waiting for other writes to end"))
}

/// What has become of a connection that was written on.
pub(super) fn given_back<T>(
    mut connection: PoolConnection<Sqlite>,
    result: Result<T, StoreError>,
) -> Result<T, StoreError> {
    if result.is_err() {
        // SQLite ends a transaction by itself on a full disk and the like. sqlx does not notice,
        // and would take the next BEGIN for one inside another.
        connection.close_on_drop();
    }
    result
}
