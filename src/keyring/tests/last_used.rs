//! When keys were last used: written seldom, in batches, after the answer, and never in its way.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use super::fixture::{REVOKED, Replica, allowed, answers, soon, timed, until};
use crate::clock::Clock;
use crate::key::{KeyDigest, KeyId};
use crate::keyring::{Created, Keyring};
use crate::store::{
    Decide, EventQuery, KeyRecord, KeyStore, ListQuery, LookUp, MemoryStore, Nudges, Position,
    Pruned, Read, RecordedEvent, Retention, Source, StoreError, Subjects, SyncReport, Transacted,
    Use,
};
use crate::testing::FakeClock;
use crate::timestamp::Timestamp;

const DEBOUNCE: Duration = Duration::from_mins(5);
const TICK: Duration = Duration::from_micros(1);

/// A store that keeps what it was told of uses.
#[derive(Clone, Debug)]
struct Noted<S> {
    inner: S,
    batches: Arc<Mutex<Vec<Vec<Use>>>>,
}

impl<S> Noted<S> {
    fn batches(&self) -> Vec<Vec<Use>> {
        self.batches
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// How many uses were written.
    fn uses(&self) -> usize {
        self.batches().iter().map(Vec::len).sum()
    }
}

#[async_trait]
impl<S: KeyStore> KeyStore for Noted<S> {
    async fn look_up(&self, digest: &KeyDigest, source: Source) -> Result<LookUp, StoreError> {
        self.inner.look_up(digest, source).await
    }

    async fn sync(&self, since: Option<Position>) -> Result<SyncReport, StoreError> {
        self.inner.sync(since).await
    }

    fn nudges(&self) -> Box<dyn Nudges> {
        self.inner.nudges()
    }

    fn is_listening(&self) -> bool {
        self.inner.is_listening()
    }

    async fn get(&self, id: &KeyId) -> Result<Read<Option<KeyRecord>>, StoreError> {
        self.inner.get(id).await
    }

    async fn list(&self, query: &ListQuery) -> Result<Read<Vec<KeyRecord>>, StoreError> {
        self.inner.list(query).await
    }

    async fn transact(&self, subjects: Subjects, decide: Decide) -> Result<Transacted, StoreError> {
        self.inner.transact(subjects, decide).await
    }

    async fn events(&self, query: &EventQuery) -> Result<Read<Vec<RecordedEvent>>, StoreError> {
        self.inner.events(query).await
    }

    async fn prune(&self, retention: &Retention) -> Result<Pruned, StoreError> {
        self.inner.prune(retention).await
    }

    async fn touch(&self, uses: &[Use]) -> Result<(), StoreError> {
        self.inner.touch(uses).await?;
        let mut batches = self.batches.lock().unwrap_or_else(PoisonError::into_inner);
        batches.push(uses.to_vec());
        Ok(())
    }

    async fn digest_algorithm(&self, name: &str) -> Result<String, StoreError> {
        self.inner.digest_algorithm(name).await
    }

    async fn cursor_key(&self) -> Result<[u8; 32], StoreError> {
        self.inner.cursor_key().await
    }
}

fn noted() -> Noted<MemoryStore> {
    Noted {
        inner: MemoryStore::new(),
        batches: Arc::default(),
    }
}

/// A replica without a debounce.
async fn noting_each_use(store: &Noted<MemoryStore>) -> Replica {
    let each = Duration::from_nanos(1);
    Replica::with(store.clone(), |builder| builder.last_used_every(each)).await
}

/// A replica on a store with the same clock, and what that store was told.
struct Stage {
    replica: Replica,
    store: Noted<MemoryStore>,
}

impl Stage {
    async fn new() -> Self {
        let clock = FakeClock::new();
        let store = Noted {
            inner: MemoryStore::with_clock(Arc::new(clock.clone())),
            batches: Arc::default(),
        };
        Self::on(store, clock).await
    }

    async fn on(store: Noted<MemoryStore>, clock: FakeClock) -> Self {
        let same = Arc::new(clock.clone());
        let replica = Replica::with(store.clone(), |builder| builder.clock(same)).await;
        let replica = Replica { clock, ..replica };
        Self { replica, store }
    }

    /// Another replica of the same service.
    async fn another(&self) -> Self {
        Self::on(self.store.clone(), self.replica.clock.clone()).await
    }

    async fn create(&self) -> (KeyId, String) {
        let Created { key, secret } = self.replica.create().await;
        (key.id, secret.expose().to_owned())
    }

    async fn open(&self, secret: &str) {
        assert_eq!(self.replica.ask(secret).await, allowed());
    }

    async fn record(&self, id: &KeyId) -> KeyRecord {
        self.replica.keyring.get(id).await.unwrap().unwrap()
    }

    fn touches(&self) -> u64 {
        self.replica.faults.touches.calls()
    }

    fn dropped(&self) -> u64 {
        self.replica.keyring.health().uses_dropped
    }

    fn now(&self) -> Timestamp {
        self.replica.clock.wall()
    }
}

/// Long enough for a batch to be written, on Tokio's clock alone.
async fn batch() {
    tokio::time::sleep(Duration::from_millis(1_100)).await;
}

#[tokio::test(start_paused = true)]
async fn a_thousand_requests_on_one_cold_key_are_one_look_up_and_one_write() {
    let stage = Stage::new().await;
    let (id, secret) = stage.create().await;
    let crowd = stage.replica.crowd(&secret, 1_000);
    assert!(answers(crowd).await.iter().all(|one| *one == allowed()));
    batch().await;
    stage.replica.keyring.shutdown().await;
    assert_eq!(stage.replica.faults.look_ups.calls(), 1);
    assert_eq!((stage.touches(), stage.store.uses()), (1, 1));
    assert_eq!(stage.record(&id).await.last_used_at, Some(stage.now()));
}

#[tokio::test(start_paused = true)]
async fn a_key_that_was_never_used_says_so() {
    let stage = Stage::new().await;
    let (id, _) = stage.create().await;
    stage.replica.keyring.shutdown().await;
    assert_eq!(stage.record(&id).await.last_used_at, None);
    assert_eq!(stage.touches(), 0, "nothing to write is not written");
}

#[tokio::test(start_paused = true)]
async fn a_use_is_written_once_in_five_minutes() {
    let stage = Stage::new().await;
    let (id, secret) = stage.create().await;
    let first = stage.now();
    let keep_in_step = async || stage.replica.sync().await;
    stage.open(&secret).await;
    stage.replica.clock.advance(DEBOUNCE.saturating_sub(TICK));
    keep_in_step().await;
    stage.open(&secret).await;
    batch().await;
    assert_eq!(stage.store.uses(), 1);
    assert_eq!(stage.record(&id).await.last_used_at, Some(first));
    stage.replica.clock.advance(TICK);
    for _ in 0..10 {
        stage.open(&secret).await;
    }
    batch().await;
    assert_eq!(stage.store.uses(), 2);
    assert_eq!(stage.record(&id).await.last_used_at, Some(stage.now()));
}

#[tokio::test(start_paused = true)]
async fn the_interval_can_be_another() {
    let store = noted();
    let second = Duration::from_secs(1);
    let replica = Replica::with(store.clone(), |builder| builder.last_used_every(second)).await;
    let created = replica.create().await;
    for _ in 0..3 {
        assert_eq!(replica.ask(created.secret.expose()).await, allowed());
        replica.keyring.shutdown().await;
        replica.clock.advance(second);
    }
    assert_eq!(store.uses(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_look_up_does_not_start_the_interval_afresh() {
    let stage = Stage::new().await;
    let (id, secret) = stage.create().await;
    stage.open(&secret).await;
    // Out of date by a write of one's own, by the end of the lease, with the store's use unwritten.
    stage.replica.rename(&id, "key").await;
    stage.replica.enable(&id, false).await;
    stage.replica.enable(&id, true).await;
    stage.open(&secret).await;
    stage.replica.clock.advance(Duration::from_mins(1));
    stage.open(&secret).await;
    batch().await;
    assert!(stage.replica.faults.look_ups.calls() >= 3);
    assert_eq!(stage.store.uses(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_was_written_counts_after_all_that_was_remembered_is_forgotten() {
    let stage = Stage::new().await;
    let (id, secret) = stage.create().await;
    stage.open(&secret).await;
    batch().await;
    let epoch = stage.replica.keyring.health().epoch;
    stage.replica.faults.writes.lose_answers();
    assert!(stage.replica.keyring.end_previous(&id).await.is_err());
    assert!(stage.replica.keyring.health().epoch > epoch);
    stage.replica.clock.advance(DEBOUNCE.saturating_sub(TICK));
    stage.open(&secret).await;
    batch().await;
    assert_eq!(stage.store.uses(), 1, "the store says when it was used");
    stage.replica.clock.advance(TICK);
    stage.open(&secret).await;
    batch().await;
    assert_eq!(stage.store.uses(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_another_replica_wrote_a_moment_ago_counts() {
    let here = Stage::new().await;
    let there = here.another().await;
    let (id, secret) = here.create().await;
    here.open(&secret).await;
    here.replica.keyring.shutdown().await;
    let used = here.now();
    here.replica.clock.advance(DEBOUNCE.saturating_sub(TICK));
    there.open(&secret).await;
    there.replica.keyring.shutdown().await;
    assert_eq!((there.touches(), here.store.uses()), (0, 1));
    here.replica.clock.advance(TICK);
    there.replica.sync().await;
    there.open(&secret).await;
    there.replica.keyring.shutdown().await;
    assert_eq!((there.touches(), here.store.uses()), (1, 2));
    assert!(there.record(&id).await.last_used_at > Some(used));
}

#[tokio::test(start_paused = true)]
async fn a_time_is_never_moved_back() {
    let stage = Stage::new().await;
    let (id, secret) = stage.create().await;
    stage.open(&secret).await;
    batch().await;
    let used = stage.now();
    stage.replica.clock.set_wall(Timestamp::UNIX_EPOCH);
    stage.replica.clock.advance(DEBOUNCE);
    stage.open(&secret).await;
    batch().await;
    assert_eq!(stage.store.uses(), 2);
    assert_eq!(stage.record(&id).await.last_used_at, Some(used));
}

#[tokio::test(start_paused = true)]
async fn a_revoked_key_is_never_touched() {
    let stage = Stage::new().await;
    let (id, secret) = stage.create().await;
    let (other, unused) = stage.create().await;
    // Noted, and revoked before the batch is written.
    stage.open(&secret).await;
    stage.replica.revoke(&id).await;
    let revoked = stage.record(&id).await;
    assert_eq!(stage.replica.ask(&secret).await, REVOKED);
    batch().await;
    assert_eq!(stage.record(&id).await, revoked);
    assert_eq!(revoked.last_used_at, None);
    // A refused request is no use.
    stage.replica.revoke(&other).await;
    let before = stage.store.uses();
    stage.replica.clock.advance(DEBOUNCE);
    for secret in [&secret, &unused] {
        assert_eq!(stage.replica.ask(secret).await, REVOKED);
    }
    batch().await;
    assert_eq!(stage.store.uses(), before);
}

#[tokio::test(start_paused = true)]
async fn no_request_that_is_refused_is_a_use() {
    let stage = Stage::new().await;
    let (id, secret) = stage.create().await;
    stage.replica.enable(&id, false).await;
    assert!(stage.replica.ask(&secret).await.is_err());
    assert!(stage.replica.ask(&stage.replica.junk()).await.is_err());
    stage.replica.faults.look_ups.fail();
    let (_, other) = stage.create().await;
    assert!(stage.replica.ask(&other).await.is_err());
    batch().await;
    assert_eq!(stage.touches(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_write_makes_no_revision_and_leaves_warm_keys_warm() {
    let stage = Stage::new().await;
    let (_, secret) = stage.create().await;
    stage.replica.sync().await;
    let revision = stage.replica.keyring.health().revision;
    stage.open(&secret).await;
    batch().await;
    stage.replica.sync().await;
    assert_eq!(stage.store.uses(), 1);
    assert_eq!(stage.replica.keyring.health().revision, revision);
    stage.open(&secret).await;
    assert_eq!(stage.replica.faults.look_ups.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_write_that_fails_hangs_or_panics_changes_no_answer_and_is_counted() {
    let stage = Stage::new().await;
    let touches = stage.replica.faults.touches.clone();
    let faults: [(&str, &dyn Fn()); 4] = [
        ("fails", &|| touches.fail()),
        ("is refused for a row", &|| touches.corrupt()),
        ("hangs", &|| touches.hang()),
        ("panics", &|| touches.panic()),
    ];
    for (number, (name, fault)) in (1..).zip(faults) {
        let (id, secret) = stage.create().await;
        fault();
        for _ in 0..10 {
            let (answer, took) = timed(stage.replica.ask(&secret)).await;
            assert_eq!((answer, took), (allowed(), Duration::ZERO), "it {name}");
        }
        tokio::time::sleep(Duration::from_secs(7)).await;
        assert_eq!(stage.dropped(), number, "it {name}");
        stage.open(&secret).await;
        assert!(stage.replica.keyring.health().lookups_answered, "it {name}");
        touches.heal();
        // The task goes on, and the next interval is written.
        stage.replica.clock.advance(DEBOUNCE);
        stage.open(&secret).await;
        batch().await;
        let used = stage.record(&id).await.last_used_at;
        assert_eq!(used, Some(stage.now()), "it {name}");
        assert_eq!(stage.dropped(), number, "it {name}");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_waits_for_a_write_that_is_frozen() {
    let stage = Stage::new().await;
    let (_, secret) = stage.create().await;
    stage.replica.faults.touches.freeze_next(1);
    stage.open(&secret).await;
    tokio::time::sleep(Duration::from_millis(1_001)).await;
    soon(stage.replica.faults.touches.frozen(1)).await;
    let (id, cold) = stage.create().await;
    for secret in [&secret, &cold] {
        let (answer, took) = timed(stage.replica.ask(secret)).await;
        assert_eq!((answer, took), (allowed(), Duration::ZERO));
    }
    stage.replica.revoke(&id).await;
    assert_eq!(stage.replica.ask(&cold).await, REVOKED);
    stage.replica.faults.touches.release();
}

#[tokio::test(start_paused = true)]
async fn many_keys_are_written_in_batches_of_a_thousand_at_most() {
    let stage = Stage::new().await;
    let mut secrets = Vec::new();
    for _ in 0..2_500 {
        secrets.push(stage.create().await.1);
    }
    for secret in &secrets {
        stage.open(secret).await;
    }
    stage.replica.keyring.shutdown().await;
    let sizes: Vec<usize> = stage.store.batches().iter().map(Vec::len).collect();
    assert_eq!(sizes, [1_000, 1_000, 500]);
    let listed = stage.replica.keyring.list(ListQuery {
        limit: 5_000,
        ..ListQuery::default()
    });
    let keys = listed.await.unwrap();
    assert_eq!(keys.len(), 2_500);
    assert!(keys.iter().all(|key| key.last_used_at.is_some()));
}

#[tokio::test(start_paused = true)]
async fn what_does_not_fit_into_the_queue_is_dropped_and_counted() {
    let store = noted();
    let replica = noting_each_use(&store).await;
    let created = replica.create().await;
    let use_it = async || {
        replica.clock.advance(TICK);
        assert_eq!(replica.ask(created.secret.expose()).await, allowed());
    };
    let dropped = || replica.keyring.health().uses_dropped;
    replica.faults.touches.hang();
    use_it().await;
    tokio::time::sleep(Duration::from_millis(1_001)).await;
    until(async || replica.faults.touches.calls() == 1).await;
    // The task waits for the store. Nobody reads the queue.
    for _ in 0..10_000 {
        use_it().await;
    }
    assert_eq!(dropped(), 0);
    for _ in 0..7 {
        use_it().await;
    }
    assert_eq!(dropped(), 7);
    replica.faults.touches.heal();
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(dropped(), 7 + 1, "and what hung");
    assert!(store.uses() > 0);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_writes_what_is_queued_and_the_keyring_goes_on() {
    let stage = Stage::new().await;
    let (id, secret) = stage.create().await;
    stage.open(&secret).await;
    assert_eq!(stage.touches(), 0, "not yet");
    let ((), took) = timed(stage.replica.keyring.shutdown()).await;
    assert!(took < Duration::from_millis(10), "{took:?}");
    assert_eq!(stage.record(&id).await.last_used_at, Some(stage.now()));
    stage.replica.clock.advance(DEBOUNCE);
    stage.open(&secret).await;
    let clone = stage.replica.keyring.clone();
    tokio::join!(clone.shutdown(), stage.replica.keyring.shutdown());
    assert_eq!(stage.record(&id).await.last_used_at, Some(stage.now()));
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_waits_for_a_write_that_is_under_way() {
    let stage = Stage::new().await;
    let (id, secret) = stage.create().await;
    stage.replica.faults.touches.delay(Duration::from_secs(1));
    stage.open(&secret).await;
    tokio::time::sleep(Duration::from_millis(1_001)).await;
    let ((), took) = timed(stage.replica.keyring.shutdown()).await;
    assert!(took >= Duration::from_millis(900), "{took:?}");
    assert!(stage.record(&id).await.last_used_at.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_ends_though_the_store_hangs() {
    let stage = Stage::new().await;
    let (_, secret) = stage.create().await;
    stage.replica.faults.touches.hang();
    stage.open(&secret).await;
    let ((), took) = timed(stage.replica.keyring.shutdown()).await;
    assert!(took <= Duration::from_secs(11), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn under_load_no_use_older_than_two_seconds_is_unwritten() {
    let stage = Stage::new().await;
    let store = stage.store.clone();
    let keys = 300;
    let mut secrets = Vec::new();
    for _ in 0..keys {
        secrets.push(stage.create().await.1);
    }
    // A new key's first use every 10 ms, with other traffic between; then killed without a word.
    for secret in &secrets {
        stage.open(secret).await;
        stage.open(&secrets[0]).await;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let written = store.uses();
    assert!(written >= keys - 200, "{written} of {keys}");
    assert!(stage.touches() <= 4, "and still in batches");
}

#[tokio::test(start_paused = true)]
async fn a_busy_key_is_written_in_time_though_it_is_noted_all_the_time() {
    let store = noted();
    let replica = noting_each_use(&store).await;
    let created = replica.create().await;
    for _ in 0..3_000 {
        replica.clock.advance(TICK);
        assert_eq!(replica.ask(created.secret.expose()).await, allowed());
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(store.uses() >= 2, "{}", store.uses());
}

#[tokio::test(start_paused = true)]
async fn each_secret_has_a_last_use_of_its_own_and_the_key_the_newest() {
    let stage = Stage::new().await;
    let (id, old) = stage.create().await;
    stage.open(&old).await;
    batch().await;
    let first = stage.now();
    let grace = Duration::from_hours(1);
    let rotated = stage.replica.keyring.rotate(&id, grace).await.unwrap();
    let new = rotated.secret.expose();
    let previous = rotated.key.previous.clone().unwrap();
    assert_eq!(previous.last_used_at, Some(first));
    stage.replica.clock.advance(Duration::from_mins(1));
    // The new secret's interval is its own.
    stage.open(new).await;
    batch().await;
    let second = stage.now();
    let record = stage.record(&id).await;
    assert_eq!(record.last_used_at, Some(second));
    assert_eq!(record.previous.unwrap().last_used_at, Some(first));
    stage.replica.clock.advance(DEBOUNCE);
    stage.open(&old).await;
    batch().await;
    let third = stage.now();
    let record = stage.record(&id).await;
    assert_eq!(record.last_used_at, Some(third));
    assert_eq!(record.previous.unwrap().last_used_at, Some(third));
    // Who ends the grace knows when the old secret was last used; the key keeps it.
    let ended = stage.replica.keyring.end_previous(&id).await.unwrap();
    assert_eq!((ended.previous, ended.last_used_at), (None, Some(third)));
}

#[tokio::test(start_paused = true)]
async fn changes_of_a_key_keep_when_it_was_last_used() {
    let stage = Stage::new().await;
    let (id, secret) = stage.create().await;
    stage.open(&secret).await;
    batch().await;
    let used = Some(stage.now());
    stage.replica.rename(&id, "renamed").await;
    assert_eq!(stage.record(&id).await.last_used_at, used);
    let rotated = stage.replica.keyring.rotate(&id, Duration::ZERO).await;
    assert_eq!(rotated.unwrap().key.last_used_at, used);
    stage.replica.revoke(&id).await;
    assert_eq!(stage.record(&id).await.last_used_at, used);
}

#[tokio::test(start_paused = true)]
async fn the_last_keyring_leaves_nothing_unwritten_and_the_store_alone() {
    let store = Arc::new(MemoryStore::new());
    let noted = Noted {
        inner: Arc::clone(&store),
        batches: Arc::default(),
    };
    let replica = Replica::of(noted.clone()).await;
    let mut secrets = Vec::new();
    for _ in 0..1_500 {
        secrets.push(replica.create().await.secret.expose().to_owned());
    }
    for secret in &secrets {
        assert_eq!(replica.ask(secret).await, allowed());
    }
    let Replica { keyring, .. } = replica;
    let clone: Keyring = keyring.clone();
    drop(keyring);
    tokio::time::sleep(Duration::from_millis(1)).await;
    let while_one_is_left = noted.uses();
    assert!(while_one_is_left <= 1_000, "{while_one_is_left}");
    drop(clone);
    until(async || noted.uses() == 1_500).await;
    // One here, one in what notes.
    until(async || Arc::strong_count(&store) == 2).await;
}
