//! The plumbing around the decision.

use std::fmt;
use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::header::AUTHORIZATION;
use http::{HeaderMap, Request, Response};
use tower_service::Service;

use super::authentication::Authentication;
use super::body::ResponseBody;
use super::future::{Finish, ResponseFuture};
use super::gate::{Gate, Sight};
use super::rejection::Rejection;
use crate::credential::Place;
use crate::principal::Principal;

/// The service that [`ApiKeyLayer`](super::ApiKeyLayer) makes.
#[derive(Clone)]
pub struct ApiKeyService<S> {
    inner: S,
    gate: Arc<Gate>,
}

impl<S> ApiKeyService<S> {
    pub(super) fn new(inner: S, gate: Arc<Gate>) -> Self {
        Self { inner, gate }
    }
}

impl<S, B, R> Service<Request<B>> for ApiKeyService<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, B>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let gate = &self.gate;
        match gate.look(request.headers(), request.extensions()) {
            Sight::Judged(place) => {
                strip(gate, request.headers_mut(), place);
                let finish = Finish::of(gate, false);
                ResponseFuture::inner(self.inner.call(request), finish)
            }
            Sight::Anonymous => {
                admit(gate, &mut request, None, None);
                let finish = Finish::of(gate, false);
                ResponseFuture::inner(self.inner.call(request), finish)
            }
            Sight::Allowed(principal, place) => {
                admit(gate, &mut request, Some(principal), Some(place));
                let finish = Finish::of(gate, gate.is_other_header(place));
                ResponseFuture::inner(self.inner.call(request), finish)
            }
            Sight::Refused(reason) => {
                let form = gate.form(request.method(), request.headers());
                let extensions = mem::take(request.extensions_mut());
                let response = gate.refuse(Rejection::new(reason), form, extensions);
                let finish = Finish::of(gate, gate.has_other_header(request.headers()));
                ResponseFuture::refused(response, finish)
            }
            Sight::Ask(miss, place) => {
                // It is `self.inner` that was made ready, so it is that one which goes into the
                // future and gets called. The clone that stays behind has to be made ready again,
                // which is what `poll_ready` before the next call does.
                let fresh = self.inner.clone();
                let ready = mem::replace(&mut self.inner, fresh);
                ResponseFuture::waiting(miss, ready, request, place, Arc::clone(gate))
            }
        }
    }
}

/// Makes a request ready for the inner service: who it comes from goes in, once, and the
/// credential goes out.
#[inline]
pub(super) fn admit<B>(
    gate: &Arc<Gate>,
    request: &mut Request<B>,
    principal: Option<Principal>,
    place: Option<usize>,
) {
    strip(gate, request.headers_mut(), place);
    request.extensions_mut().insert(Authentication {
        principal,
        gate: Arc::clone(gate),
    });
}

/// Takes away the credential at `place`, unless it is to be kept, and hides the rest: what is
/// for somebody else stays, but is no less secret.
#[inline]
fn strip(gate: &Gate, headers: &mut HeaderMap, place: Option<usize>) {
    for (here, header) in gate.places.iter().enumerate() {
        let name = match header {
            Place::Bearer => &AUTHORIZATION,
            Place::Header(name) => name,
        };
        if place == Some(here) && !gate.keep_credential {
            headers.remove(name);
        } else if headers.contains_key(name) {
            // Each line of it: `Debug` hides such a value, and HTTP/2 does not index it.
            let lines = headers.iter_mut().filter(|(other, _)| *other == name);
            lines.for_each(|(_, value)| value.set_sensitive(true));
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for ApiKeyService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKeyService")
            .field("inner", &self.inner)
            .field("gate", &self.gate)
            .finish()
    }
}
