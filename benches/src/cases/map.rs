//! What moka costs: the same crate on another map, and without the table in front of it.
//!
//! Which of them this is was decided when it was built, so each build measures one row, with the
//! open route and the floor in its own rounds. `reproduce` makes the four builds.

use http::StatusCode;

use super::{Group, Kind, bare, threads, zipf};
use crate::harness::{Case, instructions};
use crate::peers::layered;
use crate::world::{self, Nothing, World, credentials, each, open, routed};

pub(super) const GROUP: Group = Group {
    name: "map",
    about: "one row of what moka costs: the map and the table of this build",
    kind: Kind::Own(measure),
};

/// The group of the rows, also of those that `growth` measures.
pub const ROWS: &str = GROUP.name;

/// What this build remembers keys in.
pub const BUILD: &str = match (cfg!(portcullis_quick_cache), cfg!(portcullis_no_hot_table)) {
    (false, false) => "portcullis: moka and the table",
    (false, true) => "moka alone",
    (true, false) => "quick_cache and the table",
    (true, true) => "quick_cache alone",
};

const OPEN: &str = "open route";
const ROUTER: &str = "Router";
const NOTHING: &str = "no layer";
const HOT: &str = "16 keys";
const SPREAD: &str = "1,024 keys";
const FLOOR: &str = "SHA-256 and a plain map";

fn measure(world: &mut World) {
    near(world);
    far(world);
    on_two_threads(world);
}

fn near(world: &mut World) {
    let ok = StatusCode::OK;
    let keyring = world.usual();
    world.warm(&keyring, &credentials(10_000));
    let mut cases = vec![
        routed(OPEN, open(), credentials(16), ok),
        routed(ROUTER, layered(&keyring), credentials(16), ok),
        each(NOTHING, Nothing, credentials(16), ok),
        each(HOT, world::bare(&keyring), credentials(16), ok),
        each(SPREAD, world::bare(&keyring), credentials(1_024), ok),
        bare::floor(FLOOR, 16),
    ];
    let rounds = world.rounds(&mut cases);
    let mut note = |figure: &str, values| {
        world.recorder.rounds(ROWS, BUILD, figure, values);
    };
    let less = |[with, without]: [f64; 2]| with - without;
    note("16 keys, added ns", rounds.each([HOT, NOTHING], less));
    note("1,024 keys, added ns", rounds.each([SPREAD, NOTHING], less));
    note(
        "added, x SHA-256 and a plain map",
        rounds.each([HOT, NOTHING, FLOOR], |[with, without, floor]| {
            (with - without) / floor
        }),
    );
    note(
        "x open route",
        rounds.each([ROUTER, OPEN], |[with, without]| with / without),
    );
    note_instructions(world, &mut cases);
}

fn note_instructions(world: &mut World, cases: &mut [Case]) {
    let Some(counter) = world.counter.filter(|_| world.effort.counted > 0) else {
        return;
    };
    let mut count = |name: &str| {
        let case = cases.iter_mut().find(|case| case.name() == name).unwrap();
        instructions(case, world.effort.counted, counter)
    };
    let (without, with) = (count(NOTHING), count(HOT));
    let recorder = &mut world.recorder;
    recorder.note(ROWS, BUILD, "added instructions", with.mean - without.mean);
}

fn far(world: &mut World) {
    let mut cases = zipf::layer_alone(world);
    let rounds = world.rounds(&mut cases);
    let added = rounds.each([zipf::OURS, zipf::NOTHING], |[with, without]| {
        with - without
    });
    world.recorder.rounds(ROWS, BUILD, "Zipf, added ns", added);
}

fn on_two_threads(world: &mut World) {
    let loads = threads::hits(world);
    // There are four builds, and each round takes as long as a hundred of the others.
    let scaled = threads::scale(&loads, world.effort.rounds.min(9));
    let alone = threads::layer_alone(&scaled[1], &scaled[0]);
    let recorder = &mut world.recorder;
    recorder.rounds(ROWS, BUILD, "layer alone, x one thread", alone);
}
