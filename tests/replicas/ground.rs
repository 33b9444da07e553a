//! What the short runs stand on: one Postgres for all of them, and a database for each.

use std::sync::{Arc, OnceLock};

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::block_in_place;

use crate::runner::cluster::Cluster;
use crate::runner::world::{Scale, World, postgres};

/// So many tests at a time: each has three servers and its clients.
const AT_ONCE: u32 = 3;

static TURNS: Semaphore = Semaphore::const_new(AT_ONCE as usize);

/// A turn beside others.
pub(crate) async fn among_others() -> SemaphorePermit<'static> {
    TURNS.acquire().await.unwrap()
}

/// A turn of one's own, for what is about milliseconds.
pub(crate) async fn alone() -> SemaphorePermit<'static> {
    TURNS.acquire_many(AT_ONCE).await.unwrap()
}

/// `None` where there is no Postgres on this machine.
pub(crate) async fn world(scale: Scale) -> Option<Arc<World>> {
    static SHARED: OnceLock<Option<Arc<Cluster>>> = OnceLock::new();
    let cluster = block_in_place(|| SHARED.get_or_init(postgres).clone())?;
    Some(Arc::new(World::start(cluster, scale).await))
}

/// On a Postgres that may be killed.
pub(crate) async fn world_apart(scale: Scale) -> Option<Arc<World>> {
    let cluster = block_in_place(postgres)?;
    Some(Arc::new(World::start(cluster, scale).await))
}
