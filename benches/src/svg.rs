//! Two kinds of plots, written by hand: bars for cases, lines for growth.

use std::fmt::Write as _;

use crate::figures::number;

const WIDTH: f64 = 760.0;
const INK: &str = "#1f2933";
const FAINT: &str = "#7b8794";
const RULE: &str = "#d9dfe5";
const OURS: &str = "#0b7285";
const OTHERS: &str = "#adb5bd";
const SERIES: [&str; 4] = [OURS, "#868e96", "#e8590c", "#5f3dc4"];

/// One bar.
pub struct Bar {
    /// What it is.
    pub label: String,
    /// How long it is.
    pub value: f64,
    /// Where half of the rounds lie.
    pub quartiles: Option<(f64, f64)>,
    /// Whether it is one of this crate's, which is what the eye looks for.
    pub ours: bool,
}

/// Bars that lie, with their values at their ends. One that is far longer than the others is cut.
pub fn bars(title: &str, figure: &str, bars: &[Bar]) -> String {
    const ROW: f64 = 26.0;
    const TOP: f64 = 44.0;
    let labels = bars
        .iter()
        .map(|bar| bar.label.chars().count())
        .max()
        .unwrap_or(0);
    let left = (labels as f64 * 7.8 + 26.0).min(340.0);
    let room = WIDTH - left - 90.0;
    let end = end(bars.iter().map(|bar| bar.value));
    let height = TOP + ROW * bars.len() as f64 + 12.0;
    let mut svg = open(height, title);
    let x = |value: f64| left + room * (value / end).clamp(0.0, 1.0);
    if figure.starts_with("x ") && end > 1.0 {
        let one = x(1.0);
        let _ = write!(
            svg,
            r#"<line x1="{one:.1}" y1="{:.1}" x2="{one:.1}" y2="{:.1}" stroke="{RULE}"/>"#,
            TOP - 6.0,
            height - 8.0
        );
    }
    for (at, bar) in bars.iter().enumerate() {
        let y = TOP + ROW * at as f64;
        let colour = if bar.ours { OURS } else { OTHERS };
        let weight = if bar.ours { "600" } else { "400" };
        let cut = bar.value > end;
        let _ = write!(
            svg,
            r#"<text x="{:.1}" y="{:.1}" text-anchor="end" fill="{INK}" font-weight="{weight}">{}</text><rect x="{left:.1}" y="{:.1}" width="{:.1}" height="{:.1}" rx="2" fill="{colour}"/>"#,
            left - 10.0,
            y + 14.5,
            escaped(&bar.label),
            y + 3.0,
            (x(bar.value) - left).max(1.0),
            ROW - 10.0,
        );
        if cut {
            let at = x(end) - 16.0;
            let _ = write!(
                svg,
                r##"<path d="M{at:.1} {:.1}l6 -22M{:.1} {:.1}l6 -22" stroke="#fff" stroke-width="2.5"/>"##,
                y + 22.0,
                at + 6.0,
                y + 22.0,
            );
        }
        if let Some((low, high)) = bar.quartiles.filter(|_| !cut) {
            let _ = write!(
                svg,
                r#"<line x1="{:.1}" y1="{y1:.1}" x2="{:.1}" y2="{y1:.1}" stroke="{INK}" stroke-width="1.5"/>"#,
                x(low),
                x(high),
                y1 = y + ROW / 2.0 - 2.0,
            );
        }
        let _ = write!(
            svg,
            r#"<text x="{:.1}" y="{:.1}" fill="{INK}" font-weight="{weight}">{}</text>"#,
            x(bar.value.max(bar.quartiles.map_or(0.0, |(_, high)| high))) + 8.0,
            y + 14.5,
            number(bar.value, figure),
        );
    }
    svg.push_str("</svg>\n");
    svg
}

/// How long the axis is: as long as the longest bar that is not far longer than the next.
fn end(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    while let [.., next, longest] = values[..] {
        if longest <= 4.0 * next {
            break;
        }
        values.pop();
    }
    let cut = values.last().copied().unwrap_or(1.0).max(f64::MIN_POSITIVE);
    cut * 1.02
}

/// A line of a plot.
pub struct Series {
    /// What it is.
    pub name: String,
    /// Where it goes, by growing x.
    pub points: Vec<(f64, f64)>,
}

/// Lines on two logarithmic axes.
pub fn lines(title: &str, across: &str, up: &str, series: &[Series]) -> String {
    const HEIGHT: f64 = 340.0;
    const LEFT: f64 = 70.0;
    const RIGHT: f64 = 210.0;
    const TOP: f64 = 60.0;
    const BOTTOM: f64 = 52.0;
    let points = || {
        series
            .iter()
            .flat_map(|series| series.points.iter().copied())
    };
    let span = |values: Vec<f64>| {
        let low = values
            .iter()
            .copied()
            .fold(f64::INFINITY, f64::min)
            .max(1e-9);
        let high = values.iter().copied().fold(0.0, f64::max).max(low * 1.01);
        (low.log10(), high.log10())
    };
    let (x0, x1) = span(points().map(|point| point.0).collect());
    let (low, high) = span(points().map(|point| point.1).collect());
    let (y0, y1) = (low.floor(), high.ceil());
    let x = |value: f64| LEFT + (WIDTH - LEFT - RIGHT) * (value.log10() - x0) / (x1 - x0);
    let y = |value: f64| {
        let share = (value.max(1e-9).log10() - y0) / (y1 - y0);
        HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share
    };
    let mut svg = open(HEIGHT, title);
    let _ = write!(
        svg,
        r#"<text x="20" y="46" fill="{FAINT}">{}</text>"#,
        escaped(up)
    );
    let mut decade = y0;
    while decade <= y1 {
        let (value, at) = (10_f64.powf(decade), y(10_f64.powf(decade)));
        let _ = write!(
            svg,
            r#"<line x1="{LEFT}" y1="{at:.1}" x2="{:.1}" y2="{at:.1}" stroke="{RULE}"/><text x="{:.1}" y="{:.1}" text-anchor="end" fill="{FAINT}">{}</text>"#,
            WIDTH - RIGHT,
            LEFT - 8.0,
            at + 4.0,
            number(value, ""),
        );
        decade += 1.0;
    }
    let first = series.first().map_or(&[][..], |series| &series.points);
    for &(value, _) in first {
        let _ = write!(
            svg,
            r#"<text x="{:.1}" y="{:.1}" text-anchor="middle" fill="{FAINT}">{}</text>"#,
            x(value),
            HEIGHT - BOTTOM + 20.0,
            number(value, ""),
        );
    }
    let _ = write!(
        svg,
        r#"<text x="{:.1}" y="{:.1}" text-anchor="middle" fill="{FAINT}">{}</text>"#,
        LEFT + (WIDTH - LEFT - RIGHT) / 2.0,
        HEIGHT - 10.0,
        escaped(across),
    );
    for (series, colour) in series.iter().zip(SERIES.iter().cycle()) {
        let mut path = String::new();
        for (at, &(across, up)) in series.points.iter().enumerate() {
            let command = if at == 0 { 'M' } else { 'L' };
            let _ = write!(path, "{command}{:.1} {:.1}", x(across), y(up));
            let _ = write!(
                svg,
                r#"<circle cx="{:.1}" cy="{:.1}" r="3.5" fill="{colour}"/>"#,
                x(across),
                y(up)
            );
        }
        let _ = write!(
            svg,
            r#"<path d="{path}" fill="none" stroke="{colour}" stroke-width="2"/>"#
        );
        if let Some(&(across, up)) = series.points.last() {
            let _ = write!(
                svg,
                r#"<text x="{:.1}" y="{:.1}" fill="{colour}" font-weight="600">{}</text>"#,
                x(across) + 10.0,
                y(up) + 4.0,
                escaped(&series.name),
            );
        }
    }
    svg.push_str("</svg>\n");
    svg
}

/// On white, since a page may be dark.
fn open(height: f64, title: &str) -> String {
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" font-family="system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif" font-size="13"><title>{title}</title><rect width="100%" height="100%" rx="6" fill="#fff"/><text x="20" y="26" fill="{INK}" font-size="14" font-weight="600">{title}</text>"##,
        title = escaped(title),
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(label: &str, value: f64) -> Bar {
        Bar {
            label: label.to_owned(),
            value,
            quartiles: None,
            ours: false,
        }
    }

    #[test]
    fn a_bar_far_longer_than_the_rest_is_cut() {
        assert!((end([1.0, 2.0, 5.0].into_iter()) - 5.1).abs() < 1e-9);
        assert!((end([1.0, 2.0, 76.0].into_iter()) - 2.04).abs() < 1e-9);
        let svg = bars(
            "a < b",
            "x open route",
            &[bar("one", 1.0), bar("seventy", 70.0)],
        );
        assert!(svg.contains("a &lt; b") && svg.contains(">70.00<") && svg.contains("l6 -22"));
    }

    #[test]
    fn a_line_goes_through_its_points() {
        let points = vec![(1e3, 10.0), (1e6, 100.0)];
        let svg = lines(
            "growth",
            "keys",
            "ns",
            &[Series {
                name: "ours".into(),
                points,
            }],
        );
        assert_eq!(svg.matches("<circle").count(), 2);
        assert!(svg.contains(">1,000,000<"));
    }
}
