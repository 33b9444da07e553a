//! Clearing up: what is over is deleted when it has been kept long enough.
//!
//! Each replica does it, in small steps, and none waits for another. A step that fails is no
//! drama: the next round comes in an hour.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::store::{KeyStore, Pruned, Retention};

/// Not at once: whoever starts has more urgent things to ask of the store.
const FIRST_ROUND: Duration = Duration::from_mins(1);

/// From the end of a round to the beginning of the next.
const BETWEEN_ROUNDS: Duration = Duration::from_hours(1);

/// Those who write keys go first.
const BETWEEN_STEPS: Duration = Duration::from_secs(1);

/// How long a step may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The shortest time that anything may be kept: whoever looks for what was just revoked finds it.
pub(super) const SHORTEST: Duration = Duration::from_hours(1);

/// Ends when the last keyring is gone.
pub(super) async fn run(
    store: Arc<dyn KeyStore>,
    retention: Retention,
    mut gone: watch::Receiver<()>,
) {
    let work = async move {
        sleep(FIRST_ROUND).await;
        loop {
            round(&store, retention).await;
            sleep(BETWEEN_ROUNDS).await;
        }
    };
    tokio::select! {
        () = work => {}
        // Nothing is ever sent.
        _ = gone.changed() => {}
    }
}

async fn round(store: &Arc<dyn KeyStore>, retention: Retention) {
    let (mut keys, mut events) = (0, 0);
    loop {
        let pruned = match step(store, retention).await {
            Ok(pruned) => pruned,
            Err(error) => {
                let error = &*error as &dyn std::error::Error;
                tracing::warn!(error, "what was kept long enough could not be deleted");
                break;
            }
        };
        keys += pruned.keys;
        events += pruned.events;
        if !pruned.more {
            break;
        }
        sleep(BETWEEN_STEPS).await;
    }
    if keys > 0 || events > 0 {
        tracing::info!(keys, events, "what was kept long enough is deleted");
    }
}

async fn step(
    store: &Arc<dyn KeyStore>,
    retention: Retention,
) -> Result<Pruned, Box<dyn std::error::Error + Send + Sync>> {
    let store = Arc::clone(store);
    // A task of its own, so that a store that panics does not end this one.
    let prune = async move { timeout(PATIENCE, store.prune(&retention)).await };
    Ok(tokio::spawn(prune).await???)
}
