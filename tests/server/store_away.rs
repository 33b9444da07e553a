//! The file cannot be used for a while, by means that hold for root as well.

use std::time::Duration;

use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, SqliteConnection};

use crate::client::{Answer, Key};
use crate::process::{Server, Setup, until, within};

async fn by_hand(setup: &Setup) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(setup.file());
    options.connect().await.unwrap()
}

async fn run(connection: &mut SqliteConnection, sql: &str) {
    let sql = AssertSqlSafe(sql.to_owned());
    sqlx::raw_sql(sql).execute(connection).await.unwrap();
}

#[track_caller]
fn is_unavailable(answer: &Answer) {
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_eq!(answer.code(), "unavailable", "{answer:?}");
    let after: u32 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!(after >= 1);
    assert_eq!(answer.header("www-authenticate"), None);
    let lower = answer.body.to_lowercase();
    assert!(
        !lower.contains("sqlite") && !lower.contains("portcullis"),
        "{answer:?}"
    );
}

/// 200 or an honest 503; never a word against a good key.
#[track_caller]
fn is_honest(answer: &Answer) -> bool {
    if answer.status != 200 {
        is_unavailable(answer);
    }
    answer.status == 200
}

async fn recovers(server: &Server, keys: &[&Key]) {
    for key in keys {
        until(Duration::from_secs(10), "it recovers", async || {
            is_honest(&server.get("/v1/ping", &key.secret).await)
        })
        .await;
    }
}

#[tokio::test]
async fn while_another_process_holds_the_lock_keys_open_and_changes_wait_no_longer_than_promised() {
    let setup = Setup::sqlite();
    let server = setup.start().await;
    let (warm, cold) = (server.a_key().await, server.a_key().await);
    assert!(server.opens(&warm).await);
    let mut hand = by_hand(&setup).await;
    run(&mut hand, "BEGIN EXCLUSIVE").await;

    let path = format!("/keys/{}", warm.id);
    let new = json!({"name": "n", "scopes": []});
    let writes = async {
        tokio::join!(
            server.admin("POST", "/keys", new.clone()),
            server.admin("DELETE", &path, Value::Null),
            server.admin("PATCH", &path, json!({"enabled": false})),
        )
    };
    let reads = async {
        for _ in 0..20 {
            assert!(server.opens(&warm).await && server.opens(&cold).await);
            server.admin("GET", "/keys", Value::Null).await.is(200);
        }
    };
    let bound = Duration::from_secs(10);
    let (created, revoked, disabled) = Box::pin(within(bound, "answers", async {
        tokio::join!(writes, reads).0
    }))
    .await;
    for answer in [&created, &revoked, &disabled] {
        is_unavailable_or_unknown(answer);
    }
    run(&mut hand, "ROLLBACK").await;

    server.admin("POST", "/keys", new).await.is(201);
    server.revoke(&warm).await;
    assert!(!server.opens(&warm).await);
    assert!(server.opens(&cold).await);
}

/// One that waited to the very end may have been written.
#[track_caller]
fn is_unavailable_or_unknown(answer: &Answer) {
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(["unavailable", "outcome_unknown"].contains(&&*answer.code()));
    assert!(answer.header("retry-after").is_some(), "{answer:?}");
}

#[tokio::test]
async fn while_nothing_can_be_looked_up_good_keys_are_not_refused() {
    let setup = Setup::sqlite()
        .with("PORTCULLIS_MAX_STALENESS_MS", "1500")
        .with("PORTCULLIS_POLL_MS", "50")
        .with("PORTCULLIS_LOOKUP_DEADLINE_MS", "500");
    let server = setup.start().await;
    let (warm, cold, dead) = (
        server.a_key().await,
        server.a_key().await,
        server.a_key().await,
    );
    server.revoke(&dead).await;
    assert!(server.opens(&warm).await && !server.opens(&dead).await);
    let mut hand = by_hand(&setup).await;
    for _ in 0..2 {
        run(
            &mut hand,
            "BEGIN; ALTER TABLE portcullis_keys RENAME TO away_keys; \
             ALTER TABLE portcullis_meta RENAME TO away_meta; COMMIT",
        )
        .await;
        // What is remembered is trusted for a while, and then no more.
        until(Duration::from_secs(5), "the lease ends", async || {
            !is_honest(&server.get("/v1/ping", &warm.secret).await)
        })
        .await;
        for path in ["/v1/ping", "/v1/any", "/v1/twin", "/v1/reports"] {
            for key in [&warm, &cold, &dead] {
                let asked = server.get(path, &key.secret);
                is_unavailable(&within(Duration::from_secs(3), "an answer", asked).await);
            }
        }
        // What needs no store is as ever.
        assert_eq!(server.send("GET", "/v1/ping", &[]).await.status, 401);
        assert_eq!(
            server.get("/v1/ping", "no-key").await.code(),
            "invalid_token"
        );
        let health = server.send("GET", "/health", &[]).await.is(200).json();
        assert_eq!(health["in_sync"], false);
        is_unavailable(&server.admin("GET", "/keys", Value::Null).await);
        let new = json!({"name": "n", "scopes": []});
        is_unavailable(&server.admin("POST", "/keys", new).await);

        run(
            &mut hand,
            "BEGIN; ALTER TABLE away_keys RENAME TO portcullis_keys; \
             ALTER TABLE away_meta RENAME TO portcullis_meta; COMMIT",
        )
        .await;
        recovers(&server, &[&warm, &cold]).await;
        until(Duration::from_secs(5), "in sync again", async || {
            server.send("GET", "/health", &[]).await.json()["in_sync"] == true
        })
        .await;
        assert!(!server.opens(&dead).await);
        server.a_key().await;
    }
}

#[tokio::test]
async fn a_file_cut_to_nothing_is_no_refusal_either() {
    let setup = Setup::sqlite()
        .with("PORTCULLIS_MAX_STALENESS_MS", "1500")
        .with("PORTCULLIS_POLL_MS", "50")
        .with("PORTCULLIS_LOOKUP_DEADLINE_MS", "500");
    let server = setup.start().await;
    let keys = [server.a_key().await, server.a_key().await];
    assert!(server.opens(&keys[0]).await);
    // All into the file, so that it is whole.
    let mut hand = by_hand(&setup).await;
    run(&mut hand, "PRAGMA wal_checkpoint(TRUNCATE)").await;
    let whole = std::fs::read(setup.file()).unwrap();
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(setup.file())
        .unwrap();
    file.set_len(0).unwrap();
    for _ in 0..10 {
        for key in &keys {
            is_honest(&server.get("/v1/ping", &key.secret).await);
        }
    }
    std::fs::write(setup.file(), &whole).unwrap();
    recovers(&server, &[&keys[0], &keys[1]]).await;
}

// Elsewhere nobody can remove a file that is open.
#[cfg(unix)]
#[tokio::test]
async fn an_empty_database_is_not_made_in_place_of_one_that_is_gone() {
    let setup = Setup::sqlite();
    let server = setup.start().await;
    let key = server.a_key().await;
    assert!(server.opens(&key).await);
    let mut hand = by_hand(&setup).await;
    run(&mut hand, "BEGIN EXCLUSIVE").await;
    std::fs::remove_file(setup.file()).unwrap();
    // The first fails because of the lock, and the next opens the file anew.
    let new = json!({"name": "n", "scopes": []});
    for _ in 0..2 {
        let answer = server.admin("POST", "/keys", new.clone()).await;
        is_unavailable_or_unknown(&answer);
    }
    assert!(!setup.file().exists());
    is_honest(&server.get("/v1/ping", &key.secret).await);
}
