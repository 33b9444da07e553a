//! Digests that are over, whichever way they went, and who comes for them meanwhile.

use portcullis::store::{
    Decide, Decision, KeyStore, Outcome, PostgresStore, Refusal, StoreErrorKind, Subjects,
};
use portcullis::timestamp::Timestamp;
use tokio::task::JoinHandle;

use super::sample::{add, digest, event, is_found, record, rotate};
use super::{Hand, Place, soon};

/// On keys 1 and 2 with a secret each: ways for the secret of key 1 to go.
const WAYS: [&str; 9] = [
    "DELETE FROM portcullis.secrets WHERE key_id LIKE '%1'",
    "DELETE FROM portcullis.keys WHERE id LIKE '%1'",
    "SET session_replication_role = replica; \
     DELETE FROM portcullis.secrets WHERE key_id LIKE '%1'",
    "SET session_replication_role = replica; \
     DELETE FROM portcullis.keys WHERE id LIKE '%1'; \
     DELETE FROM portcullis.secrets WHERE key_id LIKE '%1'",
    "TRUNCATE portcullis.secrets",
    "TRUNCATE portcullis.keys CASCADE",
    "UPDATE portcullis.secrets SET digest = sha256('a') WHERE key_id LIKE '%1'",
    "INSERT INTO portcullis.secrets (digest, key_id) \
     SELECT digest, key_id FROM portcullis.secrets WHERE key_id LIKE '%1' \
     ON CONFLICT (digest) DO UPDATE SET digest = sha256('a')",
    "BEGIN; UPDATE portcullis.secrets SET digest = sha256('a') WHERE key_id LIKE '%1'; \
     UPDATE portcullis.secrets SET digest = sha256('b') WHERE key_id LIKE '%1'; COMMIT",
];

/// Ways to bring it back, which there are not.
const BACK: [&str; 6] = [
    "INSERT INTO portcullis.secrets (digest, key_id) VALUES ($DIGEST, $KEY)",
    "INSERT INTO portcullis.secrets (digest, key_id) VALUES ($DIGEST, $KEY) ON CONFLICT DO NOTHING",
    "SET session_replication_role = replica; \
     INSERT INTO portcullis.secrets (digest, key_id) VALUES ($DIGEST, $KEY)",
    "BEGIN ISOLATION LEVEL SERIALIZABLE; \
     INSERT INTO portcullis.secrets (digest, key_id) VALUES ($DIGEST, $KEY); COMMIT",
    "UPDATE portcullis.secrets SET digest = $DIGEST WHERE key_id = $OTHER",
    "SET session_replication_role = replica; \
     UPDATE portcullis.secrets SET digest = $DIGEST WHERE key_id = $OTHER",
];

fn having(number: u8) -> Subjects {
    Subjects {
        digest: Some(digest(number)),
        ..Subjects::default()
    }
}

/// Adds this key with that digest, whatever it sees.
fn forcing(number: u8, wanted: u8) -> Decide {
    Box::new(move |_| Decision::Insert {
        record: record(number),
        digest: digest(wanted),
        replay: None,
        event: event(),
    })
}

/// Adds it if nobody has, or had, the digest.
fn making(number: u8, wanted: u8) -> Decide {
    let mut insert = forcing(number, wanted);
    Box::new(move |rows| {
        if rows.digest_holder.is_some() || rows.digest_ended {
            Decision::Refuse(Refusal::DigestTaken)
        } else {
            insert(rows)
        }
    })
}

async fn must_be_refused(store: &PostgresStore, wanted: u8, why: &str) {
    let asked = store.transact(having(wanted), making(9, wanted)).await;
    assert!(
        matches!(
            asked.unwrap().outcome,
            Outcome::Refused(Refusal::DigestTaken)
        ),
        "{why}"
    );
    let forced = store
        .transact(Subjects::default(), forcing(9, wanted))
        .await;
    assert_eq!(
        forced.unwrap_err().kind(),
        StoreErrorKind::Conflict,
        "{why}"
    );
}

async fn is_given_twice(hand: &mut Hand, sql: &str) {
    let error = hand.types(sql).await.expect_err(sql);
    let error = error.as_database_error().unwrap();
    assert!(
        error.is_unique_violation() && error.constraint() == Some("digests_pkey"),
        "{sql}: {error}"
    );
}

#[tokio::test]
async fn whichever_way_a_secret_goes_its_digest_stays_taken() {
    let Some(place) = Place::new() else { return };
    let store = place.store().await;
    add(&store, 1).await;
    add(&store, 2).await;
    drop(store);
    for way in WAYS {
        let place = place.copy().await;
        let store = place.store().await;
        place.hand().await.types(way).await.unwrap();
        assert!(!is_found(&store, 1).await, "{way}");
        must_be_refused(&store, 1, way).await;
        // There are two keys again, the one with a secret of its own.
        let mut hand = place.hand().await;
        hand.types(
            "INSERT INTO portcullis.keys (id, name, owner, environment, hint, scopes) \
             SELECT 'key_000000000000000000000' || n, 'typed', 'somebody', 'live', 'hint', '' \
             FROM generate_series(3, 4) AS n; \
             INSERT INTO portcullis.secrets (digest, key_id) \
             SELECT sha256('c'), id FROM portcullis.keys WHERE id LIKE '%4'",
        )
        .await
        .unwrap();
        for sql in BACK {
            let sql = sql
                .replace(
                    "$DIGEST",
                    r"'\x0101010101010101010101010101010101010101010101010101010101010101'",
                )
                .replace("$KEY", "'key_0000000000000000000003'")
                .replace("$OTHER", "'key_0000000000000000000004'");
            let mut hand = place.hand().await;
            is_given_twice(&mut hand, &sql).await;
        }
        assert!(!is_found(&store, 1).await, "{way}");
    }
}

#[tokio::test]
async fn a_digest_is_taken_by_what_is_committed_alone() {
    let Some(place) = Place::new() else { return };
    let store = place.store().await;
    add(&store, 1).await;
    let mut hand = place.hand().await;
    let come_and_go = "BEGIN; UPDATE portcullis.secrets SET digest = sha256('a'); \
        UPDATE portcullis.secrets SET digest = sha256('b');";
    hand.types(&format!("{come_and_go} ROLLBACK"))
        .await
        .unwrap();
    let given = "SELECT count(*) FROM portcullis.digests";
    assert_eq!(hand.reads::<i64>(given).await, 1);
    hand.types(&format!("{come_and_go} COMMIT")).await.unwrap();
    assert_eq!(hand.reads::<i64>(given).await, 3);
    is_given_twice(
        &mut hand,
        "UPDATE portcullis.secrets SET digest = sha256('a')",
    )
    .await;
}

fn forced(store: &PostgresStore, number: u8, wanted: u8) -> JoinHandle<StoreErrorKind> {
    let store = store.clone();
    tokio::spawn(async move {
        let forced = store.transact(Subjects::default(), forcing(number, wanted));
        forced.await.unwrap_err().kind()
    })
}

/// Whoever deletes it has not committed yet, and may not.
#[tokio::test]
async fn a_digest_is_not_free_while_somebody_deletes_its_secret() {
    let Some(place) = Place::new() else { return };
    let store = place.store().await;
    add(&store, 1).await;
    let (mut hand, mut watching) = (place.hand().await, place.hand().await);
    for end in ["ROLLBACK", "COMMIT"] {
        hand.types("BEGIN; DELETE FROM portcullis.secrets")
            .await
            .unwrap();
        let asked = store.transact(having(1), making(9, 1)).await;
        assert!(matches!(
            asked.unwrap().outcome,
            Outcome::Refused(Refusal::DigestTaken)
        ));
        let forced = forced(&store, 9, 1);
        soon("it waits for what becomes of the deletion", async || {
            watching.sessions("wait_event_type = 'Lock'").await > 0
        })
        .await;
        hand.types(end).await.unwrap();
        assert_eq!(forced.await.unwrap(), StoreErrorKind::Conflict, "{end}");
        must_be_refused(&store, 1, end).await;
        assert_eq!(is_found(&store, 1).await, end == "ROLLBACK");
    }
}

/// Neither in a snapshot in which it was never there.
#[tokio::test]
async fn a_transaction_that_cannot_see_a_digest_cannot_take_it() {
    let Some(place) = Place::new() else { return };
    let store = place.store().await;
    let mut hand = place.hand().await;
    hand.types("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM portcullis.digests")
        .await
        .unwrap();
    add(&store, 1).await;
    rotate(&store, 2, Timestamp::MAX).await.unwrap();
    rotate(&store, 3, Timestamp::MAX).await.unwrap();
    assert!(!is_found(&store, 1).await);
    is_given_twice(
        &mut hand,
        "INSERT INTO portcullis.keys (id, name, owner, environment, hint, scopes) \
         VALUES ('key_0000000000000000000009', 'typed', 'another', 'live', 'hint', ''); \
         INSERT INTO portcullis.secrets (digest, key_id) VALUES \
         ('\\x0101010101010101010101010101010101010101010101010101010101010101', \
          'key_0000000000000000000009')",
    )
    .await;
}

/// It comes and goes between the moment when its holder is looked for and the one when it is asked
/// whether there ever was one. That is an answer, and no failure.
#[tokio::test]
async fn what_comes_and_goes_while_somebody_looks_is_taken() {
    let Some(place) = Place::new() else { return };
    let store = place.store().await;
    add(&store, 1).await;
    let (mut hand, mut watching) = (place.hand().await, place.hand().await);
    hand.types("BEGIN; LOCK TABLE portcullis.secrets")
        .await
        .unwrap();
    let asking = {
        let store = store.clone();
        tokio::spawn(async move { store.transact(having(7), making(9, 7)).await })
    };
    soon("it looks for the holder", async || {
        watching.sessions("wait_event_type = 'Lock'").await > 0
    })
    .await;
    let seven = r"'\x0707070707070707070707070707070707070707070707070707070707070707'";
    hand.types(&format!(
        "UPDATE portcullis.secrets SET digest = {seven}; \
         UPDATE portcullis.secrets SET digest = sha256('a'); COMMIT"
    ))
    .await
    .unwrap();
    let asked = asking.await.unwrap();
    assert!(matches!(
        asked.unwrap().outcome,
        Outcome::Refused(Refusal::DigestTaken)
    ));
}
