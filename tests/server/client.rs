//! A client that writes whatever bytes it is told to, and the calls that the tests make with it.

use std::fmt::Write as _;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::canary;
use crate::process::{ADMIN_TOKEN, Server, soon};

/// An answer as it came over the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case, in order, without `date`.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8(bytes.to_vec()).expect("an answer in UTF-8");
        let (head, body) = text
            .split_once("\r\n\r\n")
            .unwrap_or_else(|| panic!("no answer: {text:?}"));
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap();
        let headers = lines.map(|line| {
            let (name, value) = line.split_once(':').unwrap();
            (name.to_ascii_lowercase(), value.trim().to_owned())
        });
        Self {
            status: status.parse().unwrap(),
            headers: headers.filter(|(name, _)| name != "date").collect(),
            body: body.to_owned(),
        }
    }

    /// The value of a header that is there at most once.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.headers.iter().filter(|(n, _)| n == name);
        let value = lines.next().map(|(_, value)| value.as_str());
        assert!(lines.next().is_none(), "{name} is repeated");
        value
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    /// The `code` of a problem; nothing if it is none.
    pub(crate) fn code(&self) -> String {
        let body: Value = serde_json::from_str(&self.body).unwrap_or_default();
        body["code"].as_str().unwrap_or_default().to_owned()
    }

    /// That it is this, or all of the answer.
    #[track_caller]
    pub(crate) fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }
}

/// A key as its maker got it.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) id: String,
    pub(crate) secret: String,
}

pub(crate) fn bearer(credential: &str) -> String {
    format!("authorization: Bearer {credential}")
}

impl Server {
    /// One request on a connection of its own. `None` where the server is gone, or goes.
    pub(crate) async fn try_send(
        &self,
        method: &str,
        target: &str,
        lines: &[&[u8]],
        body: &[u8],
    ) -> Option<Answer> {
        let mut request = format!("{method} {target} HTTP/1.1\r\nhost: server.test\r\n");
        request.push_str("connection: close\r\n");
        if !body.is_empty() {
            let length = body.len();
            write!(request, "content-length: {length}\r\n").unwrap();
        }
        let mut request = request.into_bytes();
        for line in lines {
            request.extend_from_slice(line);
            request.extend_from_slice(b"\r\n");
        }
        request.extend_from_slice(b"\r\n");
        request.extend_from_slice(body);
        let exchange = async {
            let mut stream = TcpStream::connect(self.address).await.ok()?;
            stream.write_all(&request).await.ok()?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await.ok()?;
            (!answer.is_empty()).then(|| Answer::parse(&answer))
        };
        let answer = soon("an answer", exchange).await?;
        let headers = answer.headers.iter().map(|(name, value)| (name, value));
        if method == "POST" && answer.status < 300 {
            canary::handed_out(headers, answer.body.as_bytes());
        } else {
            canary::answer(headers, &answer.body);
        }
        Some(answer)
    }

    pub(crate) async fn send(&self, method: &str, target: &str, lines: &[&[u8]]) -> Answer {
        let answer = self.try_send(method, target, lines, b"").await;
        answer.expect("the server hung up")
    }

    pub(crate) async fn get(&self, target: &str, credential: &str) -> Answer {
        self.send("GET", target, &[bearer(credential).as_bytes()])
            .await
    }

    /// Whether this opens `/v1/ping`; anything but yes and no is a failure.
    pub(crate) async fn opens(&self, key: &Key) -> bool {
        let answer = self.get("/v1/ping", &key.secret).await;
        match (answer.status, answer.code().as_str()) {
            (200, _) => true,
            (401, "invalid_token") => false,
            _ => panic!("neither yes nor no: {answer:?}"),
        }
    }

    /// A call of the admin API; `Null` sends no body.
    pub(crate) async fn try_admin(
        &self,
        credential: &str,
        method: &str,
        path: &str,
        body: &Value,
    ) -> Option<Answer> {
        let target = format!("/admin{path}");
        let bearer = bearer(credential);
        if body.is_null() {
            self.try_send(method, &target, &[bearer.as_bytes()], b"")
                .await
        } else {
            let lines: [&[u8]; 2] = [bearer.as_bytes(), b"content-type: application/json"];
            let body = body.to_string();
            self.try_send(method, &target, &lines, body.as_bytes())
                .await
        }
    }

    pub(crate) async fn admin(&self, method: &str, path: &str, body: Value) -> Answer {
        let answer = self.try_admin(ADMIN_TOKEN, method, path, &body).await;
        answer.expect("the server hung up")
    }

    pub(crate) async fn create(&self, body: Value) -> Key {
        key_of(&self.admin("POST", "/keys", body).await.is(201))
    }

    pub(crate) async fn a_key(&self) -> Key {
        self.create(json!({"name": "a key", "scopes": []})).await
    }

    pub(crate) async fn revoke(&self, key: &Key) {
        let path = format!("/keys/{}", key.id);
        let revoked = self.admin("DELETE", &path, Value::Null).await.is(200);
        assert_eq!(revoked.json()["status"], "revoked");
    }

    pub(crate) async fn enable(&self, key: &Key, enabled: bool) {
        let path = format!("/keys/{}", key.id);
        let changed = self.admin("PATCH", &path, json!({"enabled": enabled}));
        let status = if enabled { "active" } else { "disabled" };
        assert_eq!(changed.await.is(200).json()["status"], status);
    }
}

pub(crate) fn key_of(answer: &Answer) -> Key {
    let body = answer.json();
    Key {
        id: body["key"]["id"].as_str().expect("an id").to_owned(),
        secret: body["secret"].as_str().expect("a secret").to_owned(),
    }
}
