//! The keyring: verifies keys, makes and changes them, and remembers what it may.
//!
//! The way of a request leads from `authorize` over `cache` to a hit, or on to a `flight`.
//! What may be believed is decided in `freshness` and kept in step by `sync`; what changes
//! keys is in `authority` and `writes`.

mod agreement;
mod authority;
mod authorize;
mod budget;
mod builder;
mod cache;
mod caller;
mod change;
#[cfg_attr(test, path = "tests/scheduled.rs")]
mod concurrency;
mod cooldown;
mod declared;
mod epoch;
mod flight;
#[cfg(feature = "admin")]
mod foresee;
mod freshness;
mod health;
mod history;
mod hot;
mod idle;
mod last_used;
mod leaked;
mod limits;
mod look_up;
mod manage;
mod new_key;
mod on_behalf;
mod once_found;
mod outage;
mod own_writes;
mod retention;
mod seen_revoked;
#[cfg(feature = "admin")]
mod session;
mod shared;
mod sync;
#[cfg(test)]
mod tests;
mod timeline;
mod told;
mod writes;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};

use crate::clock::Clock;
use crate::key::{Environment, KeyFormat};
use crate::scope::{Catalogue, Roles};
use crate::store::{KeyStore, StoreError};

pub use authority::{End, Expiry, KeyPatch, Restrict};
pub use authorize::{Dead, Unavailable};
pub(crate) use authorize::{Denial, Judged, Miss, bound_to};
pub use builder::{BuildError, Builder};
#[cfg(feature = "admin")]
pub(crate) use caller::Caller;
pub use change::KeyChange;
pub use declared::InvalidDeclaration;
#[cfg(feature = "admin")]
pub(crate) use foresee::Foreseen;
pub use health::Health;
pub(crate) use last_used::Usage;
#[cfg(feature = "admin")]
pub(crate) use limits::Limits;
#[cfg(feature = "admin")]
pub(crate) use manage::LONGEST_GRACE;
pub use new_key::{Created, Imported, InvalidNewKey, MadeElsewhere, NewKey};
#[cfg(feature = "admin")]
pub(crate) use on_behalf::{Made, Making, Recognisable};
#[cfg(feature = "admin")]
pub(crate) use session::Session;
pub(crate) use shared::Shared;
pub use writes::WriteError;

/// The keys of a service: one handle that verifies, creates, lists, changes and revokes.
///
/// Clones are cheap and share everything. Every change that a keyring commits is visible to its
/// own cache when the call returns, so nothing outside it has to remember to invalidate. Its
/// background tasks end when its last clone is dropped.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use portcullis::Keyring;
/// use portcullis::keyring::NewKey;
/// use portcullis::store::MemoryStore;
///
/// let keyring = Keyring::builder(MemoryStore::new()).prefix("acme").build()?;
/// let created = keyring.create(NewKey::named("nightly export")?.scopes(["reports:read"])?).await?;
/// assert!(created.secret.expose().starts_with("acme_live_"));
///
/// let revoked = keyring.revoke(&created.key.id, Some("left the company")).await?;
/// assert!(revoked.revoked.is_some());
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Keyring {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    store: Arc<dyn KeyStore>,
    clock: Arc<dyn Clock>,
    format: KeyFormat,
    catalogue: Option<Catalogue>,
    roles: Roles,
    agreement: agreement::Agreement,
    self_service: authority::SelfService,
    listeners: change::Listeners,
    timeline: timeline::Timeline,
    flights: flight::Flights,
    once_found: once_found::OnceFound,
    cooldown: cooldown::Cooldown,
    budget: budget::Budget,
    outage: outage::Outage,
    shared: shared::Shared,
    seen_revoked: seen_revoked::SeenRevoked,
    max_staleness: Duration,
    max_staleness_nanos: u64,
    sync_deadline: Duration,
    last_used: last_used::LastUsed,
    syncs: sync::Syncs,
    idle: idle::Idle,
    /// Makes the next sync come at once.
    wake: Arc<Notify>,
    /// Ends the background task when the last keyring goes.
    _last_keyring: watch::Sender<()>,
}

impl Keyring {
    /// Starts to build a keyring on `store`.
    pub fn builder(store: impl KeyStore) -> Builder {
        Builder::new(Arc::new(store))
    }

    /// How this keyring's keys look.
    pub fn format(&self) -> &KeyFormat {
        &self.inner.format
    }

    /// The declared environments, in the order of their declaration.
    pub fn environments(&self) -> &[Environment] {
        self.inner.format.environments()
    }

    /// The scopes that the application declares, with what people are told of them; `None` if it
    /// declares none, and every scope exists.
    pub fn scopes(&self) -> Option<&Catalogue> {
        self.inner.catalogue.as_ref()
    }

    /// The roles that the application knows, what each grants, and what people are told of it.
    pub fn roles(&self) -> &Roles {
        &self.inner.roles
    }

    /// Whose time it is that counts here.
    #[cfg(feature = "admin")]
    pub(crate) fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.inner.clock)
    }

    /// Somebody for whom the application vouches, where all may be `confined` to the keys of their
    /// own owner.
    #[cfg(feature = "admin")]
    pub(crate) fn vouched_for(&self, session: &Session, confined: bool) -> Caller {
        let mut grants = self.inner.roles.effective(&session.scopes, &session.roles);
        if confined {
            grants = grants.within_own_owner();
        }
        Caller::Session(Arc::new(session.clone()), grants)
    }

    /// Whether this is a clone of the same keyring.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    /// Brings this replica up to date now, instead of at the next poll. What another process
    /// committed before this call is heeded once it returns.
    pub async fn sync(&self) -> Result<(), Arc<StoreError>> {
        self.inner.sync().await
    }

    /// Writes down what is not yet written of when keys were last used. To be awaited after the
    /// server has drained; without it about the last second is lost. The keyring goes on working.
    pub async fn shutdown(&self) {
        self.inner.last_used.flush().await;
    }

    /// Returns once the keyring is in step with its store; at once if it is already.
    ///
    /// A keyring that is not ready answers from look-ups alone, and with 503 where those fail; it
    /// goes on trying by itself. This makes one attempt and fails with what that met.
    pub async fn ready(&self) -> Result<(), Arc<StoreError>> {
        if self.health().in_sync {
            return Ok(());
        }
        self.inner.sync().await
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring")
            .field("store", &self.inner.store)
            .field("prefix", &self.inner.format.prefix())
            .field("environments", &self.inner.format.environments())
            .finish_non_exhaustive()
    }
}
