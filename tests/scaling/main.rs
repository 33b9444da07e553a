//! The simulation of `benches/scaling`, held against the arithmetic, against the crate whose
//! settings it takes, and against the page that shows its tables.

#[path = "../../benches/scaling/simulation/mod.rs"]
mod simulation;

mod following;
mod looking_up;
mod overload;
mod page;
mod settings;

use simulation::outcome::Outcome;

/// Fails unless `counted` lies within a part of what is expected.
#[track_caller]
fn near(what: &str, counted: f64, expected: f64, part: f64) {
    let off = (counted - expected).abs();
    assert!(
        off <= part * expected,
        "{what}: counted {counted}, expected {expected} give or take {part} of it"
    );
}

#[test]
fn a_run_repeats_itself() {
    let scenario = simulation::scenario::Scenario {
        replicas: 3,
        requests: 300.0,
        changes: 20.0,
        creations: 5.0,
        ..simulation::scenario::Scenario::default()
    };
    let run = || -> Outcome { simulation::world::run(&scenario) };
    let (first, second) = (format!("{:?}", run()), format!("{:?}", run()));
    assert_eq!(first, second);
}
