//! A memory that is far too small, many threads, and keys that change all the while: whoever is let
//! in is who the store says.

use std::sync::Arc;

use super::chance::Chance;
use super::fixture::{Answer, DISABLED, REVOKED, Replica, UNKNOWN};
use crate::key::KeyId;
use crate::keyring::NewKey;
use crate::store::MemoryStore;

const THREADS: usize = 4;
const KEYS_OF_EACH: usize = 60;
const REQUESTS_OF_EACH: usize = 6_000;
/// Of 240 keys.
const REMEMBERED: u64 = 40;

/// A key, and what whoever changes it knows of it.
struct Watched {
    id: KeyId,
    secret: String,
    /// The beginning of all names that it will have.
    stem: String,
    expected: Answer,
}

/// One thread of requests: of its own keys it knows what each answer has to be, of those of others
/// at least whose they are.
async fn run(replica: Replica, mut own: Vec<Watched>, all: Arc<[(String, String)]>, seed: u64) {
    let mut chance = Chance::seeded(seed);
    let junk: Vec<_> = (0..8).map(|_| replica.junk()).collect();
    for round in 0..REQUESTS_OF_EACH {
        match chance.below(40) {
            0 => {
                let key = &mut own[chance.below(KEYS_OF_EACH)];
                change(&replica, key, round, &mut chance).await;
                // Sent after the answer to the change, be the key remembered or not.
                assert_eq!(replica.ask(&key.secret).await, key.expected, "{}", key.stem);
            }
            1 | 2 => assert_eq!(replica.ask(&chance.pick(&junk)).await, UNKNOWN),
            3..=15 => {
                let key = &own[chance.below(KEYS_OF_EACH)];
                assert_eq!(replica.ask(&key.secret).await, key.expected, "{}", key.stem);
            }
            _ => {
                let (secret, stem) = &all[chance.below(all.len())];
                match replica.ask(secret).await {
                    Ok(name) => assert!(name.starts_with(stem), "{name} is let in for {stem}"),
                    answer => assert!(answer == DISABLED || answer == REVOKED, "{answer:?}"),
                }
            }
        }
        if round % 16 == 0 {
            tokio::task::yield_now().await;
        }
    }
}

async fn change(replica: &Replica, key: &mut Watched, round: usize, chance: &mut Chance) {
    if key.expected == REVOKED {
        return;
    }
    match chance.below(6) {
        0 => {
            replica.revoke(&key.id).await;
            key.expected = REVOKED;
        }
        1 | 2 => {
            replica.enable(&key.id, false).await;
            key.expected = DISABLED;
        }
        _ => {
            let name = format!("{}{round}", key.stem);
            replica.enable(&key.id, true).await;
            replica.rename(&key.id, &name).await;
            key.expected = Ok(name);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_is_taken_for_somebody_else_whatever_is_forgotten_meanwhile() {
    let replica = Replica::with(MemoryStore::new(), |builder| {
        let builder = builder.capacity(REMEMBERED, 4);
        builder.unknown_lookups(1_000_000, 1_000_000)
    })
    .await;
    let mut shares = Vec::new();
    let mut all = Vec::new();
    for thread in 0..THREADS {
        let mut own = Vec::new();
        for number in 0..KEYS_OF_EACH {
            let stem = format!("{thread}/{number}/");
            let new = NewKey::named(&stem).unwrap();
            let created = replica.keyring.create(new).await.unwrap();
            let secret = created.secret.expose().to_owned();
            all.push((secret.clone(), stem.clone()));
            own.push(Watched {
                id: created.key.id,
                secret,
                expected: Ok(stem.clone()),
                stem,
            });
        }
        shares.push(own);
    }
    let all: Arc<[_]> = all.into();
    let before = replica.faults.look_ups.calls();
    let threads: Vec<_> = (1..)
        .zip(shares)
        .map(|(seed, own)| tokio::spawn(run(replica.clone(), own, Arc::clone(&all), seed)))
        .collect();
    for thread in threads {
        thread.await.unwrap();
    }
    let asked = replica.faults.look_ups.calls() - before;
    let requests = (THREADS * REQUESTS_OF_EACH) as u64;
    assert!(
        asked > requests / 10,
        "hardly anything was forgotten: {asked} look-ups"
    );
    assert!(
        asked < requests,
        "hardly anything was remembered: {asked} look-ups"
    );
}
