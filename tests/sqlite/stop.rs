//! An emergency stop of many keys.

use std::time::{Duration, Instant};

use portcullis::store::{
    Decide, Decision, Falsifies, KeyStore, Outcome, Provenance, Revocation, SqliteStore, Subjects,
    Touched, Transacted, Where, Whose,
};
use portcullis::timestamp::Timestamp;

use super::{Place, id, position};

/// More than the history keeps.
const KEYS: u64 = 20_000;

async fn stop(store: &SqliteStore, whose: Whose) -> Transacted {
    let decide: Decide = Box::new(move |_| Decision::RevokeAll {
        whose: whose.clone(),
        revocation: Revocation {
            at: Timestamp::UNIX_EPOCH,
            by: Provenance::AdminToken,
            reason: None,
        },
    });
    store.transact(Subjects::default(), decide).await.unwrap()
}

/// Each of them but the first was made by the one before it.
const FILL: &str = "\
    WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n LIMIT $KEYS) \
    INSERT INTO portcullis_keys \
        (id, name, owner, environment, hint, scopes, created_at, created_by) \
    SELECT format('key_%022d', n), 'typed', 'somebody', 'live', 'hint', '', 0, \
           format('key:key_%022d', n - 1) FROM n; \
    INSERT INTO portcullis_secrets (digest, key_id) SELECT randomblob(32), id FROM portcullis_keys";

#[tokio::test]
async fn a_stop_of_very_many_keys_is_one_transaction_and_takes_seconds_at_most() {
    for whose in [Whose::All, Whose::CreatedBy(Provenance::Key(id(0)))] {
        let place = Place::new();
        let store = place.store().await;
        let fill = format!(
            "BEGIN; {}; COMMIT",
            FILL.replace("$KEYS", &KEYS.to_string())
        );
        place.hand().await.types(&fill).await.unwrap();
        let before = position(&store).await;

        #[expect(clippy::disallowed_methods, reason = "this is about real time")]
        let start = Instant::now();
        let stopped = stop(&store, whose.clone()).await;
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "{:?}",
            start.elapsed()
        );

        let Outcome::RevokedAll {
            touched, revoked, ..
        } = stopped.outcome
        else {
            panic!("it was not committed");
        };
        assert_eq!(revoked, KEYS);
        let any = Touched {
            place: Where::Anywhere,
            falsifies: Falsifies::Everything,
        };
        assert_eq!(touched, [any]);
        assert_eq!(position(&store).await.revision, stopped.revision);
        let alive = "SELECT count(*) FROM portcullis_keys WHERE revoked_at IS NULL";
        assert_eq!(place.hand().await.reads(alive).await, 0);
        // Others are told that they have missed something, not that there was nothing.
        let report = store.sync(Some(before)).await.unwrap();
        assert_eq!(report.nonce_then, None);

        let again = stop(&store, whose).await;
        assert_eq!(again.revision, stopped.revision);
        assert!(matches!(
            again.outcome,
            Outcome::RevokedAll { touched, revoked: 0, .. } if touched == [any]
        ));
    }
}
