//! What it costs.

use std::collections::BTreeMap;
use std::time::Duration;

use portcullis::store::{EventQuery, KeyStore, ListQuery, Owner, Retention, Subjects, Use};
use portcullis::timestamp::Timestamp;

use super::sample::{add, digest, disable, id, is_found, position, refuse};
use super::{Hand, Place, soon};

const TABLES: [&str; 6] = [
    "keys",
    "secrets",
    "digests",
    "events",
    "change_sets",
    "changes",
];

const FILL: &str = "\
    INSERT INTO portcullis.keys (id, name, owner, environment, hint, scopes) \
    SELECT 'key_' || lpad(i::text, 22, '0'), 'n', 'o' || i % 100, 'live', 'acme_live_abcd', 'a:b' \
    FROM generate_series($FROM, $TO) AS i; \
    INSERT INTO portcullis.secrets (digest, key_id) \
    SELECT sha256(i::text::bytea), 'key_' || lpad(i::text, 22, '0') \
    FROM generate_series($FROM, $TO) AS i";

/// Of each of these keys, three lines.
const TELL: &str = "\
    INSERT INTO portcullis.events (key_id, what) \
    SELECT 'key_' || lpad(i::text, 22, '0'), 'changed' \
    FROM generate_series(1000, 20000) AS i, generate_series(1, 3)";

async fn fill(hand: &mut Hand, from: u32, to: u32) {
    let sql = FILL.replace("$FROM", &from.to_string());
    hand.types(&sql.replace("$TO", &to.to_string()))
        .await
        .unwrap();
}

/// Keeps Postgres from looking at the tables by itself.
async fn without_help(hand: &mut Hand) {
    for table in TABLES {
        let sql = format!("ALTER TABLE portcullis.{table} SET (autovacuum_enabled = false)");
        hand.types(&sql).await.unwrap();
    }
}

/// Of each table, how many rows were read by scans of all of it.
async fn read_in_full(hand: &mut Hand) -> BTreeMap<String, i64> {
    let mut read = BTreeMap::new();
    for table in TABLES {
        hand.types("SELECT pg_stat_clear_snapshot()").await.unwrap();
        let sql = format!(
            "SELECT seq_tup_read FROM pg_stat_xact_all_tables \
             WHERE schemaname = 'portcullis' AND relname = '{table}'"
        );
        read.insert(table.to_owned(), hand.reads::<i64>(&sql).await);
    }
    read
}

/// Also while Postgres knows nothing of the tables yet, and whatever the session did before.
#[tokio::test]
async fn a_change_of_few_keys_reads_no_table_in_full() {
    let Some(place) = Place::new() else { return };
    drop(place.store().await);
    let mut hand = place.hand().await;
    without_help(&mut hand).await;
    fill(&mut hand, 1, 20_000).await;
    // By which plans are made that are kept.
    hand.types(
        "UPDATE portcullis.keys SET enabled = false WHERE id < 'key_' || lpad('2000', 22, '0')",
    )
    .await
    .unwrap();
    let changes = [
        "UPDATE portcullis.keys SET enabled = false WHERE id = 'key_' || lpad('5001', 22, '0')",
        "UPDATE portcullis.keys SET enabled = false \
         WHERE id BETWEEN 'key_' || lpad('5100', 22, '0') AND 'key_' || lpad('5120', 22, '0')",
        "UPDATE portcullis.secrets SET expires_at = now() \
         WHERE key_id = 'key_' || lpad('5002', 22, '0')",
        "UPDATE portcullis.secrets SET digest = sha256('exchanged') \
         WHERE key_id = 'key_' || lpad('5005', 22, '0')",
        "INSERT INTO portcullis.secrets (digest, key_id, slot, hint, expires_at) \
         SELECT sha256('added'), 'key_' || lpad('5006', 22, '0'), 'previous', 'h', now()",
        "DELETE FROM portcullis.keys WHERE id = 'key_' || lpad('5003', 22, '0')",
        "DELETE FROM portcullis.secrets WHERE key_id = 'key_' || lpad('5004', 22, '0')",
    ];
    for change in changes {
        // Whatever the statement itself does, the triggers are what this is about.
        hand.types("BEGIN").await.unwrap();
        let before = read_in_full(&mut hand).await;
        hand.types(change).await.unwrap();
        hand.types("SET CONSTRAINTS ALL IMMEDIATE").await.unwrap();
        for (table, read) in read_in_full(&mut hand).await {
            let read = read - before[&table];
            assert!(read < 2_000, "{read} rows of {table} by {change}");
        }
        hand.types("COMMIT").await.unwrap();
    }
}

/// The same of all sessions that have ended.
async fn ever_read_in_full(hand: &mut Hand) -> i64 {
    // What this session has read itself, to fill the tables, is told at once, and not a second later.
    hand.types("SELECT pg_stat_force_next_flush()")
        .await
        .unwrap();
    hand.reads(
        "SELECT sum(seq_tup_read)::bigint FROM pg_stat_user_tables \
         WHERE schemaname = 'portcullis' AND relname <> 'meta'",
    )
    .await
}

/// Whether Postgres has looked at the tables or not, and however often a statement was run: after
/// the fifth time it may have another plan.
#[tokio::test]
async fn nothing_that_the_store_asks_reads_a_table_in_full() {
    const TIMES: u8 = 12;
    let Some(place) = Place::new() else { return };
    drop(place.store().await);
    let mut hand = place.hand().await;
    without_help(&mut hand).await;
    fill(&mut hand, 1_000, 20_000).await;
    hand.types(TELL).await.unwrap();
    for is_known in [false, true] {
        if is_known {
            hand.types("ANALYZE").await.unwrap();
        }
        soon("everybody has left", async || {
            hand.sessions("true").await == 0
        })
        .await;
        let before = ever_read_in_full(&mut hand).await;
        let store = place.store().await;
        for number in 1..=TIMES {
            let number = if is_known { number + 100 } else { number };
            let here = position(&store).await;
            add(&store, number).await;
            disable(&store, number).await.unwrap();
            assert!(is_found(&store, number).await);
            store.get(&id(number)).await.unwrap();
            store.sync(Some(here)).await.unwrap();
            let used = Use {
                digest: digest(number),
                at: Timestamp::UNIX_EPOCH,
            };
            store.touch(&[used]).await.unwrap();
            let owner = Owner::parse("o7").unwrap();
            // One that a key has, and one that none has.
            for wanted in [number, number + 50] {
                let subjects = Subjects {
                    count_owner: Some(owner.clone()),
                    digest: Some(digest(wanted)),
                    ..Subjects::default()
                };
                store.transact(subjects, refuse()).await.unwrap();
            }
            for key in [None, Some(id(number))] {
                let query = EventQuery {
                    key,
                    before: Some(1 << 40),
                    limit: 50,
                };
                assert!(!store.events(&query).await.unwrap().value.is_empty());
            }
            let day = Some(Duration::from_hours(24));
            let retention = Retention {
                dead_keys: day,
                events: day,
            };
            store.prune(&retention).await.unwrap();
            for owner in [None, Some(owner)] {
                let query = ListQuery {
                    owner,
                    after: Some((Timestamp::MAX, id(1))),
                    limit: 50,
                    ..ListQuery::default()
                };
                assert_eq!(store.list(&query).await.unwrap().value.len(), 50);
            }
        }
        drop(store);
        // What they have read is told when they end.
        soon("everybody has left", async || {
            hand.sessions("true").await == 0
        })
        .await;
        let read = ever_read_in_full(&mut hand).await - before;
        assert!(read < 19_000, "{read} rows, is_known: {is_known}");
    }
}

#[tokio::test]
async fn very_many_rows_in_one_statement_are_one_revision_and_few_rows() {
    let Some(place) = Place::new() else { return };
    let store = place.store().await;
    let mut hand = place.hand().await;
    fill(&mut hand, 1, 20_000).await;
    // A plan that is best for one row is kept in the session.
    hand.types("UPDATE portcullis.keys SET name = 'one' WHERE id = 'key_' || lpad('1', 22, '0')")
        .await
        .unwrap();
    // Far more than it takes, far less than a loop over all pairs.
    hand.types("SET statement_timeout = '8s'").await.unwrap();
    let mut before = position(&store).await;
    for rows in [1_000, 10_000, 20_000] {
        hand.types(&format!(
            "UPDATE portcullis.keys SET name = 'many' WHERE id <= 'key_' || lpad('{rows}', 22, '0')"
        ))
        .await
        .unwrap();
        let after = position(&store).await;
        assert_eq!(
            after.revision,
            before.revision + 1,
            "one transaction, one revision"
        );
        let written: i64 = hand
            .reads(&format!(
                "SELECT count(*) FROM portcullis.changes JOIN portcullis.change_sets USING (nonce) \
                 WHERE revision = {}",
                after.revision
            ))
            .await;
        assert!(written <= 1_000, "{written} change rows for {rows} keys");
        before = after;
    }
}
