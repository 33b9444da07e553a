//! What it takes to keep in step.

use super::{CHANGES, REPLICAS};
use crate::simulation::arithmetic;
use crate::simulation::scenario::Scenario;
use crate::simulation::table::{Cell, Column, Table, number};

const SYNCS: Column = Column {
    title: "syncs a second",
    cell: Cell::Near(
        |_, outcome| outcome.rate(outcome.syncs),
        arithmetic::syncs,
        0.05,
    ),
};

const SYNCS_EXPECTED: Column = Column {
    title: "by formula",
    cell: Cell::Expected(arithmetic::syncs),
};

const CORES: Column = Column {
    title: "cores",
    cell: Cell::Near(
        |_, outcome| outcome.cores(outcome.spent.syncs + outcome.spent.nudges),
        arithmetic::cores,
        // Whoever is being woken for one change is not woken again for the next.
        0.15,
    ),
};

const HALF_REFUSED: Column = Column {
    title: "half refuse after (ms)",
    cell: Cell::Counted(|_, outcome| outcome.until_refused.percentile(0.5)),
};

const NEARLY_ALL_REFUSED: Column = Column {
    title: "99 % after",
    cell: Cell::Counted(|_, outcome| outcome.until_refused.percentile(0.99)),
};

const ALL_REFUSED: Column = Column {
    title: "all after",
    cell: Cell::Below(
        |_, outcome| outcome.until_refused.percentile(1.0),
        |scenario| 1e3 * arithmetic::heeded_at_last(scenario),
    ),
};

/// Syncs and change rows by changes and replicas.
pub(super) fn syncs() -> Table {
    let mut rows = Vec::new();
    for (seed, changes) in (7..).zip([0.1, 1.0, 10.0, 100.0, 1_000.0]) {
        for replicas in [1, 3, 10, 100, 1_000] {
            rows.push(Scenario {
                replicas,
                changes,
                counted: (3_000.0_f64 / changes).clamp(10.0, 3_000.0),
                seed,
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
                cell: Cell::Near(
                    |_, outcome| outcome.rate(outcome.change_rows),
                    arithmetic::change_rows,
                    // Three hundred changes that come by chance may well be thirty more or fewer.
                    0.15,
                ),
            },
            CORES,
            HALF_REFUSED,
            NEARLY_ALL_REFUSED,
            ALL_REFUSED,
        ],
        rows,
    }
}

/// With notifications and without.
pub(super) fn rhythm() -> Table {
    let mut rows = Vec::new();
    for nudged in [true, false] {
        for poll in [0.25, 1.0, 5.0] {
            rows.push(Scenario {
                replicas: 100,
                changes: 1.0,
                poll,
                nudged,
                counted: 1_000.0,
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
                cell: Cell::Given(|scenario| number(scenario.poll)),
            },
            SYNCS,
            SYNCS_EXPECTED,
            CORES,
            HALF_REFUSED,
            NEARLY_ALL_REFUSED,
            ALL_REFUSED,
        ],
        rows,
    }
}

/// More and more changes through the one lock.
pub(super) fn lock() -> Table {
    let rows = [100.0, 500.0, 1_000.0, 2_000.0, 5_000.0].map(|changes| Scenario {
        replicas: 3,
        changes,
        ..Scenario::default()
    });
    Table {
        name: "lock",
        columns: &[
            Column {
                title: "changes asked for a second",
                cell: Cell::Given(|scenario| number(scenario.changes)),
            },
            Column {
                title: "committed",
                cell: Cell::Near(
                    |_, outcome| outcome.rate(outcome.commits),
                    arithmetic::commits,
                    0.05,
                ),
            },
            Column {
                title: "by formula",
                cell: Cell::Expected(arithmetic::commits),
            },
        ],
        rows: rows.into(),
    }
}
