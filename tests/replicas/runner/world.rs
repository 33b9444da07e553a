//! One Postgres, several replicas, and a proxy between each of them and it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex as StdMutex};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::task::block_in_place;
use tokio::time::{sleep, timeout};

use crate::runner::cluster::Cluster;
use crate::runner::hand::Hand;
use crate::runner::history::Watch;
use crate::runner::proxy::Proxy;
use crate::runner::replica::{Log, Replica, Setup};

/// How many connections a replica opens at most: four for look-ups, one for lists, two for changes,
/// and one that listens.
const CONNECTIONS: usize = 8;

/// How big a world is, and how patient.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    pub(crate) replicas: usize,
    pub(crate) max_staleness: Duration,
    /// How many keys live at the same time, each with someone who changes it now and then.
    pub(crate) authors: usize,
}

pub(crate) struct World {
    pub(crate) watch: Watch,
    pub(crate) scale: Scale,
    pub(crate) hand: Hand,
    pub(crate) sites: Vec<Site>,
}

/// Where one replica runs, also while it does not.
pub(crate) struct Site {
    pub(crate) proxy: Proxy,
    setup: Setup,
    replica: Mutex<Option<Replica>>,
    address: StdMutex<SocketAddr>,
    log: StdMutex<Log>,
}

impl World {
    /// In a database of its own.
    pub(crate) async fn start(cluster: Arc<Cluster>, scale: Scale) -> Self {
        let hand = Hand {
            database: block_in_place(|| cluster.create_database()),
            cluster,
        };
        let postgres = SocketAddr::from(([127, 0, 0, 1], hand.cluster.port()));
        let mut sites = Vec::new();
        for _ in 0..scale.replicas {
            let proxy = Proxy::to(postgres).await;
            let url = Cluster::url_at(proxy.address.port(), &hand.database);
            let setup = Setup {
                // The proxy wants to read it.
                database: format!("{url}?sslmode=disable"),
                max_staleness: scale.max_staleness,
            };
            sites.push(Site::start(proxy, setup).await);
        }
        Self {
            watch: Watch::start(),
            scale,
            hand,
            sites,
        }
    }

    /// How many connections the replicas may have.
    pub(crate) fn most_connections(&self) -> usize {
        CONNECTIONS * self.sites.len()
    }

    /// How many connections the replicas have, as Postgres counts them.
    pub(crate) async fn connections(&self) -> usize {
        let counted = self
            .hand
            .sql(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                 AND backend_type = 'client backend' AND application_name <> 'psql'",
            )
            .await;
        counted.unwrap().parse().unwrap()
    }

    /// Waits until there are no more connections than that.
    pub(crate) async fn connections_fall_to(&self, number: usize, within: Duration) -> usize {
        let mut counted = usize::MAX;
        let falling = async {
            loop {
                counted = self.connections().await;
                if counted <= number {
                    return;
                }
                sleep(Duration::from_millis(20)).await;
            }
        };
        let _ = timeout(within, falling).await;
        counted
    }
}

/// With the disk: what was acknowledged survives. `None` where there is no Postgres on this machine.
pub(crate) fn postgres() -> Option<Arc<Cluster>> {
    let settings = [("shared_buffers", "32MB"), ("max_connections", "200")];
    Cluster::start(&settings).map(Arc::new)
}

impl Site {
    async fn start(proxy: Proxy, setup: Setup) -> Self {
        let replica = setup.start().await;
        Self {
            proxy,
            address: StdMutex::new(replica.address),
            log: StdMutex::new(replica.log.clone()),
            replica: Mutex::new(Some(replica)),
            setup,
        }
    }

    /// Where it listens, or did when it was killed.
    pub(crate) fn address(&self) -> SocketAddr {
        *self.address.lock().unwrap()
    }

    pub(crate) fn log(&self) -> Log {
        self.log.lock().unwrap().clone()
    }

    pub(crate) async fn kill(&self) {
        let replica = self.replica.lock().await.take();
        replica.expect("it runs").kill().await;
    }

    pub(crate) async fn restart(&self) {
        let replica = self.setup.start().await;
        *self.address.lock().unwrap() = replica.address;
        *self.log.lock().unwrap() = replica.log.clone();
        *self.replica.lock().await = Some(replica);
    }

    pub(crate) async fn stop(&self) {
        let replica = self.replica.lock().await;
        replica.as_ref().expect("it runs").stop().await;
    }

    pub(crate) async fn go_on(&self) {
        let replica = self.replica.lock().await;
        replica.as_ref().expect("it runs").go_on().await;
    }
}
