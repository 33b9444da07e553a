//! `docs/performance.md` and its plots, from results and a template.
//!
//! The template is the page with places in double braces:
//!
//! - `{{machine}}`: what it was measured on;
//! - `{{budget}}`: the budget and what became of it;
//! - `{{value GROUP | CASE | FIGURE}}`: one figure;
//! - `{{table GROUP | FIGURE = Heading | ...}}`: figures of all cases of a group;
//! - `{{bars FILE | GROUP | FIGURE | Title}}`: a plot of them;
//! - `{{lines FILE | GROUP | Across | Up | Title | FIGURE = Name | ...}}`: figures that grow with
//!   the number in the name of the case.
//!
//! What was not measured says so in its place.

use std::fmt::Write as _;

use crate::budget::Budget;
use crate::machine::Machine;
use crate::record::{Figure, find, number, pivot};
use crate::svg::{self, Bar, Series};

/// A page and its plots by name.
pub struct Page {
    /// The text.
    pub text: String,
    /// The plots.
    pub plots: Vec<(String, String)>,
}

/// Where plots lie, as seen from the page.
pub const FOLDER: &str = "performance";

const NOT_MEASURED: &str = "*not measured in this run*";

/// Fills in `template`. An error names the place that cannot be understood.
pub fn fill(template: &str, machines: &[Machine], figures: &[Figure]) -> Result<Page, String> {
    let mut page = Page {
        text: String::new(),
        plots: Vec::new(),
    };
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let (place, after) = after
            .split_once("}}")
            .ok_or_else(|| format!("a place is not closed: {}", &after[..after.len().min(40)]))?;
        page.text.push_str(before);
        let (kind, words) = place.split_once(' ').unwrap_or((place, ""));
        let words: Vec<&str> = words.split('|').map(str::trim).collect();
        match (kind, &words[..]) {
            ("machine", [""]) => page.text.push_str(&machine(machines)),
            ("budget", [""]) => page.text.push_str(&budget(figures)),
            ("value", [group, case, figure]) => {
                let value = find(figures, group, case, figure);
                let value = value.map(|own| number(own.value, figure));
                page.text.push_str(value.as_deref().unwrap_or(NOT_MEASURED));
            }
            ("table", [group, columns @ ..]) => {
                page.text.push_str(&table(figures, group, columns));
            }
            ("bars", [file, group, figure, title]) => {
                let plot = bars(figures, group, figure, title);
                page.plot(file, title, plot);
            }
            ("lines", [file, group, across, up, title, series @ ..]) => {
                let plot = lines(figures, group, [title, across, up], series);
                page.plot(file, title, plot);
            }
            _ => return Err(format!("no such place: {{{{{place}}}}}")),
        }
        rest = after;
    }
    page.text.push_str(rest);
    Ok(page)
}

impl Page {
    fn plot(&mut self, file: &str, title: &str, plot: Option<String>) {
        let Some(plot) = plot else {
            self.text.push_str(NOT_MEASURED);
            return;
        };
        let _ = write!(self.text, "![{title}]({FOLDER}/{file}.svg)");
        self.plots.push((format!("{file}.svg"), plot));
    }
}

fn machine(machines: &[Machine]) -> String {
    let mut text = String::new();
    for machine in machines {
        let sha = if machine.sha_instructions {
            "with"
        } else {
            "without"
        };
        let _ = writeln!(
            text,
            "- {}, {} cores, {sha} SHA instructions; {}; {}; commit {}",
            machine.processor, machine.cores, machine.system, machine.rustc, machine.commit,
        );
        if machine.quick {
            let _ = writeln!(
                text,
                "\n> **A quick run, or a busy machine: this shows what the page looks like. Its figures mean nothing.**\n"
            );
        }
    }
    text.trim_end().to_owned()
}

fn budget(figures: &[Figure]) -> String {
    let mut text = "| | | is | may be | |\n|---|---|--:|--:|---|\n".to_owned();
    for line in Budget::read().line {
        let verdict = line.verdict(figures);
        let verdict = match verdict {
            crate::budget::Verdict::Held => "held".to_owned(),
            other => format!("**{}**", other.as_str()),
        };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {verdict} |",
            line.name,
            line.what,
            line.shown(figures),
            line.limit(),
        );
    }
    text.trim_end().to_owned()
}

fn named<'a>(column: &&'a str) -> (&'a str, &'a str) {
    match column.split_once('=') {
        Some((figure, name)) => (figure.trim(), name.trim()),
        None => (column, column),
    }
}

fn table(figures: &[Figure], group: &str, columns: &[&str]) -> String {
    let (cases, _) = pivot(figures, group);
    if cases.is_empty() {
        return NOT_MEASURED.to_owned();
    }
    let columns: Vec<(&str, &str)> = columns.iter().map(named).collect();
    let mut text = "|".to_owned();
    for (_, heading) in &columns {
        let _ = write!(text, " | {heading}");
    }
    let _ = write!(text, " |\n|---{}|", "|--:".repeat(columns.len()));
    for case in cases {
        let strong = if is_ours(case) { "**" } else { "" };
        let _ = write!(text, "\n| {strong}{case}{strong}");
        for (figure, _) in &columns {
            let value = find(figures, group, case, figure);
            let value = value.map_or(String::new(), |own| number(own.value, figure));
            let _ = write!(text, " | {value}");
        }
        text.push_str(" |");
    }
    text
}

fn is_ours(case: &str) -> bool {
    case.starts_with("portcullis")
}

fn bars(figures: &[Figure], group: &str, figure: &str, title: &str) -> Option<String> {
    let (cases, _) = pivot(figures, group);
    // Where all are this crate's, none stands out.
    let all_ours = !cases.iter().any(|case| is_ours(case));
    let bars: Vec<Bar> = cases
        .into_iter()
        .filter_map(|case| {
            let own = find(figures, group, case, figure)?;
            Some(Bar {
                label: case.to_owned(),
                value: own.value,
                quartiles: own.quartiles,
                ours: all_ours || is_ours(case),
            })
        })
        .collect();
    (!bars.is_empty()).then(|| svg::bars(title, figure, &bars))
}

fn lines(
    figures: &[Figure],
    group: &str,
    [title, across, up]: [&str; 3],
    series: &[&str],
) -> Option<String> {
    let (cases, _) = pivot(figures, group);
    let series: Vec<Series> = series
        .iter()
        .map(named)
        .map(|(figure, name)| {
            let point = |case: &&str| {
                let digits: String = case.chars().filter(char::is_ascii_digit).collect();
                let value = find(figures, group, case, figure)?.value;
                Some((digits.parse().ok()?, value))
            };
            Series {
                name: name.to_owned(),
                points: cases.iter().filter_map(point).collect(),
            }
        })
        .collect();
    let measured = series.iter().all(|series| !series.points.is_empty());
    measured.then(|| svg::lines(title, across, up, &series))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures() -> Vec<Figure> {
        let figure = |case: &str, figure: &str, value| Figure {
            group: "g".to_owned(),
            case: case.to_owned(),
            figure: figure.to_owned(),
            value,
            quartiles: None,
        };
        vec![
            figure("portcullis", "ns", 1_234.0),
            figure("10 keys", "ns", 5.0),
            figure("10 keys", "x open", 1.5),
        ]
    }

    fn filled(template: &str) -> String {
        fill(template, &[], &figures()).unwrap().text
    }

    #[test]
    fn places_are_filled() {
        assert_eq!(filled("a {{value g | 10 keys | x open}} b"), "a 1.50 b");
        assert_eq!(
            filled("{{table g | ns = Time | x open}}"),
            "| | Time | x open |\n|---|--:|--:|\n| **portcullis** | 1,234 |  |\n| 10 keys | 5 | 1.50 |"
        );
        assert_eq!(filled("{{value g | x | ns}}"), NOT_MEASURED);
        assert_eq!(filled("{{table other | ns}}"), NOT_MEASURED);
        assert!(filled("{{budget}}").contains("not measured"));
    }

    #[test]
    fn a_plot_is_a_file_beside_the_page() {
        let page = fill("{{bars b | g | ns | Title}}", &[], &figures()).unwrap();
        assert_eq!(page.text, "![Title](performance/b.svg)");
        assert_eq!(page.plots[0].0, "b.svg");
        assert!(page.plots[0].1.starts_with("<svg"));
    }

    #[test]
    fn what_is_no_place_is_named() {
        let error = fill("{{nonsense}}", &[], &[]).err();
        assert_eq!(error.as_deref(), Some("no such place: {{nonsense}}"));
        assert!(fill("{{budget", &[], &[]).is_err());
    }

    #[test]
    fn the_template_can_be_filled_with_nothing() {
        let page = fill(include_str!("../performance.md"), &[], &[]).unwrap();
        assert!(page.plots.is_empty());
        assert!(page.text.contains(NOT_MEASURED));
    }
}
