//! What the tests stand on: a keyring on a store that counts, a server on a socket, and handlers
//! that leave a mark when they run.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::Request;
use axum::routing::{MethodRouter, any};
use http::HeaderMap;
use portcullis::keyring::{Builder, Created, NewKey};
use portcullis::store::MemoryStore;
use portcullis::testing::{FakeClock, FaultStore, Faults};
use portcullis::{ApiKeyLayer, Keyring, Principal};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::canary;
use crate::client::{Client, Protocol};

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

pub(crate) struct Ground {
    pub(crate) keyring: Keyring,
    pub(crate) faults: Faults,
    pub(crate) clock: FakeClock,
}

impl Ground {
    /// A keyring in step with its store, with the prefix `acme` and the environment `live`.
    pub(crate) async fn new() -> Self {
        Self::with(|builder| builder).await
    }

    pub(crate) async fn with(options: impl FnOnce(Builder) -> Builder) -> Self {
        canary::listen_to_the_crate_alone();
        let clock = FakeClock::new();
        let store = FaultStore::new(MemoryStore::with_clock(Arc::new(clock.clone())));
        let faults = store.faults();
        let builder = Keyring::builder(store)
            .prefix("acme")
            .clock(Arc::new(clock.clone()));
        let keyring = options(builder).build().unwrap();
        keyring.ready().await.unwrap();
        Self {
            keyring,
            faults,
            clock,
        }
    }

    pub(crate) fn layer(&self) -> ApiKeyLayer {
        ApiKeyLayer::new(self.keyring.clone())
    }

    /// How many look-ups there have been.
    pub(crate) fn asked(&self) -> u64 {
        self.faults.look_ups.calls()
    }

    pub(crate) async fn make(&self, new: NewKey) -> Created {
        let created = self.keyring.create(new).await.unwrap();
        canary::know(created.secret.expose());
        created
    }

    /// A key of `acme-corp`'s with these scopes.
    pub(crate) async fn create(&self, scopes: &[&str]) -> Created {
        let new = NewKey::named("ci").unwrap().owner("acme-corp").unwrap();
        self.make(new.scopes(scopes).unwrap()).await
    }

    /// The text of a good key with these scopes.
    pub(crate) async fn key(&self, scopes: &[&str]) -> String {
        self.create(scopes).await.secret.expose().to_owned()
    }
}

/// A key as the documentation describes it, of this body.
pub(crate) fn well_formed(environment: &str, body: &str) -> String {
    let start = format!("acme_{environment}_{body}");
    let checksum = checksum(&start);
    start + &checksum
}

/// CRC-32 (ISO-HDLC), bit by bit, as six digits of base62.
fn checksum(text: &str) -> String {
    let mut crc = u32::MAX;
    for byte in text.bytes() {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = crc >> 1 ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 };
        }
    }
    let mut number = !crc;
    let mut digits = [b'0'; 6];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[usize::try_from(number % 62).unwrap()];
        number /= 62;
    }
    String::from_utf8(digits.to_vec()).unwrap()
}

/// A key that is well-formed and in no store.
pub(crate) fn unknown_key() -> String {
    well_formed("live", &"A".repeat(32))
}

/// The names of the handlers that have run.
#[derive(Clone, Default)]
pub(crate) struct Marks(Arc<Mutex<Vec<String>>>);

impl Marks {
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    /// A handler for all methods that marks that it ran, and answers with its name, its caller and
    /// the credentials that it can see.
    pub(crate) fn handler(&self, name: &'static str) -> MethodRouter {
        let marks = self.clone();
        any(async move |request: Request| {
            marks.0.lock().unwrap().push(name.to_owned());
            let caller = Principal::of(request.extensions()).map(describe);
            let caller = caller.unwrap_or_else(|| "nobody".to_owned());
            format!("{name} for {caller}, {}", credentials(request.headers()))
        })
    }
}

fn describe(caller: &Principal) -> String {
    let (id, owner, scopes) = (caller.key_id(), caller.owner(), caller.scopes());
    format!(
        "{id} of {owner} in {} with [{scopes}]",
        caller.environment()
    )
}

fn credentials(headers: &HeaderMap) -> String {
    let names = ["authorization", "x-api-key"];
    let seen = names.map(|name| (name, headers.get_all(name).iter().count()));
    format!("seeing {seen:?}")
}

/// A server, until it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start(app: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = app.into_make_service_with_connect_info::<SocketAddr>();
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, task }
    }

    pub(crate) fn client(&self, protocol: Protocol) -> Client {
        Client::new(protocol, self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[tokio::test]
async fn the_checksum_is_the_one_of_the_documentation() {
    let key = Ground::new().await.key(&[]).await;
    assert_eq!(well_formed("live", &key[10..42]), key);
}
