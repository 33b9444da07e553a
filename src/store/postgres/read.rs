//! Reads: one statement each, so that each is one snapshot.

use sqlx::AssertSqlSafe;
use sqlx::postgres::{PgListener, PgRow};

use super::connections::Connections;
use super::failure::failed;
use super::meta::no_meta;
use super::row::{self, found_columns, key_columns, sent, with_previous};
use crate::key::{Environment, KeyDigest, KeyId};
use crate::store::{
    Change, Falsifies, KeyRecord, ListQuery, LookUp, Position, Read, Status, StoreError,
    StoreErrorKind, SyncReport, Touched, Where,
};
use crate::timestamp::Timestamp;

/// One row, whether there is such a key or not: the revision belongs to "no such key" too.
macro_rules! look_up {
    ($digest:literal) => {
        concat!(
            // Settled when the transaction began, before its snapshot: a server that is promoted
            // meanwhile answers from what it had as a replica.
            "SELECT m.store_id, current_setting('transaction_read_only') = 'off' \
                        AND NOT pg_is_in_recovery() AS is_primary, \
                    (SELECT max(revision) FROM portcullis.change_sets) AS revision, ",
            sent!("clock_timestamp()" AS "now"),
            ", ",
            found_columns!(),
            " FROM portcullis.meta m \
              LEFT JOIN portcullis.secrets s ON s.digest = ",
            $digest,
            " LEFT JOIN portcullis.keys k ON k.id = s.key_id",
            with_previous!()
        )
    };
}

const LOOK_UP: &str = look_up!("$1");

/// How a look-up is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Prepared once in a session, which has its limits from its beginning.
    Prepared,
    /// In one message that brings all it needs, as what lies between may hand each to another session.
    SelfContained,
}

/// The digest is written by this very function, in letters and digits alone.
fn self_contained(digest: KeyDigest) -> String {
    let mut hex = String::with_capacity(64);
    for byte in digest.as_bytes() {
        hex.push(char::from(b"0123456789abcdef"[usize::from(byte >> 4)]));
        hex.push(char::from(b"0123456789abcdef"[usize::from(byte & 15)]));
    }
    format!(
        concat!(
            "SELECT set_config('statement_timeout', '1s', true), \
                    set_config('lock_timeout', '1s', true), set_config('jit', 'off', true); ",
            look_up!("decode('{}', 'hex')")
        ),
        hex
    )
}

/// One row for each change, or one without a change.
///
/// OFFSET keeps the two tables apart, so that the newest rows alone are read, by their index, also
/// before Postgres knows anything of them. One row more at most than [`MOST_CHANGES`].
const SYNC: &str = "\
    SELECT m.store_id, \
           current_setting('transaction_read_only') = 'on' OR pg_is_in_recovery() AS is_replica, n.revision, n.nonce, \
           t.nonce AS nonce_then, c.revision AS change_revision, c.shard, c.kind \
    FROM portcullis.meta m \
    LEFT JOIN ( \
        SELECT revision, nonce FROM portcullis.change_sets \
        WHERE revision IS NOT NULL ORDER BY revision DESC LIMIT 1 \
    ) n ON true \
    LEFT JOIN portcullis.change_sets t ON t.revision = coalesce($1, n.revision) \
    LEFT JOIN ( \
        SELECT s.revision, c.shard, c.kind \
        FROM portcullis.change_sets s, LATERAL ( \
            SELECT shard, kind FROM portcullis.changes WHERE nonce = s.nonce OFFSET 0 \
        ) c \
        WHERE s.revision > $1 ORDER BY s.revision LIMIT 20001 \
    ) c ON true";

/// So many changes are told one by one. More of them, as when somebody works through all keys while
/// nobody listens, may have changed anything.
const MOST_CHANGES: usize = 20_000;

/// One row, so that it brings the clock also where there is no such key.
const GET: &str = concat!(
    "SELECT ",
    sent!("clock_timestamp()" AS "now"),
    ", ",
    key_columns!(),
    " FROM (VALUES (true)) AS one \
      LEFT JOIN portcullis.keys k ON k.id = $1",
    with_previous!()
);

/// What a list asks of each key, beside its place. The status is [`KeyRecord::status`].
macro_rules! filters {
    () => {
        " AND ($4::text IS NULL OR k.environment = $4) \
          AND ($5::timestamptz IS NULL OR k.expires_at < $5) \
          AND ($6::text IS NULL OR $6 = CASE \
              WHEN k.revoked_at IS NOT NULL THEN 'revoked' \
              WHEN k.expires_at <= $7 THEN 'expired' \
              WHEN NOT k.enabled THEN 'disabled' \
              ELSE 'active' END) \
          ORDER BY k.created_at DESC, k.id DESC LIMIT $3"
    };
}

const LIST: &str = concat!(
    "SELECT ",
    key_columns!(),
    " FROM portcullis.keys k",
    with_previous!(),
    "WHERE (k.created_at, k.id) < (coalesce($1, 'infinity'), $2)",
    filters!()
);

const LIST_OF_OWNER: &str = concat!(
    "SELECT ",
    key_columns!(),
    " FROM portcullis.keys k",
    with_previous!(),
    "WHERE k.owner = $8 AND (k.created_at, k.id) < (coalesce($1, 'infinity'), $2)",
    filters!()
);

pub(super) async fn look_up(
    connections: &Connections,
    digest: KeyDigest,
    form: Form,
) -> Result<LookUp, StoreError> {
    let rows = match form {
        Form::Prepared => {
            let look_up = || sqlx::query(LOOK_UP).bind(digest.as_bytes().to_vec());
            connections.rows(look_up).await
        }
        Form::SelfContained => {
            let look_up = || sqlx::raw_sql(AssertSqlSafe(self_contained(digest)));
            connections.rows(look_up).await
        }
    };
    let rows = rows.map_err(failed("looking up a key"))?;
    // Before it there may be what set the limits.
    let row = rows.last().ok_or_else(no_meta)?;
    Ok(LookUp {
        store: row::store(row)?,
        revision: row::revision(row)?,
        now: row::moment(row, "now")?,
        primary: row::column(row, "is_primary")?,
        found: row::found(row)?,
    })
}

/// On the connection that listens, which this shows to be alive.
pub(super) async fn sync(
    listener: &mut PgListener,
    since: Option<Position>,
) -> Result<SyncReport, StoreError> {
    // No revision is beyond what Postgres can count.
    let then = since.map(|since| i64::try_from(since.revision).unwrap_or(i64::MAX));
    let rows: Vec<PgRow> = sqlx::query(SYNC)
        .bind(then)
        .fetch_all(listener)
        .await
        .map_err(failed("reading the change rows"))?;
    let first = rows.first().ok_or_else(no_meta)?;
    if row::column(first, "is_replica")? {
        let context = "the server takes no writes: a read replica may not say what is new";
        return Err(StoreError::new(StoreErrorKind::Unavailable, context));
    }
    let position = Position {
        store: row::store(first)?,
        revision: row::revision(first)?,
        nonce: row::column(first, "nonce")?,
    };
    let changes: Vec<Change> = rows
        .iter()
        .filter_map(|row| row::change(row).transpose())
        .collect::<Result<_, _>>()?;
    Ok(SyncReport {
        position,
        nonce_then: row::column(first, "nonce_then")?,
        changes: if changes.len() > MOST_CHANGES {
            vec![anything_at(position.revision)]
        } else {
            changes
        },
    })
}

fn anything_at(revision: u64) -> Change {
    Change {
        revision,
        touched: Touched {
            place: Where::Anywhere,
            falsifies: Falsifies::Everything,
        },
    }
}

pub(super) async fn get(
    lists: &Connections,
    id: KeyId,
) -> Result<Read<Option<KeyRecord>>, StoreError> {
    let rows = lists
        .rows(|| sqlx::query(GET).bind(id.as_str().to_owned()))
        .await
        .map_err(failed("reading a key"))?;
    let row = rows.first().ok_or_else(no_meta)?;
    Ok(Read {
        now: row::moment(row, "now")?,
        value: row::record_if_any(row)?,
    })
}

pub(super) async fn list(
    lists: &Connections,
    query: ListQuery,
) -> Result<Read<Vec<KeyRecord>>, StoreError> {
    const CONTEXT: &str = "listing keys";
    // By this moment keys are told apart that have ended, or not.
    let now = now(lists).await?;
    let ListQuery {
        owner,
        after,
        limit,
        status,
        environment,
        expires_before,
    } = query;
    let (created_at, id) = after.unzip();
    let id = id.map_or_else(String::new, |id| id.as_str().to_owned());
    let statement = match owner {
        Some(_) => LIST_OF_OWNER,
        None => LIST,
    };
    let select = || {
        let select = sqlx::query(statement)
            // Planned each time, for what it asks: a plan for any limit may read all there is.
            .persistent(false)
            .bind(created_at.map(row::to_sql))
            .bind(id.clone())
            .bind(i64::from(limit))
            .bind(environment.as_ref().map(Environment::to_string))
            .bind(expires_before.map(row::to_sql))
            .bind(status.map(Status::as_str))
            .bind(row::to_sql(now));
        match &owner {
            Some(owner) => select.bind(owner.to_string()),
            None => select,
        }
    };
    let rows = lists.rows(select).await.map_err(failed(CONTEXT))?;
    Ok(Read {
        now,
        value: rows.iter().map(row::record).collect::<Result<_, _>>()?,
    })
}

async fn now(lists: &Connections) -> Result<Timestamp, StoreError> {
    const CLOCK: &str = concat!("SELECT ", sent!("clock_timestamp()" AS "now"));
    let clock = || sqlx::query(CLOCK);
    let rows = lists.rows(clock).await;
    let rows = rows.map_err(failed("reading the clock"))?;
    row::moment(rows.first().ok_or_else(no_meta)?, "now")
}
