//! From columns to values, each of them checked: a row may have been typed by hand.

use sqlx::postgres::PgRow;
use sqlx::{Decode, Postgres, Row as _, Type};
use time::OffsetDateTime;

use crate::allowed_ips::AllowedIps;
use crate::key::KeyHint;
use crate::resources::Resources;
use crate::scope::{RoleSet, ScopeSet};
use crate::store::{
    Change, Event, EventDetail, EventKind, Falsifies, FoundKey, KeyName, KeyRecord, Metadata,
    Owner, Previous, Provenance, RecordedEvent, Revocation, StoreError, StoreErrorKind, StoreId,
    Touched, Where,
};
use crate::timestamp::Timestamp;

/// 2000-01-01, from which Postgres counts microseconds.
const POSTGRES_EPOCH: i64 = 946_684_800_000_000;

/// A moment as Postgres sends it to its like: as eight bytes that hold any there is. What sqlx makes
/// of one that is beyond its own is a panic.
macro_rules! sent {
    ($column:literal AS $name:literal) => {
        concat!("timestamptz_send(", $column, ") AS ", $name)
    };
}
pub(super) use sent;

/// The columns that [`record`] reads, of a table called `k`, which [`with_previous`] goes with.
macro_rules! key_columns {
    () => {
        concat!(
            "k.id, k.name, k.owner, k.environment, k.hint, k.scopes, k.roles, \
             k.resources::text AS resources, k.allowed_ips, k.enabled, k.created_by, \
             k.revoked_by, k.revoked_reason, k.metadata::text AS metadata, p.slot AS previous, \
             p.hint AS previous_hint, ",
            sent!("k.created_at" AS "created_at"),
            ", ",
            sent!("k.expires_at" AS "expires_at"),
            ", ",
            sent!("k.revoked_at" AS "revoked_at"),
            ", ",
            sent!("k.last_used_at" AS "last_used_at"),
            ", ",
            sent!("p.expires_at" AS "previous_expires_at"),
            ", ",
            sent!("p.last_used_at" AS "previous_last_used_at"),
        )
    };
}
pub(super) use key_columns;

/// To be joined to the keys: what they have as a previous secret. OFFSET has it looked up for each
/// of them, by the index; previous secrets being few, Postgres would rather read all secrets for them.
macro_rules! with_previous {
    () => {
        " LEFT JOIN LATERAL ( \
              SELECT slot, hint, expires_at, last_used_at FROM portcullis.secrets \
              WHERE key_id = k.id AND slot = 'previous' OFFSET 0 \
          ) p ON true "
    };
}
pub(super) use with_previous;

/// Which key a secret opens: [`found`] reads the row, in which each may be NULL.
macro_rules! found_columns {
    () => {
        concat!(
            sent!("s.expires_at" AS "secret_expires_at"),
            ", ",
            sent!("s.last_used_at" AS "secret_last_used_at"),
            ", ",
            key_columns!()
        )
    };
}
pub(super) use found_columns;

pub(super) fn found(row: &PgRow) -> Result<Option<FoundKey>, StoreError> {
    let Some(record) = record_if_any(row)? else {
        return Ok(None);
    };
    Ok(Some(FoundKey {
        record,
        secret_expires_at: timestamp(row, "secret_expires_at")?,
        secret_last_used_at: timestamp(row, "secret_last_used_at")?,
    }))
}

/// `None` if there is none: where keys are joined, one may be missing.
pub(super) fn record_if_any(row: &PgRow) -> Result<Option<KeyRecord>, StoreError> {
    if column::<Option<&str>>(row, "id")?.is_none() {
        return Ok(None);
    }
    record(row).map(Some)
}

pub(super) fn record(row: &PgRow) -> Result<KeyRecord, StoreError> {
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

fn previous(row: &PgRow) -> Result<Option<Previous>, StoreError> {
    if column::<Option<&str>>(row, "previous")?.is_none() {
        return Ok(None);
    }
    Ok(Some(Previous {
        hint: parsed(row, "previous_hint", |text| KeyHint::from_stored(text).ok())?,
        expires_at: moment(row, "previous_expires_at")?,
        last_used_at: timestamp(row, "previous_last_used_at")?,
    }))
}

fn revocation(row: &PgRow) -> Result<Option<Revocation>, StoreError> {
    let Some(at) = timestamp(row, "revoked_at")? else {
        return Ok(None);
    };
    let by = match column::<Option<&str>>(row, "revoked_by")? {
        Some(by) => Provenance::from_stored(by).ok_or_else(|| corrupt("revoked_by"))?,
        // Whoever types a revocation need not say who they are.
        None => Provenance::System,
    };
    Ok(Some(Revocation {
        at,
        by,
        reason: column(row, "revoked_reason")?,
    }))
}

pub(super) fn event(row: &PgRow) -> Result<RecordedEvent, StoreError> {
    Ok(RecordedEvent {
        seq: number(row, "seq")?,
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
pub(super) fn change(row: &PgRow) -> Result<Option<Change>, StoreError> {
    let Some(kind) = column::<Option<&str>>(row, "kind")? else {
        return Ok(None);
    };
    let place = match column::<Option<i32>>(row, "shard")? {
        Some(shard) => Where::Shard(u16::try_from(shard).map_err(|_| corrupt("shard"))?),
        None => Where::Anywhere,
    };
    let falsifies = match kind {
        "absence" => Falsifies::Absence,
        "everything" => Falsifies::Everything,
        _ => return Err(corrupt("kind")),
    };
    Ok(Some(Change {
        revision: number(row, "change_revision")?,
        touched: Touched { place, falsifies },
    }))
}

pub(super) fn store(row: &PgRow) -> Result<StoreId, StoreError> {
    bytes(row, "store_id").map(StoreId)
}

pub(super) fn revision(row: &PgRow) -> Result<u64, StoreError> {
    number(row, "revision")
}

fn number(row: &PgRow, name: &'static str) -> Result<u64, StoreError> {
    u64::try_from(column::<i64>(row, name)?).map_err(|_| corrupt(name))
}

pub(super) fn column<'r, T>(row: &'r PgRow, name: &'static str) -> Result<T, StoreError>
where
    T: Decode<'r, Postgres> + Type<Postgres>,
{
    row.try_get(name)
        .map_err(|error| corrupt(name).caused_by(error))
}

pub(super) fn bytes<const N: usize>(
    row: &PgRow,
    name: &'static str,
) -> Result<[u8; N], StoreError> {
    // Not as a slice, which sqlx does not make of what comes as text.
    column::<Vec<u8>>(row, name)?
        .try_into()
        .map_err(|_| corrupt(name))
}

/// Of a column that was selected by [`sent!`].
fn timestamp(row: &PgRow, name: &'static str) -> Result<Option<Timestamp>, StoreError> {
    let Some(bytes) = column::<Option<Vec<u8>>>(row, name)? else {
        return Ok(None);
    };
    let micros = bytes.try_into().ok().map(i64::from_be_bytes);
    micros
        .and_then(|micros| micros.checked_add(POSTGRES_EPOCH))
        .and_then(Timestamp::from_unix_micros)
        .map(Some)
        .ok_or_else(|| corrupt(name))
}

pub(super) fn moment(row: &PgRow, name: &'static str) -> Result<Timestamp, StoreError> {
    timestamp(row, name)?.ok_or_else(|| corrupt(name))
}

pub(super) fn parsed<T>(
    row: &PgRow,
    name: &'static str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<T, StoreError> {
    // What the parser has to say is dropped: it may repeat the value.
    parse(column(row, name)?).ok_or_else(|| corrupt(name))
}

fn parsed_if_any<T>(
    row: &PgRow,
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

/// How a moment is bound. Both count microseconds.
pub(super) fn to_sql(moment: Timestamp) -> OffsetDateTime {
    let since = time::Duration::microseconds(moment.unix_micros());
    OffsetDateTime::UNIX_EPOCH.saturating_add(since)
}
