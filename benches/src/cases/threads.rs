//! One thread and two.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use http::{HeaderValue, StatusCode};

use super::{Group, Kind};
use crate::by_rule::ByRule;
use crate::world::{Nothing, World, bare, credentials, header};
use crate::{call, keys};

pub(super) const GROUP: Group = Group {
    name: "threads",
    about: "calls a second on one thread and on two, each bound to a core",
    kind: Kind::Own(measure),
};

const KEYS: u64 = 10_000;
/// What is remembered of unknown keys lasts five seconds, and asking again is not what is measured.
const UNKNOWN: u64 = 1_000;
/// The machine itself, and what all have in common: making requests.
const NOTHING: &str = "no layer";

/// So many threads call for a while: how often a second.
type Load = Box<dyn Fn(usize) -> f64>;

fn measure(world: &mut World) {
    if cores().len() < 2 {
        let recorder = &mut world.recorder;
        recorder.left_out("two threads on two cores", "there is one core");
        return;
    }
    let nobody = world.keyring(ByRule::no_key(), |builder| {
        builder.unknown_lookups(1_000_000, 1_000_000)
    });
    world.warm(&nobody, &credentials(UNKNOWN));
    let no = StatusCode::UNAUTHORIZED;
    let mistyped = (0..KEYS).map(|n| header(&keys::mistyped(n))).collect();
    let mut loads = hits(world);
    loads.push((
        "portcullis, wrong checksum",
        load(world, bare(&nobody), mistyped, no),
    ));
    loads.push((
        "portcullis, unknown key, remembered",
        load(world, bare(&nobody), credentials(UNKNOWN), no),
    ));
    let scaled = scale(&loads, world.effort.rounds);
    let recorder = &mut world.recorder;
    for ((case, _), own) in loads.iter().zip(&scaled) {
        let [one, two] = own.clone();
        recorder.rounds(GROUP.name, case, "calls a second, 1 thread", one);
        recorder.rounds(GROUP.name, case, "calls a second, 2 threads", two);
        recorder.rounds(GROUP.name, case, "x one thread", ratios(own));
        if *case != NOTHING {
            let alone = layer_alone(own, &scaled[0]);
            recorder.rounds(GROUP.name, case, "layer alone, x one thread", alone);
        }
    }
}

/// Nothing, and hits.
pub(super) fn hits(world: &World) -> Vec<(&'static str, Load)> {
    let keyring = world.usual();
    world.warm(&keyring, &credentials(KEYS));
    let ok = StatusCode::OK;
    vec![
        (NOTHING, load(world, Nothing, credentials(KEYS), ok)),
        (
            "portcullis",
            load(world, bare(&keyring), credentials(KEYS), ok),
        ),
    ]
}

/// Runs each on one thread and on two, in every round.
pub(super) fn scale(loads: &[(&str, Load)], rounds: usize) -> Vec<[Vec<f64>; 2]> {
    let mut rows = vec![[const { Vec::new() }; 2]; loads.len()];
    for _ in 0..rounds {
        for ((_, load), [one, two]) in loads.iter().zip(&mut rows) {
            one.push(load(1));
            two.push(load(2));
        }
    }
    rows
}

pub(super) fn ratios([one, two]: &[Vec<f64>; 2]) -> Vec<f64> {
    two.iter().zip(one).map(|(two, one)| two / one).collect()
}

/// What two threads give against one, without what the requests cost.
pub(super) fn layer_alone(own: &[Vec<f64>; 2], nothing: &[Vec<f64>; 2]) -> Vec<f64> {
    let alone = |calls: f64, without: f64| 1.0 / (1.0 / calls - 1.0 / without);
    (0..own[0].len())
        .map(|round| {
            let one = alone(own[0][round], nothing[0][round]);
            // On two threads, each has half.
            let two = 2.0 * alone(own[1][round] / 2.0, nothing[1][round] / 2.0);
            two / one
        })
        .collect()
}

/// One service for all threads, as in a server.
fn load<S, R>(world: &World, service: S, credentials: Vec<HeaderValue>, status: StatusCode) -> Load
where
    S: tower::Service<axum::extract::Request, Response = http::Response<R>>
        + Clone
        + Send
        + 'static,
    S::Error: std::fmt::Debug,
{
    let time = world.many(Duration::from_millis(400), Duration::from_millis(5));
    let (runtime, credentials) = (world.handle(), Arc::<[_]>::from(credentials));
    Box::new(move |threads| {
        let over = Arc::new(AtomicBool::new(false));
        let start = Arc::new(Barrier::new(threads + 1));
        let workers: Vec<_> = (0..threads)
            .map(|thread| {
                let (over, start) = (Arc::clone(&over), Arc::clone(&start));
                let (mut service, credentials) = (service.clone(), Arc::clone(&credentials));
                let runtime = runtime.clone();
                std::thread::spawn(move || {
                    bind(thread);
                    // What runs out meanwhile is looked up by a task, which wants a runtime.
                    let _entered = runtime.enter();
                    call::wait_on(runtime.clone());
                    start.wait();
                    let mut calls = 0_u64;
                    while !over.load(Ordering::Relaxed) {
                        let draw = keys::scatter((thread as u64) << 32 | calls);
                        let at = draw % credentials.len() as u64;
                        call::call(&mut service, Some(&credentials[at as usize]), status);
                        calls += 1;
                    }
                    calls
                })
            })
            .collect();
        start.wait();
        std::thread::sleep(time);
        over.store(true, Ordering::Relaxed);
        let calls = workers.into_iter().map(|worker| worker.join().unwrap());
        calls.sum::<u64>() as f64 / time.as_secs_f64()
    })
}

/// Binds this thread to a core of its own, where there is one: two threads that share one for a
/// moment look like a lock.
fn bind(thread: usize) {
    if let Some(core) = cores().get(thread) {
        let bound = core_affinity::set_for_current(*core);
        assert!(bound, "a core that it may run on was refused to a thread");
    }
}

fn cores() -> Vec<core_affinity::CoreId> {
    core_affinity::get_core_ids().unwrap_or_default()
}
