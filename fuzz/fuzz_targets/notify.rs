//! Notifications at any time: lost, doubled, late, forged, in floods, and while the store fails.
//!
//! Nothing reads the payload of a notification: what a store passes on ([`Nudges`]) has no value at
//! all. So what an attacker who may notify can choose is when, and that is what the bytes say here,
//! together with what happens meanwhile on the two replicas. Each byte is a step:
//!
//! - `n` a notification reaches the other replica, `N` a thousand of them;
//! - `0` to `3` the key of that number is revoked on the first replica, `4` to `7` disabled, `8` and
//!   `9` enabled again;
//! - `a` to `d` somebody sends a key to the other replica;
//! - `f` the other replica's syncs fail, `l` its look-ups, `h` neither does;
//! - `.` a tenth of a second goes by, `,` one second, `;` ten.
#![no_main]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use libfuzzer_sys::fuzz_target;
use portcullis::Keyring;
use portcullis::key::{KeyDigest, KeyId};
use portcullis::keyring::{Dead, KeyPatch, NewKey};
use portcullis::layer::Reason;
use portcullis::store::{
    Decide, EventQuery, KeyRecord, KeyStore, ListQuery, LookUp, MemoryStore, Nudges, Position,
    Pruned, Read, RecordedEvent, Retention, Source, StoreError, Subjects, SyncReport, Transacted,
    Use,
};
use portcullis::testing::{FakeClock, FaultStore, Faults};
use portcullis::{ApiKeyLayer, Principal, Rejection};
use portcullis_fuzz::ground;
use tokio::sync::watch;
use tower::{Layer as _, ServiceExt as _, service_fn};

/// The default of a keyring.
const MAX_STALENESS: Duration = Duration::from_secs(5);

/// Runs are short, so that there are many.
const LONGEST: usize = 64;

fuzz_target!(|data: &[u8]| {
    let runtime = ground::runtime();
    runtime.block_on(async {
        let mut stage = Stage::new().await;
        for step in data.iter().take(LONGEST) {
            stage.step(*step).await;
        }
        stage.heals().await;
    });
});

/// A store whose notifications come when they are told to.
#[derive(Debug)]
struct Notified<S> {
    inner: S,
    notified: watch::Receiver<u64>,
}

#[derive(Debug)]
struct Told(watch::Receiver<u64>);

#[async_trait]
impl Nudges for Told {
    async fn nudged(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: KeyStore> KeyStore for Notified<S> {
    async fn look_up(&self, digest: &KeyDigest, source: Source) -> Result<LookUp, StoreError> {
        self.inner.look_up(digest, source).await
    }

    async fn sync(&self, since: Option<Position>) -> Result<SyncReport, StoreError> {
        self.inner.sync(since).await
    }

    fn nudges(&self) -> Box<dyn Nudges> {
        Box::new(Told(self.notified.clone()))
    }

    fn is_listening(&self) -> bool {
        true
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
        self.inner.touch(uses).await
    }

    async fn digest_algorithm(&self, name: &str) -> Result<String, StoreError> {
        self.inner.digest_algorithm(name).await
    }

    async fn cursor_key(&self) -> Result<[u8; 32], StoreError> {
        self.inner.cursor_key().await
    }
}

/// A key as it truly is.
struct Key {
    id: KeyId,
    secret: String,
    /// Each state that it had, and from when on.
    states: Vec<(Duration, State)>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    Open,
    Disabled,
    Revoked,
}

struct Stage {
    first: Keyring,
    other: Keyring,
    faults: Faults,
    notify: watch::Sender<u64>,
    clock: FakeClock,
    elapsed: Duration,
    keys: Vec<Key>,
    /// Until when an answer may be that there is none.
    trouble: Duration,
    syncs_allowed: u64,
}

fn enabled(enabled: bool) -> KeyPatch {
    let enabled = Some(enabled);
    KeyPatch {
        enabled,
        ..KeyPatch::default()
    }
}

impl Stage {
    async fn new() -> Self {
        let clock = FakeClock::new();
        let store = MemoryStore::with_clock(Arc::new(clock.clone()));
        let first = ground::keyring_on(store.clone(), &clock, |builder| builder);
        let inner = FaultStore::new(store);
        let faults = inner.faults();
        let (notify, notified) = watch::channel(0);
        let other = ground::keyring_on(Notified { inner, notified }, &clock, |builder| builder);
        let mut keys = Vec::new();
        for seed in [b"first key".as_slice(), b"second", b"third", b"fourth"] {
            let record = ground::put(&first, seed, NewKey::named("a key").expect("a name")).await;
            keys.push(Key {
                id: record.id,
                secret: ground::secret(seed),
                states: vec![(Duration::ZERO, State::Open)],
            });
        }
        other.ready().await.expect("nothing fails yet");
        Self {
            first,
            other,
            syncs_allowed: faults.syncs.calls() + 10,
            faults,
            notify,
            clock,
            elapsed: Duration::ZERO,
            keys,
            trouble: Duration::ZERO,
        }
    }

    async fn step(&mut self, step: u8) {
        match step {
            b'n' => self.notify(1),
            b'N' => self.notify(1_000),
            b'0'..=b'3' => self.change(step - b'0', State::Revoked).await,
            b'4'..=b'7' => self.change(step - b'4', State::Disabled).await,
            b'8' | b'9' => self.change(step - b'8', State::Open).await,
            b'a'..=b'd' => self.ask(step - b'a').await,
            b'f' => {
                self.faults.syncs.fail();
                self.trouble = Duration::MAX;
            }
            b'l' => {
                self.faults.look_ups.fail();
                self.trouble = Duration::MAX;
            }
            b'h' => self.heal(),
            b'.' => self.pass(Duration::from_millis(100)).await,
            b',' => self.pass(Duration::from_secs(1)).await,
            b';' => self.pass(Duration::from_secs(10)).await,
            _ => {}
        }
        let syncs = self.faults.syncs.calls();
        assert!(
            syncs <= self.syncs_allowed,
            "{syncs} syncs: notifications cost too much"
        );
    }

    fn heal(&mut self) {
        self.faults.heal();
        // It is noticed by the next look-up and the next poll.
        self.trouble = self.trouble.min(self.elapsed + Duration::from_secs(2));
    }

    fn notify(&self, times: u64) {
        for _ in 0..times {
            self.notify.send_modify(|count| *count += 1);
        }
    }

    async fn change(&mut self, number: u8, state: State) {
        let key = &mut self.keys[usize::from(number)];
        if key
            .states
            .last()
            .is_some_and(|(_, state)| *state == State::Revoked)
        {
            return;
        }
        match state {
            State::Revoked => self.first.revoke(&key.id, None).await,
            State::Open => self.first.update(&key.id, enabled(true)).await,
            State::Disabled => self.first.update(&key.id, enabled(false)).await,
        }
        .expect("the first replica's store works");
        key.states.push((self.elapsed, state));
    }

    /// What the other replica says was true at some moment within the last `MAX_STALENESS`.
    async fn ask(&mut self, number: u8) {
        self.syncs_allowed += 1;
        let key = &self.keys[usize::from(number)];
        let inner = service_fn(async |request: http::Request<()>| {
            assert!(Principal::of(request.extensions()).is_some());
            Ok::<_, std::convert::Infallible>(http::Response::new(axum::body::Body::empty()))
        });
        let gate = ApiKeyLayer::new(self.other.clone()).layer(inner);
        let bearer = format!("Bearer {}", key.secret);
        let request = http::Request::get("/")
            .header("authorization", bearer)
            .body(());
        let Ok(response) = gate.oneshot(request.expect("a request")).await;
        let rejection = response.extensions().get::<Rejection>();
        let said = match rejection.map(Rejection::reason) {
            None => State::Open,
            Some(Reason::Dead(Dead::Revoked)) => State::Revoked,
            Some(Reason::Dead(Dead::Disabled)) => State::Disabled,
            Some(why @ Reason::Unavailable(_)) => {
                assert!(self.elapsed < self.trouble, "nothing fails, and yet {why}");
                return;
            }
            Some(other) => panic!("a key that is there is {other}"),
        };
        let since = self.elapsed.saturating_sub(MAX_STALENESS);
        let ends = key
            .states
            .iter()
            .skip(1)
            .map(|(from, _)| *from)
            .chain([Duration::MAX]);
        let recent = key.states.iter().zip(ends).filter(|(_, end)| *end >= since);
        let recent: Vec<State> = recent.map(|((_, state), _)| *state).collect();
        assert!(
            recent.contains(&said),
            "{said:?}, and for long only {recent:?}"
        );
    }

    async fn pass(&mut self, time: Duration) {
        // In small steps, and Tokio's time with the clock's: as on a machine.
        let step = time.min(Duration::from_millis(250));
        let end = self.elapsed + time;
        while self.elapsed < end {
            self.clock.advance(step);
            self.elapsed += step;
            // One for each gap of ten milliseconds, if notifications come all the time.
            self.syncs_allowed += 26;
            tokio::time::sleep(step).await;
        }
    }

    /// Whatever came, and with not one notification more, the truth is known once the store works.
    async fn heals(&mut self) {
        self.heal();
        self.pass(MAX_STALENESS + Duration::from_secs(6)).await;
        for number in 0..4 {
            self.ask(number).await;
        }
    }
}
