//! Opening a database, and bringing its tables up to date.

use std::error::Error as _;

use portcullis::store::{KeyStore, Source, SqliteStore, StoreErrorKind};
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions};
use tokio::task::JoinSet;

use super::{Place, add, digest, id, position};

#[tokio::test]
async fn only_files_are_opened() {
    let in_memory = "use MemoryStore";
    let cases = [
        ("sqlite::memory:", in_memory),
        ("sqlite://:memory:", in_memory),
        ("sqlite:", in_memory),
        ("sqlite://somewhere?mode=memory", in_memory),
        ("sqlite://somewhere?mode=memory&cache=private", in_memory),
        ("keys.db", "does not begin with \"sqlite:\""),
        ("postgres://me:hunter2@host/db", "begins with \"postgres\""),
        ("SQLITE://x", "begins with \"SQLITE\""),
        ("sqlite://x?unknown=1", "reading the URL"),
        ("sqlite:///no/such/folder/keys.db", "opening the database"),
    ];
    for (url, expected) in cases {
        let error = SqliteStore::connect(url).await.unwrap_err();
        // A folder may come later.
        let kind = if url.contains("/no/such/") {
            StoreErrorKind::Unavailable
        } else {
            StoreErrorKind::Misconfigured
        };
        assert_eq!(error.kind(), kind, "{url}");
        let text = error.to_string();
        assert!(text.contains(expected), "{url}: {text}");
        assert!(!text.contains("hunter2"), "{text}");
    }
    let pool = SqlitePool::connect("sqlite::memory:").await.unwrap();
    let error = SqliteStore::new(&pool).await.unwrap_err();
    assert!(error.to_string().contains(in_memory), "{error}");
}

#[tokio::test]
async fn a_file_is_made_unless_the_url_says_otherwise() {
    let place = Place::new();
    let url = format!("{}?mode=rw", place.url());
    let error = SqliteStore::connect(&url).await.unwrap_err();
    assert!(error.source().is_some(), "SQLite's own error is kept");
    assert!(!place.file().exists());
    let short = format!("sqlite:{}", place.file().display());
    SqliteStore::connect(&short).await.unwrap();
    assert!(place.file().exists());
    SqliteStore::connect(&url).await.unwrap();
}

#[tokio::test]
async fn a_store_is_itself_again_after_it_was_closed() {
    let place = Place::new();
    let (before, cursor_key) = {
        let store = place.store().await;
        add(&store, 1).await;
        (position(&store).await, store.cursor_key().await.unwrap())
    };
    let store = place.store().await;
    assert_eq!(position(&store).await, before);
    assert_eq!(store.cursor_key().await.unwrap(), cursor_key);
    assert!(store.get(&id(1)).await.unwrap().value.is_some());

    let another = Place::new();
    let stranger = another.store().await;
    assert_ne!(position(&stranger).await.store, before.store);
    assert_ne!(position(&stranger).await.nonce, before.nonce);
    assert_ne!(stranger.cursor_key().await.unwrap(), cursor_key);
}

#[tokio::test]
async fn the_digest_algorithm_is_agreed_on_by_all_who_open_the_file() {
    let place = Place::new();
    let (one, other) = (place.store().await, place.store().await);
    assert_eq!(one.digest_algorithm("sha256").await.unwrap(), "sha256");
    // While there is no key, whoever has none may still change their mind.
    assert_eq!(other.digest_algorithm("blake3").await.unwrap(), "blake3");
    add(&one, 1).await;
    let mut hand = place.hand().await;
    hand.types("BEGIN IMMEDIATE").await.unwrap();
    for _ in 0..2 {
        let theirs = one.digest_algorithm("sha256").await.unwrap();
        assert_eq!(theirs, "blake3", "asking waits for no write");
    }
    hand.types("ROLLBACK; DELETE FROM portcullis_keys")
        .await
        .unwrap();
    let reopened = place.store().await;
    let theirs = reopened.digest_algorithm("sha256").await.unwrap();
    assert_eq!(theirs, "blake3", "also when all are gone");
}

#[tokio::test]
async fn keys_typed_before_any_program_came_have_the_algorithm_of_the_first_that_does() {
    let place = Place::new();
    let store = place.store().await;
    add(&store, 1).await;
    assert_eq!(store.digest_algorithm("blake3").await.unwrap(), "blake3");
    assert_eq!(store.digest_algorithm("sha256").await.unwrap(), "blake3");
}

#[tokio::test]
async fn a_copy_that_went_on_by_itself_is_told_apart() {
    let (place, copy) = (Place::new(), Place::new());
    let store = place.store().await;
    add(&store, 1).await;
    let common = position(&store).await;
    let into = format!("VACUUM INTO '{}'", copy.file().display());
    place.hand().await.types(&into).await.unwrap();
    add(&store, 2).await;
    let followed = position(&store).await;

    let restored = copy.store().await;
    assert_eq!(position(&restored).await, common);
    add(&restored, 3).await;
    let report = restored.sync(Some(followed)).await.unwrap();
    assert_eq!(report.position.store, followed.store);
    assert_eq!(report.position.revision, followed.revision);
    assert_ne!(report.nonce_then, Some(followed.nonce));
}

#[tokio::test]
async fn without_migrations_the_missing_version_is_named() {
    let place = Place::new();
    let manual = || SqliteStore::options(&format!("{}?mode=rwc", place.url())).migrate(false);
    let error = manual().connect().await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Misconfigured);
    assert!(
        error.to_string().contains("version 1 is missing"),
        "{error}"
    );

    let mut hand = place.hand().await;
    for migration in SqliteStore::migrations() {
        hand.types(&format!("BEGIN; {migration} COMMIT"))
            .await
            .unwrap();
    }
    let store = manual().connect().await.unwrap();
    add(&store, 1).await;
    place.store().await;
}

#[tokio::test]
async fn tables_of_a_newer_release_are_left_alone() {
    let place = Place::new();
    drop(place.store().await);
    place
        .hand()
        .await
        .types("INSERT INTO portcullis_migrations VALUES (99, 0)")
        .await
        .unwrap();
    for migrate in [true, false] {
        let options = SqliteStore::options(&place.url()).migrate(migrate);
        let error = options.connect().await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Misconfigured);
        let error = error.to_string();
        assert!(error.contains("version 99"), "{error}");
        assert!(error.contains("up to version 1"), "{error}");
    }
}

#[tokio::test]
async fn many_may_migrate_at_once() {
    let place = Place::new();
    let mut stores = JoinSet::new();
    for _ in 0..8 {
        let url = place.url();
        stores.spawn(async move {
            let store = SqliteStore::connect(&url).await.unwrap();
            position(&store).await
        });
    }
    let positions = stores.join_all().await;
    assert!(positions.iter().all(|position| *position == positions[0]));
}

#[tokio::test]
async fn the_application_cannot_starve_the_store() {
    let place = Place::new();
    let options = SqliteConnectOptions::new()
        .filename(place.file())
        .create_if_missing(true)
        .foreign_keys(false)
        .journal_mode(SqliteJournalMode::Wal)
        .pragma("synchronous", "OFF");
    let pool = SqlitePoolOptions::new()
        .max_connections(1)
        .connect_with(options)
        .await
        .unwrap();
    let all_there_are = pool.acquire().await.unwrap();
    let store = SqliteStore::new(&pool).await.unwrap();
    add(&store, 1).await;
    let found = store
        .look_up(&digest(1), Source::Primary)
        .await
        .unwrap()
        .found;
    assert!(found.is_some());
    drop(all_there_are);
    pool.close().await;
    add(&store, 2).await;
}

#[tokio::test]
async fn debug_shows_the_file_alone() {
    let place = Place::new();
    let store = place.store().await;
    assert_eq!(
        format!("{store:?}"),
        format!("SqliteStore {{ file: {:?}, .. }}", place.file())
    );
    let options = SqliteStore::options("sqlite://secret?vfs=x");
    assert!(!format!("{options:?}").contains("secret"));
}

// Elsewhere nobody can move a file that is open.
#[cfg(unix)]
#[tokio::test]
async fn a_store_whose_file_was_replaced_fails_until_the_file_is_back() {
    let place = Place::new();
    let store = place.store().await;
    add(&store, 1).await;
    let aside = place.file().with_extension("aside");
    std::fs::rename(place.file(), &aside).unwrap();
    let fails = async |why: &str| {
        let failures = [
            store
                .look_up(&digest(1), Source::Primary)
                .await
                .unwrap_err(),
            store.sync(None).await.unwrap_err(),
            store.get(&id(1)).await.unwrap_err(),
            store.cursor_key().await.unwrap_err(),
        ];
        for failure in failures {
            assert_eq!(failure.kind(), StoreErrorKind::Unavailable);
            assert!(failure.to_string().contains(why), "{failure}");
        }
    };
    fails("looking for the file").await;
    std::fs::write(place.file(), "").unwrap();
    fails("another file has taken the place").await;
    let write = store.touch(&[]).await.unwrap_err();
    assert_eq!(write.kind(), StoreErrorKind::Unavailable);

    std::fs::rename(&aside, place.file()).unwrap();
    let found = store
        .look_up(&digest(1), Source::Primary)
        .await
        .unwrap()
        .found;
    assert!(found.is_some());
    add(&store, 2).await;
}
