//! A whole service on portcullis: `cargo run --example server`, then follow what it prints.
//!
//! Configured by environment variables:
//!
//! - `PORTCULLIS_ADDR`: where to listen; default `127.0.0.1:3000`.
//! - `DATABASE_URL`: `postgres://USER:PASSWORD@HOST/DATABASE`, where any number of replicas share
//!   their keys; `sqlite://FILE`, default `sqlite://portcullis.db`; or `memory:`.
//! - `PORTCULLIS_ADMIN_TOKEN`: opens the admin API. Without it, a new store gets a first key, which
//!   is printed.
//! - `PORTCULLIS_MAX_STALENESS_MS`, `PORTCULLIS_POLL_MS`, `PORTCULLIS_LOOKUP_DEADLINE_MS`: default
//!   5000, 1000 and 500.
//! - `PORTCULLIS_OUTAGE_GRACE_MS`: for how long keys that were good go on working while the store is
//!   away, **also those that are revoked meanwhile**; default: not at all.
//! - `RUST_LOG`: default `info`.

use std::env::{self, VarError};
use std::error::Error;
use std::io::{IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::routing::{any, get};
use axum::{Json, Router};
use portcullis::admin::{Admin, LeakReports};
use portcullis::keyring::BuildError;
use portcullis::scope::Grant;
use portcullis::store::{KeyStore, MemoryStore, PostgresStore, SqliteStore};
use portcullis::{ApiKeyLayer, Keyring, Principal, require_scope};
use serde_json::{Value, json};
use tokio::net::TcpListener;
#[cfg(unix)]
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;
use tower_http::trace::TraceLayer;
use tracing_subscriber::EnvFilter;

/// How long requests that are under way have to end: less than the 30 s after which Kubernetes
/// kills a process.
const PATIENCE: Duration = Duration::from_secs(15);

fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The last word: nothing runs in the background any more.
            eprintln!("server: {}", with_causes(&*error));
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn run() -> Result<(), Box<dyn Error>> {
    let addr = variable("PORTCULLIS_ADDR")?.unwrap_or_else(|| "127.0.0.1:3000".to_owned());
    let admin_token = variable("PORTCULLIS_ADMIN_TOKEN")?;

    let mut builder = Keyring::builder(store().await?).prefix("acme");
    if let Some(time) = milliseconds("PORTCULLIS_MAX_STALENESS_MS")? {
        builder = builder.max_staleness(time);
    }
    if let Some(time) = milliseconds("PORTCULLIS_POLL_MS")? {
        builder = builder.poll_interval(time);
    }
    if let Some(time) = milliseconds("PORTCULLIS_LOOKUP_DEADLINE_MS")? {
        builder = builder.lookup_deadline(time);
    }
    if let Some(time) = milliseconds("PORTCULLIS_OUTAGE_GRACE_MS")? {
        builder = builder.dangerously_accept_known_keys_during_outage(time);
    }
    let keyring = builder
        .build()
        .map_err(|error| format!("{}{error}", variable_behind(&error)))?;

    // Whoever finds a key where it should not be may report it.
    let mut admin = Admin::new(keyring.clone()).leak_reports(LeakReports::new())?;
    if let Some(token) = &admin_token {
        admin = admin
            .bootstrap_token(token.as_str())
            .map_err(|error| format!("PORTCULLIS_ADMIN_TOKEN: {error}"))?;
    }
    let listener = TcpListener::bind(&addr).await.map_err(|error| {
        format!(
            "cannot listen on PORTCULLIS_ADDR={addr:?}: {error}; it takes an address and a free \
             port of this machine, such as 127.0.0.1:3000"
        )
    })?;
    let addr = listener.local_addr()?;
    if admin_token.is_none() {
        print_first_key(&keyring, &addr.to_string()).await?;
    }
    let (told_to_stop, told) = (signal_to_stop(), signal_to_stop());
    tracing::info!(%addr, "listening");
    let app = app(keyring.clone(), admin.router());
    // With the address of the peer, or no key could be bound to some. Behind a proxy, layer and
    // admin router have to be told of it: see `ClientAddress`.
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    let serving = axum::serve(listener, app).with_graceful_shutdown(told_to_stop);
    tokio::select! {
        result = serving.into_future() => result?,
        () = out_of_patience(told) => tracing::warn!("requests under way are cut short"),
    }
    // What is not yet written of when keys were last used.
    keyring.shutdown().await;
    tracing::info!("stopped");
    Ok(())
}

fn app(keyring: Keyring, admin: Router) -> Router {
    let layer = ApiKeyLayer::new(keyring.clone());
    let v1 = Router::new()
        .route("/v1/ping", get(ping))
        .route("/v1/any", any(ping))
        .route(
            "/v1/reports",
            get(reports).route_layer(require_scope("reports:read")),
        )
        .route_layer(layer.clone());
    let twin = Router::new()
        .route("/v1/twin", get(ping))
        .route_layer(layer);
    Router::new()
        .route("/health", get(health).with_state(keyring))
        .merge(v1)
        .merge(twin)
        .nest("/admin", admin)
        .layer(TraceLayer::new_for_http())
}

async fn ping(caller: Principal) -> Json<Value> {
    Json(json!({
        "key_id": caller.key_id().as_str(),
        "owner": caller.owner(),
        "name": caller.name(),
        "scopes": caller.scopes().iter().map(Grant::as_str).collect::<Vec<_>>(),
    }))
}

async fn reports(caller: Principal) -> Json<Value> {
    Json(json!({ "owner": caller.owner(), "reports": ["january", "february"] }))
}

/// Up whatever the store does: whether the process lives is another question than whether the
/// store does.
async fn health(State(keyring): State<Keyring>) -> Json<Value> {
    let health = keyring.health();
    Json(json!({
        "status": "ok",
        "in_sync": health.in_sync,
        "lease_age_ms": health.lease_age.map(|age| age.as_millis()),
        "sync_lag_ms": health.sync_lag.map(|lag| lag.as_millis()),
        "listening": health.listening,
        "revision": health.revision,
        "epoch": health.epoch,
        "history_breaks": health.history_breaks,
        "refuses_what_it_saw_revoked": health.refuses_what_it_saw_revoked,
        "judged_in_outage": health.judged_in_outage,
        "lookups_answered": health.lookups_answered,
        "known": health.known,
        "unknown": health.unknown,
    }))
}

async fn store() -> Result<Arc<dyn KeyStore>, Box<dyn Error>> {
    let url = variable("DATABASE_URL")?.unwrap_or_else(|| "sqlite://portcullis.db".to_owned());
    if url == "memory:" {
        return Ok(Arc::new(MemoryStore::new()));
    }
    if url.starts_with("sqlite:") {
        let store = SqliteStore::connect(&url).await.map_err(|error| {
            let error = with_causes(&error);
            format!("DATABASE_URL: {error}; it takes sqlite://FILE, in a folder that is there, or memory:")
        })?;
        return Ok(Arc::new(store));
    }
    if url.starts_with("postgres:") || url.starts_with("postgresql:") {
        let store = PostgresStore::connect(&url).await.map_err(|error| {
            let error = with_causes(&error);
            format!(
                "DATABASE_URL: {error}; it takes postgres://USER:PASSWORD@HOST/DATABASE, of a \
                 database that is there"
            )
        })?;
        return Ok(Arc::new(store));
    }
    // The rest of a URL may hold a password, and so may what only looks like a scheme.
    let scheme = match url.split_once("://") {
        Some((scheme, _)) => format!("the scheme {scheme:?}"),
        None => "no scheme that is known here".to_owned(),
    };
    Err(
        format!("DATABASE_URL has {scheme}; it takes postgres://…, sqlite://FILE or memory:")
            .into(),
    )
}

/// Whoever starts a new store gets the first key, once, on the terminal and not in the log.
async fn print_first_key(keyring: &Keyring, addr: &str) -> Result<(), Box<dyn Error>> {
    let Some(created) = keyring.create_first().await? else {
        return Ok(());
    };
    let secret = created.secret.expose();
    let text = format!(
        "The first key, which is shown only this once:\n\n    {secret}\n\n\
         It may do everything. Try it:\n\n    \
         curl -H 'Authorization: Bearer {secret}' http://{addr}/v1/ping\n\n"
    );
    let mut terminal = std::io::stdout();
    let printed = terminal.write_all(text.as_bytes());
    printed.and_then(|()| terminal.flush()).map_err(|error| {
        let id = &created.key.id;
        format!(
            "the first key was made but could not be printed: {error}; start with \
             PORTCULLIS_ADMIN_TOKEN set, revoke {id} and make another"
        )
        .into()
    })
}

/// A client that never ends its request must not keep the process from ending.
async fn out_of_patience(told_to_stop: impl Future<Output = ()>) {
    told_to_stop.await;
    let once_more = signal_to_stop();
    tracing::info!(
        "stopping: {PATIENCE:?} for requests under way, or less if told to stop once more"
    );
    drop(timeout(PATIENCE, once_more).await);
}

/// Ctrl-C or SIGTERM, from this call on.
fn signal_to_stop() -> impl Future<Output = ()> + Send + 'static {
    #[cfg(unix)]
    let terminated = signal(SignalKind::terminate());
    async {
        #[cfg(unix)]
        if let Ok(mut terminated) = terminated {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminated.recv() => {}
            }
            return;
        }
        // Where it cannot be listened for, nothing tells to stop, and the system's way holds.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

fn variable(name: &str) -> Result<Option<String>, String> {
    match env::var(name) {
        Ok(value) => Ok(Some(value)),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => Err(format!("{name} is not UTF-8")),
    }
}

fn milliseconds(name: &str) -> Result<Option<Duration>, String> {
    let parse = |value: String| {
        let millis = value.parse().map_err(|_| {
            format!("{name}={value:?} is not a whole number of milliseconds, such as 5000")
        });
        millis.map(Duration::from_millis)
    };
    variable(name)?.map(parse).transpose()
}

/// The name of the variable that a keyring cannot be built with.
fn variable_behind(error: &BuildError) -> &'static str {
    match error {
        BuildError::PollTooSeldom { .. } => "PORTCULLIS_POLL_MS: ",
        BuildError::DeadlineTooLong { .. } => "PORTCULLIS_LOOKUP_DEADLINE_MS: ",
        BuildError::TooSmall { option, .. } | BuildError::TooLong { option, .. } => match *option {
            "max_staleness" => "PORTCULLIS_MAX_STALENESS_MS: ",
            "poll_interval" => "PORTCULLIS_POLL_MS: ",
            "lookup_deadline" => "PORTCULLIS_LOOKUP_DEADLINE_MS: ",
            "dangerously_accept_known_keys_during_outage" => "PORTCULLIS_OUTAGE_GRACE_MS: ",
            _ => "",
        },
        _ => "",
    }
}

/// An error and what led to it, without what is said already.
fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}
