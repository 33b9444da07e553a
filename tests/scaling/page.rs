//! The tables in `docs/scaling.md` are those that the simulation prints.

use crate::simulation::scenario::{Begin, Scenario};
use crate::simulation::table::number;
use crate::simulation::{Page, arithmetic, costs, tables};

/// So many events are run here. Longer runs are left to `cargo bench --bench scaling -- --check`;
/// what the page shows of them must at least agree with the arithmetic.
const MOST_EVENTS: f64 = 200_000.0;

#[test]
fn the_tables_of_the_page_are_those_of_the_simulation() {
    let page = Page::read().expect("the page is there");
    let mut wrong = Vec::new();
    for table in tables::all() {
        let text = page.table(table.name).expect("the table is there");
        let lines = text.strip_prefix(&table.head());
        let lines: Vec<&str> = lines.expect("its head is the same").lines().collect();
        assert_eq!(lines.len(), table.rows.len(), "rows of {:?}", table.name);
        for (line, scenario) in lines.iter().zip(&table.rows) {
            let shown = line.trim_matches(['|', ' ']).split(" | ");
            let shown: Vec<String> = shown.map(str::to_owned).collect();
            let mut contradictions = table.contradictions(scenario, &shown);
            if events(scenario) <= MOST_EVENTS {
                let cells = table.cells(scenario);
                if cells != shown {
                    contradictions.push(format!("it should be {cells:?}"));
                }
            }
            for contradiction in contradictions {
                wrong.push(format!("{}: {line}\n  {contradiction}", table.name));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "put in order by `cargo bench --bench scaling -- --write`:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn the_costs_in_the_page_are_those_of_the_simulation() {
    let page = Page::read().expect("the page is there").to_string();
    let rows = [
        ("a look-up by digest", costs::LOOK_UP),
        ("a sync that brings nothing", costs::SYNC),
        ("each change row that it brings", costs::CHANGE_ROW),
        ("a change of a key, BEGIN to COMMIT", costs::CHANGE),
        ("waking one listening session", costs::WAKE),
        ("a use written down, as one of a thousand", costs::USE),
    ];
    for (what, cost) in rows {
        let row = format!("| {what} | {} |", number(cost));
        assert!(page.contains(&row), "there is no row {row}");
    }
    let said = [
        format!(
            "replicas x (syncs x {} µs + r x ({} + {}) µs)",
            costs::SYNC,
            costs::WAKE,
            costs::CHANGE_ROW
        ),
        format!("{} ms here", costs::LOCK_HELD / 1e3),
        format!(
            "{} changes a second whatever",
            number(1e6 / costs::LOCK_HELD)
        ),
        format!(
            "a database of {} cores, {} ms away",
            costs::CORES,
            costs::ROUND_TRIP / 1e3
        ),
    ];
    for said in said {
        assert!(page.contains(&said), "it does not say: {said}");
    }
}

#[test]
fn a_table_is_put_between_its_markers_and_nowhere_else() {
    let page = Page::read().expect("the page is there");
    let mut other = page.clone();
    for table in tables::all() {
        other.put(table.name, "| another |\n").expect("its place");
        assert_eq!(other.table(table.name).expect("its place"), "| another |\n");
    }
    assert_ne!(other, page);
    for table in tables::all() {
        let text = page.table(table.name).expect("its place");
        other.put(table.name, text).expect("its place");
    }
    assert_eq!(other, page);
    assert!(other.put("no such table", "").is_err());
}

/// How long a run is, about: requests, syncs, changes, and what is in memory before it begins.
fn events(scenario: &Scenario) -> f64 {
    let syncs = arithmetic::syncs(scenario) / f64::from(scenario.replicas);
    let a_second = scenario.requests + 4.0 * syncs + 2.0 * scenario.changes;
    let filled = match scenario.begin {
        Begin::Cold => 0.0,
        Begin::Warm => arithmetic::warm_keys(scenario),
    };
    f64::from(scenario.replicas) * ((scenario.settle + scenario.counted) * a_second + filled)
}
