//! A database that is locked, full, or full of nonsense.

use std::error::Error;

use portcullis::store::{
    Decide, Decision, KeyRecord, KeyStore, ListQuery, Refusal, Revocation, Source, SqliteStore,
    StoreError, StoreErrorKind, Subjects,
};
use portcullis::timestamp::Timestamp;
use sqlx::SqlitePool;
use sqlx::sqlite::SqliteConnectOptions;

use super::{Place, add, digest, disable, id, insert, position, record, rotate};

/// Everything that an error says of itself, and of what is underneath.
fn chain(error: &StoreError) -> String {
    let mut text = format!("{error:?}");
    let mut next: Option<&dyn Error> = Some(error);
    while let Some(error) = next {
        text.push_str(&error.to_string());
        next = error.source();
    }
    text
}

#[tokio::test]
async fn a_value_that_cannot_be_is_named_by_its_column_alone() {
    let cases = [
        ("name", "'hunter2' || char(10)"),
        ("name", "' hunter2'"),
        ("owner", "'hunter2' || char(0)"),
        ("environment", "'hunter2 '"),
        ("hint", "'hunter 2'"),
        ("scopes", "'hunter2  hunter2'"),
        ("scopes", "CAST(x'ff68756e74657232' AS TEXT)"),
        ("created_at", "9000000000000000000"),
        ("created_by", "'hunter2'"),
        ("expires_at", "9000000000000000000"),
        ("revoked_at", "9000000000000000000"),
        ("revoked_by", "'hunter2', revoked_at = 1"),
        ("metadata", "'hunter2'"),
        ("metadata", "'[\"hunter2\"]'"),
        ("last_used_at", "9000000000000000000"),
    ];
    for (column, value) in cases {
        let place = Place::new();
        let store = place.store().await;
        add(&store, 1).await;
        add(&store, 2).await;
        let sql = format!(
            "PRAGMA ignore_check_constraints = ON; \
             UPDATE portcullis_keys SET {column} = {value} WHERE id LIKE '%1'"
        );
        place.hand().await.types(&sql).await.unwrap();
        let query = ListQuery {
            limit: 9,
            ..ListQuery::default()
        };
        let errors = [
            store
                .look_up(&digest(1), Source::Primary)
                .await
                .unwrap_err(),
            store.get(&id(1)).await.unwrap_err(),
            store.list(&query).await.unwrap_err(),
            disable(&store, 1).await.unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.kind(), StoreErrorKind::Corrupt, "{error}");
            let text = chain(&error);
            assert!(error.to_string().contains(column), "{text}");
            assert!(!text.contains("hunter"), "{text}");
        }
        // The other key is as good as ever.
        assert!(
            store
                .look_up(&digest(2), Source::Primary)
                .await
                .unwrap()
                .found
                .is_some()
        );
        disable(&store, 2).await.unwrap();
    }
}

#[tokio::test]
async fn a_previous_secret_that_cannot_be_is_named_by_its_column_alone() {
    let cases = [
        ("previous_hint", "hint = 'hunter 2'"),
        ("previous_hint", "hint = NULL"),
        ("previous_expires_at", "expires_at = 9000000000000000000"),
        ("previous_expires_at", "expires_at = NULL"),
        (
            "previous_last_used_at",
            "last_used_at = 9000000000000000000",
        ),
    ];
    for (column, sql) in cases {
        let place = Place::new();
        let store = place.store().await;
        add(&store, 1).await;
        rotate(&store, 2, Timestamp::MAX).await.unwrap();
        let sql = format!(
            "PRAGMA ignore_check_constraints = ON; \
             UPDATE portcullis_secrets SET {sql} WHERE slot = 'previous'"
        );
        place.hand().await.types(&sql).await.unwrap();
        let errors = [
            store
                .look_up(&digest(1), Source::Primary)
                .await
                .unwrap_err(),
            store
                .look_up(&digest(2), Source::Primary)
                .await
                .unwrap_err(),
            store.get(&id(1)).await.unwrap_err(),
            disable(&store, 1).await.unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.kind(), StoreErrorKind::Corrupt, "{error}");
            assert!(error.to_string().contains(column), "{error}");
            assert!(!chain(&error).contains("hunter"));
        }
    }
}

#[tokio::test]
async fn an_id_that_cannot_be_is_corrupt() {
    let place = Place::new();
    let store = place.store().await;
    add(&store, 1).await;
    let sql = "PRAGMA ignore_check_constraints = ON; DROP TRIGGER portcullis_key_stays; \
               UPDATE portcullis_keys SET id = 'hunter2'; \
               UPDATE portcullis_secrets SET key_id = 'hunter2'";
    place.hand().await.types(sql).await.unwrap();
    let error = store
        .look_up(&digest(1), Source::Primary)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Corrupt);
    assert!(!chain(&error).contains("hunter2"));
}

#[tokio::test]
async fn a_store_that_does_not_know_where_it_is_says_so() {
    let place = Place::new();
    let store = place.store().await;
    add(&store, 1).await;
    let sql = "DELETE FROM portcullis_meta";
    place.hand().await.types(sql).await.unwrap();
    for error in [
        store
            .look_up(&digest(1), Source::Primary)
            .await
            .unwrap_err(),
        store.sync(None).await.unwrap_err(),
        store.cursor_key().await.unwrap_err(),
        disable(&store, 1).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), StoreErrorKind::Corrupt, "{error}");
    }
}

#[tokio::test]
async fn a_write_without_a_revision_is_not_made() {
    let place = Place::new();
    let store = place.store().await;
    add(&store, 1).await;
    let sql = "DROP TRIGGER portcullis_key_changed";
    place.hand().await.types(sql).await.unwrap();
    let error = disable(&store, 1).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Corrupt);
    assert!(store.get(&id(1)).await.unwrap().value.unwrap().enabled);
    add(&store, 2).await;
}

#[tokio::test]
async fn a_lock_held_by_another_process_delays_writes_and_then_fails_them() {
    let place = Place::new();
    let store = place.store().await;
    add(&store, 1).await;
    let before = position(&store).await;
    let mut hand = place.hand().await;
    hand.types("BEGIN IMMEDIATE").await.unwrap();

    let digest = digest(1);
    let (written, found) =
        tokio::join!(disable(&store, 1), store.look_up(&digest, Source::Primary));
    assert!(found.unwrap().found.is_some(), "reading goes on");
    let error = written.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    assert!(chain(&error).contains("database is locked"));
    assert_eq!(position(&store).await, before);

    hand.types("COMMIT").await.unwrap();
    disable(&store, 1).await.unwrap();
}

#[tokio::test]
async fn a_transaction_that_ends_by_itself_does_not_take_the_connection_along() {
    let place = Place::new();
    let store = place.store().await;
    add(&store, 1).await;
    let mut hand = place.hand().await;
    let sql = "CREATE TRIGGER guard BEFORE INSERT ON portcullis_secrets \
               BEGIN SELECT RAISE(ROLLBACK, 'not on a Sunday'); END";
    hand.types(sql).await.unwrap();
    for _ in 0..3 {
        let error = insert(&store, record(2), 2).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
        assert!(chain(&error).contains("not on a Sunday"), "{error:?}");
        assert_eq!(store.get(&id(2)).await.unwrap().value, None);
    }
    hand.types("DROP TRIGGER guard").await.unwrap();
    add(&store, 2).await;
}

#[tokio::test]
async fn a_full_disk_fails_writes_until_there_is_room_again() {
    let place = Place::new();
    drop(place.store().await);
    // A limit of our own on the pages that there may be, which stands for that of the disk.
    let limited = SqliteConnectOptions::new()
        .filename(place.file())
        .pragma("max_page_count", "40");
    let pool = SqlitePool::connect_lazy_with(limited);
    let store = SqliteStore::new(&pool).await.unwrap();
    let large = |number| KeyRecord {
        revoked: Some(Revocation {
            at: record(number).created_at,
            by: record(number).created_by,
            reason: Some("x".repeat(20_000)),
        }),
        ..record(number)
    };
    let mut number = 1;
    let error = loop {
        match insert(&store, large(number), number).await {
            Ok(_) => number += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    assert!(chain(&error).contains("full"), "{}", chain(&error));
    assert!(number > 1);
    assert_eq!(store.get(&id(number)).await.unwrap().value, None);

    for _ in 0..3 {
        let refuse: Decide = Box::new(|_| Decision::Refuse(Refusal::NotFound));
        store.transact(Subjects::default(), refuse).await.unwrap();
    }
    let sql = "PRAGMA foreign_keys = ON; DELETE FROM portcullis_keys";
    place.hand().await.types(sql).await.unwrap();
    insert(&store, large(number), number).await.unwrap();
}
