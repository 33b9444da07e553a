//! One request to a service, without a runtime around it.
//!
//! What is measured here answers at once, so that one poll is a whole call; a runtime would only
//! add its own cost to all alike. The requests have four headers, and making them is in every case.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::hint::black_box;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use http::header::{ACCEPT, AUTHORIZATION, HOST, USER_AGENT};
use http::{HeaderValue, StatusCode, Uri};
use tokio::runtime::Handle;
use tower::Service;

/// A request as most clients send it, made as a server makes it: values of headers are references
/// into what was read.
pub fn request(credential: Option<&HeaderValue>) -> Request {
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = Uri::from_static("/");
    let headers = request.headers_mut();
    headers.insert(HOST, HeaderValue::from_static("localhost"));
    headers.insert(USER_AGENT, HeaderValue::from_static("bench"));
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    if let Some(credential) = credential {
        headers.insert(AUTHORIZATION, credential.clone());
    }
    request
}

thread_local! {
    /// How many answers were not there at once.
    static LATE: Cell<u64> = const { Cell::new(0) };
    static RUNTIME: RefCell<Option<Handle>> = const { RefCell::new(None) };
}

/// Where this thread waits for answers that are not there at once.
pub fn wait_on(runtime: Handle) {
    RUNTIME.set(Some(runtime));
}

/// How many answers were not there at once on this thread: what is remembered runs out after a
/// while and is looked up again. Few enough to leave medians alone, and not to be counted.
pub fn late() -> u64 {
    LATE.get()
}

fn answer<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    match future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()))
    {
        Poll::Ready(output) => output,
        Poll::Pending => await_it(future),
    }
}

#[cold]
fn await_it<F: Future>(future: Pin<&mut F>) -> F::Output {
    LATE.set(LATE.get() + 1);
    let runtime = RUNTIME.with_borrow(Clone::clone);
    runtime.expect("a runtime to wait on").block_on(future)
}

/// Calls `service` once; its answer must have `status`.
#[inline]
pub fn call<S, R>(service: &mut S, credential: Option<&HeaderValue>, status: StatusCode)
where
    S: Service<Request, Response = Response<R>>,
    S::Error: std::fmt::Debug,
{
    send(service, request(credential), status);
}

/// Sends `request` to `service`; its answer must have `status`.
#[inline]
pub fn send<S, R>(service: &mut S, request: Request, status: StatusCode)
where
    S: Service<Request, Response = Response<R>>,
    S::Error: std::fmt::Debug,
{
    let ready = service.poll_ready(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(ready, Poll::Ready(Ok(()))), "not ready");
    let response = answer(service.call(request)).unwrap();
    assert_eq!(response.status(), status);
    black_box(response);
}

/// Calls `service` once and waits for the answer as long as it takes.
pub async fn wait<S, R>(service: &mut S, credential: Option<&HeaderValue>) -> StatusCode
where
    S: Service<Request, Response = Response<R>>,
    S::Error: std::fmt::Debug,
{
    std::future::poll_fn(|context| service.poll_ready(context))
        .await
        .unwrap();
    service.call(request(credential)).await.unwrap().status()
}
