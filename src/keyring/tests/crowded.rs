//! Many threads at caches that are too small for what they ask: whoever is let in is who presented
//! the key, and what is told of a key is what was true of it.
//!
//! The naive model is a list of keys with a flag on each. A flag that was up before the question is
//! binding; one that goes up meanwhile allows either answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use super::chance::Chance;
use super::fixture::Replica;
use crate::key::KeyId;
use crate::keyring::{Dead, Denial, NewKey};
use crate::store::MemoryStore;

/// So many keys, a tenth of which there is room for.
const KEYS: usize = 400;
const JUNK: usize = 200;

const ASKERS: usize = 8;
const QUESTIONS: usize = 4_000;

struct Key {
    id: KeyId,
    owner: String,
    secret: String,
    /// Somebody is about to revoke it.
    dying: AtomicBool,
    /// The revocation was answered.
    dead: AtomicBool,
}

struct World {
    replica: Replica,
    keys: Vec<Key>,
    junk: Vec<String>,
    admitted: AtomicUsize,
    refused: AtomicUsize,
}

impl World {
    async fn new() -> Self {
        let replica = Replica::with(MemoryStore::new(), |builder| {
            let builder = builder.capacity(KEYS as u64 / 10, JUNK as u64 / 10);
            let builder = builder.unknown_lookups(10_000_000, 10_000_000);
            // What is asked here is not how fast a busy machine is.
            builder.lookup_deadline(Duration::from_secs(4))
        });
        let replica = replica.await;
        let mut keys = Vec::new();
        for number in 0..KEYS {
            // Few owners, so that a mix-up of two keys of one owner is seen by the id alone.
            let owner = format!("owner {}", number % 7);
            let new = NewKey::named("key").and_then(|new| new.owner(&owner));
            let created = replica.keyring.create(new.unwrap()).await.unwrap();
            keys.push(Key {
                id: created.key.id,
                owner,
                secret: created.secret.expose().to_owned(),
                dying: AtomicBool::new(false),
                dead: AtomicBool::new(false),
            });
        }
        Self {
            junk: (0..JUNK).map(|_| replica.junk()).collect(),
            keys,
            replica,
            admitted: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
        }
    }

    async fn ask(&self, key: &Key) {
        let was_dead = key.dead.load(Ordering::SeqCst);
        match self.replica.judged(&key.secret).await {
            Ok(principal) => {
                assert_eq!(principal.key_id(), &key.id, "somebody else's principal");
                assert_eq!(principal.owner(), key.owner);
                assert!(!was_dead, "let in after the revocation was answered");
                self.admitted.fetch_add(1, Ordering::Relaxed);
            }
            Err(Denial::Dead(Dead::Revoked)) => {
                assert!(key.dying.load(Ordering::SeqCst), "nobody revokes it");
                self.refused.fetch_add(1, Ordering::Relaxed);
            }
            Err(other) => panic!("a key that is there: {other:?}"),
        }
    }

    async fn ask_for_nothing(&self, junk: &str) {
        let answer = self.replica.judged(junk).await;
        let unknown = Denial::Dead(Dead::Unknown);
        assert_eq!(answer.err(), Some(unknown), "there is no such key");
    }

    async fn revoke(&self, key: &Key) {
        key.dying.store(true, Ordering::SeqCst);
        self.replica.revoke(&key.id).await;
        key.dead.store(true, Ordering::SeqCst);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn eviction_under_many_threads_mixes_nobody_up() {
    let world = Arc::new(World::new().await);
    let mut tasks = Vec::new();
    for seed in 0..ASKERS {
        let world = Arc::clone(&world);
        tasks.push(tokio::spawn(async move {
            let mut chance = Chance::seeded(seed as u64);
            for _ in 0..QUESTIONS {
                if chance.one_in(5) {
                    let junk = chance.below(JUNK);
                    world.ask_for_nothing(&world.junk[junk]).await;
                } else {
                    // Some are asked for all the time, so that they are in the cache when they go.
                    let of = if chance.one_in(2) { KEYS / 20 } else { KEYS };
                    world.ask(&world.keys[chance.below(of)]).await;
                }
            }
        }));
    }
    let revoking = Arc::clone(&world);
    tasks.push(tokio::spawn(async move {
        for key in revoking.keys.iter().step_by(3) {
            revoking.revoke(key).await;
            tokio::task::yield_now().await;
        }
    }));
    for task in tasks {
        task.await.unwrap();
    }
    let (admitted, refused) = (&world.admitted, &world.refused);
    assert!(
        admitted.load(Ordering::Relaxed) > QUESTIONS && refused.load(Ordering::Relaxed) > QUESTIONS
    );
    let health = world.replica.keyring.health();
    assert!(
        health.known <= KEYS as u64 / 5,
        "nothing was evicted: {}",
        health.known
    );
}
