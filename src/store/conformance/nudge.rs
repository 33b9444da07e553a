//! Being told that there is something new.

use std::time::Duration;

use tokio::time::timeout;

use super::cancel::cut_short;
use super::sample::{add, id, rename};
use super::stage::Stage;
use crate::store::{KeyStore, Nudges};

/// Far more than a nudge takes, and no more than a test may.
const PATIENCE: Duration = Duration::from_secs(10);

async fn must_be_nudged(nudges: &mut dyn Nudges) {
    timeout(PATIENCE, nudges.nudged())
        .await
        .expect("no nudge came");
}

/// Waits until what has happened so far has been told: nudges may come too often.
async fn settle(nudges: &mut dyn Nudges) {
    const QUIET: Duration = Duration::from_millis(300);
    while timeout(QUIET, nudges.nudged()).await.is_ok() {}
}

async fn settled(store: &dyn KeyStore) -> Box<dyn Nudges> {
    let mut nudges = store.nudges();
    settle(&mut *nudges).await;
    nudges
}

/// Leaves a wait after so many polls, or when nothing more comes of it.
async fn leave(nudges: &mut dyn Nudges, polls: u32) -> bool {
    const IDLE: Duration = Duration::from_millis(100);
    let left = timeout(IDLE, cut_short(nudges.nudged(), polls)).await;
    matches!(left, Ok(Some(())))
}

/// The one that it went through, too: several keyrings may share it.
pub async fn a_write_nudges_every_handle(stage: &Stage) {
    let mut here = settled(stage.store()).await;
    let mut there = settled(stage.other()).await;
    add(stage.store(), 1).await;
    must_be_nudged(&mut *there).await;
    must_be_nudged(&mut *here).await;
    settle(&mut *here).await;
    rename(stage.other(), id(1), "new").await;
    must_be_nudged(&mut *here).await;
}

/// Nobody waits all the time.
pub async fn a_write_between_two_waits_is_not_lost(stage: &Stage) {
    let mut from_the_start = stage.store().nudges();
    add(stage.other(), 1).await;
    must_be_nudged(&mut *from_the_start).await;

    let mut nudges = settled(stage.store()).await;
    add(stage.other(), 2).await;
    add(stage.other(), 3).await;
    must_be_nudged(&mut *nudges).await;
}

/// Wherever a wait is left, the next one goes on.
pub async fn a_wait_that_is_cut_short_loses_nothing(stage: &Stage) {
    let mut nudges = settled(stage.store()).await;
    for polls in 1..6 {
        leave(&mut *nudges, polls).await;
        add(stage.other(), polls).await;
        if !leave(&mut *nudges, polls).await {
            must_be_nudged(&mut *nudges).await;
        }
        settle(&mut *nudges).await;
    }
}
