//! What was measured, as lines of JSON, and as tables for the eye.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::machine::Machine;

/// One line of a results file.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Line {
    /// What it was measured on; holds for the figures below it.
    Machine(Machine),
    /// A figure.
    Figure(Figure),
}

/// One figure of one case.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Figure {
    /// What the case was measured together with.
    pub group: String,
    /// What was measured.
    pub case: String,
    /// What of it, with its unit: `ns`, `x open route`, `instructions`, `look-ups`.
    pub figure: String,
    /// The median, or the count.
    pub value: f64,
    /// The lower and the upper quartile, where there are rounds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quartiles: Option<(f64, f64)>,
}

/// Collects figures and writes each down as it comes, so that a run that is cut short is not lost.
pub struct Recorder {
    figures: Vec<Figure>,
    file: Option<File>,
}

impl Recorder {
    /// Writes into `path` if there is one.
    pub fn new(path: Option<&Path>, machine: Machine) -> io::Result<Self> {
        let mut this = Self {
            figures: Vec::new(),
            file: path.map(File::create).transpose()?,
        };
        this.write(&Line::Machine(machine));
        Ok(this)
    }

    /// A count or another figure without rounds.
    pub fn note(&mut self, group: &str, case: &str, figure: &str, value: f64) {
        self.push(group, case, figure, value, None);
    }

    /// The median of what the rounds gave.
    pub fn rounds(&mut self, group: &str, case: &str, figure: &str, mut values: Vec<f64>) {
        values.sort_by(f64::total_cmp);
        let at = |share: usize| values[(values.len() - 1) * share / 4];
        self.push(group, case, figure, at(2), Some((at(1), at(3))));
    }

    fn push(
        &mut self,
        group: &str,
        case: &str,
        figure: &str,
        value: f64,
        quartiles: Option<(f64, f64)>,
    ) {
        let figure = Figure {
            group: group.to_owned(),
            case: case.to_owned(),
            figure: figure.to_owned(),
            value,
            quartiles,
        };
        self.write(&Line::Figure(figure.clone()));
        self.figures.push(figure);
    }

    fn write(&mut self, line: &Line) {
        if let Some(file) = &mut self.file {
            let line = serde_json::to_string(line).unwrap();
            writeln!(file, "{line}").expect("the results file takes no more");
        }
    }

    /// All so far.
    pub fn figures(&self) -> &[Figure] {
        &self.figures
    }
}

/// Reads results files. Of a figure that is there more than once the last counts.
pub fn read(paths: &[impl AsRef<Path>]) -> io::Result<(Vec<Machine>, Vec<Figure>)> {
    let (mut machines, mut figures) = (Vec::<Machine>::new(), Vec::<Figure>::new());
    for path in paths {
        for line in BufReader::new(File::open(path)?).lines() {
            match serde_json::from_str(&line?)? {
                Line::Machine(machine) => {
                    if !machines.contains(&machine) {
                        machines.push(machine);
                    }
                }
                Line::Figure(figure) => {
                    figures.retain(|old| {
                        (&old.group, &old.case, &old.figure)
                            != (&figure.group, &figure.case, &figure.figure)
                    });
                    figures.push(figure);
                }
            }
        }
    }
    Ok((machines, figures))
}

/// The figures of a group: a row for each case, a column for each kind of figure, in the order in
/// which they first came.
pub fn pivot<'a>(figures: &'a [Figure], group: &str) -> (Vec<&'a str>, Vec<&'a str>) {
    let own = || figures.iter().filter(|figure| figure.group == group);
    (
        in_order(own().map(|figure| figure.case.as_str())),
        in_order(own().map(|figure| figure.figure.as_str())),
    )
}

fn in_order<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = BTreeSet::new();
    names.filter(|name| seen.insert(*name)).collect()
}

/// The figure of that name.
pub fn find<'a>(
    figures: &'a [Figure],
    group: &str,
    case: &str,
    figure: &str,
) -> Option<&'a Figure> {
    figures
        .iter()
        .find(|own| own.group == group && own.case == case && own.figure == figure)
}

/// A table for a terminal.
pub fn table(figures: &[Figure], group: &str) -> String {
    let (cases, columns) = pivot(figures, group);
    let width = cases
        .iter()
        .map(|case| case.chars().count())
        .max()
        .unwrap_or(0);
    let mut text = format!("{group:<width$}");
    for column in &columns {
        let _ = write!(text, "  {column:>12}");
    }
    for case in cases {
        let _ = write!(text, "\n{case:<width$}");
        for column in &columns {
            let value = find(figures, group, case, column)
                .map_or(String::new(), |figure| number(figure.value, column));
            let _ = write!(
                text,
                "  {value:>width$}",
                width = column.chars().count().max(12)
            );
        }
    }
    text.push('\n');
    text
}

/// A value with as many digits as it is good for, thousands set apart.
pub fn number(value: f64, figure: &str) -> String {
    if figure.contains("x ") || figure.starts_with('%') {
        return format!("{value:.2}");
    }
    if value.abs() < 100.0 && value.fract() != 0.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if value < 0.0 {
        format!("-{text}")
    } else {
        text
    }
}
