//! One Postgres, several replicas, and a proxy between each of them and it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex as StdMutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::task::{JoinSet, block_in_place};
use tokio::time::{sleep, timeout};

use crate::runner::client::{Client, admin, get};
use crate::runner::cluster::Cluster;
use crate::runner::hand::Hand;
use crate::runner::history::Watch;
use crate::runner::key::well_formed;
use crate::runner::proxy::Proxy;
use crate::runner::replica::{Log, Replica, Setup};

/// More than any pool of a replica's holds.
const CROWD: usize = 40;

/// How big a world is, and how patient.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale {
    pub(crate) replicas: usize,
    pub(crate) max_staleness: Duration,
}

pub(crate) struct World {
    pub(crate) watch: Watch,
    pub(crate) scale: Scale,
    pub(crate) hand: Hand,
    pub(crate) sites: Vec<Site>,
    /// How many connections the replicas have when all of them have as many as they may.
    pub(crate) full: usize,
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
        let mut world = Self {
            watch: Watch::start(),
            scale,
            hand,
            sites,
            full: 0,
        };
        for site in &world.sites {
            fill(site.address()).await;
        }
        world.full = world.connections().await;
        world
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

/// More of each at once than a replica has connections for, so that it opens all.
async fn fill(address: SocketAddr) {
    let mut tasks = JoinSet::new();
    for n in 0..CROWD {
        let unknown = well_formed(&format!("{n:032}"));
        tasks.spawn(async move {
            let asked = get("/v1/ping", &unknown);
            let changed = admin("PATCH", "/keys/key_0000000000000000", &json!({}));
            let listed = admin("GET", "/keys", &Value::Null);
            for request in [asked, changed, listed] {
                Client::default().send(address, &request).await;
            }
        });
    }
    tasks.join_all().await;
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
