//! One thread and two.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use http::{HeaderValue, StatusCode};

use super::{Group, Kind};
use crate::world::{Nothing, World, bare, credentials};
use crate::{call, keys};

pub(super) const GROUP: Group = Group {
    name: "threads",
    about: "hits a second on one thread and on two, 10,000 keys",
    kind: Kind::Own(measure),
};

const KEYS: u64 = 10_000;

fn measure(world: &mut World) {
    let keyring = world.usual();
    let credentials: Arc<[HeaderValue]> = credentials(KEYS).into();
    world.warm(&keyring, &credentials);
    let time = world.many(Duration::from_millis(200), Duration::from_millis(5));
    let runtime = world.handle();
    // The machine itself, and what all have in common: making requests.
    let nothing = |threads| together(threads, time, &credentials, &runtime, || Nothing);
    // One layer for all threads, as in a server.
    let service = bare(&keyring);
    let ours = |threads| together(threads, time, &credentials, &runtime, || service.clone());
    let (mut rows, rounds) = (vec![Vec::new(); 4], world.effort.rounds);
    for _ in 0..rounds {
        for (row, value) in rows
            .iter_mut()
            .zip([nothing(1), nothing(2), ours(1), ours(2)])
        {
            row.push(value);
        }
    }
    let recorder = &mut world.recorder;
    for (case, at) in [("no layer", 0), ("portcullis", 2)] {
        let (one, two) = (&rows[at], &rows[at + 1]);
        let ratio = two.iter().zip(one).map(|(two, one)| two / one).collect();
        recorder.rounds(GROUP.name, case, "calls a second, 1 thread", one.clone());
        recorder.rounds(GROUP.name, case, "calls a second, 2 threads", two.clone());
        recorder.rounds(GROUP.name, case, "x one thread", ratio);
    }
    // Without what the requests cost: of the layer alone.
    let hits = |calls: f64, without: f64| 1.0 / (1.0 / calls - 1.0 / without);
    let scaling = (0..rounds)
        .map(|round| {
            let one = hits(rows[2][round], rows[0][round]);
            // On two threads, each has half.
            let two = 2.0 * hits(rows[3][round] / 2.0, rows[1][round] / 2.0);
            two / one
        })
        .collect();
    recorder.rounds(
        GROUP.name,
        "portcullis",
        "layer alone, x one thread",
        scaling,
    );
}

/// How many calls a second so many threads make together.
fn together<S, R>(
    threads: usize,
    time: Duration,
    credentials: &Arc<[HeaderValue]>,
    runtime: &tokio::runtime::Handle,
    service: impl Fn() -> S,
) -> f64
where
    S: tower::Service<axum::extract::Request, Response = http::Response<R>> + Send + 'static,
    S::Error: std::fmt::Debug,
{
    let over = Arc::new(AtomicBool::new(false));
    let start = Arc::new(Barrier::new(threads + 1));
    let workers: Vec<_> = (0..threads as u64)
        .map(|thread| {
            let (over, start) = (Arc::clone(&over), Arc::clone(&start));
            let (mut service, credentials) = (service(), Arc::clone(credentials));
            let runtime = runtime.clone();
            std::thread::spawn(move || {
                call::wait_on(runtime);
                start.wait();
                let mut calls = 0_u64;
                while !over.load(Ordering::Relaxed) {
                    let at = keys::scatter(thread << 32 | calls) % credentials.len() as u64;
                    call::call(
                        &mut service,
                        Some(&credentials[at as usize]),
                        StatusCode::OK,
                    );
                    calls += 1;
                }
                calls
            })
        })
        .collect();
    start.wait();
    std::thread::sleep(time);
    over.store(true, Ordering::Relaxed);
    let calls: u64 = workers
        .into_iter()
        .map(|worker| worker.join().unwrap())
        .sum();
    calls as f64 / time.as_secs_f64()
}
