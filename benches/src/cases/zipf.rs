//! A million keys remembered, used as keys are: a few very often, most seldom.

use std::collections::HashMap;
use std::hint::black_box;
use std::rc::Rc;
use std::sync::Arc;

use http::{HeaderValue, StatusCode};
use portcullis::key::KeyDigest;

use super::{Group, Kind};
use crate::by_rule::ByRule;
use crate::floor::OneMultiply;
use crate::harness::Case;
use crate::world::{Nothing, World, bare, credentials, header};
use crate::{call, keys};

pub(super) const GROUP: Group = Group {
    name: "zipf",
    about: "the layer alone, with a million keys used by Zipf's law (exponent 0.99)",
    kind: Kind::Interleaved { cases, measure },
};

const EXPONENT: f64 = 0.99;
/// How many uses are drawn beforehand; they come round again.
const DRAWN: usize = 1 << 18;

fn cases(world: &World) -> Vec<Case> {
    let keys = world.many(1_000_000, 10_000);
    let keyring = world.keyring(ByRule::every_key(), |builder| {
        builder.capacity(2 * keys, 10)
    });
    world.warm(&keyring, &credentials(keys));
    let drawn: Rc<[u64]> = draw(keys).into();
    vec![
        using("no layer", Nothing, &drawn),
        using("portcullis", bare(&keyring), &drawn),
        floor("SHA-256 and a plain map", keys, &drawn),
    ]
}

fn using<S, R>(name: &str, mut service: S, drawn: &[u64]) -> Case
where
    S: tower::Service<axum::extract::Request, Response = http::Response<R>> + 'static,
    S::Error: std::fmt::Debug,
{
    let credentials: Vec<HeaderValue> = drawn.iter().map(|&n| header(&keys::nth(n))).collect();
    let mut next = 0;
    Case::new(name, move || {
        next = (next + 1) & (DRAWN - 1);
        call::call(&mut service, Some(&credentials[next]), StatusCode::OK);
    })
}

fn floor(name: &str, keys: u64, drawn: &[u64]) -> Case {
    let mut map: HashMap<KeyDigest, Arc<[u8; 304]>, _> =
        HashMap::with_hasher(OneMultiply::default());
    map.extend((0..keys).map(|n| (keys::digest(&keys::nth(n)), Arc::new([0; 304]))));
    let presented: Vec<String> = drawn.iter().map(|&n| keys::nth(n)).collect();
    let mut next = 0;
    Case::new(name, move || {
        next = (next + 1) & (DRAWN - 1);
        black_box(map.get(&keys::digest(&presented[next])).cloned().unwrap());
    })
}

/// Which key is used, for each use.
fn draw(keys: u64) -> Vec<u64> {
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
            rank.min(keys - 1)
        })
        .collect()
}

fn measure(world: &mut World, cases: Vec<Case>) {
    let rounds = world.interleave(GROUP.name, cases);
    let added = rounds.each(["portcullis", "no layer"], |[with, without]| with - without);
    world
        .recorder
        .rounds(GROUP.name, "portcullis", "added ns", added);
}
