//! No future of the database is owned by whoever asks.
//!
//! A caller may stop polling, or leave. What it asked for runs on a task of its own, with a
//! deadline of its own, and ends when the caller leaves: its connection is then closed, not given
//! back (see `connections`), so that nothing half done is ever met again.

use std::panic::resume_unwind;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::timeout;
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
