//! The gate in front of a service.
//!
//! [`ApiKeyLayer`] takes the key from a request, has it judged, and either answers by itself (400,
//! 401, 503) or leaves the [`Principal`](crate::Principal) for the inner service.
//! [`require_scope`] and its kin stand further in and answer 403. Both work with any
//! `Service<Request<B>, Response = Response<R>>`, keep the inner error type, and answer with
//! `Response<ResponseBody<R>>`.

mod answers;
mod authentication;
mod body;
mod challenge;
mod client;
mod form;
mod forwarded;
mod future;
mod gate;
mod grpc;
mod problem;
mod rejection;
mod require;
#[cfg(feature = "axum")]
mod resource;
mod service;

use std::fmt;
use std::sync::Arc;

use http::header::{AUTHORIZATION, HeaderName};
use tower_layer::Layer;

#[cfg(any(feature = "axum", feature = "testing"))]
pub(crate) use authentication::Authentication;
pub use body::ResponseBody;
pub use challenge::InvalidRealm;
pub(crate) use challenge::Realm;
pub use client::{ClientAddress, PeerAddress};
#[cfg(feature = "axum")]
pub(crate) use form::Form;
pub use future::ResponseFuture;
pub(crate) use gate::Gate;
pub use gate::Responder;
pub use problem::InvalidProblemTypes;
#[cfg(feature = "admin")]
pub(crate) use problem::PROBLEM_JSON;
pub(crate) use problem::ProblemTypes;
pub use rejection::{Reason, Rejection};
#[cfg(feature = "axum")]
pub(crate) use require::misconfigured;
pub use require::{Require, RequireFuture, RequireLayer, require_all, require_any, require_scope};
#[cfg(feature = "axum")]
pub use resource::{RequireResource, RequireResourceLayer, require_resource};
pub use service::ApiKeyService;

use crate::credential::Place;
use crate::key::Environment;
use crate::keyring::Keyring;

/// Lets a request in only with a good key.
///
/// In axum, add it by `Router::route_layer`, so that unknown paths stay 404; routes that are added
/// *after* it are not behind it.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use http::{Request, Response, StatusCode};
/// use portcullis::store::MemoryStore;
/// use portcullis::{ApiKeyLayer, Keyring, Principal};
/// use portcullis::keyring::NewKey;
/// use tower::{ServiceBuilder, ServiceExt, service_fn};
///
/// let keyring = Keyring::builder(MemoryStore::new()).prefix("acme").build()?;
/// let created = keyring.create(NewKey::named("ci")?.owner("acme-corp")?).await?;
///
/// let service = ServiceBuilder::new()
///     .layer(ApiKeyLayer::new(keyring))
///     .service(service_fn(async |request: Request<String>| {
///         let owner = Principal::of(request.extensions()).map(|p| p.owner().to_owned());
///         Ok::<_, std::convert::Infallible>(Response::new(owner.unwrap_or_default()))
///     }));
///
/// let request = Request::get("/")
///     .header("authorization", format!("Bearer {}", created.secret.expose()))
///     .body(String::new())?;
/// assert_eq!(service.clone().oneshot(request).await?.status(), StatusCode::OK);
///
/// let request = Request::get("/").body(String::new())?;
/// assert_eq!(service.oneshot(request).await?.status(), StatusCode::UNAUTHORIZED);
/// # Ok(()) }
/// ```
#[derive(Clone)]
#[must_use]
pub struct ApiKeyLayer {
    gate: Arc<Gate>,
}

/// An environment that the keyring does not declare.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the environment {environment:?} is not among those of the keyring: {declared}")]
pub struct UndeclaredEnvironment {
    environment: String,
    declared: String,
}

impl ApiKeyLayer {
    /// Requires a key of this keyring in `Authorization: Bearer`.
    pub fn new(keyring: Keyring) -> Self {
        Self {
            gate: Arc::new(Gate::new(keyring)),
        }
    }

    /// Lets requests without credentials, and those of another scheme, pass as anonymous. A bad
    /// key is still 401, an unreadable credential 400, a failing store 503.
    pub fn optional(mut self) -> Self {
        self.gate_mut().optional = true;
        self
    }

    /// Like [`optional`](Self::optional), and lets bearer tokens that do not begin like a key of
    /// ours pass too, header and all: for JSON Web Tokens judged further in.
    pub fn pass_foreign_bearer(mut self) -> Self {
        let gate = self.gate_mut();
        gate.optional = true;
        gate.foreign_bearer = true;
        self
    }

    /// Takes the key from this header instead of `Authorization`; the whole value is the key. Its
    /// answers carry `Vary`, and `Cache-Control: private` where nothing else was set, because
    /// shared caches know to keep away from `Authorization` only.
    pub fn with_header(mut self, name: HeaderName) -> Self {
        self.gate_mut().places = vec![place(name)];
        self
    }

    /// Takes the key from this header *also*. A request that has both is answered 400.
    pub fn add_header(mut self, name: HeaderName) -> Self {
        let place = place(name);
        let places = &mut self.gate_mut().places;
        if !places.contains(&place) {
            places.push(place);
        }
        self
    }

    /// Leaves the credential in the request, marked as sensitive. By default the inner service
    /// does not see it, and so cannot log or forward it.
    pub fn keep_credential(mut self) -> Self {
        self.gate_mut().keep_credential = true;
        self
    }

    /// Accepts keys of these environments; any other is a dead key here. Must be called when the
    /// keyring declares more than one.
    pub fn environments(
        mut self,
        environments: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<Self, UndeclaredEnvironment> {
        let declared = self.gate.keyring.environments().to_vec();
        let accepted: Result<Vec<Environment>, _> = environments
            .into_iter()
            .map(|name| {
                let name = name.as_ref();
                let found = declared.iter().find(|known| known.as_str() == name);
                found.cloned().ok_or_else(|| UndeclaredEnvironment {
                    environment: name.to_owned(),
                    declared: names(&declared),
                })
            })
            .collect();
        self.gate_mut().environments = Some(accepted?);
        Ok(self)
    }

    /// How to tell from which address a request comes, for keys that may be used
    /// [from some only](crate::allowed_ips). Defaults to the address of the peer, which has to be in
    /// the request: by [`PeerAddress`], or by axum's `ConnectInfo<SocketAddr>` with the feature
    /// `axum`. Where it is not known, such keys are dead.
    ///
    /// A layer within another of the same keyring goes by the address that the outer one saw. If it
    /// was told, too, the key has to be good from both.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use portcullis::{ApiKeyLayer, Keyring, store::MemoryStore};
    /// use http::HeaderName;
    /// use portcullis::layer::ClientAddress;
    ///
    /// # let keyring = Keyring::builder(MemoryStore::new()).prefix("acme").build()?;
    /// let header = HeaderName::from_static("x-forwarded-for");
    /// let layer = ApiKeyLayer::new(keyring)
    ///     .client_address(ClientAddress::behind(header, ["10.0.0.0/8"])?);
    /// # Ok(()) }
    /// ```
    pub fn client_address(mut self, client: ClientAddress) -> Self {
        self.gate_mut().client = Some(client);
        self
    }

    /// The realm in challenges. Defaults to `api`.
    pub fn realm(mut self, realm: &str) -> Result<Self, InvalidRealm> {
        self.gate_mut().answers.in_realm(Realm::new(realm)?);
        Ok(self)
    }

    /// The URL that comes before the code in the `type` of problems. Defaults to none, and the
    /// type to `about:blank`.
    pub fn problem_types(mut self, base: &str) -> Result<Self, InvalidProblemTypes> {
        self.gate_mut().answers.with_types(ProblemTypes::at(base)?);
        Ok(self)
    }

    /// What refusals are answered with, instead of a problem (RFC 9457). Not those of gRPC calls
    /// where [`grpc`](Self::grpc) answers them.
    pub fn responder(mut self, responder: impl Responder) -> Self {
        self.gate_mut().responder = Some(Arc::new(responder));
        self
    }

    /// Answers gRPC calls that are refused as gRPC does, with *Trailers-Only* of
    /// [gRPC over HTTP/2](https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md): HTTP
    /// status 200, no body, and in `grpc-status` what the HTTP status would have been.
    ///
    /// | HTTP | `grpc-status` |
    /// |---|---|
    /// | 400 | 3 `INVALID_ARGUMENT` |
    /// | 401 | 16 `UNAUTHENTICATED` |
    /// | 403 | 7 `PERMISSION_DENIED` |
    /// | 503 | 14 `UNAVAILABLE` |
    ///
    /// A call is a request with the `content-type` `application/grpc`, also with a format
    /// (`application/grpc+proto`) or parameters, but not `application/grpc-web`. Its refusals have
    /// neither challenge nor `Retry-After`, and `grpc-message` is the same for every kind of dead
    /// key. The [`Rejection`] lies in the extensions as ever.
    ///
    /// This comes before a [`responder`](Self::responder), which still answers all other requests.
    /// It holds for [`require_scope`] and the extractors behind this layer too. Without it a
    /// refusal keeps its HTTP status, whatever the content type.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use http::{Request, Response};
    /// # use portcullis::{ApiKeyLayer, Keyring, store::MemoryStore};
    /// # use tower::{Layer, ServiceExt, service_fn};
    /// # let keyring = Keyring::builder(MemoryStore::new()).prefix("acme").build()?;
    /// # let inner = service_fn(async |_| Ok::<_, std::convert::Infallible>(Response::new(String::new())));
    /// let service = ApiKeyLayer::new(keyring).grpc().layer(inner);
    /// let call = Request::post("/reports.Reports/List")
    ///     .header("content-type", "application/grpc")
    ///     .body(String::new())?;
    /// let response = service.oneshot(call).await?;
    /// assert_eq!(response.status(), 200);
    /// assert_eq!(response.headers()["grpc-status"], "16");
    /// # Ok(()) }
    /// ```
    pub fn grpc(mut self) -> Self {
        self.gate_mut().grpc = true;
        self
    }

    fn gate_mut(&mut self) -> &mut Gate {
        Arc::make_mut(&mut self.gate)
    }
}

fn place(name: HeaderName) -> Place {
    if name == AUTHORIZATION {
        Place::Bearer
    } else {
        Place::Header(name)
    }
}

fn names(environments: &[Environment]) -> String {
    let names: Vec<_> = environments.iter().map(Environment::as_str).collect();
    names.join(", ")
}

impl<S> Layer<S> for ApiKeyLayer {
    type Service = ApiKeyService<S>;

    /// # Panics
    ///
    /// If the keyring declares more than one environment and this layer accepts none by name: a
    /// gate that takes test keys for live ones by default is no gate.
    #[track_caller]
    fn layer(&self, inner: S) -> Self::Service {
        let declared = self.gate.keyring.environments();
        assert!(
            self.gate.environments.is_some() || declared.len() == 1,
            "the keyring declares the environments {}; name those that this layer accepts with \
             ApiKeyLayer::environments",
            names(declared),
        );
        ApiKeyService::new(inner, Arc::clone(&self.gate))
    }
}

impl fmt::Debug for ApiKeyLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKeyLayer")
            .field("gate", &self.gate)
            .finish()
    }
}
