//! A store that keeps nothing: whether there is a key is a rule.
//!
//! So that five million keys can be remembered without being kept a second time beside what is
//! measured, and so that a million junk keys can be told from good ones when they are counted.

mod row;

use std::fmt;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use portcullis::allowed_ips::AllowedIps;
use portcullis::key::{KeyDigest, KeyId};
use portcullis::store::{
    Decide, EventQuery, KeyRecord, KeyStore, ListQuery, LookUp, Nudges, Position, Pruned, Read,
    RecordedEvent, Retention, Source, StoreError, StoreErrorKind, StoreId, Subjects, SyncReport,
    Transacted, Use,
};
use portcullis::timestamp::Timestamp;

pub use self::row::Life;
use self::row::row;

const ID: StoreId = StoreId([1; 16]);
const REVISION: u64 = 1;
const NOW: Timestamp = Timestamp::UNIX_EPOCH;

/// Whether there is a key, and of which kind.
type Rule = dyn Fn(&KeyDigest) -> Option<Life> + Send + Sync;

/// See the module. Clones share their counts.
#[derive(Clone)]
pub struct ByRule {
    rule: Arc<Rule>,
    allowed_ips: Option<AllowedIps>,
    owners: u64,
    alike: bool,
    calls: Arc<Calls>,
}

#[derive(Default)]
struct Calls {
    found: AtomicU64,
    unknown: AtomicU64,
}

impl ByRule {
    /// Has the keys that `rule` says.
    pub fn new(rule: impl Fn(&KeyDigest) -> bool + Send + Sync + 'static) -> Self {
        Self::of_lives(move |digest| rule(digest).then_some(Life::Good))
    }

    /// The same, and what became of each.
    pub fn of_lives(rule: impl Fn(&KeyDigest) -> Option<Life> + Send + Sync + 'static) -> Self {
        Self {
            rule: Arc::new(rule),
            allowed_ips: None,
            owners: 10_000,
            alike: false,
            calls: Arc::default(),
        }
    }

    /// Each of its keys has an owner of its own; else 10,000 owners share them.
    #[must_use]
    pub fn an_owner_each(mut self) -> Self {
        self.owners = 10_000_000_000;
        self
    }

    /// Has every key.
    pub fn every_key() -> Self {
        Self::new(|_| true)
    }

    /// It takes as long to find nothing as to find something: it makes a row and throws it away.
    #[must_use]
    pub fn takes_all_alike(mut self) -> Self {
        self.alike = true;
        self
    }

    /// All its keys may be used from these addresses alone.
    #[must_use]
    pub fn bound_to(mut self, networks: AllowedIps) -> Self {
        self.allowed_ips = Some(networks);
        self
    }

    /// Has no key.
    pub fn no_key() -> Self {
        Self::new(|_| false)
    }

    /// How many look-ups found a key, and how many found none.
    pub fn calls(&self) -> (u64, u64) {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (read(&self.calls.found), read(&self.calls.unknown))
    }
}

impl fmt::Debug for ByRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByRule").finish_non_exhaustive()
    }
}

fn read_only<T>() -> Result<T, StoreError> {
    let kind = StoreErrorKind::Unavailable;
    Err(StoreError::new(
        kind,
        "a store that keeps nothing takes no writes",
    ))
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl KeyStore for ByRule {
    async fn look_up(&self, digest: &KeyDigest, _: Source) -> Result<LookUp, StoreError> {
        let life = (self.rule)(digest);
        let found = life.map(|life| row(digest, life, self));
        if found.is_none() && self.alike {
            black_box(row(digest, Life::Good, self));
        }
        let count = match found {
            Some(_) => &self.calls.found,
            None => &self.calls.unknown,
        };
        count.fetch_add(1, Ordering::Relaxed);
        Ok(LookUp {
            store: ID,
            revision: REVISION,
            now: NOW,
            primary: true,
            found,
        })
    }

    async fn sync(&self, _: Option<Position>) -> Result<SyncReport, StoreError> {
        Ok(SyncReport {
            position: Position {
                store: ID,
                revision: REVISION,
                nonce: 1,
            },
            nonce_then: Some(1),
            changes: Vec::new(),
        })
    }

    fn nudges(&self) -> Box<dyn Nudges> {
        Box::new(Never)
    }

    fn is_listening(&self) -> bool {
        true
    }

    async fn get(&self, _: &KeyId) -> Result<Read<Option<KeyRecord>>, StoreError> {
        read_only()
    }

    async fn list(&self, _: &ListQuery) -> Result<Read<Vec<KeyRecord>>, StoreError> {
        read_only()
    }

    async fn transact(&self, _: Subjects, _: Decide) -> Result<Transacted, StoreError> {
        read_only()
    }

    async fn events(&self, _: &EventQuery) -> Result<Read<Vec<RecordedEvent>>, StoreError> {
        read_only()
    }

    async fn prune(&self, _: &Retention) -> Result<Pruned, StoreError> {
        read_only()
    }

    async fn touch(&self, _: &[Use]) -> Result<(), StoreError> {
        Ok(())
    }

    async fn digest_algorithm(&self, name: &str) -> Result<String, StoreError> {
        Ok(name.to_owned())
    }

    async fn cursor_key(&self) -> Result<[u8; 32], StoreError> {
        Ok([0; 32])
    }
}

#[derive(Debug)]
struct Never;

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl Nudges for Never {
    async fn nudged(&mut self) {
        std::future::pending::<()>().await;
    }
}
