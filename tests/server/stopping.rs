//! SIGTERM: what is under way is answered, and then the process ends well.
#![cfg(unix)]

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::client::{Answer, key_of};
use crate::process::{ADMIN_TOKEN, Server, Setup, soon, until, within};

/// Sends the head of a create, and returns when the server asks for its body.
async fn begin_to_create(server: &Server, body: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = format!(
        "POST /admin/keys HTTP/1.1\r\nhost: server.test\r\nexpect: 100-continue\r\n\
         content-type: application/json\r\nauthorization: Bearer {ADMIN_TOKEN}\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut go_on = [0; 25];
    soon("100 Continue", stream.read_exact(&mut go_on))
        .await
        .unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream
}

async fn listens_no_more(server: &Server) {
    until(Duration::from_secs(10), "the port is closed", async || {
        TcpStream::connect(server.address).await.is_err()
    })
    .await;
}

#[tokio::test]
async fn a_request_under_way_is_answered_before_the_end() {
    for setup in [Setup::sqlite(), Setup::memory()] {
        let server = setup.start().await;
        let body = json!({"name": "the last", "scopes": []}).to_string();
        let mut stream = begin_to_create(&server, &body).await;
        server.terminate().await;
        listens_no_more(&server).await;

        stream.write_all(body.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        soon("the answer", read).await.unwrap();
        let answer = Answer::parse(&answer).is(201);
        let ended = server.end().await;
        assert_eq!(ended.status.code(), Some(0), "{ended:?}");

        if setup.file().exists() {
            let key = key_of(&answer);
            let server = setup.start().await;
            assert!(server.opens(&key).await);
            let path = format!("/keys/{}", key.id);
            let shown = server.admin("GET", &path, Value::Null);
            assert_eq!(shown.await.json()["name"], "the last");
        }
    }
}

#[tokio::test]
async fn connections_on_which_nothing_is_asked_hold_nothing_up() {
    let setup = Setup::sqlite();
    let server = setup.start().await;
    let silent = TcpStream::connect(server.address).await.unwrap();
    let mut kept_alive = TcpStream::connect(server.address).await.unwrap();
    kept_alive
        .write_all(b"GET /health HTTP/1.1\r\nhost: server.test\r\n\r\n")
        .await
        .unwrap();
    let mut some = [0; 8];
    soon("an answer", kept_alive.read_exact(&mut some))
        .await
        .unwrap();
    // So that both have been accepted by now.
    server.send("GET", "/health", &[]).await.is(200);

    server.terminate().await;
    let ended = server.end().await;
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    assert!(ended.stderr.contains("stopped"), "{ended:?}");
    drop((silent, kept_alive));
}

#[tokio::test]
async fn who_never_ends_a_request_is_cut_short_by_a_second_signal() {
    let setup = Setup::sqlite();
    let mut server = setup.start().await;
    let _body_missing = begin_to_create(&server, "{}").await;
    let mut half_a_head = TcpStream::connect(server.address).await.unwrap();
    half_a_head
        .write_all(b"GET /health HTTP/1.1\r\nho")
        .await
        .unwrap();
    server.send("GET", "/health", &[]).await.is(200);

    server.terminate().await;
    server.logs("stopping: ").await;
    server.terminate().await;
    let ended = within(Duration::from_secs(5), "the end", server.end()).await;
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    assert!(ended.stderr.contains("cut short"), "{ended:?}");
}

#[tokio::test]
async fn every_use_before_the_end_is_written_down() {
    let setup = Setup::sqlite();
    let server = setup.start().await;
    let mut keys = Vec::new();
    for _ in 0..20 {
        keys.push(server.a_key().await);
    }
    // The last of them are used a moment before the signal: nothing is written of them yet.
    for key in &keys {
        assert!(server.opens(key).await);
    }
    server.terminate().await;
    let ended = server.end().await;
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");

    let server = setup.start().await;
    for key in &keys {
        let path = format!("/keys/{}", key.id);
        let shown = server.admin("GET", &path, Value::Null).await;
        let shown = shown.is(200).json();
        assert!(shown["last_used_at"].is_string(), "{shown}");
    }
}
