//! Writing down when secrets were last used.

use sqlx::{SqliteConnection, SqlitePool};

use super::failure::{committing, failed};
use super::row;
use super::writing::{begin, connection, given_back};
use crate::store::{StoreError, Use};

/// Later uses alone, and of keys that are not revoked.
const SECRET: &str = "\
    UPDATE portcullis_secrets SET last_used_at = ?2 \
    WHERE digest = ?1 AND coalesce(last_used_at < ?2, 1) \
      AND EXISTS (SELECT 1 FROM portcullis_keys k WHERE k.id = key_id AND k.revoked_at IS NULL)";

const KEY: &str = "\
    UPDATE portcullis_keys SET last_used_at = ?2 \
    WHERE id = (SELECT key_id FROM portcullis_secrets WHERE digest = ?1) \
      AND coalesce(last_used_at < ?2, 1) AND revoked_at IS NULL";

pub(super) async fn touch(writes: &SqlitePool, uses: &[Use]) -> Result<(), StoreError> {
    if uses.is_empty() {
        return Ok(());
    }
    let mut connection = connection(writes).await?;
    let result = touch_on(&mut connection, uses).await;
    given_back(connection, result)
}

async fn touch_on(connection: &mut SqliteConnection, uses: &[Use]) -> Result<(), StoreError> {
    let mut transaction = begin(connection).await?;
    for Use { digest, at } in uses {
        for statement in [SECRET, KEY] {
            sqlx::query(statement)
                .bind(row::blob(digest))
                .bind(at.unix_micros())
                .execute(&mut *transaction)
                .await
                .map_err(failed("writing down the last use of a key"))?;
        }
    }
    transaction.commit().await.map_err(committing)
}
