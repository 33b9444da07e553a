//! What the settings of a layer change about its answers, and what they do not.

use http::HeaderName;
use portcullis::Rejection;

use crate::challenge::{self, Challenge};
use crate::client::BOTH;
use crate::ground::{Ground, Server, unknown_key, well_formed};
use crate::message::Request;
use crate::refusal::Refusal;
use crate::table::{JSON_WEB_TOKEN, app, assert_all, at, auth};

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

#[tokio::test]
async fn a_key_in_another_header() {
    let ground = Ground::new().await;
    let key = ground.key(&[]).await;
    let bearer = format!("Bearer {key}");
    let here = |value: &str| Request::get("/thing").line("x-api-key", value);
    let dead = || Some(Refusal::dead());
    let unreadable = || Some(Refusal::unreadable());
    let layer = ground.layer().with_header(X_API_KEY);
    let rows = [
        ("a key", here(&key), None),
        (
            "beside a bearer",
            here(&key).authorization("Bearer x"),
            None,
        ),
        ("nothing", here(""), unreadable()),
        ("twice", here(&key).line("X-Api-Key", &key), unreadable()),
        ("with a scheme", here(&bearer), unreadable()),
        ("not a key", here("x"), dead()),
        ("unknown", here(&unknown_key()), dead()),
        ("too long", here(&"x".repeat(257)), dead()),
    ];
    let told = [("cache-control", "private"), ("vary", "x-api-key")];
    assert_all(app(layer.clone()), &rows, &told).await;
    let rows = [
        ("nowhere", Request::get("/thing"), Some(Refusal::missing())),
        ("in Authorization", auth(&bearer), Some(Refusal::missing())),
    ];
    assert_all(app(layer), &rows, &told[1..]).await;

    let layer = ground.layer().add_header(X_API_KEY);
    let two_places = [
        (
            "two places",
            here(&key).authorization(&bearer),
            unreadable(),
        ),
        (
            "one of them empty",
            here("").authorization(&bearer),
            unreadable(),
        ),
        (
            "one of them bad",
            here(&key).authorization("Bearer x"),
            unreadable(),
        ),
        (
            "beside another scheme",
            here(&key).authorization("Basic YTpi"),
            None,
        ),
    ];
    assert_all(app(layer.clone()), &two_places, &told).await;
    let rows = [("in Authorization", auth(&bearer), None)];
    assert_all(app(layer.clone()), &rows, &told[1..]).await;

    let server = Server::start(app(layer)).await;
    let cached = Request::get("/cached").line("x-api-key", &key);
    for protocol in BOTH {
        let answer = server.client(protocol).send(&cached).await;
        let said = (answer.one("cache-control"), answer.all("vary"));
        let expected = (Some("public, max-age=60"), vec!["accept", "x-api-key"]);
        assert_eq!(said, expected, "what the application says stays");
    }
}

#[tokio::test]
async fn an_optional_key() {
    let ground = Ground::new().await;
    let key = ground.key(&[]).await;
    let bearer = |token: &str| auth(format!("Bearer {token}"));
    let rows = [
        ("no header", Request::get("/thing"), None),
        ("another scheme", auth("Basic YTpi"), None),
        ("a good key", bearer(&key), None),
        ("a bad key", bearer("x"), Some(Refusal::dead())),
        (
            "a JSON web token",
            auth(JSON_WEB_TOKEN),
            Some(Refusal::dead()),
        ),
        (
            "an unknown key",
            bearer(&unknown_key()),
            Some(Refusal::dead()),
        ),
        (
            "repeated",
            auth("Basic YTpi").authorization("Basic YTpi"),
            Some(Refusal::unreadable()),
        ),
        ("nothing", auth(""), Some(Refusal::unreadable())),
        ("a demand", Request::get("/all"), Some(Refusal::missing())),
    ];
    assert_all(app(ground.layer().optional()), &rows, &[]).await;
    let foreign = [
        ("a JSON web token", auth(JSON_WEB_TOKEN), None),
        ("almost our prefix", bearer("acmelive_x"), None),
        ("our prefix", bearer("acme_x"), Some(Refusal::dead())),
        (
            "no bearer token",
            bearer("a,b"),
            Some(Refusal::unreadable()),
        ),
    ];
    assert_all(app(ground.layer().pass_foreign_bearer()), &foreign, &[]).await;
    ground.faults.fail();
    let unknown = bearer(&well_formed("live", &"B".repeat(32)));
    let away = [("the store away", unknown, Some(Refusal::unavailable()))];
    assert_all(app(ground.layer().optional()), &away, &[]).await;

    let server = Server::start(app(ground.layer().optional())).await;
    for protocol in BOTH {
        let answer = server.client(protocol).send(&auth("Basic YTpi")).await;
        let seen = r#"inside for nobody, seeing [("authorization", 1), ("x-api-key", 0)]"#;
        assert_eq!(answer.body, seen, "what is somebody else's is kept");
    }
}

#[tokio::test]
async fn the_realm_and_the_types_of_problems() {
    let ground = Ground::new().await;
    let key = ground.key(&[]).await;
    let layer = ground.layer().realm(r#"a "b" \c, d="#).unwrap();
    let layer = layer.problem_types("https://api.example/problems/");
    let in_realm = |mut refusal: Refusal, r#type| {
        refusal.realm = r#"a "b" \c, d="#;
        refusal.r#type = r#type;
        Some(refusal)
    };
    let rows = [
        (
            "no header",
            Request::get("/thing"),
            in_realm(
                Refusal::missing(),
                "https://api.example/problems/missing_credentials",
            ),
        ),
        (
            "nothing",
            auth(""),
            in_realm(
                Refusal::unreadable(),
                "https://api.example/problems/invalid_request",
            ),
        ),
        (
            "not a key",
            auth("Bearer x"),
            in_realm(
                Refusal::dead(),
                "https://api.example/problems/invalid_token",
            ),
        ),
        (
            "no scope",
            at("/all", &key),
            in_realm(
                Refusal::out_of_scope("a b:x"),
                "https://api.example/problems/insufficient_scope",
            ),
        ),
    ];
    assert_all(app(layer.unwrap()), &rows, &[]).await;
}

#[tokio::test]
async fn a_challenge_of_the_application_stays_and_ours_is_one_more_line() {
    let ground = Ground::new().await;
    let layer = ground.layer().responder(|rejection: &Rejection| {
        http::Response::builder()
            .status(rejection.status())
            .header("www-authenticate", r#"Basic realm="old", Negotiate"#)
            .body(bytes::Bytes::from_static(b"no\n"))
            .unwrap()
    });
    let server = Server::start(app(layer)).await;
    for protocol in BOTH {
        let mut client = server.client(protocol);
        for (request, refusal) in [
            (Request::get("/thing"), Refusal::missing()),
            (auth("Bearer x"), Refusal::dead()),
            (auth(""), Refusal::unreadable()),
        ] {
            let answer = client.send(&request).await;
            assert_eq!((answer.status, &*answer.body), (refusal.status, "no\n"));
            let lines = answer.all("www-authenticate").into_iter();
            let challenges: Vec<Vec<Challenge>> =
                lines.map(|line| challenge::parse(line).unwrap()).collect();
            let [theirs, ours] = &challenges[..] else {
                panic!("two lines: {answer:?}");
            };
            let schemes: Vec<_> = theirs.iter().map(|theirs| &*theirs.scheme).collect();
            assert_eq!(schemes, ["Basic", "Negotiate"]);
            assert_eq!(ours[..], [refusal.challenge().unwrap()]);
        }
    }
}

#[tokio::test]
async fn the_credential_is_taken_out_unless_it_is_to_stay() {
    let ground = Ground::new().await;
    let key = ground.key(&[]).await;
    for (layer, lines) in [(ground.layer(), 0), (ground.layer().keep_credential(), 1)] {
        let server = Server::start(app(layer)).await;
        for protocol in BOTH {
            let answer = server.client(protocol).send(&at("/thing", &key)).await;
            let seen = format!(r#"seeing [("authorization", {lines}), ("x-api-key", 0)]"#);
            assert!(answer.body.ends_with(&seen), "{protocol:?}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn a_call_of_grpc_is_refused_in_trailers_where_the_layer_was_told_to() {
    let ground = Ground::new().await;
    let key = ground.key(&[]).await;
    let call =
        |target: &str| Request::new("POST", target).line("content-type", "application/grpc+proto");
    let rows = [
        (call("/thing").authorization(""), "3", Refusal::unreadable()),
        (call("/thing"), "16", Refusal::missing()),
        (call("/thing").key(&unknown_key()), "16", Refusal::dead()),
        (call("/all").key(&key), "7", Refusal::out_of_scope("a b:x")),
    ];
    let told = Server::start(app(ground.layer().grpc())).await;
    let not_told = Server::start(app(ground.layer())).await;
    for protocol in BOTH {
        for (request, status, refusal) in &rows {
            let answer = told.client(protocol).send(request).await;
            assert_eq!((answer.status, &*answer.body), (200, ""), "{protocol:?}");
            assert_eq!(answer.one("content-type"), Some("application/grpc"));
            assert_eq!(answer.one("grpc-status"), Some(*status), "{protocol:?}");
            assert_eq!(answer.one("www-authenticate"), None);
            let plain = not_told.client(protocol).send(request).await;
            refusal.assert("without being told", &plain, plain.body.len());
        }
    }
    ground.faults.fail();
    let other = well_formed("live", &"B".repeat(32));
    for protocol in BOTH {
        let answer = told
            .client(protocol)
            .send(&call("/thing").key(&other))
            .await;
        assert_eq!(answer.one("grpc-status"), Some("14"), "{protocol:?}");
        assert_eq!(answer.one("retry-after"), None);
    }
}
