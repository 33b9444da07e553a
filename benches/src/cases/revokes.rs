//! Keys being revoked, a thousand a second, next to keys that are in use.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use http::{HeaderValue, StatusCode};
use portcullis::Keyring;
use portcullis::key::KeyId;
use portcullis::keyring::NewKey;
use portcullis::store::MemoryStore;
use portcullis::testing::FaultStore;
use tokio::runtime::Runtime;
use tokio::time::MissedTickBehavior;

use super::{Group, Kind};
use crate::world::{World, bare, header};
use crate::{call, keys};

pub(super) const GROUP: Group = Group {
    name: "revokes",
    about: "10,000 keys in use while 1,000 others a second are revoked",
    kind: Kind::Own(measure),
};

const EVERY: Duration = Duration::from_millis(1);
const ALONE: &str = "nobody revokes";
const BUSY: &str = "1,000 revokes a second";

/// What a stretch of time gave.
#[derive(Clone, Copy)]
struct Stretch {
    revokes: usize,
    look_ups: u64,
    calls: u64,
    p50: f64,
    p99: f64,
    seconds: f64,
}

fn measure(world: &mut World) {
    let hot = world.many(10_000, 200);
    // Three tenths of a second in each round.
    let (rounds, revokes) = (world.many(11, 2), world.many(3_300, 100));
    // The crowd and the revoker each have a thread, as they have on a server.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let store = FaultStore::new(MemoryStore::new());
    let faults = store.faults();
    let (keyring, hot, victims) = runtime.block_on(async {
        let keyring = Keyring::builder(store)
            .prefix(keys::PREFIX)
            .build()
            .unwrap();
        keyring.ready().await.unwrap();
        let hot = make(&keyring, hot).await;
        let victims = make(&keyring, revokes).await;
        (keyring, hot, victims)
    });
    let hot: Arc<[HeaderValue]> = hot.iter().map(|(_, key)| header(key)).collect();
    let victims: Vec<KeyId> = victims.into_iter().map(|(id, _)| id).collect();
    runtime.block_on(async {
        let mut service = bare(&keyring);
        for credential in &*hot {
            call::wait(&mut service, Some(credential)).await;
        }
    });
    // Each round has both, one after the other.
    let (mut alone, mut busy) = (Vec::new(), Vec::new());
    for victims in victims.chunks(victims.len().div_ceil(rounds)) {
        let time = EVERY * victims.len() as u32;
        for (row, victims) in [(&mut alone, &[][..]), (&mut busy, victims)] {
            let asked = faults.look_ups.calls();
            let mut stretch = use_keys(&runtime, &keyring, &hot, time, victims);
            stretch.look_ups = faults.look_ups.calls() - asked;
            row.push(stretch);
        }
    }
    note(world, ALONE, &alone, &alone);
    note(world, BUSY, &busy, &alone);
}

async fn make(keyring: &Keyring, keys: u64) -> Vec<(KeyId, String)> {
    let mut made = Vec::new();
    for _ in 0..keys {
        let created = keyring
            .create(NewKey::named("bench").unwrap())
            .await
            .unwrap();
        made.push((created.key.id, created.secret.expose().to_owned()));
    }
    made
}

/// Uses one key after another, for `time` or, if there are any, until the last victim is revoked.
fn use_keys(
    runtime: &Runtime,
    keyring: &Keyring,
    hot: &Arc<[HeaderValue]>,
    time: Duration,
    victims: &[KeyId],
) -> Stretch {
    let revokes = victims.len();
    let done = (revokes > 0).then(|| Arc::new(AtomicBool::new(false)));
    if let Some(done) = done.clone() {
        let (keyring, victims) = (keyring.clone(), victims.to_vec());
        runtime.spawn(async move {
            let mut ticks = tokio::time::interval(EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
            for id in victims {
                ticks.tick().await;
                keyring.revoke(&id, None).await.unwrap();
            }
            done.store(true, Ordering::Relaxed);
        });
    }
    let (mut service, hot) = (bare(keyring), Arc::clone(hot));
    let user = runtime.spawn(async move {
        let begin = Instant::now();
        let mut nanos = Vec::new();
        let over = |begin: Instant| match &done {
            Some(done) => done.load(Ordering::Relaxed),
            None => begin.elapsed() >= time,
        };
        let mut calls = 0;
        while !over(begin) {
            for _ in 0..100 {
                calls += 1;
                let at = keys::scatter(calls) % hot.len() as u64;
                let begin = Instant::now();
                let status = call::wait(&mut service, Some(&hot[at as usize])).await;
                nanos.push(begin.elapsed().as_nanos() as f64);
                assert_eq!(status, StatusCode::OK);
            }
            tokio::task::yield_now().await;
        }
        nanos.sort_by(f64::total_cmp);
        Stretch {
            revokes,
            look_ups: 0,
            calls,
            p50: nanos[nanos.len() / 2],
            p99: nanos[nanos.len() * 99 / 100],
            seconds: begin.elapsed().as_secs_f64(),
        }
    });
    runtime.block_on(user).unwrap()
}

fn note(world: &mut World, case: &str, own: &[Stretch], alone: &[Stretch]) {
    let recorder = &mut world.recorder;
    let mut each = |figure: &str, of: &dyn Fn(&Stretch) -> f64| {
        let values = own.iter().map(of).collect();
        recorder.rounds(GROUP.name, case, figure, values);
    };
    each("revokes a second", &|own| own.revokes as f64 / own.seconds);
    each("calls a second", &Stretch::rate);
    each("ns, half of the calls", &|own| own.p50);
    each("ns, 99 % of the calls", &|own| own.p99);
    each("look-ups a second", &|own| {
        own.look_ups as f64 / own.seconds
    });
    each("% remembered", &|own| {
        100.0 * (1.0 - own.look_ups as f64 / own.calls as f64)
    });
    let mut ratio = |figure: &str, of: &dyn Fn(&Stretch) -> f64| {
        let rounds = own.iter().zip(alone);
        let ratios = rounds.map(|(own, alone)| of(own) / of(alone)).collect();
        recorder.rounds(GROUP.name, case, figure, ratios);
    };
    ratio("calls, x nobody revokes", &Stretch::rate);
    ratio("half of the calls, x nobody revokes", &|own| own.p50);
    ratio("99 % of the calls, x nobody revokes", &|own| own.p99);
}

impl Stretch {
    fn rate(&self) -> f64 {
        self.calls as f64 / self.seconds
    }
}
