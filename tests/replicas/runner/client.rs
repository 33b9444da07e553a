//! A client that keeps its connection, and knows when it sent and when it was answered.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::runner::history::Answer;

pub(crate) const ADMIN_TOKEN: &str = "the-only-admin-token.of~these+tests/0123456789==";

/// Longer than any replica is stopped for: who waits longer is not answered.
const PATIENCE: Duration = Duration::from_secs(45);

#[derive(Debug, Default)]
pub(crate) struct Client {
    stream: Option<(SocketAddr, TcpStream)>,
}

#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) retry_after: bool,
    pub(crate) body: Vec<u8>,
}

impl Client {
    /// `None` where the connection failed, or nothing came for very long. What failed on a
    /// connection that was kept open is not sent again: it may have been read.
    pub(crate) async fn send(&mut self, address: SocketAddr, request: &[u8]) -> Option<Reply> {
        let exchange = timeout(PATIENCE, self.exchange(address, request)).await;
        if let Ok(Ok(reply)) = exchange {
            return Some(reply);
        }
        self.stream = None;
        None
    }

    async fn exchange(&mut self, address: SocketAddr, request: &[u8]) -> io::Result<Reply> {
        // Another address is another process.
        let kept = self.stream.take().filter(|(to, _)| *to == address);
        let (_, mut stream) = match kept {
            Some(kept) => kept,
            None => (address, TcpStream::connect(address).await?),
        };
        stream.set_nodelay(true)?;
        stream.write_all(request).await?;
        let reply = read(&mut stream).await?;
        self.stream = Some((address, stream));
        Ok(reply)
    }
}

async fn read(stream: &mut TcpStream) -> io::Result<Reply> {
    let broken = |what: &'static str| io::Error::new(io::ErrorKind::InvalidData, what);
    let mut bytes = Vec::with_capacity(1024);
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    };
    let text = std::str::from_utf8(&bytes[..head]).map_err(|_| broken("a head not in UTF-8"))?;
    let mut lines = text.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    let status = status.and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| broken("no status"))?;
    let (mut length, mut retry_after) = (0, false);
    for line in lines {
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().map_err(|_| broken("no length"))?;
        }
        if name.eq_ignore_ascii_case("retry-after") {
            retry_after = value.trim().parse().is_ok_and(|seconds: u32| seconds >= 1);
        }
    }
    while bytes.len() < head + length {
        if stream.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(Reply {
        status,
        retry_after,
        body: bytes.split_off(head),
    })
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The answer of a route behind the gate.
    pub(crate) fn answer(reply: Option<&Self>) -> Answer {
        let Some(reply) = reply else {
            return Answer::Lost;
        };
        let code = reply.json()["code"].as_str().unwrap_or_default().to_owned();
        match (reply.status, code.as_str()) {
            (200, _) => Answer::Accepted,
            (401, "invalid_token") => Answer::Refused,
            (403, "insufficient_scope") => Answer::OutOfScope,
            (503, "unavailable") if reply.retry_after => Answer::Unavailable,
            (status, code) => Answer::Odd(format!(
                "{status} {code:?}, retry after: {}",
                reply.retry_after
            )),
        }
    }
}

/// A request with a key.
pub(crate) fn get(path: &str, credential: &str) -> Vec<u8> {
    format!(
        "GET {path} HTTP/1.1\r\nhost: replica.test\r\nauthorization: Bearer {credential}\r\n\r\n"
    )
    .into_bytes()
}

/// A call of the admin API; `Null` sends no body.
pub(crate) fn admin(method: &str, path: &str, body: &Value) -> Vec<u8> {
    let head = format!(
        "{method} /admin{path} HTTP/1.1\r\nhost: replica.test\r\n\
         authorization: Bearer {ADMIN_TOKEN}\r\n"
    );
    let body = if body.is_null() {
        "\r\n".to_owned()
    } else {
        let body = body.to_string();
        let length = body.len();
        format!("content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}")
    };
    (head + &body).into_bytes()
}
