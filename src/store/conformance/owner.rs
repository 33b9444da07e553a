//! How many keys an owner has.

use tokio::task::JoinSet;

use super::sample::{add_as, digest, inserting, moment, record, revoked, rows};
use super::stage::Stage;
use crate::store::{Decide, Decision, KeyRecord, Outcome, Owner, Refusal, Subjects};
use crate::timestamp::Timestamp;

fn counting(owner: &str) -> Subjects {
    Subjects {
        count_owner: Some(Owner::parse(owner).unwrap()),
        ..Subjects::default()
    }
}

/// Those that are neither revoked nor expired, also when they are disabled.
pub async fn the_living_keys_of_an_owner_are_counted(stage: &Stage) {
    assert_eq!(rows(stage.store(), counting("a")).await.live_keys, 0);
    let of = |number, owner| KeyRecord {
        owner: Owner::parse(owner).unwrap(),
        ..record(number)
    };
    let ending = |number, end| KeyRecord {
        expires_at: Some(end),
        ..of(number, "a")
    };
    let disabled = KeyRecord {
        enabled: false,
        ..of(2, "a")
    };
    for (number, key) in (1..).zip([
        of(1, "a"),
        disabled,
        ending(3, Timestamp::MAX),
        ending(4, moment(0)),
        revoked(of(5, "a")),
        revoked(ending(6, moment(0))),
        of(7, "b"),
        of(8, "A"),
    ]) {
        add_as(stage.store(), key, digest(number)).await;
    }
    for store in [stage.store(), stage.other()] {
        for (owner, expected) in [("a", 3), ("b", 1), ("A", 1), ("c", 0), ("%", 0)] {
            let seen = rows(store, counting(owner)).await;
            assert_eq!(seen.live_keys, expected, "{owner}");
        }
        assert_eq!(rows(store, Subjects::default()).await.live_keys, 0);
    }
}

/// Whoever counts them, and adds one if there is room, never adds one too many.
pub async fn an_owner_never_has_more_keys_than_were_counted(stage: &Stage) {
    const ROOM: u64 = 3;
    let mut makers = JoinSet::new();
    for number in 1..=12 {
        let handle = stage.handle(number);
        let mut insert = inserting(record(number), digest(number));
        let decide: Decide = Box::new(move |rows| {
            if rows.live_keys < ROOM {
                insert(rows)
            } else {
                Decision::Refuse(Refusal::KeyLimitReached)
            }
        });
        let subjects = counting(record(number).owner.as_str());
        makers.spawn(async move { handle.transact(subjects, decide).await.unwrap().outcome });
    }
    let mut made = 0;
    for outcome in makers.join_all().await {
        match outcome {
            Outcome::Committed { .. } => made += 1,
            Outcome::Refused(refusal) => assert_eq!(refusal, Refusal::KeyLimitReached),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(made, ROOM);
    let seen = rows(stage.other(), counting(record(1).owner.as_str())).await;
    assert_eq!(seen.live_keys, ROOM);
}
