//! The rows that a decision is about: locked, and then read.

use sqlx::PgConnection;

use super::failure::failed;
use super::meta::Meta;
use super::row::{self, found_columns, key_columns, sent, with_previous};
use crate::key::{KeyDigest, KeyId};
use crate::store::{FoundKey, KeyRecord, Owner, Replay, ReplayKey, Rows, StoreError, Subjects};

/// What is locked besides rows: arbitrary numbers, with some bits of what it is about.
const REQUEST: i32 = 70_218_354;
const OWNER: i32 = 70_218_355;
const DIGEST: i32 = 70_218_356;

/// Whose rows have to be locked.
const WHOM: &str = "\
    SELECT (SELECT key_id FROM portcullis.secrets WHERE digest = $1) AS caller, \
           (SELECT key_id FROM portcullis.replays \
            WHERE replay = $2 AND expires_at > clock_timestamp()) AS made";

/// Keeps a key as it is.
const LOCK_AGAINST_CHANGE: &str = "SELECT FROM portcullis.keys WHERE id = $1 FOR SHARE";

/// Keeps others from changing it, or from counting on it.
const LOCK_FOR_CHANGE: &str = "SELECT FROM portcullis.keys WHERE id = $1 FOR NO KEY UPDATE";

const CALLER: &str = concat!(
    "SELECT ",
    found_columns!(),
    " FROM portcullis.secrets s JOIN portcullis.keys k ON k.id = s.key_id",
    with_previous!(),
    "WHERE s.digest = $1"
);

const TARGET: &str = concat!(
    "SELECT ",
    key_columns!(),
    " FROM portcullis.keys k",
    with_previous!(),
    "WHERE k.id = $1"
);

const HOLDER: &str = concat!(
    "SELECT ",
    key_columns!(),
    " FROM portcullis.secrets s JOIN portcullis.keys k ON k.id = s.key_id",
    with_previous!(),
    "WHERE s.digest = $1"
);

const WAS_GIVEN: &str = "SELECT EXISTS (SELECT FROM portcullis.digests WHERE digest = $1)";

const LIVE_KEYS: &str = "\
    SELECT count(*) FROM portcullis.keys \
    WHERE owner = $1 AND revoked_at IS NULL \
      AND (expires_at IS NULL OR expires_at > clock_timestamp())";

const REPLAY: &str = concat!(
    "SELECT request, key_id, ",
    sent!("expires_at" AS "expires_at"),
    " FROM portcullis.replays WHERE replay = $1 AND expires_at > clock_timestamp()"
);

/// Locks the rows that the decision is about. Always in the order of ids, so that no two
/// transactions wait for each other.
///
/// They are read in later statements: what a statement finds beside a row that it had to wait for
/// is older than that row.
pub(super) async fn lock(
    connection: &mut PgConnection,
    subjects: &Subjects,
) -> Result<(), StoreError> {
    const CONTEXT: &str = "waiting for others who change the key";
    let Subjects {
        caller,
        target,
        replay,
        count_owner,
        digest,
    } = subjects;
    // These in this order, and before any row, so that no two transactions wait for each other.
    if let Some(replay) = replay {
        let [a, b, c, d, ..] = replay.0;
        let bits = i32::from_be_bytes([a, b, c, d]);
        hold(connection, REQUEST, bits, "waiting for the same request").await?;
    }
    if let Some(owner) = count_owner {
        let bits = sqlx::query_scalar("SELECT hashtext($1)")
            .bind(owner.as_str())
            .fetch_one(&mut *connection)
            .await
            .map_err(failed(CONTEXT))?;
        hold(
            connection,
            OWNER,
            bits,
            "waiting for other new keys of the owner",
        )
        .await?;
    }
    if let Some(digest) = digest {
        let [a, b, c, d, ..] = *digest.as_bytes();
        let bits = i32::from_be_bytes([a, b, c, d]);
        hold(
            connection,
            DIGEST,
            bits,
            "waiting for others with the same digest",
        )
        .await?;
    }
    let mut made = None;
    let mut caller_id = None;
    if caller.is_some() || replay.is_some() {
        let row = sqlx::query(WHOM)
            .bind(caller.as_ref().map(|digest| &digest.as_bytes()[..]))
            .bind(replay.as_ref().map(|replay| &replay.0[..]))
            .fetch_one(&mut *connection)
            .await
            .map_err(failed(CONTEXT))?;
        caller_id = row::column::<Option<String>>(&row, "caller")?;
        made = row::column::<Option<String>>(&row, "made")?;
    }
    let target = made.or_else(|| target.as_ref().map(|id| id.as_str().to_owned()));
    let caller = caller_id
        .filter(|caller| Some(caller) != target.as_ref())
        .map(|id| (id, LOCK_AGAINST_CHANGE));
    let mut locks: Vec<_> = caller
        .into_iter()
        .chain(target.map(|id| (id, LOCK_FOR_CHANGE)))
        .collect();
    locks.sort_unstable();
    for (id, lock) in locks {
        sqlx::query(lock)
            .bind(id)
            .execute(&mut *connection)
            .await
            .map_err(failed(CONTEXT))?;
    }
    Ok(())
}

/// Waits for others who hold the same of these locks. Those whose bits are the same by chance wait
/// for each other, too.
async fn hold(
    connection: &mut PgConnection,
    what: i32,
    bits: i32,
    context: &'static str,
) -> Result<(), StoreError> {
    sqlx::query("SELECT pg_advisory_xact_lock($1, $2)")
        .bind(what)
        .bind(bits)
        .execute(connection)
        .await
        .map_err(failed(context))?;
    Ok(())
}

/// The rows, and after them where the store stands: at no older a revision than any row is of.
pub(super) async fn rows(
    connection: &mut PgConnection,
    subjects: &Subjects,
) -> Result<(Meta, Rows), StoreError> {
    let caller = match &subjects.caller {
        Some(digest) => caller(connection, digest).await?,
        None => None,
    };
    let replay = match &subjects.replay {
        Some(key) => replay(connection, key).await?,
        None => None,
    };
    let id = replay.as_ref().map(|replay| &replay.made);
    let target = match id.or(subjects.target.as_ref()) {
        Some(id) => target(connection, id).await?,
        None => None,
    };
    let live_keys = match &subjects.count_owner {
        Some(owner) => live_keys(connection, owner).await?,
        None => 0,
    };
    let (mut digest_holder, mut digest_ended) = (None, false);
    if let Some(digest) = &subjects.digest {
        digest_holder = holder(connection, digest).await?;
        // In this order: whatever goes between the two statements was given before.
        digest_ended = digest_holder.is_none() && was_given(connection, digest).await?;
    }
    let meta = Meta::read(connection).await?;
    let rows = Rows {
        now: meta.now,
        caller,
        target,
        replay,
        ever_had_a_key: meta.ever_had_a_key,
        live_keys,
        digest_holder,
        digest_ended,
    };
    Ok((meta, rows))
}

async fn live_keys(connection: &mut PgConnection, owner: &Owner) -> Result<u64, StoreError> {
    let count: i64 = sqlx::query_scalar(LIVE_KEYS)
        .bind(owner.as_str())
        .fetch_one(connection)
        .await
        .map_err(failed("counting the keys of an owner"))?;
    Ok(u64::try_from(count).unwrap_or(0))
}

async fn holder(
    connection: &mut PgConnection,
    digest: &KeyDigest,
) -> Result<Option<KeyRecord>, StoreError> {
    sqlx::query(HOLDER)
        .bind(&digest.as_bytes()[..])
        .fetch_optional(connection)
        .await
        .map_err(failed("reading the key that has a digest"))?
        .as_ref()
        .map(row::record)
        .transpose()
}

async fn was_given(connection: &mut PgConnection, digest: &KeyDigest) -> Result<bool, StoreError> {
    sqlx::query_scalar(WAS_GIVEN)
        .bind(&digest.as_bytes()[..])
        .fetch_one(connection)
        .await
        .map_err(failed("asking whether a key ever had a digest"))
}

async fn caller(
    connection: &mut PgConnection,
    digest: &KeyDigest,
) -> Result<Option<FoundKey>, StoreError> {
    let row = sqlx::query(CALLER)
        .bind(&digest.as_bytes()[..])
        .fetch_optional(connection)
        .await
        .map_err(failed("reading the caller's key"))?;
    Ok(row.as_ref().map(row::found).transpose()?.flatten())
}

pub(super) async fn target(
    connection: &mut PgConnection,
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
    connection: &mut PgConnection,
    key: &ReplayKey,
) -> Result<Option<Replay>, StoreError> {
    let row = sqlx::query(REPLAY)
        .bind(&key.0[..])
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
