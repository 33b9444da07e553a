//! Nothing in a request switches the check off.

use axum::Router;
use axum::routing::any;
use portcullis::ApiKeyLayer;

use crate::ground::Ground;
use crate::wire::{Server, line};

/// Whatever gets past the gate is answered with 200, whatever it is.
async fn everywhere(ground: &Ground) -> Server {
    let app = Router::new()
        .route("/thing", any(async || "inside"))
        .fallback(async || "inside")
        .layer(ApiKeyLayer::new(ground.keyring.clone()));
    Server::start(app).await
}

/// One route is protected, and unknown paths are not found.
async fn on_the_route(ground: &Ground) -> Server {
    let app = Router::new()
        .route("/thing", any(async || "inside"))
        .route("/thing/{id}", any(async || "inside"))
        .route_layer(ApiKeyLayer::new(ground.keyring.clone()));
    Server::start(app).await
}

const METHODS: [&str; 16] = [
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "QUERY",
    "LOCK", "PURGE", "M-SEARCH", "get", "HEADX", "BREW",
];

#[tokio::test]
async fn no_method() {
    let ground = Ground::new().await;
    let bearer = line("authorization", format!("Bearer {}", ground.key(&[]).await));
    let preflight = [
        &b"Origin: https://a.test"[..],
        b"Access-Control-Request-Method: GET",
    ];
    for server in [everywhere(&ground).await, on_the_route(&ground).await] {
        for method in METHODS {
            assert_eq!(
                server.send(method, "/thing", &[]).await.status,
                401,
                "{method}"
            );
            assert_eq!(
                server.send(method, "/thing", &preflight).await.status,
                401,
                "{method}"
            );
            let inside = server.send(method, "/thing", &[&bearer]).await;
            assert_eq!(inside.status, 200, "{method}");
        }
        let connect = server.send("CONNECT", "gate.test:443", &[]).await;
        assert_ne!(connect.status, 200);
    }
}

const TARGETS: [&str; 36] = [
    "/thing",
    "/thing/",
    "//thing",
    "///thing",
    "/./thing",
    "/x/../thing",
    "/thing/.",
    "/thing/..",
    "/thing/../thing",
    "/%74hing",
    "/%2fthing",
    "/%2e/thing",
    "/thing%2f",
    "/thing%00",
    "/thing%20",
    "/thing%0d%0a",
    "/thing;x=1",
    "/;/thing",
    "/thing?",
    "/thing?x",
    "/thing??",
    "/thing?public=true&auth=off",
    "/thing#x",
    "/THING",
    "/Thing",
    "/thing.json",
    "/thing~",
    "/thing\\",
    "/\\thing",
    "/thing,",
    "/thing/favicon.ico",
    "/health",
    "/.well-known/thing",
    "*",
    "http://gate.test/thing",
    "http://user:pass@gate.test/thing",
];

#[tokio::test]
async fn no_spelling_of_the_path() {
    let ground = Ground::new().await;
    let server = everywhere(&ground).await;
    for target in TARGETS {
        for method in ["GET", "OPTIONS", "POST"] {
            let status = server.send(method, target, &[]).await.status;
            // What the server itself cannot read, it answers 400.
            assert!([400, 401].contains(&status), "{method} {target}: {status}");
        }
    }
    let server = on_the_route(&ground).await;
    for target in TARGETS {
        let status = server.send("GET", target, &[]).await.status;
        assert!([400, 401, 404].contains(&status), "{target}: {status}");
    }
    let status = server.send("GET", "/thing?x", &[]).await.status;
    assert_eq!(status, 401);
}

/// Headers that have opened doors elsewhere. `{key}` is a good key.
const HEADERS: [&str; 72] = [
    "X-Original-URL: /health",
    "X-Rewrite-URL: /health",
    "X-Original-URI: /health",
    "X-Accel-Redirect: /thing",
    "X-Forwarded-Uri: /health",
    "X-Forwarded-Path: /health",
    "X-Forwarded-Prefix: /health",
    "X-HTTP-Method-Override: OPTIONS",
    "X-HTTP-Method: OPTIONS",
    "X-Method-Override: HEAD",
    "X-Middleware-Subrequest: middleware:middleware:middleware:middleware:middleware",
    "X-Middleware-Subrequest: src/middleware",
    "X-Forwarded-For: 127.0.0.1",
    "X-Forwarded-For: ::1",
    "X-Forwarded-Host: localhost",
    "X-Forwarded-Proto: https",
    "X-Forwarded-Port: 443",
    "X-Forwarded-Server: localhost",
    "X-Forwarded-User: admin",
    "X-Forwarded-Email: admin@gate.test",
    "X-Forwarded-Client-Cert: Hash=00",
    "X-Forwarded: for=127.0.0.1",
    "Forwarded: for=127.0.0.1;proto=https",
    "Forwarded-For: 127.0.0.1",
    "X-Real-IP: 127.0.0.1",
    "X-Client-IP: 127.0.0.1",
    "X-Remote-IP: 127.0.0.1",
    "X-Remote-Addr: 127.0.0.1",
    "X-Originating-IP: 127.0.0.1",
    "X-Custom-IP-Authorization: 127.0.0.1",
    "X-Cluster-Client-IP: 127.0.0.1",
    "X-ProxyUser-Ip: 127.0.0.1",
    "True-Client-IP: 127.0.0.1",
    "CF-Connecting-IP: 127.0.0.1",
    "Client-IP: 127.0.0.1",
    "Via: 1.1 localhost",
    "X-Host: localhost",
    "X-Remote-User: admin",
    "Remote-User: admin",
    "X-User: admin",
    "X-User-Id: 1",
    "X-Auth-Request-User: admin",
    "X-Authenticated-User: admin",
    "X-Consumer-Username: admin",
    "X-Api-Consumer: admin",
    "X-Internal: true",
    "X-Internal-Request: 1",
    "X-Debug: 1",
    "X-Bypass: 1",
    "X-Skip-Auth: 1",
    "X-Admin: true",
    "X-Health-Check: 1",
    "User-Agent: kube-probe/1.30",
    "User-Agent: ELB-HealthChecker/2.0",
    "Referer: https://gate.test/admin",
    "Origin: null",
    "Sec-Fetch-Site: same-origin",
    "Upgrade: h2c",
    "Expect: x",
    "Connection: authorization",
    "Connection: close, Authorization",
    "Proxy-Authorization: Bearer {key}",
    "X-Authorization: Bearer {key}",
    "X-Forwarded-Authorization: Bearer {key}",
    "X-Original-Authorization: Bearer {key}",
    "Authentication: Bearer {key}",
    "Authorization-Bearer: {key}",
    "X-Api-Key: {key}",
    "X-Auth-Token: {key}",
    "X-Access-Token: {key}",
    "Cookie: authorization=Bearer {key}; token={key}",
    "Sec-WebSocket-Protocol: bearer, {key}",
];

#[tokio::test]
async fn no_other_header() {
    let ground = Ground::new().await;
    let key = ground.key(&["*", "keys:admin"]).await;
    let basic = "authorization: Basic YTpi".to_owned();
    let bad = format!("authorization: Bearer {}", ground.unknown_key());
    let mut all = Vec::new();
    for server in [everywhere(&ground).await, on_the_route(&ground).await] {
        for header in HEADERS {
            let header = header.replace("{key}", &key);
            for beside in [None, Some(&basic), Some(&bad)] {
                let mut lines = vec![header.as_bytes()];
                lines.extend(beside.map(String::as_bytes));
                let status = server.send("GET", "/thing", &lines).await.status;
                assert_eq!(status, 401, "{header} {beside:?}");
            }
            all.push(header);
        }
        let is_alone =
            |header: &&String| !header.starts_with("Expect") && !header.starts_with("Upgrade");
        let lines: Vec<&[u8]> = all
            .iter()
            .filter(is_alone)
            .map(String::as_bytes)
            .take(60)
            .collect();
        assert_eq!(
            server.send("GET", "/thing", &lines).await.status,
            401,
            "all at once"
        );
    }
}

#[tokio::test]
async fn no_key_in_the_query_or_the_body() {
    let ground = Ground::new().await;
    let server = everywhere(&ground).await;
    let key = ground.key(&[]).await;
    for name in [
        "access_token",
        "api_key",
        "apikey",
        "key",
        "token",
        "authorization",
    ] {
        let target = format!("/thing?{name}={key}&{name}=Bearer%20{key}");
        assert_eq!(server.send("GET", &target, &[]).await.status, 401, "{name}");
        let body = format!("{name}={key}");
        let length = line("content-length", body.len().to_string());
        let form = line("content-type", "application/x-www-form-urlencoded");
        // The body comes after the empty line that ends the head.
        let last = [&length[..], b"\r\n\r\n", body.as_bytes()].concat();
        let answer = server.send("POST", "/thing", &[&form, &last]).await;
        assert_eq!(answer.status, 401, "{name}");
    }
    let target = format!("http://x:{key}@gate.test/thing");
    assert_ne!(server.send("GET", &target, &[]).await.status, 200);
    assert_eq!(ground.store.asked(), 0);
}
