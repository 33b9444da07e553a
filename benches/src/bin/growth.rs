//! From a thousand remembered keys to five million: time for each hit and memory for each key.
//!
//! A program of its own, since it counts what is allocated, which costs a little each time.

use std::alloc::System;
use std::collections::HashMap;
use std::hint::black_box;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cpu_time::ThreadTime;
use http::{HeaderValue, StatusCode};
use portcullis::Keyring;
use portcullis_bench::by_rule::ByRule;
use portcullis_bench::floor::OneMultiply;
use portcullis_bench::harness::Effort;
use portcullis_bench::machine::Machine;
use portcullis_bench::record::{Recorder, number, table};
use portcullis_bench::world::{Nothing, World, bare, header};
use portcullis_bench::{call, keys};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const GROUP: &str = "growth";
/// How many hits are timed in a row, with requests that were made before.
const BATCH: u64 = 4_096;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let out = arguments.iter().position(|argument| argument == "--out");
    let out = out.and_then(|at| arguments.get(at + 1)).map(PathBuf::from);
    let recorder = Recorder::new(out.as_deref(), Machine::here(quick)).unwrap();
    let mut world = World::new(Effort::QUICK, quick, None, recorder);
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
    let before = allocated();
    let keyring = world.keyring(ByRule::every_key(), |builder| {
        // Room for each, so that how much each takes is seen and not which are let go.
        builder.capacity(size + size / 10, 10)
    });
    let empty = allocated();
    remember(world, &keyring, size);
    let full = allocated();
    world
        .recorder
        .note(GROUP, &case, "MB", (full - before) as f64 / 1e6);
    let each = (full - empty) as f64 / size as f64;
    world.recorder.note(GROUP, &case, "bytes a key", each);

    let mut map: HashMap<_, Arc<[u8; 304]>, _> = HashMap::with_hasher(OneMultiply::default());
    map.extend((0..size).map(|n| (keys::digest(&keys::nth(n)), Arc::new([0; 304]))));
    let (mut with, mut without, mut floor) = (bare(&keyring), Nothing, Vec::new());
    let (mut ours, mut nothing) = (Vec::new(), Vec::new());
    let rounds = world.many(41, 3);
    for round in 0..rounds {
        let key = |n| keys::nth(keys::scatter(round * BATCH + n) % size);
        let presented: Vec<String> = (0..BATCH).map(key).collect();
        let credentials: Vec<HeaderValue> = presented.iter().map(|key| header(key)).collect();
        nothing.push(timed(&credentials, |credential| {
            call::call(&mut without, Some(credential), StatusCode::OK);
        }));
        ours.push(timed(&credentials, |credential| {
            call::call(&mut with, Some(credential), StatusCode::OK);
        }));
        floor.push(timed(&presented, |key| {
            black_box(map.get(&keys::digest(key)).cloned().unwrap());
        }));
    }
    let added = ours
        .iter()
        .zip(&nothing)
        .map(|(with, without)| with - without);
    let added: Vec<f64> = added.collect();
    world.recorder.rounds(GROUP, &case, "ns added", added);
    world
        .recorder
        .rounds(GROUP, &case, "ns, SHA-256 and a plain map", floor);
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
