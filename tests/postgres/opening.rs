//! Opening a database, and bringing its tables up to date.

use std::io::Write as _;
use std::process::Stdio;

use portcullis::store::{KeyStore, PostgresStore, StoreErrorKind};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::failures::chain;
use super::sample::{add, id, is_found, position};
use super::{Place, cluster};

#[tokio::test]
async fn what_is_no_url_of_postgres_is_refused() {
    let cases = [
        ("keys.db", "does not begin with \"postgres:\""),
        ("sqlite://hunter2", "begins with \"sqlite\""),
        ("mysql://me:hunter2@host/db", "begins with \"mysql\""),
        ("POSTGRES://me:hunter2@host/db", "begins with \"POSTGRES\""),
        (
            "postgres://me:hunter2@host:port/db",
            "the URL cannot be read",
        ),
        (
            "postgres://me:hunter2@host/db?sslmode=hunter2",
            "the URL cannot be read",
        ),
    ];
    for (url, expected) in cases {
        let elsewhere = PostgresStore::options("postgres://host/db").look_ups_at(url);
        for options in [PostgresStore::options(url), elsewhere] {
            assert!(!format!("{options:?}").contains("hunter2"), "{url}");
            let error = options.connect().await.unwrap_err();
            assert_eq!(error.kind(), StoreErrorKind::Misconfigured, "{url}");
            let text = chain(&error);
            assert!(text.contains(expected), "{url}: {text}");
            assert!(!text.contains("hunter2"), "{text}");
        }
    }
}

#[tokio::test]
async fn a_server_that_does_not_let_us_in_says_why() {
    let Some(place) = Place::new() else { return };
    let port = place.cluster.port();
    place.cluster.psql(
        "postgres",
        "DROP ROLE IF EXISTS locked; CREATE ROLE locked LOGIN PASSWORD 'right'",
    );
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let free = nobody.local_addr().unwrap().port();
    drop(nobody);
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = silent.local_addr().unwrap().port();
    let cases = [
        (
            format!(
                "postgres://locked:hunter2@127.0.0.1:{port}/{}",
                place.database
            ),
            StoreErrorKind::Misconfigured,
            "password authentication failed",
        ),
        (
            format!("postgres://postgres:hunter2@127.0.0.1:{port}/missing"),
            StoreErrorKind::Misconfigured,
            "database \"missing\" does not exist",
        ),
        // Lets it in, and not near any table.
        (
            format!(
                "postgres://locked:right@127.0.0.1:{port}/{}",
                place.database
            ),
            StoreErrorKind::Misconfigured,
            "permission denied",
        ),
        // A server may come later.
        (
            format!("postgres://postgres:hunter2@127.0.0.1:{free}/x"),
            StoreErrorKind::Unavailable,
            "opening the database",
        ),
        (
            format!("postgres://postgres:hunter2@127.0.0.1:{silent}/x"),
            StoreErrorKind::Unavailable,
            "opening the database",
        ),
    ];
    for (url, kind, expected) in cases {
        let error = PostgresStore::connect(&url).await.unwrap_err();
        let text = chain(&error);
        assert_eq!(error.kind(), kind, "{text}");
        assert!(text.contains(expected), "{text}");
        assert!(
            !text.contains("hunter2") && !text.contains("right"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_database_in_another_encoding_is_refused() {
    let Some(cluster) = cluster() else { return };
    cluster.psql(
        "postgres",
        "CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'",
    );
    let error = PostgresStore::connect(&cluster.url("latin"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Misconfigured);
    assert!(
        error.to_string().contains("LATIN1, and UTF8 is needed"),
        "{error}"
    );
}

#[tokio::test]
async fn a_store_is_itself_again_after_it_was_closed() {
    let (Some(place), Some(another)) = (Place::new(), Place::new()) else {
        return;
    };
    let (before, cursor_key) = {
        let store = place.store().await;
        add(&store, 1).await;
        (position(&store).await, store.cursor_key().await.unwrap())
    };
    let store = place.store().await;
    assert_eq!(position(&store).await, before);
    assert_eq!(store.cursor_key().await.unwrap(), cursor_key);
    assert!(store.get(&id(1)).await.unwrap().value.is_some());

    let stranger = another.store().await;
    assert_ne!(position(&stranger).await.store, before.store);
    assert_ne!(position(&stranger).await.nonce, before.nonce);
    assert_ne!(stranger.cursor_key().await.unwrap(), cursor_key);
}

/// By the tools that come with Postgres.
#[tokio::test]
async fn a_dump_that_went_on_by_itself_is_told_apart() {
    let Some(place) = Place::new() else { return };
    let store = place.store().await;
    add(&store, 1).await;
    let common = position(&store).await;
    let mut dump = place.cluster.client("pg_dump");
    let dump = dump.args(["--dbname", &place.database]).output().unwrap();
    assert!(dump.status.success());
    add(&store, 2).await;
    let followed = position(&store).await;

    let copy = Place::new().unwrap();
    let mut psql = copy.cluster.client("psql");
    psql.args([
        "--quiet",
        "--set",
        "ON_ERROR_STOP=1",
        "--dbname",
        &copy.database,
    ]);
    psql.stdin(Stdio::piped()).stdout(Stdio::null());
    let mut psql = psql.spawn().unwrap();
    psql.stdin.take().unwrap().write_all(&dump.stdout).unwrap();
    assert!(psql.wait().unwrap().success());

    let restored = copy.store().await;
    assert_eq!(
        position(&restored).await,
        common,
        "putting it back is no change"
    );
    assert!(is_found(&restored, 1).await);
    add(&restored, 3).await;
    let report = restored.sync(Some(followed)).await.unwrap();
    assert_eq!(report.position.store, followed.store);
    assert_eq!(report.position.revision, followed.revision);
    assert_ne!(report.nonce_then, Some(followed.nonce));
}

#[tokio::test]
async fn without_migrations_the_missing_version_is_named() {
    let Some(place) = Place::new() else { return };
    let manual = || PostgresStore::options(&place.url()).migrate(false);
    let error = manual().connect().await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Misconfigured);
    let text = error.to_string();
    assert!(text.contains("version 1 is missing"), "{text}");

    for migration in PostgresStore::migrations() {
        place
            .cluster
            .psql(&place.database, &format!("BEGIN; {migration} COMMIT"));
    }
    let store = manual().connect().await.unwrap();
    add(&store, 1).await;
    assert!(is_found(&place.store().await, 1).await);
}

#[tokio::test]
async fn tables_of_a_newer_release_are_left_alone() {
    let Some(place) = Place::new() else { return };
    drop(place.store().await);
    let newer = "INSERT INTO portcullis.migrations VALUES (99)";
    place.hand().await.types(newer).await.unwrap();
    for migrate in [true, false] {
        let options = PostgresStore::options(&place.url()).migrate(migrate);
        let error = options.connect().await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Misconfigured);
        let error = error.to_string();
        assert!(error.contains("version 99"), "{error}");
        assert!(error.contains("up to version 1"), "{error}");
    }
}

#[tokio::test]
async fn many_may_migrate_at_once() {
    let Some(place) = Place::new() else { return };
    let mut stores = JoinSet::new();
    for _ in 0..8 {
        let url = place.url();
        stores.spawn(async move {
            let store = PostgresStore::connect(&url).await.unwrap();
            position(&store).await
        });
    }
    let positions = stores.join_all().await;
    assert!(positions.iter().all(|position| *position == positions[0]));
}

/// Neither by using up its pool nor by what it sets for its own sessions.
#[tokio::test]
async fn the_application_cannot_starve_the_store() {
    let Some(place) = Place::new() else { return };
    let options: PgConnectOptions = place.url().parse().unwrap();
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .connect_with(options.options([
            ("statement_timeout", "1ms"),
            ("idle_in_transaction_session_timeout", "1ms"),
            ("default_transaction_isolation", "serializable"),
            ("default_transaction_read_only", "on"),
            ("synchronous_commit", "off"),
            ("search_path", "nowhere"),
            ("DateStyle", "SQL,DMY"),
        ]))
        .await
        .unwrap();
    let all_there_are = pool.acquire().await.unwrap();
    let store = PostgresStore::new(&pool).await.unwrap();
    add(&store, 1).await;
    assert!(is_found(&store, 1).await);
    drop(all_there_are);
    pool.close().await;
    add(&store, 2).await;
}

/// What is acknowledged is on the disk, whatever the server does for others.
#[tokio::test]
async fn writes_wait_for_the_disk() {
    let Some(place) = Place::new() else { return };
    let sql = format!(
        "ALTER DATABASE {} SET synchronous_commit = off",
        place.database
    );
    place.cluster.psql("postgres", &sql);
    let store = place.store().await;
    let mut hand = place.hand().await;
    assert_eq!(hand.reads::<String>("SHOW synchronous_commit").await, "off");
    hand.types(
        "CREATE TABLE seen (setting text); \
         CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             INSERT INTO seen VALUES (current_setting('synchronous_commit')); RETURN NULL; \
         END $$; \
         CREATE TRIGGER see AFTER INSERT ON portcullis.secrets \
             FOR EACH ROW EXECUTE FUNCTION public.see()",
    )
    .await
    .unwrap();
    // The trigger goes by the names of the session at work.
    hand.types("ALTER FUNCTION see() SET search_path = public")
        .await
        .unwrap();
    add(&store, 1).await;
    assert_eq!(hand.reads::<String>("SELECT setting FROM seen").await, "on");
    for kept in ["remote_apply", "remote_write"] {
        let sql = format!(
            "ALTER DATABASE {} SET synchronous_commit = {kept}; TRUNCATE seen",
            place.database
        );
        hand.types(&sql).await.unwrap();
        let number = if kept == "remote_apply" { 2 } else { 3 };
        add(&place.store().await, number).await;
        let expected = if kept == "remote_apply" { kept } else { "on" };
        assert_eq!(
            hand.reads::<String>("SELECT setting FROM seen").await,
            expected
        );
    }
}
