//! The layer alone, around a service that does nothing, beside what no design that hashes keys can
//! do without: one SHA-256, one probe of a map, one reference counted.

use std::collections::HashMap;
use std::hint::black_box;
use std::sync::Arc;

use http::StatusCode;
use portcullis::key::KeyDigest;
use tower::Layer;

use super::{Group, Kind};
use crate::floor::OneMultiply;
use crate::harness::Case;
use crate::keys;
use crate::peers::constant;
use crate::world::{Nothing, World, bare, credentials, each, header};

pub(super) const GROUP: Group = Group {
    name: "bare",
    about: "the layer alone, around a service that does nothing",
    kind: Kind::Interleaved { cases, measure },
};

const NOTHING: &str = "no layer";
const HOT: &str = "portcullis, 16 keys";
const SPREAD: &str = "portcullis, 1,024 keys";
const FLOOR: &str = "SHA-256 and a plain map, 16 keys";

fn cases(world: &World) -> Vec<Case> {
    let ok = StatusCode::OK;
    let keyring = world.usual();
    world.warm(&keyring, &credentials(10_000));
    let one = header(&keys::nth(0));
    vec![
        each(NOTHING, Nothing, credentials(16), ok),
        each(
            "tower-http, one constant token",
            constant(&keys::nth(0)).layer(Nothing),
            vec![one],
            ok,
        ),
        each(HOT, bare(&keyring), credentials(16), ok),
        each(SPREAD, bare(&keyring), credentials(1_024), ok),
        floor(FLOOR, 16),
        floor("SHA-256 and a plain map, 1,024 keys", 1_024),
    ]
}

/// What is left of a check when everything is taken away that can be.
pub(super) fn floor(name: &str, keys: usize) -> Case {
    let mut map: HashMap<KeyDigest, Arc<[u8; 304]>, _> =
        HashMap::with_hasher(OneMultiply::default());
    map.extend((0..10_000).map(|n| (keys::digest(&keys::nth(n)), Arc::new([0; 304]))));
    let presented: Vec<String> = (0..keys as u64).map(keys::nth).collect();
    let mut next = 0;
    Case::new(name, move || {
        next = (next + 1) & (presented.len() - 1);
        let found = map.get(&keys::digest(&presented[next])).cloned();
        black_box(found.unwrap());
    })
}

fn measure(world: &mut World, cases: Vec<Case>) {
    let rounds = world.interleave(GROUP.name, cases);
    for case in [HOT, SPREAD, "tower-http, one constant token"] {
        let added = rounds.each([case, NOTHING], |[with, without]| with - without);
        world.recorder.rounds(GROUP.name, case, "added ns", added);
        let ratio = rounds.each([case, NOTHING, FLOOR], |[with, without, floor]| {
            (with - without) / floor
        });
        let figure = "added, x SHA-256 and a plain map";
        world.recorder.rounds(GROUP.name, case, figure, ratio);
    }
}
