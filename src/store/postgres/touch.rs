//! Writing down when secrets were last used.

use super::connections::Connections;
use super::failure::failed;
use super::row;
use crate::store::{StoreError, Use};

/// Later uses alone, and of keys that are not revoked.
///
/// One statement, that can be run twice. It locks keys in the order in which all transactions of this
/// store do, and leaves out those that somebody else has locked at this moment: a statistic waits
/// for nobody, and nobody waits for a whole batch of it.
const TOUCH: &str = "\
    WITH used AS ( \
        SELECT s.digest, s.key_id, max(u.at) AS at \
        FROM unnest($1::bytea[], $2::timestamptz[]) AS u (digest, at) \
        JOIN portcullis.secrets s ON s.digest = u.digest \
        GROUP BY s.digest, s.key_id \
    ), living AS MATERIALIZED ( \
        SELECT k.id FROM portcullis.keys k \
        WHERE k.id IN (SELECT key_id FROM used) AND k.revoked_at IS NULL \
        ORDER BY k.id FOR NO KEY UPDATE SKIP LOCKED \
    ), of_secrets AS ( \
        UPDATE portcullis.secrets s SET last_used_at = u.at \
        FROM used u JOIN living l ON l.id = u.key_id \
        WHERE s.digest = u.digest AND (s.last_used_at IS NULL OR s.last_used_at < u.at) \
    ) \
    UPDATE portcullis.keys k SET last_used_at = u.at \
    FROM (SELECT key_id, max(at) AS at FROM used GROUP BY key_id) u \
    JOIN living l ON l.id = u.key_id \
    WHERE k.id = l.id AND (k.last_used_at IS NULL OR k.last_used_at < u.at)";

pub(super) async fn touch(writes: &Connections, uses: Vec<Use>) -> Result<(), StoreError> {
    if uses.is_empty() {
        return Ok(());
    }
    let statement = || {
        let digests = uses.iter().map(|used| used.digest.as_bytes().to_vec());
        let moments = uses.iter().map(|used| row::to_sql(used.at));
        sqlx::query(TOUCH)
            .bind(digests.collect::<Vec<_>>())
            .bind(moments.collect::<Vec<_>>())
    };
    let written = writes.rows(statement).await;
    written.map_err(failed("writing down the last use of a key"))?;
    Ok(())
}
