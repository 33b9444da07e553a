//! What stands in the places of the template.

use std::fmt::Write as _;

use super::NOT_MEASURED;
use crate::budget::{Budget, Verdict};
use crate::figures::{find, number, pivot};
use crate::record::{Figure, LeftOut, Results};
use crate::svg::{self, Bar, Series};

pub(super) fn machine(results: &Results) -> String {
    let mut text = String::new();
    for machine in &results.machines {
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
    }
    if !results.tools.is_empty() {
        let tools = results.tools.iter();
        let tools: Vec<String> = tools
            .map(|tool| format!("{} {}", tool.name, tool.version))
            .collect();
        let _ = writeln!(text, "- Beside it: {}", tools.join(", "));
    }
    if results.machines.iter().any(|machine| machine.quick) {
        text.push_str(
            "\n> **A quick run: this shows what the page looks like. Its figures mean nothing.**\n",
        );
    }
    if !results.left_out.is_empty() {
        text.push_str("\n> **Not measured in this run:**\n");
    }
    for LeftOut { what, why } in &results.left_out {
        let _ = writeln!(text, "> - {what}: {why}");
    }
    text.trim().to_owned()
}

pub(super) fn unexplained(missed: &[String], unexplained: &[String], figures: &[Figure]) -> String {
    let lines = Budget::read().line;
    let any_left_out = lines
        .iter()
        .any(|line| line.verdict(figures) == Verdict::NotMeasured);
    match (unexplained, missed) {
        ([], []) if any_left_out => "None of those that were measured.".to_owned(),
        ([], []) => "None.".to_owned(),
        ([], _) => String::new(),
        (lines, _) => format!(
            "**Nothing is written here about why these are missed: {}.**",
            lines.join(", ")
        ),
    }
}

pub(super) fn budget(figures: &[Figure]) -> String {
    let mut text = "| | | is | may be | |\n|---|---|--:|--:|---|\n".to_owned();
    for line in Budget::read().line {
        let verdict = line.verdict(figures);
        let verdict = match verdict {
            Verdict::Held => "held".to_owned(),
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

pub(super) fn table(figures: &[Figure], group: &str, columns: &[&str]) -> String {
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
            let (figure, spread) = match figure.strip_suffix(SPREAD) {
                Some(figure) => (figure, true),
                None => (*figure, false),
            };
            let value = find(figures, group, case, figure);
            let value = value.map_or(String::new(), |own| shown(own, spread));
            let _ = write!(text, " | {value}");
        }
        text.push_str(" |");
    }
    text
}

/// Behind the name of a figure, asks for its quartiles as well.
const SPREAD: &str = " ±";

fn shown(own: &Figure, spread: bool) -> String {
    let [value, low, high] = [
        own.value,
        own.quartiles.map_or(own.value, |(low, _)| low),
        own.quartiles.map_or(own.value, |(_, high)| high),
    ]
    .map(|value| number(value, &own.figure));
    if spread && own.quartiles.is_some() {
        format!("{value} ({low}–{high})")
    } else {
        value
    }
}

fn is_ours(case: &str) -> bool {
    case.starts_with("portcullis")
}

pub(super) fn bars(figures: &[Figure], group: &str, figure: &str, title: &str) -> Option<String> {
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

pub(super) fn lines(
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
