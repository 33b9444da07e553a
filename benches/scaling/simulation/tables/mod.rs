//! The tables of `docs/scaling.md`.

mod following;
mod looking_up;

use super::arithmetic;
use super::moment::float;
use super::table::{Cell, Column, Table, number};

pub(crate) fn all() -> Vec<Table> {
    vec![
        following::syncs(),
        following::rhythm(),
        following::lock(),
        looking_up::shards(),
        looking_up::keys(),
        looking_up::waves(),
        looking_up::standby(),
    ]
}

const REPLICAS: Column = Column {
    title: "replicas",
    cell: Cell::Given(|scenario| number(scenario.replicas.into())),
};

const CHANGES: Column = Column {
    title: "changes a second",
    cell: Cell::Given(|scenario| number(scenario.changes)),
};

const REQUESTS: Column = Column {
    title: "requests a second, each",
    cell: Cell::Given(|scenario| number(scenario.requests)),
};

const WARM: Column = Column {
    title: "warm keys, each",
    cell: Cell::Near(
        |scenario, outcome| float(outcome.warm) / f64::from(scenario.replicas),
        arithmetic::warm_keys,
        // With few shards, each of them is a good part of the keys.
        0.04,
    ),
};

const HIT_RATE: Column = Column {
    title: "hits (%)",
    cell: Cell::Near(
        |_, outcome| 100.0 * outcome.hit_rate(),
        |scenario| 100.0 * arithmetic::hit_rate(scenario),
        0.01,
    ),
};
