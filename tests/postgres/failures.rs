//! Rows that make no sense, and what errors say of them: never what is in them.

use std::error::Error;

use portcullis::store::{
    Decide, Decision, KeyRecord, KeyStore, ListQuery, Provenance, Revocation, Source, StoreError,
    StoreErrorKind, Subjects,
};
use portcullis::timestamp::Timestamp;

use super::Place;
use super::sample::{add, adding, digest, disable, event, id, is_found, position, record, rotate};

/// Everything that an error says of itself, and of what is underneath.
pub(crate) fn chain(error: &StoreError) -> String {
    let mut text = format!("{error:?}");
    let mut next: Option<&dyn Error> = Some(error);
    while let Some(error) = next {
        text.push_str(&error.to_string());
        next = error.source();
    }
    text
}

/// Lets in what the tables would refuse.
const WITHOUT_CHECKS: &str = "DO $$ DECLARE c record; BEGIN \
    FOR c IN SELECT conrelid::regclass AS t, conname FROM pg_constraint \
             WHERE contype = 'c' AND connamespace = 'portcullis'::regnamespace \
    LOOP EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', c.t, c.conname); END LOOP; END $$";

#[tokio::test]
async fn a_value_that_cannot_be_is_named_by_its_column_alone() {
    let cases = [
        ("name", "'hunter2' || chr(10)"),
        ("name", "' hunter2'"),
        ("owner", "'hunter2' || chr(7)"),
        ("environment", "'hunter2 '"),
        ("hint", "'hunter 2'"),
        ("scopes", "'hunter2  hunter2'"),
        ("created_at", "'-infinity'"),
        ("created_by", "'hunter2'"),
        ("expires_at", "'10000-01-01 00:00:00+00'"),
        ("revoked_at", "'-infinity'"),
        ("revoked_by", "'hunter2', revoked_at = now()"),
        ("metadata", "'\"hunter2\"'"),
        ("metadata", "'[\"hunter2\"]'"),
        ("last_used_at", "'infinity'"),
    ];
    let Some(place) = Place::new() else { return };
    let store = place.store().await;
    let mut hand = place.hand().await;
    hand.types(WITHOUT_CHECKS).await.unwrap();
    add(&store, 100).await;
    for (number, (column, value)) in (1..).zip(cases) {
        add(&store, number).await;
        let sql = format!(
            "UPDATE portcullis.keys SET {column} = {value} WHERE id = '{}'",
            id(number)
        );
        hand.types(&sql).await.unwrap();
        let query = ListQuery {
            limit: 99,
            ..ListQuery::default()
        };
        let errors = [
            store
                .look_up(&digest(number), Source::Primary)
                .await
                .unwrap_err(),
            store.get(&id(number)).await.unwrap_err(),
            store.list(&query).await.unwrap_err(),
            disable(&store, number).await.unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.kind(), StoreErrorKind::Corrupt, "{error}");
            let text = chain(&error);
            assert!(error.to_string().contains(column), "{text}");
            assert!(!text.contains("hunter"), "{text}");
        }
        // The others are as good as ever.
        assert!(is_found(&store, 100).await);
        disable(&store, 100).await.unwrap();
        // Nobody would find that one in a list of the next case.
        let sql = format!("DELETE FROM portcullis.keys WHERE id = '{}'", id(number));
        hand.types(&sql).await.unwrap();
    }
}

#[tokio::test]
async fn a_previous_secret_that_cannot_be_is_named_by_its_column_alone() {
    let cases = [
        ("previous_hint", "hint = 'hunter 2'"),
        ("previous_hint", "hint = NULL"),
        ("previous_expires_at", "hint = 'h', expires_at = 'infinity'"),
        ("previous_expires_at", "expires_at = NULL"),
        (
            "previous_last_used_at",
            "expires_at = now(), last_used_at = 'infinity'",
        ),
    ];
    let Some(place) = Place::new() else { return };
    let store = place.store().await;
    add(&store, 1).await;
    rotate(&store, 2, Timestamp::MAX).await.unwrap();
    let mut hand = place.hand().await;
    hand.types(WITHOUT_CHECKS).await.unwrap();
    for (column, sql) in cases {
        let sql = format!("UPDATE portcullis.secrets SET {sql} WHERE slot = 'previous'");
        hand.types(&sql).await.unwrap();
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

/// The server would tell all of it.
#[tokio::test]
async fn an_error_names_no_value_of_a_row() {
    let Some(place) = Place::new() else { return };
    let store = place.store().await;
    add(&store, 7).await;
    let taken = store
        .transact(Subjects::default(), adding(7))
        .await
        .unwrap_err();
    assert_eq!(taken.kind(), StoreErrorKind::Conflict);
    let decide: Decide = Box::new(|_| Decision::Insert {
        record: record(8),
        digest: digest(7),
        replay: None,
        event: event(),
    });
    let digest_taken = store
        .transact(Subjects::default(), decide)
        .await
        .unwrap_err();
    assert_eq!(digest_taken.kind(), StoreErrorKind::Conflict);
    // The tables refuse it, as they would if somebody had tightened them.
    let mut hand = place.hand().await;
    hand.types("ALTER TABLE portcullis.keys ADD CHECK (name <> 'sample') NOT VALID")
        .await
        .unwrap();
    let refused = store
        .transact(Subjects::default(), adding(9))
        .await
        .unwrap_err();
    for error in [taken, digest_taken, refused] {
        let text = chain(&error);
        assert!(error.source().is_some(), "it says why: {text}");
        for value in ["0707", "key_0", "acme", "somebody", "sample", "reports"] {
            assert!(!text.contains(value), "{value} is in {text}");
        }
    }
}

/// A text of Postgres cannot hold it. What it is the reason for counts more.
#[tokio::test]
async fn a_key_is_revoked_whatever_the_reason() {
    let Some(place) = Place::new() else { return };
    let store = place.store().await;
    add(&store, 1).await;
    let decide: Decide = Box::new(|rows| Decision::Update {
        record: KeyRecord {
            revoked: Some(Revocation {
                at: Timestamp::UNIX_EPOCH,
                by: Provenance::System,
                reason: Some("le\0ak".to_owned()),
            }),
            ..rows.target.clone().unwrap()
        },
        event: event(),
    });
    store.transact(super::sample::on(1), decide).await.unwrap();
    let revoked = store.get(&id(1)).await.unwrap().value.unwrap().revoked;
    assert_eq!(revoked.unwrap().reason.unwrap(), "le\u{fffd}ak");
}

/// As by a restore from a dump of data alone.
#[tokio::test]
async fn without_its_triggers_nothing_is_written() {
    let Some(place) = Place::new() else { return };
    let store = place.store().await;
    add(&store, 1).await;
    let before = position(&store).await;
    let mut hand = place.hand().await;
    hand.types("ALTER TABLE portcullis.keys DISABLE TRIGGER ALL")
        .await
        .unwrap();
    let error = disable(&store, 1).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Corrupt, "{error}");
    assert!(
        error
            .to_string()
            .contains("the triggers of the tables are missing")
    );
    assert_eq!(position(&store).await, before);
    assert!(store.get(&id(1)).await.unwrap().value.unwrap().enabled);
    hand.types("ALTER TABLE portcullis.keys ENABLE ALWAYS TRIGGER changed")
        .await
        .unwrap();
    disable(&store, 1).await.unwrap();
    hand.types("DELETE FROM portcullis.meta").await.unwrap();
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
        assert!(error.to_string().contains("lost its row"), "{error}");
    }
}

/// While a backup is put back, say. Once they are there again, so is the service.
#[tokio::test]
async fn tables_that_are_away_for_a_moment_are_an_outage() {
    let Some(place) = Place::new() else { return };
    let store = place.store().await;
    add(&store, 1).await;
    assert!(is_found(&store, 1).await);
    let mut hand = place.hand().await;
    hand.types("ALTER SCHEMA portcullis RENAME TO aside")
        .await
        .unwrap();
    for _ in 0..2 {
        for error in [
            store
                .look_up(&digest(1), Source::Primary)
                .await
                .unwrap_err(),
            store.sync(None).await.unwrap_err(),
            store.get(&id(1)).await.unwrap_err(),
            disable(&store, 1).await.unwrap_err(),
        ] {
            assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
        }
    }
    hand.types("ALTER SCHEMA aside RENAME TO portcullis")
        .await
        .unwrap();
    assert!(is_found(&store, 1).await);
    disable(&store, 1).await.unwrap();
    super::soon("syncs are answered", async || {
        store.sync(None).await.is_ok()
    })
    .await;
}
