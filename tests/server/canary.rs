//! No secret is written down: not in a log at TRACE, not in the file.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpStream;

use crate::client::{Key, bearer};
use crate::process::{ADMIN_TOKEN, Server, Setup, soon};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// All forms in which a secret could be written down.
fn forms(secret: &str) -> Vec<String> {
    let mut forms = vec![secret.to_owned()];
    if let Some(rest) = secret.strip_prefix("acme_live_") {
        // The body, and each half of it.
        forms.extend([&rest[..32], &rest[..16], &rest[16..32]].map(str::to_owned));
    } else {
        forms.push(secret[..16].to_owned());
    }
    forms.push(STANDARD_NO_PAD.encode(secret));
    forms.push(URL_SAFE_NO_PAD.encode(secret));
    forms.push(hex(secret.as_bytes()));
    let digest = Sha256::digest(secret.as_bytes());
    forms.extend([hex(&digest), hex(&digest).to_uppercase()]);
    forms.push(STANDARD_NO_PAD.encode(digest));
    // As `Debug` shows bytes.
    let bytes = format!("{:?}", &secret.as_bytes()[..12]);
    forms.push(bytes.trim_end_matches(']').to_owned());
    let bytes = format!("{:?}", &digest[..]);
    forms.push(bytes);
    forms
}

fn assert_hidden(secrets: &[&str], text: &str, place: &str) {
    for secret in secrets {
        for form in forms(secret) {
            if let Some(at) = text.find(&form) {
                let from = text[..at].rfind('\n').map_or(0, |at| at + 1);
                let line = text[from..].lines().next().unwrap();
                panic!("{place} shows {form}: {line}");
            }
        }
    }
}

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

#[tokio::test]
async fn no_secret_is_in_a_log_or_in_the_file() {
    let setup = Setup::sqlite().with("RUST_LOG", "trace");
    let server = setup.start().await;
    let key = server
        .create(json!({"name": "n", "scopes": ["keys:read"]}))
        .await;
    let dead = server.a_key().await;
    server.revoke(&dead).await;
    let mistyped = mistype(&key.secret);
    use_and_misuse(&server, &key, &dead, &mistyped).await;

    // While the last writes are only in the log beside the file.
    let mut files = 0;
    for entry in std::fs::read_dir(setup.folder.path()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        // Each byte becomes one character, so that text is found among others.
        let text: String = bytes.iter().map(|&byte| char::from(byte)).collect();
        for secret in [&*key.secret, &*dead.secret, ADMIN_TOKEN] {
            let plain = forms(secret);
            // The digest is there to be found by.
            let hidden = plain.iter().find(|form| text.contains(*form));
            assert_eq!(hidden, None, "{}", path.display());
        }
        files += 1;
    }
    assert!(files >= 2, "the file and its log");

    let ended = server.kill().await;
    let secrets = [&*key.secret, &*dead.secret, &*mistyped, ADMIN_TOKEN];
    assert!(ended.stderr.contains("TRACE"), "it was logged at all");
    assert_eq!(ended.stdout, "");
    assert_hidden(&secrets, &ended.stderr, "the log");
}

#[tokio::test]
async fn the_first_key_is_only_where_it_is_printed() {
    let setup = Setup::sqlite()
        .without("PORTCULLIS_ADMIN_TOKEN")
        .with("RUST_LOG", "trace");
    let ended = setup.start().await.kill().await;
    let at = ended.stdout.find("acme_live_").expect("the first key");
    let secret = ended.stdout[at..]
        .split_whitespace()
        .next()
        .unwrap()
        .to_owned();

    let server = setup.start().await;
    let list = server
        .try_admin(&secret, "GET", "/keys", &Value::Null)
        .await;
    list.unwrap().is(200);
    let again = server.kill().await;
    for text in [&ended.stderr, &again.stderr, &again.stdout] {
        assert_hidden(&[&secret], text, "the output");
    }
}
