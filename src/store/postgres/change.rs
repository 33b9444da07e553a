//! What each decision about one key writes.

use sqlx::PgConnection;

use super::failure::{adding, failed};
use super::row::to_sql;
use crate::allowed_ips::AllowedIps;
use crate::key::{KeyDigest, KeyId};
use crate::resources::Resources;
use crate::store::{KeyRecord, Previous, Replay, ReplayKey, Revocation, StoreError};

const ADD_KEY: &str = "\
    INSERT INTO portcullis.keys (id, name, owner, environment, hint, scopes, roles, resources, \
        allowed_ips, enabled, created_at, created_by, expires_at, revoked_at, revoked_by, revoked_reason, metadata, \
        last_used_at) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8::json, $9, $10, \
        $11, $12, $13, $14, $15, $16, $17::json, $18)";

const ADD_SECRET: &str = "INSERT INTO portcullis.secrets (digest, key_id) VALUES ($1, $2)";

const CHANGE_KEY: &str = "\
    UPDATE portcullis.keys SET name = $2, owner = $3, scopes = $4, roles = $5, \
        resources = $6::json, allowed_ips = $7, enabled = $8, expires_at = $9, \
        revoked_at = $10, revoked_by = $11, revoked_reason = $12, metadata = $13::json \
    WHERE id = $1";

const CHANGE_HINT: &str = "UPDATE portcullis.keys SET hint = $2 WHERE id = $1";

/// A secret that somebody ended by hand does not come back to life.
const KEEP_AS_PREVIOUS: &str = "\
    UPDATE portcullis.secrets \
    SET slot = 'previous', hint = $2, expires_at = least(expires_at, $3) \
    WHERE key_id = $1 AND slot = 'current'";

const DROP_SECRET: &str = "DELETE FROM portcullis.secrets WHERE key_id = $1 AND slot = $2";

/// Leaves to others what they are forgetting.
const FORGET: &str = "\
    DELETE FROM portcullis.replays WHERE replay IN ( \
        SELECT replay FROM portcullis.replays WHERE expires_at <= clock_timestamp() \
        FOR UPDATE SKIP LOCKED)";

/// In the place of one that is forgotten and still there, too.
const REMEMBER: &str = "\
    INSERT INTO portcullis.replays (replay, request, key_id, expires_at) \
    VALUES ($1, $2, $3, $4) \
    ON CONFLICT (replay) DO UPDATE SET request = excluded.request, key_id = excluded.key_id, \
        expires_at = excluded.expires_at";

pub(super) async fn insert(
    connection: &mut PgConnection,
    record: &KeyRecord,
    digest: &KeyDigest,
) -> Result<(), StoreError> {
    let revoked = record.revoked.as_ref();
    sqlx::query(ADD_KEY)
        .bind(record.id.as_str())
        .bind(record.name.as_str())
        .bind(record.owner.as_str())
        .bind(record.environment.as_str())
        .bind(record.hint.as_str())
        .bind(record.scopes.to_string())
        .bind(record.roles.to_string())
        .bind(record.resources.as_ref().map(Resources::to_string))
        .bind(record.allowed_ips.as_ref().map(AllowedIps::to_string))
        .bind(record.enabled)
        .bind(to_sql(record.created_at))
        .bind(record.created_by.to_string())
        .bind(record.expires_at.map(to_sql))
        .bind(revoked.map(|revoked| to_sql(revoked.at)))
        .bind(revoked.map(|revoked| revoked.by.to_string()))
        .bind(revoked.and_then(reason))
        .bind(record.metadata.as_str())
        .bind(record.last_used_at.map(to_sql))
        .execute(&mut *connection)
        .await
        .map_err(adding)?;
    add_secret(connection, &record.id, digest).await
}

async fn add_secret(
    connection: &mut PgConnection,
    id: &KeyId,
    digest: &KeyDigest,
) -> Result<(), StoreError> {
    sqlx::query(ADD_SECRET)
        .bind(&digest.as_bytes()[..])
        .bind(id.as_str())
        .execute(connection)
        .await
        .map_err(adding)?;
    Ok(())
}

/// Also forgets the others, when their time has come.
pub(super) async fn remember(
    connection: &mut PgConnection,
    key: ReplayKey,
    replay: &Replay,
) -> Result<(), StoreError> {
    const CONTEXT: &str = "remembering a request";
    sqlx::query(FORGET)
        .execute(&mut *connection)
        .await
        .map_err(failed(CONTEXT))?;
    sqlx::query(REMEMBER)
        .bind(&key.0[..])
        .bind(&replay.request[..])
        .bind(replay.made.as_str())
        .bind(to_sql(replay.expires_at))
        .execute(connection)
        .await
        .map_err(failed(CONTEXT))?;
    Ok(())
}

pub(super) async fn update(
    connection: &mut PgConnection,
    record: &KeyRecord,
) -> Result<(), StoreError> {
    let revoked = record.revoked.as_ref();
    sqlx::query(CHANGE_KEY)
        .bind(record.id.as_str())
        .bind(record.name.as_str())
        .bind(record.owner.as_str())
        .bind(record.scopes.to_string())
        .bind(record.roles.to_string())
        .bind(record.resources.as_ref().map(Resources::to_string))
        .bind(record.allowed_ips.as_ref().map(AllowedIps::to_string))
        .bind(record.enabled)
        .bind(record.expires_at.map(to_sql))
        .bind(revoked.map(|revoked| to_sql(revoked.at)))
        .bind(revoked.map(|revoked| revoked.by.to_string()))
        .bind(revoked.and_then(reason))
        .bind(record.metadata.as_str())
        .execute(connection)
        .await
        .map_err(failed("changing a key"))?;
    Ok(())
}

pub(super) async fn rotate(
    connection: &mut PgConnection,
    record: &KeyRecord,
    digest: &KeyDigest,
) -> Result<(), StoreError> {
    const CONTEXT: &str = "replacing the secret of a key";
    let id = record.id.as_str();
    end_previous(&mut *connection, &record.id).await?;
    // While the old secret is the only one: the new one's shard need not forget all it knows.
    sqlx::query(CHANGE_HINT)
        .bind(id)
        .bind(record.hint.as_str())
        .execute(&mut *connection)
        .await
        .map_err(failed(CONTEXT))?;
    let old = match &record.previous {
        Some(Previous {
            hint, expires_at, ..
        }) => sqlx::query(KEEP_AS_PREVIOUS)
            .bind(id)
            .bind(hint.as_str())
            .bind(to_sql(*expires_at)),
        None => sqlx::query(DROP_SECRET).bind(id).bind("current"),
    };
    old.execute(&mut *connection)
        .await
        .map_err(failed(CONTEXT))?;
    add_secret(connection, &record.id, digest).await
}

pub(super) async fn end_previous(
    connection: &mut PgConnection,
    id: &KeyId,
) -> Result<(), StoreError> {
    sqlx::query(DROP_SECRET)
        .bind(id.as_str())
        .bind("previous")
        .execute(connection)
        .await
        .map_err(failed("ending the previous secret of a key"))?;
    Ok(())
}

/// Postgres keeps no U+0000 in a text. A key is revoked all the same.
pub(super) fn reason(revocation: &Revocation) -> Option<String> {
    let reason = revocation.reason.as_deref()?;
    Some(reason.replace('\0', "\u{fffd}"))
}
