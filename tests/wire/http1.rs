//! HTTP/1.1 byte by byte, so that nothing on the way to the server repairs a request.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::message::{Answer, HOST, Outcome, Request};

/// Nobody is kept waiting by a server that neither answers nor hangs up.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            read: Vec::new(),
        }
    }

    /// Sends all requests at once, and reads the answers in their order.
    pub(crate) async fn send_all(&mut self, requests: &[Request]) -> Vec<Outcome> {
        let bytes: Vec<u8> = requests.iter().flat_map(bytes).collect();
        // An answer may come although the server has not read all that was sent.
        let _ = self.stream.write_all(&bytes).await;
        let mut outcomes = Vec::with_capacity(requests.len());
        for request in requests {
            let answer = self.receive(request.is_head()).await;
            outcomes.push(answer.map_or(Outcome::Cut, Outcome::Answered));
        }
        outcomes
    }

    async fn receive(&mut self, is_head: bool) -> Option<Answer> {
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
        let headers = lines
            .map(|line| line.split_once(':').unwrap())
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let mut answer = Answer::new(status.parse().unwrap(), headers);
        let length = answer.one("content-length");
        let length = length.map_or(0, |length| length.parse().unwrap());
        if !is_head {
            while self.read.len() < length {
                self.fill().await?;
            }
            let body = self.read.drain(..length).collect();
            answer.body = String::from_utf8(body).unwrap();
        }
        Some(answer)
    }

    async fn fill(&mut self) -> Option<()> {
        let read = timeout(PATIENCE, self.stream.read_buf(&mut self.read)).await;
        let read = read.expect("the server answers or hangs up");
        (read.unwrap_or(0) > 0).then_some(())
    }
}

fn bytes(request: &Request) -> Vec<u8> {
    let mut bytes = [&request.method[..], b" ", &request.target, b" HTTP/1.1\r\n"].concat();
    let mut line = |name: &str, value: &[u8]| {
        bytes.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
    };
    if !request.lines.iter().any(|(name, _)| name == "host") {
        line("host", HOST.as_bytes());
    }
    for (name, value) in &request.lines {
        line(name, value);
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(&request.body);
    bytes
}
