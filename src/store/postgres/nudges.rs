//! Hearing of changes, whoever makes them.

use async_trait::async_trait;
use tokio::sync::watch;

use crate::store::Nudges;

/// What the link has heard since the last time. It is counted, so that nothing is lost between two
/// waits, and several notifications are one nudge.
#[derive(Debug)]
pub(super) struct Heard(pub(super) watch::Receiver<u64>);

#[async_trait]
impl Nudges for Heard {
    async fn nudged(&mut self) {
        if self.0.changed().await.is_err() {
            // The runtime of the link is going down, and this one with it.
            std::future::pending::<()>().await;
        }
    }
}
