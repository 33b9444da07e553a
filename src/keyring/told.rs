//! What the log has been told of the syncs, so that each thing is told when it changes and not once
//! a second. Targets and fields are there to be alerted on.

use std::sync::Arc;
use std::time::Duration;

use crate::store::StoreError;

/// What it was told last.
#[derive(Debug)]
pub(super) struct Told {
    fails: bool,
    /// That there is a lease.
    lease: bool,
    listening: bool,
}

impl Default for Told {
    fn default() -> Self {
        Self {
            fails: false,
            lease: false,
            listening: true,
        }
    }
}

impl Told {
    /// That a sync failed, or succeeded again.
    pub(super) fn outcome(&mut self, result: &Result<(), Arc<StoreError>>) {
        match (result, self.fails) {
            (Err(error), false) => {
                tracing::warn!(error = &**error as &dyn std::error::Error, "a sync failed");
            }
            (Ok(()), true) => tracing::info!("in sync again"),
            _ => {}
        }
        self.fails = result.is_err();
    }

    /// That the lease is over, or there again. What comes before the first lease is no end of one.
    pub(super) fn lease(&mut self, age: Option<Duration>, is_trusted: bool) {
        match (self.lease, is_trusted) {
            (true, false) => tracing::warn!(
                target: "portcullis::lease",
                lease = "over",
                ?age,
                "the lease is over: nothing remembered is trusted until a sync succeeds"
            ),
            (false, true) => tracing::info!(
                target: "portcullis::lease",
                lease = "held",
                "what is remembered is trusted"
            ),
            _ => {}
        }
        self.lease = is_trusted;
    }

    pub(super) fn listening(&mut self, listening: bool) {
        match (self.listening, listening) {
            (true, false) => tracing::warn!(
                target: "portcullis::listener",
                listening,
                "no nudges come from the store: changes made elsewhere are heeded at the next poll"
            ),
            (false, true) => tracing::info!(
                target: "portcullis::listener",
                listening,
                "nudges come from the store again"
            ),
            _ => {}
        }
        self.listening = listening;
    }

    /// While nobody asks a lease may end, and nobody has to be warned of it.
    pub(super) fn nobody_asks(&mut self) {
        self.lease = false;
    }
}
