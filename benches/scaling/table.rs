//! Tables of the page: what was given, what the simulation counted, what the arithmetic expects.

use crate::arithmetic;
use crate::costs;
use crate::outcome::Outcome;
use crate::scenario::Scenario;
use crate::world;

pub(crate) struct Table {
    /// Between which markers it stands in the page.
    pub(crate) name: &'static str,
    pub(crate) columns: &'static [Column],
    pub(crate) rows: Vec<Scenario>,
}

pub(crate) struct Column {
    pub(crate) title: &'static str,
    pub(crate) cell: Cell,
}

pub(crate) enum Cell {
    Given(fn(&Scenario) -> String),
    /// By arithmetic.
    Expected(fn(&Scenario) -> f64),
    Counted(fn(&Scenario, &Outcome) -> f64),
    /// What is counted, by which formula it is expected, and how far off it may be.
    Checked {
        counted: fn(&Scenario, &Outcome) -> f64,
        expected: fn(&Scenario) -> f64,
        tolerance: f64,
    },
}

impl Table {
    pub(crate) fn head(&self) -> String {
        let titles: Vec<&str> = self.columns.iter().map(|column| column.title).collect();
        let rule = vec!["---:"; titles.len()].join("|");
        format!("| {} |\n|{rule}|\n", titles.join(" | "))
    }

    /// One line of it, by a run of its own.
    pub(crate) fn line(&self, scenario: &Scenario) -> String {
        let outcome = world::run(scenario);
        let cells = self.columns.iter().map(|column| match &column.cell {
            Cell::Given(show) => show(scenario),
            Cell::Expected(expected) => formula(scenario, *expected),
            Cell::Counted(counted) | Cell::Checked { counted, .. } => {
                number(counted(scenario, &outcome))
            }
        });
        let cells: Vec<String> = cells.collect();
        format!("| {} |\n", cells.join(" | "))
    }
}

/// What the formula gives; none holds for a database at its limit.
pub(crate) fn formula(scenario: &Scenario, expected: fn(&Scenario) -> f64) -> String {
    if is_too_much(scenario) {
        "–".to_owned()
    } else {
        number(expected(scenario))
    }
}

/// Whether the database is asked for more than it has.
pub(crate) fn is_too_much(scenario: &Scenario) -> bool {
    arithmetic::cores_for_freshness(scenario) > 0.9 * f64::from(costs::CORES)
}

/// Three digits that count, or all before the point.
pub(crate) fn number(number: f64) -> String {
    if number < 0.0005 {
        return "0".to_owned();
    }
    if number < 1.0 {
        return format!("{number:.3}");
    }
    if number < 10.0 {
        return format!("{number:.2}");
    }
    if number < 100.0 {
        return format!("{number:.1}");
    }
    let digits = format!("{number:.0}");
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}
