//! Several who make keys of one owner at the same time, and who clears up meanwhile.

use std::sync::mpsc;
use std::time::Duration;

use portcullis::store::{
    Decide, Decision, KeyStore, Outcome, Owner, PostgresStore, Pruned, Refusal, Retention,
    StoreError, Subjects, Transacted,
};
use tokio::runtime::Builder;
use tokio::time::timeout;

use super::sample::{add, adding, digest, disable, is_found, refuse};
use super::{Hand, Place, soon};

/// Who waits for a lock that is no row.
const WAITING: &str = "wait_event_type = 'Lock' AND wait_event = 'advisory'";

fn counting(owner: &str) -> Subjects {
    Subjects {
        count_owner: Some(Owner::parse(owner).unwrap()),
        ..Subjects::default()
    }
}

fn having(number: u8) -> Subjects {
    Subjects {
        digest: Some(digest(number)),
        ..Subjects::default()
    }
}

/// A transaction of another process, which stands where it decides until it is let go.
struct Standing {
    go: mpsc::Sender<()>,
    thread: std::thread::JoinHandle<Result<Transacted, StoreError>>,
}

impl Standing {
    fn at(place: &Place, subjects: Subjects, mut decide: Decide) -> Self {
        let (go, let_go) = mpsc::channel();
        let (tell, told) = mpsc::channel();
        let url = place.url();
        let thread = std::thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let store = PostgresStore::connect(&url).await.unwrap();
                let decide: Decide = Box::new(move |rows| {
                    tell.send(()).unwrap();
                    let_go.recv().unwrap();
                    decide(rows)
                });
                store.transact(subjects, decide).await
            })
        });
        told.recv().unwrap();
        Self { go, thread }
    }

    fn end(self) -> Outcome {
        self.go.send(()).unwrap();
        self.thread.join().unwrap().unwrap().outcome
    }
}

async fn somebody_waits(watching: &mut Hand) {
    soon("somebody waits", async || {
        watching.sessions(WAITING).await > 0
    })
    .await;
}

/// What a decision sees that is asked only when `standing` has been let go.
async fn seen_after(
    standing: Standing,
    store: &PostgresStore,
    watching: &mut Hand,
    subjects: Subjects,
) -> (u64, bool) {
    let (tell, told) = mpsc::channel();
    let decide: Decide = Box::new(move |rows| {
        tell.send((rows.live_keys, rows.digest_holder.is_some()))
            .unwrap();
        Decision::Refuse(Refusal::NotFound)
    });
    let asking = store.transact(subjects, decide);
    let let_go = async {
        somebody_waits(watching).await;
        assert!(told.try_recv().is_err(), "it decides too early");
        assert!(matches!(standing.end(), Outcome::Committed { .. }));
    };
    let (asked, ()) = tokio::join!(asking, let_go);
    asked.unwrap();
    told.recv().unwrap()
}

#[tokio::test]
async fn a_count_waits_for_whoever_counted_before() {
    let Some(place) = Place::new() else { return };
    let store = place.store().await;
    add(&store, 9).await;
    let mut watching = place.hand().await;
    let standing = Standing::at(&place, counting("somebody"), adding(1));
    // Nobody else does: who counts the keys of another owner, or none.
    let others = async {
        let another = store.transact(counting("another"), refuse());
        another.await.unwrap();
        add(&store, 2).await;
        disable(&store, 9).await.unwrap();
    };
    let others = timeout(Duration::from_secs(1), others).await;
    others.expect("they wait for the count");
    let seen = seen_after(standing, &store, &mut watching, counting("somebody")).await;
    assert_eq!(seen, (3, false), "also the one that was just added");
}

#[tokio::test]
async fn a_digest_waits_for_whoever_asked_for_it_before() {
    let Some(place) = Place::new() else { return };
    let store = place.store().await;
    add(&store, 9).await;
    let mut watching = place.hand().await;
    let standing = Standing::at(&place, having(1), adding(1));
    let another = store.transact(having(2), refuse());
    let another = timeout(Duration::from_secs(1), another).await;
    another.expect("it waits for another digest").unwrap();
    let seen = seen_after(standing, &store, &mut watching, having(1)).await;
    assert_eq!(seen, (0, true));
}

/// What somebody is about to change, or to ask, is left for the next time.
#[tokio::test]
async fn clearing_up_waits_for_nobody() {
    let Some(place) = Place::new() else { return };
    let store = place.store().await;
    for number in 1..=3 {
        add(&store, number).await;
    }
    let mut hand = place.hand().await;
    hand.types(
        "UPDATE portcullis.keys SET revoked_at = now() - interval '2 hours'; \
         UPDATE portcullis.events SET done_at = now() - interval '2 hours'",
    )
    .await
    .unwrap();
    hand.types(
        "BEGIN; \
         UPDATE portcullis.keys SET name = 'mine' WHERE id LIKE '%1'; \
         UPDATE portcullis.events SET done_by = 'admin-token' WHERE key_id LIKE '%2'",
    )
    .await
    .unwrap();
    let hour = Some(Duration::from_hours(1));
    let retention = Retention {
        dead_keys: hour,
        events: hour,
    };
    let pruning = timeout(Duration::from_secs(1), store.prune(&retention)).await;
    let two = Pruned {
        keys: 2,
        events: 2,
        more: false,
    };
    assert_eq!(pruning.expect("it waits").unwrap(), two);
    assert!(is_found(&store, 1).await && !is_found(&store, 2).await);
    hand.types("COMMIT").await.unwrap();
    let one = Pruned {
        keys: 1,
        events: 1,
        more: false,
    };
    assert_eq!(store.prune(&retention).await.unwrap(), one);
    assert!(!is_found(&store, 1).await);
}
