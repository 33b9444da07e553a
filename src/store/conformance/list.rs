//! Listing keys.

use super::sample::{add_as, digest, id, moment, record};
use super::stage::Stage;
use crate::key::KeyId;
use crate::store::{KeyRecord, KeyStore, ListQuery, Owner};
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
