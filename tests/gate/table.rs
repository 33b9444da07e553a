//! Every situation has one answer, word by word, on the wire.

use std::time::Duration;

use axum::Router;
use axum::routing::any;
use http::StatusCode;
use portcullis::{ApiKeyLayer, Principal, require_all, require_any};
use serde_json::{Value, json};

use crate::ground::Ground;
use crate::wire::{Answer, Server, line};

const MISSING: Refusal = Refusal {
    status: 401,
    code: "missing_credentials",
    challenge: Some(r#"Bearer realm="api""#),
};
const UNREADABLE: Refusal = Refusal {
    status: 400,
    code: "invalid_request",
    challenge: Some(r#"Bearer realm="api", error="invalid_request""#),
};
const DEAD: Refusal = Refusal {
    status: 401,
    code: "invalid_token",
    challenge: Some(r#"Bearer realm="api", error="invalid_token""#),
};
const UNAVAILABLE: Refusal = Refusal {
    status: 503,
    code: "unavailable",
    challenge: None,
};
const MISCONFIGURED: Refusal = Refusal {
    status: 500,
    code: "misconfigured",
    challenge: None,
};

/// What the gate says instead of letting in.
#[derive(Clone, Copy)]
struct Refusal {
    status: u16,
    code: &'static str,
    challenge: Option<&'static str>,
}

impl Refusal {
    fn scope(challenge: &'static str) -> Self {
        Self {
            status: 403,
            code: "insufficient_scope",
            challenge: Some(challenge),
        }
    }

    fn problem(self) -> Value {
        let status = StatusCode::from_u16(self.status).unwrap();
        json!({
            "type": "about:blank",
            "title": status.canonical_reason(),
            "status": self.status,
            "code": self.code,
        })
    }

    /// Everything about this answer is as it is promised, and nothing else is in it.
    fn assert(self, name: &str, answer: &Answer, length: usize) {
        let length = length.to_string();
        let mut expected = vec![
            ("content-length", length.as_str()),
            ("content-type", "application/problem+json"),
        ];
        expected.extend(
            self.challenge
                .map(|challenge| ("www-authenticate", challenge)),
        );
        if self.status == 503 {
            expected.push(("retry-after", "1"));
        }
        expected.sort_unstable();
        let mut headers: Vec<_> = answer
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        headers.sort_unstable();
        assert_eq!(headers, expected, "{name}");
        assert_eq!(answer.status, self.status, "{name}");
    }
}

/// All kinds of routes behind one layer, and one beside it.
fn app(layer: ApiKeyLayer) -> Router {
    let inside = || any(async || "inside");
    Router::new()
        .route("/thing", inside())
        .route("/all", inside().layer(require_all(["b:x", "a", "b:x"])))
        .route("/any", inside().layer(require_any(["b:y", "a"])))
        .route_layer(layer)
        .route("/bare", any(async |_: Principal| "inside"))
        .route("/maybe", any(async |_: Option<Principal>| "inside"))
        .route("/demand", inside().layer(require_all(["a"])))
}

type Row<'a> = (&'a str, &'a str, Vec<Vec<u8>>, Option<Refusal>);

/// Sends each row by GET and by HEAD; `None` is what gets in.
async fn assert_all(server: &Server, rows: &[Row<'_>]) {
    let mut connection = server.connect().await;
    for (name, target, lines, expected) in rows {
        let lines: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
        let got = connection.send("GET", target, &lines).await;
        let head = connection.send("HEAD", target, &lines).await;
        if let Some(refusal) = expected {
            refusal.assert(name, &got, got.body.len());
            let body: Value = serde_json::from_str(&got.body).unwrap();
            assert_eq!(body, refusal.problem(), "{name}");
            refusal.assert(name, &head, got.body.len());
        } else {
            assert_eq!((got.status, got.body.as_str()), (200, "inside"), "{name}");
            assert_eq!(got.one("www-authenticate"), None, "{name}");
            assert_eq!(head.status, 200, "{name}");
        }
        assert_eq!(head.headers, got.headers, "{name}: HEAD has the same");
        assert!(!connection.has_more(), "{name}: HEAD has no body");
    }
}

fn auth(value: impl AsRef<[u8]>) -> Vec<Vec<u8>> {
    vec![line("Authorization", value)]
}

#[tokio::test]
async fn what_is_presented_decides_the_answer() {
    let ground = Ground::new().await;
    let server = Server::start(app(ApiKeyLayer::new(ground.keyring.clone()))).await;
    let key = ground.key(&["reports:read"]).await;
    let long = "x".repeat(257);
    let rows = [
        ("no header", vec![], Some(MISSING)),
        ("Basic", auth("Basic dXNlcjpwYXNz"), Some(MISSING)),
        ("a raw key", auth(&key), Some(MISSING)),
        (
            "a longer scheme",
            auth(format!("BearerX {key}")),
            Some(MISSING),
        ),
        (
            "a scheme that goes on",
            auth(format!("Bearer-1 {key}")),
            Some(MISSING),
        ),
        (
            "a shorter scheme",
            auth(format!("Beare {key}")),
            Some(MISSING),
        ),
        (
            "Digest around Bearer",
            auth(format!("Digest Bearer {key}")),
            Some(MISSING),
        ),
        ("nothing", auth(""), Some(UNREADABLE)),
        ("blanks", auth(" \t  "), Some(UNREADABLE)),
        ("the scheme alone", auth("Bearer"), Some(UNREADABLE)),
        ("the scheme and spaces", auth("Bearer   "), Some(UNREADABLE)),
        ("a tab", auth(format!("Bearer\t{key}")), Some(UNREADABLE)),
        (
            "a tab after a space",
            auth(format!("Bearer \t{key}")),
            Some(UNREADABLE),
        ),
        (
            "two words",
            auth(format!("Bearer {key} {key}")),
            Some(UNREADABLE),
        ),
        (
            "a list",
            auth(format!("Bearer {key},{key}")),
            Some(UNREADABLE),
        ),
        (
            "a list of two schemes",
            auth(format!("Bearer {key}, Basic YTpi")),
            Some(UNREADABLE),
        ),
        (
            "a quoted key",
            auth(format!("Bearer \"{key}\"")),
            Some(UNREADABLE),
        ),
        ("padding alone", auth("Bearer =="), Some(UNREADABLE)),
        ("beyond ASCII", auth(b"Bearer \xc3\xa9"), Some(UNREADABLE)),
        ("no space", auth(format!("Bearer={key}")), Some(UNREADABLE)),
        (
            "the same twice",
            [auth(format!("Bearer {key}")), auth(format!("Bearer {key}"))].concat(),
            Some(UNREADABLE),
        ),
        (
            "another scheme first",
            [auth("Basic YTpi"), auth(format!("Bearer {key}"))].concat(),
            Some(UNREADABLE),
        ),
        (
            "an empty one last",
            [auth(format!("Bearer {key}")), auth("")].concat(),
            Some(UNREADABLE),
        ),
        ("not a key", auth("Bearer x"), Some(DEAD)),
        (
            "a JSON web token",
            auth("Bearer eyJhbGciOiJIUzI1NiJ9.e30.c2ln"),
            Some(DEAD),
        ),
        (
            "an unknown key",
            auth(format!("Bearer {}", ground.unknown_key())),
            Some(DEAD),
        ),
        (
            "a key with padding",
            auth(format!("Bearer {key}=")),
            Some(DEAD),
        ),
        ("257 bytes", auth(format!("Bearer {long}")), Some(DEAD)),
        (
            "257 bytes of commas",
            auth(format!("Bearer {}", ",".repeat(257))),
            Some(DEAD),
        ),
        (
            "a tab and 256 bytes",
            auth(format!("Bearer\t{}", &long[1..])),
            Some(DEAD),
        ),
        ("a good key", auth(format!("Bearer {key}")), None),
        ("in any case", auth(format!("bEARER {key}")), None),
        (
            "after many spaces",
            auth(format!("Bearer      {key}")),
            None,
        ),
        ("blanks around it", auth(format!("  Bearer {key} \t")), None),
        (
            "a name in another case",
            vec![line("aUTHORIZATION", format!("Bearer {key}"))],
            None,
        ),
    ]
    .map(|(name, lines, expected)| (name, "/thing", lines, expected));
    assert_all(&server, &rows).await;
}

#[tokio::test]
async fn what_the_route_demands_is_named_in_the_challenge() {
    let ground = Ground::new().await;
    let server = Server::start(app(ApiKeyLayer::new(ground.keyring.clone()))).await;
    let (none, a) = (ground.key(&[]).await, ground.key(&["a"]).await);
    let (b, both) = (ground.key(&["b:*"]).await, ground.key(&["a", "b:*"]).await);
    let all = Refusal::scope(r#"Bearer realm="api", error="insufficient_scope", scope="a b:x""#);
    let any = Refusal::scope(r#"Bearer realm="api", error="insufficient_scope", scope="a b:y""#);
    let bearer = |key: &str| auth(format!("Bearer {key}"));
    assert_all(
        &server,
        &[
            ("all, of none", "/all", bearer(&none), Some(all)),
            ("all, of one", "/all", bearer(&a), Some(all)),
            ("all, of the other", "/all", bearer(&b), Some(all)),
            ("all, of all", "/all", bearer(&both), None),
            ("any, of none", "/any", bearer(&none), Some(any)),
            ("any, of one", "/any", bearer(&a), None),
            ("any, of the other", "/any", bearer(&b), None),
            ("without a key", "/all", vec![], Some(MISSING)),
        ],
    )
    .await;
}

#[tokio::test]
async fn where_no_layer_ran_the_answer_says_nothing_of_it() {
    let ground = Ground::new().await;
    let server = Server::start(app(ApiKeyLayer::new(ground.keyring.clone()))).await;
    let key = auth(format!("Bearer {}", ground.key(&["*"]).await));
    assert_all(
        &server,
        &[
            ("a principal", "/bare", key.clone(), Some(MISCONFIGURED)),
            ("without a key", "/bare", vec![], Some(MISCONFIGURED)),
            ("perhaps a principal", "/maybe", vec![], Some(MISCONFIGURED)),
            ("a demand", "/demand", key, Some(MISCONFIGURED)),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_store_that_cannot_answer_is_503_and_never_401() {
    let short = Duration::from_millis(20);
    let refused = |name| [(name, "/thing", Some(UNAVAILABLE))];

    let ground = Ground::new().await;
    let key = ground.key(&[]).await;
    ground.store.fail();
    assert_rows(&ground, &key, refused("it fails")).await;

    let ground = Ground::with(|builder| builder.lookup_deadline(short)).await;
    let key = ground.key(&[]).await;
    ground.store.hold();
    assert_rows(&ground, &key, refused("it does not answer in time")).await;

    let ground = Ground::new().await;
    let key = ground.key(&[]).await;
    assert_rows(&ground, &key, [("it is there", "/thing", None)]).await;
    ground.store.fail();
    assert_rows(
        &ground,
        &key,
        [("its answer is remembered", "/thing", None)],
    )
    .await;
    ground.clock.advance(Duration::from_secs(6));
    assert_rows(&ground, &key, refused("the lease is over")).await;

    let ground = Ground::with(|builder| builder.unknown_lookups(1, 1)).await;
    let (one, two) = (ground.unknown_key(), ground.unknown_key());
    assert_rows(&ground, &one, [("the budget", "/thing", Some(DEAD))]).await;
    assert_rows(&ground, &two, refused("over the budget")).await;
    assert_rows(&ground, &one, [("remembered", "/thing", Some(DEAD))]).await;
}

#[tokio::test]
async fn a_request_over_the_bound_of_waiters_is_shed() {
    let ground = Ground::with(|builder| {
        let builder = builder.lookups(2, 1);
        builder.lookup_deadline(Duration::from_secs(4))
    })
    .await;
    let server = Server::start(app(ApiKeyLayer::new(ground.keyring.clone()))).await;
    let (first, second) = (ground.key(&[]).await, ground.key(&[]).await);
    ground.store.hold();
    let bearer = line("authorization", format!("Bearer {first}"));
    let lines = [bearer.as_slice()];
    let mut connection = server.connect().await;
    let waiting = connection.send("GET", "/thing", &lines);
    let shed = async {
        while !ground.store.is_being_asked() {
            tokio::task::yield_now().await;
        }
        let bearer = auth(format!("Bearer {second}"));
        assert_all(
            &server,
            &[("one more", "/thing", bearer, Some(UNAVAILABLE))],
        )
        .await;
        ground.store.release();
    };
    let (answer, ()) = tokio::join!(waiting, shed);
    assert_eq!(answer.status, 200, "the one that waited");
}

async fn assert_rows<const N: usize>(
    ground: &Ground,
    key: &str,
    rows: [(&str, &str, Option<Refusal>); N],
) {
    let server = Server::start(app(ApiKeyLayer::new(ground.keyring.clone()))).await;
    let bearer = auth(format!("Bearer {key}"));
    let rows = rows.map(|(name, target, expected)| (name, target, bearer.clone(), expected));
    assert_all(&server, &rows).await;
}

#[tokio::test]
async fn optional_lets_pass_only_what_is_not_for_us() {
    let ground = Ground::new().await;
    let layer = ApiKeyLayer::new(ground.keyring.clone()).optional();
    let server = Server::start(app(layer)).await;
    let key = ground.key(&[]).await;
    let rows = [
        ("no header", vec![], None),
        ("another scheme", auth("Basic YTpi"), None),
        ("a longer scheme", auth("BearerX abc"), None),
        ("a raw key", auth(&key), None),
        ("a good key", auth(format!("Bearer {key}")), None),
        ("nothing", auth(""), Some(UNREADABLE)),
        ("a tab", auth(format!("Bearer\t{key}")), Some(UNREADABLE)),
        (
            "repeated",
            [auth("Basic YTpi"), auth("Basic YTpi")].concat(),
            Some(UNREADABLE),
        ),
        ("a bad key", auth("Bearer x"), Some(DEAD)),
        (
            "a JSON web token",
            auth("Bearer eyJhbGciOiJIUzI1NiJ9.e30.c2ln"),
            Some(DEAD),
        ),
        (
            "an unknown key",
            auth(format!("Bearer {}", ground.unknown_key())),
            Some(DEAD),
        ),
        (
            "too long",
            auth(format!("Bearer {}", "x".repeat(257))),
            Some(DEAD),
        ),
    ]
    .map(|(name, lines, expected)| (name, "/thing", lines, expected));
    assert_all(&server, &rows).await;
    let anonymous = [("a demand", "/all", vec![], Some(MISSING))];
    assert_all(&server, &anonymous).await;
    ground.store.fail();
    let bearer = auth(format!("Bearer {}", ground.unknown_key()));
    let away = [("the store away", "/thing", bearer, Some(UNAVAILABLE))];
    assert_all(&server, &away).await;
}

#[tokio::test]
async fn foreign_bearer_tokens_pass_and_ours_are_judged() {
    let ground = Ground::new().await;
    let layer = ApiKeyLayer::new(ground.keyring.clone()).pass_foreign_bearer();
    let server = Server::start(app(layer)).await;
    let key = ground.key(&[]).await;
    let long = "x".repeat(3000);
    let rows = [
        ("no header", vec![], None),
        ("another scheme", auth("Basic YTpi"), None),
        (
            "a JSON web token",
            auth("Bearer eyJhbGciOiJIUzI1NiJ9.e30.c2ln"),
            None,
        ),
        (
            "a long one",
            auth(format!("Bearer eyJ{long}.e30.c2ln")),
            None,
        ),
        ("a good key", auth(format!("Bearer {key}")), None),
        ("almost our prefix", auth("Bearer acmelive_x"), None),
        ("our prefix", auth("Bearer acme_x"), Some(DEAD)),
        ("our prefix alone", auth("Bearer acme_"), Some(DEAD)),
        (
            "our prefix, long",
            auth(format!("Bearer acme_{long}")),
            Some(DEAD),
        ),
        (
            "an unknown key",
            auth(format!("Bearer {}", ground.unknown_key())),
            Some(DEAD),
        ),
        ("no bearer token", auth("Bearer a,b"), Some(UNREADABLE)),
        ("a tab", auth("Bearer\teyJ"), Some(UNREADABLE)),
        (
            "a tab before a long one",
            auth(format!("Bearer\t{long}")),
            Some(DEAD),
        ),
        (
            "a tab before a long one of ours",
            auth(format!("Bearer\tacme_{long}")),
            Some(DEAD),
        ),
        (
            "long and no bearer token",
            auth(format!("Bearer a,{long}")),
            Some(DEAD),
        ),
        (
            "repeated",
            [auth("Bearer a"), auth("Bearer a")].concat(),
            Some(UNREADABLE),
        ),
        ("nothing", auth(""), Some(UNREADABLE)),
    ]
    .map(|(name, lines, expected)| (name, "/thing", lines, expected));
    assert_all(&server, &rows).await;
}
