//! No future of the database is owned by whoever asks.
//!
//! A caller may stop polling, or leave. What it asked for runs on a task of its own, with a
//! deadline of its own, and ends when the caller leaves: its connection is then closed, not given
//! back (see `connections`), so that nothing half done is ever met again.

use std::future::pending;
use std::panic::resume_unwind;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tracing::Instrument as _;

use crate::store::{StoreError, StoreErrorKind};

/// Runs `work` on a task of its own, until the caller leaves.
pub(super) async fn on_its_own<T: Send + 'static>(
    work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> Result<T, StoreError> {
    let mut task = Task(tokio::spawn(work.in_current_span()));
    (&mut task.0)
        .await
        .unwrap_or_else(|error| match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            Err(cancelled) => {
                let context = "the runtime is going down";
                Err(StoreError::new(StoreErrorKind::Unavailable, context).caused_by(cancelled))
            }
        })
}

/// Knows when a silence is over.
///
/// Whatever was asked before one, on whichever connection, may wait for an answer that is lost, and
/// keep a connection from others until its deadline. Nobody can tell by waiting. But once a link that
/// had gone silent is open again, all that still waits is given up.
#[derive(Clone)]
pub(super) struct Guard {
    /// Counts the silences that are over.
    silences: watch::Receiver<u64>,
}

/// What was merely held up is answered in this time.
const HELD_UP: Duration = Duration::from_millis(100);

impl Guard {
    pub(super) fn new(silences: watch::Receiver<u64>) -> Self {
        Self { silences }
    }

    /// What comes of `work`, which waits on a connection. `None` if it does so in vain.
    pub(super) async fn over<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut silences = self.silences.clone();
        silences.mark_unchanged();
        let in_vain = async {
            match silences.changed().await {
                Ok(()) => sleep(HELD_UP).await,
                // The link is closed with the store.
                Err(_) => pending().await,
            }
        };
        tokio::select! {
            result = work => Some(result),
            () = in_vain => None,
        }
    }
}

/// Gives up on `work` after `patience`. Not for a COMMIT.
pub(super) async fn within<T>(
    patience: Duration,
    context: &'static str,
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    timeout(patience, work).await.unwrap_or_else(|_| {
        let context = format!("{context}: no answer within {patience:?}");
        Err(StoreError::new(StoreErrorKind::Unavailable, context))
    })
}

struct Task<T>(JoinHandle<T>);

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
