//! A router on a fresh store, and what holds for every one of its answers.

use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{Method, Request};
use http_body_util::BodyExt;
use portcullis::Keyring;
use portcullis::admin::{Admin, LeakReports, TrustedCaller};
use portcullis::key::KeyFormat;
use portcullis::keyring::{Builder, Expiry, NewKey};
use portcullis::store::{KeyStore, MemoryStore, PostgresStore, SqliteStore};
use portcullis::testing::{FakeClock, FaultStore, Faults};
use serde_json::Value;
use tokio::time::timeout;
use tower::ServiceExt;

use crate::canary;
use crate::document;
use crate::postgres::Database;
use crate::reply::Reply;

/// Runs each case on each store, under its own name. One that is left out is reported as unused.
macro_rules! on_every_store {
    ($($case:ident),+ $(,)?) => {
        mod memory {
            $(
                #[tokio::test]
                async fn $case() {
                    super::$case($crate::world::World::memory()).await;
                }
            )+
        }
        mod sqlite {
            $(
                #[tokio::test]
                async fn $case() {
                    super::$case($crate::world::World::sqlite().await).await;
                }
            )+
        }
        mod postgres {
            $(
                #[tokio::test]
                async fn $case() {
                    if let Some(world) = $crate::world::World::postgres().await {
                        super::$case(world).await;
                    }
                }
            )+
        }
    };
}

pub(crate) const ADMIN_TOKEN: &str = "2b7e151628aed2a6abf7158809cf4f3c";

/// The router under `/admin` and that for customers under `/mine`, on a keyring and a store whose clock stands still on
/// 2030-01-01T00:00:00Z until it is told to move.
pub(crate) struct World {
    pub(crate) router: Router,
    pub(crate) keyring: Keyring,
    pub(crate) store: Arc<dyn KeyStore>,
    pub(crate) faults: Faults,
    pub(crate) clock: FakeClock,
    log: Mutex<String>,
    place: Place,
}

/// Where the keys of a world are.
enum Place {
    Memory,
    File(#[expect(dead_code, reason = "it goes when the world goes")] canary::Folder),
    Postgres(Database),
}

/// The secret of a key that nobody here has made, and what is told of it.
pub(crate) struct Elsewhere {
    pub(crate) secret: String,
    pub(crate) digest: String,
    pub(crate) hint: String,
}

impl Elsewhere {
    /// As whoever knows the format makes one.
    pub(crate) fn of(environment: &str) -> Self {
        let format = KeyFormat::new("acme", ["live", "test"]).unwrap();
        let key = format.generate(&environment.parse().unwrap()).unwrap();
        canary::know(key.plain.expose());
        let digest = key.digest.as_bytes().map(|byte| format!("{byte:02x}"));
        Self {
            secret: key.plain.expose().to_owned(),
            digest: digest.concat(),
            hint: key.hint.to_string(),
        }
    }

    pub(crate) fn fields(&self) -> String {
        let Self { digest, hint, .. } = self;
        format!(r#""digest":"{digest}","hint":"{hint}""#)
    }
}

/// A key and its secret.
#[derive(Clone)]
pub(crate) struct Holder {
    pub(crate) id: String,
    pub(crate) secret: String,
}

impl World {
    pub(crate) fn memory() -> Self {
        Self::with(|builder| builder, with_leaks)
    }

    /// In memory, with these options.
    pub(crate) fn with(
        options: impl FnOnce(Builder) -> Builder,
        admin: impl FnOnce(Admin) -> Admin,
    ) -> Self {
        let clock = FakeClock::new();
        let store = MemoryStore::with_clock(Arc::new(clock.clone()));
        Self::on(store, clock, Place::Memory, options, admin)
    }

    pub(crate) async fn sqlite() -> Self {
        Self::sqlite_with(|builder| builder, with_leaks).await
    }

    /// `None` where PostgreSQL is not installed.
    pub(crate) async fn postgres() -> Option<Self> {
        Self::postgres_with(|builder| builder, with_leaks).await
    }

    /// One on each store, with these options.
    pub(crate) async fn everywhere(
        options: impl Fn(Builder) -> Builder,
        admin: impl Fn(Admin) -> Admin,
    ) -> Vec<Self> {
        let mut worlds = vec![
            Self::with(&options, &admin),
            Self::sqlite_with(&options, &admin).await,
        ];
        worlds.extend(Self::postgres_with(&options, &admin).await);
        worlds
    }

    async fn sqlite_with(
        options: impl FnOnce(Builder) -> Builder,
        admin: impl FnOnce(Admin) -> Admin,
    ) -> Self {
        let (clock, folder) = (FakeClock::new(), canary::Folder::new());
        let url = format!("sqlite://{}", folder.path().join("keys.db").display());
        let store = SqliteStore::options(&url).clock(Arc::new(clock.clone()));
        let store = store.connect().await.unwrap();
        Self::on(store, clock, Place::File(folder), options, admin)
    }

    async fn postgres_with(
        options: impl FnOnce(Builder) -> Builder,
        admin: impl FnOnce(Admin) -> Admin,
    ) -> Option<Self> {
        let clock = FakeClock::new();
        let database = Database::at(&clock)?;
        let store = PostgresStore::connect(&database.url()).await.unwrap();
        let place = Place::Postgres(database);
        Some(Self::on(store, clock, place, options, admin))
    }

    fn on(
        store: impl KeyStore,
        clock: FakeClock,
        place: Place,
        options: impl FnOnce(Builder) -> Builder,
        admin: impl FnOnce(Admin) -> Admin,
    ) -> Self {
        canary::take_log();
        canary::know(ADMIN_TOKEN);
        let store = FaultStore::new(store);
        let faults = store.faults();
        let store: Arc<dyn KeyStore> = Arc::new(store);
        let builder = Keyring::builder(Arc::clone(&store)).prefix("acme");
        // What is asked here is not how fast a busy machine is.
        let builder = builder
            .clock(Arc::new(clock.clone()))
            .lookup_deadline(Duration::from_secs(4));
        let keyring = options(builder).build().unwrap();
        let with_token = Admin::new(keyring.clone()).bootstrap_token(ADMIN_TOKEN);
        let admin = admin(with_token.unwrap());
        let customers = admin.clone().self_service_router();
        let router = Router::new().nest("/admin", admin.router());
        Self {
            router: router.nest("/mine", customers),
            keyring,
            store,
            faults,
            clock,
            log: Mutex::default(),
            place,
        }
    }

    /// Another keyring on the same store, as another replica has it.
    pub(crate) fn elsewhere(&self) -> Keyring {
        let builder = Keyring::builder(Arc::clone(&self.store)).prefix("acme");
        builder.clock(Arc::new(self.clock.clone())).build().unwrap()
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
        if let Place::Postgres(database) = &self.place {
            database.turn_to(&self.clock);
        }
    }

    /// A key with these scopes, made past the router.
    pub(crate) async fn key(&self, owner: &str, scopes: &[&str]) -> Holder {
        self.key_until(owner, scopes, Expiry::Never).await
    }

    pub(crate) async fn key_until(&self, owner: &str, scopes: &[&str], expiry: Expiry) -> Holder {
        let new = NewKey::named("made past the router").unwrap();
        let new = new.owner(owner).unwrap().scopes(scopes).unwrap();
        let created = self.keyring.create(new.expiry(expiry)).await.unwrap();
        let holder = Holder {
            id: created.key.id.to_string(),
            secret: created.secret.expose().to_owned(),
        };
        canary::know(&holder.secret);
        holder
    }

    pub(crate) async fn get(&self, path: &str, token: &str) -> Reply {
        self.send(request(Method::GET, path, token, "")).await
    }

    /// One key, as the admin token sees it.
    pub(crate) async fn shown(&self, id: &str) -> Value {
        self.get(&key_path(id), ADMIN_TOKEN).await.json()
    }

    pub(crate) async fn delete(&self, path: &str, token: &str) -> Reply {
        self.send(request(Method::DELETE, path, token, "")).await
    }

    pub(crate) async fn post(&self, token: &str, body: impl Into<Body>) -> Reply {
        let request = request(Method::POST, "/admin/keys", token, body);
        self.send(request).await
    }

    pub(crate) async fn patch(&self, id: &str, token: &str, body: impl Into<Body>) -> Reply {
        let request = request(Method::PATCH, &key_path(id), token, body);
        self.send(request).await
    }

    /// Makes a key through the router, with this after its name and scopes.
    pub(crate) async fn made(&self, token: &str, more: &str) -> Reply {
        let body = format!(r#"{{"name":"n","scopes":[]{more}}}"#);
        let reply = self.post(token, body).await;
        assert_eq!(reply.status, 201, "{more}: {}", reply.text());
        reply
    }

    /// How many keys there are, dead or alive.
    pub(crate) async fn count(&self) -> usize {
        let reply = self.get("/admin/keys?limit=500", ADMIN_TOKEN).await;
        reply.json()["keys"].as_array().unwrap().len()
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Reply {
        self.send_to(self.router.clone(), request).await
    }

    /// What was logged since the last time.
    pub(crate) fn take_log(&self) -> String {
        std::mem::take(&mut *self.log.lock().unwrap()) + &canary::take_log()
    }

    /// Sends a request, and checks what holds for every answer.
    pub(crate) async fn send_to(&self, router: Router, request: Request<Body>) -> Reply {
        let (method, uri) = (request.method().clone(), request.uri().clone());
        // What waits for a body that nobody sends is to fail, not to hang.
        let answer = timeout(Duration::from_secs(30), router.oneshot(request));
        let (parts, body) = answer.await.unwrap().unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        canary::answer_to(&method, &parts, &body);
        let reply = Reply {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body,
        };
        let path = uri.path().to_owned();
        let uri: String = uri.to_string().chars().take(200).collect();
        let what = format!("{method} {uri}: {}", reply.text());
        self.log.lock().unwrap().push_str(&canary::take_log());
        reply.check(parts.status, &method, &what);
        let (content_type, code) = (reply.header("content-type"), reply.told().1);
        document::check(&method, &path, reply.status, content_type, code).await;
        reply
    }
}

/// What becomes of all of these, none of which waits for another.
pub(crate) async fn at_once<F: Future>(all: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut running: Vec<_> = all.map(Box::pin).collect();
    let mut outputs: Vec<Option<F::Output>> = running.iter().map(|_| None).collect();
    poll_fn(|cx| {
        for (one, output) in running.iter_mut().zip(&mut outputs) {
            if output.is_none()
                && let Poll::Ready(ready) = one.as_mut().poll(cx)
            {
                *output = Some(ready);
            }
        }
        if outputs.iter().all(Option::is_some) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
    outputs.into_iter().flatten().collect()
}

/// The same on behalf of somebody who is signed in.
pub(crate) fn signed_in(
    caller: &TrustedCaller,
    method: Method,
    path: &str,
    body: impl Into<Body>,
) -> Request<Body> {
    let mut request = request(method, path, "", body);
    request.extensions_mut().insert(caller.clone());
    request
}

fn with_leaks(admin: Admin) -> Admin {
    admin.leak_reports(LeakReports::new()).unwrap()
}

/// A request with a bearer token, unless that is empty, and JSON for a body where there is one.
pub(crate) fn request(
    method: Method,
    path: &str,
    token: &str,
    body: impl Into<Body>,
) -> Request<Body> {
    let has_body = method == Method::POST || method == Method::PATCH;
    let mut request = Request::builder().method(method).uri(path);
    if !token.is_empty() {
        request = request.header(AUTHORIZATION, format!("Bearer {token}"));
    }
    if has_body {
        request = request.header(CONTENT_TYPE, "application/json");
    }
    request.body(body.into()).unwrap()
}

pub(crate) fn key_path(id: &str) -> String {
    format!("/admin/keys/{id}")
}
