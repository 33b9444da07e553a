//! Listing keys.

use std::time::Duration;

use super::sample::{add_as, digest, id, moment, record, revoked};
use super::stage::Stage;
use crate::clock::Clock as _;
use crate::key::KeyId;
use crate::store::{KeyRecord, KeyStore, ListQuery, Owner, Status};
use crate::timestamp::Timestamp;

/// The numbers of the samples, newest first. 3, 4 and 5 were made in the same microsecond.
const ORDER: [u32; 7] = [7, 6, 5, 4, 3, 2, 1];

/// Of [`ORDER`], those that belong to `b`.
const ORDER_OF_B: [u32; 4] = [7, 5, 3, 1];

fn owner(number: u32) -> Owner {
    Owner::parse(if number.is_multiple_of(2) { "a" } else { "b" }).unwrap()
}

async fn fill(store: &dyn KeyStore) {
    // Not in the order in which they are listed.
    for number in [4, 1, 7, 3, 6, 2, 5] {
        let record = KeyRecord {
            owner: owner(number),
            created_at: moment(match number {
                3..=5 => 3,
                other => other,
            }),
            ..record(number)
        };
        add_as(store, record, digest(number)).await;
    }
}

fn query(owner: Option<Owner>, after: Option<(Timestamp, KeyId)>, limit: u32) -> ListQuery {
    ListQuery {
        owner,
        after,
        limit,
        ..ListQuery::default()
    }
}

async fn ids(store: &dyn KeyStore, query: &ListQuery) -> Vec<KeyId> {
    let keys = store.list(query).await.unwrap().value;
    keys.into_iter().map(|record| record.id).collect()
}

fn numbered(numbers: &[u32]) -> Vec<KeyId> {
    numbers.iter().copied().map(id).collect()
}

/// By the time they were made, and by id where that is the same.
pub async fn keys_are_listed_newest_first(stage: &Stage) {
    let all = query(None, None, 100);
    assert_eq!(ids(stage.store(), &all).await, []);
    fill(stage.store()).await;
    assert_eq!(ids(stage.store(), &all).await, numbered(&ORDER));
}

/// An owner is compared exactly.
pub async fn keys_are_listed_by_owner(stage: &Stage) {
    fill(stage.store()).await;
    let cases: [(&str, &[u32]); 5] = [
        ("b", &ORDER_OF_B),
        ("a", &[6, 4, 2]),
        ("B", &[]),
        ("b ", &[]),
        ("%", &[]),
    ];
    for (owner, numbers) in cases {
        let query = query(Some(Owner::parse(owner).unwrap()), None, 100);
        assert_eq!(
            ids(stage.store(), &query).await,
            numbered(numbers),
            "{owner:?}"
        );
    }
}

/// `after` is a place in the order, whether a key is there or not.
pub async fn a_list_goes_on_after_any_key(stage: &Stage) {
    fill(stage.store()).await;
    for (owner, order) in [(None, &ORDER[..]), (Some(owner(1)), &ORDER_OF_B[..])] {
        for size in 1..=3 {
            let (mut pages, mut after) = (Vec::new(), None);
            loop {
                let query = query(owner.clone(), after.clone(), size);
                let page = stage.store().list(&query).await.unwrap().value;
                let Some(last) = page.last() else { break };
                after = Some((last.created_at, last.id.clone()));
                pages.extend(page.into_iter().map(|record| record.id));
            }
            assert_eq!(pages, numbered(order), "{owner:?} in pages of {size}");
        }
    }
    // Two that are not there: between 3 and 4 of the same microsecond, and before all.
    let between = "key_0000000000000000000003x".parse().unwrap();
    let rest = query(None, Some((moment(3), between)), 100);
    assert_eq!(ids(stage.store(), &rest).await, numbered(&[3, 2, 1]));
    let before_all = query(None, Some((Timestamp::MAX, id(1))), 100);
    assert_eq!(ids(stage.store(), &before_all).await, numbered(&ORDER));
    let after_all = query(None, Some((Timestamp::MIN, id(1))), 100);
    assert_eq!(ids(stage.store(), &after_all).await, []);
}

/// Any limit will do.
pub async fn a_list_has_at_most_its_limit(stage: &Stage) {
    fill(stage.store()).await;
    for limit in [0, 1, 6, 7, u32::MAX] {
        let expected = &ORDER[..ORDER.len().min(limit as usize)];
        let query = query(None, None, limit);
        assert_eq!(ids(stage.store(), &query).await, numbered(expected));
    }
}

/// Those of the numbers that a list of all shows with this filter, in the order of their making.
async fn filtered(store: &dyn KeyStore, filter: ListQuery) -> Vec<u32> {
    let query = ListQuery {
        limit: 100,
        ..filter
    };
    let ids = ids(store, &query).await;
    (1..100)
        .filter(|&number| ids.contains(&id(number)))
        .collect()
}

/// Adds keys of each status: number 1 to 8 have an end in the past or none, are enabled or not,
/// and are revoked or not.
async fn add_of_each_status(stage: &Stage) {
    for number in 1..=8 {
        let bits = number - 1;
        let mut key = record(number);
        key.expires_at = Some(if bits & 1 == 0 {
            Timestamp::MAX
        } else {
            moment(0)
        });
        key.enabled = bits & 2 == 0;
        if bits & 4 != 0 {
            key = revoked(key);
        }
        add_as(stage.store(), key, digest(number)).await;
    }
}

/// The first that holds, as [`KeyRecord::status`] has it, by the clock of the store.
pub async fn keys_are_listed_by_status(stage: &Stage) {
    add_of_each_status(stage).await;
    let cases: [(Status, &[u32]); 4] = [
        (Status::Active, &[1]),
        (Status::Expired, &[2, 4]),
        (Status::Disabled, &[3]),
        (Status::Revoked, &[5, 6, 7, 8]),
    ];
    for (status, numbers) in cases {
        let filter = ListQuery {
            status: Some(status),
            ..ListQuery::default()
        };
        assert_eq!(filtered(stage.other(), filter).await, numbers, "{status:?}");
    }
    let Some(clock) = stage.clock() else { return };
    let end = clock.wall().checked_add(Duration::from_mins(1)).unwrap();
    let key = KeyRecord {
        expires_at: Some(end),
        ..record(9)
    };
    add_as(stage.store(), key, digest(9)).await;
    let active = ListQuery {
        status: Some(Status::Active),
        ..ListQuery::default()
    };
    clock.advance(Duration::from_micros(59_999_999));
    assert_eq!(filtered(stage.store(), active.clone()).await, [1, 9]);
    clock.advance(Duration::from_micros(1));
    assert_eq!(filtered(stage.store(), active).await, [1]);
}

/// Compared exactly.
pub async fn keys_are_listed_by_environment(stage: &Stage) {
    for (number, environment) in [(1, "live"), (2, "test"), (3, "live"), (4, "live2")] {
        let key = KeyRecord {
            environment: environment.parse().unwrap(),
            ..record(number)
        };
        add_as(stage.store(), key, digest(number)).await;
    }
    let cases: [(&str, &[u32]); 4] = [
        ("live", &[1, 3]),
        ("test", &[2]),
        ("live2", &[4]),
        ("li", &[]),
    ];
    for (environment, numbers) in cases {
        let filter = ListQuery {
            environment: Some(environment.parse().unwrap()),
            ..ListQuery::default()
        };
        assert_eq!(
            filtered(stage.other(), filter).await,
            numbers,
            "{environment}"
        );
    }
}

/// What ends at that very moment does not end before it, and what never ends does not, either.
pub async fn keys_are_listed_by_their_end(stage: &Stage) {
    let ends = [None, Some(moment(5)), Some(moment(6)), Some(Timestamp::MAX)];
    for (number, expires_at) in (1..).zip(ends) {
        let key = KeyRecord {
            expires_at,
            ..record(number)
        };
        add_as(stage.store(), key, digest(number)).await;
    }
    let cases: [(Timestamp, &[u32]); 5] = [
        (Timestamp::MIN, &[]),
        (moment(5), &[]),
        (moment(6), &[2]),
        (moment(7), &[2, 3]),
        (Timestamp::MAX, &[2, 3]),
    ];
    for (moment, numbers) in cases {
        let filter = ListQuery {
            expires_before: Some(moment),
            ..ListQuery::default()
        };
        assert_eq!(filtered(stage.other(), filter).await, numbers, "{moment}");
    }
}

/// A page is full of what was asked for, and the next one goes on after it.
pub async fn filters_add_up_and_go_with_pages(stage: &Stage) {
    // A key is in the list if none of the bits of its number is set.
    let wanted = |number: u32| number.is_multiple_of(16);
    for number in 0..96 {
        let bit = |at: u32| number & (1 << at) != 0;
        let key = KeyRecord {
            owner: Owner::parse(if bit(0) { "b" } else { "a" }).unwrap(),
            environment: if bit(1) { "test" } else { "live" }.parse().unwrap(),
            expires_at: Some(if bit(2) { Timestamp::MAX } else { moment(5) }),
            revoked: bit(3).then(|| revoked(record(1)).revoked.unwrap()),
            created_at: moment(number / 32),
            ..record(number)
        };
        add_as(stage.store(), key, digest(number)).await;
    }
    let all: Vec<u32> = (0..96).rev().filter(|&number| wanted(number)).collect();
    for size in [1, 2, 4, 100] {
        let (mut pages, mut after) = (Vec::new(), None);
        loop {
            let query = ListQuery {
                owner: Some(Owner::parse("a").unwrap()),
                after,
                limit: size,
                status: Some(Status::Expired),
                environment: Some("live".parse().unwrap()),
                expires_before: Some(moment(6)),
            };
            let page = stage.other().list(&query).await.unwrap().value;
            let Some(last) = page.last() else { break };
            after = Some((last.created_at, last.id.clone()));
            assert!(page.len() == size as usize || pages.len() + page.len() == all.len());
            pages.extend(page.into_iter().map(|record| record.id));
        }
        assert_eq!(pages, numbered(&all), "in pages of {size}");
    }
}
