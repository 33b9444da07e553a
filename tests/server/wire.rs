//! The gate's answers, byte for byte, by a client that knows nothing of the crate.

use serde_json::json;

use crate::client::{Answer, Key, bearer};
use crate::process::{Server, Setup};

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A key as the documentation describes it: CRC-32 in base62, padded with `0`.
fn well_formed(environment: &str, body: &str) -> String {
    let start = format!("acme_{environment}_{body}");
    let mut crc = crc32fast::hash(start.as_bytes());
    let mut checksum = [b'0'; 6];
    for digit in checksum.iter_mut().rev() {
        *digit = ALPHABET[(crc % 62) as usize];
        crc /= 62;
    }
    start + std::str::from_utf8(&checksum).unwrap()
}

struct Keys {
    good: Key,
    revoked: Key,
    disabled: Key,
    expired: Key,
}

async fn keys(server: &Server) -> Keys {
    let short = json!({"name": "short", "scopes": [], "expires_in": "1s"});
    let keys = Keys {
        expired: server.create(short).await,
        good: server.a_key().await,
        revoked: server.a_key().await,
        disabled: server.a_key().await,
    };
    server.revoke(&keys.revoked).await;
    server.enable(&keys.disabled, false).await;
    crate::process::until(std::time::Duration::from_secs(5), "expiry", async || {
        !server.opens(&keys.expired).await
    })
    .await;
    keys
}

fn problem(status: u16, title: &str, code: &str, challenge: &str) -> Answer {
    let body =
        format!(r#"{{"type":"about:blank","title":"{title}","status":{status},"code":"{code}"}}"#);
    let headers = [
        ("content-type", "application/problem+json"),
        ("www-authenticate", challenge),
        ("content-length", &body.len().to_string()),
        ("connection", "close"),
    ];
    let mut headers = headers.map(|(n, v)| (n.to_owned(), v.to_owned())).to_vec();
    headers.sort();
    Answer {
        status,
        headers,
        body,
    }
}

fn missing() -> Answer {
    let challenge = r#"Bearer realm="api""#;
    problem(401, "Unauthorized", "missing_credentials", challenge)
}

fn malformed() -> Answer {
    let challenge = r#"Bearer realm="api", error="invalid_request""#;
    problem(400, "Bad Request", "invalid_request", challenge)
}

fn dead() -> Answer {
    let challenge = r#"Bearer realm="api", error="invalid_token""#;
    problem(401, "Unauthorized", "invalid_token", challenge)
}

fn out_of_scope() -> Answer {
    let challenge = r#"Bearer realm="api", error="insufficient_scope", scope="reports:read""#;
    problem(403, "Forbidden", "insufficient_scope", challenge)
}

async fn ask(server: &Server, method: &str, target: &str, lines: &[Vec<u8>]) -> Answer {
    let lines: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
    let mut answer = server.send(method, target, &lines).await;
    answer.headers.sort();
    answer
}

fn one(text: impl AsRef<[u8]>) -> Vec<Vec<u8>> {
    vec![[b"authorization: ", text.as_ref()].concat()]
}

/// A name, lines of a head, and the refusal if it is one.
type Row = (&'static str, Vec<Vec<u8>>, Option<Answer>);

#[expect(clippy::too_many_lines, reason = "a table")]
fn table(keys: &Keys) -> Vec<Row> {
    let key = &keys.good.secret;
    let twice = |a: &str, b: &str| [one(a), one(b)].concat();
    let padded = |length: usize, last: char| format!("Bearer {:x<1$}{last}", "", length - 1);
    let good = format!("Bearer {key}");
    vec![
        ("a good key", one(&good), None),
        ("any case", one(format!("bEARER {key}")), None),
        ("many spaces", one(format!("Bearer      {key}")), None),
        ("space around it", one(format!("  Bearer {key} \t ")), None),
        (
            "another spelling of the header",
            vec![format!("AUTHORIZATION:{good}").into_bytes()],
            None,
        ),
        ("nothing", vec![], Some(missing())),
        ("another scheme", one("Basic YTpi"), Some(missing())),
        ("a raw key", one(key), Some(missing())),
        (
            "a scheme that begins alike",
            one(format!("BearerX {key}")),
            Some(missing()),
        ),
        (
            "a key elsewhere",
            vec![format!("x-api-key: {key}").into_bytes()],
            Some(missing()),
        ),
        (
            "a key in a cookie",
            vec![format!("cookie: authorization={good}").into_bytes()],
            Some(missing()),
        ),
        (
            "a proxy's header",
            vec![format!("proxy-authorization: {good}").into_bytes()],
            Some(missing()),
        ),
        (
            "a long other scheme",
            one(format!("Basic {}", "x".repeat(300))),
            Some(missing()),
        ),
        ("empty", one(""), Some(malformed())),
        ("blank", one("   "), Some(malformed())),
        ("no token", one("Bearer"), Some(malformed())),
        ("spaces for a token", one("Bearer   "), Some(malformed())),
        ("a tab", one(format!("Bearer\t{key}")), Some(malformed())),
        (
            "a space and a tab",
            one(format!("Bearer \t{key}")),
            Some(malformed()),
        ),
        (
            "two tokens",
            one(format!("{good} {key}")),
            Some(malformed()),
        ),
        (
            "parameters",
            one(format!("{good}, realm=x")),
            Some(malformed()),
        ),
        (
            "in quotes",
            one(format!("Bearer \"{key}\"")),
            Some(malformed()),
        ),
        ("a colon", one(format!("Bearer: {key}")), Some(malformed())),
        ("UTF-8", one("Bearer clé"), Some(malformed())),
        ("no UTF-8", one(b"Bearer \xff\xfe"), Some(malformed())),
        ("only padding", one("Bearer ==="), Some(malformed())),
        ("the same twice", twice(&good, &good), Some(malformed())),
        (
            "another scheme first",
            twice("Basic YTpi", &good),
            Some(malformed()),
        ),
        (
            "another scheme last",
            twice(&good, "Basic YTpi"),
            Some(malformed()),
        ),
        ("an empty line first", twice("", &good), Some(malformed())),
        (
            "another scheme twice",
            twice("Basic YTpi", "Basic YTpi"),
            Some(malformed()),
        ),
        (
            "256 bytes, one of them odd",
            one(padded(256, '!')),
            Some(malformed()),
        ),
        ("256 bytes", one(padded(256, 'x')), Some(dead())),
        (
            "257 bytes, one of them odd",
            one(padded(257, '!')),
            Some(dead()),
        ),
        ("257 bytes", one(padded(257, 'x')), Some(dead())),
        ("8000 bytes", one(padded(8000, 'x')), Some(dead())),
        ("no key", one("Bearer x"), Some(dead())),
        (
            "a JSON Web Token",
            one("Bearer eyJhbGciOiJub25lIn0.e30."),
            Some(dead()),
        ),
        ("too short", one(&good[..good.len() - 1]), Some(dead())),
        ("too long", one(format!("{good}0")), Some(dead())),
        ("padded", one(format!("{good}=")), Some(dead())),
        (
            "in capitals",
            one(format!("Bearer {}", key.to_uppercase())),
            Some(dead()),
        ),
        (
            "a wrong checksum",
            one("Bearer acme_live_00000000000000000000000000000000000000"),
            Some(dead()),
        ),
        (
            "unknown",
            one(format!("Bearer {}", well_formed("live", &"A".repeat(32)))),
            Some(dead()),
        ),
        (
            "another environment",
            one(format!("Bearer {}", well_formed("test", &key[10..42]))),
            Some(dead()),
        ),
        (
            "revoked",
            one(format!("Bearer {}", keys.revoked.secret)),
            Some(dead()),
        ),
        (
            "disabled",
            one(format!("Bearer {}", keys.disabled.secret)),
            Some(dead()),
        ),
        (
            "expired",
            one(format!("Bearer {}", keys.expired.secret)),
            Some(dead()),
        ),
    ]
}

#[tokio::test]
async fn each_row_of_the_table_on_the_wire() {
    let setup = Setup::sqlite();
    let server = setup.start().await;
    let keys = keys(&server).await;
    // The checksum is what it is said to be.
    assert_eq!(
        well_formed("live", &keys.good.secret[10..42]),
        keys.good.secret
    );
    for (name, lines, refusal) in table(&keys) {
        for (method, target) in [
            ("GET", "/v1/ping"),
            ("GET", "/v1/twin"),
            ("GET", "/v1/any?x=1"),
            ("POST", "/v1/any"),
            ("HEAD", "/v1/ping"),
            ("GET", "/v1/reports"),
            ("HEAD", "/v1/reports"),
        ] {
            let answer = ask(&server, method, target, &lines).await;
            let expected = match &refusal {
                Some(refusal) => Some(refusal.clone()),
                None if target == "/v1/reports" => Some(out_of_scope()),
                None => None,
            };
            let Some(mut expected) = expected else {
                assert_eq!(answer.status, 200, "{name}: {method} {target}: {answer:?}");
                assert_eq!(answer.header("www-authenticate"), None);
                continue;
            };
            if method == "HEAD" {
                expected.body.clear();
            }
            assert_eq!(answer, expected, "{name}: {method} {target}");
        }
    }
}

#[tokio::test]
async fn no_spelling_of_a_request_gets_past_the_gate() {
    let setup = Setup::sqlite();
    let server = setup.start().await;
    for target in [
        "/v1/ping",
        "/v1/ping/",
        "//v1/ping",
        "/v1//ping",
        "/v1/./ping",
        "/v1/x/../ping",
        "/health/../v1/ping",
        "/v1/%70ing",
        "/v1%2fping",
        "/V1/PING",
        "/v1/ping;x",
        "/v1/ping%00",
        "/v1/ping?health",
        "http://server.test/v1/ping",
        "http://server.test/health/../v1/ping",
        "/v1/any",
        "/v1/reports",
        "/v1/twin",
        "/admin/keys",
        "/admin/keys/",
        "/admin//keys",
        "*",
    ] {
        for method in [
            "GET", "HEAD", "POST", "OPTIONS", "CONNECT", "TRACE", "get", "X",
        ] {
            for line in [
                "x: y",
                "x-original-url: /health",
                "x-rewrite-url: /health",
                "x-http-method-override: GET",
                "x-forwarded-for: 127.0.0.1",
                "upgrade: websocket",
                "content-type: application/grpc",
                "access-control-request-method: GET",
            ] {
                let answer = server
                    .try_send(method, target, &[line.as_bytes()], b"")
                    .await;
                // A server that hangs up on what is no request lets nothing in either.
                let Some(answer) = answer else { continue };
                let told = format!("{method} {target} {line}: {answer:?}");
                assert!((400..500).contains(&answer.status), "{told}");
                assert!(!answer.body.contains("key_id"), "{told}");
            }
        }
    }
}

#[tokio::test]
async fn every_byte_in_a_header_gets_an_answer_that_is_promised() {
    let setup = Setup::sqlite();
    let server = setup.start().await;
    let key = server.a_key().await.secret;
    for byte in 0..=u8::MAX {
        for at in [0, 3, 6, 7, 20, key.len() + 6] {
            let mut value = format!("Bearer {key}").into_bytes();
            if value[at] == byte {
                continue;
            }
            value[at] = byte;
            let answer = server
                .try_send(
                    "GET",
                    "/v1/ping",
                    &one(&value).iter().map(Vec::as_slice).collect::<Vec<_>>(),
                    b"",
                )
                .await;
            // The HTTP parser has its own word on bytes that no header may have.
            let Some(answer) = answer else { continue };
            let same_scheme = at < 6 && value[at].eq_ignore_ascii_case(&b"Bearer"[at]);
            let blank_end = at == key.len() + 6 && matches!(byte, b' ' | b'\t');
            if same_scheme {
                assert_eq!(answer.status, 200, "{byte:#04x} at {at}: {answer:?}");
            } else {
                let is_promised = matches!(answer.status, 400 | 401);
                assert!(is_promised || blank_end, "{byte:#04x} at {at}: {answer:?}");
                assert_ne!(answer.status, 200, "{byte:#04x} at {at}: {answer:?}");
            }
        }
    }
    assert_eq!(server.get("/v1/ping", &key).await.status, 200);
}

#[tokio::test]
async fn sizes_and_numbers_of_headers_are_no_failure_of_the_server() {
    let setup = Setup::sqlite();
    let server = setup.start().await;
    for length in [0, 1, 255, 256, 257, 4_000, 60_000, 300_000, 700_000] {
        for scheme in ["Bearer ", "Basic ", ""] {
            let line = [b"authorization: ", scheme.as_bytes(), &vec![b'x'; length]].concat();
            if let Some(answer) = server.try_send("GET", "/v1/ping", &[&line], b"").await {
                assert!((400..500).contains(&answer.status), "{length}: {answer:?}");
            }
        }
    }
    for number in [1, 2, 50, 99, 200] {
        let line = bearer("x");
        let lines = vec![line.as_bytes(); number];
        if let Some(answer) = server.try_send("GET", "/v1/ping", &lines, b"").await {
            assert!((400..500).contains(&answer.status), "{number}: {answer:?}");
        }
    }
    server.send("GET", "/health", &[]).await.is(200);
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a table")]
async fn the_admin_api_judges_in_the_promised_order() {
    let setup = Setup::sqlite();
    let server = setup.start().await;
    let weak = server.a_key().await.secret;
    let reader = json!({"name": "reader", "scopes": ["keys:read"]});
    let reader = server.create(reader).await.secret;
    let admin = crate::process::ADMIN_TOKEN;
    let json = "content-type: application/json";
    let text = "content-type: text/plain";
    let large = "x".repeat(70_000);
    let key = "/keys/key_0000000000000000";
    for (method, path, credential, kind, body, status, code) in [
        ("POST", "/nothing", "", text, "{", 404, ""),
        ("PUT", "/keys", "", text, "{", 405, ""),
        ("POST", "/keys", "", text, "{", 401, "missing_credentials"),
        ("POST", "/keys", "x", text, "{", 401, "invalid_token"),
        (
            "POST",
            "/keys",
            &weak,
            text,
            &large,
            403,
            "insufficient_scope",
        ),
        (
            "POST",
            "/keys",
            &reader,
            text,
            "{",
            403,
            "insufficient_scope",
        ),
        (
            "POST",
            "/keys",
            admin,
            text,
            &large,
            413,
            "payload_too_large",
        ),
        (
            "POST",
            "/keys",
            admin,
            text,
            "{",
            415,
            "unsupported_media_type",
        ),
        ("POST", "/keys", admin, json, "{", 400, "invalid_json"),
        ("POST", "/keys", admin, json, "[]", 422, "invalid_field"),
        ("POST", "/keys", admin, json, "{}", 422, "invalid_field"),
        ("PATCH", key, admin, json, "{\"x\":1}", 422, "invalid_field"),
        ("PATCH", key, admin, json, "{}", 404, "not_found"),
        (
            "GET",
            "/keys?limit=0",
            admin,
            json,
            "",
            422,
            "invalid_field",
        ),
        (
            "GET",
            "/keys?limit=501",
            admin,
            json,
            "",
            422,
            "invalid_field",
        ),
        (
            "GET",
            "/keys?limit=1&limit=1",
            admin,
            json,
            "",
            422,
            "invalid_field",
        ),
        ("GET", "/keys?what=1", admin, json, "", 422, "invalid_field"),
        (
            "GET",
            "/keys?cursor=x",
            admin,
            json,
            "",
            400,
            "invalid_cursor",
        ),
        ("GET", "/keys", &weak, json, "", 403, "insufficient_scope"),
        ("GET", key, &reader, json, "", 404, "not_found"),
    ] {
        let bearer = bearer(credential);
        let mut lines = vec![kind.as_bytes()];
        if !credential.is_empty() {
            lines.push(bearer.as_bytes());
        }
        let target = format!("/admin{path}");
        let answer = server
            .try_send(method, &target, &lines, body.as_bytes())
            .await;
        // An answer to a body that is not read may be lost with it, but for small ones.
        let Some(answer) = answer else {
            assert!(body.len() > 10_000, "{method} {path}");
            continue;
        };
        let told = (answer.status, answer.code());
        assert_eq!(
            told,
            (status, code.to_owned()),
            "{method} {path}: {answer:?}"
        );
        if !matches!(status, 404 | 405) || !code.is_empty() {
            assert_eq!(
                answer.header("cache-control"),
                Some("no-store"),
                "{answer:?}"
            );
            assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        }
    }
}
