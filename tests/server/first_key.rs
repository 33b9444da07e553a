//! Whoever starts a new store without an admin token gets one key, once, on the terminal.

use std::process::Stdio;

use serde_json::Value;

use crate::client::Key;
use crate::process::{Ended, Setup, soon};

fn setup() -> Setup {
    Setup::sqlite().without("PORTCULLIS_ADMIN_TOKEN")
}

/// What looks like a key in a text.
fn keys_in(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let keys = words.filter(|word| word.starts_with("acme_live_"));
    keys.map(str::to_owned).collect()
}

fn printed_key(ended: &Ended) -> String {
    let keys = keys_in(&ended.stdout);
    // By itself and in the line to be pasted.
    assert_eq!(keys.len(), 2, "{ended:?}");
    assert_eq!(keys[0], keys[1]);
    assert_eq!(keys_in(&ended.stderr), Vec::<String>::new());
    keys[0].clone()
}

#[tokio::test]
async fn the_first_key_is_printed_once_and_never_logged() {
    let setup = setup().with("RUST_LOG", "trace");
    let server = setup.start().await;
    let address = server.address;
    let ended = server.kill().await;
    let secret = printed_key(&ended);
    let curl = format!("curl -H 'Authorization: Bearer {secret}' http://{address}/v1/ping");
    assert!(
        ended.stdout.lines().any(|line| line.trim() == curl),
        "{ended:?}"
    );

    let again = setup.start().await;
    let who = again.get("/v1/ping", &secret).await.is(200).json();
    assert_eq!(who["owner"], "admin");
    let scopes = serde_json::json!(["*", "keys:admin", "keys:read", "keys:write"]);
    assert_eq!(who["scopes"], scopes);
    again.get("/v1/reports", &secret).await.is(200);
    let id = who["key_id"].as_str().unwrap().to_owned();
    let list = again.try_admin(&secret, "GET", "/keys", &Value::Null).await;
    assert_eq!(list.unwrap().is(200).json()["keys"][0]["id"], *id);
    // It may revoke itself; then there is none, but there was one.
    let path = format!("/keys/{id}");
    let revoked = again
        .try_admin(&secret, "DELETE", &path, &Value::Null)
        .await;
    revoked.unwrap().is(200);
    let key = Key { id, secret };
    assert!(!again.opens(&key).await);
    let ended = again.kill().await;
    assert_eq!(ended.stdout, "");
    assert_eq!(keys_in(&ended.stderr), Vec::<String>::new());

    let third = setup.start().await;
    assert!(!third.opens(&key).await);
    assert_eq!(third.kill().await.stdout, "");
}

#[tokio::test]
async fn with_an_admin_token_no_key_is_made() {
    let setup = Setup::sqlite();
    let server = setup.start().await;
    let list = server.admin("GET", "/keys", Value::Null).await.is(200);
    assert_eq!(list.json()["keys"], serde_json::json!([]));
    assert_eq!(server.kill().await.stdout, "");

    // And so the next start without one makes it.
    let setup = setup.without("PORTCULLIS_ADMIN_TOKEN");
    printed_key(&setup.start().await.kill().await);
    assert_eq!(setup.start().await.kill().await.stdout, "");
}

#[tokio::test]
async fn a_key_made_with_the_admin_token_was_the_first() {
    let setup = Setup::sqlite();
    let server = setup.start().await;
    server.a_key().await;
    server.kill().await;
    let setup = setup.without("PORTCULLIS_ADMIN_TOKEN");
    assert_eq!(setup.start().await.kill().await.stdout, "");
}

#[tokio::test]
async fn of_servers_that_start_at_once_one_prints_a_key() {
    for _ in 0..3 {
        let setup = setup();
        let (a, b, c) = tokio::join!(setup.start(), setup.start(), setup.start());
        let mut keys = Vec::new();
        for server in [a, b, c] {
            keys.extend(keys_in(&server.kill().await.stdout));
        }
        assert_eq!(keys.len(), 2, "{keys:?}");
    }
}

#[tokio::test]
async fn a_first_key_that_nobody_can_read_is_an_error_that_says_so() {
    let setup = setup();
    let mut process = setup.command().stdout(Stdio::piped()).spawn().unwrap();
    // As `server | true` does.
    drop(process.stdout.take());
    let output = soon("the end", process.wait_with_output()).await.unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    let last = stderr.lines().last().unwrap();
    assert!(last.starts_with("server: the first key was made but could not be printed"));
    assert!(last.contains("PORTCULLIS_ADMIN_TOKEN"), "{last}");
    assert_eq!(keys_in(&stderr), Vec::<String>::new());
}
