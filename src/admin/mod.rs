//! A router by which people and programs manage keys.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use axum::Router;
//! use portcullis::admin::Admin;
//! use portcullis::store::MemoryStore;
//! use portcullis::Keyring;
//!
//! let keyring = Keyring::builder(MemoryStore::new()).prefix("acme").build()?;
//! let token = std::env::var("ADMIN_TOKEN").unwrap_or("2b7e151628aed2a6abf7158809cf4f3c".into());
//! let admin = Admin::new(keyring).bootstrap_token(token)?.router();
//! let app: Router = Router::new().nest("/admin", admin);
//! # Ok(()) }
//! ```
//!
//! | call | needs | does |
//! |---|---|---|
//! | `POST /keys` | `keys:write` | makes a key: 201 with the key and, this once, its secret; honours `Idempotency-Key` |
//! | `GET /keys?owner=&status=&environment=&expires_before=&limit=&cursor=` | `keys:read` | lists keys, newest first, in pages |
//! | `GET /keys/{id}` | `keys:read` | shows a key |
//! | `PATCH /keys/{id}` | `keys:write` | changes `name`, `scopes`, `roles`, `enabled`, `expires_at`, `resources`, `allowed_ips`, `metadata` |
//! | `POST /keys/{id}/rotate` | `keys:write` | gives a key another secret, and the old one a grace |
//! | `DELETE /keys/{id}/previous` | `keys:write` | ends that grace |
//! | `DELETE /keys/{id}?reason=` | `keys:write`, for one's own key nothing | revokes a key, for ever |
//! | `GET /keys/{id}/events?limit=&cursor=` | `keys:read` | the trail of a key: what was done to it, when and by whom |
//! | `POST /keys/import` | `keys:write` | takes keys that were made elsewhere, by digest, a line each |
//! | `POST /keys/revoke` | `keys:admin` | the emergency stop: revokes the keys of an owner, of a maker, or all |
//! | `GET /keys/current`, `DELETE /keys/current?reason=` | a valid key | shows, or revokes, the very key that calls |
//!
//! Callers are keys, sessions for which the application vouches ([`TrustedCaller`]) and, if there is
//! one, the holder of the [`BootstrapToken`]. A key or session manages the keys of its own
//! owner; with `keys:admin` those of everybody. What it makes or changes never exceeds what it
//! holds itself: in scopes,
//! roles, resources, addresses, environment and life. It neither rotates nor extends itself, unless
//! [`self_renewal`](crate::keyring::Builder::self_renewal) was called. All that is judged on the
//! caller's own row inside the transaction that writes; the cache in front of the gate decides no
//! write.
//!
//! Whatever is wrong is answered with a problem (RFC 9457) that has a `code`, and for fields and
//! parameters lists `errors`. What is wrong first is answered first, in this order: an unknown path
//! (404) and method (405), the credential (400, 401, 503), the scope (403), how many imports there
//! are (429), the body's size (413), time (408) and type (415), its syntax and that of
//! `Idempotency-Key` (400), fields and parameters (422), the cursor (400), existence (404),
//! authority (403), the state of the key (409), and the [`Policy`] (403, 409, 429, 503). The manual
//! has [all of it](crate::manual::http).

mod answer;
mod body;
mod caller;
mod change;
mod commit;
mod create;
mod current;
mod cursor;
mod denied;
mod elsewhere;
mod emergency;
mod errors;
mod events;
mod fields;
#[cfg(fuzzing)]
pub mod fuzzing;
mod given;
mod host;
mod idempotency;
mod import;
mod json;
mod leaks;
mod lines;
mod list;
#[cfg(feature = "openapi")]
mod openapi;
mod opening;
mod policy;
mod previous;
mod query;
mod rate;
mod read;
mod restrictions;
mod revoke;
mod rotate;
mod seal;
mod site;
mod token;
mod trusted;
mod turns;
mod view;
mod wanted;

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::map_response;
use axum::response::Response;
use axum::routing::{delete, get, post};
use http::request::Parts;

use self::answer::{Answer, answered, sealed};
use self::caller::Call;
use self::denied::Attempt;
use self::idempotency::Running;
use self::leaks::{Intake, Report};
pub use self::leaks::{InvalidLeakReports, LeakReports};
#[cfg(feature = "secret-scanning")]
pub use self::leaks::{InvalidScanningKeys, ScanningKeys};
use self::opening::Opening;
use self::policy::Rules;
pub use self::policy::{Entitlement, InvalidPolicy, Minting, Policy};
pub use self::site::InvalidOrigin;
use self::site::Origins;
use self::token::Tokens;
pub use self::token::{BootstrapToken, InvalidToken};
pub use self::trusted::{InvalidTrustedCaller, TrustedCaller};
use self::turns::Turns;
use crate::keyring::{Caller, Keyring};
use crate::layer::{ClientAddress, Gate, InvalidProblemTypes, InvalidRealm, ProblemTypes, Realm};
use crate::principal::Principal;

/// The scope to see keys.
const KEYS_READ: &str = "keys:read";

/// The scope to make, change and revoke keys.
const KEYS_WRITE: &str = "keys:write";

/// The scope to manage the keys of every owner.
const KEYS_ADMIN: &str = "keys:admin";

/// The admin router of this keyring as it is by default: for keys alone, without a bootstrap
/// token. [`Admin`] has the options.
pub fn router(keyring: Keyring) -> Router {
    Admin::new(keyring).router()
}

/// Builds the routers. Each method says what it is when it is not called. Routers that are built of
/// clones share what they count.
#[derive(Clone, Debug)]
#[must_use]
pub struct Admin {
    gate: Gate,
    tokens: Tokens,
    rules: Arc<Rules>,
    origins: Origins,
    client: Option<ClientAddress>,
    opening: Option<Opening>,
    running: Running,
    turns: Turns,
    leaks: Option<Arc<Intake>>,
}

impl Admin {
    /// Manages the keys of this keyring.
    pub fn new(keyring: Keyring) -> Self {
        Self {
            gate: Gate::new(keyring),
            tokens: Tokens::default(),
            rules: Arc::default(),
            origins: Origins::default(),
            client: None,
            opening: None,
            running: Running::default(),
            turns: Turns::default(),
            leaks: None,
        }
    }

    /// Lets the holder of this token do everything, on this router only. By default there is none.
    /// Call it twice to replace one token by another without a gap.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let store = portcullis::store::MemoryStore::new();
    /// # let keyring = portcullis::Keyring::builder(store).prefix("acme").build()?;
    /// use portcullis::admin::{Admin, InvalidToken};
    ///
    /// let refused = Admin::new(keyring).bootstrap_token("hunter2").unwrap_err();
    /// assert_eq!(refused, InvalidToken::TooShort(7));
    /// # Ok(()) }
    /// ```
    pub fn bootstrap_token(
        mut self,
        token: impl Into<BootstrapToken>,
    ) -> Result<Self, InvalidToken> {
        self.tokens.add(&token.into(), self.gate.keyring.format())?;
        Ok(self)
    }

    /// The realm in challenges. Defaults to `api`.
    pub fn realm(mut self, realm: &str) -> Result<Self, InvalidRealm> {
        self.gate.answers.in_realm(Realm::new(realm)?);
        Ok(self)
    }

    /// The URL that comes before the code in the `type` of problems. Defaults to none, and the
    /// type to `about:blank`.
    pub fn problem_types(mut self, base: &str) -> Result<Self, InvalidProblemTypes> {
        self.gate.answers.with_types(ProblemTypes::at(base)?);
        Ok(self)
    }

    /// What is allowed to whoever makes keys. Defaults to everything that they may.
    pub fn policy(mut self, policy: Policy) -> Result<Self, InvalidPolicy> {
        self.rules = Arc::new(policy.for_keys_of(&self.gate.keyring)?);
        Ok(self)
    }

    /// One more origin, such as `https://app.example`, whose pages may change something for a
    /// [`TrustedCaller`]. Call it for each; by default there is none, and it is the router's own
    /// origin alone.
    ///
    /// A browser says where the page is from that made it send a request: `Sec-Fetch-Site` has to be
    /// `same-origin` or `none`; or, of a browser that does not send it, `Origin` the host and port
    /// that the request is for, with `https`. Other requests that change something are refused with
    /// 403 `cross_site_request`. One that says neither is not a browser's.
    ///
    /// With `http` the router's own origin counts on this machine alone (`localhost`, loopback
    /// addresses): elsewhere anybody on the network may have put such a page there, and it is not of
    /// the same site as that with TLS. **Browsers send no `Sec-Fetch-Site` to a site without TLS, so
    /// its own origin has to be named here**, such as `http://keys.internal:8080`. So it has where a
    /// proxy in front does not leave `Host` as it is.
    pub fn trusted_origin(mut self, origin: &str) -> Result<Self, InvalidOrigin> {
        self.origins.add(origin)?;
        Ok(self)
    }

    /// How to tell from which address a request comes: for keys that are bound to addresses, as in
    /// [`ApiKeyLayer::client_address`](crate::ApiKeyLayer::client_address), and so that
    /// [`Policy::mint_limit`] counts by address, too. By default the former go by the peer, and
    /// nothing is counted by address: behind a proxy that was not declared, the address of the peer
    /// is the same for all.
    pub fn client_address(mut self, client: ClientAddress) -> Self {
        self.gate.client = Some(client.clone());
        self.client = Some(client);
        self
    }

    /// Takes reports of leaked keys by `POST /leaks`, on both routers: the keys are revoked, with the
    /// reason `leaked`. By default there is no such route.
    ///
    /// No caller is needed for it. Whoever has a key can end it anyway, and whoever has none learns
    /// nothing: the answer says how many secrets were received.
    pub fn leak_reports(mut self, reports: LeakReports) -> Result<Self, InvalidLeakReports> {
        self.leaks = Some(Arc::new(reports.for_keys_of(&self.gate.keyring)?));
        Ok(self)
    }

    /// **Lets whoever is on the same machine in without credentials, until there is a key.** For a
    /// first start by hand; on the router for operators alone. Off by default. Beside a
    /// [bootstrap token](Self::bootstrap_token), which does the same from anywhere, it does nothing,
    /// whichever of the two is called first: whoever has a token needs no open door.
    ///
    /// Open is the router to a request without credentials that comes from a loopback address, to a
    /// loopback name (`localhost`, `127.0.0.1`, `[::1]`), by no proxy that shows itself, and is not
    /// made by a page of another site. The address has to be known: see
    /// [`PeerAddress`](crate::layer::PeerAddress). It is over for good with the first key that is
    /// ever made, in the very transaction; of two at once one makes a key. That key should have
    /// `keys:admin`. It is made by `system`.
    ///
    /// **Not for a machine that others use as well, nor behind a proxy on the same machine** that
    /// adds no header and rewrites the host: nothing tells its requests from those of a program
    /// here.
    pub fn dangerously_open_on_loopback_until_first_key(mut self) -> Self {
        self.opening = Some(Opening::default());
        self
    }

    /// The router for operators, to be nested wherever the application likes.
    pub fn router(self) -> Router {
        let asked = self.opening.is_some();
        let desk = self.desk(false);
        if desk.opening.is_some() {
            tracing::warn!("the admin API is open to this machine until there is a key");
        } else if asked {
            tracing::warn!("the admin API is not open to this machine: there is a bootstrap token");
        }
        routes(&desk)
            .route("/keys/revoke", post(on(emergency::revoke_all)))
            // Around the answers to a wrong method too, but not around those to a wrong path.
            .route_layer(map_response(sealed))
            .with_state(Arc::new(desk))
    }

    /// The router for customers, who see and manage the keys of their own owner and no others, with
    /// the same calls. `keys:admin` counts as `keys:write` there. There is no emergency stop, and
    /// the bootstrap token is as good as any other text.
    pub fn self_service_router(self) -> Router {
        let desk = self.desk(true);
        routes(&desk)
            .route_layer(map_response(sealed))
            .with_state(Arc::new(desk))
    }

    fn desk(self, confines: bool) -> Desk {
        // Every field by name, so that a new one cannot be overlooked here.
        let Self {
            gate,
            tokens,
            rules,
            origins,
            client,
            opening,
            running,
            turns,
            leaks,
        } = self;
        let opening = opening.filter(|_| !confines && tokens.is_empty());
        Desk {
            gate,
            tokens: if confines { Tokens::default() } else { tokens },
            rules,
            origins,
            client,
            opening,
            running,
            turns,
            leaks,
            confines,
        }
    }
}

/// What operators and customers have alike.
fn routes(desk: &Desk) -> Router<Arc<Desk>> {
    let leaks = desk.leaks.as_deref().map(Intake::routes);
    let routes = Router::new().merge(leaks.unwrap_or_default());
    #[cfg(feature = "openapi")]
    let routes = routes.route("/openapi.json", get(on(openapi::read)));
    routes
        .route("/keys", get(on(list::list)).post(on(create::create)))
        .route(
            "/keys/{id}",
            get(on(read::read))
                .patch(on(change::change))
                .delete(on(revoke::revoke)),
        )
        .route("/keys/{id}/rotate", post(on(rotate::rotate)))
        .route("/keys/{id}/events", get(on(events::list)))
        .route("/keys/{id}/previous", delete(on(previous::end)))
        // None of these is an id, so they hide no key.
        .route(
            "/keys/current",
            get(on(current::read)).delete(on(current::revoke)),
        )
        .route("/keys/import", post(on(import::import)))
}

/// What all endpoints share.
#[derive(Debug)]
struct Desk {
    gate: Gate,
    tokens: Tokens,
    rules: Arc<Rules>,
    origins: Origins,
    client: Option<ClientAddress>,
    opening: Option<Opening>,
    running: Running,
    turns: Turns,
    leaks: Option<Arc<Intake>>,
    /// Whether everybody is confined to the keys of the own owner.
    confines: bool,
}

impl Desk {
    fn key(&self, principal: Principal) -> Caller {
        if self.confines {
            Caller::ConfinedKey(principal)
        } else {
            Caller::Key(principal)
        }
    }
}

impl Desk {
    /// The address that a request comes from, where the application has said how to tell.
    fn client_address(&self, parts: &Parts) -> Option<IpAddr> {
        let client = self.client.as_ref()?;
        client.of(&parts.headers, &parts.extensions)
    }
}

type Answering = Pin<Box<dyn Future<Output = Response> + Send>>;

/// The handler for an endpoint: finds out who calls before the endpoint sees anything, and words
/// its refusals. Being a handler, it is not asked for an unknown path or a wrong method.
fn on<F>(endpoint: fn(Call) -> F) -> impl Fn(State<Arc<Desk>>, Request) -> Answering + Clone
where
    F: Future<Output = Answer> + Send + 'static,
{
    move |State(desk), request| {
        Box::pin(async move {
            let method = request.method().clone();
            let route = request.extensions().get::<MatchedPath>();
            let mut attempt = Attempt::at(&method, route);
            let answer = match Call::new(Arc::clone(&desk), request).await {
                Ok(mut call) => {
                    attempt.of(&mut call).await;
                    endpoint(call).await
                }
                Err(refused) => Err(refused),
            };
            if let Err(refused) = &answer {
                attempt.answered(refused);
            }
            answered(answer, &desk.gate, &method)
        })
    }
}

/// The handler for an endpoint that anybody may ask.
fn open<F>(endpoint: fn(Report) -> F) -> impl Fn(State<Arc<Desk>>, Request) -> Answering + Clone
where
    F: Future<Output = Answer> + Send + 'static,
{
    move |State(desk), request| {
        Box::pin(async move {
            let method = request.method().clone();
            let answer = endpoint(Report::new(Arc::clone(&desk), request)).await;
            answered(answer, &desk.gate, &method)
        })
    }
}
