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
//! Callers are keys and, if there is one, the [`BootstrapToken`]. A key manages the keys of its own
//! owner; with `keys:admin` those of everybody. What it makes or changes never exceeds what it
//! holds itself: in scopes,
//! roles, resources, addresses, environment and life. It neither rotates nor extends itself, unless
//! [`self_renewal`](crate::keyring::Builder::self_renewal) was called. All that is judged on the
//! caller's own row inside the transaction that writes; the cache in front of the gate decides no
//! write.
//!
//! Whatever is wrong is answered with a problem (RFC 9457) that has a `code`, and for fields and
//! parameters lists `errors`. What is wrong first is answered first, in this order: an unknown path
//! (404) and method (405), the credential (400, 401, 503), the scope (403), the body's size (413),
//! its type (415), its syntax and that of `Idempotency-Key` (400), fields and parameters (422), the
//! cursor (400), existence (404), authority (403), the state of the key (409). The manual has
//! [all of it](crate::manual::http).

mod answer;
mod body;
mod caller;
mod change;
mod commit;
mod create;
mod current;
mod cursor;
mod elsewhere;
mod emergency;
mod errors;
mod events;
mod fields;
mod given;
mod idempotency;
mod import;
mod json;
mod lines;
mod list;
mod previous;
mod query;
mod read;
mod restrictions;
mod revoke;
mod rotate;
mod seal;
mod token;
mod view;
mod wanted;

use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::map_response;
use axum::response::Response;
use axum::routing::{delete, get, post};

use self::answer::{Answer, answered, sealed};
use self::caller::Call;
use self::idempotency::Running;
use self::token::Tokens;
pub use self::token::{BootstrapToken, InvalidToken};
use crate::keyring::Keyring;
use crate::layer::{Gate, InvalidProblemTypes, InvalidRealm, ProblemTypes, Realm};

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

/// Builds the admin router. Each method says what it is when it is not called.
#[derive(Clone, Debug)]
#[must_use]
pub struct Admin {
    gate: Gate,
    tokens: Tokens,
}

impl Admin {
    /// Manages the keys of this keyring.
    pub fn new(keyring: Keyring) -> Self {
        Self {
            gate: Gate::new(keyring),
            tokens: Tokens::default(),
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
        self.gate.realm = Realm::new(realm)?;
        Ok(self)
    }

    /// The URL that comes before the code in the `type` of problems. Defaults to none, and the
    /// type to `about:blank`.
    pub fn problem_types(mut self, base: &str) -> Result<Self, InvalidProblemTypes> {
        self.gate.problem_types = ProblemTypes::at(base)?;
        Ok(self)
    }

    /// The router, to be nested wherever the application likes.
    pub fn router(self) -> Router {
        let desk = Desk {
            gate: self.gate,
            tokens: self.tokens,
            running: Running::default(),
        };
        Router::new()
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
            .route("/keys/revoke", post(on(emergency::revoke_all)))
            // Around the answers to a wrong method too, but not around those to a wrong path.
            .route_layer(map_response(sealed))
            .with_state(Arc::new(desk))
    }
}

/// What all endpoints share.
#[derive(Debug)]
struct Desk {
    gate: Gate,
    tokens: Tokens,
    running: Running,
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
            let answer = match Call::new(Arc::clone(&desk), request).await {
                Ok(call) => endpoint(call).await,
                Err(rejection) => Err(rejection.into()),
            };
            answered(answer, &desk.gate, &method)
        })
    }
}
