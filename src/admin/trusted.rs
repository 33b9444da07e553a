//! A caller for whom the application vouches.

use crate::key::Environment;
use crate::keyring::Session;
use crate::resources::Resources;
use crate::scope::{InvalidRole, InvalidScope, RoleSet, ScopeSet};
use crate::store::{InvalidText, Owner, SessionId};

/// Somebody who is signed in to the application, and what that one may do with keys.
///
/// A layer around the router that knows the session of a request puts this into the extensions of
/// the request. The router takes its word: it is judged by what it carries, in the place of a key.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use axum::Router;
/// use axum::extract::Request;
/// use axum::http::StatusCode;
/// use axum::middleware::{self, Next};
/// use axum::response::{IntoResponse, Response};
/// use portcullis::admin::{Admin, TrustedCaller};
///
/// # use portcullis::Keyring;
/// # use portcullis::store::MemoryStore;
/// # struct SignedIn { id: String, customer: String }
/// # fn session_of(_: &Request) -> Option<SignedIn> { None }
/// async fn session(mut request: Request, next: Next) -> Response {
///     if let Some(user) = session_of(&request) {
///         let caller = TrustedCaller::new(&user.id, &user.customer)
///             .and_then(|caller| caller.scopes(["keys:write", "reports:*"]));
///         let Ok(caller) = caller else {
///             return StatusCode::INTERNAL_SERVER_ERROR.into_response();
///         };
///         request.extensions_mut().insert(caller);
///     }
///     next.run(request).await
/// }
///
/// let keyring = Keyring::builder(MemoryStore::new()).prefix("acme").build()?;
/// let keys = Admin::new(keyring).self_service_router().layer(middleware::from_fn(session));
/// let app: Router = Router::new().nest("/account", keys);
/// # Ok(()) }
/// ```
///
/// A browser sends a session along whoever made it send the request, so what changes something has
/// to come from the application's own pages: see [`Admin::trusted_origin`]. A request that has a
/// bearer token as well is refused, since it does not say who is meant.
///
/// [`Admin::trusted_origin`]: super::Admin::trusted_origin
#[derive(Clone, Debug)]
#[must_use]
pub struct TrustedCaller(Session);

/// Why somebody cannot be a caller.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidTrustedCaller {
    /// The id of the session.
    #[error("the id of the session {0}")]
    Session(InvalidText),
    /// The owner.
    #[error("the owner {0}")]
    Owner(InvalidText),
    /// One of the scopes, or their number.
    #[error(transparent)]
    Scopes(#[from] InvalidScope),
    /// One of the roles, or their number.
    #[error(transparent)]
    Roles(#[from] InvalidRole),
}

impl TrustedCaller {
    /// Somebody who may make and manage the keys of this owner, on everything and with every scope
    /// but `keys:admin`. The other methods replace each of these.
    ///
    /// What is made or done by `session` is stored and shown as done by `session:<id>`. It is a name
    /// for who it was, such as the id of a user, and never what the browser sends to prove it.
    pub fn new(session: &str, owner: &str) -> Result<Self, InvalidTrustedCaller> {
        Ok(Self(Session {
            id: SessionId::parse(session).map_err(InvalidTrustedCaller::Session)?,
            owner: Owner::parse(owner).map_err(InvalidTrustedCaller::Owner)?,
            scopes: ScopeSet::parse(["*", "keys:write"])?,
            roles: RoleSet::empty(),
            resources: None,
            environments: None,
        }))
    }

    /// What the caller holds, and may hand on to keys, all of it: `keys:read` is needed to see
    /// keys, `keys:write` to make and change them, and `keys:admin` gives those of everybody.
    pub fn scopes(
        mut self,
        scopes: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<Self, InvalidTrustedCaller> {
        self.0.scopes = ScopeSet::parse(scopes)?;
        Ok(self)
    }

    /// The roles that the caller holds besides. Defaults to none.
    pub fn roles(
        mut self,
        roles: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<Self, InvalidTrustedCaller> {
        self.0.roles = RoleSet::parse(roles)?;
        Ok(self)
    }

    /// What the caller's keys may be used on. Defaults to everything.
    pub fn resources(mut self, resources: Resources) -> Self {
        self.0.resources = Some(resources);
        self
    }

    /// Of which environments the caller's keys may be. Defaults to each that is declared.
    pub fn environments(mut self, environments: impl IntoIterator<Item = Environment>) -> Self {
        self.0.environments = Some(environments.into_iter().collect());
        self
    }

    pub(super) fn session(&self) -> &Session {
        &self.0
    }
}
