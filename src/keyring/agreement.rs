//! One digest algorithm for all keys of a store.
//!
//! A keyring with another algorithm, or another pepper, than the store's keys were made with would
//! find none of them and call every good key dead. So it asks the store first, and goes no further
//! where they differ: requests are answered 503, `ready()` and every write fail with the reason.

use std::sync::Arc;

use tokio::sync::OnceCell;

use crate::store::{KeyStore, StoreError, StoreErrorKind};

pub(super) struct Agreement {
    ours: String,
    /// What the store's keys are made with. It does not change under a living process.
    theirs: OnceCell<String>,
}

impl Agreement {
    pub(super) fn on(ours: String) -> Self {
        Self {
            ours,
            theirs: OnceCell::new(),
        }
    }

    /// Fails unless the store's keys are made like ours. Asks once.
    pub(super) async fn hold(&self, store: &Arc<dyn KeyStore>) -> Result<(), StoreError> {
        let ask = || store.digest_algorithm(&self.ours);
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
