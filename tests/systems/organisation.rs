//! The keys of an organisation: its members make them signed in, keys make keys, and whoever runs
//! the service has a token for all; each is told apart in the list and in the trail.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get as on_get;
use portcullis::admin::{Admin, Policy, TrustedCaller};
use portcullis::keyring::{Keyring, NewKey};
use portcullis::layer::{ClientAddress, PeerAddress};
use portcullis::store::{KeyStore, MemoryStore, SqliteStore};
use portcullis::testing::FakeClock;
use portcullis::{ApiKeyLayer, Principal};
use serde_json::{Value, json};

use crate::asking::{Answer, With, delete, get, post, request, send, session_of};
use crate::canary;

const ADMIN_TOKEN: &str = "603deb1015ca71be2b73aef0857d7781";
const KEYS: &str = "/api/keys";
/// A key of an organisation does everything there, and nothing elsewhere.
const FULL: [&str; 2] = ["*", "keys:write"];

struct Service {
    app: Router,
    keyring: Keyring,
    clock: FakeClock,
    _folder: Option<canary::Folder>,
}

impl Service {
    async fn start() -> Self {
        let (clock, folder) = (FakeClock::new(), canary::Folder::new());
        let url = format!("sqlite://{}", folder.path().join("keys.db").display());
        let store = SqliteStore::options(&url).clock(Arc::new(clock.clone()));
        let store = store.connect().await.unwrap();
        Self::on(store, clock, Some(folder))
    }

    fn in_memory() -> Self {
        let clock = FakeClock::new();
        Self::on(
            MemoryStore::with_clock(Arc::new(clock.clone())),
            clock,
            None,
        )
    }

    fn on(store: impl KeyStore, clock: FakeClock, folder: Option<canary::Folder>) -> Self {
        canary::listen();
        let builder = Keyring::builder(store).prefix("org");
        let keyring = builder.clock(Arc::new(clock.clone())).build().unwrap();
        let policy = Policy::new().mint_limit(10, Duration::from_hours(1));
        let keys = Admin::new(keyring.clone())
            .bootstrap_token(ADMIN_TOKEN)
            .unwrap()
            .policy(policy)
            .unwrap()
            .client_address(ClientAddress::peer());
        let whose = async |caller: Principal| caller.owner().to_owned();
        let app = Router::new()
            .route("/api/whose", on_get(whose))
            .route_layer(ApiKeyLayer::new(keyring.clone()))
            .nest("/api", keys.router().layer(from_fn(session)));
        Self {
            app,
            keyring,
            clock,
            _folder: folder,
        }
    }

    /// Makes a key for organisation `acme` from this address.
    async fn mint_from(&self, with: With<'_>, address: &str) -> Answer {
        let body = json!({"name": "n", "scopes": FULL});
        let mut request = request(with, Method::POST, KEYS, &body);
        let peer = PeerAddress(address.parse().unwrap());
        request.extensions_mut().insert(peer);
        send(&self.app, request).await
    }

    /// Makes a key as whoever runs the service.
    async fn key_of(&self, organisation: &str) -> (String, String) {
        let body = json!({"name": "ours", "owner": organisation, "scopes": FULL});
        let made = post(&self.app, With::Bearer(ADMIN_TOKEN), KEYS, &body).await;
        made.made()
    }

    async fn opens(&self, key: &str) -> bool {
        get(&self.app, With::Bearer(key), "/api/whose").await.status == 200
    }
}

/// Knows who is signed in, and of which organisation that one is.
async fn session(mut request: Request, next: Next) -> Response {
    let organisation = match session_of(request.headers()) {
        Some("alice") => "acme",
        Some("bob") => "umbrella",
        Some(_) => return StatusCode::UNAUTHORIZED.into_response(),
        None => return next.run(request).await,
    };
    let name = session_of(request.headers()).unwrap_or_default();
    let caller = TrustedCaller::new(name, organisation).unwrap();
    request.extensions_mut().insert(caller);
    next.run(request).await
}

#[tokio::test]
async fn whoever_made_a_key_is_found_in_the_list_and_in_the_trail() {
    let service = Service::start().await;
    let app = &service.app;
    let alice = With::Cookie("alice");
    let body = json!({"name": "of alice", "scopes": FULL});
    let (first_id, first) = post(app, alice, KEYS, &body).await.made();
    service.clock.advance(Duration::from_secs(1));
    let body = json!({"name": "of a key", "scopes": FULL});
    let (second_id, second) = post(app, With::Bearer(&first), KEYS, &body).await.made();
    service.clock.advance(Duration::from_secs(1));
    let (third_id, third) = service.key_of("acme").await;
    let (other_id, other) = service.key_of("umbrella").await;

    let by_first = format!("key:{first_id}");
    for with in [alice, With::Bearer(&first), With::Bearer(&third)] {
        let list = get(app, with, KEYS).await;
        let ids = list.each("id");
        assert_eq!(ids, [&*third_id, &*second_id, &*first_id], "{with:?}");
        let makers = list.each("created_by");
        assert_eq!(
            makers,
            ["admin-token", &*by_first, "session:alice"],
            "{with:?}"
        );
        // The maker of a key is a line of the same list.
        assert!(
            ids.iter()
                .any(|id| by_first == format!("key:{}", id.as_str().unwrap()))
        );
    }
    let all = get(app, With::Bearer(ADMIN_TOKEN), KEYS).await;
    assert_eq!(all.each("id").len(), 4);
    for key in [&first, &second, &third] {
        let whose = get(app, With::Bearer(key), "/api/whose").await;
        assert_eq!((whose.status, &*whose.text), (200, "acme"));
    }
    assert_eq!(
        get(app, With::Bearer(&other), "/api/whose").await.text,
        "umbrella"
    );

    let path = format!("{KEYS}/{second_id}");
    let gone = delete(app, With::Bearer(ADMIN_TOKEN), &path).await.json();
    assert_eq!(gone["revoked_by"], "admin-token");
    let trail = get(app, alice, &format!("{path}/events")).await.json();
    let lines: Vec<_> = trail["events"].as_array().unwrap().iter().collect();
    let told: Vec<_> = lines
        .iter()
        .map(|line| (&line["what"], &line["by"]))
        .collect();
    assert_eq!(
        told,
        [
            (&json!("revoked"), &json!("admin-token")),
            (&json!("created"), &json!(by_first)),
        ]
    );
    let theirs = format!("{KEYS}/{other_id}/events");
    assert_eq!(get(app, alice, &theirs).await.status, 404);
}

#[tokio::test]
async fn each_tier_is_let_in_by_its_own_means_alone() {
    let service = Service::start().await;
    let app = &service.app;
    let (_, key) = service.key_of("acme").await;
    let body = json!({"name": "n", "scopes": []});
    let cases = [
        (With::Nothing, 401),
        (With::Cookie("mallory"), 401),
        (With::Bearer("603deb1015ca71be2b73aef0857d7782"), 401),
        (With::Cookie("alice"), 201),
        (With::Bearer(&key), 201),
        (With::Bearer(ADMIN_TOKEN), 201),
    ];
    for (with, status) in cases {
        assert_eq!(
            post(app, with, KEYS, &body).await.status,
            status,
            "{with:?}"
        );
    }
    // Nobody reaches beyond the own organisation but whoever runs the service.
    let theirs = json!({"name": "n", "scopes": [], "owner": "umbrella"});
    for (with, status) in [
        (With::Cookie("alice"), 403),
        (With::Bearer(&key), 403),
        (With::Bearer(ADMIN_TOKEN), 201),
    ] {
        assert_eq!(
            post(app, with, KEYS, &theirs).await.status,
            status,
            "{with:?}"
        );
    }
    // Neither a session that another site made use of, nor one beside a key.
    let mut forged = request(With::Cookie("alice"), Method::POST, KEYS, &body);
    let headers = forged.headers_mut();
    headers.insert("sec-fetch-site", HeaderValue::from_static("cross-site"));
    let refused = send(app, forged).await.told();
    assert_eq!(refused, (403, "cross_site_request".to_owned()));
    let mut both = request(With::Cookie("alice"), Method::GET, KEYS, &Value::Null);
    let key = HeaderValue::try_from(format!("Bearer {key}")).unwrap();
    both.headers_mut().insert("authorization", key);
    assert_eq!(
        send(app, both).await.told(),
        (400, "ambiguous_caller".to_owned())
    );
}

#[tokio::test]
async fn ten_keys_are_made_an_hour_and_no_more() {
    let service = Service::start().await;
    let app = &service.app;
    let (here, there, elsewhere) = ("192.0.2.1", "192.0.2.2", "192.0.2.3");
    let (_, key) = service.key_of("acme").await;
    let alice = With::Cookie("alice");
    let callers = [alice, With::Bearer(&key)].into_iter().cycle();
    let mut last = String::new();
    for with in callers.clone().take(10) {
        last = service.mint_from(with, here).await.made().0;
    }
    for with in callers.take(2) {
        let refused = service.mint_from(with, there).await;
        assert_eq!(
            refused.told(),
            (429, "rate_limited".to_owned()),
            "of one organisation"
        );
        assert_eq!(refused.headers["retry-after"], "360");
    }
    let bob = With::Cookie("bob");
    assert_eq!(
        service.mint_from(bob, here).await.status,
        429,
        "of one address"
    );
    assert_eq!(service.mint_from(bob, elsewhere).await.status, 201);

    // Neither what is no minting is limited, nor whoever runs the service.
    for _ in 0..20 {
        assert_eq!(get(app, alice, KEYS).await.status, 200);
        let path = format!("{KEYS}/{last}");
        assert_eq!(delete(app, alice, &path).await.status, 200);
    }
    service.key_of("acme").await;

    service.clock.advance(Duration::from_secs(359));
    assert_eq!(service.mint_from(alice, elsewhere).await.status, 429);
    service.clock.advance(Duration::from_secs(1));
    assert_eq!(service.mint_from(alice, elsewhere).await.status, 201);
    assert_eq!(service.mint_from(alice, elsewhere).await.status, 429);
}

#[tokio::test]
async fn a_list_has_at_most_five_hundred_keys() {
    let service = Service::in_memory();
    for _ in 0..503 {
        let new = NewKey::named("n").unwrap().owner("acme").unwrap();
        service.keyring.create(new).await.unwrap();
    }
    let alice = With::Cookie("alice");
    let list = async |query: &str| get(&service.app, alice, &format!("{KEYS}{query}")).await;
    assert_eq!(list("").await.each("id").len(), 50);
    let first = list("?limit=500").await;
    let mut ids = first.each("id");
    assert_eq!(ids.len(), 500);
    let cursor = first.json()["next_cursor"].as_str().unwrap().to_owned();
    let rest = list(&format!("?limit=500&cursor={cursor}")).await;
    assert!(rest.json()["next_cursor"].is_null());
    assert_eq!(rest.each("id").len(), 3);
    ids.extend(rest.each("id"));
    ids.sort_by_key(Value::to_string);
    ids.dedup();
    assert_eq!(ids.len(), 503);
    assert_eq!(
        list("?limit=501").await.told(),
        (422, "invalid_field".to_owned())
    );
}

#[tokio::test]
async fn a_revoked_key_is_dead_at_once_and_stays_as_it_was_revoked() {
    let service = Service::start().await;
    let app = &service.app;
    let alice = With::Cookie("alice");
    let (id, key) = service.key_of("acme").await;
    let (theirs, _) = service.key_of("umbrella").await;
    assert!(service.opens(&key).await);
    let path = format!("{KEYS}/{id}");
    let gone = delete(app, alice, &format!("{path}?reason=left")).await;
    assert_eq!(gone.status, 200);
    assert!(!service.opens(&key).await);

    service.clock.advance(Duration::from_mins(1));
    let again = delete(
        app,
        With::Bearer(ADMIN_TOKEN),
        &format!("{path}?reason=other"),
    )
    .await;
    assert_eq!((again.status, &*again.text), (200, &*gone.text));
    assert_eq!(gone.json()["revoked_at"], "2030-01-01T00:00:00Z");
    assert_eq!(gone.json()["revoked_by"], "session:alice");

    let missing = delete(app, alice, &format!("{KEYS}/key_0000000000000000")).await;
    assert_eq!(missing.told(), (404, "not_found".to_owned()));
    let other = delete(app, alice, &format!("{KEYS}/{theirs}")).await;
    assert_eq!((other.status, other.text), (404, missing.text));

    let long = json!({"name": "x".repeat(101), "scopes": []});
    assert_eq!(post(app, alice, KEYS, &long).await.status, 422);
    let just = json!({"name": "x".repeat(100), "scopes": []});
    assert_eq!(post(app, alice, KEYS, &just).await.status, 201);
}

#[tokio::test]
async fn a_dead_key_is_refused_like_one_that_never_was() {
    let service = Service::start().await;
    let alice = With::Cookie("alice");
    let body = json!({"name": "n", "scopes": FULL, "expires_in": "60s"});
    let (_, expired) = post(&service.app, alice, KEYS, &body).await.made();
    let (id, revoked) = service.key_of("acme").await;
    assert!(service.opens(&expired).await && service.opens(&revoked).await);
    delete(&service.app, alice, &format!("{KEYS}/{id}")).await;
    service.clock.advance(Duration::from_mins(1));
    let unknown = Service::in_memory().key_of("acme").await.1;
    let mut seen = Vec::new();
    for key in [&*unknown, &*revoked, &*expired, "no key at all"] {
        let key = key.replace(' ', "-");
        let refused = get(&service.app, With::Bearer(&key), "/api/whose").await;
        seen.push((
            refused.status,
            refused.text,
            format!("{:?}", refused.headers),
        ));
    }
    assert_eq!(seen[0].0, 401);
    assert!(seen.iter().all(|one| *one == seen[0]), "{seen:?}");
}

#[tokio::test]
async fn the_very_first_start_is_open_on_the_machine_itself() {
    let clock = Arc::new(FakeClock::new());
    let store = MemoryStore::with_clock(clock.clone());
    let keyring = Keyring::builder(store).prefix("org").clock(clock).build();
    let keys = Admin::new(keyring.unwrap()).dangerously_open_on_loopback_until_first_key();
    let app = Router::new().nest("/api", keys.router().layer(from_fn(session)));
    let first = json!({"name": "first", "scopes": ["*", "keys:admin"]});
    let from = |address: &str| {
        let mut request = request(With::Nothing, Method::POST, KEYS, &first);
        let host = HeaderValue::from_static("localhost");
        request.headers_mut().insert("host", host);
        let peer = PeerAddress(address.parse().unwrap());
        request.extensions_mut().insert(peer);
        request
    };
    assert_eq!(send(&app, from("192.0.2.1")).await.status, 401);
    let made = send(&app, from("127.0.0.1")).await;
    assert_eq!(made.json()["key"]["created_by"], "system");
    let (_, key) = made.made();
    assert_eq!(send(&app, from("127.0.0.1")).await.status, 401);
    assert_eq!(get(&app, With::Bearer(&key), KEYS).await.status, 200);
    assert_eq!(get(&app, With::Cookie("alice"), KEYS).await.status, 200);
}
