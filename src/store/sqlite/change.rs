//! What each decision about one key writes.

use sqlx::SqliteConnection;

use super::failure::{adding, failed};
use super::row;
use crate::allowed_ips::AllowedIps;
use crate::key::{KeyDigest, KeyId};
use crate::resources::Resources;
use crate::store::{KeyRecord, Previous, Replay, ReplayKey, StoreError};
use crate::timestamp::Timestamp;

const ADD_KEY: &str = "\
    INSERT INTO portcullis_keys (id, name, owner, environment, hint, scopes, roles, resources, \
        allowed_ips, enabled, created_at, created_by, expires_at, revoked_at, revoked_by, revoked_reason, metadata, \
        last_used_at) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, \
        ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)";

const ADD_SECRET: &str = "INSERT INTO portcullis_secrets (digest, key_id) VALUES (?1, ?2)";

const CHANGE_KEY: &str = "\
    UPDATE portcullis_keys SET name = ?2, owner = ?3, scopes = ?4, roles = ?5, \
        resources = ?6, allowed_ips = ?7, enabled = ?8, expires_at = ?9, \
        revoked_at = ?10, revoked_by = ?11, revoked_reason = ?12, metadata = ?13 \
    WHERE id = ?1";

const CHANGE_HINT: &str = "UPDATE portcullis_keys SET hint = ?2 WHERE id = ?1";

/// A secret that somebody ended by hand does not come back to life.
const KEEP_AS_PREVIOUS: &str = "\
    UPDATE portcullis_secrets \
    SET slot = 'previous', hint = ?2, expires_at = min(coalesce(expires_at, ?3), ?3) \
    WHERE key_id = ?1 AND slot = 'current'";

const DROP_SECRET: &str = "DELETE FROM portcullis_secrets WHERE key_id = ?1 AND slot = ?2";

const FORGET: &str = "DELETE FROM portcullis_replays WHERE expires_at <= ?1";

/// In the place of one whose key is gone, too.
const REMEMBER: &str = "\
    INSERT OR REPLACE INTO portcullis_replays (replay, request, key_id, expires_at) \
    VALUES (?1, ?2, ?3, ?4)";

pub(super) async fn insert(
    connection: &mut SqliteConnection,
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
        .bind(record.created_at.unix_micros())
        .bind(record.created_by.to_string())
        .bind(record.expires_at.map(Timestamp::unix_micros))
        .bind(revoked.map(|revoked| revoked.at.unix_micros()))
        .bind(revoked.map(|revoked| revoked.by.to_string()))
        .bind(revoked.and_then(|revoked| revoked.reason.as_deref()))
        .bind(record.metadata.as_str())
        .bind(record.last_used_at.map(Timestamp::unix_micros))
        .execute(&mut *connection)
        .await
        .map_err(adding)?;
    add_secret(connection, &record.id, digest).await
}

async fn add_secret(
    connection: &mut SqliteConnection,
    id: &KeyId,
    digest: &KeyDigest,
) -> Result<(), StoreError> {
    sqlx::query(ADD_SECRET)
        .bind(row::blob(digest))
        .bind(id.as_str())
        .execute(connection)
        .await
        .map_err(adding)?;
    Ok(())
}

pub(super) async fn remember(
    connection: &mut SqliteConnection,
    replay: Option<(ReplayKey, Replay)>,
    now: Timestamp,
) -> Result<(), StoreError> {
    const CONTEXT: &str = "remembering a request";
    sqlx::query(FORGET)
        .bind(now.unix_micros())
        .execute(&mut *connection)
        .await
        .map_err(failed(CONTEXT))?;
    if let Some((key, replay)) = replay {
        sqlx::query(REMEMBER)
            .bind(&key.0[..])
            .bind(&replay.request[..])
            .bind(replay.made.as_str())
            .bind(replay.expires_at.unix_micros())
            .execute(connection)
            .await
            .map_err(failed(CONTEXT))?;
    }
    Ok(())
}

pub(super) async fn update(
    connection: &mut SqliteConnection,
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
        .bind(record.expires_at.map(Timestamp::unix_micros))
        .bind(revoked.map(|revoked| revoked.at.unix_micros()))
        .bind(revoked.map(|revoked| revoked.by.to_string()))
        .bind(revoked.and_then(|revoked| revoked.reason.as_deref()))
        .bind(record.metadata.as_str())
        .execute(connection)
        .await
        .map_err(failed("changing a key"))?;
    Ok(())
}

pub(super) async fn rotate(
    connection: &mut SqliteConnection,
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
            .bind(expires_at.unix_micros()),
        None => sqlx::query(DROP_SECRET).bind(id).bind("current"),
    };
    old.execute(&mut *connection)
        .await
        .map_err(failed(CONTEXT))?;
    add_secret(connection, &record.id, digest).await
}

pub(super) async fn end_previous(
    connection: &mut SqliteConnection,
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
