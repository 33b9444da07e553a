//! Who is calling, found out before anything else is looked at.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequestParts, RawPathParams, Request};
use http::request::Parts;

use super::Desk;
use super::answer::Refused;
use crate::credential::{self, Credential, Malformed, Place};
use crate::key::KeyId;
use crate::keyring::Caller;
use crate::layer::{Authentication, Reason, Rejection};
use crate::scope::{Demand, Scope};
use crate::store::Owner;

/// A request with a valid caller. Endpoints get nothing else, so none can forget to ask.
pub(super) struct Call {
    pub(super) desk: Arc<Desk>,
    pub(super) caller: Caller,
    pub(super) parts: Parts,
    pub(super) body: Body,
}

impl Call {
    pub(super) async fn new(desk: Arc<Desk>, request: Request) -> Result<Self, Rejection> {
        let (parts, body) = request.into_parts();
        let caller = identify(&desk, &parts).await?;
        Ok(Self {
            desk,
            caller,
            parts,
            body,
        })
    }

    /// Goes on only if the caller holds this scope by what the gate knows. Enough to read; a
    /// write is judged again, on the caller's own row.
    pub(super) fn needs(&self, scope: &'static str) -> Result<(), Refused> {
        let demand = Demand::one(scope);
        match &self.caller {
            Caller::Key(principal) if !demand.met_by(principal.scopes()) => {
                Err(Refused::insufficient_scope(demand))
            }
            _ => Ok(()),
        }
    }

    /// The owner whose keys are all that the caller sees; `None` if it sees those of everybody.
    pub(super) fn confined_to(&self) -> Option<&Owner> {
        match &self.caller {
            Caller::Key(principal) if !principal.scopes().allows(&Scope::keys_admin()) => {
                Some(principal.owner_value())
            }
            _ => None,
        }
    }

    /// Whether this is the id of the very key that calls.
    pub(super) fn is_by(&self, id: &KeyId) -> bool {
        matches!(&self.caller, Caller::Key(principal) if principal.key_id() == id)
    }

    /// The id in the path, unless it cannot be one: then no key has it.
    pub(super) async fn id(&mut self) -> Option<KeyId> {
        let path = RawPathParams::from_request_parts(&mut self.parts, &())
            .await
            .ok()?;
        // The last one: the router may be nested below a path with parameters of its own.
        let (_, id) = path.iter().filter(|(name, _)| *name == "id").last()?;
        id.parse().ok()
    }
}

async fn identify(desk: &Desk, parts: &Parts) -> Result<Caller, Rejection> {
    let credential = credential::read(&parts.headers, &[Place::Bearer]);
    // Before everything else: of two lines, a proxy in front may have looked at the other one.
    if let Credential::Malformed(why @ Malformed::Repeated) = credential {
        return Err(Rejection::new(Reason::Malformed(why)));
    }
    // A layer around this router has taken the key out of the headers.
    let keyring = &desk.gate.keyring;
    if let Some(principal) = Authentication::principal_for(&parts.extensions, keyring) {
        return Ok(Caller::Key(principal.clone()));
    }
    match credential {
        Credential::Absent => Err(Rejection::new(Reason::MissingCredentials)),
        Credential::Malformed(why) => Err(Rejection::new(Reason::Malformed(why))),
        Credential::TooLong { .. } => Err(Rejection::new(Reason::TooLong)),
        Credential::Presented { token, .. } if desk.tokens.include(token) => Ok(Caller::AdminToken),
        Credential::Presented { token, .. } => desk.gate.authenticate(token).await.map(Caller::Key),
    }
}
