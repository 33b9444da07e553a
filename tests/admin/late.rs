//! A body that is still on its way.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes, HttpBody};
use http_body::Frame;
use tokio::sync::oneshot;

/// A body that comes when it is told to. When it is asked for, the caller has been let in.
pub(crate) struct Late {
    first: Option<Bytes>,
    asked: Option<oneshot::Sender<()>>,
    rest: Option<oneshot::Receiver<String>>,
}

impl Late {
    /// The body, what tells that it is asked for, and what it is to be.
    pub(crate) fn body() -> (Body, oneshot::Receiver<()>, oneshot::Sender<String>) {
        Self::after(None)
    }

    /// The same of what comes after the first piece.
    pub(crate) fn after(
        first: Option<Bytes>,
    ) -> (Body, oneshot::Receiver<()>, oneshot::Sender<String>) {
        let ((asked, was_asked), (send, rest)) = (oneshot::channel(), oneshot::channel());
        let late = Self {
            first,
            asked: Some(asked),
            rest: Some(rest),
        };
        (Body::new(late), was_asked, send)
    }
}

impl HttpBody for Late {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        if let Some(asked) = self.asked.take() {
            let _ = asked.send(());
        }
        let Some(rest) = self.rest.as_mut() else {
            return Poll::Ready(None);
        };
        let text = ready!(Pin::new(rest).poll(cx)).unwrap_or_default();
        self.rest = None;
        Poll::Ready(Some(Ok(Frame::data(text.into()))))
    }
}
