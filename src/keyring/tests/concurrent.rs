//! Many changes of one key at once: some order of them explains every answer and what is left.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::chance::Chance;
use super::fixture::Replica;
use super::naive::{Changed, Key, Naive, Secret, bare};
use crate::clock::Clock;
use crate::key::{KeyHint, KeyId};
use crate::keyring::{Builder, Created, End, KeyPatch, Keyring, NewKey, WriteError};
use crate::scope::ScopeSet;
use crate::store::{KeyName, KeyStore, MemoryStore, Metadata};
use crate::testing::FakeClock;
use crate::timestamp::Timestamp;

const AT_ONCE: usize = 20;

#[derive(Clone, Debug)]
enum Change {
    Update(KeyPatch),
    Rotate(Duration),
    EndPrevious,
    Revoke(String),
}

impl Change {
    fn random(chance: &mut Chance, number: usize, now: Timestamp) -> Self {
        match chance.below(12) {
            0 | 1 => Self::Update(KeyPatch {
                name: Some(KeyName::parse(&format!("name {number}")).unwrap()),
                ..KeyPatch::default()
            }),
            2 | 3 => Self::Update(KeyPatch {
                enabled: Some(chance.one_in(2)),
                ..KeyPatch::default()
            }),
            4 => Self::Update(KeyPatch {
                scopes: Some(ScopeSet::parse([format!("scope:{number}")]).unwrap()),
                ..KeyPatch::default()
            }),
            5 => Self::Update(KeyPatch {
                expires_at: Some(chance.pick(&[
                    End::Never,
                    End::At(now.checked_add(Duration::from_secs(30)).unwrap()),
                    End::At(now.checked_add(Duration::from_secs(90)).unwrap()),
                ])),
                ..KeyPatch::default()
            }),
            6 => Self::Update(KeyPatch {
                metadata: Some(Metadata::parse(&format!(r#"{{"n":{number}}}"#)).unwrap()),
                ..KeyPatch::default()
            }),
            7..=9 => Self::Rotate(Duration::from_secs(chance.pick(&[0, 60]))),
            10 => Self::EndPrevious,
            _ => {
                if chance.one_in(3) {
                    Self::Revoke(format!("reason {number}"))
                } else {
                    Self::EndPrevious
                }
            }
        }
    }

    async fn make(self, keyring: Keyring, id: KeyId) -> Made {
        let mut secret = None;
        let result = match &self {
            Self::Update(patch) => keyring.update(&id, patch.clone()).await,
            Self::Rotate(grace) => keyring.rotate(&id, *grace).await.map(|created| {
                let Created { key, secret: plain } = created;
                secret = Some((key.hint.clone(), plain.expose().to_owned()));
                key
            }),
            Self::EndPrevious => keyring.end_previous(&id).await,
            Self::Revoke(reason) => keyring.revoke(&id, Some(reason)).await,
        };
        let result = match result {
            Ok(record) => Ok(bare(record)),
            Err(WriteError::Refused(refusal)) => Err(refusal),
            Err(other) => panic!("{self:?}: {other}"),
        };
        Made {
            change: self,
            result,
            secret,
        }
    }
}

/// A change, and what was answered.
#[derive(Debug)]
struct Made {
    change: Change,
    result: Changed,
    secret: Option<(KeyHint, String)>,
}

impl Made {
    /// Does the same to the model; whether that answers the same.
    fn explains(&self, naive: &mut Naive, id: &KeyId, now: Timestamp) -> bool {
        let result = match &self.change {
            Change::Update(patch) => naive.update(id, patch, now),
            Change::Rotate(grace) => {
                let (hint, text) = match &self.secret {
                    Some((hint, text)) => (hint.clone(), Some(text.clone())),
                    None => (KeyHint::from_stored("acme_live_none").unwrap(), None),
                };
                naive.rotate(id, *grace, hint, text, now)
            }
            Change::EndPrevious => naive.end_previous(id),
            Change::Revoke(reason) => naive.revoke(id, Some(reason), now),
        };
        result == self.result
    }
}

/// All that can be left after an order of `made` that explains each answer.
fn endings(start: Naive, made: &[Made], id: &KeyId, now: Timestamp) -> Vec<Naive> {
    let mut seen = HashSet::new();
    let mut endings = Vec::new();
    let mut open = vec![(0_u32, start)];
    while let Some((done, naive)) = open.pop() {
        if !seen.insert((done, format!("{naive:?}"))) {
            continue;
        }
        if done.count_ones() as usize == made.len() {
            endings.push(naive);
            continue;
        }
        for (number, one) in made.iter().enumerate() {
            let mut next = naive.clone();
            if done & (1 << number) == 0 && one.explains(&mut next, id, now) {
                open.push((done | (1 << number), next));
                if one.result.is_err() {
                    // It changed nothing, so that nothing is lost by placing it here.
                    break;
                }
            }
        }
    }
    endings
}

/// Two replicas of one service, and their clock.
struct Stage {
    replicas: [Replica; 2],
    clock: FakeClock,
}

impl Stage {
    async fn on(store: impl KeyStore, clock: FakeClock) -> Self {
        let store: Arc<dyn KeyStore> = Arc::new(store);
        let replica = async || {
            let same = Arc::new(clock.clone());
            let options = |builder: Builder| {
                // Dead secrets are asked for many times, while the clock stands still.
                let builder = builder.clock(same).unknown_lookups(1_000_000, 1_000_000);
                // What is asked here is not how fast a busy machine is.
                builder.lookup_deadline(Duration::from_secs(4))
            };
            Replica::with(Arc::clone(&store), options).await
        };
        Self {
            replicas: [replica().await, replica().await],
            clock,
        }
    }

    async fn on_memory() -> Self {
        let clock = FakeClock::new();
        Self::on(MemoryStore::with_clock(Arc::new(clock.clone())), clock).await
    }

    fn has_one_history(&self) {
        for replica in &self.replicas {
            assert_eq!(replica.keyring.health().history_breaks, 0);
        }
    }

    /// Makes all these at once, through both replicas by turns or through one alone.
    async fn make(&self, changes: Vec<Change>, id: &KeyId, through: usize) -> Vec<Made> {
        let tasks: Vec<_> = changes
            .into_iter()
            .enumerate()
            .map(|(number, change)| {
                let keyring = self.replicas[number % through].keyring.clone();
                tokio::spawn(change.make(keyring, id.clone()))
            })
            .collect();
        let mut made = Vec::new();
        for task in tasks {
            made.push(task.await.unwrap());
        }
        made
    }
}

async fn create(stage: &Stage) -> (Naive, KeyId, String) {
    let new = NewKey::named("key").unwrap();
    let Created { key, secret } = stage.replicas[0].keyring.create(new).await.unwrap();
    let text = secret.expose().to_owned();
    let id = key.id.clone();
    let secrets = vec![Secret {
        text: Some(text.clone()),
        ends: None,
    }];
    let record = bare(key);
    let keys = vec![Key { record, secrets }];
    (Naive { keys }, id, text)
}

async fn some_order_explains_twenty_changes(stage: &Stage, seed: u64) {
    let chance = &mut Chance::seeded(seed);
    let now = stage.clock.wall();
    let (start, id, first) = create(stage).await;
    let through = 1 + chance.below(2);
    let changes = (0..AT_ONCE).map(|number| Change::random(chance, number, now));
    let made = stage.make(changes.collect(), &id, through).await;
    let mut endings = endings(start, &made, &id, now);
    assert!(!endings.is_empty(), "seed {seed}: {made:#?}");
    // Of the orders that explain the answers, those that explain what is left.
    let left = stage.replicas[0].keyring.get(&id).await.unwrap().unwrap();
    let left = bare(left);
    endings.retain(|naive| naive.keys[0].record == left);
    assert!(!endings.is_empty(), "seed {seed}: {left:#?}, {made:#?}");
    let secrets: Vec<&String> = made
        .iter()
        .filter_map(|made| made.secret.as_ref().map(|(_, text)| text))
        .chain([&first])
        .collect();
    for replica in &stage.replicas[..2] {
        // Only what it wrote itself is heard of at once.
        if through == 2 || !Arc::ptr_eq(&replica.keyring.inner, &stage.replicas[0].keyring.inner) {
            replica.sync().await;
        }
        for secret in &secrets {
            let answer = replica.ask(secret).await;
            let explained = |naive: &Naive| naive.verdict(secret, now) == answer;
            assert!(
                endings.iter().any(explained),
                "seed {seed}: {answer:?}, {made:#?}"
            );
        }
    }
    stage.has_one_history();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn some_order_explains_twenty_changes_of_one_key_at_once() {
    let stage = Stage::on_memory().await;
    for seed in 0..100 {
        some_order_explains_twenty_changes(&stage, seed).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_rotations_at_once_each_succeeds_and_the_last_ones_secret_lives() {
    of_many_rotations_the_last_ones_secret_lives(&Stage::on_memory().await, 50).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_revoke_among_rotations_leaves_no_secret_alive() {
    a_revoke_leaves_no_secret_alive(&Stage::on_memory().await, 100).await;
}

/// The same three on SQLite, where each round waits for the disk some twenty times.
#[cfg(feature = "sqlite")]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn in_sqlite_too_changes_at_once_come_one_after_another() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("keys.db").display());
    let clock = FakeClock::new();
    let options = crate::store::SqliteStore::options(&url).clock(Arc::new(clock.clone()));
    let stage = Stage::on(options.connect().await.unwrap(), clock).await;
    for seed in 0..5 {
        some_order_explains_twenty_changes(&stage, seed).await;
    }
    of_many_rotations_the_last_ones_secret_lives(&stage, 5).await;
    a_revoke_leaves_no_secret_alive(&stage, 5).await;
}

async fn of_many_rotations_the_last_ones_secret_lives(stage: &Stage, rounds: u64) {
    for seed in 0..rounds {
        let chance = &mut Chance::seeded(seed);
        let (_, id, first) = create(stage).await;
        let changes: Vec<_> = (0..AT_ONCE)
            .map(|_| Change::Rotate(Duration::from_secs(chance.pick(&[0, 60]))))
            .collect();
        let made = stage.make(changes, &id, 1 + chance.below(2)).await;
        let left = stage.replicas[0].keyring.get(&id).await.unwrap().unwrap();
        let previous = left.previous.map(|previous| previous.hint);
        let mut alive = 0;
        for replica in &stage.replicas {
            replica.sync().await;
            assert!(replica.ask(&first).await.is_err(), "seed {seed}");
            for one in &made {
                let (hint, secret) = one.secret.as_ref().expect("each succeeds");
                let lives = *hint == left.hint || Some(hint) == previous.as_ref();
                assert_eq!(replica.ask(secret).await.is_ok(), lives, "seed {seed}");
                alive += usize::from(lives);
            }
        }
        let expected = 1 + usize::from(previous.is_some());
        assert_eq!(alive, 2 * expected, "seed {seed}");
    }
}

async fn a_revoke_leaves_no_secret_alive(stage: &Stage, rounds: u64) {
    let [here, there] = &stage.replicas;
    for seed in 0..rounds {
        let (_, id, first) = create(stage).await;
        assert!(here.ask(&first).await.is_ok());
        let rotations: Vec<_> = (0..AT_ONCE)
            .map(|number| {
                let (replica, asking) = if number % 2 == 0 {
                    (here, here)
                } else {
                    (there, here)
                };
                let (keyring, asking, id) = (replica.keyring.clone(), asking.clone(), id.clone());
                tokio::spawn(async move {
                    let grace = Duration::from_mins(1);
                    let rotated = keyring.rotate(&id, grace).await.ok()?;
                    let secret = rotated.secret.expose().to_owned();
                    // So that it is remembered.
                    drop(asking.ask(&secret).await);
                    Some(secret)
                })
            })
            .collect();
        tokio::task::yield_now().await;
        here.revoke(&id).await;
        assert!(here.ask(&first).await.is_err(), "seed {seed}");
        for rotation in rotations {
            if let Some(secret) = rotation.await.unwrap() {
                assert!(here.ask(&secret).await.is_err(), "seed {seed}");
            }
        }
    }
    stage.has_one_history();
}
