//! SQL typed into the database by a person.

use std::collections::BTreeSet;

use portcullis::key::KeyHint;
use portcullis::store::{
    KeyStore, Outcome, Previous, Provenance, Revocation, Source, StoreErrorKind,
};
use portcullis::timestamp::Timestamp;

use super::sample::{
    add, committed, digest, disable, id, is_found, position, rotate, touched_since,
};
use super::{Place, soon};

/// What `$KEY` stands for.
const KEY: &str = "INTO portcullis.keys (id, name, owner, environment, hint, scopes) VALUES \
    ('key_0000000000000000000001', 'typed', 'somebody', 'live', 'hint', '')";

/// In each case the store has the keys 1 and 2, with one secret each, and number 3 revoked.
struct Case {
    name: &'static str,
    sql: &'static str,
    /// Of the numbers, whose shards must be told of: whether of everything in them. Number 0 stands
    /// for all shards.
    touched: &'static [(u16, bool)],
    /// Which of the three a look-up must find afterwards.
    found: &'static [u8],
}

const CASES: &[Case] = &[
    Case {
        name: "a key is revoked",
        sql: "UPDATE portcullis.keys SET revoked_at = now() WHERE id LIKE '%1'",
        touched: &[(1, true)],
        found: &[1, 2, 3],
    },
    Case {
        name: "all keys are disabled",
        sql: "UPDATE portcullis.keys SET enabled = false",
        touched: &[(1, true), (2, true), (3, true)],
        found: &[1, 2, 3],
    },
    Case {
        name: "scopes are taken",
        sql: "UPDATE portcullis.keys SET scopes = '' WHERE id LIKE '%2'",
        touched: &[(2, true)],
        found: &[1, 2, 3],
    },
    Case {
        name: "a key is given to another owner",
        sql: "UPDATE portcullis.keys SET owner = 'another' WHERE id LIKE '%2'",
        touched: &[(2, true)],
        found: &[1, 2, 3],
    },
    Case {
        name: "a key is put into another environment",
        sql: "UPDATE portcullis.keys SET environment = 'test' WHERE id LIKE '%2'",
        touched: &[(2, true)],
        found: &[1, 2, 3],
    },
    Case {
        name: "a key ends",
        sql: "UPDATE portcullis.keys SET expires_at = now() WHERE id LIKE '%2'",
        touched: &[(2, true)],
        found: &[1, 2, 3],
    },
    Case {
        name: "metadata is changed",
        sql: "UPDATE portcullis.keys SET metadata = '{ \"team\": 1 }' WHERE id LIKE '%2'",
        touched: &[(2, true)],
        found: &[1, 2, 3],
    },
    Case {
        name: "a key is changed to what it was",
        sql: "UPDATE portcullis.keys SET name = name WHERE id LIKE '%2'",
        touched: &[(2, true)],
        found: &[1, 2, 3],
    },
    Case {
        name: "no key is changed",
        sql: "UPDATE portcullis.keys SET enabled = false WHERE owner = 'nobody'",
        touched: &[],
        found: &[1, 2, 3],
    },
    Case {
        name: "a key is deleted, and its secret with it",
        sql: "DELETE FROM portcullis.keys WHERE id LIKE '%1'",
        touched: &[(1, true)],
        found: &[2, 3],
    },
    Case {
        name: "a key is deleted where nothing cascades",
        sql: "SET session_replication_role = replica; \
              DELETE FROM portcullis.keys WHERE id LIKE '%1'",
        touched: &[(1, true)],
        found: &[2, 3],
    },
    Case {
        name: "a deleted key's secret is left behind and finds a key again",
        sql: "SET session_replication_role = replica; \
              DELETE FROM portcullis.keys WHERE id LIKE '%1'; INSERT $KEY",
        touched: &[(1, true), (1, false)],
        found: &[1, 2, 3],
    },
    Case {
        name: "a secret that was left behind finds a key again, later",
        sql: "SET session_replication_role = replica; BEGIN; \
              DELETE FROM portcullis.keys WHERE id LIKE '%1'; COMMIT; BEGIN; INSERT $KEY; COMMIT",
        touched: &[(1, true), (1, false)],
        found: &[1, 2, 3],
    },
    Case {
        name: "all keys are deleted",
        sql: "DELETE FROM portcullis.keys",
        touched: &[(1, true), (2, true), (3, true)],
        found: &[],
    },
    Case {
        name: "a key is changed by an upsert",
        sql: "INSERT $KEY ON CONFLICT (id) DO UPDATE SET name = excluded.name",
        touched: &[(1, true)],
        found: &[1, 2, 3],
    },
    Case {
        name: "an upsert does nothing",
        sql: "INSERT $KEY ON CONFLICT DO NOTHING",
        touched: &[],
        found: &[1, 2, 3],
    },
    Case {
        name: "a secret is added",
        sql: "INSERT INTO portcullis.secrets (digest, key_id, slot, hint, expires_at) \
              SELECT '12345678901234567890123456789012', id, 'previous', 'h', now() \
              FROM portcullis.keys WHERE id LIKE '%1'",
        // '12' is 0x3132.
        touched: &[(0x3132, false)],
        found: &[1, 2, 3],
    },
    Case {
        name: "a secret is added or changed, in one statement",
        sql: "INSERT INTO portcullis.secrets (digest, key_id) \
              SELECT digest, key_id FROM portcullis.secrets WHERE key_id LIKE '%1' \
              ON CONFLICT (digest) DO UPDATE SET expires_at = now()",
        touched: &[(1, true)],
        found: &[1, 2, 3],
    },
    Case {
        name: "a secret is deleted",
        sql: "DELETE FROM portcullis.secrets WHERE key_id LIKE '%1'",
        touched: &[(1, true)],
        found: &[2, 3],
    },
    Case {
        name: "all secrets are deleted",
        sql: "DELETE FROM portcullis.secrets",
        touched: &[(1, true), (2, true), (3, true)],
        found: &[],
    },
    Case {
        name: "a secret ends",
        sql: "UPDATE portcullis.secrets SET expires_at = now() WHERE key_id LIKE '%1'",
        touched: &[(1, true)],
        found: &[1, 2, 3],
    },
    Case {
        name: "a secret is exchanged",
        sql: "UPDATE portcullis.secrets SET digest = '12345678901234567890123456789012' \
              WHERE key_id LIKE '%1'",
        touched: &[(1, true), (0x3132, true)],
        found: &[2, 3],
    },
    Case {
        name: "two secrets are exchanged for each other",
        sql: "SET session_replication_role = replica; BEGIN; \
              UPDATE portcullis.secrets SET key_id = 'x', slot = 'current' WHERE key_id LIKE '%1'; \
              UPDATE portcullis.secrets SET key_id = 'key_0000000000000000000001' \
              WHERE key_id LIKE '%2'; \
              UPDATE portcullis.secrets SET key_id = 'key_0000000000000000000002' \
              WHERE key_id = 'x'; COMMIT",
        touched: &[(1, true), (2, true)],
        found: &[1, 2, 3],
    },
    Case {
        name: "a secret is given to another key",
        sql: "UPDATE portcullis.secrets SET key_id = 'key_0000000000000000000002', \
              slot = 'previous', hint = 'hint', expires_at = now() WHERE key_id LIKE '%1'",
        touched: &[(1, true)],
        found: &[1, 2, 3],
    },
    Case {
        name: "a secret becomes the previous one",
        sql: "UPDATE portcullis.secrets SET slot = 'previous', hint = 'hint', expires_at = now() \
              WHERE key_id LIKE '%1'",
        touched: &[(1, true)],
        found: &[1, 2, 3],
    },
    Case {
        name: "all keys are gone at once",
        sql: "TRUNCATE portcullis.keys CASCADE",
        touched: &[(0, true)],
        found: &[],
    },
    Case {
        name: "all secrets are gone at once",
        sql: "TRUNCATE portcullis.secrets",
        touched: &[(0, true)],
        found: &[],
    },
    Case {
        name: "the triggers are to play a replica's part",
        sql: "SET session_replication_role = replica; \
              UPDATE portcullis.keys SET enabled = false WHERE id LIKE '%1'; \
              DELETE FROM portcullis.secrets WHERE key_id LIKE '%2'; \
              TRUNCATE portcullis.keys CASCADE",
        touched: &[(1, true), (2, true), (0, true)],
        found: &[],
    },
    Case {
        name: "several statements are one transaction",
        sql: "BEGIN; UPDATE portcullis.keys SET enabled = false WHERE id LIKE '%1'; \
              DELETE FROM portcullis.secrets WHERE key_id LIKE '%2'; COMMIT",
        touched: &[(1, true), (2, true)],
        found: &[1, 3],
    },
    Case {
        name: "a part of a transaction is taken back, from its beginning on",
        sql: "BEGIN; SAVEPOINT a; UPDATE portcullis.keys SET enabled = false WHERE id LIKE '%1'; \
              ROLLBACK TO a; UPDATE portcullis.keys SET enabled = false WHERE id LIKE '%2'; COMMIT",
        touched: &[(2, true)],
        found: &[1, 2, 3],
    },
    Case {
        name: "the rest of a transaction is taken back",
        sql: "BEGIN; UPDATE portcullis.keys SET enabled = false WHERE id LIKE '%1'; SAVEPOINT a; \
              UPDATE portcullis.keys SET enabled = false WHERE id LIKE '%2'; ROLLBACK TO a; COMMIT",
        touched: &[(1, true)],
        found: &[1, 2, 3],
    },
    Case {
        name: "the revision is taken early",
        sql: "BEGIN; UPDATE portcullis.keys SET enabled = false WHERE id LIKE '%1'; \
              SET CONSTRAINTS ALL IMMEDIATE; \
              UPDATE portcullis.keys SET enabled = false WHERE id LIKE '%2'; COMMIT",
        touched: &[(1, true), (2, true)],
        found: &[1, 2, 3],
    },
    Case {
        name: "the revision is taken at once",
        sql: "BEGIN; SET CONSTRAINTS ALL IMMEDIATE; \
              UPDATE portcullis.keys SET enabled = false; COMMIT",
        touched: &[(1, true), (2, true), (3, true)],
        found: &[1, 2, 3],
    },
    Case {
        name: "something was left lying in the session",
        sql: "SET portcullis.change_set = '1:1'; UPDATE portcullis.keys SET enabled = false",
        touched: &[(1, true), (2, true), (3, true)],
        found: &[1, 2, 3],
    },
    Case {
        name: "the session finds other things under the names used",
        sql: "CREATE SCHEMA mine; CREATE TABLE mine.keys (id text); CREATE TABLE mine.meta (x int); \
              CREATE FUNCTION mine.sha256(bytea) RETURNS bytea LANGUAGE sql RETURN NULL::bytea; \
              SET search_path = mine, pg_catalog; \
              UPDATE portcullis.keys SET enabled = false WHERE id LIKE '%1'",
        touched: &[(1, true)],
        found: &[1, 2, 3],
    },
    Case {
        name: "roles are given, things and places taken",
        sql: "UPDATE portcullis.keys SET roles = 'auditor' WHERE id LIKE '%1'; \
              UPDATE portcullis.keys SET resources = '{}' WHERE id LIKE '%2'; \
              UPDATE portcullis.keys SET allowed_ips = '::1/128' WHERE id LIKE '%3'",
        touched: &[(1, true), (2, true), (3, true)],
        found: &[1, 2, 3],
    },
    Case {
        name: "and a last use is written down with them",
        sql: "UPDATE portcullis.keys SET last_used_at = now(), roles = 'auditor' WHERE id LIKE '%1'; \
              UPDATE portcullis.keys SET last_used_at = now(), resources = '{}' WHERE id LIKE '%2'; \
              UPDATE portcullis.keys SET last_used_at = now(), allowed_ips = '::1/128' \
              WHERE id LIKE '%3'",
        touched: &[(1, true), (2, true), (3, true)],
        found: &[1, 2, 3],
    },
    Case {
        name: "the trail is added to, changed and cut off",
        sql: "INSERT INTO portcullis.events (key_id, done_at, what) \
              VALUES ('key_0000000000000000000001', now(), 'changed'); \
              UPDATE portcullis.events SET detail = '{\"reason\":\"because\"}'; \
              DELETE FROM portcullis.events",
        touched: &[],
        found: &[1, 2, 3],
    },
    Case {
        name: "a last use of keys is written down",
        sql: "UPDATE portcullis.keys SET last_used_at = now()",
        touched: &[],
        found: &[1, 2, 3],
    },
    Case {
        name: "a last use of secrets is written down",
        sql: "UPDATE portcullis.secrets SET last_used_at = now()",
        touched: &[],
        found: &[1, 2, 3],
    },
    Case {
        name: "a last use is written down with something else",
        sql: "UPDATE portcullis.keys SET last_used_at = now(), enabled = false WHERE id LIKE '%1'; \
              UPDATE portcullis.secrets SET last_used_at = now(), expires_at = now() \
              WHERE key_id LIKE '%2'",
        touched: &[(1, true), (2, true)],
        found: &[1, 2, 3],
    },
    Case {
        name: "a request is remembered and forgotten",
        sql: "INSERT INTO portcullis.replays VALUES \
              (sha256('a'), sha256('b'), 'key_0000000000000000000001', now()); \
              DELETE FROM portcullis.replays",
        touched: &[],
        found: &[1, 2, 3],
    },
    Case {
        name: "something of the application's changes",
        sql: "CREATE TABLE orders (number int); INSERT INTO orders VALUES (1)",
        touched: &[],
        found: &[1, 2, 3],
    },
    Case {
        name: "a change is rolled back",
        sql: "BEGIN; DELETE FROM portcullis.keys; ROLLBACK",
        touched: &[],
        found: &[1, 2, 3],
    },
    Case {
        name: "a change fails",
        sql: "DO $$ BEGIN DELETE FROM portcullis.keys; RAISE 'no'; \
              EXCEPTION WHEN raise_exception THEN NULL; END $$",
        touched: &[],
        found: &[1, 2, 3],
    },
];

#[tokio::test]
async fn what_is_typed_by_hand_counts_like_everything_else() {
    let Some(place) = Place::new() else { return };
    let store = place.store().await;
    for number in 1..=3 {
        add(&store, number).await;
    }
    let revoke = "UPDATE portcullis.keys SET revoked_at = now() WHERE id LIKE '%3'";
    place.hand().await.types(revoke).await.unwrap();
    drop(store);
    for case in CASES {
        let place = place.copy().await;
        let store = place.store().await;
        let mut hand = place.hand().await;
        let before = position(&store).await;
        let sql = case.sql.replace("$KEY", KEY);
        let typed = hand.types(&sql).await;
        typed.unwrap_or_else(|error| panic!("{}: {error}", case.name));
        let touched = case
            .touched
            .iter()
            // The digest of number 1 begins with 0x0101.
            .map(|&(shard, all)| match shard {
                0 => (None, all),
                1..256 => (Some(shard * 0x101), all),
                _ => (Some(shard), all),
            })
            .collect();
        let told = touched_since(&store, before).await;
        assert_eq!(told, touched, "{}", case.name);
        let mut found = Vec::new();
        for number in 1..=3 {
            if is_found(&store, number).await {
                found.push(number);
            }
        }
        assert_eq!(found, case.found, "{}", case.name);
        let after = position(&store).await;
        assert_eq!(
            after.revision > before.revision,
            !told.is_empty(),
            "{}",
            case.name
        );
        let loose = hand
            .reads::<i64>("SELECT count(*) FROM portcullis.change_sets WHERE revision IS NULL")
            .await;
        assert_eq!(loose, 0, "{}", case.name);
    }
}

/// By `\copy` of the command line tool.
#[tokio::test]
async fn what_is_copied_counts_as_well() {
    let Some(place) = Place::new() else { return };
    let store = place.store().await;
    let before = position(&store).await;
    place.cluster.psql(
        &place.database,
        "COPY portcullis.keys (id, name, owner, environment, hint, scopes) FROM PROGRAM \
         'printf \"key_0000000000000000000007\\tn\\to\\tlive\\thint\\t\\n\"'",
    );
    place.cluster.psql(
        &place.database,
        "COPY portcullis.secrets (digest, key_id) FROM PROGRAM \
         'printf \"12345678901234567890123456789012\\tkey_0000000000000000000007\\n\"'",
    );
    assert_eq!(
        touched_since(&store, before).await,
        [(Some(0x3132), false)].into()
    );
    let key = portcullis::key::KeyDigest::from_bytes(*b"12345678901234567890123456789012");
    let found = store.look_up(&key, portcullis::store::Source::Any).await;
    assert_eq!(found.unwrap().found.unwrap().record.id, id(7));
}

#[tokio::test]
async fn nothing_typed_brings_a_revoked_key_back() {
    let Some(place) = Place::new() else { return };
    let store = place.store().await;
    add(&store, 1).await;
    add(&store, 2).await;
    let mut hand = place.hand().await;
    hand.types("UPDATE portcullis.keys SET revoked_at = to_timestamp(5) WHERE id LIKE '%1'")
        .await
        .unwrap();
    let revoked = store.get(&id(1)).await.unwrap().value.unwrap();
    let by_hand = Revocation {
        at: Timestamp::from_unix_micros(5_000_000).unwrap(),
        by: Provenance::System,
        reason: None,
    };
    assert_eq!(revoked.revoked, Some(by_hand), "nobody had to say by whom");

    let before = position(&store).await;
    let refused = [
        "UPDATE portcullis.keys SET revoked_at = NULL".to_owned(),
        "UPDATE portcullis.keys SET revoked_at = now() WHERE id LIKE '%1'".to_owned(),
        "SET session_replication_role = replica; UPDATE portcullis.keys SET revoked_at = NULL"
            .to_owned(),
        format!("INSERT {KEY} ON CONFLICT (id) DO UPDATE SET revoked_at = NULL"),
        "UPDATE portcullis.keys SET id = 'key_0000000000000000000009' WHERE id LIKE '%2'"
            .to_owned(),
    ];
    for sql in refused {
        let error = hand.types(&sql).await.unwrap_err().to_string();
        assert!(
            error.contains("a revoked key stays revoked") || error.contains("a key keeps its id"),
            "{sql}: {error}"
        );
    }
    assert_eq!(position(&store).await, before, "nothing came of it");
    // The same again is no change of it.
    hand.types("UPDATE portcullis.keys SET revoked_at = to_timestamp(5), revoked_reason = 'lost'")
        .await
        .unwrap();
}

#[tokio::test]
async fn a_key_may_have_two_secrets_and_one_of_each_kind() {
    let Some(place) = Place::new() else { return };
    let store = place.store().await;
    add(&store, 1).await;
    let mut hand = place.hand().await;
    hand.types(
        "INSERT INTO portcullis.secrets (digest, key_id, slot, hint, expires_at, last_used_at) \
         SELECT '12345678901234567890123456789012', id, 'previous', 'old', to_timestamp(7), \
             to_timestamp(6) FROM portcullis.keys",
    )
    .await
    .unwrap();
    let before = position(&store).await;
    let (revision, touched) = committed(&disable(&store, 1).await.unwrap());
    let both = [(Some(0x0101), true), (Some(0x3132), true)].into();
    assert_eq!(touched, both);
    assert_eq!(touched_since(&store, before).await, both);
    assert_eq!(position(&store).await.revision, revision);

    let record = store.get(&id(1)).await.unwrap().value.unwrap();
    let previous = Previous {
        hint: KeyHint::from_stored("old").unwrap(),
        expires_at: Timestamp::from_unix_micros(7_000_000).unwrap(),
        last_used_at: Timestamp::from_unix_micros(6_000_000),
    };
    assert_eq!(record.previous, Some(previous));
    for sql in [
        "INSERT INTO portcullis.secrets (digest, key_id) SELECT sha256('a'), id \
         FROM portcullis.keys",
        "INSERT INTO portcullis.secrets (digest, key_id, slot, hint, expires_at) \
         SELECT sha256('a'), id, 'previous', 'old', now() FROM portcullis.keys",
        "UPDATE portcullis.secrets SET slot = 'current'",
        "UPDATE portcullis.secrets SET slot = 'next' WHERE slot = 'current'",
        "UPDATE portcullis.secrets SET expires_at = NULL WHERE slot = 'previous'",
        "UPDATE portcullis.secrets SET hint = NULL WHERE slot = 'previous'",
    ] {
        let error = hand.types(sql).await.unwrap_err().to_string();
        assert!(error.contains("constraint"), "{sql}: {error}");
    }
}

#[tokio::test]
async fn a_secret_that_was_ended_by_hand_gets_no_grace() {
    let Some(place) = Place::new() else { return };
    let store = place.store().await;
    add(&store, 1).await;
    let sql = "UPDATE portcullis.secrets SET expires_at = to_timestamp(5)";
    place.hand().await.types(sql).await.unwrap();
    let rotated = rotate(&store, 2, Timestamp::MAX).await.unwrap();
    let Outcome::Committed { record, .. } = rotated.outcome else {
        panic!("it was not committed");
    };
    let end = Timestamp::from_unix_micros(5_000_000);
    assert_eq!(record.previous.map(|previous| previous.expires_at), end);
}

#[tokio::test]
async fn a_key_without_secrets_takes_a_revision_all_the_same() {
    let Some(place) = Place::new() else { return };
    let store = place.store().await;
    let mut hand = place.hand().await;
    hand.types(&format!("INSERT {KEY}")).await.unwrap();
    let before = position(&store).await;
    let (revision, touched) = committed(&disable(&store, 1).await.unwrap());
    assert!(revision > before.revision);
    assert_eq!(touched, BTreeSet::new());
    assert_eq!(position(&store).await.revision, revision);
    assert_eq!(touched_since(&store, before).await, touched);
}

/// A sequence, or a time, would have been taken before the other one's commit.
#[tokio::test]
async fn what_commits_last_has_the_last_revision() {
    let Some(place) = Place::new() else { return };
    let store = place.store().await;
    add(&store, 1).await;
    add(&store, 2).await;
    let (mut slow, mut quick) = (place.hand().await, place.hand().await);
    let start = position(&store).await;
    slow.types("BEGIN; UPDATE portcullis.keys SET enabled = false WHERE id LIKE '%1'")
        .await
        .unwrap();
    quick
        .types("UPDATE portcullis.keys SET enabled = false WHERE id LIKE '%2'")
        .await
        .unwrap();
    add(&store, 3).await;
    assert_eq!(
        touched_since(&store, start).await,
        [(Some(0x0202), true), (Some(0x0303), false)].into()
    );
    let between = position(&store).await;
    assert_eq!(between.revision, start.revision + 2);

    slow.types("COMMIT").await.unwrap();
    assert_eq!(
        touched_since(&store, between).await,
        [(Some(0x0101), true)].into()
    );
    let after = position(&store).await;
    assert_eq!(after.revision, between.revision + 1);
    assert_ne!(after.nonce, between.nonce);
}

/// Its snapshot is from before what it has to follow. It is told to begin again, not let through.
#[tokio::test]
async fn a_transaction_that_cannot_see_the_last_commit_is_refused() {
    let Some(place) = Place::new() else { return };
    let store = place.store().await;
    add(&store, 1).await;
    add(&store, 2).await;
    let mut hand = place.hand().await;
    for level in ["REPEATABLE READ", "SERIALIZABLE"] {
        hand.types(&format!(
            "BEGIN ISOLATION LEVEL {level}; SELECT count(*) FROM portcullis.keys"
        ))
        .await
        .unwrap();
        disable(&store, 2).await.unwrap();
        let before = position(&store).await;
        hand.types("UPDATE portcullis.keys SET enabled = false WHERE id LIKE '%1'")
            .await
            .unwrap();
        let error = hand.types("COMMIT").await.unwrap_err();
        let code = error
            .as_database_error()
            .unwrap()
            .code()
            .unwrap()
            .into_owned();
        assert_eq!(code, "40001", "{level}: {error}");
        assert_eq!(position(&store).await, before);
        hand.types(&format!(
            "ROLLBACK; BEGIN ISOLATION LEVEL {level}; \
             UPDATE portcullis.keys SET enabled = false WHERE id LIKE '%1'; COMMIT"
        ))
        .await
        .unwrap();
        assert_eq!(position(&store).await.revision, before.revision + 1);
    }
}

#[tokio::test]
async fn a_key_typed_by_hand_is_the_first_key_too() {
    let Some(place) = Place::new() else { return };
    drop(place.store().await);
    let mut hand = place.hand().await;
    let ever = "SELECT ever_had_a_key FROM portcullis.meta";
    assert!(!hand.reads::<bool>(ever).await);
    hand.types(&format!("INSERT {KEY}")).await.unwrap();
    hand.types("DELETE FROM portcullis.keys").await.unwrap();
    assert!(hand.reads::<bool>(ever).await);
}

#[tokio::test]
async fn what_cannot_be_a_key_is_refused_by_the_tables() {
    let Some(place) = Place::new() else { return };
    let store = place.store().await;
    add(&store, 1).await;
    let mut hand = place.hand().await;
    for sql in [
        "UPDATE portcullis.keys SET enabled = NULL",
        "UPDATE portcullis.keys SET expires_at = 'infinity'",
        "UPDATE portcullis.keys SET expires_at = '-infinity'",
        "UPDATE portcullis.keys SET revoked_at = '10000-01-01 00:00:00+00'",
        "UPDATE portcullis.keys SET revoked_reason = 'lost'",
        "UPDATE portcullis.secrets SET digest = '00'",
        "UPDATE portcullis.secrets SET last_used_at = 'infinity'",
        "UPDATE portcullis.keys SET last_used_at = 'infinity'",
        "UPDATE portcullis.keys SET roles = NULL",
        "UPDATE portcullis.keys SET resources = ''",
        "UPDATE portcullis.keys SET resources = '[]'",
        "UPDATE portcullis.keys SET resources = 'null'",
        "UPDATE portcullis.keys SET allowed_ips = ''",
        "UPDATE portcullis.events SET what = ''",
        "UPDATE portcullis.events SET detail = '[]'",
        "UPDATE portcullis.keys SET metadata = NULL",
        "UPDATE portcullis.keys SET metadata = ''",
        "UPDATE portcullis.keys SET metadata = '[]'",
        "UPDATE portcullis.keys SET metadata = '{team: 1}'",
        "UPDATE portcullis.keys SET metadata = json_build_object('x', repeat('x', 4096))",
        "INSERT INTO portcullis.keys SELECT 'KEY_0000000000000000000002', name, owner, \
         environment, hint, scopes FROM portcullis.keys",
        "INSERT INTO portcullis.secrets (digest, key_id) VALUES (sha256('a'), 'key_nobody')",
        "INSERT INTO portcullis.replays VALUES ('00', sha256('a'), 'key_nobody', now())",
        "UPDATE portcullis.meta SET digest_algorithm = ''",
        "UPDATE portcullis.meta SET one = false",
        "INSERT INTO portcullis.meta (store_id, cursor_key) \
         SELECT store_id, cursor_key FROM portcullis.meta",
    ] {
        assert!(hand.types(sql).await.is_err(), "{sql}");
    }
}

/// Also by somebody who types a good deal of it.
#[tokio::test]
async fn change_rows_are_pruned() {
    let Some(place) = Place::new() else { return };
    let store = place.store().await;
    add(&store, 1).await;
    let start = position(&store).await;
    let mut hand = place.hand().await;
    hand.types(
        "DO $$ BEGIN FOR i IN 1..10200 LOOP \
             UPDATE portcullis.keys SET name = i::text; COMMIT; \
         END LOOP; END $$",
    )
    .await
    .unwrap();
    let now = position(&store).await;
    assert_eq!(now.revision, start.revision + 10_200);
    for table in ["change_sets", "changes"] {
        let rows: i64 = hand
            .reads(&format!("SELECT count(*) FROM portcullis.{table}"))
            .await;
        assert!((10_000..=10_100).contains(&rows), "{rows} in {table}");
    }
    assert_eq!(store.sync(Some(start)).await.unwrap().nonce_then, None);
    soon("the newest are still there", async || {
        store.sync(Some(now)).await.unwrap().nonce_then == Some(now.nonce)
    })
    .await;
    assert!(digest(1).shard() == 0x0101);
}

/// What nobody can read is no restriction that is lifted.
#[tokio::test]
async fn a_restriction_that_makes_no_sense_keeps_the_key_shut() {
    let Some(place) = Place::new() else { return };
    let store = place.store().await;
    add(&store, 1).await;
    let mut hand = place.hand().await;
    for (column, value, back) in [
        ("roles", "a  b", "''"),
        ("resources", r#"{"project":1}"#, "NULL"),
        ("resources", r#"{"pro ject":["1"]}"#, "NULL"),
        ("allowed_ips", "10.0.0.1/8", "NULL"),
        ("allowed_ips", "anywhere", "NULL"),
    ] {
        let update = |value: &str| format!("UPDATE portcullis.keys SET {column} = {value}");
        hand.types(&update(&format!("'{value}'"))).await.unwrap();
        let look_up = store.look_up(&digest(1), Source::Primary).await;
        let error = look_up.expect_err(value);
        assert_eq!(error.kind(), StoreErrorKind::Corrupt, "{value}: {error}");
        assert!(error.to_string().contains(column), "{error}");
        hand.types(&update(back)).await.unwrap();
        assert!(store.get(&id(1)).await.unwrap().value.is_some());
    }
}
