//! One digest algorithm for all keys of a store.
//!
//! A keyring with another algorithm, or another pepper, than the store's keys were made with would
//! find none of them and call every good key dead. So it asks the store first, and goes no further
//! where they differ: requests are answered 503, `ready()` and every write fail with the reason.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OnceCell;
use tokio::time::timeout;

use crate::store::{KeyStore, StoreError, StoreErrorKind};

pub(super) struct Agreement {
    ours: String,
    /// What the store's keys are made with. It does not change under a living process.
    theirs: OnceCell<String>,
    patience: Duration,
}

impl Agreement {
    pub(super) fn on(ours: String, patience: Duration) -> Self {
        Self {
            ours,
            theirs: OnceCell::new(),
            patience,
        }
    }

    /// Fails unless the store's keys are made like ours. Asks until it is answered once. All who
    /// come meanwhile wait for the one who asks, so it has a deadline of its own: one that hangs
    /// must not hold up the others for ever.
    pub(super) async fn hold(&self, store: &Arc<dyn KeyStore>) -> Result<(), StoreError> {
        let ask = async || {
            let answer = timeout(self.patience, store.digest_algorithm(&self.ours)).await;
            answer.unwrap_or_else(|_| {
                let context = "the question about its digests was not answered in time";
                Err(StoreError::new(StoreErrorKind::Unavailable, context))
            })
        };
        let theirs = self.theirs.get_or_try_init(ask).await?;
        if *theirs == self.ours {
            return Ok(());
        }
        let context = format!(
            "its keys are made with the digest {theirs}, and this keyring is built with {}",
            self.ours
        );
        Err(StoreError::new(StoreErrorKind::Misconfigured, context))
    }
}
