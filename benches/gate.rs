//! What the gate costs beside its neighbours: `cargo bench --bench gate`.
//!
//! Every case runs once in every round, so that a noisy machine disturbs all alike; what counts is
//! the median of the ratios within each round. `-- --quick` runs a few short rounds.

use std::convert::Infallible;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::StatusCode;
use http::header::{ACCEPT, AUTHORIZATION, HOST, USER_AGENT};
use portcullis::keyring::NewKey;
use portcullis::store::MemoryStore;
use portcullis::{ApiKeyLayer, Keyring, require_scope};
use sha2::{Digest, Sha256};
use tower::{Service, ServiceExt};
use tower_http::validate_request::ValidateRequestHeaderLayer;

struct Case {
    name: &'static str,
    app: Router,
    credential: Option<String>,
    status: StatusCode,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let quick = std::env::args().any(|argument| argument == "--quick");
    let (rounds, calls) = if quick { (5, 500) } else { (21, 20_000) };

    let keyring = Keyring::builder(MemoryStore::new())
        .prefix("acme")
        .build()
        .unwrap();
    let created = keyring
        .create(
            NewKey::named("bench")
                .unwrap()
                .scopes(["reports:read"])
                .unwrap(),
        )
        .await
        .unwrap();
    keyring.ready().await.unwrap();
    let key = created.secret.expose();
    let good = format!("Bearer {key}");
    // One letter of the body changed: well-formed but for the checksum.
    let typo = format!("Bearer {}", swap_letter(key, 20));
    let unknown = {
        let stranger = Keyring::builder(MemoryStore::new())
            .prefix("acme")
            .build()
            .unwrap();
        let created = stranger.create(NewKey::named("x").unwrap()).await.unwrap();
        format!("Bearer {}", created.secret.expose())
    };

    let portcullis = || open().route_layer(ApiKeyLayer::new(keyring.clone()));
    let scoped = Router::new()
        .route("/", get(hello).route_layer(require_scope("reports:read")))
        .route_layer(ApiKeyLayer::new(keyring.clone()));
    #[expect(
        deprecated,
        reason = "it is what people start from, and the cheapest peer there is"
    )]
    let tower_http = open().route_layer(ValidateRequestHeaderLayer::bearer(key));
    let by_hand = open().route_layer(from_fn_with_state(ByHand::knowing(key), ByHand::check));

    let case = |name, app, credential: Option<&str>, status| Case {
        name,
        app,
        credential: credential.map(str::to_owned),
        status,
    };
    let ok = StatusCode::OK;
    let no = StatusCode::UNAUTHORIZED;
    let cases = [
        case("open route", open(), Some(&good), ok),
        case(
            "tower-http, one constant token",
            tower_http,
            Some(&good),
            ok,
        ),
        case("portcullis, remembered key", portcullis(), Some(&good), ok),
        case("portcullis, and a scope", scoped, Some(&good), ok),
        case("from_fn + sha2 + moka, by hand", by_hand, Some(&good), ok),
        case("portcullis, no credential", portcullis(), None, no),
        case("portcullis, bad checksum", portcullis(), Some(&typo), no),
        case(
            "portcullis, unknown key, remembered",
            portcullis(),
            Some(&unknown),
            no,
        ),
    ];

    let mut nanos = vec![Vec::with_capacity(rounds); cases.len()];
    for round in 0..=rounds {
        for (case, nanos) in cases.iter().zip(&mut nanos) {
            let spent = run(case, calls).await;
            // The first round fills caches and is not counted.
            if round > 0 {
                nanos.push(spent.as_secs_f64() * 1e9 / f64::from(calls));
            }
        }
    }

    println!("{rounds} rounds of {calls} calls of a whole axum Router, medians\n");
    println!("{:<38} {:>9} {:>12}", "case", "ns", "x open route");
    for (case, own) in cases.iter().zip(&nanos) {
        let ratios = own.iter().zip(&nanos[0]).map(|(own, open)| own / open);
        println!(
            "{:<38} {:>9.0} {:>12.2}",
            case.name,
            median(own.iter().copied()),
            median(ratios)
        );
    }
}

fn open() -> Router {
    Router::new().route("/", get(hello))
}

async fn hello() -> &'static str {
    "hello"
}

async fn run(case: &Case, calls: u32) -> Duration {
    let mut app = case.app.clone().into_service::<Body>();
    #[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
    let begin = Instant::now();
    for _ in 0..calls {
        let response = call(&mut app, case.credential.as_deref()).await;
        assert_eq!(response.status(), case.status, "{}", case.name);
        black_box(response);
    }
    begin.elapsed()
}

async fn call(
    app: &mut (impl Service<Request, Response = Response, Error = Infallible> + Send),
    credential: Option<&str>,
) -> Response {
    let mut request = http::Request::get("/")
        .header(HOST, "localhost")
        .header(USER_AGENT, "bench")
        .header(ACCEPT, "*/*");
    if let Some(credential) = credential {
        request = request.header(AUTHORIZATION, credential);
    }
    let request = request.body(Body::empty()).unwrap();
    let Ok(ready) = app.ready().await;
    let Ok(response) = ready.call(request).await;
    response
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn swap_letter(key: &str, at: usize) -> String {
    let other = if key.as_bytes()[at] == b'a' { "b" } else { "a" };
    format!("{}{other}{}", &key[..at], &key[at + 1..])
}

/// What people write today: a hex digest as key of a moka cache in front of the database, in a
/// `from_fn`. Careful in its way, without revocation bound, scopes or negative cache.
#[derive(Clone)]
struct ByHand {
    cache: moka::future::Cache<String, Arc<Caller>>,
    database: Arc<(String, Arc<Caller>)>,
}

#[derive(Clone)]
struct Caller {
    owner: String,
    enabled: bool,
}

impl ByHand {
    fn knowing(key: &str) -> Self {
        let caller = Arc::new(Caller {
            owner: "admin".to_owned(),
            enabled: true,
        });
        Self {
            cache: moka::future::Cache::builder()
                .max_capacity(100_000)
                .time_to_live(Duration::from_mins(1))
                .build(),
            database: Arc::new((hex(key), caller)),
        }
    }

    async fn check(
        State(state): State<Self>,
        mut request: Request,
        next: Next,
    ) -> Result<Response, StatusCode> {
        let key = request
            .headers()
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "))
            .ok_or(StatusCode::UNAUTHORIZED)?;
        let digest = hex(key);
        let database = Arc::clone(&state.database);
        let wanted = digest.clone();
        let caller = state
            .cache
            .try_get_with(digest, async move {
                if database.0 == wanted {
                    Ok(Arc::clone(&database.1))
                } else {
                    Err(StatusCode::UNAUTHORIZED)
                }
            })
            .await
            .map_err(|status| *status)?;
        if !caller.enabled || caller.owner.is_empty() {
            return Err(StatusCode::UNAUTHORIZED);
        }
        request.extensions_mut().insert(caller);
        Ok(next.run(request).await.into_response())
    }
}

fn hex(key: &str) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digest = Sha256::digest(key.as_bytes());
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    digest
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}
