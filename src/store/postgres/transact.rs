//! Writes: the rows that a decision is about are locked, read, and changed in one transaction.

use std::collections::HashSet;
use std::time::Duration;

use sqlx::PgConnection;
use sqlx::postgres::PgRow;

use super::change;
use super::connections::Connections;
use super::failure::{failed, is_to_be_repeated};
use super::guard::within;
use super::meta::{Meta, no_meta};
use super::revoke_all::revoke_all;
use super::row;
use super::subjects::{lock, rows, target};
use super::trail;
use super::writing::{Company, Writing};
use crate::key::KeyDigest;
use crate::store::{
    Change, Decide, Decision, KeyRecord, Outcome, Rows, StoreError, StoreErrorKind, Subjects,
    Touched, Transacted,
};

/// How long one attempt may take, before its COMMIT.
const PATIENCE: Duration = Duration::from_secs(4);

/// How long an attempt may take that has the store for itself.
const LONG_PATIENCE: Duration = Duration::from_secs(90);

/// How often to begin when other transactions are in the way.
const ATTEMPTS: u32 = 4;

/// Takes the revision, which the triggers would otherwise do at the commit, when nothing could be read
/// any more; then what they wrote down in this transaction: one row for each change, or one without.
///
/// Two statements, since the snapshot of the first is from before the revision. In one message: the
/// lock that puts revisions in order is held until the commit, and everybody who writes waits for it.
const TRIGGERED: &str = "\
    SET CONSTRAINTS portcullis.take_revision IMMEDIATE; \
    SELECT s.revision, s.revision AS change_revision, c.shard, c.kind \
    FROM portcullis.change_sets s \
    LEFT JOIN portcullis.changes c ON c.nonce = s.nonce \
    WHERE split_part(current_setting('portcullis.change_set', true), ':', 1) \
          = pg_current_xact_id_if_assigned()::text \
      AND s.nonce = nullif( \
          split_part(current_setting('portcullis.change_set', true), ':', 2), '')::bigint";

/// The newest revision, and the digests that open a key.
const SECRETS: &str = "\
    SELECT (SELECT max(revision) FROM portcullis.change_sets) AS revision, s.digest \
    FROM portcullis.meta LEFT JOIN portcullis.secrets s ON s.key_id = $1";

pub(super) async fn transact(
    writes: &Connections,
    subjects: Subjects,
    mut decide: Decide,
) -> Result<Transacted, StoreError> {
    let mut company = Company::Together;
    let mut attempt = 1;
    loop {
        match try_once(writes, company, &subjects, &mut decide).await {
            Ok(Some(transacted)) => return Ok(transacted),
            Ok(None) => company = Company::Alone,
            Err(error) if attempt < ATTEMPTS && is_to_be_repeated(&error) => attempt += 1,
            Err(error) => return Err(error),
        }
    }
}

/// `None` if it has to be alone and is not.
async fn try_once(
    writes: &Connections,
    company: Company,
    subjects: &Subjects,
    decide: &mut Decide,
) -> Result<Option<Transacted>, StoreError> {
    let patience = match company {
        Company::Together => PATIENCE,
        Company::Alone => LONG_PATIENCE,
    };
    let work = async {
        let writing = Writing::begin(writes, company).await?;
        let work = async |connection: &mut PgConnection| {
            // Boxed: it has all the kinds of changes in it, and is carried through what is around it.
            Box::pin(write(connection, company, subjects, decide)).await
        };
        let (writing, done) = writing.over(work).await?;
        match done {
            Done::Written(transacted) => Ok((Some(writing), Some(transacted))),
            Done::Nothing(transacted) => {
                writing.roll_back().await?;
                Ok((None, Some(transacted)))
            }
            Done::MustBeAlone => {
                writing.roll_back().await?;
                Ok((None, None))
            }
        }
    };
    let (writing, transacted) = within(patience, "changing a key", work).await?;
    if let Some(writing) = writing {
        // Apart from the rest: when this is cut off, nobody knows what came of it.
        writing.commit().await?;
    }
    Ok(transacted)
}

/// How far an attempt came.
enum Done {
    /// It is to be committed.
    Written(Transacted),
    /// There is nothing to commit.
    Nothing(Transacted),
    /// What it is about to do, or what it goes by, others may be changing.
    MustBeAlone,
}

async fn write(
    connection: &mut PgConnection,
    company: Company,
    subjects: &Subjects,
    decide: &mut Decide,
) -> Result<Done, StoreError> {
    lock(connection, subjects).await?;
    let (meta, rows) = rows(connection, subjects).await?;
    if company == Company::Together && !meta.ever_had_a_key {
        return Ok(Done::MustBeAlone);
    }
    let (id, event) = match decide(&rows) {
        Decision::Insert {
            record,
            digest,
            replay: remembered,
            event,
        } => {
            change::insert(connection, &record, &digest).await?;
            if let Some((key, replay)) = subjects.replay.zip(remembered) {
                change::remember(connection, key, &replay).await?;
            }
            (record.id, event)
        }
        Decision::Update { record, event } => {
            must_be_the_target(&rows, &record)?;
            change::update(connection, &record).await?;
            (record.id, event)
        }
        Decision::Rotate {
            record,
            digest,
            event,
        } => {
            must_be_the_target(&rows, &record)?;
            change::rotate(connection, &record, &digest).await?;
            (record.id, event)
        }
        Decision::EndPrevious { record, event } => {
            if must_be_the_target(&rows, &record)?.previous.is_none() {
                return kept(connection, &meta, &rows).await;
            }
            change::end_previous(connection, &record.id).await?;
            (record.id, event)
        }
        Decision::RevokeAll { .. } if company == Company::Together => {
            return Ok(Done::MustBeAlone);
        }
        Decision::RevokeAll { whose, revocation } => {
            let mut outcome = revoke_all(connection, &whose, &revocation).await?;
            if matches!(outcome, Outcome::RevokedAll { revoked: 0, .. }) {
                // What was found done may have been done since, by hand.
                let now = Meta::read(connection).await?;
                return Ok(Done::Nothing(meta.transacted(now.revision, outcome)));
            }
            let (revision, triggered) = triggered(connection).await?;
            if let Outcome::RevokedAll { touched, .. } = &mut outcome {
                // What was typed in between the look at the secrets and the change of the keys.
                touched.extend(triggered);
            }
            return Ok(Done::Written(meta.transacted(revision, outcome)));
        }
        Decision::Keep => return kept(connection, &meta, &rows).await,
        Decision::Refuse(refusal) => {
            let outcome = Outcome::Refused(refusal);
            return Ok(Done::Nothing(meta.transacted(meta.revision, outcome)));
        }
    };
    trail::add(connection, &id, &event).await?;
    // Read back: what it was used for, and what its previous secret is, only the tables know.
    let record = target(connection, &id).await?.ok_or_else(no_target)?;
    // Last, because of the lock.
    let (revision, touched) = triggered(connection).await?;
    let outcome = Outcome::Committed { touched, record };
    Ok(Done::Written(meta.transacted(revision, outcome)))
}

/// The revision of this transaction, and what it puts out of date.
async fn triggered(connection: &mut PgConnection) -> Result<(u64, Vec<Touched>), StoreError> {
    let rows: Vec<PgRow> = sqlx::raw_sql(TRIGGERED)
        .fetch_all(connection)
        .await
        .map_err(failed("taking the revision of a change"))?;
    let first = rows.first().ok_or_else(no_revision)?;
    let changes: Vec<Change> = rows
        .iter()
        .filter_map(|row| row::change(row).transpose())
        .collect::<Result<_, _>>()?;
    let mut seen = HashSet::new();
    let touched = changes.iter().map(|change| change.touched);
    let touched = touched.filter(|touched| seen.insert(*touched)).collect();
    Ok((row::revision(first)?, touched))
}

/// The target as it is, with what a change of it would put out of date. The revision is read after
/// the row, so that it is not older than what the row may have been changed by.
async fn kept(connection: &mut PgConnection, meta: &Meta, rows: &Rows) -> Result<Done, StoreError> {
    let record = rows.target.clone().ok_or_else(no_target)?;
    let secrets = sqlx::query(SECRETS)
        .bind(record.id.as_str())
        .fetch_all(connection)
        .await
        .map_err(failed("reading the secrets of a key"))?;
    let revision = row::revision(secrets.first().ok_or_else(no_meta)?)?;
    let mut touched = Vec::new();
    for row in &secrets {
        if row::column::<Option<&[u8]>>(row, "digest")?.is_some() {
            let digest = KeyDigest::from_bytes(row::bytes(row, "digest")?);
            touched.push(Touched::changed(&digest));
        }
    }
    let outcome = Outcome::Kept { touched, record };
    Ok(Done::Nothing(meta.transacted(revision, outcome)))
}

/// A decision changes the row that it was shown and no other.
fn must_be_the_target<'a>(rows: &'a Rows, record: &KeyRecord) -> Result<&'a KeyRecord, StoreError> {
    rows.target
        .as_ref()
        .filter(|target| target.id == record.id)
        .ok_or_else(no_target)
}

impl Meta {
    fn transacted(&self, revision: u64, outcome: Outcome) -> Transacted {
        Transacted {
            now: self.now,
            store: self.store,
            revision,
            outcome,
        }
    }
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
