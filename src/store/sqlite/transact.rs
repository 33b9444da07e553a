//! Writes: one at a time in all processes, each in a transaction that holds the lock from its
//! first statement on.

use sqlx::sqlite::SqliteRow;
use sqlx::{Connection as _, Sqlite, SqliteConnection, SqlitePool, Transaction};

use super::failure::{adding, committing, failed};
use super::read::no_meta;
use super::row::{self, found_columns, key_columns};
use crate::clock::Clock;
use crate::key::{KeyDigest, KeyId};
use crate::store::{
    Change, Decide, Decision, KeyRecord, Outcome, Rows, StoreError, StoreErrorKind, StoreId,
    Subjects, Touched, Transacted,
};
use crate::timestamp::Timestamp;

const CALLER: &str = concat!(
    "SELECT ",
    found_columns!(),
    " FROM portcullis_secrets s JOIN portcullis_keys k ON k.id = s.key_id WHERE s.digest = ?1"
);

const TARGET: &str = concat!(
    "SELECT ",
    key_columns!(),
    " FROM portcullis_keys k WHERE k.id = ?1"
);

const ADD_KEY: &str = "\
    INSERT INTO portcullis_keys (id, name, owner, environment, hint, scopes, enabled, \
        created_at, created_by, expires_at, revoked_at, revoked_by, revoked_reason) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";

const ADD_SECRET: &str = "INSERT INTO portcullis_secrets (digest, key_id) VALUES (?1, ?2)";

const CHANGE_KEY: &str = "\
    UPDATE portcullis_keys SET name = ?2, owner = ?3, scopes = ?4, enabled = ?5, \
        expires_at = ?6, revoked_at = ?7, revoked_by = ?8, revoked_reason = ?9 \
    WHERE id = ?1";

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
    let mut connection = writes
        .acquire()
        .await
        .map_err(failed("waiting for the connection for writing"))?;
    let result = transact_on(&mut connection, clock, subjects, decide).await;
    if result.is_err() {
        // SQLite ends a transaction by itself on a full disk and the like. sqlx does not notice,
        // and would take the next BEGIN for one inside another.
        connection.close_on_drop();
    }
    result
}

async fn transact_on(
    connection: &mut SqliteConnection,
    clock: &dyn Clock,
    subjects: Subjects,
    mut decide: Decide,
) -> Result<Transacted, StoreError> {
    // Dropped on the way, whether by an error, a panic or its caller, it is rolled back.
    let mut transaction = connection
        .begin_with("BEGIN IMMEDIATE")
        .await
        .map_err(failed("waiting for other writes to end"))?;
    let before = Before::read(&mut transaction).await?;
    let rows = rows(&mut transaction, &before, clock.wall(), subjects).await?;
    let transacted = |revision, outcome| Transacted {
        now: rows.now,
        store: before.store,
        revision,
        outcome,
    };
    let record = match decide(&rows) {
        Decision::Insert { record, digest } => {
            insert(&mut transaction, &record, &digest).await?;
            record
        }
        Decision::Update(record) => {
            let target = rows.target.as_ref();
            if target.is_none_or(|target| target.id != record.id) {
                return Err(no_target());
            }
            update(&mut transaction, &record).await?;
            record
        }
        Decision::Keep => {
            let record = rows.target.clone().ok_or_else(no_target)?;
            let touched = secrets(&mut transaction, &record.id).await?;
            end(transaction).await?;
            let outcome = Outcome::Kept { touched, record };
            return Ok(transacted(before.revision, outcome));
        }
        Decision::Refuse(refusal) => {
            end(transaction).await?;
            return Ok(transacted(before.revision, Outcome::Refused(refusal)));
        }
    };
    let (revision, touched) = triggered(&mut transaction, before.revision).await?;
    transaction.commit().await.map_err(committing)?;
    let outcome = Outcome::Committed { touched, record };
    Ok(transacted(revision, outcome))
}

async fn end(transaction: Transaction<'_, Sqlite>) -> Result<(), StoreError> {
    transaction
        .rollback()
        .await
        .map_err(failed("ending a transaction that wrote nothing"))
}

/// Where the store stands when the transaction begins.
struct Before {
    store: StoreId,
    revision: u64,
    ever_had_a_key: bool,
}

impl Before {
    async fn read(connection: &mut SqliteConnection) -> Result<Self, StoreError> {
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

async fn rows(
    connection: &mut SqliteConnection,
    before: &Before,
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
    let mut target = None;
    if let Some(id) = subjects.target {
        let row = sqlx::query(TARGET)
            .bind(id.as_str())
            .fetch_optional(&mut *connection)
            .await
            .map_err(failed("reading the key to be changed"))?;
        target = row.as_ref().map(row::record).transpose()?;
    }
    Ok(Rows {
        now,
        caller,
        target,
        ever_had_a_key: before.ever_had_a_key,
    })
}

async fn insert(
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
        .bind(record.enabled)
        .bind(record.created_at.unix_micros())
        .bind(record.created_by.to_string())
        .bind(record.expires_at.map(Timestamp::unix_micros))
        .bind(revoked.map(|revoked| revoked.at.unix_micros()))
        .bind(revoked.map(|revoked| revoked.by.to_string()))
        .bind(revoked.and_then(|revoked| revoked.reason.as_deref()))
        .execute(&mut *connection)
        .await
        .map_err(adding)?;
    sqlx::query(ADD_SECRET)
        .bind(row::blob(digest))
        .bind(record.id.as_str())
        .execute(connection)
        .await
        .map_err(adding)?;
    Ok(())
}

async fn update(connection: &mut SqliteConnection, record: &KeyRecord) -> Result<(), StoreError> {
    let revoked = record.revoked.as_ref();
    sqlx::query(CHANGE_KEY)
        .bind(record.id.as_str())
        .bind(record.name.as_str())
        .bind(record.owner.as_str())
        .bind(record.scopes.to_string())
        .bind(record.enabled)
        .bind(record.expires_at.map(Timestamp::unix_micros))
        .bind(revoked.map(|revoked| revoked.at.unix_micros()))
        .bind(revoked.map(|revoked| revoked.by.to_string()))
        .bind(revoked.and_then(|revoked| revoked.reason.as_deref()))
        .execute(connection)
        .await
        .map_err(failed("changing a key"))?;
    Ok(())
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
    let newest = changes.last().ok_or_else(|| {
        let context = "a change got no revision: the triggers of the tables are missing";
        StoreError::new(StoreErrorKind::Corrupt, context)
    })?;
    let touched = changes.iter().map(|change| change.touched).collect();
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
