//! Transactions that overlap, so that neither has seen what the other does.

use portcullis::store::{KeyStore as _, Source};

use super::sample::{add, digest, disable, position, touched_since};
use super::{Place, soon};

/// Another secret of key 1, with the digest of number 9.
const ANOTHER_SECRET: &str = "\
    INSERT INTO portcullis.secrets (digest, key_id, slot, hint, expires_at) \
    SELECT decode(repeat('09', 32), 'hex'), id, 'previous', 'hint', now() + interval '1 hour' \
    FROM portcullis.keys WHERE id LIKE '%1'";

/// The secret of key 2 becomes one of key 1.
const MOVED_SECRET: &str = "\
    UPDATE portcullis.secrets SET key_id = 'key_0000000000000000000001', slot = 'previous', \
        hint = 'hint', expires_at = now() + interval '1 hour' \
    WHERE digest = decode(repeat('02', 32), 'hex')";

/// It would be looked up and remembered as good before the revocation commits, which knows nothing
/// of it and puts nothing out of date.
#[tokio::test]
async fn a_secret_that_comes_while_its_key_is_being_revoked_waits() {
    for (sql, number) in [(ANOTHER_SECRET, 9), (MOVED_SECRET, 2)] {
        let Some(place) = Place::new() else { return };
        let store = place.store().await;
        add(&store, 1).await;
        add(&store, 2).await;
        let (mut first, mut second) = (place.hand().await, place.hand().await);
        let mut watching = place.hand().await;
        first
            .types("BEGIN; UPDATE portcullis.keys SET revoked_at = now() WHERE id LIKE '%1'")
            .await
            .unwrap();
        let adding = tokio::spawn(async move { second.types(sql).await });
        let waits = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                     AND application_name = 'hand' AND wait_event_type = 'Lock'";
        soon("it waits", async || {
            assert!(!adding.is_finished(), "it did not wait");
            watching.reads::<i64>(waits).await == 1
        })
        .await;
        first.types("COMMIT").await.unwrap();
        adding.await.unwrap().unwrap();
        let look_up = store.look_up(&digest(number), Source::Primary).await;
        let found = look_up.unwrap().found.unwrap();
        assert!(found.record.revoked.is_some());
    }
}

/// The revision that such a transaction would take for the next one is long gone, and so nothing is
/// in its way there: read by nobody, its change would never be heard of.
#[tokio::test]
async fn a_transaction_that_is_older_than_all_change_rows_is_refused() {
    let Some(place) = Place::new() else { return };
    let store = place.store().await;
    add(&store, 1).await;
    add(&store, 2).await;
    let (mut old, mut busy) = (place.hand().await, place.hand().await);
    old.types("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM portcullis.keys")
        .await
        .unwrap();
    busy.types(
        "DO $$ BEGIN FOR i IN 1..10200 LOOP \
             UPDATE portcullis.keys SET name = i::text WHERE id LIKE '%2'; COMMIT; \
         END LOOP; END $$",
    )
    .await
    .unwrap();
    let before = position(&store).await;
    let revoked = "UPDATE portcullis.keys SET revoked_at = now() WHERE id LIKE '%1'";
    old.types(revoked).await.unwrap();
    let error = old.types("COMMIT").await.unwrap_err();
    let code = error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code);
    assert_eq!(code.as_deref(), Some("40001"), "{error}");
    assert_eq!(position(&store).await, before);
    disable(&store, 1).await.unwrap();
    assert_eq!(touched_since(&store, before).await.len(), 1);
}
