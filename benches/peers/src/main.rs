//! The published crates that do something like portcullis, where they can be built beside axum
//! 0.8, in the same rounds as portcullis itself. See `../README.md`.

use std::collections::HashMap;
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use api_keys_simplified::{ApiKeyManagerV0, Environment, ExposeSecret, KeyStatus, SecureString};
use authrs::api_key::{ApiKeyConfig, ApiKeyManager};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::get;
use axum_login::{AuthManagerLayerBuilder, AuthSession, AuthUser, AuthnBackend, UserId};
use http::header::{AUTHORIZATION, COOKIE, SET_COOKIE};
use http::{HeaderValue, StatusCode};
use portcullis_bench::figures::table;
use portcullis_bench::harness::{Case, Effort};
use portcullis_bench::machine::Machine;
use portcullis_bench::peers::{by_hand, layered};
use portcullis_bench::record::Recorder;
use portcullis_bench::world::{World, credentials, header, open, routed};
use portcullis_bench::{call, keys};
use tower::ServiceExt;
use tower_sessions::{MemoryStore, SessionManagerLayer};

const GROUP: &str = "published";

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let out = arguments.iter().position(|argument| argument == "--out");
    let out = out.and_then(|at| arguments.get(at + 1)).map(PathBuf::from);
    let recorder = Recorder::new(out.as_deref(), Machine::here(quick)).unwrap();
    let effort = if quick { Effort::QUICK } else { Effort::FULL };
    // No instructions: those of one Argon2id would take the better part of an hour to count.
    let mut world = World::new(effort, quick, None, recorder);
    let runtime = world.handle();
    // Some of them spawn tasks in the middle of a request.
    let _entered = runtime.enter();
    let cases = cases(&world);
    world.interleave(GROUP, cases);
    #[cfg(not(feature = "modo"))]
    world
        .recorder
        .left_out("modo-rs", "built without the feature modo");
    println!("# published crates, one key in use, in a whole call of an axum Router");
    println!("{}", table(world.recorder.figures(), GROUP));
}

fn cases(world: &World) -> Vec<Case> {
    let ok = StatusCode::OK;
    let one = || credentials(1);
    let keyring = world.usual();
    world.warm(&keyring, &one());
    let (authrs, authrs_key) = authrs();
    let (simplified, simplified_key) = simplified();
    #[cfg_attr(
        not(feature = "modo"),
        expect(unused_mut, reason = "one more comes with it")
    )]
    let mut cases = vec![
        routed("open route", open(), one(), ok),
        routed("portcullis, Router::layer", layered(&keyring), one(), ok),
        routed(
            "from_fn by hand, typical",
            by_hand::typical((0..1).map(keys::nth)),
            one(),
            ok,
        ),
        routed(
            "authrs 0.1.2, in a from_fn",
            authrs,
            vec![header(&authrs_key)],
            ok,
        ),
        world.block_on(login()),
        routed(
            "api-keys-simplified 0.5.1, in a from_fn",
            simplified,
            vec![header(&simplified_key)],
            ok,
        ),
    ];
    #[cfg(feature = "modo")]
    {
        let (modo, modo_key) = world.block_on(modo());
        let key = vec![header(&modo_key)];
        cases.push(routed("modo-rs 0.11.0, in memory", modo, key, ok));
    }
    cases
}

fn bearer(request: &Request) -> Result<&str, StatusCode> {
    request
        .headers()
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "))
        .ok_or(StatusCode::UNAUTHORIZED)
}

/// A manager of keys in memory that is no middleware: validating takes it mutably, so a lock is
/// around it.
fn authrs() -> (Router, String) {
    let mut manager = ApiKeyManager::new(ApiKeyConfig::default());
    let created = manager
        .create_key("acme-corp")
        .with_scope("reports:read")
        .build();
    let (key, plain) = created.unwrap();
    manager.add_key(key);
    let manager = Arc::new(Mutex::new(manager));
    let check = |State(manager): State<Arc<Mutex<ApiKeyManager>>>,
                 mut request: Request,
                 next: Next| async move {
        let caller = {
            let mut manager = manager.lock().unwrap();
            let key = manager.validate(bearer(&request)?);
            key.ok_or(StatusCode::UNAUTHORIZED)?.clone()
        };
        request.extensions_mut().insert(Arc::new(caller));
        Ok::<Response, StatusCode>(next.run(request).await)
    };
    (open().layer(from_fn_with_state(manager, check)), plain)
}

/// A layer that asks its store for every request, by design; here the store of its own tests.
#[cfg(feature = "modo")]
async fn modo() -> (Router, String) {
    use modo::auth::apikey::test::InMemoryBackend;
    use modo::auth::apikey::{ApiKeyConfig, ApiKeyLayer, ApiKeyStore, CreateKeyRequest};
    let backend = Arc::new(InMemoryBackend::new());
    let store = ApiKeyStore::from_backend(backend, ApiKeyConfig::default());
    let store = store.unwrap();
    let wanted = CreateKeyRequest {
        tenant_id: "acme-corp".to_owned(),
        name: "bench".to_owned(),
        scopes: vec!["reports:read".to_owned()],
        expires_at: None,
    };
    let created = store.create(&wanted).await.unwrap();
    (open().layer(ApiKeyLayer::new(store)), created.raw_token)
}

/// Argon2id for every request; a library without a layer or a store.
fn simplified() -> (Router, String) {
    let manager = ApiKeyManagerV0::init_default_config("acme").unwrap();
    let key = manager.generate(Environment::production()).unwrap();
    let plain = key.key().expose_secret().to_owned();
    let hash = key.expose_hash().hash().to_owned();
    let state = Arc::new((manager, hash));
    let check = |State(state): State<Arc<(ApiKeyManagerV0, String)>>,
                 request: Request,
                 next: Next| async move {
        let presented = SecureString::from(bearer(&request)?.to_owned());
        match state.0.verify(&presented, &state.1) {
            Ok(KeyStatus::Valid) => Ok::<Response, StatusCode>(next.run(request).await),
            _ => Err(StatusCode::UNAUTHORIZED),
        }
    };
    (open().layer(from_fn_with_state(state, check)), plain)
}

#[derive(Clone, Debug)]
struct User {
    id: i64,
}

impl AuthUser for User {
    type Id = i64;

    fn id(&self) -> i64 {
        self.id
    }

    fn session_auth_hash(&self) -> &[u8] {
        b"a hash of the password"
    }
}

#[derive(Clone)]
struct Users(Arc<HashMap<i64, User>>);

impl AuthnBackend for Users {
    type User = User;
    type Credentials = i64;
    type Error = Infallible;

    async fn authenticate(&self, id: i64) -> Result<Option<User>, Infallible> {
        Ok(self.0.get(&id).cloned())
    }

    async fn get_user(&self, id: &UserId<Self>) -> Result<Option<User>, Infallible> {
        Ok(self.0.get(id).cloned())
    }
}

/// Sessions by cookie, kept in memory: what a browser has in place of a key.
async fn login() -> Case {
    async fn log_in(mut session: AuthSession<Users>) -> StatusCode {
        session.login(&User { id: 1 }).await.unwrap();
        StatusCode::OK
    }
    let users = Users(Arc::new([(1, User { id: 1 })].into()));
    let sessions = SessionManagerLayer::new(MemoryStore::default());
    let layer = AuthManagerLayerBuilder::new(users, sessions).build();
    let router = Router::new()
        .route("/", get(|| async { "hello" }))
        .route_layer(axum_login::login_required!(Users))
        .route("/log-in", get(log_in))
        .layer(layer);
    let request = Request::get("/log-in").body(Body::empty()).unwrap();
    let answer = router.clone().oneshot(request).await.unwrap();
    let cookie = answer.headers()[SET_COOKIE].to_str().unwrap();
    let cookie: HeaderValue = cookie.split(';').next().unwrap().parse().unwrap();
    let mut service = router.into_service();
    Case::new("axum-login 0.18.0, session in memory", move || {
        let mut request = call::request(None);
        request.headers_mut().insert(COOKIE, cookie.clone());
        call::send(&mut service, request, StatusCode::OK);
    })
}
