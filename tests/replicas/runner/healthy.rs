//! How soon a revocation is heeded when nothing is wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;

use crate::runner::chance::Chance;
use crate::runner::client::Client;
use crate::runner::figures::Figures;
use crate::runner::history::{Outcome, What};
use crate::runner::judge::{Violation, judge};
use crate::runner::load::{ask_all, follow};
use crate::runner::stage::{Key, Stage};
use crate::runner::world::World;

/// How many make keys, or revoke them, at the same time.
const CROWD: usize = 4;

/// On the other replicas.
pub(crate) const P99: Duration = Duration::from_millis(250);
pub(crate) const MAX: Duration = Duration::from_secs(1);

/// Makes so many keys, warms them on every replica, and revokes them all.
pub(crate) async fn revoke(
    world: &Arc<World>,
    number: usize,
    seed: u64,
) -> (Figures, Vec<Violation>) {
    let stage = Stage::on(world);
    let mut chance = Chance::seeded(seed);
    let mut makers = JoinSet::new();
    for _ in 0..CROWD {
        let (stage, mut chance) = (Arc::clone(&stage), chance.fork());
        makers.spawn(async move {
            let mut client = Client::default();
            let mut keys = Vec::new();
            for _ in 0..number / CROWD {
                let replica = stage.any_replica(&mut chance);
                let key = stage.create(&mut client, replica).await;
                let key = key.expect("nothing is wrong");
                ask_all(&stage, &mut chance, key.secret).await;
                keys.push(key);
            }
            keys
        });
    }
    let keys: Arc<Vec<Key>> = Arc::new(makers.join_all().await.concat());
    let next = Arc::new(AtomicUsize::new(0));
    let mut revokers = JoinSet::new();
    for _ in 0..CROWD {
        let (stage, keys, next) = (Arc::clone(&stage), Arc::clone(&keys), Arc::clone(&next));
        let mut chance = chance.fork();
        revokers.spawn(async move {
            let mut client = Client::default();
            while let Some(key) = keys.get(next.fetch_add(1, Ordering::Relaxed)) {
                let replica = stage.any_replica(&mut chance);
                let revoked = stage.change(&mut client, replica, *key, What::Revoke);
                assert_eq!(revoked.await.0, Outcome::Acknowledged);
                follow(&stage, key.secret).await;
            }
        });
    }
    revokers.join_all().await;
    let history = stage.take_history();
    (Figures::of(&history), judge(&history))
}
