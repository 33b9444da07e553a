//! Keys to play with, and the writes that most cases make.

use std::sync::mpsc;

use crate::key::{KeyDigest, KeyHint, KeyId};
use crate::scope::ScopeSet;
use crate::store::{
    Decide, Decision, Event, EventKind, KeyName, KeyRecord, KeyStore, Metadata, Outcome, Owner,
    Position, Provenance, Refusal, Revocation, Rows, StoreError, StoreId, Subjects, Touched,
    Transacted,
};
use crate::timestamp::Timestamp;

/// What a committed write says of itself.
#[derive(Debug)]
pub(super) struct Committed {
    pub(super) store: StoreId,
    pub(super) revision: u64,
    pub(super) touched: Vec<Touched>,
    pub(super) record: KeyRecord,
}

pub(super) fn id(number: u32) -> KeyId {
    format!("key_{number:022}").parse().unwrap()
}

/// Different shards for different numbers, each beginning with a high bit.
pub(super) fn digest(number: u32) -> KeyDigest {
    let mut bytes = [0xa5; 32];
    bytes[..4].copy_from_slice(&(number.wrapping_mul(0x9e37_79b1) | 0x8000_0000).to_be_bytes());
    KeyDigest::from_bytes(bytes)
}

pub(super) fn moment(second: u32) -> Timestamp {
    Timestamp::from_unix_micros(1_700_000_000_000_000 + i64::from(second) * 1_000_000).unwrap()
}

pub(super) fn record(number: u32) -> KeyRecord {
    KeyRecord {
        id: id(number),
        name: KeyName::parse("sample").unwrap(),
        owner: Owner::parse("somebody").unwrap(),
        environment: "live".parse().unwrap(),
        hint: KeyHint::from_stored("acme_live_3Jd4").unwrap(),
        scopes: ScopeSet::from_stored("reports:read").unwrap(),
        roles: crate::scope::RoleSet::empty(),
        resources: None,
        allowed_ips: None,
        enabled: true,
        created_at: moment(number),
        created_by: Provenance::System,
        expires_at: None,
        revoked: None,
        metadata: Metadata::default(),
        last_used_at: None,
        previous: None,
    }
}

/// A line for the trail.
pub(super) fn event() -> Event {
    Event::new(EventKind::Changed, Provenance::System, moment(0))
}

pub(super) fn named(mut record: KeyRecord, name: &str) -> KeyRecord {
    record.name = KeyName::parse(name).unwrap();
    record
}

pub(super) fn revoked(record: KeyRecord) -> KeyRecord {
    KeyRecord {
        revoked: Some(Revocation {
            at: moment(9),
            by: Provenance::System,
            reason: None,
        }),
        ..record
    }
}

pub(super) fn inserting(record: KeyRecord, digest: KeyDigest) -> Decide {
    Box::new(move |_| Decision::Insert {
        record: record.clone(),
        digest,
        replay: None,
        event: event(),
    })
}

pub(super) fn keep() -> Decide {
    Box::new(|_| Decision::Keep)
}

pub(super) fn on(target: KeyId) -> Subjects {
    Subjects {
        target: Some(target),
        ..Subjects::default()
    }
}

/// Adds the sample of this number.
pub(super) async fn add(store: &dyn KeyStore, number: u32) -> Committed {
    add_as(store, record(number), digest(number)).await
}

pub(super) async fn add_as(
    store: &dyn KeyStore,
    record: KeyRecord,
    digest: KeyDigest,
) -> Committed {
    let answer = store
        .transact(Subjects::default(), inserting(record, digest))
        .await;
    committed(answer.unwrap())
}

/// Lets `decide` see the rows and writes nothing.
pub(super) async fn rows(store: &dyn KeyStore, subjects: Subjects) -> Rows {
    let (tell, told) = mpsc::channel();
    let decide: Decide = Box::new(move |rows| {
        tell.send(rows.clone()).unwrap();
        Decision::Refuse(Refusal::NotFound)
    });
    store.transact(subjects, decide).await.unwrap();
    // Started over, a store asks again: the last time counts.
    told.try_iter().last().unwrap()
}

/// Changes a key to what `change` makes of it.
pub(super) async fn change(
    store: &dyn KeyStore,
    id: KeyId,
    change: impl Fn(KeyRecord) -> KeyRecord + Send + 'static,
) -> Result<Transacted, StoreError> {
    let decide = move |rows: &Rows| Decision::Update {
        record: change(rows.target.clone().unwrap()),
        event: event(),
    };
    store.transact(on(id), Box::new(decide)).await
}

pub(super) async fn rename(store: &dyn KeyStore, id: KeyId, name: &str) -> Committed {
    let name = name.to_owned();
    let answer = change(store, id, move |record| named(record, &name)).await;
    committed(answer.unwrap())
}

#[track_caller]
pub(super) fn committed(transacted: Transacted) -> Committed {
    let Transacted {
        store,
        revision,
        outcome,
        ..
    } = transacted;
    match outcome {
        Outcome::Committed { touched, record } => Committed {
            store,
            revision,
            touched,
            record,
        },
        other => panic!("a write was not committed: {other:?}"),
    }
}

/// Where the store is now.
pub(super) async fn position(store: &dyn KeyStore) -> Position {
    store.sync(None).await.unwrap().position
}
