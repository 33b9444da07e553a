//! The future of a request: three shapes, of which a hit takes the smallest.

use std::fmt;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::{CACHE_CONTROL, HeaderValue, VARY};
use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::body::ResponseBody;
use super::gate::Gate;
use super::rejection::Rejection;
use super::service::admit;
use crate::keyring::{Denial, Miss};
use crate::principal::Principal;

pin_project! {
    /// Response future of [`ApiKeyService`](super::ApiKeyService).
    pub struct ResponseFuture<S, B>
    where
        S: Service<Request<B>>,
    {
        #[pin]
        state: State<S, B>,
        finish: Finish,
    }
}

pin_project! {
    // Waiting => (Inner | Refused)
    #[project = StateProjection]
    enum State<S, B>
    where
        S: Service<Request<B>>,
    {
        /// A look-up is under way. Boxed, so that a hit does not carry the room for it.
        Waiting { waiting: Option<Box<Waiting<S, B>>> },
        /// The inner service answers.
        Inner { #[pin] future: S::Future },
        /// The gate answers.
        Refused { response: Option<Response<Bytes>> },
    }
}

/// A request that waits for the answer about its key, and the service that was made ready for it.
struct Waiting<S, B> {
    answer: Pin<Box<dyn Future<Output = Result<Principal, Denial>> + Send>>,
    service: S,
    request: Request<B>,
    place: usize,
    gate: Arc<Gate>,
}

impl<S, B> ResponseFuture<S, B>
where
    S: Service<Request<B>>,
{
    pub(super) fn inner(future: S::Future, finish: Finish) -> Self {
        Self {
            state: State::Inner { future },
            finish,
        }
    }

    /// The inner service answers, behind a gate that somebody else stands in for.
    #[cfg(feature = "testing")]
    pub(crate) fn behind(gate: &Arc<Gate>, future: S::Future) -> Self {
        Self::inner(future, Finish::of(gate, false))
    }

    pub(super) fn refused(response: Response<Bytes>, finish: Finish) -> Self {
        Self {
            state: State::Refused {
                response: Some(response),
            },
            finish,
        }
    }

    pub(super) fn waiting(
        miss: Box<Miss>,
        service: S,
        request: Request<B>,
        place: usize,
        gate: Arc<Gate>,
    ) -> Self {
        let finish = Finish::of(&gate, gate.is_other_header(place));
        Self {
            state: State::Waiting {
                waiting: Some(Box::new(Waiting {
                    answer: Box::pin(miss.resolve()),
                    service,
                    request,
                    place,
                    gate,
                })),
            },
            finish,
        }
    }
}

impl<S, B, R> Future for ResponseFuture<S, B>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    type Output = Result<Response<ResponseBody<R>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let next = match this.state.as_mut().project() {
                StateProjection::Inner { future } => {
                    let response = ready!(future.poll(cx))?;
                    return Poll::Ready(Ok(this.finish.apply(response.map(ResponseBody::inner))));
                }
                StateProjection::Refused { response } => {
                    let response = spent(response.take()).map(ResponseBody::refusal);
                    return Poll::Ready(Ok(this.finish.apply(response)));
                }
                StateProjection::Waiting { waiting } => {
                    let answer = match waiting {
                        Some(waiting) => ready!(waiting.answer.as_mut().poll(cx)),
                        None => spent(None),
                    };
                    (*spent(waiting.take())).answered(answer)
                }
            };
            this.state.set(next);
        }
    }
}

impl<S, B> Waiting<S, B>
where
    S: Service<Request<B>>,
{
    fn answered(mut self, answer: Result<Principal, Denial>) -> State<S, B> {
        match answer {
            Ok(principal) => {
                admit(
                    &self.gate,
                    &mut self.request,
                    Some(principal),
                    Some(self.place),
                );
                State::Inner {
                    future: self.service.call(self.request),
                }
            }
            Err(denial) => {
                let Self {
                    gate, mut request, ..
                } = self;
                let form = gate.form(request.method(), request.headers());
                let extensions = mem::take(request.extensions_mut());
                State::Refused {
                    response: Some(gate.refuse(Rejection::from(denial), form, extensions)),
                }
            }
        }
    }
}

/// What a future has only once, as every future does.
#[expect(
    clippy::expect_used,
    reason = "polling a future after its end is a bug of the caller's"
)]
fn spent<T>(once: Option<T>) -> T {
    once.expect("ResponseFuture polled after completion")
}

/// What caches must know of an answer when a key may come in another header than
/// `Authorization`. They are told of it in every answer, whether there was a key or not, since
/// the answer without one depends on the header as well.
pub(super) struct Finish {
    gate: Option<Arc<Gate>>,
    keyed: bool,
}

impl Finish {
    /// `keyed`: a credential came in another header than `Authorization`.
    #[inline]
    pub(super) fn of(gate: &Arc<Gate>, keyed: bool) -> Self {
        let reads_others = gate.other_headers().next().is_some();
        Self {
            gate: reads_others.then(|| Arc::clone(gate)),
            keyed,
        }
    }

    #[inline]
    fn apply<R>(&self, mut response: Response<R>) -> Response<R> {
        let Some(gate) = &self.gate else {
            return response;
        };
        let headers = response.headers_mut();
        for name in gate.other_headers() {
            headers.append(VARY, HeaderValue::from_name(name.clone()));
        }
        if self.keyed && !headers.contains_key(CACHE_CONTROL) {
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("private"));
        }
        response
    }
}

impl<S, B> fmt::Debug for ResponseFuture<S, B>
where
    S: Service<Request<B>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Waiting { .. } => "waiting",
            State::Inner { .. } => "inner",
            State::Refused { .. } => "refused",
        };
        f.debug_tuple("ResponseFuture").field(&state).finish()
    }
}
