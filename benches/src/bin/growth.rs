//! From a thousand remembered keys to five million: time for each hit and memory for each key.
//!
//! A program of its own, since it counts what is allocated, which costs a little each time.

use std::alloc::System;
use std::collections::HashMap;
use std::hint::black_box;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use cpu_time::ThreadTime;
use http::{HeaderValue, StatusCode};
use portcullis::Keyring;
use portcullis_bench::by_rule::ByRule;
use portcullis_bench::cases::map;
use portcullis_bench::figures::{number, table};
use portcullis_bench::floor::OneMultiply;
use portcullis_bench::harness::Effort;
use portcullis_bench::machine::Machine;
use portcullis_bench::peers::by_hand;
use portcullis_bench::record::Recorder;
use portcullis_bench::world::{Nothing, World, bare, header, open, served};
use portcullis_bench::{call, keys};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const GROUP: &str = "growth";
/// How many hits are timed in a row, with requests that were made before.
const BATCH: u64 = 4_096;
/// Up to here with the checks written by hand as well: they keep a second copy of what they know.
const BESIDE_PEERS: u64 = 1_000_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let flag = |name: &str| arguments.iter().any(|argument| argument == name);
    let quick = flag("--quick");
    let out = arguments.iter().position(|argument| argument == "--out");
    let out = out.and_then(|at| arguments.get(at + 1)).map(PathBuf::from);
    let recorder = Recorder::new(out.as_deref(), Machine::here(quick)).unwrap();
    let mut world = World::new(Effort::QUICK, quick, None, recorder);
    // One size, as a part of the row of this build.
    if flag("--map") {
        let size = world.many(1_000_000, 10_000);
        let grown = Grown::measure(&world, size, &[]);
        let recorder = &mut world.recorder;
        recorder.note(map::ROWS, map::BUILD, "bytes a key", grown.bytes_each);
        let added = grown.added();
        recorder.rounds(
            map::ROWS,
            map::BUILD,
            "a million at random, added ns",
            added,
        );
        println!("{}", table(world.recorder.figures(), map::ROWS));
        return;
    }
    let sizes: &[u64] = if quick {
        &[1_000, 10_000]
    } else {
        &[1_000, 10_000, 100_000, 1_000_000, 5_000_000]
    };
    for &size in sizes {
        measure(&mut world, size);
    }
    println!("# remembered keys, one after another at random: time and memory");
    println!("{}", table(world.recorder.figures(), GROUP));
}

fn measure(world: &mut World, size: u64) {
    let case = format!("{} keys", number(size as f64, ""));
    let peers = if size <= BESIDE_PEERS {
        let all = || (0..size).map(keys::nth);
        vec![
            ("lean by hand", by_hand::lean_with_room(2 * size, all())),
            (
                "typical by hand",
                by_hand::typical_with_room(2 * size, all()),
            ),
        ]
    } else {
        Vec::new()
    };
    let grown = Grown::measure(world, size, &peers);
    drop(peers);
    let recorder = &mut world.recorder;
    recorder.note(GROUP, &case, "MB", grown.bytes / 1e6);
    recorder.note(GROUP, &case, "bytes a key", grown.bytes_each);
    recorder.rounds(GROUP, &case, "ns added", grown.added());
    recorder.rounds(GROUP, &case, "ns, SHA-256 and a plain map", grown.floor);
    for (name, added) in grown.peers {
        recorder.rounds(GROUP, &case, &format!("ns added, {name}"), added);
    }
    if size <= BESIDE_PEERS {
        let (_, (_, each)) = remembered(world, ByRule::every_key().an_owner_each(), size);
        let figure = "bytes a key, an owner each";
        world.recorder.note(GROUP, &case, figure, each);
    }
}

/// What so many remembered keys gave.
struct Grown {
    bytes: f64,
    bytes_each: f64,
    nothing: Vec<f64>,
    with: Vec<f64>,
    floor: Vec<f64>,
    /// What each peer adds to an open route.
    peers: Vec<(&'static str, Vec<f64>)>,
}

impl Grown {
    fn measure(world: &World, size: u64, peers: &[(&'static str, Router)]) -> Self {
        let (keyring, (bytes, bytes_each)) = remembered(world, ByRule::every_key(), size);
        let mut map: HashMap<_, Arc<[u8; 304]>, _> = HashMap::with_hasher(OneMultiply::default());
        map.extend((0..size).map(|n| (keys::digest(&keys::nth(n)), Arc::new([0; 304]))));
        let (mut gate, mut without, mut route) = (bare(&keyring), Nothing, served(open()));
        let mut served: Vec<_> = peers.iter().map(|(_, own)| served(own.clone())).collect();
        for peer in &mut served {
            world.block_on(async {
                for n in 0..size {
                    call::wait(peer, Some(&header(&keys::nth(n)))).await;
                }
            });
        }
        let (mut nothing, mut with, mut floor) = (Vec::new(), Vec::new(), Vec::new());
        let mut added = vec![Vec::new(); peers.len()];
        for round in 0..world.many(41, 3) {
            let key = |n| keys::nth(keys::scatter(round * BATCH + n) % size);
            let presented: Vec<String> = (0..BATCH).map(key).collect();
            let credentials: Vec<HeaderValue> = presented.iter().map(|key| header(key)).collect();
            nothing.push(calls(&mut without, &credentials));
            with.push(calls(&mut gate, &credentials));
            floor.push(timed(&presented, |key| {
                black_box(map.get(&keys::digest(key)).cloned().unwrap());
            }));
            if peers.is_empty() {
                continue;
            }
            let open = calls(&mut route, &credentials);
            for (peer, added) in served.iter_mut().zip(&mut added) {
                added.push(calls(peer, &credentials) - open);
            }
        }
        let names = peers.iter().map(|(name, _)| *name);
        Self {
            bytes,
            bytes_each,
            nothing,
            with,
            floor,
            peers: names.zip(added).collect(),
        }
    }

    /// What the layer adds to a service that does nothing.
    fn added(&self) -> Vec<f64> {
        let rounds = self.with.iter().zip(&self.nothing);
        rounds.map(|(with, without)| with - without).collect()
    }
}

/// A keyring that remembers so many keys, the bytes that it takes, and those for each key.
fn remembered(world: &World, store: ByRule, size: u64) -> (Keyring, (f64, f64)) {
    let before = allocated();
    let keyring = world.keyring(store, |builder| {
        // Room for each, so that how much each takes is seen and not which are let go.
        builder.capacity(size + size / 10, 10)
    });
    let empty = allocated();
    remember(world, &keyring, size);
    let full = allocated();
    let each = (full - empty) as f64 / size as f64;
    (keyring, ((full - before) as f64, each))
}

fn calls<S, R>(service: &mut S, credentials: &[HeaderValue]) -> f64
where
    S: tower::Service<Request, Response = http::Response<R>>,
    S::Error: std::fmt::Debug,
{
    timed(credentials, |credential| {
        call::call(service, Some(credential), StatusCode::OK);
    })
}

fn timed<T>(all: &[T], mut call: impl FnMut(&T)) -> f64 {
    let begin = ThreadTime::now();
    for one in all {
        call(one);
    }
    begin.elapsed().as_secs_f64() * 1e9 / all.len() as f64
}

/// Sends each key once, many at a time, and waits until the cache has put all in their places.
fn remember(world: &World, keyring: &Keyring, size: u64) {
    world.block_on(async {
        let lanes: Vec<_> = (0..16)
            .map(|lane| {
                let mut service = bare(keyring);
                tokio::spawn(async move {
                    for n in (lane..size).step_by(16) {
                        let credential = header(&keys::nth(n));
                        let status = call::wait(&mut service, Some(&credential)).await;
                        assert_eq!(status, StatusCode::OK);
                    }
                })
            })
            .collect();
        for lane in lanes {
            lane.await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    });
}

/// Bytes that are allocated now.
fn allocated() -> i64 {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated.cast_signed() as i64 - stats.bytes_deallocated.cast_signed() as i64
}
