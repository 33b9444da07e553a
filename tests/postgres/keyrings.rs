//! Replicas of a service on one database.

use std::time::Duration;

use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use portcullis::keyring::{Builder, Created, NewKey};
use portcullis::store::{Provenance, Whose};
use portcullis::{ApiKeyLayer, Keyring};
use tokio::time::{Instant, sleep};
use tower::{Layer as _, ServiceExt as _, service_fn};

use super::{Hand, Place, canary, soon};

/// One that polls seldom, so that what it learns before it has learned by a nudge, and whose requests
/// wait for a look-up for as long as a busy machine may take.
async fn keyring(place: &Place) -> Keyring {
    with(place, |builder| {
        builder
            .max_staleness(Duration::from_mins(1))
            .poll_interval(Duration::from_secs(15))
            .lookup_deadline(Duration::from_secs(10))
    })
    .await
}

async fn with(place: &Place, options: impl FnOnce(Builder) -> Builder) -> Keyring {
    let builder = Keyring::builder(place.store_of_keyring().await).prefix("acme");
    let keyring = options(builder).build().unwrap();
    keyring.ready().await.unwrap();
    keyring
}

async fn create(keyring: &Keyring) -> Created {
    let new = NewKey::named("ci").unwrap().owner("acme-corp").unwrap();
    let created = keyring.create(new).await.unwrap();
    canary::know(created.secret.expose());
    created
}

/// What the gate of this replica answers.
async fn knock(keyring: &Keyring, created: &Created) -> StatusCode {
    let inner = service_fn(async |_: Request<String>| {
        Ok::<_, std::convert::Infallible>(Response::new(String::new()))
    });
    let request = Request::get("/")
        .header(
            "authorization",
            format!("Bearer {}", created.secret.expose()),
        )
        .body(String::new())
        .unwrap();
    let gate = ApiKeyLayer::new(keyring.clone()).layer(inner);
    let (parts, body) = gate.oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    canary::answer(&parts.headers, body);
    parts.status
}

/// How long it takes until the gate answers so.
async fn until(keyring: &Keyring, created: &Created, status: StatusCode) -> Duration {
    let began = Instant::now();
    soon("the other answer", async || {
        knock(keyring, created).await == status
    })
    .await;
    began.elapsed()
}

/// Less than the poll interval, and than what an answer of "unknown" is remembered for, so that it is
/// the nudge that did it.
const NUDGED: Duration = Duration::from_secs(4);

#[tokio::test]
async fn what_one_replica_changes_the_other_one_knows_in_milliseconds() {
    let Some(place) = Place::new() else { return };
    let (here, there) = (keyring(&place).await, keyring(&place).await);
    let mut took = Vec::new();
    for _ in 0..10 {
        let created = create(&here).await;
        assert_eq!(knock(&there, &created).await, StatusCode::OK);
        here.revoke(&created.key.id, None).await.unwrap();
        assert_eq!(knock(&here, &created).await, StatusCode::UNAUTHORIZED);
        took.push(until(&there, &created, StatusCode::UNAUTHORIZED).await);
    }
    took.sort_unstable();
    assert!(
        took[took.len() / 2] < Duration::from_millis(300),
        "{took:?}"
    );
    assert!(took[took.len() - 1] < NUDGED, "{took:?}");
}

#[tokio::test]
async fn a_key_that_was_unknown_is_known_once_it_is_there() {
    let Some(place) = Place::new() else { return };
    let (here, there) = (keyring(&place).await, keyring(&place).await);
    // Only a copy of the rows can be put there by somebody else, and only where it is forgotten that
    // there was such a secret.
    let created = create(&here).await;
    let mut hand = place.hand().await;
    hand.types(
        "CREATE TABLE k AS TABLE portcullis.keys; CREATE TABLE s AS TABLE portcullis.secrets; \
                DELETE FROM portcullis.keys; DELETE FROM portcullis.digests",
    )
    .await
    .unwrap();
    for replica in [&here, &there] {
        until(replica, &created, StatusCode::UNAUTHORIZED).await;
    }
    hand.types(
        "INSERT INTO portcullis.keys SELECT * FROM k; \
                INSERT INTO portcullis.secrets SELECT * FROM s",
    )
    .await
    .unwrap();
    for replica in [&here, &there] {
        let took = until(replica, &created, StatusCode::OK).await;
        assert!(took < NUDGED, "{took:?}");
    }
}

#[tokio::test]
async fn what_is_typed_holds_everywhere() {
    let Some(place) = Place::new() else { return };
    let replicas = [keyring(&place).await, keyring(&place).await];
    let created = create(&replicas[0]).await;
    let mut hand = place.hand().await;
    let steps = [
        ("enabled = false", StatusCode::UNAUTHORIZED),
        ("enabled = true", StatusCode::OK),
        ("expires_at = now()", StatusCode::UNAUTHORIZED),
        ("expires_at = NULL", StatusCode::OK),
        ("environment = 'elsewhere'", StatusCode::UNAUTHORIZED),
        ("environment = 'live'", StatusCode::OK),
        ("revoked_at = now()", StatusCode::UNAUTHORIZED),
    ];
    for (change, expected) in steps {
        for replica in &replicas {
            knock(replica, &created).await;
        }
        let sql = format!("UPDATE portcullis.keys SET {change}");
        hand.types(&sql).await.unwrap();
        for replica in &replicas {
            let took = until(replica, &created, expected).await;
            assert!(took < NUDGED, "{change}: {took:?}");
        }
    }
}

/// Counted by the server itself.
#[tokio::test]
async fn warm_keys_cost_the_database_one_small_statement_a_second() {
    const SECONDS: u64 = 6;
    let Some(place) = Place::new() else { return };
    let replica = with(&place, |builder| builder).await;
    let mut keys = Vec::new();
    for _ in 0..10 {
        keys.push(create(&replica).await);
    }
    let everybody = async || {
        for key in &keys {
            assert_eq!(knock(&replica, key).await, StatusCode::OK);
        }
    };
    everybody().await;
    let mut hand = Hand::at(place.cluster, "postgres").await;
    let sql = format!(
        "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = '{}'",
        place.database
    );
    // Their first uses are written down. A session that has nothing more to do tells after ten seconds
    // what it has done.
    sleep(Duration::from_secs(12)).await;
    let before: i64 = hand.reads(&sql).await;
    let began = Instant::now();
    let mut requests = 0;
    while began.elapsed() < Duration::from_secs(SECONDS) {
        everybody().await;
        requests += keys.len();
        tokio::task::yield_now().await;
    }
    assert!(requests > 1_000, "{requests} requests are no traffic");
    sleep(Duration::from_millis(1_200)).await;
    let asked = hand.reads::<i64>(&sql).await - before;
    let most = i64::try_from(2 * began.elapsed().as_secs()).unwrap();
    assert!(
        (1..=most).contains(&asked),
        "{asked} transactions for {requests} requests"
    );
}

/// What this replica is told of its own writes fits what its syncs bring, whichever comes first.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_writes_at_once_through_two_replicas_are_one_unbroken_history() {
    let Some(place) = Place::new() else { return };
    let replicas = [keyring(&place).await, keyring(&place).await];
    let mut writers = Vec::new();
    for number in 0..8 {
        let (here, there) = (
            replicas[number % 2].clone(),
            replicas[1 - number % 2].clone(),
        );
        writers.push(tokio::spawn(async move {
            for round in 0..15 {
                let created = create(&here).await;
                let id = &created.key.id;
                assert_eq!(knock(&there, &created).await, StatusCode::OK);
                let grace = Duration::from_secs(round % 2 * 60);
                there.rotate(id, grace).await.unwrap();
                here.revoke(id, None).await.unwrap();
                assert_eq!(knock(&here, &created).await, StatusCode::UNAUTHORIZED);
                if round % 5 == 0 {
                    let whose = Whose::CreatedBy(Provenance::Key(id.clone()));
                    here.revoke_all(whose, "nobody").await.unwrap();
                }
            }
        }));
    }
    for writer in writers {
        writer.await.unwrap();
    }
    for keyring in &replicas {
        keyring.sync().await.unwrap();
        let health = keyring.health();
        assert_eq!((health.history_breaks, health.epoch), (0, 1), "{health:?}");
    }
}

/// Whoever may connect may notify. It says nothing that anybody reads, and costs a sync.
#[tokio::test]
async fn a_forged_notification_changes_no_answer_whatever_its_payload() {
    let Some(place) = Place::new() else { return };
    let (here, there) = (keyring(&place).await, keyring(&place).await);
    let (good, bad) = (create(&here).await, create(&here).await);
    here.revoke(&bad.key.id, None).await.unwrap();
    until(&there, &bad, StatusCode::UNAUTHORIZED).await;
    let mut hand = place.hand().await;
    let (id, longest) = (good.key.id.as_str(), "x".repeat(7_999));
    let revision = r#"{"revision": 9223372036854775807, "changed": "all"}"#;
    for payload in ["", id, revision, &longest, "-1", "\u{1f511}\n", "%s%n"] {
        // Different ones each time: Postgres sends equal ones of a transaction once.
        let sql = format!(
            "SELECT pg_notify('portcullis', left(n || '{payload}', 7999)) FROM generate_series(1, 1000) AS n"
        );
        hand.types(&sql).await.unwrap();
        for replica in [&here, &there] {
            assert_eq!(knock(replica, &good).await, StatusCode::OK, "{payload}");
            let revoked = knock(replica, &bad).await;
            assert_eq!(revoked, StatusCode::UNAUTHORIZED, "{payload}");
        }
    }
    // And nobody has stopped listening.
    here.revoke(&good.key.id, None).await.unwrap();
    let took = until(&there, &good, StatusCode::UNAUTHORIZED).await;
    assert!(took < NUDGED, "{took:?}");
}
