//! Keys to play with.

use std::collections::BTreeSet;

use portcullis::key::{KeyDigest, KeyHint, KeyId};
use portcullis::scope::ScopeSet;
use portcullis::store::{
    Decide, Decision, Event, EventKind, Falsifies, KeyName, KeyRecord, KeyStore, Metadata, Outcome,
    Owner, Position, Previous, Provenance, Refusal, Source, StoreError, Subjects, Transacted,
    Where,
};
use portcullis::timestamp::Timestamp;

pub(crate) fn id(number: u8) -> KeyId {
    format!("key_{number:022}").parse().unwrap()
}

/// Number 7 is `'\x070707…'`, in shard `0x0707`.
pub(crate) fn digest(number: u8) -> KeyDigest {
    KeyDigest::from_bytes([number; 32])
}

/// A line for the trail.
pub(crate) fn event() -> Event {
    Event::new(
        EventKind::Changed,
        Provenance::System,
        Timestamp::UNIX_EPOCH,
    )
}

pub(crate) fn record(number: u8) -> KeyRecord {
    KeyRecord {
        id: id(number),
        name: KeyName::parse("sample").unwrap(),
        owner: Owner::parse("somebody").unwrap(),
        environment: "live".parse().unwrap(),
        hint: KeyHint::from_stored("acme_live_3Jd4").unwrap(),
        scopes: ScopeSet::from_stored("reports:read").unwrap(),
        roles: portcullis::scope::RoleSet::empty(),
        resources: None,
        allowed_ips: None,
        enabled: true,
        created_at: Timestamp::UNIX_EPOCH,
        created_by: Provenance::System,
        expires_at: None,
        revoked: None,
        metadata: Metadata::default(),
        last_used_at: None,
        previous: None,
    }
}

pub(crate) fn adding(number: u8) -> Decide {
    Box::new(move |_| Decision::Insert {
        record: record(number),
        digest: digest(number),
        replay: None,
        event: event(),
    })
}

pub(crate) async fn add(store: &dyn KeyStore, number: u8) -> u64 {
    let added = store.transact(Subjects::default(), adding(number)).await;
    committed(&added.unwrap()).0
}

pub(crate) async fn disable(store: &dyn KeyStore, number: u8) -> Result<Transacted, StoreError> {
    let decide: Decide = Box::new(|rows| Decision::Update {
        record: KeyRecord {
            enabled: false,
            ..rows.target.clone().unwrap()
        },
        event: event(),
    });
    store.transact(on(number), decide).await
}

pub(crate) fn on(number: u8) -> Subjects {
    Subjects {
        target: Some(id(number)),
        ..Subjects::default()
    }
}

pub(crate) fn refuse() -> Decide {
    Box::new(|_| Decision::Refuse(Refusal::NotFound))
}

/// Gives key 1 the digest of this number. The old secret ends at this moment.
pub(crate) async fn rotate(
    store: &dyn KeyStore,
    to: u8,
    end: Timestamp,
) -> Result<Transacted, StoreError> {
    let decide: Decide = Box::new(move |rows| {
        let mut record = rows.target.clone().unwrap();
        record.previous = Some(Previous {
            hint: record.hint.clone(),
            expires_at: end,
            last_used_at: None,
        });
        Decision::Rotate {
            record,
            digest: digest(to),
            event: event(),
        }
    });
    store.transact(on(1), decide).await
}

/// Whether a look-up at the primary finds it.
pub(crate) async fn is_found(store: &dyn KeyStore, number: u8) -> bool {
    let look_up = store.look_up(&digest(number), Source::Primary).await;
    look_up.unwrap().found.is_some()
}

pub(crate) type Shards = BTreeSet<(Option<u16>, bool)>;

fn shard(place: Where) -> Option<u16> {
    match place {
        Where::Shard(shard) => Some(shard),
        Where::Anywhere => None,
    }
}

/// The revision, and which shards it touched: whether everything in them or absence alone.
pub(crate) fn committed(transacted: &Transacted) -> (u64, Shards) {
    let Outcome::Committed { touched, .. } = &transacted.outcome else {
        panic!("a write was not committed");
    };
    let touched = touched
        .iter()
        .map(|touched| {
            let everything = touched.falsifies == Falsifies::Everything;
            (shard(touched.place), everything)
        })
        .collect();
    (transacted.revision, touched)
}

/// Which shards have been touched since.
pub(crate) async fn touched_since(store: &dyn KeyStore, since: Position) -> Shards {
    let report = store.sync(Some(since)).await.unwrap();
    assert_eq!(report.nonce_then, Some(since.nonce));
    report
        .changes
        .iter()
        .map(|change| {
            let everything = change.touched.falsifies == Falsifies::Everything;
            (shard(change.touched.place), everything)
        })
        .collect()
}

pub(crate) async fn position(store: &dyn KeyStore) -> Position {
    store.sync(None).await.unwrap().position
}
