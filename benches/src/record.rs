//! What was measured, as lines of JSON.

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
    /// Something measured beside the crate whose version no name of a case has.
    Tool(Tool),
    /// Something that was to be measured, and was not.
    LeftOut(LeftOut),
    /// A figure.
    Figure(Figure),
}

/// A program that a figure depends on.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Tool {
    /// What it is called.
    pub name: String,
    /// As it says itself.
    pub version: String,
}

/// What a reader would otherwise not miss.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct LeftOut {
    /// What was not measured.
    pub what: String,
    /// Why not.
    pub why: String,
}

/// All that is in results files.
#[derive(Clone, Debug, Default)]
pub struct Results {
    /// What it was measured on: one, unless they come from several runs.
    pub machines: Vec<Machine>,
    /// And with.
    pub tools: Vec<Tool>,
    /// What is missing.
    pub left_out: Vec<LeftOut>,
    /// What was measured.
    pub figures: Vec<Figure>,
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
    pub fn rounds(&mut self, group: &str, case: &str, figure: &str, values: Vec<f64>) {
        let (low, median, high) = quartiles(values);
        self.push(group, case, figure, median, Some((low, high)));
    }

    /// What a figure also depends on.
    pub fn tool(&mut self, name: &str, version: &str) {
        let (name, version) = (name.to_owned(), version.to_owned());
        self.write(&Line::Tool(Tool { name, version }));
    }

    /// What was to be measured, and was not. Says so as well.
    pub fn left_out(&mut self, what: &str, why: &str) {
        println!("NOT MEASURED: {what}: {why}");
        let (what, why) = (what.to_owned(), why.to_owned());
        self.write(&Line::LeftOut(LeftOut { what, why }));
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

/// The lower quartile, the median and the upper quartile.
pub fn quartiles(mut values: Vec<f64>) -> (f64, f64, f64) {
    values.sort_by(f64::total_cmp);
    let at = |share: usize| values[(values.len() - 1) * share / 4];
    (at(1), at(2), at(3))
}

/// Reads results files. Of a figure that is there more than once the last counts.
pub fn read(paths: &[impl AsRef<Path>]) -> io::Result<Results> {
    let mut results = Results::default();
    for path in paths {
        let path = path.as_ref();
        for (at, line) in BufReader::new(File::open(path)?).lines().enumerate() {
            let line = serde_json::from_str(&line?).map_err(|error| {
                io::Error::other(format!("{}, line {}: {error}", path.display(), at + 1))
            })?;
            results.add(line);
        }
    }
    Ok(results)
}

impl Results {
    fn add(&mut self, line: Line) {
        match line {
            Line::Machine(machine) => once(&mut self.machines, machine),
            Line::Tool(tool) => once(&mut self.tools, tool),
            Line::LeftOut(left_out) => once(&mut self.left_out, left_out),
            Line::Figure(figure) => {
                self.figures.retain(|old| {
                    (&old.group, &old.case, &old.figure)
                        != (&figure.group, &figure.case, &figure.figure)
                });
                self.figures.push(figure);
            }
        }
    }
}

fn once<T: PartialEq>(all: &mut Vec<T>, one: T) {
    if !all.contains(&one) {
        all.push(one);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(lines: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(lines.as_bytes()).unwrap();
        file
    }

    #[test]
    fn what_other_languages_write_is_read() {
        let file = written(concat!(
            r#"{"kind": "tool", "name": "Node.js", "version": "v20.20.2"}"#,
            "\n",
            r#"{"kind": "left_out", "what": "nginx", "why": "it is not installed"}"#,
            "\n",
            r#"{"kind": "figure", "group": "g", "case": "c", "figure": "f", "value": 1}"#,
            "\n",
            r#"{"kind": "figure", "group": "g", "case": "c", "figure": "f", "value": 2.5}"#,
            "\n",
        ));
        let results = read(&[file.path()]).unwrap();
        assert_eq!(results.tools[0].version, "v20.20.2");
        assert_eq!(results.left_out[0].what, "nginx");
        assert_eq!(results.figures.len(), 1, "the last one counts");
        assert!((results.figures[0].value - 2.5).abs() < 1e-9);
    }

    #[test]
    fn a_line_that_is_none_is_named() {
        let file = written("{\"kind\": \"machine\"}\n");
        let error = read(&[file.path()]).unwrap_err().to_string();
        assert!(error.contains("line 1: missing field"), "{error}");
    }
}
