//! The tables of `docs/scaling.md`.

use crate::arithmetic;
use crate::moment::float;
use crate::outcome::Outcome;
use crate::scenario::{Begin, Scenario};
use crate::table::{Cell, Column, Table, number};

pub(crate) fn all() -> Vec<Table> {
    vec![syncs(), rhythm(), shards(), keys(), waves(), standby()]
}

const REPLICAS: Column = Column {
    title: "replicas",
    cell: Cell::Given(|scenario| number(scenario.replicas.into())),
};

const CHANGES: Column = Column {
    title: "changes a second",
    cell: Cell::Given(|scenario| short(scenario.changes)),
};

const REQUESTS: Column = Column {
    title: "requests a second and replica",
    cell: Cell::Given(|scenario| short(scenario.requests)),
};

const KEYS: Column = Column {
    title: "keys",
    cell: Cell::Given(|scenario| number(scenario.keys.into())),
};

const SYNCS: Column = Column {
    title: "syncs a second",
    cell: Cell::Checked {
        counted: |_, outcome| outcome.rate(outcome.syncs),
        expected: arithmetic::syncs,
        tolerance: 0.05,
    },
};

const SYNCS_EXPECTED: Column = Column {
    title: "by formula",
    cell: Cell::Expected(arithmetic::syncs),
};

const CORES_FOR_FRESHNESS: Column = Column {
    title: "cores",
    cell: Cell::Checked {
        counted: |_, outcome| outcome.cores(outcome.spent.syncs + outcome.spent.nudges),
        expected: arithmetic::cores_for_freshness,
        tolerance: 0.08,
    },
};

const HALF_REFUSED: Column = Column {
    title: "half refused after (ms)",
    cell: Cell::Counted(|_, outcome| outcome.until_refused.percentile(0.5)),
};

const NEARLY_ALL_REFUSED: Column = Column {
    title: "99 % after",
    cell: Cell::Counted(|_, outcome| outcome.until_refused.percentile(0.99)),
};

const ALL_REFUSED: Column = Column {
    title: "all after",
    cell: Cell::Counted(|_, outcome| outcome.until_refused.percentile(1.0)),
};

const HIT_RATE: Column = Column {
    title: "hits (%)",
    cell: Cell::Checked {
        counted: |_, outcome| 100.0 * outcome.hit_rate(),
        expected: |scenario| {
            let look_ups = arithmetic::look_ups(scenario);
            100.0 * (1.0 - (look_ups.cold + look_ups.owed_to_changes) / scenario.requests)
        },
        tolerance: 0.01,
    },
};

const WARM: Column = Column {
    title: "warm keys",
    cell: Cell::Checked {
        counted: |scenario, outcome| float(outcome.warm) / f64::from(scenario.replicas),
        expected: arithmetic::warm_keys,
        tolerance: 0.02,
    },
};

/// Syncs and change rows by replicas and changes.
fn syncs() -> Table {
    let mut rows = Vec::new();
    for changes in [0.1, 1.0, 10.0, 100.0, 1_000.0] {
        for replicas in [1, 3, 10, 100, 1_000] {
            rows.push(Scenario {
                replicas,
                changes,
                counted: (2_000.0_f64 / changes).clamp(10.0, 2_000.0),
                ..Scenario::default()
            });
        }
    }
    Table {
        name: "syncs",
        columns: &[
            CHANGES,
            REPLICAS,
            SYNCS,
            SYNCS_EXPECTED,
            Column {
                title: "change rows a second",
                cell: Cell::Checked {
                    counted: |_, outcome| outcome.rate(outcome.change_rows),
                    expected: arithmetic::change_rows,
                    // Of 200 changes that come by chance, every tenth run has 24 more or fewer.
                    tolerance: 0.2,
                },
            },
            CORES_FOR_FRESHNESS,
            HALF_REFUSED,
            NEARLY_ALL_REFUSED,
            ALL_REFUSED,
        ],
        rows,
    }
}

/// With and without notifications.
fn rhythm() -> Table {
    let mut rows = Vec::new();
    for nudged in [true, false] {
        for poll in [0.25, 1.0, 5.0] {
            rows.push(Scenario {
                replicas: 100,
                changes: 1.0,
                poll,
                nudged,
                counted: 2_000.0,
                ..Scenario::default()
            });
        }
    }
    Table {
        name: "rhythm",
        columns: &[
            Column {
                title: "notifications",
                cell: Cell::Given(|scenario| if scenario.nudged { "yes" } else { "no" }.to_owned()),
            },
            Column {
                title: "poll (s)",
                cell: Cell::Given(|scenario| short(scenario.poll)),
            },
            Column {
                title: "least `max_staleness` (s)",
                cell: Cell::Given(|scenario| short(4.0 * scenario.poll)),
            },
            SYNCS,
            SYNCS_EXPECTED,
            CORES_FOR_FRESHNESS,
            HALF_REFUSED,
            NEARLY_ALL_REFUSED,
            ALL_REFUSED,
        ],
        rows,
    }
}

/// Look-ups owed to a change, by the number of shards.
fn shards() -> Table {
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
                title: "look-ups a change and replica",
                cell: Cell::Checked {
                    counted: |scenario, outcome| {
                        let look_ups = outcome.rate(outcome.owed_to_changes);
                        look_ups / f64::from(scenario.replicas) / scenario.changes
                    },
                    expected: owed_to_a_change,
                    // A hundred changes, and the shards of a few.
                    tolerance: 0.1,
                },
            },
            Column {
                title: "by formula",
                cell: Cell::Expected(owed_to_a_change),
            },
            HIT_RATE,
        ],
        rows,
    }
}

fn owed_to_a_change(scenario: &Scenario) -> f64 {
    arithmetic::look_ups(scenario).owed_to_changes / scenario.changes
}

/// Memory and look-ups by the number of keys.
fn keys() -> Table {
    let fleet = |replicas, keys, requests, changes| Scenario {
        replicas,
        keys,
        requests,
        changes,
        counted: 30.0,
        ..Scenario::default()
    };
    let mut rows: Vec<Scenario> = [10_000, 100_000, 1_000_000, 10_000_000, 100_000_000]
        .map(|keys| fleet(10, keys, 1_000.0, 10.0))
        .into();
    rows.push(fleet(100, 10_000_000, 1_000.0, 10.0));
    rows.push(fleet(1_000, 100_000_000, 100.0, 10.0));
    Table {
        name: "keys",
        columns: &[
            KEYS,
            REPLICAS,
            REQUESTS,
            WARM,
            HIT_RATE,
            Column {
                title: "look-ups a second, cold",
                cell: Cell::Checked {
                    counted: |_, outcome| outcome.rate(outcome.cold),
                    expected: |scenario| {
                        f64::from(scenario.replicas) * arithmetic::look_ups(scenario).cold
                    },
                    tolerance: 0.05,
                },
            },
            Column {
                title: "owed to changes",
                cell: Cell::Checked {
                    counted: |_, outcome| outcome.rate(outcome.owed_to_changes),
                    expected: |scenario| {
                        let look_ups = arithmetic::look_ups(scenario);
                        f64::from(scenario.replicas) * look_ups.owed_to_changes
                    },
                    // 300 changes.
                    tolerance: 0.2,
                },
            },
            Column {
                title: "cores for look-ups",
                cell: Cell::Counted(|_, outcome| outcome.cores(outcome.spent.look_ups)),
            },
        ],
        rows,
    }
}

/// Everything cold at once.
fn waves() -> Table {
    let fleets = [
        (1, 100.0),
        (10, 100.0),
        (100, 100.0),
        (1_000, 100.0),
        (10, 1_000.0),
        (100, 1_000.0),
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
                title: "by formula",
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
                title: "slowest 1 % wait (ms)",
                cell: Cell::Counted(|_, outcome| outcome.waits.percentile(0.99)),
            },
            Column {
                title: "requests refused (%)",
                cell: Cell::Counted(|_, outcome| {
                    100.0 * float(outcome.refused) / float(outcome.requests)
                }),
            },
            Column {
                title: "seconds with refusals",
                cell: Cell::Counted(|_, outcome| {
                    let mut seconds = outcome.by_second.iter();
                    let refusing = seconds.rposition(|second| second.refused > 0);
                    refusing.map_or(0.0, |last| float(last as u64) + 1.0)
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
fn standby() -> Table {
    let lags = [0.01, 0.1, 1.0, 10.0];
    let rows = lags.map(|lag| Scenario {
        replicas: 10,
        requests: 1_000.0,
        changes: 100.0,
        creations: 100.0,
        standby_lag: Some(lag),
        counted: 30.0,
        ..Scenario::default()
    });
    Table {
        name: "standby",
        columns: &[
            Column {
                title: "standby behind by (s)",
                cell: Cell::Given(|scenario| short(scenario.standby_lag.unwrap_or_default())),
            },
            Column {
                title: "look-ups a second",
                cell: Cell::Counted(|_, outcome| outcome.rate(outcome.look_ups())),
            },
            Column {
                title: "asked twice (%)",
                cell: Cell::Counted(|_, outcome| {
                    100.0 * float(outcome.asked_twice) / float(outcome.look_ups())
                }),
            },
            Column {
                title: "by formula",
                cell: Cell::Expected(|scenario| {
                    let look_ups = arithmetic::look_ups(scenario);
                    100.0 * look_ups.asked_twice / (look_ups.cold + look_ups.owed_to_changes)
                }),
            },
        ],
        rows: rows.into(),
    }
}

/// As it was written down.
fn short(number: f64) -> String {
    if number < 1_000.0 {
        number.to_string()
    } else {
        self::number(number)
    }
}
