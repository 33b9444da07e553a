//! HTTP/2 frame by frame (RFC 9113), with prior knowledge, so that nothing on the way to the server
//! repairs or refuses a request.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::hpack;
use crate::message::{Answer, HOST, Outcome, Request};

const PATIENCE: Duration = Duration::from_secs(20);

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Kinds of frames (section 6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

/// Flags. The first of them says `ACK` in some kinds of frames.
const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

/// What every peer takes in one frame.
const MAX_FRAME: usize = 16_384;

pub(crate) struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
    next: u32,
    /// The code with which the server has last cut off a stream, or all of them (section 7).
    pub(crate) error: Option<u32>,
}

struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

/// What has come on a stream.
#[derive(Default)]
struct Stream {
    is_head: bool,
    block: Vec<u8>,
    body: Vec<u8>,
    ended: Option<Ended>,
}

#[derive(Clone, Copy)]
enum Ended {
    Answered,
    Cut,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        // SETTINGS_HEADER_TABLE_SIZE is 0: answers do not refer to earlier ones.
        let settings = frame(SETTINGS, 0, 0, &[0, 1, 0, 0, 0, 0]);
        let begin = [PREFACE, &settings].concat();
        stream.write_all(&begin).await.unwrap();
        Self {
            stream,
            read: Vec::new(),
            next: 1,
            error: None,
        }
    }

    /// Sends all requests at once, each on a stream of its own, and waits for all of them.
    pub(crate) async fn send_all(&mut self, requests: &[Request]) -> Vec<Outcome> {
        let mut bytes = Vec::new();
        let mut streams = BTreeMap::new();
        for request in requests {
            bytes.extend(frames(request, self.next));
            let stream = Stream {
                is_head: request.is_head(),
                ..Stream::default()
            };
            streams.insert(self.next, stream);
            self.next += 2;
        }
        self.exchange(&bytes, streams).await
    }

    /// Sends a request without a body that consists of these fields, as they are.
    pub(crate) async fn send_fields(&mut self, fields: &[(&str, &str)]) -> Outcome {
        let mut block = Vec::new();
        for (name, value) in fields {
            hpack::write(&mut block, name.as_bytes(), value.as_bytes());
        }
        let bytes = frame(HEADERS, END_STREAM | END_HEADERS, self.next, &block);
        let streams = BTreeMap::from([(self.next, Stream::default())]);
        self.next += 2;
        let outcome = self.exchange(&bytes, streams).await.remove(0);
        outcome.search();
        outcome
    }

    async fn exchange(&mut self, bytes: &[u8], mut streams: BTreeMap<u32, Stream>) -> Vec<Outcome> {
        // An answer may come although the server has not read all that was sent.
        let _ = self.stream.write_all(bytes).await;
        while streams.values().any(|stream| stream.ended.is_none()) {
            let Some(frame) = self.receive().await else {
                break;
            };
            self.take(frame, &mut streams).await;
        }
        streams.into_values().map(Stream::outcome).collect()
    }

    async fn take(&mut self, frame: Frame, streams: &mut BTreeMap<u32, Stream>) {
        let is_ack = frame.flags & ACK != 0;
        match frame.kind {
            SETTINGS if !is_ack => self.reply(SETTINGS, ACK, &[]).await,
            PING if !is_ack => self.reply(PING, ACK, &frame.payload).await,
            GOAWAY => {
                self.error = Some(code(&frame.payload[4..]));
                let last = u32::from_be_bytes(frame.payload[..4].try_into().unwrap());
                for (_, stream) in streams.range_mut(last + 1..) {
                    stream.ended = Some(Ended::Cut);
                }
            }
            DATA | HEADERS | CONTINUATION | RST_STREAM => {
                if frame.kind == DATA && !frame.payload.is_empty() {
                    let length = u32::try_from(frame.payload.len()).unwrap();
                    self.reply(WINDOW_UPDATE, 0, &length.to_be_bytes()).await;
                }
                if frame.kind == RST_STREAM {
                    self.error = Some(code(&frame.payload));
                }
                if let Some(stream) = streams.get_mut(&frame.stream) {
                    stream.take(frame);
                }
            }
            _ => {}
        }
    }

    async fn reply(&mut self, kind: u8, flags: u8, payload: &[u8]) {
        // A server that has hung up is found out when it is read from.
        let _ = self.stream.write_all(&frame(kind, flags, 0, payload)).await;
    }

    async fn receive(&mut self) -> Option<Frame> {
        self.fill_to(9).await?;
        let length = usize::from(self.read[0]) << 16
            | usize::from(self.read[1]) << 8
            | usize::from(self.read[2]);
        self.fill_to(9 + length).await?;
        let bytes: Vec<u8> = self.read.drain(..9 + length).collect();
        Some(Frame {
            kind: bytes[3],
            flags: bytes[4],
            stream: u32::from_be_bytes(bytes[5..9].try_into().unwrap()),
            payload: bytes[9..].to_vec(),
        })
    }

    async fn fill_to(&mut self, length: usize) -> Option<()> {
        while self.read.len() < length {
            let read = timeout(PATIENCE, self.stream.read_buf(&mut self.read)).await;
            let read = read.expect("the server answers or hangs up");
            if read.unwrap_or(0) == 0 {
                return None;
            }
        }
        Some(())
    }
}

impl Stream {
    fn take(&mut self, frame: Frame) {
        if self.ended.is_some() {
            return;
        }
        match frame.kind {
            DATA => self.body.extend(frame.payload),
            RST_STREAM => self.ended = Some(Ended::Cut),
            _ => self.block.extend(frame.payload),
        }
        if matches!(frame.kind, DATA | HEADERS) {
            let plain = END_STREAM | END_HEADERS;
            assert_eq!(frame.flags | plain, plain, "neither padding nor priority");
            if frame.flags & END_STREAM != 0 {
                self.ended = Some(Ended::Answered);
            }
        }
    }

    fn outcome(self) -> Outcome {
        let Some(Ended::Answered) = self.ended else {
            return Outcome::Cut;
        };
        let mut headers = hpack::read(&self.block);
        let (name, status) = headers.remove(0);
        assert_eq!(name, ":status", "it comes first, and once");
        let mut answer = Answer::new(status.parse().unwrap(), headers);
        answer.body = String::from_utf8(self.body).unwrap();
        assert!(!self.is_head || answer.body.is_empty(), "HEAD has no body");
        Outcome::Answered(answer)
    }
}

fn code(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes[..4].try_into().unwrap())
}

fn frames(request: &Request, stream: u32) -> Vec<u8> {
    let mut block = Vec::new();
    hpack::write(&mut block, b":method", &request.method);
    hpack::write(&mut block, b":scheme", b"http");
    hpack::write(&mut block, b":path", &request.target);
    hpack::write(&mut block, b":authority", HOST.as_bytes());
    for (name, value) in &request.lines {
        hpack::write(&mut block, name.to_ascii_lowercase().as_bytes(), value);
    }
    let mut bytes = Vec::new();
    let mut kind = HEADERS;
    let last = block.chunks(MAX_FRAME).count() - 1;
    for (number, part) in block.chunks(MAX_FRAME).enumerate() {
        let mut flags = 0;
        if number == 0 && request.body.is_empty() {
            flags |= END_STREAM;
        }
        if number == last {
            flags |= END_HEADERS;
        }
        bytes.extend(frame(kind, flags, stream, part));
        kind = CONTINUATION;
    }
    if !request.body.is_empty() {
        bytes.extend(frame(DATA, END_STREAM, stream, &request.body));
    }
    bytes
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [&length[1..], &[kind, flags]].concat();
    [&head[..], &stream.to_be_bytes(), payload].concat()
}
