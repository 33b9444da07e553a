//! Figures by group, case and name, and as tables for the eye.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::record::Figure;

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
    if (figure.contains("x ") || figure.starts_with('%')) && value.abs() < 1_000.0 {
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
