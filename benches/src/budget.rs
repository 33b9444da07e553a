//! The budget, line by line, and the guard on instructions.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use http::StatusCode;
use serde::Deserialize;

use crate::harness::Case;
use crate::instructions::{Counter, between};
use crate::keys;
use crate::peers::layered;
use crate::record::{Figure, find, number};
use crate::world::{Nothing, World, bare, credentials, each, header, open, served, without};

/// `budget.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// The lines.
    pub line: Vec<Line>,
    /// What `bench guard` compares.
    pub guard: Guard,
}

/// One figure, and what it may be.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// Its number.
    pub name: String,
    /// What it says.
    pub what: String,
    group: String,
    case: String,
    figure: String,
    at_most: Option<f64>,
    at_least: Option<f64>,
}

/// Instructions that the layer may add.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guard {
    slack_percent: f64,
    instructions: BTreeMap<String, f64>,
}

/// What became of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The figure is within.
    Held,
    /// It is not.
    Missed,
    /// There is no such figure in these results.
    NotMeasured,
}

impl Verdict {
    /// In a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Missed => "missed",
            Self::NotMeasured => "not measured",
        }
    }
}

impl Budget {
    /// The one of this package.
    pub fn read() -> Self {
        toml::from_str(include_str!("../budget.toml")).expect("budget.toml cannot be read")
    }

    /// What became of each line.
    pub fn lines(&self, figures: &[Figure]) -> String {
        let mut text = format!("{:<5} {:>9} {:>9}  {:<13}\n", "", "is", "may be", "");
        for line in &self.line {
            let value = line
                .value(figures)
                .map_or(String::new(), |value| number(value, &line.figure));
            let _ = writeln!(
                text,
                "{:<5} {value:>9} {:>9}  {:<13} {}",
                line.name,
                line.limit(),
                line.verdict(figures).as_str(),
                line.what,
            );
        }
        text
    }
}

impl Line {
    /// The figure.
    pub fn value(&self, figures: &[Figure]) -> Option<f64> {
        Some(find(figures, &self.group, &self.case, &self.figure)?.value)
    }

    /// The figure as text.
    pub fn shown(&self, figures: &[Figure]) -> String {
        self.value(figures)
            .map_or("–".to_owned(), |value| number(value, &self.figure))
    }

    /// What it may be, as text.
    pub fn limit(&self) -> String {
        match (self.at_most, self.at_least) {
            (Some(most), _) => format!("<= {}", number(most, &self.figure)),
            (None, Some(least)) => format!(">= {}", number(least, &self.figure)),
            (None, None) => String::new(),
        }
    }

    /// What became of it.
    pub fn verdict(&self, figures: &[Figure]) -> Verdict {
        let Some(value) = self.value(figures) else {
            return Verdict::NotMeasured;
        };
        let held = self.at_most.is_none_or(|most| value <= most)
            && self.at_least.is_none_or(|least| value >= least);
        if held { Verdict::Held } else { Verdict::Missed }
    }
}

/// Counts and compares. The error says which budget is exceeded.
pub fn guard(world: &World, counter: Counter) -> Result<(), String> {
    let Guard {
        slack_percent,
        instructions,
    } = Budget::read().guard;
    let mut exceeded = Vec::new();
    let measured = counts(world, counter);
    for (name, budget) in &instructions {
        let Some((_, count)) = measured.iter().find(|(own, _)| own == name) else {
            return Err(format!("budget.toml has {name:?}, which is not counted"));
        };
        let (low, high) = (
            budget * (1.0 - slack_percent / 50.0),
            budget * (1.0 + slack_percent / 100.0),
        );
        let verdict = if *count > high {
            exceeded.push(name.as_str());
            "EXCEEDED"
        } else if *count < low {
            "held; the budget may be lowered"
        } else {
            "held"
        };
        println!("{name:<30} {count:>7} added instructions, budget {budget:>7}: {verdict}");
    }
    if let Some((name, _)) = measured
        .iter()
        .find(|(name, _)| !instructions.contains_key(name))
    {
        return Err(format!("budget.toml has no budget for {name:?}"));
    }
    if exceeded.is_empty() {
        return Ok(());
    }
    Err(format!(
        "more instructions than budget.toml allows, by more than {slack_percent} %: {}",
        exceeded.join(", ")
    ))
}

fn counts(world: &World, counter: Counter) -> Vec<(String, f64)> {
    let (ok, no) = (StatusCode::OK, StatusCode::UNAUTHORIZED);
    let keyring = world.usual();
    world.warm(&keyring, &credentials(16));
    let not_a_key = || vec![header("eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl")];
    let mistyped = || {
        (0..16)
            .map(|n| header(&keys::mistyped(n)))
            .collect::<Vec<_>>()
    };
    let gate = || bare(&keyring);
    let router = || served(layered(&keyring));
    let families: [(&str, [Case; 2], [Case; 4]); 2] = [
        (
            "layer alone",
            [
                each("", Nothing, credentials(16), ok),
                without("", Nothing, ok),
            ],
            [
                each("hit", gate(), credentials(16), ok),
                without("no credential", gate(), no),
                each("not a key", gate(), not_a_key(), no),
                each("wrong checksum", gate(), mistyped(), no),
            ],
        ),
        (
            "Router",
            [
                each("", served(open()), credentials(16), ok),
                without("", served(open()), ok),
            ],
            [
                each("hit", router(), credentials(16), ok),
                without("no credential", router(), no),
                each("not a key", router(), not_a_key(), no),
                each("wrong checksum", router(), mistyped(), no),
            ],
        ),
    ];
    let count = |mut case: Case| counter.counts(4, between, &mut || case.work.once()).fewest;
    let mut measured = Vec::new();
    for (family, [with_credential, none], cases) in families {
        let (with_credential, none) = (count(with_credential), count(none));
        for case in cases {
            let name = format!("{family}, {}", case.name());
            let without = if case.name() == "no credential" {
                none
            } else {
                with_credential
            };
            measured.push((name, count(case) - without));
        }
    }
    measured
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_budget_can_be_read_and_each_line_has_a_limit() {
        let budget = Budget::read();
        let names: HashSet<&str> = budget.line.iter().map(|line| &*line.name).collect();
        assert_eq!(names.len(), budget.line.len(), "each has a name of its own");
        for line in &budget.line {
            assert!(
                line.at_most.is_some() != line.at_least.is_some(),
                "{}",
                line.name
            );
            assert_eq!(line.verdict(&[]), Verdict::NotMeasured);
        }
    }

    #[test]
    fn a_figure_beyond_its_limit_is_missed() {
        let mut line = Budget::read().line.remove(0);
        let mut figure = Figure {
            group: line.group.clone(),
            case: line.case.clone(),
            figure: line.figure.clone(),
            value: 2.4,
            quartiles: None,
        };
        assert_eq!(line.verdict(&[figure.clone()]), Verdict::Held);
        figure.value = 2.41;
        assert_eq!(line.verdict(&[figure.clone()]), Verdict::Missed);
        (line.at_least, line.at_most) = (Some(2.41), None);
        assert_eq!(line.verdict(&[figure.clone()]), Verdict::Held);
        figure.value = 2.4;
        assert_eq!(line.verdict(&[figure]), Verdict::Missed);
    }
}
