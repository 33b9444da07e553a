//! A keyring on a store that counts, waits and fails when told to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::BodyExt as _;
use portcullis::Keyring;
use portcullis::clock::{BootTime, Clock};
use portcullis::key::{KeyDigest, KeyId};
use portcullis::keyring::{Builder, Created, Expiry, NewKey};
use portcullis::store::{
    Decide, EventQuery, KeyRecord, KeyStore, ListQuery, LookUp, MemoryStore, Nudges, Position,
    Pruned, Read, RecordedEvent, Retention, Source, StoreError, StoreErrorKind, Subjects,
    SyncReport, Transacted, Use,
};
use portcullis::timestamp::Timestamp;
use tokio::sync::watch;
use tower::{Service, ServiceExt as _};

use crate::canary;

/// A clock that moves only when told.
#[derive(Debug)]
pub(crate) struct StillClock {
    nanos: AtomicU64,
}

impl StillClock {
    pub(crate) fn advance(&self, by: Duration) {
        let by = u64::try_from(by.as_nanos()).unwrap();
        self.nanos.fetch_add(by, Ordering::SeqCst);
    }
}

impl Clock for StillClock {
    fn boot(&self) -> BootTime {
        BootTime::from_nanos(self.nanos.load(Ordering::SeqCst))
    }

    fn wall(&self) -> Timestamp {
        let micros = self.nanos.load(Ordering::SeqCst) / 1_000;
        Timestamp::from_unix_micros(1_700_000_000_000_000 + i64::try_from(micros).unwrap()).unwrap()
    }
}

/// A memory store that counts look-ups, holds them back, or fails.
pub(crate) struct Watched {
    memory: MemoryStore,
    asked: AtomicUsize,
    failing: AtomicBool,
    open: watch::Sender<bool>,
}

impl Watched {
    /// How many look-ups there have been.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// From now on everything fails.
    pub(crate) fn fail(&self) {
        self.failing.store(true, Ordering::SeqCst);
    }

    /// From now on look-ups wait.
    pub(crate) fn hold(&self) {
        self.open.send_replace(false);
    }

    /// Look-ups go on.
    pub(crate) fn release(&self) {
        self.open.send_replace(true);
    }

    /// Whether somebody waits in the store.
    pub(crate) fn is_being_asked(&self) -> bool {
        self.open.receiver_count() > 0
    }

    fn answer(&self) -> Result<(), StoreError> {
        if self.failing.load(Ordering::SeqCst) {
            return Err(StoreError::new(
                StoreErrorKind::Unavailable,
                "as told by the test",
            ));
        }
        Ok(())
    }
}

impl std::fmt::Debug for Watched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Watched")
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl KeyStore for Watched {
    async fn look_up(&self, digest: &KeyDigest, source: Source) -> Result<LookUp, StoreError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut open = self.open.subscribe();
        let _ = open.wait_for(|open| *open).await;
        self.answer()?;
        self.memory.look_up(digest, source).await
    }

    async fn sync(&self, since: Option<Position>) -> Result<SyncReport, StoreError> {
        self.answer()?;
        self.memory.sync(since).await
    }

    fn nudges(&self) -> Box<dyn Nudges> {
        self.memory.nudges()
    }

    fn is_listening(&self) -> bool {
        self.memory.is_listening()
    }

    async fn get(&self, id: &KeyId) -> Result<Read<Option<KeyRecord>>, StoreError> {
        self.answer()?;
        self.memory.get(id).await
    }

    async fn list(&self, query: &ListQuery) -> Result<Read<Vec<KeyRecord>>, StoreError> {
        self.answer()?;
        self.memory.list(query).await
    }

    async fn transact(&self, subjects: Subjects, decide: Decide) -> Result<Transacted, StoreError> {
        self.answer()?;
        self.memory.transact(subjects, decide).await
    }

    async fn events(&self, query: &EventQuery) -> Result<Read<Vec<RecordedEvent>>, StoreError> {
        self.memory.events(query).await
    }

    async fn prune(&self, retention: &Retention) -> Result<Pruned, StoreError> {
        self.memory.prune(retention).await
    }

    async fn touch(&self, uses: &[Use]) -> Result<(), StoreError> {
        self.memory.touch(uses).await
    }

    async fn digest_algorithm(&self, name: &str) -> Result<String, StoreError> {
        self.memory.digest_algorithm(name).await
    }

    async fn cursor_key(&self) -> Result<[u8; 32], StoreError> {
        self.memory.cursor_key().await
    }
}

/// What a test stands on.
pub(crate) struct Ground {
    pub(crate) keyring: Keyring,
    pub(crate) store: Arc<Watched>,
    pub(crate) clock: Arc<StillClock>,
}

impl Ground {
    /// A keyring in step with its store, with the prefix `acme` and the environment `live`.
    pub(crate) async fn new() -> Self {
        Self::with(|builder| builder).await
    }

    pub(crate) async fn with(options: impl FnOnce(Builder) -> Builder) -> Self {
        canary::listen();
        let clock = Arc::new(StillClock {
            nanos: AtomicU64::new(1_000_000_000),
        });
        let store = Arc::new(Watched {
            memory: MemoryStore::with_clock(Arc::clone(&clock) as Arc<dyn Clock>),
            asked: AtomicUsize::new(0),
            failing: AtomicBool::new(false),
            open: watch::Sender::new(true),
        });
        let builder = Keyring::builder(Arc::clone(&store))
            .prefix("acme")
            .clock(Arc::clone(&clock) as Arc<dyn Clock>);
        let keyring = options(builder).build().unwrap();
        keyring.ready().await.unwrap();
        Self {
            keyring,
            store,
            clock,
        }
    }

    /// A key of `acme-corp`'s with these scopes.
    pub(crate) async fn create(&self, scopes: &[&str]) -> Created {
        let new = NewKey::named("ci").unwrap().owner("acme-corp").unwrap();
        self.made(new.scopes(scopes).unwrap()).await
    }

    async fn made(&self, new: NewKey) -> Created {
        let created = self.keyring.create(new).await.unwrap();
        canary::know(created.secret.expose());
        created
    }

    /// The text of a good key with these scopes.
    pub(crate) async fn key(&self, scopes: &[&str]) -> String {
        self.create(scopes).await.secret.expose().to_owned()
    }

    /// The text of a key of this environment.
    pub(crate) async fn key_of(&self, environment: &str) -> String {
        let new = NewKey::named("ci").unwrap();
        let new = new.environment(environment.parse().unwrap());
        self.made(new).await.secret.expose().to_owned()
    }

    /// The text of a key that lives so long.
    pub(crate) async fn key_for(&self, life: Duration) -> String {
        let new = NewKey::named("ci").unwrap().expiry(Expiry::In(life));
        self.made(new).await.secret.expose().to_owned()
    }

    /// A key that is well-formed and in no store.
    pub(crate) fn unknown_key(&self) -> String {
        let format = self.keyring.format();
        let key = format.generate(format.default_environment()).unwrap();
        canary::know(key.plain.expose());
        key.plain.expose().to_owned()
    }
}

/// An answer that was read to its end in the process.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
    pub(crate) extensions: http::Extensions,
}

impl Seen {
    pub(crate) fn challenge(&self) -> Option<&str> {
        self.headers.get("www-authenticate")?.to_str().ok()
    }

    pub(crate) fn rejection(&self) -> &portcullis::Rejection {
        self.extensions.get().unwrap()
    }

    /// The `code` in the body.
    pub(crate) fn code(&self) -> String {
        let body: serde_json::Value = serde_json::from_str(&self.body).unwrap();
        body["code"].as_str().unwrap().to_owned()
    }
}

/// Calls a service with one request and reads the answer.
pub(crate) async fn call<S, B, R>(service: S, request: Request<B>) -> Seen
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Error: std::fmt::Debug,
    R: Body<Data = Bytes>,
    R::Error: std::fmt::Debug,
{
    let (parts, body) = service.oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    canary::answer(&parts.headers, &body);
    if let Some(rejection) = parts.extensions.get::<portcullis::Rejection>() {
        canary::error(rejection);
    }
    Seen {
        status: parts.status,
        headers: parts.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
        extensions: parts.extensions,
    }
}

/// A request for `/` with this value of `Authorization`.
pub(crate) fn with_value(value: &str) -> Request<axum::body::Body> {
    of_any_body::with_value(value)
}

/// A request for `/` with this key.
pub(crate) fn with_key(key: &str) -> Request<axum::body::Body> {
    of_any_body::with_key(key)
}

/// A request for `/` without a credential.
pub(crate) fn without_key() -> Request<axum::body::Body> {
    of_any_body::without_key()
}

/// The same for services that do not say which body they want, or want another than axum's.
pub(crate) mod of_any_body {
    use http::Request;

    pub(crate) fn with_value<B: Default>(value: &str) -> Request<B> {
        Request::get("/")
            .header("authorization", value)
            .body(B::default())
            .unwrap()
    }

    pub(crate) fn with_key<B: Default>(key: &str) -> Request<B> {
        with_value(&format!("Bearer {key}"))
    }

    pub(crate) fn without_key<B: Default>() -> Request<B> {
        Request::new(B::default())
    }
}
