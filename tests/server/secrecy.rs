//! No secret is written down: not in a log at TRACE, not in the file, not in a dump of the
//! database.

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::canary;
use crate::client::{Key, bearer};
use crate::process::{ADMIN_TOKEN, Server, Setup, soon};

async fn over_http_2(server: &Server, requests: &[(&str, &str, String)]) {
    let stream = TcpStream::connect(server.address).await.unwrap();
    let (mut client, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    for (path, name, value) in requests {
        let request = Request::get(format!("http://{}{path}", server.address))
            .header(*name, value)
            .body(Full::new(Bytes::from_static(b"{}")))
            .unwrap();
        soon("an answer", client.send_request(request))
            .await
            .unwrap();
    }
}

/// Everything that can be done with keys, and much that cannot.
async fn use_and_misuse(server: &Server, key: &Key, dead: &Key, mistyped: &str) {
    let known = [&*key.secret, &*dead.secret, mistyped, ADMIN_TOKEN];
    for credential in known {
        for path in [
            "/v1/ping",
            "/v1/any",
            "/v1/reports",
            "/v1/twin",
            "/health",
            "/admin/keys",
            "/no",
        ] {
            let good = bearer(credential);
            let line = |text: String| text.into_bytes();
            let mixes: [Vec<Vec<u8>>; 10] = [
                vec![line(good.clone())],
                vec![line(good.clone()), line(good.clone())],
                vec![line(format!("authorization: {credential}"))],
                vec![line(format!("authorization: Basic {credential}"))],
                vec![line(format!("authorization: Bearer\t{credential}"))],
                vec![line(format!(
                    "authorization: Bearer {credential} {credential}"
                ))],
                vec![line(format!("x-api-key: {credential}"))],
                vec![line(format!("cookie: key={credential}"))],
                vec![line(format!(
                    "authorization: Bearer {}",
                    credential.repeat(8)
                ))],
                // Not a header at all.
                vec![line(format!("{credential} {credential}"))],
            ];
            for mix in mixes {
                let lines: Vec<&[u8]> = mix.iter().map(Vec::as_slice).collect();
                for method in ["GET", "HEAD", "POST"] {
                    server.try_send(method, path, &lines, b"").await.unwrap();
                }
            }
        }
        // In bodies: as a name of a field, as a value, as what is not JSON, as a cursor's kin.
        for body in [
            json!({ credential: 1 }),
            json!({"name": "n", "scopes": [format!("{credential}!")]}),
            json!({"name": format!("{credential}\u{7}"), "scopes": []}),
            json!({"name": "n", "scopes": [], "expires_in": credential}),
            json!({"name": "n", "scopes": [], "environment": credential}),
            json!({"name": "n", "scopes": credential}),
        ] {
            // Whoever writes the admin token into a field, and that is one who has it, is told which
            // part of it no scope can be. What has the form of a key is never repeated.
            if credential == ADMIN_TOKEN {
                continue;
            }
            let answer = server.try_admin(ADMIN_TOKEN, "POST", "/keys", &body).await;
            answer.unwrap().is(422);
        }
        let lines = [
            bearer(ADMIN_TOKEN),
            "content-type: application/json".to_owned(),
        ];
        let lines: Vec<&[u8]> = lines.iter().map(String::as_bytes).collect();
        let answer = server
            .try_send("POST", "/admin/keys", &lines, credential.as_bytes())
            .await;
        answer.unwrap().is(400);
        over_http_2(
            server,
            &[
                ("/v1/ping", "authorization", format!("Bearer {credential}")),
                (
                    "/admin/keys",
                    "authorization",
                    format!("Bearer {credential}"),
                ),
                ("/v1/ping", "x-api-key", credential.to_owned()),
                ("/v1/ping", "authorization", credential.to_owned()),
            ],
        )
        .await;
    }
}

fn mistype(secret: &str) -> String {
    let (rest, last) = secret.split_at(secret.len() - 1);
    let other = if last == "0" { '1' } else { '0' };
    format!("{rest}{other}")
}

/// A server on which everything was done, with two keys of its own.
async fn used(setup: &Setup) -> Server {
    let server = setup.start().await;
    let key = server
        .create(json!({"name": "n", "scopes": ["keys:read"]}))
        .await;
    let dead = server.a_key().await;
    server.revoke(&dead).await;
    let mistyped = mistype(&key.secret);
    canary::know(&mistyped);
    use_and_misuse(&server, &key, &dead, &mistyped).await;
    server
}

async fn logged_at_all(server: Server) {
    let ended = server.kill().await;
    assert!(ended.stderr.contains("TRACE"), "it was logged at all");
    assert!(ended.stderr.contains("request refused"), "{}", ended.stderr);
    assert_eq!(ended.stdout, "");
}

#[tokio::test]
async fn no_secret_is_in_a_log_or_in_the_file() {
    let setup = Setup::sqlite();
    let server = used(&setup).await;
    // While the last writes are only in the log beside the file.
    let files = std::fs::read_dir(setup.folder.path()).unwrap();
    assert!(files.count() >= 2, "the file and its log");
    setup.folder.search();
    logged_at_all(server).await;
}

#[cfg(unix)]
#[tokio::test]
async fn no_secret_is_in_a_log_or_in_a_dump_of_the_database() {
    use crate::cluster::{CARELESS, Cluster};

    let Some(cluster) = Cluster::start(CARELESS) else {
        return;
    };
    let database = cluster.create_database();
    let setup = Setup::memory().with("DATABASE_URL", &cluster.url(&database));
    let server = used(&setup).await;
    let dump = cluster.dump(&database);
    assert!(dump.contains("acme_live_"), "the hints of the keys");
    canary::absent_from_a_database("a dump", &dump);
    canary::absent_from_a_database("the log of Postgres", cluster.log());
    logged_at_all(server).await;
}

#[tokio::test]
async fn the_first_key_is_only_where_it_is_printed() {
    let setup = Setup::sqlite().without("PORTCULLIS_ADMIN_TOKEN");
    let ended = setup.start().await.kill().await;
    let at = ended.stdout.find("acme_live_").expect("the first key");
    let secret = ended.stdout[at..]
        .split_whitespace()
        .next()
        .unwrap()
        .to_owned();
    canary::know(&secret);
    canary::absent("the log", &ended.stderr);

    let server = setup.start().await;
    let list = server
        .try_admin(&secret, "GET", "/keys", &Value::Null)
        .await;
    list.unwrap().is(200);
    assert_eq!(server.kill().await.stdout, "");
}
