//! Who is calling, found out before anything else is looked at.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequestParts, RawPathParams, Request};
use http::request::Parts;

use super::Desk;
use super::answer::Refused;
use crate::credential::{self, Credential, Malformed, Place};
use crate::key::KeyId;
use crate::keyring::{Caller, Unavailable};
use crate::layer::{Authentication, Reason, Rejection};
use crate::scope::{Demand, Scope};
use crate::store::{KeyRecord, Owner};

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

    /// The id of the key that calls; none if it is not a key that does.
    pub(super) fn own_id(&self) -> Option<KeyId> {
        match &self.caller {
            Caller::Key(principal) => Some(principal.key_id().clone()),
            _ => None,
        }
    }

    /// The owner whose keys are all that the caller sees; `None` if it sees those of everybody.
    pub(super) fn confined_to(&self) -> Option<&Owner> {
        confined_to(&self.caller)
    }

    /// The id in the path. One that cannot be an id gives a new one, which no key has: it is then
    /// answered like any other id without a key, in the same order and after the same time.
    pub(super) async fn id(&mut self) -> Result<KeyId, Refused> {
        let path = RawPathParams::from_request_parts(&mut self.parts, &()).await;
        // The last one: the router may be nested below a path with parameters of its own.
        let id = path.ok().and_then(|path| {
            let (_, id) = path.iter().filter(|(name, _)| *name == "id").last()?;
            id.parse().ok()
        });
        match id {
            Some(id) => Ok(id),
            None => KeyId::generate().map_err(|_| Refused::unavailable()),
        }
    }
}

/// The key, if this caller may see it.
pub(super) fn visible(caller: &Caller, key: Option<KeyRecord>) -> Option<KeyRecord> {
    let owner = confined_to(caller);
    key.filter(|key| owner.is_none_or(|owner| key.owner == *owner))
}

fn confined_to(caller: &Caller) -> Option<&Owner> {
    match caller {
        Caller::Key(principal) if !principal.scopes().allows(&Scope::keys_admin()) => {
            Some(principal.owner_value())
        }
        _ => None,
    }
}

async fn identify(desk: &Desk, parts: &Parts) -> Result<Caller, Rejection> {
    let credential = credential::read(&parts.headers, &[Place::Bearer]).checked();
    // Before everything else: of two lines, a proxy in front may have looked at the other one.
    if let Credential::Malformed(why @ Malformed::Repeated) = credential {
        return Err(Rejection::new(Reason::Malformed(why)));
    }
    // A layer around this router has taken the key out of the headers.
    let keyring = &desk.gate.keyring;
    if let Some(principal) = Authentication::principal_for(&parts.extensions, keyring) {
        // A key whose standing nobody knows neither changes keys nor reads about them, even should
        // the store come back between the two.
        if principal.is_judged_in_outage() {
            let why = Unavailable::StoreFailed;
            return Err(Rejection::new(Reason::Unavailable(why)));
        }
        return Ok(Caller::Key(principal.clone()));
    }
    match credential {
        Credential::Absent => Err(Rejection::new(Reason::MissingCredentials)),
        Credential::Malformed(why) => Err(Rejection::new(Reason::Malformed(why))),
        Credential::TooLong { .. } => Err(Rejection::new(Reason::TooLong)),
        Credential::Presented { token, .. } if desk.tokens.include(token) => Ok(Caller::AdminToken),
        Credential::Presented { token, .. } => {
            desk.gate.authenticate(token, parts).await.map(Caller::Key)
        }
    }
}
