//! Scopes that a route demands: judged after the gate and before any body is read.

use std::fmt;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::authentication::Authentication;
use super::body::ResponseBody;
use super::form::Form;
use super::problem::ProblemTypes;
use super::rejection::{Reason, Rejection};
use crate::scope::Demand;

/// Demands one scope of whoever calls a route.
///
/// The layer goes *inside* of [`ApiKeyLayer`](crate::ApiKeyLayer): in axum on a route by
/// `MethodRouter::route_layer` (on `any(…)`, where axum takes no route layer, by `layer`). A key without the scope is answered 403 with a challenge that
/// names it; a request without a key, where that is let in, 401.
///
/// ```
/// # async fn test(keyring: portcullis::Keyring) {
/// use axum::{Router, routing::get};
/// use portcullis::{ApiKeyLayer, require_scope};
///
/// let app: Router = Router::new()
///     .route("/reports", get(|| async { "reports" }).route_layer(require_scope("reports:read")))
///     .route_layer(ApiKeyLayer::new(keyring));
/// # }
/// ```
///
/// # Panics
///
/// If no key can ever be granted this: it is not a scope, or it is a wildcard.
#[track_caller]
pub fn require_scope(scope: &str) -> RequireLayer {
    RequireLayer::new(Demand::one(scope))
}

/// Demands all of these scopes. See [`require_scope`].
///
/// # Panics
///
/// If one of them is not a scope, or if there is none.
#[track_caller]
pub fn require_all(scopes: impl IntoIterator<Item = impl AsRef<str>>) -> RequireLayer {
    RequireLayer::new(Demand::all(scopes))
}

/// Demands at least one of these scopes. See [`require_scope`].
///
/// # Panics
///
/// If one of them is not a scope, or if there is none.
#[track_caller]
pub fn require_any(scopes: impl IntoIterator<Item = impl AsRef<str>>) -> RequireLayer {
    RequireLayer::new(Demand::any(scopes))
}

/// The layer made by [`require_scope`], [`require_all`] and [`require_any`].
#[derive(Clone, Debug)]
#[must_use]
pub struct RequireLayer {
    demand: Arc<Demand>,
}

impl RequireLayer {
    fn new(demand: Demand) -> Self {
        Self {
            demand: Arc::new(demand),
        }
    }
}

impl<S> Layer<S> for RequireLayer {
    type Service = Require<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Require {
            inner,
            demand: Arc::clone(&self.demand),
        }
    }
}

/// The service that [`RequireLayer`] makes.
#[derive(Clone, Debug)]
pub struct Require<S> {
    inner: S,
    demand: Arc<Demand>,
}

impl<S, B, R> Service<Request<B>> for Require<S>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = RequireFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        match check(&self.demand, &mut request) {
            None => RequireFuture::inner(self.inner.call(request)),
            Some(response) => RequireFuture::refused(response),
        }
    }
}

/// The answer to a request that does not meet the demand.
fn check<B>(demand: &Arc<Demand>, request: &mut Request<B>) -> Option<Response<Bytes>> {
    let Some(authentication) = Authentication::of(request.extensions()) else {
        return Some(misconfigured(Form::http(request.method())));
    };
    let reason = match &authentication.principal {
        Some(principal) if demand.met_by(principal.scopes()) => return None,
        Some(_) => Reason::InsufficientScope(Arc::clone(demand)),
        None => Reason::MissingCredentials,
    };
    let gate = Arc::clone(&authentication.gate);
    let form = gate.form(request.method(), request.headers());
    let extensions = mem::take(request.extensions_mut());
    Some(gate.refuse(Rejection::new(reason), form, extensions))
}

/// The answer where no gate has run: a mistake of the application's, which is told to its
/// operators and not to the client. It never lets anybody in.
pub(crate) fn misconfigured(form: Form) -> Response<Bytes> {
    let rejection = Rejection::new(Reason::Misconfigured);
    tracing::error!(
        "a principal was asked for on a route without an ApiKeyLayer around it: \
         add the layer, and add it after the route"
    );
    let mut response = ProblemTypes::default().answer(rejection.status(), rejection.code());
    response.extensions_mut().insert(rejection);
    form.shape(response)
}

pin_project! {
    /// Response future of [`Require`] and its kin.
    pub struct RequireFuture<F> {
        #[pin]
        kind: Kind<F>,
    }
}

pin_project! {
    #[project = KindProjection]
    enum Kind<F> {
        Inner { #[pin] future: F },
        Refused { response: Option<Response<Bytes>> },
    }
}

impl<F> RequireFuture<F> {
    pub(super) fn inner(future: F) -> Self {
        let kind = Kind::Inner { future };
        Self { kind }
    }

    pub(super) fn refused(response: Response<Bytes>) -> Self {
        let response = Some(response);
        let kind = Kind::Refused { response };
        Self { kind }
    }
}

impl<F, R, E> Future for RequireFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = Result<Response<ResponseBody<R>>, E>;

    #[expect(
        clippy::expect_used,
        reason = "polling a future after its end is a bug of the caller's"
    )]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().kind.project() {
            KindProjection::Inner { future } => {
                let response = ready!(future.poll(cx))?;
                Poll::Ready(Ok(response.map(ResponseBody::inner)))
            }
            KindProjection::Refused { response } => {
                let response = response
                    .take()
                    .expect("RequireFuture polled after completion");
                Poll::Ready(Ok(response.map(ResponseBody::refusal)))
            }
        }
    }
}

impl<F> fmt::Debug for RequireFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequireFuture").finish_non_exhaustive()
    }
}
