//! What cases are made of: a runtime for the background work, keyrings that know their keys, and
//! services behind them.

use std::future::Future;

use axum::Router;
use axum::body::Body;
use axum::routing::{RouterIntoService, get};
use http::{HeaderValue, StatusCode};
use portcullis::Keyring;
use portcullis::keyring::Builder;
use portcullis::store::KeyStore;
use tokio::runtime::{Handle, Runtime};

use crate::by_rule::ByRule;
use crate::harness::{Case, Effort, Rounds, interleave, rounds};
use crate::instructions::Counter;
use crate::record::Recorder;
use crate::{call, keys};

/// Everything that a group of cases is given.
pub struct World {
    runtime: Runtime,
    /// How much to measure.
    pub effort: Effort,
    /// Whether this is to show only that everything runs.
    pub quick: bool,
    /// Counts instructions, where that can be done.
    pub counter: Option<Counter>,
    /// Where figures go.
    pub recorder: Recorder,
}

impl World {
    /// With a runtime that keeps the keyrings in step with their stores, on a thread of its own.
    pub fn new(effort: Effort, quick: bool, counter: Option<Counter>, recorder: Recorder) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        call::wait_on(runtime.handle().clone());
        Self {
            runtime,
            effort,
            quick,
            counter,
            recorder,
        }
    }

    /// Measures these cases against the first of them.
    pub fn interleave(&mut self, group: &str, mut cases: Vec<Case>) -> Rounds {
        // What runs out meanwhile is looked up by a task, which wants a runtime to run on.
        let runtime = self.handle();
        let _entered = runtime.enter();
        interleave(
            group,
            &mut cases,
            self.effort,
            self.counter,
            &mut self.recorder,
        )
    }

    /// Runs these cases in rounds, and leaves it to the caller what to note of them.
    pub fn rounds(&self, cases: &mut [Case]) -> Rounds {
        let runtime = self.handle();
        let _entered = runtime.enter();
        rounds(cases, self.effort)
    }

    /// A smaller number in a quick run.
    pub fn many<N>(&self, full: N, quick: N) -> N {
        if self.quick { quick } else { full }
    }

    /// Where the background work runs.
    pub fn handle(&self) -> Handle {
        self.runtime.handle().clone()
    }

    /// Waits for `future`.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// A keyring on `store`, in step with it.
    pub fn keyring(
        &self,
        store: impl KeyStore,
        options: impl FnOnce(Builder) -> Builder,
    ) -> Keyring {
        self.block_on(async {
            let builder = Keyring::builder(store).prefix(keys::PREFIX);
            let keyring = options(builder).build().unwrap();
            keyring.ready().await.unwrap();
            keyring
        })
    }

    /// A keyring as it is by default, on a store that has every key.
    pub fn usual(&self) -> Keyring {
        self.keyring(ByRule::every_key(), |builder| builder)
    }

    /// Sends each of these credentials once, so that what they open is remembered.
    pub fn warm(&self, keyring: &Keyring, credentials: &[HeaderValue]) {
        let mut service = bare(keyring);
        self.block_on(async {
            for credential in credentials {
                call::wait(&mut service, Some(credential)).await;
            }
        });
    }
}

/// The credentials of the first `n` keys.
pub fn credentials(n: u64) -> Vec<HeaderValue> {
    (0..n).map(|n| header(&keys::nth(n))).collect()
}

/// A key as the value of a header.
pub fn header(key: &str) -> HeaderValue {
    keys::bearer(key).parse().unwrap()
}

/// A service that does nothing, and the layer around it.
pub fn bare(keyring: &Keyring) -> impl Bare + use<> {
    use tower::Layer;
    portcullis::ApiKeyLayer::new(keyring.clone()).layer(Nothing)
}

/// A service that can be called by [`call::call`].
pub trait Bare:
    tower::Service<
        axum::extract::Request,
        Response = http::Response<portcullis::layer::ResponseBody<Body>>,
        Error = std::convert::Infallible,
        Future: Send,
    > + Clone
    + Send
    + 'static
{
}

impl<S> Bare for S where
    S: tower::Service<
            axum::extract::Request,
            Response = http::Response<portcullis::layer::ResponseBody<Body>>,
            Error = std::convert::Infallible,
            Future: Send,
        > + Clone
        + Send
        + 'static
{
}

/// The service that does nothing.
#[derive(Clone, Copy, Debug)]
pub struct Nothing;

impl<B> tower::Service<http::Request<B>> for Nothing {
    type Response = http::Response<Body>;
    type Error = std::convert::Infallible;
    type Future = std::future::Ready<Result<Self::Response, Self::Error>>;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Self::Error>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: http::Request<B>) -> Self::Future {
        std::future::ready(Ok(http::Response::new(Body::empty())))
    }
}

/// One route without a check.
pub fn open() -> Router {
    Router::new().route("/", get(hello))
}

async fn hello() -> &'static str {
    "hello"
}

/// A router, ready to be called.
pub fn served(router: Router) -> RouterIntoService<Body> {
    router.into_service()
}

/// Calls a router with one credential after another.
pub fn routed(
    name: &str,
    router: Router,
    credentials: Vec<HeaderValue>,
    status: StatusCode,
) -> Case {
    each(name, served(router), credentials, status)
}

/// Calls a service with one credential after another.
pub fn each<S, R>(
    name: &str,
    mut service: S,
    credentials: Vec<HeaderValue>,
    status: StatusCode,
) -> Case
where
    S: tower::Service<axum::extract::Request, Response = http::Response<R>> + 'static,
    S::Error: std::fmt::Debug,
{
    assert!(
        credentials.len().is_power_of_two(),
        "the next one is found by a mask"
    );
    let mut next = 0;
    Case::new(name, move || {
        next = (next + 1) & (credentials.len() - 1);
        call::call(&mut service, Some(&credentials[next]), status);
    })
}

/// Calls a service without a credential.
pub fn without<S, R>(name: &str, mut service: S, status: StatusCode) -> Case
where
    S: tower::Service<axum::extract::Request, Response = http::Response<R>> + 'static,
    S::Error: std::fmt::Debug,
{
    Case::new(name, move || call::call(&mut service, None, status))
}
