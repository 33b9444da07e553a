//! Whether anybody asks: a database that sleeps when nobody uses it is not to be kept awake by
//! polls.
//!
//! Requests look at a flag, which all of them share and hardly any of them sets: the first one
//! after each poll.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use tokio::sync::Notify;

use super::Inner;

pub(crate) struct Idle {
    polls: bool,
    /// Whether there was a request since the last poll; always, where polls come all the same.
    asked: AtomicBool,
    request: Arc<Notify>,
}

impl Idle {
    pub(crate) fn polling_all_the_same(polls: bool) -> Self {
        Self {
            polls,
            asked: AtomicBool::new(polls),
            request: Arc::default(),
        }
    }

    /// Tells of the first request after a poll.
    pub(crate) fn request(&self) -> Arc<Notify> {
        Arc::clone(&self.request)
    }

    /// There is a request. One relaxed load, but for the first after a poll.
    #[inline]
    pub(crate) fn note_request(&self) {
        if !self.asked.load(Ordering::Relaxed) {
            self.note_first();
        }
    }

    #[cold]
    fn note_first(&self) {
        self.asked.store(true, Ordering::Relaxed);
        self.request.notify_one();
    }

    /// A poll is due. Whether it has to come: if not, the next request makes it come.
    fn poll_has_to_come(&self) -> bool {
        // A request that finds the flag set comes before the poll, which is sent after this.
        self.polls || self.asked.swap(false, Ordering::Relaxed)
    }
}

/// A poll is due. Returns once there was a request since the last one, mostly at once; and where
/// there is no keyring any more.
pub(super) async fn wait_for_request(inner: &Weak<Inner>, request: &Notify) {
    // What is notified may be a request of long ago, so the flag has the word.
    while let Some(inner) = inner.upgrade()
        && !inner.idle.poll_has_to_come()
    {
        inner.syncs.let_the_lease_end();
        drop(inner);
        request.notified().await;
    }
}
