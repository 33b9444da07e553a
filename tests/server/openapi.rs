//! The OpenAPI document by the word of others: a validator, and schemathesis against a server that
//! runs.
//!
//! Both are Python packages. Where they are not installed this says so and is skipped; with
//! `CI=true` in the environment that is a failure instead.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::HeaderValue;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body_util::BodyExt as _;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use p256::pkcs8::{EncodePublicKey as _, LineEnding};
use portcullis::Keyring;
use portcullis::admin::{Admin, LeakReports, ScanningKeys};
use portcullis::store::MemoryStore;
use tokio::net::TcpListener;
use tokio::process::Command;
use tower::ServiceExt as _;

use crate::canary;
use crate::process::{ADMIN_TOKEN, Setup, within};

/// How long schemathesis may take: many times what it does.
const PATIENCE: Duration = Duration::from_mins(8);

const IDENTIFIER: &str = "github-public-key-identifier";
const SIGNATURE: &str = "github-public-key-signature";

/// Whether a program can be started.
async fn is_there(program: &str) -> bool {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let there = command.status().await.is_ok_and(|status| status.success());
    if !there {
        let is_ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
        assert!(!is_ci, "{program} is not installed, and CI=true");
        eprintln!("SKIPPED: {program} is not installed: pip install {program}");
    }
    there
}

async fn succeeds(mut command: Command) {
    let command = command.stdin(Stdio::null()).kill_on_drop(true);
    let output = within(PATIENCE, "a check of the document", command.output()).await;
    let output = output.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{complaint}");
}

async fn is_valid(file: &Path) {
    let mut command = Command::new("openapi-spec-validator");
    command.arg(file);
    succeeds(command).await;
}

fn signing_key() -> SigningKey {
    SigningKey::from_slice(&[1; 32]).unwrap()
}

/// Signs what says that it is signed, in the place of its sender, who has not the key.
async fn signed(request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let headers = &mut parts.headers;
    if !headers.contains_key(IDENTIFIER) || !headers.contains_key(SIGNATURE) {
        return next.run(Request::from_parts(parts, body)).await;
    }
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let signature: Signature = signing_key().sign(&body);
    let signature = STANDARD.encode(signature.to_der());
    headers.insert(IDENTIFIER, HeaderValue::from_static("one"));
    headers.insert(SIGNATURE, signature.try_into().unwrap());
    next.run(Request::from_parts(parts, Body::from(body))).await
}

/// Every route that there can be, and no limit that is in anybody's way.
fn whole() -> Router {
    canary::listen();
    let verifying = signing_key()
        .verifying_key()
        .to_public_key_pem(LineEnding::LF);
    let keys = ScanningKeys::new([("one", verifying.unwrap())]).unwrap();
    let often = LeakReports::new().limit(1_000_000, Duration::from_secs(1));
    let keyring = Keyring::builder(MemoryStore::new()).prefix("acme");
    let keyring = keyring
        .environments(["live", "test"])
        .role("reader", "Reads.", ["a:read"]);
    let admin = Admin::new(keyring.build().unwrap()).bootstrap_token(ADMIN_TOKEN);
    let admin = admin.unwrap().leak_reports(often.github(keys)).unwrap();
    Router::new().nest("/admin", admin.router().layer(from_fn(signed)))
}

#[tokio::test]
async fn the_document_of_the_example_is_valid() {
    if !is_there("openapi-spec-validator").await {
        return;
    }
    let setup = Setup::memory().with("RUST_LOG", "error,server=info");
    let server = setup.start().await;
    let document = server.get("/admin/openapi.json", ADMIN_TOKEN).await.is(200);
    let file = setup.folder.path().join("openapi.json");
    std::fs::write(&file, document.body).unwrap();
    is_valid(&file).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_of_all_that_there_can_be_is_valid_and_the_server_does_as_it_says() {
    let (validates, tries_out) = (
        is_there("openapi-spec-validator").await,
        is_there("schemathesis").await,
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("openapi.json");
    let app = whole();
    let asking = Request::get("/admin/openapi.json");
    let asking = asking.header("authorization", format!("Bearer {ADMIN_TOKEN}"));
    let answer = app
        .clone()
        .oneshot(asking.body(Body::empty()).unwrap())
        .await;
    let document = answer.unwrap().into_body().collect().await.unwrap();
    std::fs::write(&file, document.to_bytes()).unwrap();
    if validates {
        is_valid(&file).await;
    }
    if !tries_out {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = app.into_make_service_with_connect_info::<SocketAddr>();
    let serving = tokio::spawn(axum::serve(listener, service).into_future());
    let hooks = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/server");
    let mut command = Command::new("schemathesis");
    command
        .arg("run")
        .arg(&file)
        .args(["--url", &format!("http://{address}/admin")])
        .args(["--header", &format!("Authorization: Bearer {ADMIN_TOKEN}")])
        .args(["--checks", "all"])
        // A key that was revoked is still shown, and its trail, on purpose.
        .args(["--exclude-checks", "use_after_free"])
        .args(["--max-examples", "30", "--seed", "1", "--no-color"])
        .env("SCHEMATHESIS_HOOKS", "schemathesis_hooks")
        .env("PYTHONPATH", hooks)
        .current_dir(folder.path());
    succeeds(command).await;
    serving.abort();
}
