//! A server on a socket, and a client that writes whatever bytes it is told to.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use axum::Router;

use crate::canary;

/// A server, until it is dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    task: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start(app: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, task }
    }

    pub(crate) async fn connect(&self) -> Connection {
        Connection {
            stream: TcpStream::connect(self.address).await.unwrap(),
            read: Vec::new(),
        }
    }

    /// One request on a connection of its own.
    pub(crate) async fn send(&self, method: &str, target: &str, lines: &[&[u8]]) -> Answer {
        self.connect().await.send(method, target, lines).await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A connection that speaks HTTP/1.1 byte by byte.
pub(crate) struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
}

/// An answer as it came over the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case, in order, without `date`.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    /// All values of a header, in order.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let lines = self.headers.iter().filter(|(n, _)| n == name);
        lines.map(|(_, value)| value.as_str()).collect()
    }

    /// The value of a header that is there at most once.
    pub(crate) fn one(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() <= 1, "{name} is repeated: {all:?}");
        all.first().copied()
    }

    /// The `code` in the body; nothing if there is no problem in it.
    pub(crate) fn code(&self) -> String {
        let body: serde_json::Value = serde_json::from_str(&self.body).unwrap_or_default();
        body["code"].as_str().unwrap_or_default().to_owned()
    }
}

impl Connection {
    pub(crate) async fn send(&mut self, method: &str, target: &str, lines: &[&[u8]]) -> Answer {
        self.try_send(method, target, lines).await.unwrap()
    }

    /// Fails where the server hangs up, as it does on heads that are too long for it.
    pub(crate) async fn try_send(
        &mut self,
        method: &str,
        target: &str,
        lines: &[&[u8]],
    ) -> io::Result<Answer> {
        let mut head = format!("{method} {target} HTTP/1.1\r\nhost: gate.test\r\n").into_bytes();
        for line in lines {
            head.extend_from_slice(line);
            head.extend_from_slice(b"\r\n");
        }
        head.extend_from_slice(b"\r\n");
        let sent = self.stream.write_all(&head).await;
        // An answer may come although the server has not read all that was sent.
        let answer = self.receive(method == "HEAD").await;
        if answer.is_err() {
            sent?;
        }
        answer
    }

    async fn receive(&mut self, is_head: bool) -> io::Result<Answer> {
        let end = loop {
            if let Some(end) = self.read.windows(4).position(|w| w == b"\r\n\r\n") {
                break end;
            }
            self.fill().await?;
        };
        let head: Vec<u8> = self.read.drain(..end + 4).collect();
        let head = String::from_utf8(head).unwrap();
        let mut lines = head.trim_end().split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap();
        let mut answer = Answer {
            status: status.parse().unwrap(),
            headers: lines
                .map(|line| line.split_once(": ").unwrap())
                .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
                .filter(|(name, _)| name != "date")
                .collect(),
            body: String::new(),
        };
        let length = answer
            .one("content-length")
            .map_or(0, |length| length.parse().unwrap());
        if !is_head {
            while self.read.len() < length {
                self.fill().await?;
            }
            let body = self.read.drain(..length).collect();
            answer.body = String::from_utf8(body).unwrap();
        }
        let headers = answer.headers.iter().map(|(name, value)| (name, value));
        canary::answer(headers, &answer.body);
        Ok(answer)
    }

    async fn fill(&mut self) -> io::Result<()> {
        match self.stream.read_buf(&mut self.read).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    /// Whether the server has sent anything that was not asked for.
    pub(crate) fn has_more(&self) -> bool {
        let mut byte = [0];
        !self.read.is_empty() || self.stream.try_read(&mut byte).is_ok_and(|n| n > 0)
    }
}

/// A header line.
pub(crate) fn line(name: &str, value: impl AsRef<[u8]>) -> Vec<u8> {
    [name.as_bytes(), b": ", value.as_ref()].concat()
}
