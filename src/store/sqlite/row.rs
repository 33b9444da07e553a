//! From columns to values, each of them checked: a row may have been typed by hand.

use sqlx::sqlite::SqliteRow;
use sqlx::{Decode, Row as _, Sqlite, Type};

use crate::allowed_ips::AllowedIps;
use crate::key::{KeyDigest, KeyHint};
use crate::resources::Resources;
use crate::scope::{RoleSet, ScopeSet};
use crate::store::{
    Change, Event, EventDetail, EventKind, Falsifies, FoundKey, KeyName, KeyRecord, Metadata,
    Owner, Previous, Provenance, RecordedEvent, Revocation, StoreError, StoreErrorKind, Touched,
    Where,
};
use crate::timestamp::Timestamp;

/// The columns that [`record`] reads, of a table called `k`, which [`with_previous`] goes with.
macro_rules! key_columns {
    () => {
        "k.id, k.name, k.owner, k.environment, k.hint, k.scopes, k.roles, k.resources, \
         k.allowed_ips, k.enabled, k.created_at, \
         k.created_by, k.expires_at, k.revoked_at, k.revoked_by, k.revoked_reason, k.metadata, \
         k.last_used_at, p.slot AS previous, p.hint AS previous_hint, \
         p.expires_at AS previous_expires_at, p.last_used_at AS previous_last_used_at"
    };
}
pub(super) use key_columns;

/// To be joined to the keys: what they have as a previous secret.
macro_rules! with_previous {
    () => {
        " LEFT JOIN portcullis_secrets p ON p.key_id = k.id AND p.slot = 'previous' "
    };
}
pub(super) use with_previous;

/// Which key a secret opens: [`found`] reads the row, in which each may be NULL.
macro_rules! found_columns {
    () => {
        concat!(
            "s.expires_at AS secret_expires_at, s.last_used_at AS secret_last_used_at, ",
            key_columns!()
        )
    };
}
pub(super) use found_columns;

pub(super) fn found(row: &SqliteRow) -> Result<Option<FoundKey>, StoreError> {
    // A secret may be left over from a key that was deleted without foreign keys.
    if column::<Option<String>>(row, "id")?.is_none() {
        return Ok(None);
    }
    Ok(Some(FoundKey {
        record: record(row)?,
        secret_expires_at: timestamp(row, "secret_expires_at")?,
        secret_last_used_at: timestamp(row, "secret_last_used_at")?,
    }))
}

pub(super) fn record(row: &SqliteRow) -> Result<KeyRecord, StoreError> {
    Ok(KeyRecord {
        id: parsed(row, "id", |text| text.parse().ok())?,
        name: parsed(row, "name", |text| {
            // Trimming would give a name that is not the one stored.
            KeyName::parse(text)
                .ok()
                .filter(|name| name.as_str() == text)
        })?,
        owner: parsed(row, "owner", |text| Owner::parse(text).ok())?,
        environment: parsed(row, "environment", |text| text.parse().ok())?,
        hint: parsed(row, "hint", |text| KeyHint::from_stored(text).ok())?,
        scopes: parsed(row, "scopes", |text| ScopeSet::from_stored(text).ok())?,
        roles: parsed(row, "roles", |text| RoleSet::from_stored(text).ok())?,
        resources: parsed_if_any(row, "resources", |text| Resources::from_stored(text).ok())?,
        allowed_ips: parsed_if_any(row, "allowed_ips", |text| {
            AllowedIps::from_stored(text).ok()
        })?,
        enabled: column(row, "enabled")?,
        created_at: moment(row, "created_at")?,
        created_by: parsed(row, "created_by", Provenance::from_stored)?,
        expires_at: timestamp(row, "expires_at")?,
        revoked: revocation(row)?,
        metadata: parsed(row, "metadata", |text| Metadata::parse(text).ok())?,
        last_used_at: timestamp(row, "last_used_at")?,
        previous: previous(row)?,
    })
}

fn previous(row: &SqliteRow) -> Result<Option<Previous>, StoreError> {
    if column::<Option<String>>(row, "previous")?.is_none() {
        return Ok(None);
    }
    Ok(Some(Previous {
        hint: parsed(row, "previous_hint", |text| KeyHint::from_stored(text).ok())?,
        expires_at: moment(row, "previous_expires_at")?,
        last_used_at: timestamp(row, "previous_last_used_at")?,
    }))
}

fn revocation(row: &SqliteRow) -> Result<Option<Revocation>, StoreError> {
    let Some(at) = timestamp(row, "revoked_at")? else {
        return Ok(None);
    };
    let by = match column::<Option<String>>(row, "revoked_by")? {
        Some(by) => Provenance::from_stored(&by).ok_or_else(|| corrupt("revoked_by"))?,
        // Whoever types a revocation need not say who they are.
        None => Provenance::System,
    };
    Ok(Some(Revocation {
        at,
        by,
        reason: column(row, "revoked_reason")?,
    }))
}

pub(super) fn event(row: &SqliteRow) -> Result<RecordedEvent, StoreError> {
    Ok(RecordedEvent {
        seq: u64::try_from(column::<i64>(row, "seq")?).map_err(|_| corrupt("seq"))?,
        key: parsed(row, "key_id", |text| text.parse().ok())?,
        event: Event {
            at: moment(row, "done_at")?,
            by: parsed(row, "done_by", Provenance::from_stored)?,
            what: parsed(row, "what", EventKind::from_stored)?,
            detail: parsed(row, "detail", EventDetail::from_json)?,
        },
    })
}

/// `None` if there is none: where a change row is joined, it may be missing.
pub(super) fn change(row: &SqliteRow) -> Result<Option<Change>, StoreError> {
    let Some(revision) = column::<Option<i64>>(row, "change_revision")? else {
        return Ok(None);
    };
    let place = match column::<Option<i64>>(row, "shard")? {
        Some(shard) => Where::Shard(u16::try_from(shard).map_err(|_| corrupt("shard"))?),
        None => Where::Anywhere,
    };
    let falsifies = parsed(row, "kind", |kind| match kind {
        "absence" => Some(Falsifies::Absence),
        "everything" => Some(Falsifies::Everything),
        _ => None,
    })?;
    Ok(Some(Change {
        revision: u64::try_from(revision).map_err(|_| corrupt("revision"))?,
        touched: Touched { place, falsifies },
    }))
}

pub(super) fn revision(row: &SqliteRow) -> Result<u64, StoreError> {
    u64::try_from(column::<i64>(row, "revision")?).map_err(|_| corrupt("revision"))
}

pub(super) fn column<'r, T>(row: &'r SqliteRow, name: &'static str) -> Result<T, StoreError>
where
    T: Decode<'r, Sqlite> + Type<Sqlite>,
{
    row.try_get(name)
        .map_err(|error| corrupt(name).caused_by(error))
}

pub(super) fn bytes<const N: usize>(
    row: &SqliteRow,
    name: &'static str,
) -> Result<[u8; N], StoreError> {
    column::<&[u8]>(row, name)?
        .try_into()
        .map_err(|_| corrupt(name))
}

fn timestamp(row: &SqliteRow, name: &'static str) -> Result<Option<Timestamp>, StoreError> {
    column::<Option<i64>>(row, name)?
        .map(|micros| Timestamp::from_unix_micros(micros).ok_or_else(|| corrupt(name)))
        .transpose()
}

pub(super) fn moment(row: &SqliteRow, name: &'static str) -> Result<Timestamp, StoreError> {
    timestamp(row, name)?.ok_or_else(|| corrupt(name))
}

pub(super) fn parsed<T>(
    row: &SqliteRow,
    name: &'static str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<T, StoreError> {
    // What the parser has to say is dropped: it may repeat the value.
    parse(column(row, name)?).ok_or_else(|| corrupt(name))
}

fn parsed_if_any<T>(
    row: &SqliteRow,
    name: &'static str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>, StoreError> {
    let text = column::<Option<&str>>(row, name)?;
    text.map(|text| parse(text).ok_or_else(|| corrupt(name)))
        .transpose()
}

fn corrupt(column: &str) -> StoreError {
    let context = format!("the column {column:?} has a value that it cannot have");
    StoreError::new(StoreErrorKind::Corrupt, context)
}

/// How a digest is bound.
pub(super) fn blob(digest: &KeyDigest) -> &[u8] {
    digest.as_bytes()
}
