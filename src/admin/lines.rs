//! An answer of many lines, each sent when it is known.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::response::Response;
use bytes::Bytes;
use http::StatusCode;
use http::header::HeaderValue;
use http_body::Frame;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use super::answer::of_type;

/// The media type, of requests and of answers: a JSON value to the line.
pub(super) const NDJSON: &str = "application/x-ndjson";

/// How many lines wait for a client that reads slowly. Then the work waits, too.
const WAITING: usize = 16;

/// How long it waits, all lines together. With a time for each, a client that takes one line
/// whenever that is nearly over would hold what it holds for days.
const PATIENCE: Duration = Duration::from_mins(2);

/// Where lines go.
pub(super) struct Lines {
    sender: mpsc::Sender<Bytes>,
    patience: Duration,
    cut_off: Arc<AtomicBool>,
}

/// The client has left, or reads too slowly.
#[derive(Debug)]
pub(super) struct Gone;

/// Lines are missing. Sent as the end of the answer, so that it does not look like a whole one.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the answer was read too slowly, and was cut off")]
struct CutOff;

struct Sent {
    receiver: mpsc::Receiver<Bytes>,
    cut_off: Arc<AtomicBool>,
}

/// An answer whose lines go through what is handed out with it. It ends when that is dropped.
pub(super) fn answer() -> (Lines, Response) {
    let (sender, receiver) = mpsc::channel(WAITING);
    let cut_off = Arc::<AtomicBool>::default();
    let lines = Lines {
        sender,
        patience: PATIENCE,
        cut_off: Arc::clone(&cut_off),
    };
    let body = Body::new(Sent { receiver, cut_off });
    let ndjson = HeaderValue::from_static(NDJSON);
    (lines, of_type(ndjson, StatusCode::OK, body))
}

impl Lines {
    /// Sends a line, without its end.
    pub(super) async fn send(&mut self, mut line: Vec<u8>) -> Result<(), Gone> {
        line.push(b'\n');
        let began = Instant::now();
        let place = timeout(self.patience, self.sender.reserve()).await;
        self.patience = self.patience.saturating_sub(began.elapsed());
        match place {
            Ok(Ok(place)) => {
                place.send(line.into());
                Ok(())
            }
            Ok(Err(_)) => Err(Gone),
            Err(_) => {
                // Before the channel ends, whose end is what the other side looks at.
                self.cut_off.store(true, Ordering::Release);
                Err(Gone)
            }
        }
    }
}

impl HttpBody for Sent {
    type Data = Bytes;
    type Error = CutOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CutOff>>> {
        Poll::Ready(match ready!(self.receiver.poll_recv(cx)) {
            Some(line) => Some(Ok(Frame::data(line))),
            None => self
                .cut_off
                .swap(false, Ordering::Acquire)
                .then_some(Err(CutOff)),
        })
    }
}
