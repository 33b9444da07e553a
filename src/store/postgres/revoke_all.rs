//! The emergency stop.

use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{PgConnection, Postgres};

use super::change::reason;
use super::failure::failed;
use super::row;
use crate::key::KeyDigest;
use crate::store::{Falsifies, Outcome, Revocation, StoreError, Touched, Where, Whose};

/// The most secrets that are named one by one as put out of date.
const MOST_NAMED: usize = 1_000;

/// Selects the ids of the keys, as `chosen`. For `CreatedBy`, UNION ends circles typed by hand.
macro_rules! chosen {
    (All) => {
        "WITH chosen (id) AS (SELECT id FROM portcullis.keys WHERE $1::text IS NULL) "
    };
    (Owner) => {
        "WITH chosen (id) AS (SELECT id FROM portcullis.keys WHERE owner = $1) "
    };
    (CreatedBy) => {
        "WITH RECURSIVE chosen (id) AS ( \
             SELECT id FROM portcullis.keys WHERE created_by = $1 \
             UNION \
             SELECT k.id FROM chosen c JOIN portcullis.keys k ON k.created_by = 'key:' || c.id) "
    };
}

/// One more than are named.
macro_rules! secrets {
    ($whose:ident) => {
        concat!(
            chosen!($whose),
            "SELECT s.digest FROM chosen c JOIN portcullis.secrets s ON s.key_id = c.id LIMIT 1001"
        )
    };
}

/// Those that are about to be revoked, as many as are named.
macro_rules! living {
    ($whose:ident) => {
        concat!(
            chosen!($whose),
            "SELECT k.id FROM chosen c JOIN portcullis.keys k ON k.id = c.id \
             WHERE k.revoked_at IS NULL LIMIT 100000"
        )
    };
}

/// Tells of those that it revokes, and of no other.
macro_rules! revoke {
    ($whose:ident) => {
        concat!(
            chosen!($whose),
            ", revoked AS ( \
                 UPDATE portcullis.keys \
                 SET revoked_at = $2, revoked_by = $3, revoked_reason = $4 \
                 WHERE revoked_at IS NULL AND id IN (SELECT id FROM chosen) \
                 RETURNING id) \
             INSERT INTO portcullis.events (key_id, done_at, done_by, what, detail) \
             SELECT id, $2, $3, $5, $6::json FROM revoked"
        )
    };
}

/// It is worth waiting for.
const TAKE_YOUR_TIME: &str = "SELECT set_config('statement_timeout', '60s', true)";

pub(super) async fn revoke_all(
    connection: &mut PgConnection,
    whose: &Whose,
    revocation: &Revocation,
) -> Result<Outcome, StoreError> {
    const CONTEXT: &str = "revoking keys";
    let (secrets, living, revoke) = match whose {
        Whose::All => (secrets!(All), living!(All), revoke!(All)),
        Whose::Owner(_) => (secrets!(Owner), living!(Owner), revoke!(Owner)),
        Whose::CreatedBy(_) => (secrets!(CreatedBy), living!(CreatedBy), revoke!(CreatedBy)),
    };
    sqlx::raw_sql(TAKE_YOUR_TIME)
        .execute(&mut *connection)
        .await
        .map_err(failed(CONTEXT))?;
    let rows = of(whose, secrets)
        .fetch_all(&mut *connection)
        .await
        .map_err(failed(CONTEXT))?;
    let living = of(whose, living)
        .fetch_all(&mut *connection)
        .await
        .map_err(failed(CONTEXT))?;
    let event = revocation.event();
    let revoked = of(whose, revoke)
        .bind(row::to_sql(revocation.at))
        .bind(revocation.by.to_string())
        .bind(reason(revocation))
        .bind(event.what.as_str())
        .bind(event.detail.to_json())
        .execute(connection)
        .await
        .map_err(failed(CONTEXT))?
        .rows_affected();
    let id = |row| row::parsed(row, "id", |text| text.parse().ok());
    Ok(Outcome::RevokedAll {
        touched: touched(&rows)?,
        revoked,
        keys: living.iter().map(id).collect::<Result<_, _>>()?,
    })
}

fn of(whose: &Whose, statement: &'static str) -> Query<'static, Postgres, PgArguments> {
    sqlx::query(statement).bind(match whose {
        Whose::All => None,
        Whose::Owner(owner) => Some(owner.to_string()),
        Whose::CreatedBy(maker) => Some(maker.to_string()),
    })
}

/// Not what the triggers wrote down: of those revoked already they know nothing.
fn touched(secrets: &[PgRow]) -> Result<Vec<Touched>, StoreError> {
    if secrets.len() > MOST_NAMED {
        let any = Touched {
            place: Where::Anywhere,
            falsifies: Falsifies::Everything,
        };
        return Ok(vec![any]);
    }
    secrets
        .iter()
        .map(|row| {
            let digest = KeyDigest::from_bytes(row::bytes(row, "digest")?);
            Ok(Touched::changed(&digest))
        })
        .collect()
}
