//! What only Postgres has: a server of its own, links to it that fail, and people who type SQL into
//! it. And the suite of all stores.

mod cluster;
mod conformance;

use std::sync::OnceLock;

use cluster::{CARELESS, Cluster};

/// The server of all tests that need none of their own. `None` where there is none to be had.
fn cluster() -> Option<&'static Cluster> {
    static CLUSTER: OnceLock<Option<Cluster>> = OnceLock::new();
    CLUSTER.get_or_init(|| Cluster::start(CARELESS)).as_ref()
}
