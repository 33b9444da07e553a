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
    missing: Arc<AtomicBool>,
}

/// Where the next line goes.
pub(super) struct Place<'a>(mpsc::Permit<'a, Bytes>);

/// The client has left, or reads too slowly.
#[derive(Debug)]
pub(super) struct Gone;

/// Lines are missing. Sent as the end of the answer, so that it does not look like a whole one.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the answer was cut off before its last line")]
struct CutOff;

struct Sent {
    receiver: mpsc::Receiver<Bytes>,
    missing: Arc<AtomicBool>,
}

/// An answer whose lines go through what is handed out with it. It ends when that is dropped, and is
/// a whole one only if that was [finished](Lines::finish).
pub(super) fn answer() -> (Lines, Response) {
    let (sender, receiver) = mpsc::channel(WAITING);
    let missing = Arc::new(AtomicBool::new(true));
    let lines = Lines {
        sender,
        patience: PATIENCE,
        missing: Arc::clone(&missing),
    };
    let body = Body::new(Sent { receiver, missing });
    let ndjson = HeaderValue::from_static(NDJSON);
    (lines, of_type(ndjson, StatusCode::OK, body))
}

impl Lines {
    /// Waits until there is room for a line. To be asked for before the line is worked on: what
    /// nobody can be told of is better not done.
    pub(super) async fn place(&mut self) -> Result<Place<'_>, Gone> {
        let began = Instant::now();
        let place = timeout(self.patience, self.sender.reserve()).await;
        self.patience = self.patience.saturating_sub(began.elapsed());
        place.ok().and_then(Result::ok).map(Place).ok_or(Gone)
    }

    /// There are no more lines.
    pub(super) fn finish(self) {
        // Before the channel ends, whose end is what the other side looks at.
        self.missing.store(false, Ordering::Release);
    }
}

impl Place<'_> {
    /// Sends a line, without its end.
    pub(super) fn send(self, mut line: Vec<u8>) {
        line.push(b'\n');
        self.0.send(line.into());
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
                .missing
                .swap(false, Ordering::Acquire)
                .then_some(Err(CutOff)),
        })
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn an_answer_that_was_not_finished_does_not_look_like_a_whole_one() {
        for finished in [true, false] {
            let (mut lines, response) = answer();
            lines.place().await.unwrap().send(b"{}".to_vec());
            if finished {
                lines.finish();
            } else {
                drop(lines);
            }
            let mut body = response.into_body();
            let line = body.frame().await.unwrap().unwrap();
            assert_eq!(line.into_data().unwrap(), "{}\n");
            let end = body.frame().await;
            assert_eq!(end.is_none(), finished);
            assert!(finished || end.unwrap().is_err());
        }
    }
}
