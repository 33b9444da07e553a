//! The decision about a request, apart from futures and bodies.

use std::fmt;
use std::mem;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{Entry, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE};
#[cfg(feature = "admin")]
use http::request::Parts;
use http::{Extensions, HeaderMap, Method, Response};

use super::answers::{Answers, retry_after};
use super::authentication::Authentication;
use super::client::ClientAddress;
use super::form::Form;
use super::grpc;
use super::rejection::{Reason, Rejection};
use crate::credential::{self, Credential, Malformed, Place};
use crate::key::Environment;
use crate::keyring::{Dead, Judged, Keyring, Miss};
use crate::principal::Principal;

/// What a refusal is answered with.
///
/// The gate adds what the protocol asks for: the challenge as one more `WWW-Authenticate` line,
/// `Retry-After` where that is missing. For a HEAD request it takes the body away. gRPC calls are
/// not asked about once [`ApiKeyLayer::grpc`](super::ApiKeyLayer::grpc) answers them.
///
/// Closures are responders:
///
/// ```
/// # async fn test(keyring: portcullis::Keyring) {
/// use bytes::Bytes;
/// use portcullis::{ApiKeyLayer, Rejection};
///
/// let layer = ApiKeyLayer::new(keyring).responder(|rejection: &Rejection| {
///     let mut response = http::Response::new(Bytes::from_static(b"no\n"));
///     *response.status_mut() = rejection.status();
///     response
/// });
/// # }
/// ```
pub trait Responder: Send + Sync + 'static {
    /// The answer to a request that is refused for this reason.
    fn respond(&self, rejection: &Rejection) -> Response<Bytes>;
}

impl<F> Responder for F
where
    F: Fn(&Rejection) -> Response<Bytes> + Send + Sync + 'static,
{
    fn respond(&self, rejection: &Rejection) -> Response<Bytes> {
        self(rejection)
    }
}

/// What judges and what answers: the settings of one layer.
#[derive(Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "switches that the application turns one by one"
)]
pub(crate) struct Gate {
    pub(crate) keyring: Keyring,
    pub(crate) answers: Answers,
    pub(crate) responder: Option<Arc<dyn Responder>>,
    pub(crate) places: Vec<Place>,
    pub(crate) optional: bool,
    pub(crate) foreign_bearer: bool,
    pub(crate) keep_credential: bool,
    pub(crate) grpc: bool,
    /// `None`: all that are declared, which is one. The layer sees to that.
    pub(crate) environments: Option<Vec<Environment>>,
    /// `None`: that of the peer, unless an outer layer has looked already.
    pub(crate) client: Option<ClientAddress>,
}

/// What can be said of a request at once.
pub(crate) enum Sight {
    /// An outer layer of the same keyring has let it in. If there is still a credential in this
    /// place, because that layer kept it or did not look there, it has had its day.
    Judged(Option<usize>),
    /// Nobody, and that is allowed here.
    Anonymous,
    /// A good key from this place.
    Allowed(Principal, usize),
    /// The answer is no.
    Refused(Reason),
    /// It takes a look-up.
    Ask(Box<Miss>, usize),
}

impl Gate {
    pub(crate) fn new(keyring: Keyring) -> Self {
        Self {
            keyring,
            answers: Answers::default(),
            responder: None,
            places: vec![Place::Bearer],
            optional: false,
            foreign_bearer: false,
            keep_credential: false,
            grpc: false,
            environments: None,
            client: None,
        }
    }

    /// Looks at a request. Reads the headers and what an outer layer left, nothing else: no
    /// method, path or other header can switch this off.
    #[inline]
    pub(crate) fn look(&self, headers: &HeaderMap, extensions: &Extensions) -> Sight {
        // An outer layer takes the credential out of the headers, so its word counts; but only
        // that of the same keyring, and only where this one would have said the same.
        if let Some(principal) = Authentication::principal_for(extensions, &self.keyring) {
            return match self.agrees(principal, headers, extensions) {
                Ok(_) => Sight::Judged(self.place_of_key(headers)),
                Err(dead) => Sight::Refused(Reason::Dead(dead)),
            };
        }
        match credential::read(headers, &self.places) {
            Credential::Absent if self.optional => Sight::Anonymous,
            Credential::Absent => Sight::Refused(Reason::MissingCredentials),
            Credential::Malformed(why) => Sight::Refused(Reason::Malformed(why)),
            Credential::TooLong {
                token: Some(token),
                place,
            }
            | Credential::Presented { token, place }
                if self.is_foreign(token, place) =>
            {
                Sight::Anonymous
            }
            Credential::TooLong { .. } => Sight::Refused(Reason::TooLong),
            Credential::Presented { token, place } => {
                match self.judge(token, headers, extensions) {
                    Ok(Judged::Now(Ok(principal))) => Sight::Allowed(principal, place),
                    Ok(Judged::Now(Err(denial))) => {
                        Sight::Refused(Rejection::from(denial).into_reason())
                    }
                    Ok(Judged::Later(miss)) => Sight::Ask(miss, place),
                    // Only now: what is a key is a bearer token, too, and need not be looked at twice.
                    Err(Reason::NotAKey(_)) if !credential::is_bearer_token(token) => {
                        Sight::Refused(Reason::Malformed(Malformed::NotBearerToken))
                    }
                    Err(reason) => Sight::Refused(reason),
                }
            }
        }
    }

    /// Everything that can be said of a token without asking: its form comes first, so that what
    /// cannot be a key costs neither a hash nor a look-up.
    #[inline]
    fn judge(
        &self,
        token: &[u8],
        headers: &HeaderMap,
        extensions: &Extensions,
    ) -> Result<Judged, Reason> {
        let key = self
            .keyring
            .format()
            .parse(token)
            .map_err(Reason::NotAKey)?;
        if !self.accepts(key.environment()) {
            return Err(Reason::Dead(Dead::Environment));
        }
        Ok(self
            .keyring
            .authorize(&key, || self.client(headers, extensions)))
    }

    /// What an outer layer has found, as this one sees it: of an environment that is accepted here,
    /// and used from where it may be used by what this one was told of proxies. One that was told
    /// nothing of them goes by what the outer one saw.
    pub(crate) fn agrees(
        &self,
        principal: &Principal,
        headers: &HeaderMap,
        extensions: &Extensions,
    ) -> Result<Principal, Dead> {
        if !self.accepts(principal.environment()) {
            return Err(Dead::Environment);
        }
        let principal = principal.clone();
        match &self.client {
            None => Ok(principal),
            Some(client) => principal.now_from(|| client.of(headers, extensions)),
        }
    }

    fn client(&self, headers: &HeaderMap, extensions: &Extensions) -> Option<IpAddr> {
        let peer = ClientAddress::peer();
        let client = self.client.as_ref().unwrap_or(&peer);
        client.of(headers, extensions)
    }

    /// Judges a token, waiting for a look-up if that is what it takes, and by no outage grace: who
    /// is about to ask for changes would rather wait for the store.
    #[cfg(feature = "admin")]
    pub(crate) async fn authenticate(
        &self,
        token: &[u8],
        parts: &Parts,
    ) -> Result<Principal, Rejection> {
        let judged = self.judge(token, &parts.headers, &parts.extensions);
        match judged.map_err(Rejection::new)? {
            Judged::Now(answer) => answer.map_err(Rejection::from),
            Judged::Later(miss) => miss.by_store().await.map_err(Rejection::from),
        }
    }

    fn accepts(&self, environment: &Environment) -> bool {
        match &self.environments {
            Some(accepted) => accepted.contains(environment),
            None => true,
        }
    }

    /// Whether this is somebody else's bearer token, which is let pass on request.
    fn is_foreign(&self, token: &[u8], place: usize) -> bool {
        self.foreign_bearer
            && self.places.get(place) == Some(&Place::Bearer)
            && !self.keyring.format().starts_like_a_key(token)
            && credential::is_bearer_token(token)
    }

    /// Where there is a credential for us, good or bad.
    fn place_of_key(&self, headers: &HeaderMap) -> Option<usize> {
        match credential::read(headers, &self.places).checked() {
            Credential::Absent | Credential::Malformed(_) => None,
            Credential::TooLong { token: None, place } => Some(place),
            Credential::TooLong {
                token: Some(token),
                place,
            }
            | Credential::Presented { token, place } => {
                (!self.is_foreign(token, place)).then_some(place)
            }
        }
    }

    /// Where credentials other than `Authorization` are read from.
    pub(crate) fn other_headers(&self) -> impl Iterator<Item = &HeaderName> {
        self.places.iter().filter_map(|place| match place {
            Place::Header(name) => Some(name),
            Place::Bearer => None,
        })
    }

    /// Whether this place is another than `Authorization`.
    #[inline]
    pub(crate) fn is_other_header(&self, place: usize) -> bool {
        matches!(self.places.get(place), Some(Place::Header(_)))
    }

    /// Whether a request has anything in another place than `Authorization`.
    pub(crate) fn has_other_header(&self, headers: &HeaderMap) -> bool {
        self.other_headers().any(|name| headers.contains_key(name))
    }

    /// The form in which this gate refuses such a request.
    pub(crate) fn form(&self, method: &Method, headers: &HeaderMap) -> Form {
        if self.grpc && grpc::is_call(headers) {
            Form::Grpc
        } else {
            Form::http(method)
        }
    }

    /// The answer to a request that is refused. Nobody needs the extensions of that request any
    /// more; the room that they had is taken for those of the answer.
    pub(crate) fn refuse(
        &self,
        rejection: Rejection,
        form: Form,
        mut extensions: Extensions,
    ) -> Response<Bytes> {
        tracing::debug!(%rejection, "request refused");
        let mut response = match (form, &self.responder) {
            (Form::Grpc, _) => grpc::answer(&rejection),
            (form, None) => form.of_length(self.answers.to(&rejection)),
            (form, Some(responder)) => form.shape(self.worded_by(&**responder, &rejection)),
        };
        extensions.clear();
        // What a responder has left in its answer stays.
        extensions.extend(mem::take(response.extensions_mut()));
        extensions.insert(rejection);
        *response.extensions_mut() = extensions;
        response
    }

    /// The answer in the application's own words.
    fn worded_by(&self, responder: &dyn Responder, rejection: &Rejection) -> Response<Bytes> {
        let mut response = responder.respond(rejection);
        let headers = response.headers_mut();
        if let Some(challenge) = self.answers.realm().challenge(rejection) {
            // One more line: what the responder has set stays.
            headers.append(WWW_AUTHENTICATE, challenge);
        }
        if let Some(delay) = retry_after(rejection)
            && let Entry::Vacant(entry) = headers.entry(RETRY_AFTER)
        {
            entry.insert(delay);
        }
        response
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate")
            .field("keyring", &self.keyring)
            .field("realm", self.answers.realm())
            .field("places", &self.places)
            .field("optional", &self.optional)
            .field("environments", &self.environments)
            .finish_non_exhaustive()
    }
}
