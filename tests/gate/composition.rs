//! The layer fits where other layers fit, and answers there.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::marker::PhantomPinned;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::routing::{MethodRouter, get};
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::{Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Empty, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use portcullis::{ApiKeyLayer, Principal, require_scope};
use tokio::net::{TcpListener, TcpStream};
use tower::{Layer as _, Service, ServiceBuilder, ServiceExt as _, service_fn};
use tower_http::trace::TraceLayer;
use tower_http::validate_request::ValidateRequestHeaderLayer;

use crate::ground::of_any_body::{with_key, without_key};
use crate::ground::{Ground, call};

async fn owner(principal: Principal) -> String {
    principal.owner().to_owned()
}

fn who<B>(request: &Request<B>) -> Bytes {
    let principal = Principal::of(request.extensions()).unwrap();
    Bytes::copy_from_slice(principal.owner().as_bytes())
}

/// A good key gets in and no key is answered 401 with all that belongs to it.
async fn assert_guards<S, B, R>(service: S, key: &str)
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    S::Error: std::fmt::Debug,
    B: Default,
    R: http_body::Body<Data = Bytes>,
    R::Error: std::fmt::Debug,
{
    for _ in 0..2 {
        let seen = call(service.clone(), with_key(key)).await;
        assert_eq!(
            (seen.status, seen.body.as_str()),
            (StatusCode::OK, "acme-corp")
        );
        let seen = call(service.clone(), without_key()).await;
        assert_eq!(
            (seen.status, seen.code().as_str()),
            (StatusCode::UNAUTHORIZED, "missing_credentials")
        );
        assert_eq!(seen.challenge(), Some(r#"Bearer realm="api""#));
        let seen = call(service.clone(), with_key("x")).await;
        assert_eq!(seen.code(), "invalid_token");
    }
}

#[tokio::test]
async fn on_an_axum_router() {
    let ground = Ground::new().await;
    let key = ground.key(&[]).await;
    let layer = ApiKeyLayer::new(ground.keyring.clone());
    let routes = || Router::new().route("/", get(owner));
    assert_guards::<_, Body, _>(routes().layer(layer.clone()), &key).await;
    assert_guards::<_, Body, _>(routes().route_layer(layer.clone()), &key).await;
    let method_router = get(owner).route_layer(layer.clone());
    assert_guards::<_, Body, _>(Router::new().route("/", method_router.clone()), &key).await;
    assert_guards::<_, Body, _>(method_router.clone(), &key).await;
    let method_router: MethodRouter = get(owner).layer(layer.clone());
    assert_guards::<_, Body, _>(method_router, &key).await;
    assert_guards::<_, Body, _>(
        ServiceBuilder::new().layer(layer.clone()).service(routes()),
        &key,
    )
    .await;
    assert_guards::<_, Body, _>(layer.layer(routes()), &key).await;
    assert_guards::<_, Body, _>(Router::new().fallback_service(layer.layer(routes())), &key).await;
    assert_guards::<_, Body, _>(
        tower::util::BoxCloneSyncService::new(layer.layer(routes())),
        &key,
    )
    .await;
}

#[tokio::test]
async fn as_a_route_layer_it_leaves_unknown_paths_and_methods_alone() {
    let ground = Ground::new().await;
    let layer = ApiKeyLayer::new(ground.keyring.clone());
    let routes = || Router::new().route("/known", get(owner));
    let ask = |method: &str, target: &str| {
        let request = Request::builder().method(method).uri(target);
        request.body(Body::empty()).unwrap()
    };
    let app = routes().route_layer(layer.clone());
    for (method, target, expected) in [
        ("GET", "/known", 401),
        ("GET", "/unknown", 404),
        ("GET", "/", 404),
        // axum puts it around the whole of a route, with the answer to other methods.
        ("POST", "/known", 401),
        ("POST", "/unknown", 404),
    ] {
        let seen = call(app.clone(), ask(method, target)).await;
        assert_eq!(seen.status, expected, "{method} {target}");
        assert_eq!(
            seen.challenge().is_some(),
            expected == 401,
            "{method} {target}"
        );
    }
    let one_method = get(owner).route_layer(layer.clone());
    let app = Router::new().route("/known", one_method);
    for (method, expected) in [("GET", 401), ("POST", 405)] {
        let seen = call(app.clone(), ask(method, "/known")).await;
        assert_eq!(seen.status, expected, "{method}");
    }
    let app = routes().layer(layer);
    for (method, target) in [("GET", "/known"), ("GET", "/unknown"), ("POST", "/known")] {
        let seen = call(app.clone(), ask(method, target)).await;
        assert_eq!(seen.status, 401, "{method} {target}");
    }
}

#[tokio::test]
async fn in_nested_and_merged_routers() {
    let ground = Ground::new().await;
    let key = ground.key(&["a"]).await;
    let layer = ApiKeyLayer::new(ground.keyring.clone());
    let inner = Router::new()
        .route("/in", get(owner).route_layer(require_scope("a")))
        .route_layer(layer);
    let public = Router::new().route("/health", get(async || "up"));
    let app = Router::new().nest("/api", inner).merge(public);
    let ask = |target: &str, key: Option<&str>| {
        let mut request = Request::get(target);
        if let Some(key) = key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        request.body(Body::empty()).unwrap()
    };
    assert_eq!(
        call(app.clone(), ask("/api/in", Some(&key))).await.body,
        "acme-corp"
    );
    assert_eq!(call(app.clone(), ask("/api/in", None)).await.status, 401);
    assert_eq!(call(app.clone(), ask("/api/out", None)).await.status, 404);
    assert_eq!(call(app, ask("/health", None)).await.body, "up");
}

#[tokio::test]
async fn with_tracing_around_and_inside() {
    let ground = Ground::new().await;
    let key = ground.key(&[]).await;
    let layer = ApiKeyLayer::new(ground.keyring.clone());
    let app = Router::new()
        .route("/", get(owner))
        .layer(TraceLayer::new_for_http())
        .layer(layer.clone())
        .layer(TraceLayer::new_for_http());
    assert_guards::<_, Body, _>(app, &key).await;

    let full = service_fn(async |request: Request<Full<Bytes>>| {
        Ok::<_, Infallible>(Response::new(Full::new(who(&request))))
    });
    let boxed = service_fn(async |request: Request<Full<Bytes>>| {
        let body: UnsyncBoxBody<Bytes, std::io::Error> = Full::new(who(&request))
            .map_err(|never| match never {})
            .boxed_unsync();
        Ok::<_, Infallible>(Response::new(body))
    });
    let around = || {
        ServiceBuilder::new()
            .layer(TraceLayer::new_for_http())
            .layer(layer.clone())
            .layer(TraceLayer::new_for_http())
    };
    assert_guards(around().service(full), &key).await;
    assert_guards(around().service(boxed), &key).await;
    // Layers that answer by themselves need a body that can be made of nothing.
    let validated = ServiceBuilder::new()
        .layer(ValidateRequestHeaderLayer::accept("text/plain"))
        .layer(layer)
        .layer(ValidateRequestHeaderLayer::accept("text/plain"))
        .service(full);
    assert_guards(validated, &key).await;
}

#[tokio::test]
async fn without_axum_and_without_a_body() {
    let ground = Ground::new().await;
    let key = ground.key(&[]).await;
    let service = ServiceBuilder::new()
        .layer(ApiKeyLayer::new(ground.keyring.clone()))
        .service(service_fn(async |request: Request<()>| {
            Ok::<_, Infallible>(Response::new(Full::new(who(&request))))
        }));
    assert_guards(service, &key).await;
}

/// Neither `Sync` nor `Unpin`, in both directions; sends its text and trailers.
#[derive(Default)]
struct Odd {
    text: Cell<Option<Bytes>>,
    trailers: Cell<Option<HeaderMap>>,
    _pinned: PhantomPinned,
}

impl http_body::Body for Odd {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let text = self.text.take().map(Frame::data);
        Poll::Ready(
            text.or_else(|| self.trailers.take().map(Frame::trailers))
                .map(Ok),
        )
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(9)
    }
}

#[tokio::test]
async fn with_bodies_that_are_neither_sync_nor_unpin() {
    fn is_send<T: Send>(value: T) -> T {
        value
    }
    let ground = Ground::new().await;
    let key = ground.key(&[]).await;
    let service = ServiceBuilder::new()
        .layer(ApiKeyLayer::new(ground.keyring.clone()))
        .service(service_fn(async |request: Request<Odd>| {
            let trailers = HeaderMap::from_iter([("x-end".parse().unwrap(), "1".parse().unwrap())]);
            Ok::<_, Infallible>(Response::new(Odd {
                text: Cell::new(Some(who(&request))),
                trailers: Cell::new(Some(trailers)),
                ..Odd::default()
            }))
        }));
    assert_guards(service.clone(), &key).await;
    let future = is_send(service.oneshot(with_key(&key)));
    let body = is_send(future.await.unwrap().into_body());
    assert_eq!(http_body::Body::size_hint(&body).exact(), Some(9));
    let body = Box::pin(body).collect().await.unwrap();
    assert_eq!(body.trailers().unwrap()["x-end"], "1");
    assert_eq!(body.to_bytes(), "acme-corp");
}

#[test]
fn a_body_says_its_length_and_its_end() {
    use http_body::Body as _;
    let refusal = |method: &str| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(async {
            let ground = Ground::new().await;
            let inner = service_fn(async |_: Request<()>| {
                Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
            });
            let service = ApiKeyLayer::new(ground.keyring.clone()).layer(inner);
            let request = Request::builder().method(method).body(()).unwrap();
            service.oneshot(request).await.unwrap().into_body()
        })
    };
    let body = refusal("GET");
    assert!(body.size_hint().exact().unwrap() > 50 && !body.is_end_stream());
    let body = refusal("HEAD");
    assert_eq!(
        (body.size_hint().exact(), body.is_end_stream()),
        (Some(0), true)
    );
}

/// A gRPC service written by hand.
#[derive(Clone)]
struct Greeter;

impl tonic::server::NamedService for Greeter {
    const NAME: &'static str = "test.Greeter";
}

impl Service<Request<tonic::body::Body>> for Greeter {
    type Response = Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<tonic::body::Body>) -> Self::Future {
        let owner = Principal::of(request.extensions()).map(Principal::owner);
        let response = Response::builder()
            .header("content-type", "application/grpc")
            .header("grpc-status", "0")
            .header("x-owner", owner.unwrap_or("nobody"))
            .body(tonic::body::Body::empty());
        ready(Ok(response.unwrap()))
    }
}

fn grpc<B: Default>(key: Option<&str>) -> Request<B> {
    let mut request = Request::post("http://gate.test/test.Greeter/Hello")
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    if let Some(key) = key {
        request = request.header("authorization", format!("Bearer {key}"));
    }
    request.body(B::default()).unwrap()
}

#[tokio::test]
async fn around_a_tonic_service_and_its_routes() {
    let ground = Ground::new().await;
    let key = ground.key(&[]).await;
    let layer = ApiKeyLayer::new(ground.keyring.clone());
    let routes = || tonic::service::Routes::new(Greeter);

    let seen = call(layer.layer(Greeter), grpc(Some(&key))).await;
    assert_eq!(seen.headers["x-owner"], "acme-corp");
    let seen = call(layer.layer(routes()), grpc::<tonic::body::Body>(Some(&key))).await;
    assert_eq!(
        (&seen.headers["x-owner"], &seen.headers["grpc-status"]),
        (&"acme-corp".parse().unwrap(), &"0".parse().unwrap())
    );
    // A refusal keeps its status, whatever the content type.
    let seen = call(layer.layer(routes()), grpc::<tonic::body::Body>(None)).await;
    assert_eq!(
        (seen.status.as_u16(), seen.code().as_str()),
        (401, "missing_credentials")
    );
    assert!(!seen.headers.contains_key("grpc-status"));
    let seen = call(routes().into_axum_router().layer(layer), grpc::<Body>(None)).await;
    assert_eq!(seen.status, 401);
}

#[tokio::test]
async fn in_a_tonic_server_over_http_2() {
    let ground = Ground::new().await;
    let key = ground.key(&[]).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tonic::transport::Server::builder()
        .layer(ApiKeyLayer::new(ground.keyring.clone()))
        .add_service(Greeter)
        .serve_with_incoming(tonic::transport::server::TcpIncoming::from(listener));
    let server = tokio::spawn(server);
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    let connection = tokio::spawn(connection);
    for _ in 0..2 {
        let answer = client
            .send_request(grpc::<Empty<Bytes>>(Some(&key)))
            .await
            .unwrap();
        assert_eq!(
            (answer.status(), &answer.headers()["x-owner"]),
            (StatusCode::OK, &"acme-corp".parse().unwrap())
        );
        let answer = client.send_request(grpc(None)).await.unwrap();
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(answer.headers()["content-type"], "application/problem+json");
        assert_eq!(
            answer.headers()["www-authenticate"],
            r#"Bearer realm="api""#
        );
    }
    connection.abort();
    server.abort();
}
