//! Keys that open nothing any more, beside one that never was: how long the answer takes must not
//! tell which of them it is.

use std::time::Instant;

use http::{HeaderValue, StatusCode};
use portcullis::Keyring;
use portcullis::key::KeyDigest;

use super::{Group, Kind};
use crate::by_rule::{ByRule, Life};
use crate::harness::Case;
use crate::peers::layered;
use crate::world::{World, bare, header, routed};
use crate::{call, keys};

pub(super) const GROUP: Group = Group {
    name: "dead",
    about: "revoked, disabled and expired keys beside unknown ones, remembered and looked up first",
    kind: Kind::Interleaved { cases, measure },
};

const NO: StatusCode = StatusCode::UNAUTHORIZED;
/// What the others are compared with.
const UNKNOWN: &str = "unknown";
const KINDS: [(&str, Option<Life>); 4] = [
    (UNKNOWN, None),
    ("revoked", Some(Life::Revoked)),
    ("disabled", Some(Life::Disabled)),
    ("expired", Some(Life::Expired)),
];

/// One store for all of them: which kind a key is, two bits of its digest say.
fn kind(digest: &KeyDigest) -> usize {
    usize::from(digest.as_bytes()[31] & 3)
}

fn keyring(world: &World) -> Keyring {
    let store = ByRule::of_lives(|digest| KINDS[kind(digest)].1).takes_all_alike();
    world.keyring(store, |builder| {
        builder
            .unknown_lookups(1_000_000, 1_000_000)
            .capacity(1_000_000, 1_000_000)
    })
}

/// Keys of one kind, one after another, from the n-th on.
fn of_kind(wanted: usize, from: u64) -> impl Iterator<Item = HeaderValue> {
    (from..)
        .map(keys::nth)
        .filter(move |key| kind(&keys::digest(key)) == wanted)
        .map(|key| header(&key))
}

fn cases(world: &World) -> Vec<Case> {
    let keyring = keyring(world);
    let named = KINDS.iter().enumerate();
    named
        .map(|(at, (name, _))| {
            let used: Vec<HeaderValue> = of_kind(at, 0).take(16).collect();
            world.warm(&keyring, &used);
            routed(name, layered(&keyring), used, NO)
        })
        .collect()
}

fn measure(world: &mut World, mut cases: Vec<Case>) {
    let rounds = world.rounds(&mut cases);
    for (name, _) in KINDS {
        let ratio = rounds.each([name, UNKNOWN], |[own, unknown]| own / unknown);
        let recorder = &mut world.recorder;
        recorder.rounds(GROUP.name, name, "ns", rounds.of(name).to_vec());
        recorder.rounds(GROUP.name, name, "x unknown", ratio);
    }
    first_look_ups(world);
}

/// Keys that nobody has sent before, on one thread: the look-up runs on it as well, so that nothing
/// waits for another to wake up.
fn first_look_ups(world: &mut World) {
    let (rounds, each) = (world.many(41, 3), world.many(200, 20));
    let keyring = keyring(world);
    let mut fresh: Vec<_> = (0..KINDS.len()).map(|at| of_kind(at, 1 << 32)).collect();
    let mut nanos = vec![Vec::new(); KINDS.len()];
    for round in 0..rounds {
        for turn in 0..KINDS.len() {
            // Each is the first of a round as often as the others.
            let at = (round + turn) % KINDS.len();
            let credentials: Vec<HeaderValue> = fresh[at].by_ref().take(each).collect();
            let mut service = bare(&keyring);
            let asking = async move {
                let begin = Instant::now();
                for credential in &credentials {
                    assert_eq!(call::wait(&mut service, Some(credential)).await, NO);
                }
                begin.elapsed().as_secs_f64() * 1e9 / credentials.len() as f64
            };
            let spent = world.block_on(async { tokio::spawn(asking).await.unwrap() });
            nanos[at].push(spent);
        }
    }
    for (at, (name, _)) in KINDS.iter().enumerate() {
        let pairs = nanos[at].iter().zip(&nanos[0]);
        let ratios = pairs.map(|(own, unknown)| own / unknown).collect();
        let recorder = &mut world.recorder;
        recorder.rounds(GROUP.name, name, "first look-up, ns", nanos[at].clone());
        recorder.rounds(GROUP.name, name, "first look-up, x unknown", ratios);
    }
}
