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

/// What a stretch of time gave.
struct Stretch {
    calls: u64,
    p50: f64,
    p99: f64,
    seconds: f64,
}

fn measure(world: &mut World) {
    let hot = world.many(10_000, 200);
    let revokes = world.many(3_000, 100);
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
    let time = EVERY * victims.len() as u32;
    runtime.block_on(async {
        let mut service = bare(&keyring);
        for credential in &*hot {
            call::wait(&mut service, Some(credential)).await;
        }
    });
    let alone = use_keys(&runtime, &keyring, &hot, time, None);
    note(world, "nobody revokes", &alone, 0, 0.0);
    let asked = faults.look_ups.calls();
    let other = Revoker {
        victims,
        done: Arc::default(),
    };
    let count = other.victims.len() as f64;
    let busy = use_keys(&runtime, &keyring, &hot, time, Some(other));
    let look_ups = faults.look_ups.calls() - asked;
    note(world, "1,000 revokes a second", &busy, look_ups, count);
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

struct Revoker {
    victims: Vec<KeyId>,
    done: Arc<AtomicBool>,
}

/// Uses one key after another, for `time` or as long as the revoker is at work.
fn use_keys(
    runtime: &Runtime,
    keyring: &Keyring,
    hot: &Arc<[HeaderValue]>,
    time: Duration,
    revoker: Option<Revoker>,
) -> Stretch {
    let done = revoker.as_ref().map(|revoker| Arc::clone(&revoker.done));
    if let Some(Revoker { victims, done }) = revoker {
        let keyring = keyring.clone();
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
            calls,
            p50: nanos[nanos.len() / 2],
            p99: nanos[nanos.len() * 99 / 100],
            seconds: begin.elapsed().as_secs_f64(),
        }
    });
    runtime.block_on(user).unwrap()
}

fn note(world: &mut World, case: &str, stretch: &Stretch, look_ups: u64, revokes: f64) {
    let recorder = &mut world.recorder;
    let mut note = |figure: &str, value| recorder.note(GROUP.name, case, figure, value);
    note("revokes a second", revokes / stretch.seconds);
    note("calls a second", stretch.calls as f64 / stretch.seconds);
    note("ns, half of the calls", stretch.p50);
    note("ns, 99 % of the calls", stretch.p99);
    note("look-ups a second", look_ups as f64 / stretch.seconds);
    note(
        "% remembered",
        100.0 * (1.0 - look_ups as f64 / stretch.calls as f64),
    );
}
