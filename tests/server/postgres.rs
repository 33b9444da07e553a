//! The server on Postgres. What becomes of several of them when things go wrong is judged by the
//! fault runner, in `tests/replicas`.

use std::time::Duration;

use serde_json::Value;

use crate::client::Answer;
use crate::cluster::{CARELESS, Cluster};
use crate::process::{Server, Setup, until};

/// A server on a database of its own; nothing where there is no Postgres.
fn on_postgres() -> Option<(Cluster, String, Setup)> {
    let cluster = Cluster::start(CARELESS)?;
    let database = cluster.create_database();
    let setup = Setup::memory().with("DATABASE_URL", &cluster.url(&database));
    Some((cluster, database, setup))
}

async fn health(server: &Server) -> Value {
    server.send("GET", "/health", &[]).await.is(200).json()
}

#[tokio::test]
async fn of_servers_that_start_at_once_one_prints_a_key_that_opens_all() {
    let Some((_cluster, _, setup)) = on_postgres() else {
        return;
    };
    let setup = setup.without("PORTCULLIS_ADMIN_TOKEN");
    let (a, b, c) = tokio::join!(setup.start(), setup.start(), setup.start());
    let mut printed = String::new();
    for server in [a, b, c] {
        printed.push_str(&server.kill().await.stdout);
    }
    let mut keys = printed
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("acme_live_"));
    // By itself and in the line to be pasted.
    let first = keys.next().expect("a key");
    assert!(keys.next() == Some(first) && keys.next().is_none());
    for _ in 0..2 {
        let server = setup.start().await;
        server.get("/v1/ping", first).await.is(200);
        assert_eq!(server.kill().await.stdout, "");
    }
}

#[tokio::test]
async fn what_is_wrong_with_the_database_is_told_without_the_password() {
    let Some((cluster, database, setup)) = on_postgres() else {
        return;
    };
    cluster.psql(
        &database,
        "CREATE ROLE locked LOGIN PASSWORD 'right'; CREATE ROLE weak LOGIN",
    );
    let at = format!("127.0.0.1:{}", cluster.port());
    for (url, said) in [
        (
            format!("postgres://locked:hunter2@{at}/{database}"),
            "password",
        ),
        (
            format!("postgres://postgres:hunter2@{at}/nothing"),
            "does not exist",
        ),
        (
            format!("postgres://weak:hunter2@{at}/{database}"),
            "permission denied",
        ),
        (
            format!("postgres://nobody:hunter2@{at}/{database}"),
            "does not exist",
        ),
    ] {
        let setup = Setup::memory()
            .with("DATABASE_URL", &url)
            .with("RUST_LOG", "trace");
        let ended = setup.ends().await;
        assert_eq!(ended.status.code(), Some(1), "{ended:?}");
        let last = ended.stderr.lines().last().unwrap();
        assert!(last.starts_with("server: DATABASE_URL: "), "{last}");
        assert!(
            last.contains(said) && last.contains("postgres://USER:"),
            "{last}"
        );
        assert!(!ended.stderr.contains("hunter2"), "{ended:?}");
    }
    // And without anything wrong it is nowhere either.
    let url = format!("postgres://postgres:hunter2@{at}/{database}");
    let setup = setup.with("DATABASE_URL", &url).with("RUST_LOG", "trace");
    let server = setup.start().await;
    server.a_key().await;
    let ended = server.kill().await;
    assert!(ended.stderr.contains("TRACE"), "it was logged at all");
    assert!(!ended.stderr.contains("hunter2"));
}

#[tokio::test]
async fn health_tells_whether_nudges_come_and_how_long_a_sync_takes() {
    let Some((cluster, _, setup)) = on_postgres() else {
        return;
    };
    let setup = setup
        .with("PORTCULLIS_MAX_STALENESS_MS", "1500")
        .with("PORTCULLIS_LOOKUP_DEADLINE_MS", "500");
    let server = setup.start().await;
    let bound = Duration::from_secs(10);
    let is = async |in_sync: bool| {
        let health = health(&server).await;
        health["in_sync"] == in_sync && health["listening"] == in_sync
    };
    until(bound, "it listens", || is(true)).await;
    let now = health(&server).await;
    assert!(now["sync_lag_ms"].as_u64().unwrap() < 600, "{now}");
    assert_eq!(now["history_breaks"], 0);
    assert_eq!(now["refuses_what_it_saw_revoked"], false);
    assert_eq!(now["judged_in_outage"], 0);
    cluster.stop();
    until(bound, "it has noticed", || is(false)).await;
    cluster.start_again();
    until(bound, "it listens again", || is(true)).await;
    assert_eq!(health(&server).await["history_breaks"], 0);
}

#[tokio::test]
async fn a_grace_keeps_good_keys_working_for_as_long_as_it_says() {
    let Some((cluster, _, setup)) = on_postgres() else {
        return;
    };
    let setup = setup
        .with("PORTCULLIS_MAX_STALENESS_MS", "1500")
        .with("PORTCULLIS_LOOKUP_DEADLINE_MS", "500")
        .with("PORTCULLIS_OUTAGE_GRACE_MS", "5000");
    let server = setup.start().await;
    let (good, dead, never_used) = (
        server.a_key().await,
        server.a_key().await,
        server.a_key().await,
    );
    assert!(server.opens(&good).await && server.opens(&dead).await);
    server.revoke(&dead).await;
    cluster.stop();
    let bound = Duration::from_secs(10);
    let is_unavailable = |answer: Answer| {
        // 200 or an honest 503; never a word against a good key.
        assert!(matches!(answer.status, 200 | 503), "{answer:?}");
        answer.status == 503
    };
    until(bound, "the lease ends", async || {
        health(&server).await["in_sync"] == false
    })
    .await;
    server.get("/v1/ping", &good.secret).await.is(200);
    assert!(health(&server).await["judged_in_outage"].as_u64().unwrap() > 0);
    // What was not known to be good is no better than without a grace.
    server.get("/v1/ping", &never_used.secret).await.is(503);
    assert_ne!(server.get("/v1/ping", &dead.secret).await.status, 200);
    until(bound, "the grace ends", async || {
        is_unavailable(server.get("/v1/ping", &good.secret).await)
    })
    .await;
    cluster.start_again();
    until(bound, "it recovers", async || {
        !is_unavailable(server.get("/v1/ping", &good.secret).await)
    })
    .await;
    assert!(!server.opens(&dead).await);
}
