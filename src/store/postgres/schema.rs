//! The tables, their versions, and the way from one to the next.

use sqlx::PgConnection;

use super::failure::{committing, failed, opening};
use crate::store::{StoreError, StoreErrorKind};

/// By the version that each leads to, and writes into `portcullis.migrations`. What has been
/// released is never changed.
const MIGRATIONS: [(i64, &str); 1] = [(1, include_str!("migrations/0001_keys.sql"))];

const NEWEST: i64 = MIGRATIONS[MIGRATIONS.len() - 1].0;

/// `BEGIN ATOMIC` in the body of a function came with it.
const OLDEST_SERVER: u32 = 140_000;

/// One process at a time. The number is an arbitrary one, below those of `writing`.
const BEGIN: &str = "\
    BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; \
    SELECT set_config('lock_timeout', '60s', true), set_config('statement_timeout', '0', true), \
           set_config('idle_in_transaction_session_timeout', '60s', true); \
    SELECT pg_advisory_xact_lock(7021835462201839000)";

pub(super) fn migrations() -> impl Iterator<Item = &'static str> {
    MIGRATIONS.into_iter().map(|(_, sql)| sql)
}

pub(super) async fn migrate(connection: &mut PgConnection) -> Result<(), StoreError> {
    // Most of the time there is nothing to do, and no lock to wait for.
    if version(connection).await? == NEWEST {
        return Ok(());
    }
    sqlx::raw_sql(BEGIN)
        .execute(&mut *connection)
        .await
        .map_err(failed("waiting to migrate the tables"))?;
    // Again, now that no other process can be at it.
    let done = version(connection).await?;
    for (_, sql) in MIGRATIONS
        .into_iter()
        .filter(|(version, _)| *version > done)
    {
        sqlx::raw_sql(sql)
            .execute(&mut *connection)
            .await
            .map_err(opening)?;
    }
    sqlx::raw_sql("COMMIT")
        .execute(connection)
        .await
        .map_err(committing)?;
    Ok(())
}

pub(super) async fn must_be_up_to_date(connection: &mut PgConnection) -> Result<(), StoreError> {
    let version = version(connection).await?;
    if version == NEWEST {
        return Ok(());
    }
    let context = format!(
        "the tables have schema version {version}, and version {NEWEST} is missing \
         while migrations are off: run those of PostgresStore::migrations()"
    );
    Err(StoreError::new(StoreErrorKind::Misconfigured, context))
}

/// What the tables need of the server and the database they lie in.
pub(super) async fn must_be_fit(connection: &mut PgConnection) -> Result<(), StoreError> {
    must_be_new_enough(connection.server_version_num())?;
    let encoding: String = sqlx::query_scalar("SELECT current_setting('server_encoding')")
        .fetch_one(connection)
        .await
        .map_err(failed("asking for the encoding of the database"))?;
    if encoding == "UTF8" {
        return Ok(());
    }
    let context = format!("the database has the encoding {encoding}, and UTF8 is needed");
    Err(StoreError::new(StoreErrorKind::Misconfigured, context))
}

fn must_be_new_enough(version: Option<u32>) -> Result<(), StoreError> {
    // One that does not say is some other server that speaks the same protocol. It will find its
    // own way to fail.
    let Some(version) = version.filter(|version| *version < OLDEST_SERVER) else {
        return Ok(());
    };
    let context = format!(
        "the server is PostgreSQL {}, and {} or newer is needed",
        version / 10_000,
        OLDEST_SERVER / 10_000
    );
    Err(StoreError::new(StoreErrorKind::Misconfigured, context))
}

/// 0 if there are no tables yet; an error if they are newer than this code.
async fn version(connection: &mut PgConnection) -> Result<i64, StoreError> {
    const CONTEXT: &str = "reading the schema version";
    // Read from the catalogue as from any table. What `to_regclass` knows may be older than a lock
    // that was waited for.
    let has_tables: bool = sqlx::query_scalar(
        "SELECT EXISTS ( \
             SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname = 'portcullis' AND c.relname = 'migrations')",
    )
    .fetch_one(&mut *connection)
    .await
    .map_err(failed(CONTEXT))?;
    if !has_tables {
        return Ok(0);
    }
    let version: i64 =
        sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM portcullis.migrations")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_server_is_told_by_its_version() {
        let error = must_be_new_enough(Some(130_014)).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Misconfigured);
        assert_eq!(
            error.to_string(),
            "the key store does not fit this program: \
             the server is PostgreSQL 13, and 14 or newer is needed"
        );
        assert!(must_be_new_enough(Some(140_000)).is_ok());
        assert!(must_be_new_enough(Some(170_002)).is_ok());
        assert!(must_be_new_enough(None).is_ok());
    }
}
