//! Each fault once, and briefly.

use std::sync::Arc;
use std::time::Duration;

use crate::episode::{Episode, Report};
use crate::fault::{Fault, Whom};
use crate::proxy::Mode;
use crate::world::{Scale, World};

const SCALE: Scale = Scale {
    replicas: 3,
    max_staleness: Duration::from_millis(1_000),
};

/// Long enough for the lease to end, and for what comes after.
const LASTING: Duration = Duration::from_millis(2_500);

async fn suffer(fault: Fault) -> Option<Report> {
    let world = Arc::new(World::start(SCALE).await?);
    let episode = Episode {
        fault: Some(fault),
        lasting: LASTING,
        seed: 1,
    };
    let report = episode.play(&world).await;
    println!("{fault:?}\n{report}");
    if !report.violations.is_empty() {
        for (n, site) in world.sites.iter().enumerate() {
            println!("replica {n}:\n{}", site.log());
        }
    }
    assert!(report.violations.is_empty(), "{fault:?}");
    let (before, after) = report.connections;
    assert!(after <= before, "{fault:?}: {after} connections, not {before}");
    Some(report)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closed_connections() {
    suffer(Fault::Network(Mode::Close, Whom::All)).await;
}
