//! Resources that a route is about: judged by its path parameters, before any body is read.

use std::fmt;
use std::mem;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{FromRequestParts, RawPathParams};
use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use super::authentication::Authentication;
use super::body::ResponseBody;
use super::form::Form;
use super::rejection::{Reason, Rejection};
use super::require::{RequireFuture, misconfigured};
use crate::resources::is_kind;

/// Demands of whoever calls a route that their key may be used on the thing that the path names.
///
/// The layer goes inside of [`ApiKeyLayer`](crate::ApiKeyLayer) and onto a route whose path has this
/// parameter, beside [`require_scope`](crate::require_scope) in any order. A key that is restricted
/// to [resources](crate::resources::Resources), and not to this one, is answered 403; a request
/// without a key, where that is let in, 401. The id is the parameter as axum hands it to handlers,
/// percent-decoded. A route without the parameter is a mistake in the program: it is answered 500
/// and told in the log, whatever the key.
///
/// What a path does not name, a handler asks the principal for:
/// [`Principal::allows`](crate::Principal::allows).
///
/// ```
/// # async fn test(keyring: portcullis::Keyring) {
/// use axum::{Router, routing::get};
/// use portcullis::{ApiKeyLayer, require_resource, require_scope};
///
/// let project = get(|| async { "a project" })
///     .route_layer(require_scope("projects:read"))
///     .route_layer(require_resource("project", "project_id"));
/// let app: Router = Router::new()
///     .route("/projects/{project_id}", project)
///     .route_layer(ApiKeyLayer::new(keyring));
/// # }
/// ```
///
/// # Panics
///
/// If no key can be restricted to things of this kind, so that every restricted key would be
/// refused.
#[track_caller]
pub fn require_resource(kind: &str, path_parameter: &str) -> RequireResourceLayer {
    assert!(
        is_kind(kind),
        "impossible demand: the kind of a resource {kind:?} is not 1 to 64 of A-Za-z0-9._-"
    );
    RequireResourceLayer {
        demand: Arc::new(Demand {
            kind: kind.into(),
            parameter: path_parameter.into(),
        }),
    }
}

struct Demand {
    kind: Arc<str>,
    parameter: Box<str>,
}

/// What a path says of the demanded parameter.
enum Named {
    /// These ids: more than one where routers are nested.
    Ids(RawPathParams),
    /// Bytes that are no text, and so no id.
    Unreadable,
    /// Nothing: there is no such parameter.
    Missing,
}

/// The layer made by [`require_resource`].
#[derive(Clone)]
#[must_use]
pub struct RequireResourceLayer {
    demand: Arc<Demand>,
}

impl<S> Layer<S> for RequireResourceLayer {
    type Service = RequireResource<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RequireResource {
            inner,
            demand: Arc::clone(&self.demand),
        }
    }
}

/// The service that [`RequireResourceLayer`] makes.
#[derive(Clone)]
pub struct RequireResource<S> {
    inner: S,
    demand: Arc<Demand>,
}

impl<S, B, R> Service<Request<B>> for RequireResource<S>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = RequireFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut parts, body) = request.into_parts();
        match self.demand.check(&mut parts) {
            None => RequireFuture::inner(self.inner.call(Request::from_parts(parts, body))),
            Some(response) => RequireFuture::refused(response),
        }
    }
}

impl Demand {
    /// The answer to a request that does not meet the demand.
    fn check(&self, parts: &mut Parts) -> Option<Response<Bytes>> {
        let named = self.named(parts);
        let Some(authentication) = Authentication::of(&parts.extensions) else {
            return Some(misconfigured(Form::http(&parts.method)));
        };
        let reason = match (&authentication.principal, named) {
            (None, _) => Reason::MissingCredentials,
            (Some(_), Named::Missing) => {
                tracing::error!(
                    parameter = &*self.parameter,
                    "a resource is demanded of a route whose path has no such parameter"
                );
                Reason::Misconfigured
            }
            (Some(principal), _) if principal.resources().is_none() => return None,
            // All of them: which one a handler takes, nobody here knows.
            (Some(principal), Named::Ids(ids))
                if self.ids(&ids).all(|id| principal.allows(&self.kind, id)) =>
            {
                return None;
            }
            (Some(_), Named::Ids(_) | Named::Unreadable) => {
                Reason::OutsideResources(Arc::clone(&self.kind))
            }
        };
        let gate = Arc::clone(&authentication.gate);
        let form = gate.form(&parts.method, &parts.headers);
        let extensions = mem::take(&mut parts.extensions);
        Some(gate.refuse(Rejection::new(reason), form, extensions))
    }

    fn named(&self, parts: &mut Parts) -> Named {
        // The only way to what axum keeps there, and asynchronous in form alone.
        let asked = pin!(RawPathParams::from_request_parts(parts, &()));
        match asked.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(ids)) if self.ids(&ids).next().is_some() => Named::Ids(ids),
            Poll::Ready(Err(RawPathParamsRejection::InvalidUtf8InPathParam(_))) => {
                Named::Unreadable
            }
            Poll::Ready(_) | Poll::Pending => Named::Missing,
        }
    }

    fn ids<'a>(&self, path: &'a RawPathParams) -> impl Iterator<Item = &'a str> {
        let named = path.iter().filter(|(name, _)| **name == *self.parameter);
        named.map(|(_, id)| id)
    }
}

impl fmt::Debug for RequireResourceLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequireResourceLayer")
            .field("kind", &self.demand.kind)
            .field("path_parameter", &self.demand.parameter)
            .finish()
    }
}

impl<S: fmt::Debug> fmt::Debug for RequireResource<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequireResource")
            .field("inner", &self.inner)
            .field("kind", &self.demand.kind)
            .finish_non_exhaustive()
    }
}
