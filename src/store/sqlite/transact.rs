//! Writes: one at a time in all processes, each in a transaction that holds the lock from its
//! first statement on.

use std::collections::HashSet;

use sqlx::sqlite::SqliteRow;
use sqlx::{Sqlite, SqliteConnection, SqlitePool, Transaction};

use super::change;
use super::failure::{committing, failed};
use super::meta::Meta;
use super::revoke_all::revoke_all;
use super::row::{self, found_columns, key_columns, with_previous};
use super::trail;
use super::writing::{begin, connection, given_back};
use crate::clock::Clock;
use crate::key::{KeyDigest, KeyId};
use crate::store::{
    Change, Decide, Decision, KeyRecord, Outcome, Owner, Replay, ReplayKey, Rows, StoreError,
    StoreErrorKind, Subjects, Touched, Transacted,
};
use crate::timestamp::Timestamp;

const CALLER: &str = concat!(
    "SELECT ",
    found_columns!(),
    " FROM portcullis_secrets s JOIN portcullis_keys k ON k.id = s.key_id",
    with_previous!(),
    "WHERE s.digest = ?1"
);

const TARGET: &str = concat!(
    "SELECT ",
    key_columns!(),
    " FROM portcullis_keys k",
    with_previous!(),
    "WHERE k.id = ?1"
);

const HOLDER: &str = concat!(
    "SELECT ",
    key_columns!(),
    " FROM portcullis_secrets s JOIN portcullis_keys k ON k.id = s.key_id",
    with_previous!(),
    "WHERE s.digest = ?1"
);

const WAS_GIVEN: &str = "SELECT EXISTS (SELECT 1 FROM portcullis_digests WHERE digest = ?1)";

const LIVE_KEYS: &str = "\
    SELECT count(*) FROM portcullis_keys \
    WHERE owner = ?1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?2)";

const REPLAY: &str = "\
    SELECT request, key_id, expires_at FROM portcullis_replays \
    WHERE replay = ?1 AND expires_at > ?2";

/// What the triggers wrote down since the transaction began, when the newest revision was `?1`.
const TRIGGERED: &str = "\
    SELECT revision AS change_revision, shard, kind \
    FROM portcullis_changes WHERE revision > ?1 ORDER BY revision";

pub(super) async fn transact(
    writes: &SqlitePool,
    clock: &dyn Clock,
    subjects: Subjects,
    decide: Decide,
) -> Result<Transacted, StoreError> {
    let mut connection = connection(writes).await?;
    let result = transact_on(&mut connection, clock, subjects, decide).await;
    given_back(connection, result)
}

async fn transact_on(
    connection: &mut SqliteConnection,
    clock: &dyn Clock,
    subjects: Subjects,
    mut decide: Decide,
) -> Result<Transacted, StoreError> {
    let mut transaction = begin(connection).await?;
    let before = Meta::read(&mut transaction).await?;
    let replay = subjects.replay;
    let rows = rows(&mut transaction, &before, clock.wall(), subjects).await?;
    let (revision, outcome) = match decide(&rows) {
        Decision::Insert {
            record,
            digest,
            replay: remembered,
            event,
        } => {
            change::insert(&mut transaction, &record, &digest).await?;
            change::remember(&mut transaction, replay.zip(remembered), rows.now).await?;
            trail::add(&mut transaction, &record.id, &event).await?;
            committed(transaction, &before, record.id).await?
        }
        Decision::Update { record, event } => {
            must_be_the_target(&rows, &record)?;
            change::update(&mut transaction, &record).await?;
            trail::add(&mut transaction, &record.id, &event).await?;
            committed(transaction, &before, record.id).await?
        }
        Decision::Rotate {
            record,
            digest,
            event,
        } => {
            must_be_the_target(&rows, &record)?;
            change::rotate(&mut transaction, &record, &digest).await?;
            trail::add(&mut transaction, &record.id, &event).await?;
            committed(transaction, &before, record.id).await?
        }
        Decision::EndPrevious { record, event } => {
            let target = must_be_the_target(&rows, &record)?;
            if target.previous.is_none() {
                kept(transaction, &before, &rows).await?
            } else {
                change::end_previous(&mut transaction, &record.id).await?;
                trail::add(&mut transaction, &record.id, &event).await?;
                committed(transaction, &before, record.id).await?
            }
        }
        Decision::RevokeAll { whose, revocation } => {
            let outcome = revoke_all(&mut transaction, &whose, &revocation).await?;
            let after = Meta::read(&mut transaction).await?;
            let nothing = matches!(outcome, Outcome::RevokedAll { revoked: 0, .. });
            if !nothing && after.revision == before.revision {
                return Err(no_revision());
            }
            transaction.commit().await.map_err(committing)?;
            (after.revision, outcome)
        }
        Decision::Keep => kept(transaction, &before, &rows).await?,
        Decision::Refuse(refusal) => {
            end(transaction).await?;
            (before.revision, Outcome::Refused(refusal))
        }
    };
    Ok(Transacted {
        now: rows.now,
        store: before.store,
        revision,
        outcome,
    })
}

/// Commits a change of one key. The key is read back: what it was used for, and what its previous
/// secret is, only the tables know.
async fn committed(
    mut transaction: Transaction<'_, Sqlite>,
    before: &Meta,
    id: KeyId,
) -> Result<(u64, Outcome), StoreError> {
    let (revision, touched) = triggered(&mut transaction, before.revision).await?;
    let record = target(&mut transaction, &id).await?.ok_or_else(no_target)?;
    transaction.commit().await.map_err(committing)?;
    Ok((revision, Outcome::Committed { touched, record }))
}

async fn kept(
    mut transaction: Transaction<'_, Sqlite>,
    before: &Meta,
    rows: &Rows,
) -> Result<(u64, Outcome), StoreError> {
    let record = rows.target.clone().ok_or_else(no_target)?;
    let touched = secrets(&mut transaction, &record.id).await?;
    end(transaction).await?;
    Ok((before.revision, Outcome::Kept { touched, record }))
}

async fn end(transaction: Transaction<'_, Sqlite>) -> Result<(), StoreError> {
    transaction
        .rollback()
        .await
        .map_err(failed("ending a transaction that wrote nothing"))
}

/// A decision changes the row that it was shown and no other.
fn must_be_the_target<'a>(rows: &'a Rows, record: &KeyRecord) -> Result<&'a KeyRecord, StoreError> {
    rows.target
        .as_ref()
        .filter(|target| target.id == record.id)
        .ok_or_else(no_target)
}

async fn rows(
    connection: &mut SqliteConnection,
    before: &Meta,
    now: Timestamp,
    subjects: Subjects,
) -> Result<Rows, StoreError> {
    let mut caller = None;
    if let Some(digest) = subjects.caller {
        let row = sqlx::query(CALLER)
            .bind(row::blob(&digest))
            .fetch_optional(&mut *connection)
            .await
            .map_err(failed("reading the caller's key"))?;
        caller = row.as_ref().map(row::found).transpose()?.flatten();
    }
    let replay = match subjects.replay {
        Some(key) => replay(&mut *connection, key, now).await?,
        None => None,
    };
    let id = replay.as_ref().map(|replay| &replay.made);
    let target = match id.or(subjects.target.as_ref()) {
        Some(id) => target(&mut *connection, id).await?,
        None => None,
    };
    let live_keys = match &subjects.count_owner {
        Some(owner) => live_keys(&mut *connection, owner, now).await?,
        None => 0,
    };
    let (mut digest_holder, mut digest_ended) = (None, false);
    if let Some(digest) = &subjects.digest {
        digest_holder = holder(&mut *connection, digest).await?;
        digest_ended = digest_holder.is_none() && was_given(&mut *connection, digest).await?;
    }
    Ok(Rows {
        now,
        caller,
        target,
        replay,
        ever_had_a_key: before.ever_had_a_key,
        live_keys,
        digest_holder,
        digest_ended,
    })
}

async fn live_keys(
    connection: &mut SqliteConnection,
    owner: &Owner,
    now: Timestamp,
) -> Result<u64, StoreError> {
    let count: i64 = sqlx::query_scalar(LIVE_KEYS)
        .bind(owner.as_str())
        .bind(now.unix_micros())
        .fetch_one(connection)
        .await
        .map_err(failed("counting the keys of an owner"))?;
    Ok(u64::try_from(count).unwrap_or(0))
}

async fn holder(
    connection: &mut SqliteConnection,
    digest: &KeyDigest,
) -> Result<Option<KeyRecord>, StoreError> {
    sqlx::query(HOLDER)
        .bind(row::blob(digest))
        .fetch_optional(connection)
        .await
        .map_err(failed("reading the key that has a digest"))?
        .as_ref()
        .map(row::record)
        .transpose()
}

async fn was_given(
    connection: &mut SqliteConnection,
    digest: &KeyDigest,
) -> Result<bool, StoreError> {
    sqlx::query_scalar(WAS_GIVEN)
        .bind(row::blob(digest))
        .fetch_one(connection)
        .await
        .map_err(failed("asking whether a key ever had a digest"))
}

async fn target(
    connection: &mut SqliteConnection,
    id: &KeyId,
) -> Result<Option<KeyRecord>, StoreError> {
    sqlx::query(TARGET)
        .bind(id.as_str())
        .fetch_optional(connection)
        .await
        .map_err(failed("reading the key to be changed"))?
        .as_ref()
        .map(row::record)
        .transpose()
}

async fn replay(
    connection: &mut SqliteConnection,
    key: ReplayKey,
    now: Timestamp,
) -> Result<Option<Replay>, StoreError> {
    let row = sqlx::query(REPLAY)
        .bind(&key.0[..])
        .bind(now.unix_micros())
        .fetch_optional(connection)
        .await
        .map_err(failed("reading what is remembered of a request"))?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Replay {
        request: row::bytes(&row, "request")?,
        made: row::parsed(&row, "key_id", |text| text.parse().ok())?,
        expires_at: row::moment(&row, "expires_at")?,
    }))
}

/// The newest revision, and what the triggers wrote down since `before`.
///
/// In a statement of its own, after the change: inside the statement that changes a key the
/// triggers have not run yet, and the revision would be the old one.
async fn triggered(
    connection: &mut SqliteConnection,
    before: u64,
) -> Result<(u64, Vec<Touched>), StoreError> {
    let rows: Vec<SqliteRow> = sqlx::query(TRIGGERED)
        .bind(i64::try_from(before).unwrap_or(i64::MAX))
        .fetch_all(connection)
        .await
        .map_err(failed("reading the revision of a change"))?;
    let changes: Vec<Change> = rows
        .iter()
        .filter_map(|row| row::change(row).transpose())
        .collect::<Result<_, _>>()?;
    let newest = changes.last().ok_or_else(no_revision)?;
    let mut seen = HashSet::new();
    let touched = changes.iter().map(|change| change.touched);
    let touched = touched.filter(|touched| seen.insert(*touched)).collect();
    Ok((newest.revision, touched))
}

/// What a change of this key puts out of date.
async fn secrets(
    connection: &mut SqliteConnection,
    id: &KeyId,
) -> Result<Vec<Touched>, StoreError> {
    let rows = sqlx::query("SELECT digest FROM portcullis_secrets WHERE key_id = ?1")
        .bind(id.as_str())
        .fetch_all(connection)
        .await
        .map_err(failed("reading the secrets of a key"))?;
    rows.iter()
        .map(|row| {
            let digest = KeyDigest::from_bytes(row::bytes(row, "digest")?);
            Ok(Touched::changed(&digest))
        })
        .collect()
}

fn no_target() -> StoreError {
    StoreError::new(
        StoreErrorKind::Corrupt,
        "a decision kept or changed a key that is not there",
    )
}

fn no_revision() -> StoreError {
    let context = "a change got no revision: the triggers of the tables are missing";
    StoreError::new(StoreErrorKind::Corrupt, context)
}
