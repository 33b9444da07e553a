//! SQL typed into the database by a person.

use portcullis::key::{KeyHint, KeyId};
use portcullis::store::{
    Decide, Decision, KeyStore, Outcome, Previous, Provenance, Refusal, Replay, ReplayKey,
    Revocation, Source, SqliteStore, StoreErrorKind, Subjects,
};
use portcullis::timestamp::Timestamp;

use super::{
    Place, add, committed, digest, disable, event, id, position, record, rotate, touched_since,
};

/// What `$KEY` stands for.
const KEY: &str = "INTO portcullis_keys \
    (id, name, owner, environment, hint, scopes, created_at) VALUES \
    ('key_0000000000000000000001', 'typed', 'somebody', 'live', 'hint', '', 0)";

/// In each case the store has the keys 1 and 2, with one secret each, and number 3 revoked.
struct Case {
    name: &'static str,
    sql: &'static str,
    /// Of the numbers, whose shards must be told of: whether of everything in them.
    touched: &'static [(u16, bool)],
    /// Which of the three a look-up must find afterwards.
    found: &'static [u8],
}

const CASES: &[Case] = &[
    Case {
        name: "a key is revoked",
        sql: "UPDATE portcullis_keys SET revoked_at = unixepoch() * 1000000 WHERE id LIKE '%1'",
        touched: &[(1, true)],
        found: &[1, 2, 3],
    },
    Case {
        name: "all keys are disabled",
        sql: "UPDATE portcullis_keys SET enabled = 0",
        touched: &[(1, true), (2, true), (3, true)],
        found: &[1, 2, 3],
    },
    Case {
        name: "scopes are taken",
        sql: "UPDATE portcullis_keys SET scopes = '' WHERE id LIKE '%2'",
        touched: &[(2, true)],
        found: &[1, 2, 3],
    },
    Case {
        name: "a key is given to another owner",
        sql: "UPDATE portcullis_keys SET owner = 'another' WHERE id LIKE '%2'",
        touched: &[(2, true)],
        found: &[1, 2, 3],
    },
    Case {
        name: "a key is put into another environment",
        sql: "UPDATE portcullis_keys SET environment = 'test' WHERE id LIKE '%2'",
        touched: &[(2, true)],
        found: &[1, 2, 3],
    },
    Case {
        name: "a key ends",
        sql: "UPDATE portcullis_keys SET expires_at = 1 WHERE id LIKE '%2'",
        touched: &[(2, true)],
        found: &[1, 2, 3],
    },
    Case {
        name: "a key is deleted, without foreign keys",
        sql: "DELETE FROM portcullis_keys WHERE id LIKE '%1'",
        touched: &[(1, true)],
        found: &[2, 3],
    },
    Case {
        name: "a key is deleted, with foreign keys",
        sql: "PRAGMA foreign_keys = ON; DELETE FROM portcullis_keys WHERE id LIKE '%1'",
        touched: &[(1, true)],
        found: &[2, 3],
    },
    Case {
        name: "all keys are deleted",
        sql: "DELETE FROM portcullis_keys",
        touched: &[(1, true), (2, true), (3, true)],
        found: &[],
    },
    Case {
        name: "a deleted key's secret is left behind and finds a key again",
        sql: "DELETE FROM portcullis_keys WHERE id LIKE '%1'; \
              INSERT $KEY",
        touched: &[(1, true)],
        found: &[1, 2, 3],
    },
    Case {
        name: "a key is replaced, without foreign keys",
        sql: "INSERT OR REPLACE $KEY",
        touched: &[(1, true)],
        found: &[1, 2, 3],
    },
    Case {
        name: "a key is replaced, with foreign keys",
        sql: "PRAGMA foreign_keys = ON; INSERT OR REPLACE $KEY",
        touched: &[(1, true)],
        found: &[2, 3],
    },
    Case {
        name: "a key is replaced where REPLACE fires triggers",
        sql: "PRAGMA recursive_triggers = ON; INSERT OR REPLACE $KEY",
        touched: &[(1, true)],
        found: &[1, 2, 3],
    },
    Case {
        name: "a secret is added",
        sql: "INSERT INTO portcullis_secrets (digest, key_id, slot, hint, expires_at) \
              SELECT CAST('12345678901234567890123456789012' AS BLOB), id, 'previous', 'h', 7 \
              FROM portcullis_keys WHERE id LIKE '%1'",
        // '12' is 0x3132.
        touched: &[(0x3132, false)],
        found: &[1, 2, 3],
    },
    Case {
        name: "a secret is deleted",
        sql: "DELETE FROM portcullis_secrets WHERE key_id LIKE '%1'",
        touched: &[(1, true)],
        found: &[2, 3],
    },
    Case {
        name: "all secrets are deleted",
        sql: "DELETE FROM portcullis_secrets",
        touched: &[(1, true), (2, true), (3, true)],
        found: &[],
    },
    Case {
        name: "a secret ends",
        sql: "UPDATE portcullis_secrets SET expires_at = 1 WHERE key_id LIKE '%1'",
        touched: &[(1, true)],
        found: &[1, 2, 3],
    },
    Case {
        name: "a secret is exchanged",
        sql: "UPDATE portcullis_secrets \
              SET digest = CAST('12345678901234567890123456789012' AS BLOB) \
              WHERE key_id LIKE '%1'",
        touched: &[(1, true), (0x3132, true)],
        found: &[2, 3],
    },
    Case {
        name: "a secret is given to another key",
        sql: "UPDATE portcullis_secrets SET key_id = 'key_0000000000000000000002', \
              slot = 'previous', hint = 'hint', expires_at = 7 WHERE key_id LIKE '%1'",
        touched: &[(1, true)],
        found: &[1, 2, 3],
    },
    Case {
        name: "a secret takes the key of another one away",
        sql: "UPDATE OR REPLACE portcullis_secrets SET key_id = 'key_0000000000000000000002' \
              WHERE key_id LIKE '%1'",
        touched: &[(1, true), (2, true)],
        found: &[1, 3],
    },
    Case {
        name: "the secret of a key is replaced by another one",
        sql: "INSERT OR REPLACE INTO portcullis_secrets (digest, key_id) \
              SELECT CAST('12345678901234567890123456789012' AS BLOB), id \
              FROM portcullis_keys WHERE id LIKE '%1'",
        touched: &[(1, true), (0x3132, false)],
        found: &[2, 3],
    },
    Case {
        name: "a secret becomes the previous one",
        sql: "UPDATE portcullis_secrets SET slot = 'previous', hint = 'hint', expires_at = 7 \
              WHERE key_id LIKE '%1'",
        touched: &[(1, true)],
        found: &[1, 2, 3],
    },
    Case {
        name: "metadata is changed",
        sql: "UPDATE portcullis_keys SET metadata = '{ \"team\": 1 }' WHERE id LIKE '%2'",
        touched: &[(2, true)],
        found: &[1, 2, 3],
    },
    Case {
        name: "roles are given, things and places taken",
        sql: "UPDATE portcullis_keys SET roles = 'auditor' WHERE id LIKE '%1'; \
              UPDATE portcullis_keys SET resources = '{}' WHERE id LIKE '%2'; \
              UPDATE portcullis_keys SET allowed_ips = '::1/128' WHERE id LIKE '%3'",
        touched: &[(1, true), (2, true), (3, true)],
        found: &[1, 2, 3],
    },
    Case {
        name: "and a last use is written down with them",
        sql: "UPDATE portcullis_keys SET last_used_at = 7, roles = 'auditor' WHERE id LIKE '%1'; \
              UPDATE portcullis_keys SET last_used_at = 7, resources = '{}' WHERE id LIKE '%2'; \
              UPDATE portcullis_keys SET last_used_at = 7, allowed_ips = '::1/128' \
              WHERE id LIKE '%3'",
        touched: &[(1, true), (2, true), (3, true)],
        found: &[1, 2, 3],
    },
    Case {
        name: "the trail is added to, changed and cut off",
        sql: "INSERT INTO portcullis_events (key_id, done_at, what) \
              VALUES ('key_0000000000000000000001', 7, 'changed'); \
              UPDATE portcullis_events SET detail = '{\"reason\":\"because\"}'; \
              DELETE FROM portcullis_events",
        touched: &[],
        found: &[1, 2, 3],
    },
    Case {
        name: "a last use of keys is written down",
        sql: "UPDATE portcullis_keys SET last_used_at = 7",
        touched: &[],
        found: &[1, 2, 3],
    },
    Case {
        name: "a last use of secrets is written down",
        sql: "UPDATE portcullis_secrets SET last_used_at = 7",
        touched: &[],
        found: &[1, 2, 3],
    },
    Case {
        name: "a last use is written down with something else",
        sql: "UPDATE portcullis_keys SET last_used_at = 7, enabled = 0 WHERE id LIKE '%1'; \
              UPDATE portcullis_secrets SET last_used_at = 7, expires_at = 7 WHERE key_id LIKE '%2'",
        touched: &[(1, true), (2, true)],
        found: &[1, 2, 3],
    },
    Case {
        name: "a request is remembered and forgotten",
        sql: "INSERT INTO portcullis_replays VALUES \
              (randomblob(32), randomblob(32), 'key_0000000000000000000001', 7); \
              DELETE FROM portcullis_replays",
        touched: &[],
        found: &[1, 2, 3],
    },
    Case {
        name: "a secret is replaced by one that leads nowhere",
        sql: "INSERT OR REPLACE INTO portcullis_secrets (digest, key_id) \
              SELECT digest, 'key_0000000000000000000009' FROM portcullis_secrets \
              WHERE key_id LIKE '%1'",
        touched: &[(1, true), (1, false)],
        found: &[2, 3],
    },
    Case {
        name: "a secret takes the place of another one",
        sql: "UPDATE OR REPLACE portcullis_secrets \
              SET digest = (SELECT digest FROM portcullis_secrets WHERE key_id LIKE '%2') \
              WHERE key_id LIKE '%1'",
        touched: &[(1, true), (2, true)],
        found: &[2, 3],
    },
    Case {
        name: "something of the application's changes",
        sql: "CREATE TABLE orders (number INTEGER); INSERT INTO orders VALUES (1)",
        touched: &[],
        found: &[1, 2, 3],
    },
    Case {
        name: "a change is rolled back",
        sql: "BEGIN; DELETE FROM portcullis_keys; ROLLBACK",
        touched: &[],
        found: &[1, 2, 3],
    },
];

#[tokio::test]
async fn what_is_typed_by_hand_counts_like_everything_else() {
    for case in CASES {
        let place = Place::new();
        let store = place.store().await;
        for number in 1..=3 {
            add(&store, number).await;
        }
        let mut hand = place.hand().await;
        hand.types("UPDATE portcullis_keys SET revoked_at = 1 WHERE id LIKE '%3'")
            .await
            .unwrap();
        let before = position(&store).await;
        let sql = case.sql.replace("$KEY", KEY);
        hand.types(&sql).await.unwrap();
        let touched = case
            .touched
            .iter()
            // The digest of number 1 begins with 0x0101.
            .map(|&(shard, all)| (Some(if shard < 256 { shard * 0x101 } else { shard }), all))
            .collect();
        assert_eq!(
            touched_since(&store, before).await,
            touched,
            "{}",
            case.name
        );
        let mut found = Vec::new();
        for number in 1..=3 {
            if store
                .look_up(&digest(number), Source::Primary)
                .await
                .unwrap()
                .found
                .is_some()
            {
                found.push(number);
            }
        }
        assert_eq!(found, case.found, "{}", case.name);
        let rows = hand.reads("SELECT count(*) FROM portcullis_changes").await;
        let revision = hand.reads("SELECT revision FROM portcullis_meta").await;
        assert_eq!(rows, revision + 1, "each revision has a row: {}", case.name);
    }
}

#[tokio::test]
async fn nothing_typed_brings_a_revoked_key_back() {
    let place = Place::new();
    let store = place.store().await;
    add(&store, 1).await;
    add(&store, 2).await;
    let mut hand = place.hand().await;
    hand.types("UPDATE portcullis_keys SET revoked_at = 5000000 WHERE id LIKE '%1'")
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
        "UPDATE portcullis_keys SET revoked_at = NULL".to_owned(),
        "UPDATE portcullis_keys SET revoked_at = 6000000 WHERE id LIKE '%1'".to_owned(),
        "UPDATE OR IGNORE portcullis_keys SET revoked_at = NULL".to_owned(),
        "UPDATE OR REPLACE portcullis_keys SET revoked_at = NULL".to_owned(),
        format!("INSERT OR REPLACE {KEY}"),
        format!("INSERT {KEY} ON CONFLICT DO UPDATE SET revoked_at = NULL"),
        "UPDATE OR REPLACE portcullis_keys SET id = 'key_0000000000000000000001' \
         WHERE id LIKE '%2'"
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
    hand.types("UPDATE portcullis_keys SET revoked_at = 5000000, revoked_reason = 'lost'")
        .await
        .unwrap();
}

#[tokio::test]
async fn a_key_may_have_two_secrets() {
    let place = Place::new();
    let store = place.store().await;
    add(&store, 1).await;
    let mut hand = place.hand().await;
    hand.types(
        "INSERT INTO portcullis_secrets (digest, key_id, slot, hint, expires_at, last_used_at) \
         SELECT CAST('12345678901234567890123456789012' AS BLOB), id, 'previous', 'old', \
             7000000, 6000000 FROM portcullis_keys",
    )
    .await
    .unwrap();
    let before = position(&store).await;

    let (revision, touched) = committed(&disable(&store, 1).await.unwrap());
    let both = [(Some(0x0101), true), (Some(0x3132), true)].into();
    assert_eq!(touched, both);
    assert_eq!(touched_since(&store, before).await, both);
    assert_eq!(position(&store).await.revision, revision);

    let second = portcullis::key::KeyDigest::from_bytes(*b"12345678901234567890123456789012");
    let found = store
        .look_up(&second, Source::Primary)
        .await
        .unwrap()
        .found
        .unwrap();
    assert_eq!(found.record.id, id(1));
    let previous = Previous {
        hint: KeyHint::from_stored("old").unwrap(),
        expires_at: Timestamp::from_unix_micros(7_000_000).unwrap(),
        last_used_at: Timestamp::from_unix_micros(6_000_000),
    };
    assert_eq!(found.secret_expires_at, Some(previous.expires_at));
    assert_eq!(found.secret_last_used_at, previous.last_used_at);
    assert_eq!(found.record.previous, Some(previous));
}

#[tokio::test]
async fn a_key_has_one_secret_of_each_kind_at_most() {
    let place = Place::new();
    let store = place.store().await;
    add(&store, 1).await;
    rotate(&store, 2, Timestamp::MAX).await.unwrap();
    let mut hand = place.hand().await;
    for sql in [
        "INSERT INTO portcullis_secrets (digest, key_id) SELECT randomblob(32), id \
         FROM portcullis_keys",
        "INSERT INTO portcullis_secrets (digest, key_id, slot, hint, expires_at) \
         SELECT randomblob(32), id, 'previous', 'old', 7 FROM portcullis_keys",
        "UPDATE portcullis_secrets SET slot = 'current'",
        "UPDATE portcullis_secrets SET slot = 'next' WHERE slot = 'current'",
        "UPDATE portcullis_secrets SET expires_at = NULL WHERE slot = 'previous'",
        "UPDATE portcullis_secrets SET hint = NULL WHERE slot = 'previous'",
    ] {
        let error = hand.types(sql).await.unwrap_err().to_string();
        assert!(error.contains("constraint failed"), "{sql}: {error}");
    }
}

#[tokio::test]
async fn a_secret_that_was_ended_by_hand_gets_no_grace() {
    let place = Place::new();
    let store = place.store().await;
    add(&store, 1).await;
    let sql = "UPDATE portcullis_secrets SET expires_at = 5";
    place.hand().await.types(sql).await.unwrap();
    let rotated = rotate(&store, 2, Timestamp::MAX).await.unwrap();
    let Outcome::Committed { record, .. } = rotated.outcome else {
        panic!("it was not committed");
    };
    let end = Timestamp::from_unix_micros(5);
    assert_eq!(record.previous.map(|previous| previous.expires_at), end);
    let found = store
        .look_up(&digest(1), Source::Primary)
        .await
        .unwrap()
        .found
        .unwrap();
    assert_eq!(found.secret_expires_at, end);
}

#[tokio::test]
async fn a_key_whose_secret_was_deleted_by_hand_can_get_another() {
    let place = Place::new();
    let store = place.store().await;
    add(&store, 1).await;
    let sql = "DELETE FROM portcullis_secrets";
    place.hand().await.types(sql).await.unwrap();
    let rotated = rotate(&store, 2, Timestamp::MAX).await.unwrap();
    let Outcome::Committed { record, .. } = rotated.outcome else {
        panic!("it was not committed");
    };
    assert_eq!(record.previous, None, "there was none to be in its grace");
    assert!(
        store
            .look_up(&digest(2), Source::Primary)
            .await
            .unwrap()
            .found
            .is_some()
    );
}

#[tokio::test]
async fn deleting_a_key_forgets_the_request_that_made_it() {
    let requests = [1, 2].map(|number| Subjects {
        replay: Some(ReplayKey([number; 32])),
        ..Subjects::default()
    });
    for foreign_keys in ["OFF", "ON"] {
        let place = Place::new();
        let store = place.store().await;
        for (number, request) in (1..).zip(&requests) {
            make(&store, request, number, Timestamp::MAX).await;
        }
        let sql = format!(
            "PRAGMA foreign_keys = {foreign_keys}; DELETE FROM portcullis_keys WHERE id LIKE '%1'"
        );
        place.hand().await.types(&sql).await.unwrap();
        let (gone, there) = (
            remembered(&store, &requests[0]).await,
            remembered(&store, &requests[1]).await,
        );
        assert_eq!(gone, (None, None));
        assert_eq!(there, (Some(id(2)), Some(id(2))));
        // It may make another key.
        make(&store, &requests[0], 3, Timestamp::MAX).await;
        let again = remembered(&store, &requests[0]).await;
        assert_eq!(again, (Some(id(3)), Some(id(3))));
    }
}

#[tokio::test]
async fn requests_past_their_end_are_deleted_when_the_next_key_is_made() {
    let place = Place::new();
    let store = place.store().await;
    let request = |number| Subjects {
        replay: Some(ReplayKey([number; 32])),
        ..Subjects::default()
    };
    make(&store, &request(1), 1, Timestamp::UNIX_EPOCH).await;
    make(&store, &request(2), 2, Timestamp::MAX).await;
    make(&store, &request(3), 3, Timestamp::UNIX_EPOCH).await;
    let count = "SELECT count(*) FROM portcullis_replays";
    let mut hand = place.hand().await;
    assert_eq!(hand.reads(count).await, 2, "its own is past its end, too");
    add(&store, 4).await;
    assert_eq!(hand.reads(count).await, 1);
}

async fn make(store: &SqliteStore, request: &Subjects, number: u8, until: Timestamp) {
    let decide: Decide = Box::new(move |_| Decision::Insert {
        record: record(number),
        digest: digest(number),
        replay: Some(Replay {
            request: [0; 32],
            made: id(number),
            expires_at: until,
        }),
        event: event(),
    });
    store.transact(request.clone(), decide).await.unwrap();
}

/// Which key a request is remembered to have made, and which is its target.
async fn remembered(store: &SqliteStore, request: &Subjects) -> (Option<KeyId>, Option<KeyId>) {
    let (tell, told) = std::sync::mpsc::channel();
    let decide: Decide = Box::new(move |rows| {
        let made = rows.replay.as_ref().map(|replay| replay.made.clone());
        let target = rows.target.as_ref().map(|target| target.id.clone());
        tell.send((made, target)).unwrap();
        Decision::Refuse(Refusal::NotFound)
    });
    store.transact(request.clone(), decide).await.unwrap();
    told.try_iter().last().unwrap()
}

#[tokio::test]
async fn a_key_without_secrets_takes_a_revision_all_the_same() {
    let place = Place::new();
    let store = place.store().await;
    place
        .hand()
        .await
        .types(&format!("INSERT {KEY}"))
        .await
        .unwrap();
    let before = position(&store).await;
    let (revision, touched) = committed(&disable(&store, 1).await.unwrap());
    assert!(revision > before.revision);
    assert_eq!(touched_since(&store, before).await, touched);
    assert!(!touched.contains(&(None, true)), "nobody has to forget all");
}

#[tokio::test]
async fn a_key_typed_by_hand_is_the_first_key_too() {
    let place = Place::new();
    drop(place.store().await);
    let mut hand = place.hand().await;
    let ever = "SELECT ever_had_a_key FROM portcullis_meta";
    assert_eq!(hand.reads(ever).await, 0);
    hand.types(&format!("INSERT {KEY}; DELETE FROM portcullis_keys"))
        .await
        .unwrap();
    assert_eq!(hand.reads(ever).await, 1);
}

#[tokio::test]
async fn what_cannot_be_a_key_is_refused_by_the_tables() {
    let place = Place::new();
    let store = place.store().await;
    add(&store, 1).await;
    let mut hand = place.hand().await;
    for sql in [
        "UPDATE portcullis_keys SET enabled = 2",
        "UPDATE portcullis_keys SET expires_at = datetime('now')",
        "UPDATE portcullis_keys SET revoked_at = unixepoch() * 1000000000",
        "UPDATE portcullis_keys SET revoked_reason = 'lost'",
        "UPDATE portcullis_secrets SET digest = x'00'",
        "UPDATE portcullis_secrets SET last_used_at = datetime('now')",
        "UPDATE portcullis_keys SET last_used_at = unixepoch() * 1000000000",
        "UPDATE portcullis_keys SET roles = NULL",
        "UPDATE portcullis_keys SET resources = ''",
        "UPDATE portcullis_keys SET resources = '[]'",
        "UPDATE portcullis_keys SET resources = 'null'",
        "UPDATE portcullis_keys SET allowed_ips = ''",
        "UPDATE portcullis_events SET what = ''",
        "UPDATE portcullis_events SET detail = '[]'",
        "UPDATE portcullis_keys SET metadata = NULL",
        "UPDATE portcullis_keys SET metadata = ''",
        "UPDATE portcullis_keys SET metadata = '[]'",
        "UPDATE portcullis_keys SET metadata = '{team: 1}'",
        "UPDATE portcullis_keys SET metadata = json_object('x', printf('%4096c', 'x'))",
        "INSERT INTO portcullis_replays VALUES (x'00', randomblob(32), '', 0)",
        "UPDATE portcullis_meta SET digest_algorithm = ''",
        "INSERT INTO portcullis_meta SELECT 2, store_id, 0, 0, cursor_key, 0, 'sha256' \
         FROM portcullis_meta",
    ] {
        assert!(hand.types(sql).await.is_err(), "{sql}");
    }
}

/// What nobody can read is no restriction that is lifted.
#[tokio::test]
async fn a_restriction_that_makes_no_sense_keeps_the_key_shut() {
    let place = Place::new();
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
        let update = |value: &str| format!("UPDATE portcullis_keys SET {column} = {value}");
        hand.types(&update(&format!("'{value}'"))).await.unwrap();
        let look_up = store.look_up(&digest(1), Source::Primary).await;
        let error = look_up.expect_err(value);
        assert_eq!(error.kind(), StoreErrorKind::Corrupt, "{value}: {error}");
        assert!(error.to_string().contains(column), "{error}");
        hand.types(&update(back)).await.unwrap();
        assert!(store.get(&id(1)).await.unwrap().value.is_some());
    }
}
