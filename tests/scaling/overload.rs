//! More look-ups than the database can answer.

use crate::simulation::outcome::Outcome;
use crate::simulation::scenario::{Begin, Scenario};
use crate::simulation::settings;
use crate::simulation::world::run;

/// Three times as many look-ups are wanted at first as one core gives.
fn too_much(turn_within: f64) -> Outcome {
    run(&Scenario {
        replicas: 10,
        keys: 50_000,
        requests: 8_000.0,
        cores: 1,
        turn_within,
        begin: Begin::Cold,
        settle: 0.0,
        counted: 5.0,
        ..Scenario::default()
    })
}

fn refused(outcome: &Outcome) -> Vec<u64> {
    let seconds = outcome.by_second.iter();
    seconds.map(|second| second.refused).collect()
}

#[test]
fn a_wave_that_is_too_high_is_shed_and_ebbs() {
    let outcome = too_much(settings::TURN_WITHIN);
    let refused = refused(&outcome);
    assert!(refused[1] > 10_000, "it is too high: {refused:?}");
    assert!(refused[4] < refused[1] / 2, "it ebbs: {refused:?}");
    assert_eq!(outcome.cut_off, 0, "what the database is asked, it answers");
}

/// A look-up that gets its turn at its last moment is given up before it is answered: the database
/// has its work, and nobody has the answer.
#[test]
fn waiting_for_a_turn_to_the_last_moment_would_make_it_stay() {
    let outcome = too_much(settings::LOOK_UP_DEADLINE);
    let refused = refused(&outcome);
    assert!(outcome.cut_off > 10_000);
    assert!(refused[4] >= refused[1], "{refused:?}");
}
