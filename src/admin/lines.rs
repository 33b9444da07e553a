//! An answer of many lines, each sent when it is known.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, HttpBody};
use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;
use http::header::HeaderValue;
use http_body::Frame;
use tokio::sync::mpsc;

use super::answer::of_type;

/// The media type, of requests and of answers: a JSON value to the line.
pub(super) const NDJSON: &str = "application/x-ndjson";

/// How many lines wait for a client that reads slowly. Then the work waits, too.
const WAITING: usize = 16;

/// Where lines go.
pub(super) struct Lines(mpsc::Sender<Bytes>);

/// The client has left.
#[derive(Debug)]
pub(super) struct Gone;

struct Sent(mpsc::Receiver<Bytes>);

/// An answer whose lines go through what is handed out with it. It ends when that is dropped.
pub(super) fn answer() -> (Lines, Response) {
    let (sender, receiver) = mpsc::channel(WAITING);
    let body = Body::new(Sent(receiver));
    let ndjson = HeaderValue::from_static(NDJSON);
    (Lines(sender), of_type(ndjson, StatusCode::OK, body))
}

impl Lines {
    /// Sends a line, without its end.
    pub(super) async fn send(&self, mut line: Vec<u8>) -> Result<(), Gone> {
        line.push(b'\n');
        self.0.send(line.into()).await.map_err(|_| Gone)
    }
}

impl HttpBody for Sent {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let line = self.0.poll_recv(cx);
        line.map(|line| line.map(|line| Ok(Frame::data(line))))
    }
}
