//! The tables, their versions, and the way from one to the next.

use sqlx::{Connection as _, SqliteConnection};

use super::failure::{committing, failed};
use crate::store::{StoreError, StoreErrorKind};

/// By the version that each leads to, and writes into `portcullis_migrations`. What has been
/// released is never changed.
const MIGRATIONS: [(i64, &str); 1] = [(1, include_str!("migrations/0001_keys.sql"))];

const NEWEST: i64 = MIGRATIONS[MIGRATIONS.len() - 1].0;

pub(super) fn migrations() -> impl Iterator<Item = &'static str> {
    MIGRATIONS.into_iter().map(|(_, sql)| sql)
}

pub(super) async fn migrate(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    // Most of the time there is nothing to do, and no lock to wait for.
    if version(connection).await? == NEWEST {
        return Ok(());
    }
    let mut transaction = connection
        .begin_with("BEGIN IMMEDIATE")
        .await
        .map_err(failed("waiting to migrate the tables"))?;
    // Again, now that no other process can be at it.
    let done = version(&mut transaction).await?;
    for (_, sql) in MIGRATIONS
        .into_iter()
        .filter(|(version, _)| *version > done)
    {
        sqlx::raw_sql(sql)
            .execute(&mut *transaction)
            .await
            .map_err(failed("migrating the tables"))?;
    }
    transaction.commit().await.map_err(committing)
}

pub(super) async fn must_be_up_to_date(
    connection: &mut SqliteConnection,
) -> Result<(), StoreError> {
    let version = version(connection).await?;
    if version == NEWEST {
        return Ok(());
    }
    let context = format!(
        "the tables have schema version {version}, and version {NEWEST} is missing \
         while migrations are off: run those of SqliteStore::migrations()"
    );
    Err(StoreError::new(StoreErrorKind::Misconfigured, context))
}

/// 0 if there are no tables yet; an error if they are newer than this code.
async fn version(connection: &mut SqliteConnection) -> Result<i64, StoreError> {
    const CONTEXT: &str = "reading the schema version";
    let has_tables: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'portcullis_migrations')",
    )
    .fetch_one(&mut *connection)
    .await
    .map_err(failed(CONTEXT))?;
    if !has_tables {
        return Ok(0);
    }
    let version: i64 =
        sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM portcullis_migrations")
            .fetch_one(connection)
            .await
            .map_err(failed(CONTEXT))?;
    if version > NEWEST {
        let context = format!(
            "the tables have schema version {version}, and this release knows them up to \
             version {NEWEST}: use a newer one"
        );
        return Err(StoreError::new(StoreErrorKind::Misconfigured, context));
    }
    Ok(version)
}
