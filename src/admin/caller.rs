//! Who is calling, found out before anything else is looked at.

use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequestParts, RawPathParams, Request};
use http::StatusCode;
use http::request::Parts;

use super::answer::Refused;
use super::trusted::TrustedCaller;
use super::{Desk, site};
use crate::credential::{self, Credential, Malformed, Place};
use crate::key::KeyId;
use crate::keyring::{Caller, Unavailable};
use crate::layer::{Authentication, Reason, Rejection};
use crate::scope::Demand;
use crate::store::{KeyRecord, Owner};

/// A request with a valid caller. Endpoints get nothing else, so none can forget to ask.
pub(super) struct Call {
    pub(super) desk: Arc<Desk>,
    pub(super) caller: Caller,
    pub(super) parts: Parts,
    pub(super) body: Body,
}

impl Call {
    pub(super) async fn new(desk: Arc<Desk>, request: Request) -> Result<Self, Refused> {
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
        match self.caller.grants() {
            Some(grants) if !demand.met_by(grants) => Err(Refused::insufficient_scope(demand)),
            _ => Ok(()),
        }
    }

    /// The id of the key that calls; none if it is not a key that does.
    pub(super) fn own_id(&self) -> Option<KeyId> {
        let principal = self.caller.key()?;
        Some(principal.key_id().clone())
    }

    /// The owner whose keys are all that the caller sees; `None` if it sees those of everybody.
    pub(super) fn confined_to(&self) -> Option<&Owner> {
        self.caller.confined_to()
    }

    /// The address that the request comes from, where the application has said how to tell.
    pub(super) fn address(&self) -> Option<IpAddr> {
        self.desk.client_address(&self.parts)
    }

    /// The id in the path. One that cannot be an id gives a new one, which no key has: it is then
    /// answered like any other id without a key, in the same order and after the same time.
    pub(super) async fn id(&mut self) -> Result<KeyId, Refused> {
        match self.id_in_path().await {
            Some(id) => Ok(id),
            None => KeyId::generate().map_err(|_| Refused::unavailable()),
        }
    }

    /// The id in the path, if there is one that can be an id.
    pub(super) async fn id_in_path(&mut self) -> Option<KeyId> {
        let path = RawPathParams::from_request_parts(&mut self.parts, &()).await;
        let path = path.ok()?;
        // The last one: the router may be nested below a path with parameters of its own.
        let (_, id) = path.iter().filter(|(name, _)| *name == "id").last()?;
        id.parse().ok()
    }
}

/// The key, if this caller may see it.
pub(super) fn visible(caller: &Caller, key: Option<KeyRecord>) -> Option<KeyRecord> {
    let owner = caller.confined_to();
    key.filter(|key| owner.is_none_or(|owner| key.owner == *owner))
}

/// Who calls: somebody for whom the application vouches, or else a key, or else the holder of the
/// admin token, or else whoever comes first.
async fn identify(desk: &Desk, parts: &Parts) -> Result<Caller, Refused> {
    let credential = credential::read(&parts.headers, &[Place::Bearer]).checked();
    // Before everything else: of two lines, a proxy in front may have looked at the other one.
    if let Credential::Malformed(why @ Malformed::Repeated) = credential {
        return Err(Rejection::new(Reason::Malformed(why)).into());
    }
    // A layer around this router has taken the key out of the headers.
    let keyring = &desk.gate.keyring;
    let principal = Authentication::principal_for(&parts.extensions, keyring);
    if let Some(trusted) = parts.extensions.get::<TrustedCaller>() {
        let session = trusted.session();
        return match credential {
            Credential::Absent if principal.is_none() => {
                of_our_own_site(desk, parts)?;
                Ok(keyring.vouched_for(session, desk.confines))
            }
            Credential::Malformed(why @ Malformed::Empty) => {
                Err(Rejection::new(Reason::Malformed(why)).into())
            }
            _ => Err(ambiguous()),
        };
    }
    if let Some(principal) = principal {
        // A key whose standing nobody knows neither changes keys nor reads about them, even should
        // the store come back between the two.
        if principal.is_judged_in_outage() {
            let why = Unavailable::StoreFailed;
            return Err(Rejection::new(Reason::Unavailable(why)).into());
        }
        // By what this router was told of proxies, which need not be what that layer was told.
        let principal = desk
            .gate
            .agrees(principal, &parts.headers, &parts.extensions)
            .map_err(|dead| Rejection::new(Reason::Dead(dead)))?;
        return Ok(desk.key(principal));
    }
    match credential {
        Credential::Absent => opener(desk, parts).await,
        Credential::Malformed(why) => Err(Rejection::new(Reason::Malformed(why)).into()),
        Credential::TooLong { .. } => Err(Rejection::new(Reason::TooLong).into()),
        Credential::Presented { token, .. } if desk.tokens.include(token) => Ok(Caller::AdminToken),
        Credential::Presented { token, .. } => {
            let principal = desk.gate.authenticate(token, parts).await?;
            Ok(desk.key(principal))
        }
    }
}

/// Whoever comes before there is a key, where the application lets that one in.
async fn opener(desk: &Desk, parts: &Parts) -> Result<Caller, Refused> {
    let keyring = &desk.gate.keyring;
    match &desk.opening {
        Some(opening)
            if opening
                .is_open_to(parts, desk.client.as_ref(), keyring)
                .await? =>
        {
            of_our_own_site(desk, parts)?;
            Ok(Caller::Opener)
        }
        _ => Err(Rejection::new(Reason::MissingCredentials).into()),
    }
}

/// Goes on only if no page of another site made a browser send this.
fn of_our_own_site(desk: &Desk, parts: &Parts) -> Result<(), Refused> {
    if site::crosses(parts, &desk.origins) {
        let refused = Refused::problem(StatusCode::FORBIDDEN, "cross_site_request");
        return Err(refused.because("a page of another site may change nothing here"));
    }
    Ok(())
}

/// Whoever sends both may be a key in the hands of somebody else, or the other way round.
fn ambiguous() -> Refused {
    Refused::problem(StatusCode::BAD_REQUEST, Refused::AMBIGUOUS)
        .because("there is a bearer token beside a session; only one of them can be the caller")
}
