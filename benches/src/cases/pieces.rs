//! Where the instructions of a hit go.

use http::StatusCode;

use super::{Group, Kind};
use crate::harness::Case;
use crate::trace::Profile;
use crate::world::{Nothing, World, bare, credentials, each};

pub(super) const GROUP: Group = Group {
    name: "pieces",
    about: "where the instructions of a hit go: the layer alone, 16 keys",
    kind: Kind::Own(measure),
};

/// What a stack of functions belongs to: the first of these that it has a function of.
const PIECES: &[(&str, &[&str])] = &[
    (
        "making the request",
        &["request (portcullis/benches/src/call.rs)"],
    ),
    (
        "inner service, and dropping the request",
        &["call (portcullis/benches/src/world.rs)"],
    ),
    ("outer gate?", &["portcullis/src/layer/authentication.rs"]),
    (
        "checksum",
        &[
            "portcullis/src/key/checksum.rs",
            "portcullis/src/key/keyed.rs",
        ],
    ),
    ("form of the key", &["parse (portcullis/src/key/parse.rs)"]),
    ("digest", &["digest (portcullis/src/key/parse.rs)"]),
    ("cache: tidying up", &["apply_reads_if_needed"]),
    ("cache: read log", &["record_read_op"]),
    ("cache: clock", &["current_time"]),
    (
        "cache: the rest",
        &["recall (portcullis/src/keyring/cache.rs)"],
    ),
    ("boot clock", &["portcullis/src/clock.rs"]),
    ("epoch", &["portcullis/src/keyring/epoch.rs", "arc-swap"]),
    ("tag and lease", &["portcullis/src/keyring/freshness.rs"]),
    (
        "judging, last used",
        &["judge (portcullis/src/keyring/authorize.rs)"],
    ),
    ("finding the credential", &["portcullis/src/credential"]),
    (
        "stripping the credential",
        &["strip (portcullis/src/layer/service.rs)"],
    ),
    (
        "extension",
        &["http-1", "admit (portcullis/src/layer/service.rs)"],
    ),
    (
        "future and body",
        &[
            "portcullis/src/layer/future.rs",
            "portcullis/src/layer/body.rs",
        ],
    ),
    ("the rest of the layer", &["portcullis/src/"]),
    ("the rest", &[]),
];

fn measure(world: &mut World) {
    let Some(counter) = world.counter else {
        println!("instructions are not counted here");
        return;
    };
    let calls = world.many(256, 64);
    let keyring = world.usual();
    world.warm(&keyring, &credentials(10_000));
    let ok = StatusCode::OK;
    let cases: [(&str, Case); 2] = [
        ("without the layer", each("", Nothing, credentials(16), ok)),
        ("with it", each("", bare(&keyring), credentials(16), ok)),
    ];
    let mut sums = Vec::new();
    for (figure, mut case) in cases {
        let pieces = Profile::of(&mut case, counter, calls).pieces(PIECES);
        sums.push(pieces.iter().map(|(_, count)| count).sum::<f64>());
        for (piece, count) in pieces {
            world.recorder.note(GROUP.name, piece, figure, count);
        }
    }
    for (figure, sum) in ["without the layer", "with it"].into_iter().zip(sums) {
        world.recorder.note(GROUP.name, "all", figure, sum);
    }
}
