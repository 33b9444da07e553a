//! A key that is not remembered: one look-up in each of the stores.

use std::time::Instant;

use http::{HeaderValue, StatusCode};
use portcullis::Keyring;
use portcullis::keyring::NewKey;
use portcullis::store::{KeyStore, MemoryStore};

/// The throwaway server of the crate's own tests.
#[cfg(feature = "postgres")]
#[path = "../../../tests/postgres/cluster.rs"]
mod cluster;

use super::{Group, Kind, OTHER_LANGUAGES};
use crate::world::{World, bare, header};
use crate::{call, keys};

pub(super) const GROUP: Group = Group {
    name: "miss",
    about: "a request with a key that is not remembered, one at a time, by store",
    kind: Kind::Own(measure),
};

fn measure(world: &mut World) {
    store(world, "memory", &MemoryStore::new());
    #[cfg(feature = "sqlite")]
    {
        use portcullis::store::SqliteStore;
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/keys.db", folder.path().display());
        let sqlite = world.block_on(SqliteStore::connect(&url)).unwrap();
        store(world, "SQLite", &sqlite);
    }
    #[cfg(feature = "postgres")]
    {
        use portcullis::store::PostgresStore;
        // Without PostgreSQL it fails in CI.
        let Some(cluster) = cluster::Cluster::start(&[]) else {
            let recorder = &mut world.recorder;
            recorder.left_out("misses on PostgreSQL", "it is not installed");
            return;
        };
        let url = cluster.url(&cluster.create_database());
        let postgres = world.block_on(PostgresStore::connect(&url)).unwrap();
        store(world, "PostgreSQL", &postgres);
    }
}

/// Makes keys in `store`, forgets them by taking a new keyring, and sends each once.
fn store(world: &mut World, name: &str, store: &(impl KeyStore + Clone)) {
    let keys = world.many(2_000, 50);
    let maker = world.keyring(store.clone(), |builder| builder);
    let credentials = world.block_on(make(&maker, keys));
    let (mut medians, mut slowest, mut rates) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..world.many(7, 1) {
        let keyring = world.keyring(store.clone(), |builder| builder);
        let mut service = bare(&keyring);
        let credentials = credentials.clone();
        // On the runtime's own thread, as on a server; from outside, waking up would be measured.
        let asking = async move {
            let mut micros = Vec::with_capacity(credentials.len());
            for credential in &credentials {
                let begin = Instant::now();
                let status = call::wait(&mut service, Some(credential)).await;
                micros.push(begin.elapsed().as_secs_f64() * 1e6);
                assert_eq!(status, StatusCode::OK);
            }
            micros.sort_by(f64::total_cmp);
            micros
        };
        let micros = world.block_on(async { tokio::spawn(asking).await.unwrap() });
        rates.push(micros.len() as f64 * 1e6 / micros.iter().sum::<f64>());
        medians.push(micros[micros.len() / 2]);
        slowest.push(micros[micros.len() * 99 / 100]);
    }
    let recorder = &mut world.recorder;
    recorder.rounds(GROUP.name, name, "us, half of the misses", medians);
    recorder.rounds(GROUP.name, name, "us, 99 % of the misses", slowest);
    let beside = format!("portcullis, layer alone, {name} asked each time");
    recorder.rounds(OTHER_LANGUAGES, &beside, "good keys a second", rates);
}

async fn make(keyring: &Keyring, count: usize) -> Vec<HeaderValue> {
    let mut made = Vec::new();
    for _ in 0..count {
        let new = NewKey::named("bench").unwrap();
        let created = keyring.create(new).await.unwrap();
        made.push(header(created.secret.expose()));
    }
    debug_assert!(keyring.format().prefix() == keys::PREFIX);
    made
}
