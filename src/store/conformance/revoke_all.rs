//! The emergency stop.

use std::collections::HashSet;
use std::time::Duration;

use tokio::time::timeout;

use super::sample::{
    add, add_as, change, committed, digest, event, id, moment, on, position, record, revoked,
};
use super::stage::Stage;
use crate::store::{
    Decide, Decision, Falsifies, KeyRecord, KeyStore, Outcome, Owner, Position, Previous,
    Provenance, Revocation, Source, Subjects, Touched, Where, Whose,
};
use crate::timestamp::Timestamp;

fn revocation() -> Revocation {
    Revocation {
        at: moment(500),
        by: Provenance::AdminToken,
        reason: Some("leaked".into()),
    }
}

/// What an emergency stop says of itself.
struct Stopped {
    revision: u64,
    revoked: u64,
    touched: HashSet<Touched>,
}

async fn stop(store: &dyn KeyStore, whose: Whose) -> Stopped {
    let decide: Decide = Box::new(move |_| Decision::RevokeAll {
        whose: whose.clone(),
        revocation: revocation(),
    });
    let answer = store.transact(Subjects::default(), decide).await.unwrap();
    match answer.outcome {
        Outcome::RevokedAll {
            touched,
            revoked,
            keys,
        } => {
            let named = keys.iter().collect::<HashSet<_>>().len();
            assert_eq!(named as u64, revoked, "each is named once");
            for key in keys {
                let read = store.get(&key).await.unwrap().value.unwrap();
                assert_eq!(
                    read.revoked,
                    Some(revocation()),
                    "it was revoked by this stop"
                );
            }
            Stopped {
                revision: answer.revision,
                revoked,
                touched: touched.into_iter().collect(),
            }
        }
        other => panic!("{other:?}"),
    }
}

/// Those of the keys up to 9 that were revoked by the stop.
async fn revoked_by_it(store: &dyn KeyStore) -> Vec<u32> {
    let mut numbers = Vec::new();
    for number in 1..=9 {
        let read = store.get(&id(number)).await.unwrap().value;
        if read.is_some_and(|read| read.revoked == Some(revocation())) {
            numbers.push(number);
        }
    }
    numbers
}

/// It says of the secrets of these keys that all is out of date, and so do the change rows.
async fn must_have_touched(stage: &Stage, before: Position, stopped: &Stopped, secrets: &[u32]) {
    let anywhere = Touched {
        place: Where::Anywhere,
        falsifies: Falsifies::Everything,
    };
    let report = stage.other().sync(Some(before)).await.unwrap();
    assert_eq!(report.position.revision, stopped.revision);
    assert_eq!(report.nonce_then, Some(before.nonce));
    let told: HashSet<Touched> = report.changes.iter().map(|change| change.touched).collect();
    for touched in [&stopped.touched, &told] {
        for &number in secrets {
            let changed = Touched::changed(&digest(number));
            assert!(
                touched.contains(&changed) || touched.contains(&anywhere),
                "secret {number}"
            );
        }
    }
}

async fn add_of(stage: &Stage, number: u32, owner: &str, maker: Provenance) {
    let record = KeyRecord {
        owner: Owner::parse(owner).unwrap(),
        created_by: maker,
        ..record(number)
    };
    add_as(stage.store(), record, digest(number)).await;
}

/// Whoever they belong to, and with both of their secrets.
pub async fn all_keys_are_revoked(stage: &Stage) {
    let none = stop(stage.store(), Whose::All).await;
    assert_eq!((none.revoked, none.touched.len()), (0, 0));
    for (number, owner) in [(1, "a"), (2, "b"), (3, "a")] {
        add_of(stage, number, owner, Provenance::System).await;
    }
    let rotate: Decide = Box::new(|rows| {
        let mut record = rows.target.clone().unwrap();
        record.previous = Some(Previous {
            hint: record.hint.clone(),
            expires_at: Timestamp::MAX,
            last_used_at: None,
        });
        Decision::Rotate {
            record,
            digest: digest(10),
            event: event(),
        }
    });
    let rotated = stage.store().transact(on(id(1)), rotate).await.unwrap();
    let rotated = committed(rotated).record;
    let before = position(stage.store()).await;
    let stopped = stop(stage.other(), Whose::All).await;
    assert_eq!(stopped.revoked, 3);
    must_have_touched(stage, before, &stopped, &[1, 2, 3, 10]).await;
    assert_eq!(revoked_by_it(stage.store()).await, [1, 2, 3]);
    for number in [1, 10] {
        let found = stage
            .store()
            .look_up(&digest(number), Source::Primary)
            .await
            .unwrap()
            .found;
        let expected = KeyRecord {
            revoked: Some(revocation()),
            ..rotated.clone()
        };
        assert_eq!(found.unwrap().record, expected, "nothing else has changed");
    }
}

/// An owner is compared exactly.
pub async fn the_keys_of_an_owner_are_revoked(stage: &Stage) {
    for (number, owner) in [(1, "a"), (2, "b"), (3, "a"), (4, "A"), (5, "a ")] {
        add_of(stage, number, owner, Provenance::System).await;
    }
    let before = position(stage.store()).await;
    let of = |owner| Whose::Owner(Owner::parse(owner).unwrap());
    assert_eq!(stop(stage.store(), of("c")).await.revoked, 0);
    assert_eq!(position(stage.store()).await, before);
    let stopped = stop(stage.store(), of("a")).await;
    assert_eq!(stopped.revoked, 2);
    must_have_touched(stage, before, &stopped, &[1, 3]).await;
    let others = [2, 4, 5].map(|number| Touched::changed(&digest(number)));
    assert!(others.iter().all(|other| !stopped.touched.contains(other)));
    assert_eq!(revoked_by_it(stage.other()).await, [1, 3]);
}

/// What it made, what that made, and so on, also where a key in between is dead or the circle
/// closes.
pub async fn all_that_came_from_a_key_is_revoked(stage: &Stage) {
    let key = |number| Provenance::Key(id(number));
    let makers = [
        (1, Provenance::AdminToken),
        (2, key(1)),
        (3, key(2)),
        (4, key(3)),
        (5, Provenance::System),
        (6, key(5)),
        // Made by each other.
        (7, key(8)),
        (8, key(7)),
        // Of a maker that is not there any more.
        (9, key(99)),
    ];
    for (number, maker) in makers {
        add_of(stage, number, "a", maker).await;
    }
    committed(change(stage.store(), id(2), revoked).await.unwrap());
    let before = position(stage.store()).await;
    let stopped = stop(stage.store(), Whose::CreatedBy(key(1))).await;
    assert_eq!(stopped.revoked, 2, "not the key itself, and 2 was already");
    must_have_touched(stage, before, &stopped, &[3, 4]).await;
    let of_2 = Touched::changed(&digest(2));
    assert!(stopped.touched.contains(&of_2), "{:?}", stopped.touched);
    assert_eq!(revoked_by_it(stage.other()).await, [3, 4]);

    let cases: [(Provenance, u64, &[u32]); 4] = [
        (key(4), 0, &[3, 4]),
        (key(99), 1, &[3, 4, 9]),
        (key(7), 2, &[3, 4, 7, 8, 9]),
        (Provenance::AdminToken, 1, &[1, 3, 4, 7, 8, 9]),
    ];
    for (maker, revoked, all) in cases {
        let name = maker.to_string();
        let stopped = stop(stage.store(), Whose::CreatedBy(maker)).await;
        assert_eq!(stopped.revoked, revoked, "{name}");
        assert_eq!(revoked_by_it(stage.other()).await, all, "{name}");
    }
}

/// The first time and reason stay, and so does everything when there is nothing left to revoke.
/// Those who ask again are told that it holds, so it must hold for what they remember.
pub async fn what_is_revoked_stays_as_it_was_revoked(stage: &Stage) {
    add(stage.store(), 1).await;
    add(stage.store(), 2).await;
    let before = change(stage.store(), id(1), revoked).await.unwrap();
    let before = committed(before).record;
    let first = stop(stage.store(), Whose::All).await;
    assert_eq!(first.revoked, 1);
    let both = HashSet::from([1, 2].map(|number| Touched::changed(&digest(number))));
    assert!(first.touched.is_superset(&both), "{:?}", first.touched);
    let read = stage.store().get(&id(1)).await.unwrap().value;
    assert_eq!(read, Some(before));

    let there = position(stage.store()).await;
    let second = stop(stage.other(), Whose::All).await;
    assert_eq!((second.revoked, second.revision), (0, there.revision));
    assert!(second.touched.is_superset(&both), "{:?}", second.touched);
    assert_eq!(position(stage.store()).await, there);
    assert_eq!(revoked_by_it(stage.store()).await, [2]);
}

/// In one transaction, and in a time that grows with their number and not faster: each was made by
/// the one before it.
pub async fn very_many_keys_are_revoked_at_once(stage: &Stage) {
    const KEYS: u32 = 1_200;
    for number in 1..=KEYS {
        let maker = Provenance::Key(id(number - 1));
        add_of(stage, number, "a", maker).await;
    }
    let stopping = stop(stage.store(), Whose::CreatedBy(Provenance::Key(id(0))));
    let stopped = timeout(Duration::from_secs(10), stopping).await;
    let stopped = stopped.expect("it takes too long");
    assert_eq!(stopped.revoked, u64::from(KEYS));
    let anywhere = Touched {
        place: Where::Anywhere,
        falsifies: Falsifies::Everything,
    };
    for number in [1, KEYS / 2, KEYS] {
        let changed = Touched::changed(&digest(number));
        assert!(stopped.touched.contains(&changed) || stopped.touched.contains(&anywhere));
        let read = stage.other().get(&id(number)).await.unwrap().value;
        assert_eq!(read.unwrap().revoked, Some(revocation()));
    }
}
