//! Digests that are over, whichever way they went.

use portcullis::store::{
    Decide, Decision, KeyStore, Outcome, Refusal, SqliteStore, StoreErrorKind, Subjects,
};

use super::{Place, add, digest, insert, record};

/// On keys 1 and 2 with a secret each: ways for a secret to go, and whose it is.
const WAYS: &[(&str, u8)] = &[
    ("DELETE FROM portcullis_secrets WHERE key_id LIKE '%1'", 1),
    (
        "PRAGMA foreign_keys = ON; DELETE FROM portcullis_keys WHERE id LIKE '%1'",
        1,
    ),
    (
        "DELETE FROM portcullis_keys WHERE id LIKE '%1'; \
         DELETE FROM portcullis_secrets WHERE key_id LIKE '%1'",
        1,
    ),
    (
        "PRAGMA foreign_keys = ON; INSERT OR REPLACE INTO portcullis_keys \
         (id, name, owner, environment, hint, scopes, created_at) \
         SELECT id, name, owner, environment, hint, scopes, created_at \
         FROM portcullis_keys WHERE id LIKE '%1'",
        1,
    ),
    (
        "UPDATE portcullis_secrets SET digest = randomblob(32) WHERE key_id LIKE '%1'",
        1,
    ),
    (
        "INSERT INTO portcullis_secrets (digest, key_id) \
         SELECT digest, key_id FROM portcullis_secrets WHERE key_id LIKE '%1' \
         ON CONFLICT (digest) DO UPDATE SET digest = randomblob(32)",
        1,
    ),
    // In the place of which another comes.
    (
        "INSERT OR REPLACE INTO portcullis_secrets (digest, key_id) \
         SELECT randomblob(32), id FROM portcullis_keys WHERE id LIKE '%1'",
        1,
    ),
    (
        "UPDATE OR REPLACE portcullis_secrets \
         SET digest = (SELECT digest FROM portcullis_secrets WHERE key_id LIKE '%2') \
         WHERE key_id LIKE '%1'",
        1,
    ),
    (
        "UPDATE OR REPLACE portcullis_secrets SET key_id = 'key_0000000000000000000002' \
         WHERE key_id LIKE '%1'",
        2,
    ),
];

/// Ways to bring it back, which there are not.
const BACK: [&str; 7] = [
    "INSERT INTO portcullis_secrets (digest, key_id) VALUES ($DIGEST, 'k')",
    "INSERT OR IGNORE INTO portcullis_secrets (digest, key_id) VALUES ($DIGEST, 'k')",
    "INSERT OR REPLACE INTO portcullis_secrets (digest, key_id) VALUES ($DIGEST, 'k')",
    "INSERT INTO portcullis_secrets (digest, key_id) VALUES ($DIGEST, 'k') \
     ON CONFLICT (digest) DO UPDATE SET key_id = 'l'",
    "UPDATE portcullis_secrets SET digest = $DIGEST WHERE key_id = 'key_0000000000000000000003'",
    "UPDATE OR IGNORE portcullis_secrets SET digest = $DIGEST \
     WHERE key_id = 'key_0000000000000000000003'",
    "UPDATE OR REPLACE portcullis_secrets SET digest = $DIGEST \
     WHERE key_id = 'key_0000000000000000000003'",
];

async fn must_be_refused(store: &SqliteStore, number: u8, why: &str) {
    let subjects = Subjects {
        digest: Some(digest(number)),
        ..Subjects::default()
    };
    let decide: Decide = Box::new(move |rows| {
        assert_eq!(rows.digest_holder, None);
        assert!(rows.digest_ended);
        Decision::Refuse(Refusal::DigestTaken)
    });
    let asked = store.transact(subjects, decide).await.unwrap();
    assert!(matches!(asked.outcome, Outcome::Refused(_)), "{why}");
    let forced = insert(store, record(9), number).await;
    assert_eq!(
        forced.unwrap_err().kind(),
        StoreErrorKind::Conflict,
        "{why}"
    );
}

#[tokio::test]
async fn whichever_way_a_secret_goes_its_digest_stays_taken() {
    for &(way, number) in WAYS {
        let place = Place::new();
        let store = place.store().await;
        for number in 1..=3 {
            add(&store, number).await;
        }
        let mut hand = place.hand().await;
        hand.types(way).await.unwrap();
        must_be_refused(&store, number, way).await;
        let digest = format!("x'{}'", format!("{number:02x}").repeat(32));
        for sql in BACK {
            let sql = sql.replace("$DIGEST", &digest);
            let error = hand.types(&sql).await.expect_err(&sql).to_string();
            assert!(
                error.contains("a secret that is over stays over"),
                "{sql}: {error}"
            );
        }
        must_be_refused(&store, number, way).await;
    }
}

#[tokio::test]
async fn a_digest_is_taken_by_what_is_committed_alone() {
    let place = Place::new();
    let store = place.store().await;
    add(&store, 1).await;
    let mut hand = place.hand().await;
    let come_and_go = "BEGIN; UPDATE portcullis_secrets SET digest = randomblob(32); \
        UPDATE portcullis_secrets SET digest = randomblob(32);";
    let given = "SELECT count(*) FROM portcullis_digests";
    for (end, expected) in [("ROLLBACK", 1), ("COMMIT", 3)] {
        hand.types(&format!("{come_and_go} {end}")).await.unwrap();
        assert_eq!(hand.reads(given).await, expected);
    }
}
