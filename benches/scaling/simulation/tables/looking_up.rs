//! What has to be looked up, and when.

use super::{CHANGES, HIT_RATE, REPLICAS, REQUESTS, WARM};
use crate::simulation::arithmetic;
use crate::simulation::moment::float;
use crate::simulation::outcome::Outcome;
use crate::simulation::scenario::{Begin, Scenario};
use crate::simulation::table::{Cell, Column, Table, number};

/// Look-ups owed to a change, by the number of shards.
pub(super) fn shards() -> Table {
    let mut rows = Vec::new();
    for shards in [256, 4_096, 65_536] {
        for changes in [1.0, 100.0] {
            rows.push(Scenario {
                replicas: 2,
                shards,
                changes,
                requests: 20_000.0,
                counted: 100.0,
                ..Scenario::default()
            });
        }
    }
    Table {
        name: "shards",
        columns: &[
            Column {
                title: "shards",
                cell: Cell::Given(|scenario| number(scenario.shards.into())),
            },
            Column {
                title: "tags (KiB)",
                cell: Cell::Given(|scenario| number(f64::from(scenario.shards) * 16.0 / 1_024.0)),
            },
            CHANGES,
            WARM,
            Column {
                title: "warm keys / shards",
                cell: Cell::Expected(|scenario| {
                    arithmetic::warm_keys(scenario) / f64::from(scenario.shards)
                }),
            },
            Column {
                title: "look-ups a change, each",
                cell: Cell::Near(
                    |scenario, outcome| {
                        let look_ups = outcome.rate(outcome.owed_to_changes);
                        look_ups / f64::from(scenario.replicas) / scenario.changes
                    },
                    arithmetic::owed_to_a_change,
                    // A hundred changes that come by chance, to shards with more keys or fewer.
                    0.2,
                ),
            },
            Column {
                title: "by formula",
                cell: Cell::Expected(arithmetic::owed_to_a_change),
            },
            HIT_RATE,
        ],
        rows,
    }
}

/// Memory, look-ups and uses written down, by the number of keys.
pub(super) fn keys() -> Table {
    let fleet = |replicas, keys, requests| Scenario {
        replicas,
        keys,
        requests,
        changes: 10.0,
        counted: 30.0,
        ..Scenario::default()
    };
    let keys = [10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];
    let mut rows: Vec<Scenario> = keys.map(|keys| fleet(10, keys, 1_000.0)).into();
    rows.push(fleet(100, 10_000_000, 1_000.0));
    rows.push(fleet(1_000, 100_000_000, 100.0));
    Table {
        name: "keys",
        columns: &[
            Column {
                title: "keys",
                cell: Cell::Given(|scenario| number(scenario.keys.into())),
            },
            REPLICAS,
            REQUESTS,
            WARM,
            HIT_RATE,
            Column {
                title: "look-ups a second, of cold keys",
                cell: Cell::Near(
                    |_, outcome| outcome.rate(outcome.cold),
                    arithmetic::cold,
                    0.05,
                ),
            },
            Column {
                title: "owed to changes",
                cell: Cell::Near(
                    |_, outcome| outcome.rate(outcome.owed_to_changes),
                    |scenario| {
                        let a_change = arithmetic::owed_to_a_change(scenario);
                        f64::from(scenario.replicas) * scenario.changes * a_change
                    },
                    // Three hundred changes.
                    0.2,
                ),
            },
            Column {
                title: "uses written a second",
                cell: Cell::Below(
                    |_, outcome| outcome.rate(outcome.uses),
                    arithmetic::most_uses,
                ),
            },
            Column {
                title: "cores",
                cell: Cell::Counted(|_, outcome| {
                    outcome.cores(outcome.spent.look_ups + outcome.spent.uses)
                }),
            },
        ],
        rows,
    }
}

/// Everything cold at once.
pub(super) fn waves() -> Table {
    let fleets = [
        (1, 1_000.0),
        (10, 1_000.0),
        (100, 1_000.0),
        (1_000, 100.0),
        (100, 3_000.0),
    ];
    let rows = fleets.map(|(replicas, requests)| Scenario {
        replicas,
        requests,
        begin: Begin::Cold,
        settle: 0.0,
        counted: 30.0,
        ..Scenario::default()
    });
    Table {
        name: "waves",
        columns: &[
            REPLICAS,
            REQUESTS,
            Column {
                title: "look-ups in the first second",
                cell: Cell::Counted(|_, outcome| look_ups_in(outcome, 0)),
            },
            Column {
                title: "wanted by formula",
                cell: Cell::Expected(|scenario| arithmetic::wave(scenario, 0.0)),
            },
            Column {
                title: "in the tenth",
                cell: Cell::Counted(|_, outcome| look_ups_in(outcome, 9)),
            },
            Column {
                title: "in the thirtieth",
                cell: Cell::Counted(|_, outcome| look_ups_in(outcome, 29)),
            },
            Column {
                title: "slowest 1 % of misses (ms)",
                cell: Cell::Counted(|_, outcome| outcome.waits.percentile(0.99)),
            },
            Column {
                title: "refused with 503 (%)",
                cell: Cell::Counted(|_, outcome| {
                    100.0 * float(outcome.refused) / float(outcome.requests)
                }),
            },
            Column {
                title: "for (s)",
                cell: Cell::Counted(|_, outcome| {
                    let mut seconds = outcome.by_second.iter();
                    let last = seconds.rposition(|second| second.refused > 0);
                    last.map_or(0.0, |last| float(last as u64) + 1.0)
                }),
            },
        ],
        rows: rows.into(),
    }
}

fn look_ups_in(outcome: &Outcome, second: usize) -> f64 {
    let second = outcome.by_second.get(second).copied().unwrap_or_default();
    float(second.look_ups)
}

/// Look-ups that a standby answers in vain.
pub(super) fn standby() -> Table {
    let rows = [0.1, 1.0, 10.0].map(|lag| Scenario {
        replicas: 10,
        requests: 1_000.0,
        changes: 100.0,
        creations: 100.0,
        standby_lag: Some(lag),
        counted: 200.0,
        ..Scenario::default()
    });
    Table {
        name: "standby",
        columns: &[
            Column {
                title: "standby behind by (s)",
                cell: Cell::Given(|scenario| number(scenario.standby_lag.unwrap_or_default())),
            },
            Column {
                title: "look-ups a second",
                cell: Cell::Counted(|_, outcome| outcome.rate(outcome.look_ups())),
            },
            Column {
                title: "asked twice (%)",
                cell: Cell::Near(
                    |_, outcome| 100.0 * float(outcome.asked_twice) / float(outcome.look_ups()),
                    |scenario| 100.0 * arithmetic::asked_twice(scenario),
                    0.2,
                ),
            },
            Column {
                title: "by formula",
                cell: Cell::Expected(|scenario| 100.0 * arithmetic::asked_twice(scenario)),
            },
        ],
        rows: rows.into(),
    }
}
