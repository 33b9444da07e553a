//! gRPC and plain HTTP on one port, with the same keys: `cargo run --example grpc`.
//!
//! The service is written by hand, so that it takes no `protoc`; a generated one is layered in the
//! same way.

use std::convert::Infallible;
use std::task::{Context, Poll};

use axum::{Router, routing::get};
use bytes::{Buf as _, BufMut as _};
use http::{Request, Response};
use portcullis::{ApiKeyLayer, Keyring, Principal, require_scope, store::MemoryStore};
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::server::NamedService;
use tonic::service::{LayerExt as _, Routes};
use tower::{Service, service_fn};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let keyring = Keyring::builder(MemoryStore::new())
        .prefix("acme")
        .scopes(["reports:read"])
        .build()?;
    if let Some(first) = keyring.create_first().await? {
        println!("the first key, shown once: {}", first.secret.expose());
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    println!("listening on {}", listener.local_addr()?);
    axum::serve(listener, app(keyring)).await?;
    Ok(())
}

/// `/reports.Reports/Describe` by gRPC and `/reports` by HTTP, both behind one layer.
pub(crate) fn app(keyring: Keyring) -> Router {
    // `named_layer` keeps the name of the service, by which it is routed.
    let reports = require_scope("reports:read").named_layer(Reports);
    Routes::new(reports)
        .into_axum_router()
        .route(
            "/reports",
            get(list).route_layer(require_scope("reports:read")),
        )
        // A refused call gets a gRPC status (16 without a key), a refused request that of HTTP.
        .route_layer(ApiKeyLayer::new(keyring).grpc())
}

async fn list(caller: Principal) -> String {
    format!("hello {}\n", caller.owner())
}

/// What the method does. tonic hands the extensions on, and with them who calls.
async fn describe(request: tonic::Request<String>) -> Result<tonic::Response<String>, Status> {
    let caller = Principal::of(request.extensions())
        .ok_or_else(|| Status::internal("no ApiKeyLayer around the service"))?;
    let text = format!("{} for {}", request.get_ref(), caller.owner());
    Ok(tonic::Response::new(text))
}

/// The service, as a code generator would write it.
#[derive(Clone, Debug)]
pub(crate) struct Reports;

impl NamedService for Reports {
    const NAME: &'static str = "reports.Reports";
}

impl Service<Request<tonic::body::Body>> for Reports {
    type Response = Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = tonic::codegen::BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<tonic::body::Body>) -> Self::Future {
        Box::pin(async move {
            if request.uri().path() != "/reports.Reports/Describe" {
                return Ok(Status::unimplemented("no such method").into_http());
            }
            let mut grpc = tonic::server::Grpc::new(Text);
            Ok(grpc.unary(service_fn(describe), request).await)
        })
    }
}

/// Messages that are nothing but text; usually they are Protocol Buffers.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Text;

impl Codec for Text {
    type Encode = String;
    type Decode = String;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Text {
    type Item = String;
    type Error = Status;

    fn encode(&mut self, text: String, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(text.as_bytes());
        Ok(())
    }
}

impl Decoder for Text {
    type Item = String;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<String>, Status> {
        let bytes = buffer.copy_to_bytes(buffer.remaining());
        String::from_utf8(bytes.to_vec())
            .map(Some)
            .map_err(|_| Status::invalid_argument("not UTF-8"))
    }
}
