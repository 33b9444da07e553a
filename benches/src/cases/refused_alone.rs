//! Saying no in the layer alone: what a Router adds to all of them is left out.

use http::{HeaderValue, StatusCode};

use super::{Group, Kind};
use crate::by_rule::ByRule;
use crate::harness::Case;
use crate::keys;
use crate::world::{Nothing, World, bare, credentials, each, header, without};

pub(super) const GROUP: Group = Group {
    name: "refused-alone",
    about: "the layer alone, around a service that does nothing, with nothing that opens it",
    kind: Kind::Interleaved { cases, measure },
};

const NOTHING: &str = "no layer";
const NOTHING_SENT: &str = "no layer, no credential";
const ABSENT: &str = "portcullis, no credential";
const REFUSED: [&str; 4] = [
    "portcullis, unreadable",
    "portcullis, not a key",
    "portcullis, wrong checksum",
    "portcullis, unknown key, remembered",
];

fn cases(world: &World) -> Vec<Case> {
    let (ok, no) = (StatusCode::OK, StatusCode::UNAUTHORIZED);
    let nobody = world.keyring(ByRule::no_key(), |builder| {
        // What is remembered of unknown keys lasts five seconds: they are asked for again.
        builder.unknown_lookups(1_000_000, 1_000_000)
    });
    world.warm(&nobody, &credentials(16));
    let [unreadable, not_a_key, mistyped, unknown] = REFUSED;
    let gate = || bare(&nobody);
    vec![
        each(NOTHING, Nothing, credentials(16), ok),
        without(NOTHING_SENT, Nothing, ok),
        without(ABSENT, gate(), no),
        each(
            unreadable,
            gate(),
            vec![HeaderValue::from_static("Bearer of, bad news")],
            StatusCode::BAD_REQUEST,
        ),
        each(
            not_a_key,
            gate(),
            vec![header("eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl")],
            no,
        ),
        each(
            mistyped,
            gate(),
            (0..16).map(|n| header(&keys::mistyped(n))).collect(),
            no,
        ),
        each(unknown, gate(), credentials(16), no),
    ]
}

fn measure(world: &mut World, cases: Vec<Case>) {
    let rounds = world.interleave(GROUP.name, cases);
    let pairs = REFUSED.map(|refused| (refused, NOTHING));
    for (refused, without) in pairs.into_iter().chain([(ABSENT, NOTHING_SENT)]) {
        let added = rounds.each([refused, without], |[with, without]| with - without);
        let recorder = &mut world.recorder;
        recorder.rounds(GROUP.name, refused, "added ns", added);
    }
}
