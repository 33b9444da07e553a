//! The servers that are measured: this very program, on the first core.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use axum::body::Body;
use axum::extract::Request;
use axum::routing::get;
use axum::{Router, ServiceExt};
use http::StatusCode;
use portcullis::ApiKeyLayer;
use portcullis_bench::by_rule::ByRule;
use portcullis_bench::keys;
use portcullis_bench::peers::{by_hand, constant, jwt, layered};
use portcullis_bench::world::open;
use tokio::net::TcpListener;
use tower::ServiceBuilder;

pub(crate) const OPEN: &str = "open route";

pub(crate) const VARIANTS: [&str; 7] = [
    OPEN,
    "tower-http, one constant token",
    "portcullis, Router::layer",
    "portcullis, around the Router",
    "from_fn by hand, lean",
    "from_fn by hand, typical",
    "jsonwebtoken HS256",
];

/// What nginx asks for each request; it takes no body.
pub(crate) const NO_CONTENT: &str = "portcullis, answering 204";

/// Serves one of the variants on a port of its own, on one thread. Says the port and the credential
/// on its first two lines.
pub(crate) fn serve(variant: &str) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        println!("{}", listener.local_addr().unwrap().port());
        let key = keys::nth(0);
        let one = || std::iter::once(keys::nth(0));
        let (router, credential) = match variant {
            OPEN => (open(), key),
            "tower-http, one constant token" => (open().layer(constant(&key)), key),
            "portcullis, Router::layer" => (layered(&keyring().await), key),
            "portcullis, around the Router" => {
                println!("{key}");
                let service = ServiceBuilder::new()
                    // What `axum::serve` takes.
                    .map_response(|response: http::Response<_>| response.map(Body::new))
                    .layer(ApiKeyLayer::new(keyring().await))
                    .service(open());
                let service = ServiceExt::<Request>::into_make_service(service);
                return axum::serve(listener, service)
                    .await
                    .map_err(|error| error.to_string());
            }
            "from_fn by hand, lean" => (by_hand::lean(one()), key),
            "from_fn by hand, typical" => (by_hand::typical(one()), key),
            "jsonwebtoken HS256" => jwt::hs256(),
            NO_CONTENT => {
                let answer = get(|| async { StatusCode::NO_CONTENT });
                let layer = ApiKeyLayer::new(keyring().await);
                (Router::new().route("/", answer).layer(layer), key)
            }
            _ => return Err(format!("no such variant; there are {VARIANTS:?}")),
        };
        println!("{credential}");
        let router: Router = router;
        axum::serve(listener, router)
            .await
            .map_err(|error| error.to_string())
    })
}

async fn keyring() -> portcullis::Keyring {
    let builder = portcullis::Keyring::builder(ByRule::every_key()).prefix(keys::PREFIX);
    let keyring = builder.build().unwrap();
    keyring.ready().await.unwrap();
    keyring
}

/// A server under way. It ends when this is dropped.
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) port: String,
    pub(crate) credential: String,
}

impl Server {
    pub(crate) fn start(variant: &str) -> Self {
        let own = std::env::current_exe().unwrap();
        let mut child = Command::new("taskset")
            .args(["-c", "0"])
            .arg(own)
            .args(["serve", variant])
            .stdout(Stdio::piped())
            .spawn()
            .expect("taskset is needed (util-linux)");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut line = || lines.next().expect("the server said nothing").unwrap();
        let (port, credential) = (line(), line());
        Self {
            child,
            port,
            credential,
        }
    }

    pub(crate) fn time(&self) -> f64 {
        time(&self.child)
    }
}

/// User and kernel time of all threads so far, in seconds: to the nanosecond, where `/proc/PID/stat` has
/// ticks.
pub(crate) fn time(child: &Child) -> f64 {
    let tasks = fs::read_dir(format!("/proc/{}/task", child.id())).unwrap();
    let nanos = tasks.filter_map(|task| {
        // A thread may have ended since.
        let stat = fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        stat.split(' ').next()?.parse::<f64>().ok()
    });
    nanos.sum::<f64>() / 1e9
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
