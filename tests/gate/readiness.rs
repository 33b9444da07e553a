//! The service that was made ready is the one that is called.

use std::convert::Infallible;
use std::fmt;
use std::future::{Future, Ready, pending, ready};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use http::{Request, Response, StatusCode};
use portcullis::ApiKeyLayer;
use portcullis::layer::ApiKeyService;
use tower::buffer::Buffer;
use tower::limit::ConcurrencyLimit;
use tower::{Layer as _, Service, ServiceExt as _, service_fn};
use tower_test::{assert_request_eq, mock};

use crate::ground::Ground;
use crate::ground::of_any_body::{with_key, without_key};

type Call = Request<()>;
type Answer = Response<String>;

/// Look-ups of this ground may be held back for as long as a test takes.
async fn patient() -> Ground {
    Ground::with(|builder| builder.lookup_deadline(Duration::from_secs(4))).await
}

async fn until_asked(ground: &Ground) {
    while !ground.store.is_being_asked() {
        tokio::task::yield_now().await;
    }
}

/// A service that remembers which of its clones was made ready and which was called.
struct Strict {
    number: usize,
    is_ready: bool,
    shared: Arc<(AtomicUsize, Mutex<Vec<usize>>)>,
}

impl Strict {
    fn new() -> Self {
        Self {
            number: 0,
            is_ready: false,
            shared: Arc::new((AtomicUsize::new(1), Mutex::default())),
        }
    }
}

impl Clone for Strict {
    fn clone(&self) -> Self {
        Self {
            number: self.shared.0.fetch_add(1, Ordering::SeqCst),
            is_ready: false,
            shared: Arc::clone(&self.shared),
        }
    }
}

impl Service<Call> for Strict {
    type Response = Answer;
    type Error = Infallible;
    type Future = Ready<Result<Answer, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.is_ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Call) -> Self::Future {
        assert!(self.is_ready, "clone {} was not made ready", self.number);
        self.is_ready = false;
        self.shared.1.lock().unwrap().push(self.number);
        ready(Ok(Response::new(String::new())))
    }
}

#[tokio::test]
async fn on_a_miss_the_ready_one_goes_into_the_future_and_a_clone_stays() {
    let ground = Ground::new().await;
    let key = ground.key(&[]).await;
    let strict = Strict::new();
    let shared = Arc::clone(&strict.shared);
    let mut service = ApiKeyLayer::new(ground.keyring.clone()).layer(strict);
    for (expected, why) in [
        (0, "a miss"),
        (1, "a hit, by the clone that stayed, made ready in its turn"),
        (1, "another hit, no clone"),
    ] {
        let answer = service.ready().await.unwrap().call(with_key(&key)).await;
        assert_eq!(answer.unwrap().status(), StatusCode::OK);
        assert_eq!(shared.1.lock().unwrap().last(), Some(&expected), "{why}");
    }
    assert_eq!(shared.0.load(Ordering::SeqCst), 2, "one clone in all");
}

#[tokio::test]
async fn refusals_call_nobody_and_clone_only_where_they_wait() {
    let ground = Ground::new().await;
    let unknown = ground.unknown_key();
    let strict = Strict::new();
    let shared = Arc::clone(&strict.shared);
    let mut service = ApiKeyLayer::new(ground.keyring.clone()).layer(strict);
    for (request, clones) in [
        (without_key(), 0),
        (with_key("x"), 0),
        (with_key(&unknown), 1),
        (with_key(&unknown), 1),
    ] {
        let answer = service.ready().await.unwrap().call(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(shared.0.load(Ordering::SeqCst), 1 + clones);
    }
    assert!(shared.1.lock().unwrap().is_empty());
}

#[tokio::test]
async fn the_layer_is_ready_when_the_inner_service_is() {
    let ground = Ground::new().await;
    let key = ground.key(&[]).await;
    let layer = ApiKeyLayer::new(ground.keyring.clone());
    let (mut service, mut handle) = mock::spawn_layer::<Call, Answer, _>(layer);
    for turn in ["a miss", "a hit"] {
        handle.allow(0);
        assert!(service.poll_ready::<Call>().is_pending(), "{turn}");
        handle.allow(1);
        assert!(service.poll_ready::<Call>().is_ready(), "{turn}");
        // The mock panics if it is called without having been ready.
        let answer = service.call(with_key::<()>(&key));
        let respond = async {
            let (request, respond) = handle.next_request().await.unwrap();
            assert!(request.headers().is_empty(), "{turn}");
            respond.send_response(Response::new(turn.to_owned()));
        };
        let (answer, ()) = tokio::join!(answer, respond);
        assert_eq!(answer.unwrap().status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn a_service_that_fails_to_become_ready_says_so_through_the_layer() {
    let ground = Ground::new().await;
    let layer = ApiKeyLayer::new(ground.keyring.clone());
    let (mut service, mut handle) = mock::spawn_layer::<Call, Answer, _>(layer);
    handle.send_error("out of order");
    let Poll::Ready(Err(error)) = service.poll_ready::<Call>() else {
        panic!("no error");
    };
    assert_eq!(error.to_string(), "out of order");
}

#[tokio::test]
async fn the_mock_itself_answers() {
    let (mut service, mut handle) = mock::spawn::<&str, &str>();
    handle.allow(1);
    assert!(service.poll_ready::<&str>().is_ready());
    let answer = service.call("ping");
    assert_request_eq!(handle, "ping").send_response("pong");
    assert_eq!(answer.await.unwrap(), "pong");
}

#[derive(Debug, PartialEq)]
struct OwnError(&'static str);

impl fmt::Display for OwnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

#[derive(Clone)]
struct Failing {
    when_ready: bool,
}

impl Service<Call> for Failing {
    type Response = Answer;
    type Error = OwnError;
    type Future = Ready<Result<Answer, OwnError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), OwnError>> {
        Poll::Ready(if self.when_ready {
            Err(OwnError("ready"))
        } else {
            Ok(())
        })
    }

    fn call(&mut self, _: Call) -> Self::Future {
        ready(Err(OwnError("called")))
    }
}

#[tokio::test]
async fn the_error_of_the_inner_service_stays_what_it_is() {
    let ground = Ground::new().await;
    let key = ground.key(&[]).await;
    let layer = ApiKeyLayer::new(ground.keyring.clone());
    for turn in ["a miss", "a hit"] {
        let service = layer.layer(Failing { when_ready: false });
        let error: OwnError = service.oneshot(with_key(&key)).await.unwrap_err();
        assert_eq!(error, OwnError("called"), "{turn}");
    }
    let service = layer.layer(Failing { when_ready: true });
    let error: OwnError = service.oneshot(with_key(&key)).await.unwrap_err();
    assert_eq!(error, OwnError("ready"));
}

fn hello() -> impl Service<Call, Response = Answer, Error = Infallible, Future: Send> + Clone + Send
{
    service_fn(async |_: Call| Ok(Response::new("inside".to_owned())))
}

#[tokio::test]
async fn a_limit_of_one_lets_all_through_one_after_the_other() {
    let ground = patient().await;
    let layer = ApiKeyLayer::new(ground.keyring.clone());
    let service = layer.layer(ConcurrencyLimit::new(hello(), 1));
    let mut keys = Vec::new();
    for _ in 0..5 {
        keys.push(ground.key(&[]).await);
    }
    for turn in ["misses", "hits"] {
        if turn == "misses" {
            ground.store.hold();
        }
        let mut tasks = tokio::task::JoinSet::new();
        for key in &keys {
            tasks.spawn(service.clone().oneshot(with_key(key)));
            tasks.spawn(service.clone().oneshot(with_key("x")));
        }
        if turn == "misses" {
            until_asked(&ground).await;
            ground.store.release();
        }
        let answers = tasks.join_all().await;
        let inside = answers.into_iter().filter(|answer| {
            let status = answer.as_ref().unwrap().status();
            status == StatusCode::OK
        });
        assert_eq!(inside.count(), 5, "{turn}");
    }
    assert_eq!(ground.store.asked(), 5);
}

#[tokio::test]
async fn a_buffer_gets_each_request_in_the_place_that_was_kept_for_it() {
    let ground = patient().await;
    let layer = ApiKeyLayer::new(ground.keyring.clone());
    let service = layer.layer(Buffer::new(hello(), 1));
    let (first, second) = (ground.key(&[]).await, ground.key(&[]).await);
    ground.store.hold();
    let mut tasks = tokio::task::JoinSet::new();
    for key in [&first, &second, &first] {
        tasks.spawn(service.clone().oneshot(with_key(key)));
    }
    until_asked(&ground).await;
    ground.store.release();
    for answer in tasks.join_all().await {
        assert_eq!(answer.unwrap().status(), StatusCode::OK);
    }
    let hit = service.oneshot(with_key(&first)).await.unwrap();
    assert_eq!(hit.status(), StatusCode::OK);
}

/// Whether a clone of this service could be called now.
fn has_room<S: Service<Call> + Clone>(service: &S) -> bool {
    let mut service = service.clone();
    let mut cx = Context::from_waker(Waker::noop());
    service.poll_ready(&mut cx).is_ready()
}

#[tokio::test]
async fn a_request_that_hangs_up_while_it_waits_gives_its_place_back() {
    let ground = patient().await;
    let layer = ApiKeyLayer::new(ground.keyring.clone());
    let service = layer.layer(ConcurrencyLimit::new(hello(), 1));
    let key = ground.key(&[]).await;
    ground.store.hold();
    for _ in 0..3 {
        let mut waiting = Box::pin(service.clone().oneshot(with_key(&key)));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(waiting.as_mut().poll(&mut cx).is_pending());
        assert!(!has_room(&service), "the one that waits has the place");
        drop(waiting);
        assert!(has_room(&service), "it went");
    }
    until_asked(&ground).await;
    ground.store.release();
    let answer = service.oneshot(with_key(&key)).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(ground.store.asked(), 1, "the look-up of the first went on");
}

#[tokio::test]
async fn a_request_that_is_refused_after_a_look_up_gives_its_place_back_with_the_answer() {
    let ground = Ground::new().await;
    let layer = ApiKeyLayer::new(ground.keyring.clone());
    let limited = layer.layer(ConcurrencyLimit::new(hello(), 1));
    let mut service = limited.clone();
    let mut refused = pin!(
        service
            .ready()
            .await
            .unwrap()
            .call(with_key(&ground.unknown_key()))
    );
    assert!(!has_room(&limited));
    let answer = refused.as_mut().await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert!(has_room(&limited), "although the future is still there");
}

/// A service that may not be cloned any more.
struct Sealed<S> {
    inner: S,
    sealed: Arc<AtomicBool>,
}

impl<S: Clone> Clone for Sealed<S> {
    fn clone(&self) -> Self {
        assert!(
            !self.sealed.load(Ordering::SeqCst),
            "the inner service was cloned"
        );
        Self {
            inner: self.inner.clone(),
            sealed: Arc::clone(&self.sealed),
        }
    }
}

impl<S: Service<Call>> Service<Call> for Sealed<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Call) -> S::Future {
        self.inner.call(request)
    }
}

struct CountWakes(AtomicUsize);

impl Wake for CountWakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn a_hit_does_not_clone_and_is_answered_at_the_first_poll() {
    let ground = Ground::new().await;
    let key = ground.key(&[]).await;
    let sealed = Arc::new(AtomicBool::new(false));
    let mut service: ApiKeyService<_> =
        ApiKeyLayer::new(ground.keyring.clone())
            .optional()
            .layer(Sealed {
                inner: Strict::new(),
                sealed: Arc::clone(&sealed),
            });
    service
        .ready()
        .await
        .unwrap()
        .call(with_key(&key))
        .await
        .unwrap();
    sealed.store(true, Ordering::SeqCst);
    let woken = Arc::new(CountWakes(AtomicUsize::new(0)));
    let waker = Waker::from(Arc::clone(&woken));
    let mut cx = Context::from_waker(&waker);
    for (request, status) in [
        (with_key(&key), StatusCode::OK),
        (without_key(), StatusCode::OK),
        (with_key("x"), StatusCode::UNAUTHORIZED),
        (with_key(&key), StatusCode::OK),
    ] {
        assert!(service.poll_ready(&mut cx).is_ready());
        let Poll::Ready(answer) = pin!(service.call(request)).poll(&mut cx) else {
            panic!("it waits");
        };
        assert_eq!(answer.unwrap().status(), status);
    }
    assert_eq!(woken.0.load(Ordering::SeqCst), 0);
    assert_eq!(ground.store.asked(), 1);
}

#[tokio::test]
async fn a_hit_waits_only_for_the_inner_service() {
    let ground = Ground::new().await;
    let key = ground.key(&[]).await;
    let layer = ApiKeyLayer::new(ground.keyring.clone());
    layer.layer(hello()).oneshot(with_key(&key)).await.unwrap();
    let mut stuck = layer.layer(service_fn(async |_: Call| {
        pending::<()>().await;
        Ok::<_, Infallible>(Answer::default())
    }));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(Service::<Call>::poll_ready(&mut stuck, &mut cx).is_ready());
    let mut answer = pin!(stuck.call(with_key(&key)));
    assert!(answer.as_mut().poll(&mut cx).is_pending());
    assert_eq!(format!("{answer:?}"), r#"ResponseFuture("inner")"#);
}

#[tokio::test]
async fn a_crowd_with_one_new_key_makes_one_look_up() {
    let ground = patient().await;
    let key = ground.key(&[]).await;
    let service = ApiKeyLayer::new(ground.keyring.clone()).layer(hello());
    ground.store.hold();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..100 {
        tasks.spawn(service.clone().oneshot(with_key(&key)));
    }
    until_asked(&ground).await;
    ground.store.release();
    for answer in tasks.join_all().await {
        assert_eq!(answer.unwrap().status(), StatusCode::OK);
    }
    assert_eq!(ground.store.asked(), 1);
}
