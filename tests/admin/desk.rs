//! An admin router on each store, and what every answer has to be.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use portcullis::Keyring;
use portcullis::admin::Admin;
use portcullis::key::KeyId;
use portcullis::keyring::{Builder, Expiry, NewKey};
use portcullis::store::{KeyStore, MemoryStore, PostgresStore, SqliteStore};
use portcullis::testing::{FakeClock, FaultStore, Faults};
use serde_json::Value;
use serde_json::value::RawValue;
use tower::ServiceExt as _;

use crate::canary;
use crate::document;
use crate::postgres::Database;

pub(crate) const TOKEN: &str = "only-an-example-of-forty-characters-long";

/// A router, the keyring behind it, and the store behind that.
#[derive(Clone)]
pub(crate) struct Desk {
    pub(crate) keyring: Keyring,
    pub(crate) clock: FakeClock,
    place: Place,
    router: Router,
}

/// A key that was made for a test.
#[derive(Clone)]
pub(crate) struct Held {
    pub(crate) id: KeyId,
    pub(crate) secret: String,
}

/// An answer, already checked for what holds of all of them.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    pub(crate) body: Value,
}

/// A store, and the folder that it is in if it is in one: that goes with the last desk.
#[derive(Clone)]
struct Place {
    store: Arc<dyn KeyStore>,
    folder: Option<Arc<canary::Folder>>,
}

impl Place {
    fn memory(store: MemoryStore) -> Self {
        Self {
            store: Arc::new(store),
            folder: None,
        }
    }

    async fn sqlite() -> Self {
        let folder = canary::Folder::new();
        let url = format!("sqlite://{}", folder.path().join("keys.db").display());
        Self {
            store: Arc::new(SqliteStore::connect(&url).await.unwrap()),
            folder: Some(Arc::new(folder)),
        }
    }

    /// `None` where PostgreSQL is not installed.
    async fn postgres() -> Option<Self> {
        let database = Database::new()?;
        let store = PostgresStore::connect(&database.url()).await.unwrap();
        Some(Self {
            store: Arc::new(store),
            folder: None,
        })
    }

    /// The same place behind a store that does as it is told.
    fn behind(&self) -> (Self, Faults) {
        let store = FaultStore::new(Arc::clone(&self.store));
        let faults = store.faults();
        let behind = Self {
            store: Arc::new(store),
            folder: self.folder.clone(),
        };
        (behind, faults)
    }
}

/// Every store; what holds on one holds on all.
async fn places() -> Vec<Place> {
    let mut places = vec![Place::memory(MemoryStore::new()), Place::sqlite().await];
    places.extend(Place::postgres().await);
    places
}

impl Desk {
    /// One for each store, on the machine's clock.
    pub(crate) async fn everywhere() -> Vec<Self> {
        Self::everywhere_with(|builder| builder).await
    }

    pub(crate) async fn everywhere_with(options: impl Fn(Builder) -> Builder) -> Vec<Self> {
        let places = places().await.into_iter();
        places
            .map(|place| Self::on(place, FakeClock::new(), &options))
            .collect()
    }

    /// In memory, where time moves when told.
    pub(crate) fn at_will() -> Self {
        Self::at_will_with(|builder| builder)
    }

    pub(crate) fn at_will_with(options: impl Fn(Builder) -> Builder) -> Self {
        let clock = FakeClock::new();
        let store = MemoryStore::with_clock(Arc::new(clock.clone()));
        Self::on(Place::memory(store), clock.clone(), |builder| {
            options(builder.clock(Arc::new(clock.clone())))
        })
    }

    fn on(place: Place, clock: FakeClock, options: impl Fn(Builder) -> Builder) -> Self {
        canary::listen();
        canary::know(TOKEN);
        let builder = Keyring::builder(Arc::clone(&place.store))
            .prefix("acme")
            .environments(["live", "test"]);
        let keyring = options(builder).build().unwrap();
        let admin = Admin::new(keyring.clone()).bootstrap_token(TOKEN).unwrap();
        Self {
            router: admin.router(),
            keyring,
            clock,
            place,
        }
    }

    /// Another keyring, as of another process, on the same store. Nudges do not reach it: what
    /// others change it learns at its next poll, a second later.
    pub(crate) fn replica(&self) -> Self {
        self.replica_with(|builder| builder)
    }

    pub(crate) fn replica_with(&self, options: impl Fn(Builder) -> Builder) -> Self {
        let (place, faults) = self.place.behind();
        faults.lose_nudges(true);
        Self::on(place, self.clock.clone(), options)
    }

    /// The same on a store that fails and waits on command.
    pub(crate) fn faulty(&self) -> (Self, Faults) {
        let (place, faults) = self.place.behind();
        let desk = Self::on(place, self.clock.clone(), |builder| builder);
        (desk, faults)
    }

    /// Makes a key of `acme` that never ends.
    pub(crate) async fn key(&self, scopes: &[&str]) -> Held {
        self.key_of("acme", scopes).await
    }

    pub(crate) async fn key_of(&self, owner: &str, scopes: &[&str]) -> Held {
        self.key_for(owner, scopes, Expiry::Never).await
    }

    pub(crate) async fn key_for(&self, owner: &str, scopes: &[&str], expiry: Expiry) -> Held {
        let new = NewKey::named("key").unwrap().owner(owner).unwrap();
        let new = new.scopes(scopes).unwrap().expiry(expiry);
        let created = self.keyring.create(new).await.unwrap();
        canary::know(created.secret.expose());
        Held {
            id: created.key.id,
            secret: created.secret.expose().to_owned(),
        }
    }

    pub(crate) async fn get(&self, caller: &str, path: &str) -> Answer {
        self.send(caller, Method::GET, path, None).await
    }

    pub(crate) async fn delete(&self, caller: &str, path: &str) -> Answer {
        self.send(caller, Method::DELETE, path, None).await
    }

    pub(crate) async fn post(&self, caller: &str, path: &str, body: &str) -> Answer {
        self.send(caller, Method::POST, path, Some(body)).await
    }

    pub(crate) async fn patch(&self, caller: &str, path: &str, body: &str) -> Answer {
        self.send(caller, Method::PATCH, path, Some(body)).await
    }

    /// Whether this secret opens anything.
    pub(crate) async fn opens(&self, secret: &str) -> bool {
        let answer = self.get(secret, "/keys/current").await;
        assert!(
            [StatusCode::OK, StatusCode::UNAUTHORIZED].contains(&answer.status),
            "{answer:?}"
        );
        answer.status == StatusCode::OK
    }

    async fn send(&self, caller: &str, method: Method, path: &str, body: Option<&str>) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {caller}"));
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_owned()));
        self.ask(request.body(body).unwrap()).await
    }

    /// Asks, and checks what holds of every answer.
    pub(crate) async fn ask(&self, request: Request<Body>) -> Answer {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let makes_secrets =
            request.method() == Method::POST && (path == "/keys" || path.ends_with("/rotate"));
        let router = self.router.clone();
        let response = tokio::time::timeout(Duration::from_secs(30), router.oneshot(request))
            .await
            .unwrap()
            .unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        assert!(!parts.status.is_server_error(), "{path}: {text}");
        assert_eq!(parts.headers["cache-control"], "no-store", "{path}");
        assert_eq!(parts.headers["x-content-type-options"], "nosniff", "{path}");
        if makes_secrets {
            canary::answer_to(&method, &parts, &bytes);
        } else {
            canary::answer(&parts.headers, &bytes);
        }
        let body: Value = if text.is_empty() {
            Value::Null
        } else {
            let _: &RawValue = serde_json::from_str(&text).unwrap();
            // What nests deeper than this library likes is JSON all the same.
            serde_json::from_str(&text).unwrap_or_default()
        };
        if parts.status.is_client_error() && !text.is_empty() {
            assert_eq!(parts.headers["content-type"], "application/problem+json");
            assert_eq!(body["status"], parts.status.as_u16());
        }
        let content_type = parts.headers.get("content-type");
        let content_type = content_type.map_or("", |line| line.to_str().unwrap());
        let (status, code) = (parts.status.as_u16(), body["code"].as_str());
        let code = code.filter(|_| status >= 400).unwrap_or_default();
        document::check(&method, &path, status, content_type, code).await;
        Answer {
            status: parts.status,
            headers: parts.headers,
            text,
            body,
        }
    }
}

impl Held {
    pub(crate) fn path(&self) -> String {
        format!("/keys/{}", self.id)
    }

    pub(crate) fn below(&self, what: &str) -> String {
        format!("/keys/{}/{what}", self.id)
    }
}

impl Answer {
    /// The status and, of a problem, its code.
    pub(crate) fn said(&self) -> (u16, &str) {
        let code = self.body["code"].as_str().unwrap_or_default();
        (self.status.as_u16(), code)
    }

    /// What the errors point at.
    pub(crate) fn at(&self) -> Vec<&str> {
        let errors = self.body["errors"].as_array();
        errors
            .into_iter()
            .flatten()
            .filter_map(|error| {
                error["pointer"]
                    .as_str()
                    .or_else(|| error["parameter"].as_str())
            })
            .collect()
    }

    /// Panics unless this is success.
    pub(crate) fn ok(self) -> Self {
        assert!(self.status.is_success(), "{} {}", self.status, self.text);
        self
    }

    pub(crate) fn secret(&self) -> String {
        self.body["secret"].as_str().unwrap().to_owned()
    }

    pub(crate) fn id(&self) -> String {
        self.body["key"]["id"].as_str().unwrap().to_owned()
    }
}
