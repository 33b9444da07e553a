//! What a request asks of the heap: a hit the same few pieces each time, and a refusal nothing that
//! grows with what was sent.

use std::alloc::System;
use std::convert::Infallible;
use std::future::{Ready, ready};

use http::header::AUTHORIZATION;
use http::{HeaderValue, Request, Response, StatusCode};
use portcullis::keyring::NewKey;
use portcullis::store::MemoryStore;
use portcullis::{ApiKeyLayer, Keyring};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tokio::sync::{Mutex, MutexGuard};
use tower::{Layer as _, Service, ServiceExt as _};

#[global_allocator]
static HEAP: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Tests of one process share its heap.
async fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::const_new(());
    ALONE.lock().await
}

#[derive(Clone)]
struct Nothing;

impl Service<Request<()>> for Nothing {
    type Response = Response<()>;
    type Error = Infallible;
    type Future = Ready<Result<Response<()>, Infallible>>;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        ready(Ok(Response::new(())))
    }
}

async fn keyring() -> Keyring {
    let keyring = Keyring::builder(MemoryStore::new()).prefix("acme").build();
    let keyring = keyring.unwrap();
    keyring.ready().await.unwrap();
    keyring
}

/// How many pieces, and how many bytes, a call takes until there is an answer: the least of many
/// calls, since others of the process take some as well.
async fn taken(keyring: &Keyring, credential: &str, status: StatusCode) -> (usize, usize) {
    let mut service = ApiKeyLayer::new(keyring.clone()).layer(Nothing);
    let credential = HeaderValue::from_str(credential).unwrap();
    let (mut pieces, mut bytes) = (usize::MAX, usize::MAX);
    for _ in 0..200 {
        let mut request = Request::new(());
        request
            .headers_mut()
            .insert(AUTHORIZATION, credential.clone());
        let service = service.ready().await.unwrap();
        let region = Region::new(HEAP);
        let answer = service.call(request).await.unwrap();
        let change = region.change();
        assert_eq!(answer.status(), status);
        pieces = pieces.min(change.allocations);
        bytes = bytes.min(change.bytes_allocated);
    }
    (pieces, bytes)
}

/// The map of the request's extensions, its table, and the principal in it. Neither the future nor
/// the body of the answer is boxed, and no text is copied.
#[tokio::test]
async fn a_hit_takes_three_pieces() {
    let _alone = alone().await;
    let keyring = keyring().await;
    let created = keyring.create(NewKey::named("ci").unwrap()).await.unwrap();
    let credential = format!("Bearer {}", created.secret.expose());
    let (pieces, bytes) = taken(&keyring, &credential, StatusCode::OK).await;
    assert_eq!(pieces, 3);
    assert!(bytes < 256, "{bytes}");
}

#[tokio::test]
async fn what_is_refused_takes_no_more_for_being_longer() {
    let _alone = alone().await;
    let keyring = keyring().await;
    let no = StatusCode::UNAUTHORIZED;
    for start in ["Bearer ", "Bearer acme_live_", "Bearer of, ", "Basic ", ""] {
        let mut first = None;
        for length in [300, 4_000, 400_000] {
            let credential = start.to_owned() + &"A".repeat(length);
            let taken = taken(&keyring, &credential, no).await;
            assert_eq!(*first.get_or_insert(taken), taken, "{start}, {length}");
        }
    }
}
