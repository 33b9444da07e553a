//! Random sequences of everything that can happen to keys, against a naive model: two replicas on
//! one store, either of which writes, syncs, fails and heals.
//!
//! After every step every secret that was ever given out is used on both replicas. What a replica
//! answers must be what the model says now, or what it said at a moment that this replica may
//! still believe in: not before its own last sync or acknowledged write, and within the lease;
//! also where a read replica answers look-ups that has heard of nothing for any time.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use super::chance::Chance;
use super::fixture::{Answer, Replica, unavailable};
use super::naive::{Key, Naive, Secret, bare};
use crate::clock::Clock;
use crate::key::KeyId;
use crate::keyring::caller::Caller;
use crate::keyring::on_behalf::Making;
use crate::keyring::{Created, End, Expiry, KeyPatch, NewKey, Unavailable, WriteError};
use crate::scope::ScopeSet;
#[cfg(feature = "sqlite")]
use crate::store::SqliteStore;
use crate::store::{
    KeyName, KeyRecord, KeyStore, ListQuery, MemoryStore, Metadata, Provenance, Refusal, Status,
    Whose,
};
use crate::testing::FakeClock;
use crate::timestamp::Timestamp;

/// How many runs `cargo test` makes, unless `PORTCULLIS_MODEL_RUNS` says otherwise.
const RUNS: u64 = 100;

/// And how many on SQLite, where each step waits for the disk.
#[cfg(feature = "sqlite")]
const SQLITE_RUNS: u64 = 2;

const STEPS: usize = 100;

/// The default `max_staleness`.
const LEASE: Duration = Duration::from_secs(5);

/// What becomes of the answers to a replica's writes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Writes {
    Work,
    Fail,
    /// Done, but nobody is told.
    GetLost,
}

/// What is known of a replica from outside.
struct View {
    replica: Replica,
    /// The moment in history, as an index, before which this replica may believe nothing.
    floor: usize,
    writes: Writes,
    look_ups_fail: bool,
    syncs_fail: bool,
    /// The keys that it has revoked, and said so.
    revoked: HashSet<KeyId>,
}

struct Machine {
    chance: Chance,
    clock: FakeClock,
    views: [View; 2],
    now: Naive,
    /// What was before, each with the moment at which it ended.
    history: Vec<(Timestamp, Naive)>,
    /// Every secret that was ever given out, with its key.
    secrets: Vec<(KeyId, String)>,
    trace: Vec<String>,
}

/// What came of a write.
enum Written<T> {
    Done(T),
    Refused(Refusal),
    Failed,
    Lost,
}

impl<T> Written<T> {
    fn from(result: Result<T, WriteError>) -> Self {
        match result {
            Ok(value) => Self::Done(value),
            Err(WriteError::Refused(refusal)) => Self::Refused(refusal),
            Err(WriteError::Store(_)) => Self::Failed,
            Err(WriteError::OutcomeUnknown(_)) => Self::Lost,
            Err(other) => panic!("{other}"),
        }
    }
}

impl Machine {
    async fn on(store: Arc<dyn KeyStore>, clock: FakeClock, seed: u64) -> Self {
        let view = async || {
            let same = Arc::new(clock.clone());
            let replica = Replica::with(Arc::clone(&store), |builder| {
                let builder = builder.clock(same).environments(["live", "test"]);
                // Every secret is used all the time, also those that are long dead.
                builder.unknown_lookups(1_000_000, 1_000_000)
            });
            View {
                replica: replica.await,
                floor: 0,
                writes: Writes::Work,
                look_ups_fail: false,
                syncs_fail: false,
                revoked: HashSet::new(),
            }
        };
        Self {
            chance: Chance::seeded(seed),
            views: [view().await, view().await],
            clock,
            now: Naive::default(),
            history: Vec::new(),
            secrets: Vec::new(),
            trace: Vec::new(),
        }
    }

    fn wall(&self) -> Timestamp {
        self.clock.wall()
    }

    fn note(&mut self, what: impl Into<String>) {
        self.trace.push(what.into());
    }

    /// The model was changed: what was before is history.
    fn changed(&mut self, before: Naive) {
        if before != self.now {
            self.history.push((self.wall(), before));
        }
    }

    /// Takes what came of a write through replica `at` against what the model says of it.
    fn settle<T: PartialEq + std::fmt::Debug>(
        &mut self,
        at: usize,
        written: Written<T>,
        model: impl FnOnce(&mut Naive, Option<&T>) -> Result<Option<T>, Refusal>,
    ) -> Option<T> {
        let before = self.now.clone();
        let mut next = self.now.clone();
        let writes = self.views[at].writes;
        match written {
            Written::Done(value) => {
                assert_eq!(writes, Writes::Work);
                let expected = model(&mut next, Some(&value));
                if let Some(expected) = expected.expect("the model refuses this") {
                    assert_eq!(value, expected);
                }
                self.now = next;
                self.changed(before);
                // All of it: nothing outside a keyring has to remember to invalidate.
                self.views[at].floor = self.history.len();
                Some(value)
            }
            Written::Refused(refusal) => {
                assert_eq!(writes, Writes::Work);
                assert_eq!(model(&mut next, None).err(), Some(refusal));
                None
            }
            Written::Failed => {
                assert_eq!(writes, Writes::Fail);
                None
            }
            Written::Lost => {
                assert_eq!(writes, Writes::GetLost);
                if model(&mut next, None).is_ok() {
                    self.now = next;
                    self.changed(before);
                }
                self.views[at].floor = self.history.len();
                None
            }
        }
    }

    /// The record in the store, past all faults.
    async fn stored(&self, at: usize, id: &KeyId) -> KeyRecord {
        let read = self.views[at].replica.keyring.get(id).await.unwrap();
        bare(read.unwrap())
    }

    fn some_key(&mut self) -> Option<KeyId> {
        if self.now.keys.is_empty() {
            return None;
        }
        let key = self.chance.below(self.now.keys.len());
        Some(self.now.keys[key].record.id.clone())
    }

    fn some_moment(&mut self) -> Timestamp {
        let seconds = self.chance.pick(&[-1, 0, 1, 3, 10, 60]);
        let micros = self.wall().unix_micros() + seconds * 1_000_000;
        Timestamp::from_unix_micros(micros).unwrap()
    }

    async fn step(&mut self) {
        let at = self.chance.below(2);
        match self.chance.below(20) {
            0..=2 => self.create(at).await,
            3..=5 => self.update(at).await,
            6..=8 => self.rotate(at).await,
            9 => self.end_previous(at).await,
            10 => self.revoke(at).await,
            11 if self.chance.one_in(3) => self.revoke_all(at).await,
            11..=13 => self.let_time_pass(),
            14 | 15 => self.sync(at).await,
            16 | 17 => self.switch_faults(at),
            18 => self.list(at).await,
            _ => self.create_with_a_key(at).await,
        }
        self.use_everything().await;
    }

    async fn create(&mut self, at: usize) {
        let name = format!("key {}", self.trace.len());
        let expiry = match self.chance.below(4) {
            0 => Expiry::At(self.some_moment()),
            1 => Expiry::In(Duration::from_secs(self.chance.pick(&[1, 4, 30]))),
            _ => Expiry::Never,
        };
        let environment = self.chance.pick(&["live", "live", "test"]);
        let owner = self.chance.pick(&["acme", "other"]);
        let scopes: &[&str] = self.chance.pick(&[&["a"] as &[_], &["*", "keys:admin"]]);
        let new = NewKey::named(&name)
            .unwrap()
            .owner(owner)
            .unwrap()
            .scopes(scopes)
            .unwrap()
            .environment(environment.parse().unwrap())
            .expiry(expiry);
        self.note(format!("{at} creates {new:?}"));
        let result = self.views[at].replica.keyring.create(new.clone()).await;
        let ends = match expiry {
            Expiry::At(moment) => Some(moment),
            Expiry::In(after) => self.wall().checked_add(after),
            _ => None,
        };
        let made = if ends.is_some_and(|end| end <= self.wall()) {
            Err(Refusal::ExpiryInThePast)
        } else {
            Ok((new, Provenance::System, ends))
        };
        self.settle_creation(at, result, made).await;
    }

    /// On behalf of a key: what the gate remembers of it lets it in, its row decides.
    async fn create_with_a_key(&mut self, at: usize) {
        if self.secrets.is_empty() {
            return;
        }
        let secret = self.chance.below(self.secrets.len());
        let (maker, secret) = self.secrets[secret].clone();
        let view = &self.views[at];
        if view.replica.ask(&secret).await.is_err() {
            return;
        }
        let caller = Caller::Key(view.replica.principal(&secret).await);
        let new = NewKey::named(&format!("made {}", self.trace.len())).unwrap();
        self.note(format!("{at} creates {new:?} for {maker}"));
        let keyring = &self.views[at].replica.keyring;
        let result = keyring.create_as(caller, new.clone(), Making::default());
        let result = result.await;
        let made = match self.now.opened_by(&secret) {
            Some((record, ends)) if self.now.verdict(&secret, self.wall()).is_ok() => {
                let grants = record.scopes.to_string();
                if grants.contains("keys:admin") {
                    let new = new
                        .owner(record.owner.as_str())
                        .unwrap()
                        .environment(record.environment.clone());
                    Ok((new, Provenance::Key(maker), ends))
                } else {
                    Err(Refusal::CallerLacksScope)
                }
            }
            _ => Err(Refusal::CallerDead),
        };
        let result = result.map(|made| Created {
            key: made.record,
            secret: made.secret,
        });
        self.settle_creation(at, result, made).await;
    }

    async fn settle_creation(
        &mut self,
        at: usize,
        result: Result<Created, WriteError>,
        made: Result<(NewKey, Provenance, Option<Timestamp>), Refusal>,
    ) {
        let mut text = None;
        let result = result.map(|created| {
            text = Some(created.secret.expose().to_owned());
            bare(created.key)
        });
        let written = Written::from(result);
        // Where the answer was lost, the id and the hint are learned from the store.
        let learned = if matches!(written, Written::Lost) && made.is_ok() {
            let newest = ListQuery {
                limit: 1_000,
                ..ListQuery::default()
            };
            let listed = self.views[at].replica.keyring.list(newest).await.unwrap();
            let known = |id: &KeyId| self.now.keys.iter().any(|key| key.record.id == *id);
            let mut unknown = listed.into_iter().filter(|record| !known(&record.id));
            let record = unknown.next().expect("it was made");
            assert!(unknown.next().is_none());
            Some(bare(record))
        } else {
            None
        };
        let now = self.wall();
        let secret = text.clone();
        let record = self.settle(at, written, move |naive, record| {
            let (new, created_by, expires_at) = made?;
            let Some(given) = record.or(learned.as_ref()) else {
                return Ok(None);
            };
            let record = KeyRecord {
                id: given.id.clone(),
                name: new.name,
                owner: new.owner.unwrap(),
                environment: new.environment.unwrap(),
                hint: given.hint.clone(),
                scopes: new.scopes,
                roles: new.roles,
                resources: new.resources,
                allowed_ips: new.allowed_ips,
                enabled: true,
                created_at: now,
                created_by,
                expires_at,
                revoked: None,
                metadata: new.metadata,
                last_used_at: None,
                previous: None,
            };
            assert_eq!(*given, record);
            naive.keys.push(Key {
                record: record.clone(),
                secrets: vec![Secret {
                    text: secret,
                    ends: None,
                }],
            });
            Ok(Some(record))
        });
        if let (Some(record), Some(text)) = (record, text) {
            assert!(text.starts_with(record.hint.as_str()));
            self.secrets.push((record.id, text));
        }
    }

    async fn update(&mut self, at: usize) {
        let Some(id) = self.some_key() else { return };
        let number = self.trace.len();
        let mut patch = KeyPatch::default();
        match self.chance.below(6) {
            0 => patch.name = Some(KeyName::parse(&format!("renamed {number}")).unwrap()),
            1 | 2 => patch.enabled = Some(self.chance.one_in(2)),
            3 => {
                let scopes = self.chance.pick(&["a", "b keys:admin", ""]);
                patch.scopes = Some(ScopeSet::from_stored(scopes).unwrap());
            }
            4 => {
                patch.expires_at = Some(if self.chance.one_in(3) {
                    End::Never
                } else {
                    End::At(self.some_moment())
                });
            }
            _ => {
                let metadata = format!(r#"{{"number":{number}}}"#);
                patch.metadata = Some(Metadata::parse(&metadata).unwrap());
            }
        }
        self.note(format!("{at} updates {id}: {patch:?}"));
        let keyring = &self.views[at].replica.keyring;
        let written = Written::from(keyring.update(&id, patch.clone()).await.map(bare));
        let now = self.wall();
        self.settle(at, written, |naive, _| {
            naive.update(&id, &patch, now).map(Some)
        });
    }

    async fn rotate(&mut self, at: usize) {
        let Some(id) = self.some_key() else { return };
        let grace = Duration::from_secs(self.chance.pick(&[0, 0, 2, 20, 600]));
        self.note(format!("{at} rotates {id} with {grace:?}"));
        let result = self.views[at].replica.keyring.rotate(&id, grace).await;
        let mut text = None;
        let result = result.map(|created| {
            text = Some(created.secret.expose().to_owned());
            bare(created.key)
        });
        let written = Written::from(result);
        let stored = self.stored(at, &id).await;
        let now = self.wall();
        let secret = text.clone();
        self.settle(at, written, |naive, _| {
            naive
                .rotate(&id, grace, stored.hint.clone(), secret, now)
                .map(Some)
        });
        if let Some(text) = text {
            assert!(text.starts_with(stored.hint.as_str()));
            self.secrets.push((id, text));
        }
    }

    async fn end_previous(&mut self, at: usize) {
        let Some(id) = self.some_key() else { return };
        self.note(format!("{at} ends the previous secret of {id}"));
        let keyring = &self.views[at].replica.keyring;
        let written = Written::from(keyring.end_previous(&id).await.map(bare));
        self.settle(at, written, |naive, _| naive.end_previous(&id).map(Some));
    }

    async fn revoke(&mut self, at: usize) {
        let Some(id) = self.some_key() else { return };
        let reason = format!("reason {}", self.trace.len());
        self.note(format!("{at} revokes {id}"));
        let keyring = &self.views[at].replica.keyring;
        let written = Written::from(keyring.revoke(&id, Some(&reason)).await.map(bare));
        let now = self.wall();
        let revoked = self.settle(at, written, |naive, _| {
            naive.revoke(&id, Some(&reason), now).map(Some)
        });
        if revoked.is_some() {
            self.views[at].revoked.insert(id);
        }
    }

    async fn revoke_all(&mut self, at: usize) {
        let whose = match self.chance.below(4) {
            0 => Whose::All,
            1 => Whose::Owner(self.chance.pick(&self.now.owners())),
            _ => Whose::CreatedBy(match self.some_key() {
                Some(id) => Provenance::Key(id),
                None => Provenance::AdminToken,
            }),
        };
        self.note(format!("{at} revokes all of {whose:?}"));
        let keyring = &self.views[at].replica.keyring;
        let written = Written::from(keyring.revoke_all(whose.clone(), "stop").await);
        let now = self.wall();
        let before = self.now.clone();
        let revoked = self.settle(at, written, |naive, _| {
            Ok(Some(naive.revoke_all(&whose, "stop", now)))
        });
        if revoked.is_some() {
            for (before, after) in before.keys.iter().zip(&self.now.keys) {
                if before != after {
                    self.views[at].revoked.insert(after.record.id.clone());
                }
            }
        }
    }

    fn let_time_pass(&mut self) {
        let millis = self
            .chance
            .pick(&[1, 500, 1_000, 3_000, 5_000, 5_001, 30_000]);
        self.note(format!("{millis} ms pass"));
        self.clock.advance(Duration::from_millis(millis));
    }

    async fn sync(&mut self, at: usize) {
        self.note(format!("{at} syncs"));
        let view = &mut self.views[at];
        let synced = view.replica.keyring.sync().await;
        assert_eq!(synced.is_ok(), !view.syncs_fail);
        if synced.is_ok() {
            view.floor = self.history.len();
        }
    }

    fn switch_faults(&mut self, at: usize) {
        let view = &mut self.views[at];
        let faults = &view.replica.faults;
        let what = self.chance.below(10);
        match what {
            0 => {
                faults.writes.fail();
                view.writes = Writes::Fail;
            }
            1 | 2 => {
                faults.writes.lose_answers();
                view.writes = Writes::GetLost;
            }
            3 => {
                faults.look_ups.fail();
                view.look_ups_fail = true;
            }
            4 | 5 => {
                faults.syncs.fail();
                view.syncs_fail = true;
            }
            // It hears of nothing from now on, or of everything again.
            6 | 7 => {
                faults.answer_as_replica(true);
                view.look_ups_fail = false;
                if what == 6 {
                    faults.look_ups.answer_as_before();
                } else {
                    faults.look_ups.heal();
                }
            }
            _ => {
                faults.heal();
                faults.answer_as_replica(false);
                view.writes = Writes::Work;
                view.look_ups_fail = false;
                view.syncs_fail = false;
            }
        }
        self.note(format!("{at} is switched to {what}"));
    }

    async fn list(&mut self, at: usize) {
        let some_key = self.some_key();
        let after = some_key
            .and_then(|id| self.now.key(&id).ok().map(|key| key.record.clone()))
            .map(|record| (record.created_at, record.id));
        let query = ListQuery {
            owner: self
                .chance
                .one_in(3)
                .then(|| self.chance.pick(&self.now.owners())),
            after: after.filter(|_| self.chance.one_in(3)),
            limit: self.chance.pick(&[1, 3, 500]),
            status: self.chance.pick(&[
                None,
                None,
                Some(Status::Active),
                Some(Status::Disabled),
                Some(Status::Expired),
                Some(Status::Revoked),
            ]),
            environment: self
                .chance
                .pick(&[None, None, Some("test")])
                .map(|name| name.parse().unwrap()),
            expires_before: self.chance.one_in(4).then(|| self.some_moment()),
        };
        self.note(format!("{at} lists {query:?}"));
        let keyring = &self.views[at].replica.keyring;
        let listed = keyring.list(query.clone()).await.unwrap();
        let listed: Vec<KeyRecord> = listed.into_iter().map(bare).collect();
        assert_eq!(listed, self.now.list(&query, self.wall()));
        for key in &self.now.keys {
            assert_eq!(self.stored(at, &key.record.id).await, key.record);
        }
    }

    /// All that this secret may be answered by a replica with this floor.
    fn may_be_answered(&self, view: &View, secret: &str) -> Vec<Answer> {
        let now = self.wall();
        let past = self.history[view.floor..].iter().rev();
        let mut answers: Vec<Answer> = past
            .take_while(|(ended, _)| now.saturating_duration_since(*ended) <= LEASE)
            .map(|(_, naive)| naive.verdict(secret, now))
            .collect();
        answers.push(self.now.verdict(secret, now));
        if view.look_ups_fail {
            answers.push(unavailable(Unavailable::StoreFailed));
        }
        answers
    }

    async fn use_everything(&self) {
        for (number, view) in self.views.iter().enumerate() {
            for (id, secret) in &self.secrets {
                let answer = view.replica.ask(secret).await;
                let may_be = self.may_be_answered(view, secret);
                assert!(
                    may_be.contains(&answer),
                    "{number} answers {answer:?} for {} of {id}, which may be {may_be:?}",
                    &secret[..14],
                );
                if view.revoked.contains(id) {
                    assert!(answer.is_err(), "revoked is for ever");
                }
            }
        }
    }
}

/// One run on this store, whose clock is `clock`.
async fn run(store: Arc<dyn KeyStore>, clock: FakeClock, seed: u64) {
    /// Tells what led to a divergence.
    struct Told(u64, Machine);
    impl Drop for Told {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("seed {}:\n{}", self.0, self.1.trace.join("\n"));
            }
        }
    }
    let mut told = Told(seed, Machine::on(store, clock, seed).await);
    for _ in 0..STEPS {
        told.1.step().await;
    }
    for view in &told.1.views {
        let health = view.replica.keyring.health();
        assert_eq!(health.history_breaks, 0, "there was but one history");
    }
}

/// `PORTCULLIS_MODEL_RUNS` runs, from the seed `PORTCULLIS_MODEL_SEED` on.
/// `paused`: Tokio's clock, which must run where a store answers from threads of its own.
fn many_runs<S: KeyStore>(runs: u64, paused: bool, store: impl AsyncFn(FakeClock) -> S) {
    let number = |name| {
        let value = std::env::var(name).ok()?;
        Some(value.parse::<u64>().expect("a number"))
    };
    // Of the many runs that are asked for, SQLite gets its share.
    let runs = number("PORTCULLIS_MODEL_RUNS").map_or(runs, |asked| asked * runs / RUNS);
    let first = number("PORTCULLIS_MODEL_SEED").unwrap_or(0);
    for seed in first..first + runs {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(paused)
            .build()
            .unwrap();
        runtime.block_on(async {
            let clock = FakeClock::new();
            run(Arc::new(store(clock.clone()).await), clock, seed).await;
        });
    }
}

#[test]
fn whatever_happens_to_keys_in_memory_the_model_explains_it() {
    many_runs(RUNS, true, async |clock| {
        MemoryStore::with_clock(Arc::new(clock))
    });
}

#[cfg(feature = "sqlite")]
#[test]
fn whatever_happens_to_keys_in_sqlite_the_model_explains_it() {
    let folder = tempfile::tempdir().unwrap();
    let files = std::cell::Cell::new(0);
    many_runs(SQLITE_RUNS, false, async |clock| {
        files.set(files.get() + 1);
        let file = folder.path().join(format!("{}.db", files.get()));
        let options = SqliteStore::options(&format!("sqlite://{}", file.display()));
        options.clock(Arc::new(clock)).connect().await.unwrap()
    });
}
