//! Keeping in step.

use crate::near;
use crate::simulation::arithmetic;
use crate::simulation::scenario::Scenario;
use crate::simulation::world::run;

#[test]
fn syncs_are_those_of_the_formula() {
    for replicas in [1, 2, 5, 30] {
        for changes in [0.5, 3.0, 30.0, 300.0] {
            for creations in [0.0, changes / 2.0] {
                let scenario = Scenario {
                    replicas,
                    changes,
                    creations,
                    counted: 600.0 / changes,
                    ..Scenario::default()
                };
                let outcome = run(&scenario);
                // By as many changes as came by chance.
                let came = Scenario {
                    changes: outcome.rate(outcome.commits),
                    creations: 0.0,
                    ..scenario
                };
                let what = format!("{replicas} replicas, {changes} + {creations} a second");
                let syncs = outcome.rate(outcome.syncs);
                near(&what, syncs, arithmetic::syncs(&came), 0.06);
                let rows = outcome.rate(outcome.change_rows);
                near(&what, rows, arithmetic::change_rows(&came), 0.02);
            }
        }
    }
}

#[test]
fn without_a_change_there_is_one_small_statement_a_poll() {
    let scenario = Scenario {
        replicas: 5,
        requests: 1_000.0,
        keys: 1_000,
        counted: 20.0,
        ..Scenario::default()
    };
    let outcome = run(&scenario);
    near("syncs", outcome.rate(outcome.syncs), 5.0, 0.02);
    assert_eq!(outcome.change_rows, 0);
    assert_eq!(outcome.spent.nudges, 0);
}

#[test]
fn a_change_that_is_alone_is_heeded_when_the_formula_says() {
    for nudged in [true, false] {
        for replicas in [2, 20, 200] {
            let scenario = Scenario {
                replicas,
                changes: 0.5,
                nudged,
                counted: 200.0,
                ..Scenario::default()
            };
            let outcome = run(&scenario);
            let what = format!("{replicas} replicas, nudged: {nudged}");
            let half = outcome.until_refused.percentile(0.5);
            near(
                &what,
                half,
                1e3 * arithmetic::following::heeded_after(&scenario),
                0.08,
            );
            let all = outcome.until_refused.percentile(1.0);
            assert!(
                all <= 1e3 * arithmetic::heeded_at_last(&scenario),
                "{what}: {all}"
            );
        }
    }
}

#[test]
fn the_lock_lets_so_many_changes_through_and_no_more() {
    let scenario = Scenario {
        changes: 6_000.0,
        ..Scenario::default()
    };
    let outcome = run(&scenario);
    let committed = outcome.rate(outcome.commits);
    near("commits", committed, arithmetic::commits(&scenario), 0.01);
    assert!(committed < scenario.changes / 2.0);
}

/// The formula as the page has it.
#[test]
fn the_short_formula_is_near_the_exact_one() {
    let (gap, sync) = (0.010, 0.000_3);
    for changes in [0.01, 0.1, 1.0, 10.0, 100.0, 1_000.0_f64] {
        let w = (-changes * (gap + sync)).exp() * (1.0 - (-changes).exp()) / changes;
        let short = 1.0 / (w + gap + sync);
        let scenario = Scenario {
            changes,
            ..Scenario::default()
        };
        let what = format!("{changes} changes a second");
        near(&what, short, arithmetic::syncs(&scenario), 0.02);
        assert!(short < 97.5);
    }
}
