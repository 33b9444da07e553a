//! What is remembered, and what has to be looked up.

use crate::near;
use crate::simulation::arithmetic;
use crate::simulation::moment::float;
use crate::simulation::scenario::{Begin, Scenario};
use crate::simulation::world::run;

/// Short lives, so that a replica that begins with nothing comes to rest soon.
fn from_nothing() -> Scenario {
    Scenario {
        replicas: 3,
        keys: 10_000,
        requests: 500.0,
        time_to_live: 20.0,
        begin: Begin::Cold,
        settle: 60.0,
        counted: 120.0,
        ..Scenario::default()
    }
}

#[test]
fn memory_comes_to_rest_where_the_formula_says() {
    for (changes, shards) in [(0.0, 65_536), (50.0, 1_024), (400.0, 16_384)] {
        let scenario = Scenario {
            shards,
            changes,
            ..from_nothing()
        };
        let outcome = run(&scenario);
        let what = format!("{changes} changes a second, {shards} shards");
        let warm = float(outcome.warm) / 3.0;
        near(&what, warm, arithmetic::warm_keys(&scenario), 0.04);
        let cold = outcome.rate(outcome.cold);
        near(&what, cold, arithmetic::cold(&scenario), 0.03);
        near(
            &what,
            outcome.hit_rate(),
            arithmetic::hit_rate(&scenario),
            0.02,
        );
        if changes > 0.0 {
            let a_change = float(outcome.owed_to_changes) / float(outcome.commits) / 3.0;
            let expected = arithmetic::owed_to_a_change(&scenario);
            near(&what, a_change, expected, 0.05);
            assert!(
                expected <= arithmetic::warm_keys(&scenario) / f64::from(shards) + 1.0,
                "{what}: the rule of thumb is a bound"
            );
        }
        assert_eq!(outcome.refused, 0);
    }
}

#[test]
fn a_replica_that_begins_warm_is_at_rest_from_the_beginning() {
    let scenario = Scenario {
        begin: Begin::Warm,
        changes: 50.0,
        shards: 1_024,
        settle: 1.0,
        counted: 40.0,
        ..from_nothing()
    };
    let outcome = run(&scenario);
    near(
        "warm keys",
        float(outcome.warm) / 3.0,
        arithmetic::warm_keys(&scenario),
        0.04,
    );
    near(
        "cold look-ups",
        outcome.rate(outcome.cold),
        arithmetic::cold(&scenario),
        0.05,
    );
    near(
        "look-ups owed to a change",
        float(outcome.owed_to_changes) / float(outcome.commits) / 3.0,
        arithmetic::owed_to_a_change(&scenario),
        0.05,
    );
}

#[test]
fn new_keys_make_no_warm_key_cold() {
    let scenario = Scenario {
        creations: 200.0,
        shards: 64,
        begin: Begin::Warm,
        settle: 1.0,
        counted: 20.0,
        ..from_nothing()
    };
    let outcome = run(&scenario);
    assert!(outcome.commits > 3_000);
    assert_eq!(outcome.owed_to_changes, 0);
}

#[test]
fn uses_are_written_by_each_replica_for_itself() {
    // Keys so popular that each replica has each of them all the time.
    let scenario = Scenario {
        keys: 100,
        requests: 2_000.0,
        last_used_every: 5.0,
        settle: 10.0,
        counted: 20.0,
        ..from_nothing()
    };
    let outcome = run(&scenario);
    let uses = outcome.rate(outcome.uses);
    near("uses", uses, arithmetic::most_uses(&scenario), 0.05);

    // Keys that every replica forgets in between, and finds written down by another.
    let scenario = Scenario {
        replicas: 10,
        time_to_live: 1.0,
        last_used_every: 20.0,
        ..from_nothing()
    };
    let outcome = run(&scenario);
    assert!(outcome.rate(outcome.uses) < arithmetic::most_uses(&scenario) / 2.0);
}

#[test]
fn a_wave_is_as_high_as_the_formula_says() {
    let scenario = Scenario {
        replicas: 10,
        keys: 100_000,
        requests: 1_000.0,
        begin: Begin::Cold,
        settle: 0.0,
        counted: 12.0,
        ..Scenario::default()
    };
    let outcome = run(&scenario);
    for (second, counted) in (0_u32..).zip(&outcome.by_second) {
        let expected = arithmetic::wave(&scenario, second.into());
        let what = format!("second {second}");
        near(&what, float(counted.look_ups), expected, 0.08);
    }
    assert_eq!(outcome.refused, 0);
}

#[test]
fn an_emergency_stop_is_a_cold_start() {
    let start = Scenario {
        replicas: 5,
        keys: 100_000,
        requests: 1_000.0,
        begin: Begin::Cold,
        settle: 0.0,
        counted: 6.0,
        ..Scenario::default()
    };
    let stop = Scenario {
        begin: Begin::Warm,
        stop_at: Some(1.0),
        settle: 1.0,
        ..start.clone()
    };
    let (start, stop) = (run(&start), run(&stop));
    for (second, (stop, start)) in stop.by_second.iter().zip(&start.by_second).enumerate() {
        let what = format!("second {second}");
        near(&what, float(stop.look_ups), float(start.look_ups), 0.08);
    }
    assert!(stop.owed_to_changes > 0);
}

#[test]
fn a_standby_is_asked_in_vain_as_often_as_the_formula_says() {
    let standby = |standby_lag| Scenario {
        standby_lag,
        replicas: 4,
        keys: 2_000,
        requests: 1_000.0,
        changes: 40.0,
        creations: 40.0,
        counted: 60.0,
        ..Scenario::default()
    };
    for lag in [0.05, 0.5, 5.0] {
        let scenario = standby(Some(lag));
        let outcome = run(&scenario);
        let twice = float(outcome.asked_twice) / float(outcome.look_ups());
        let what = format!("{lag} s behind");
        near(&what, twice, arithmetic::asked_twice(&scenario), 0.15);
    }
    let (none, in_step) = (run(&standby(None)), run(&standby(Some(0.0))));
    assert_eq!((none.asked_twice, in_step.asked_twice), (0, 0));
    assert!(none.look_ups() > 1_000);
}
