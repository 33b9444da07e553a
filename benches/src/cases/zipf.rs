//! A million keys remembered, used as keys are: a few very often, most seldom.

use std::collections::HashMap;
use std::hint::black_box;
use std::rc::Rc;
use std::sync::Arc;

use http::{HeaderValue, StatusCode};
use portcullis::Keyring;
use portcullis::key::KeyDigest;

use super::router::{OPEN, OURS as ROUTER, warm};
use super::{Group, Kind};
use crate::by_rule::ByRule;
use crate::floor::OneMultiply;
use crate::harness::Case;
use crate::peers::{by_hand, layered};
use crate::world::{Nothing, World, bare, credentials, header, open, served};
use crate::{call, keys};

pub(super) const GROUP: Group = Group {
    name: "zipf",
    about: "a million keys used by Zipf's law (exponent 0.99): in an axum Router and the layer alone",
    kind: Kind::Interleaved { cases, measure },
};

pub(super) const NOTHING: &str = "no layer";
pub(super) const OURS: &str = "portcullis, layer alone";
const FLOOR: &str = "SHA-256 and a plain map";
const LEAN: &str = "from_fn by hand, lean";
const TYPICAL: &str = "from_fn by hand, typical";

const EXPONENT: f64 = 0.99;
/// How many uses are drawn beforehand; they come round again.
const DRAWN: usize = 1 << 18;

fn cases(world: &World) -> Vec<Case> {
    let keys = keys(world);
    let (keyring, drawn) = (remembered(world), draw(keys));
    let all = || (0..keys).map(keys::nth);
    // As much room as the keyring has, so that none of them asks its store.
    let lean = by_hand::lean_with_room(2 * keys, all());
    let typical = by_hand::typical_with_room(2 * keys, all());
    warm(world, &lean, keys);
    warm(world, &typical, keys);
    let mut cases = vec![
        using(OPEN, served(open()), &drawn),
        using(ROUTER, served(layered(&keyring)), &drawn),
        using(LEAN, served(lean), &drawn),
        using(TYPICAL, served(typical), &drawn),
    ];
    cases.extend(alone(world, &keyring, &drawn));
    cases
}

/// The layer without a Router, and the floor.
pub(super) fn layer_alone(world: &World) -> Vec<Case> {
    alone(world, &remembered(world), &draw(keys(world)))
}

fn alone(world: &World, keyring: &Keyring, drawn: &Rc<[HeaderValue]>) -> Vec<Case> {
    vec![
        using(NOTHING, Nothing, drawn),
        using(OURS, bare(keyring), drawn),
        floor(FLOOR, keys(world), drawn),
    ]
}

fn keys(world: &World) -> u64 {
    world.many(1_000_000, 10_000)
}

fn remembered(world: &World) -> Keyring {
    let keys = keys(world);
    let keyring = world.keyring(ByRule::every_key(), |builder| {
        builder.capacity(2 * keys, 10)
    });
    world.warm(&keyring, &credentials(keys));
    keyring
}

fn using<S, R>(name: &str, mut service: S, drawn: &Rc<[HeaderValue]>) -> Case
where
    S: tower::Service<axum::extract::Request, Response = http::Response<R>> + 'static,
    S::Error: std::fmt::Debug,
{
    let (drawn, mut next) = (Rc::clone(drawn), 0);
    Case::new(name, move || {
        next = (next + 1) & (DRAWN - 1);
        call::call(&mut service, Some(&drawn[next]), StatusCode::OK);
    })
}

fn floor(name: &str, keys: u64, drawn: &Rc<[HeaderValue]>) -> Case {
    let mut map: HashMap<KeyDigest, Arc<[u8; 304]>, _> =
        HashMap::with_hasher(OneMultiply::default());
    map.extend((0..keys).map(|n| (keys::digest(&keys::nth(n)), Arc::new([0; 304]))));
    let presented = drawn.iter().map(|credential| {
        let text = credential.to_str().unwrap_or_default();
        text.trim_start_matches("Bearer ").to_owned()
    });
    let presented: Vec<String> = presented.collect();
    let mut next = 0;
    Case::new(name, move || {
        next = (next + 1) & (DRAWN - 1);
        black_box(map.get(&keys::digest(&presented[next])).cloned().unwrap());
    })
}

/// Which key is used, for each use.
fn draw(keys: u64) -> Rc<[HeaderValue]> {
    let mut sum = 0.0;
    let cumulative: Vec<f64> = (1..=keys)
        .map(|rank| {
            sum += (rank as f64).powf(-EXPONENT);
            sum
        })
        .collect();
    (0..DRAWN as u64)
        .map(|n| {
            let point = (keys::scatter(n) as f64 / u64::MAX as f64) * sum;
            let rank = cumulative.partition_point(|&below| below < point) as u64;
            header(&keys::nth(rank.min(keys - 1)))
        })
        .collect()
}

fn measure(world: &mut World, mut cases: Vec<Case>) {
    let rounds = world.rounds(&mut cases);
    let recorder = &mut world.recorder;
    for case in &cases {
        let name = case.name();
        recorder.rounds(GROUP.name, name, "ns", rounds.of(name).to_vec());
    }
    for name in [OPEN, ROUTER, LEAN, TYPICAL] {
        let ratio = rounds.each([name, OPEN], |[own, open]| own / open);
        recorder.rounds(GROUP.name, name, "x open route", ratio);
    }
    let less = |[with, without]: [f64; 2]| with - without;
    for (name, without) in [
        (ROUTER, OPEN),
        (LEAN, OPEN),
        (TYPICAL, OPEN),
        (OURS, NOTHING),
    ] {
        let added = rounds.each([name, without], less);
        recorder.rounds(GROUP.name, name, "added ns", added);
    }
}
