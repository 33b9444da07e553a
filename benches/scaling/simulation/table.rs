//! Tables of the page: what was given, what the simulation counted, what the arithmetic expects.

use super::outcome::Outcome;
use super::scenario::Scenario;
use super::{arithmetic, world};

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

type Formula = fn(&Scenario) -> f64;
type Count = fn(&Scenario, &Outcome) -> f64;

pub(crate) enum Cell {
    Given(fn(&Scenario) -> String),
    /// What the arithmetic gives.
    Expected(Formula),
    Counted(Count),
    /// What is counted lies within this part of what is expected.
    Near(Count, Formula, f64),
    /// What is counted lies below.
    Below(Count, Formula),
}

impl Table {
    pub(crate) fn head(&self) -> String {
        let titles: Vec<&str> = self.columns.iter().map(|column| column.title).collect();
        let rule = vec!["---:"; titles.len()].join("|");
        format!("| {} |\n|{rule}|\n", titles.join(" | "))
    }

    /// The cells of one row, by a run of its own.
    pub(crate) fn cells(&self, scenario: &Scenario) -> Vec<String> {
        let outcome = world::run(scenario);
        let cells = self.columns.iter().map(|column| match &column.cell {
            Cell::Given(show) => show(scenario),
            Cell::Expected(formula) => expected(scenario, *formula),
            Cell::Counted(count) | Cell::Near(count, ..) | Cell::Below(count, _) => {
                number(count(scenario, &outcome))
            }
        });
        cells.collect()
    }

    /// How the cells of a row contradict the arithmetic, or what was given.
    pub(crate) fn contradictions(&self, scenario: &Scenario, cells: &[String]) -> Vec<String> {
        let mut contradictions = Vec::new();
        if cells.len() != self.columns.len() {
            contradictions.push(format!("{} cells", cells.len()));
        }
        for (column, cell) in self.columns.iter().zip(cells) {
            let fits = match &column.cell {
                Cell::Given(show) => *cell == show(scenario),
                Cell::Expected(formula) => *cell == expected(scenario, *formula),
                Cell::Counted(_) => value(cell).is_some() || cell == NONE,
                Cell::Near(_, formula, part) => {
                    is_too_much(scenario) || {
                        let expected = formula(scenario);
                        // The last digit that is shown may be rounded.
                        let off = value(cell).map(|counted| (counted - expected).abs());
                        off.is_some_and(|off| off <= part * expected + 0.000_5)
                    }
                }
                Cell::Below(_, formula) => {
                    is_too_much(scenario)
                        || cell == NONE
                        || value(cell).is_some_and(|counted| counted <= formula(scenario))
                }
            };
            if !fits {
                contradictions.push(format!("{:?} cannot be {cell}", column.title));
            }
        }
        contradictions
    }
}

/// Where there is nothing to count, or no formula.
const NONE: &str = "–";

/// No formula holds for a database at its limit.
fn expected(scenario: &Scenario, formula: Formula) -> String {
    if is_too_much(scenario) {
        NONE.to_owned()
    } else {
        number(formula(scenario))
    }
}

/// Whether the database is asked for more than it has.
fn is_too_much(scenario: &Scenario) -> bool {
    arithmetic::cores(scenario) > 0.9 * f64::from(scenario.cores)
}

/// Three digits that count, or all before the point.
pub(crate) fn number(number: f64) -> String {
    if number.is_nan() {
        return NONE.to_owned();
    }
    if number < 99.95 {
        let places = if number < 0.9995 {
            3
        } else if number < 9.995 {
            2
        } else {
            1
        };
        let digits = format!("{number:.places$}");
        return digits
            .trim_end_matches('0')
            .trim_end_matches('.')
            .to_owned();
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

fn value(cell: &str) -> Option<f64> {
    cell.replace(',', "").parse().ok()
}
