//! A keyring on a store that fails on command, and the ways to ask it.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::task::JoinHandle;

use super::{canary, log};
use crate::key::{KeyDigest, KeyId};
use crate::keyring::{
    Builder, Created, Dead, Denial, Judged, KeyPatch, Keyring, NewKey, Unavailable,
};
use crate::principal::Principal;
use crate::store::{
    Decide, EventQuery, KeyName, KeyRecord, KeyStore, ListQuery, LookUp, MemoryStore, Nudges,
    Position, Pruned, Read, RecordedEvent, Retention, Source, StoreError, StoreId, Subjects,
    SyncReport, Transacted, Use,
};
use crate::testing::{FakeClock, FaultStore, Faults};

/// The answer to a request: the name of the key, or why not.
pub(super) type Answer = Result<String, Denial>;

pub(super) const UNKNOWN: Answer = Err(Denial::Dead(Dead::Unknown));
pub(super) const REVOKED: Answer = Err(Denial::Dead(Dead::Revoked));
pub(super) const DISABLED: Answer = Err(Denial::Dead(Dead::Disabled));
pub(super) const EXPIRED: Answer = Err(Denial::Dead(Dead::Expired));

pub(super) fn unavailable(why: Unavailable) -> Answer {
    Err(Denial::Unavailable(why))
}

#[expect(clippy::unnecessary_wraps, reason = "it stands for an answer")]
pub(super) fn allowed() -> Answer {
    Ok("key".to_owned())
}

/// A replica: a keyring with its own connection to a store, which may be shared. Nudges get lost,
/// and its clock stands still, so that it syncs when a test says so, or when Tokio's time passes.
#[derive(Clone)]
pub(super) struct Replica {
    pub(super) keyring: Keyring,
    pub(super) faults: Faults,
    pub(super) clock: FakeClock,
}

impl Replica {
    /// In step with an empty store of its own.
    pub(super) async fn alone() -> Self {
        Self::of(MemoryStore::new()).await
    }

    /// In step with `store`.
    pub(super) async fn of(store: impl KeyStore) -> Self {
        Self::with(store, |builder| builder).await
    }

    /// In step with `store`, with other options.
    pub(super) async fn with(
        store: impl KeyStore,
        options: impl FnOnce(Builder) -> Builder,
    ) -> Self {
        let replica = Self::out_of_step(store, options);
        replica.keyring.sync().await.unwrap();
        replica
    }

    /// Just built; it has not asked the store anything.
    pub(super) fn out_of_step(
        store: impl KeyStore,
        options: impl FnOnce(Builder) -> Builder,
    ) -> Self {
        log::listen();
        let store = FaultStore::new(store);
        let faults = store.faults();
        faults.lose_nudges(true);
        let clock = FakeClock::new();
        let builder = Keyring::builder(store)
            .prefix("acme")
            .clock(Arc::new(clock.clone()));
        Self {
            keyring: options(builder).build().unwrap(),
            faults,
            clock,
        }
    }

    pub(super) async fn create(&self) -> Created {
        let new = NewKey::named("key").unwrap();
        let created = self.keyring.create(new).await.unwrap();
        canary::know(created.secret.expose());
        created
    }

    /// Reads like a key, and is none.
    pub(super) fn junk(&self) -> String {
        let format = self.keyring.format();
        let key = format.generate(format.default_environment()).unwrap();
        canary::know(key.plain.expose());
        key.plain.expose().to_owned()
    }

    /// A request, from its arrival to its answer.
    pub(super) async fn ask(&self, secret: &str) -> Answer {
        self.begin(secret).await
    }

    /// A request that has arrived, and waits, or is answered, while other things happen.
    pub(super) fn asking(&self, secret: &str) -> JoinHandle<Answer> {
        tokio::spawn(self.begin(secret))
    }

    /// So many of them.
    pub(super) fn crowd(&self, secret: &str, size: usize) -> Vec<JoinHandle<Answer>> {
        (0..size).map(|_| self.asking(secret)).collect()
    }

    pub(super) async fn principal(&self, secret: &str) -> Principal {
        self.judge(secret, None).await.unwrap()
    }

    /// The same, whatever the answer is.
    pub(super) async fn judged(&self, secret: &str) -> Result<Principal, Denial> {
        self.judge(secret, None).await
    }

    /// A request from this address, or from nobody knows where.
    pub(super) async fn ask_from(&self, secret: &str, from: Option<&str>) -> Answer {
        let from = from.map(|from| from.parse().unwrap());
        Ok(self.judge(secret, from).await?.name().to_owned())
    }

    pub(super) async fn principal_from(&self, secret: &str, from: &str) -> Principal {
        let from = Some(from.parse().unwrap());
        self.judge(secret, from).await.unwrap()
    }

    fn begin(&self, secret: &str) -> impl Future<Output = Answer> + Send + use<> {
        let judged = self.judge(secret, None);
        async move { Ok(judged.await?.name().to_owned()) }
    }

    /// What is done here is done at once, before the future is polled.
    fn judge(
        &self,
        secret: &str,
        from: Option<IpAddr>,
    ) -> impl Future<Output = Result<Principal, Denial>> + Send + use<> {
        let judged = {
            let key = self.keyring.format().parse(secret.as_bytes()).unwrap();
            self.keyring.authorize(&key, || from)
        };
        async move {
            match judged {
                Judged::Now(answer) => answer,
                Judged::Later(miss) => miss.resolve().await,
            }
        }
    }

    pub(super) async fn revoke(&self, id: &KeyId) {
        self.keyring.revoke(id, None).await.unwrap();
    }

    pub(super) async fn enable(&self, id: &KeyId, enabled: bool) {
        let patch = KeyPatch {
            enabled: Some(enabled),
            ..KeyPatch::default()
        };
        self.keyring.update(id, patch).await.unwrap();
    }

    pub(super) async fn rename(&self, id: &KeyId, name: &str) {
        let patch = KeyPatch {
            name: Some(KeyName::parse(name).unwrap()),
            ..KeyPatch::default()
        };
        self.keyring.update(id, patch).await.unwrap();
    }

    pub(super) async fn sync(&self) {
        self.keyring.sync().await.unwrap();
    }
}

pub(super) async fn answers(crowd: Vec<JoinHandle<Answer>>) -> Vec<Answer> {
    let mut answers = Vec::new();
    for request in crowd {
        answers.push(request.await.unwrap());
    }
    answers
}

/// A connection that can be led to another store, as a restore or a failover does, with a read
/// replica beside it if that is wanted.
#[derive(Clone, Debug)]
pub(super) struct Rerouted(Arc<Mutex<Route>>);

#[derive(Debug)]
struct Route {
    store: MemoryStore,
    replica: Option<MemoryStore>,
    /// That of the replica, if it says that it is another's.
    replica_of: Option<StoreId>,
    takes_writes: bool,
    revives: bool,
}

impl Rerouted {
    pub(super) fn to(store: &MemoryStore) -> Self {
        Self(Arc::new(Mutex::new(Route {
            store: store.clone(),
            replica: None,
            replica_of: None,
            takes_writes: true,
            revives: false,
        })))
    }

    pub(super) fn reroute(&self, store: &MemoryStore) {
        self.route().store = store.clone();
    }

    /// A read replica that has heard of nothing since `store` was as it is, as far as that is a
    /// backup.
    pub(super) fn read_from(&self, store: &MemoryStore) {
        self.route().replica = Some(store.clone());
    }

    /// The read replica belongs to another store, though it has the same rows.
    pub(super) fn misplace_replica(&self) {
        self.route().replica_of = Some(StoreId([9; 16]));
    }

    /// The primary becomes a standby, and says so.
    pub(super) fn demote(&self) {
        self.route().takes_writes = false;
    }

    /// Somebody has deleted the revoked keys by hand and put them in anew.
    pub(super) fn revive(&self) {
        self.route().revives = true;
    }

    fn now(&self) -> MemoryStore {
        self.route().store.clone()
    }

    fn route(&self) -> MutexGuard<'_, Route> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl KeyStore for Rerouted {
    async fn look_up(&self, digest: &KeyDigest, source: Source) -> Result<LookUp, StoreError> {
        let (store, primary, revives, of) = {
            let route = self.route();
            match (&route.replica, source) {
                (Some(replica), Source::Any) => (replica.clone(), false, false, route.replica_of),
                _ => (route.store.clone(), route.takes_writes, route.revives, None),
            }
        };
        let mut answer = store.look_up(digest, source).await?;
        answer.store = of.unwrap_or(answer.store);
        answer.primary &= primary;
        if let Some(found) = answer.found.as_mut().filter(|_| revives) {
            found.record.revoked = None;
        }
        Ok(answer)
    }

    async fn sync(&self, since: Option<Position>) -> Result<SyncReport, StoreError> {
        self.now().sync(since).await
    }

    fn nudges(&self) -> Box<dyn Nudges> {
        self.now().nudges()
    }

    fn is_listening(&self) -> bool {
        self.now().is_listening()
    }

    async fn get(&self, id: &KeyId) -> Result<Read<Option<KeyRecord>>, StoreError> {
        self.now().get(id).await
    }

    async fn list(&self, query: &ListQuery) -> Result<Read<Vec<KeyRecord>>, StoreError> {
        self.now().list(query).await
    }

    async fn transact(&self, subjects: Subjects, decide: Decide) -> Result<Transacted, StoreError> {
        self.now().transact(subjects, decide).await
    }

    async fn events(&self, query: &EventQuery) -> Result<Read<Vec<RecordedEvent>>, StoreError> {
        self.now().events(query).await
    }

    async fn prune(&self, retention: &Retention) -> Result<Pruned, StoreError> {
        self.now().prune(retention).await
    }

    async fn touch(&self, uses: &[Use]) -> Result<(), StoreError> {
        self.now().touch(uses).await
    }

    async fn digest_algorithm(&self, name: &str) -> Result<String, StoreError> {
        self.now().digest_algorithm(name).await
    }

    async fn cursor_key(&self) -> Result<[u8; 32], StoreError> {
        self.now().cursor_key().await
    }
}

/// How far Tokio's paused clock moved while this was awaited.
pub(super) async fn timed<T>(work: impl Future<Output = T>) -> (T, std::time::Duration) {
    let began = tokio::time::Instant::now();
    let result = work.await;
    (result, began.elapsed())
}

/// Waits for what has to happen without much time passing, and fails rather than hang.
pub(super) async fn soon<T>(work: impl Future<Output = T>) -> T {
    let patience = std::time::Duration::from_millis(400);
    let result = tokio::time::timeout(patience, work).await;
    result.expect("it happens soon")
}

/// Lets other tasks go on until this holds.
pub(super) async fn until(mut it_holds: impl AsyncFnMut() -> bool) {
    soon(async {
        while !it_holds().await {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    })
    .await;
}
