//! The budget, line by line.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Deserialize;

use crate::figures::{find, number};
use crate::record::Figure;

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
    pub(crate) slack_percent: f64,
    pub(crate) instructions: BTreeMap<String, f64>,
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
