//! `docs/performance.md` and its plots, from results and a template.
//!
//! The template is the page with places in double braces:
//!
//! - `{{machine}}`: what it was measured on, and what was left out;
//! - `{{budget}}`: the budget and what became of it;
//! - `{{missed NAME}}` ... `{{end}}`: why a line of the budget does not hold; is there only when it
//!   does not, and has other places in it;
//! - `{{unexplained}}`: the lines that do not hold and have no such text, or that all hold;
//! - `{{value GROUP | CASE | FIGURE}}`: one figure;
//! - `{{table GROUP | FIGURE = Heading | FIGURE ± = Heading | ...}}`: figures of all cases of a
//!   group, with their quartiles where there is a `±`;
//! - `{{bars FILE | GROUP | FIGURE | Title}}`: a plot of them;
//! - `{{lines FILE | GROUP | Across | Up | Title | FIGURE = Name | ...}}`: figures that grow with
//!   the number in the name of the case.
//!
//! What was not measured says so in its place.

mod places;

use std::fmt::Write as _;

use self::places::{bars, budget, lines, machine, table, unexplained};
use crate::budget::{Budget, Verdict};
use crate::figures::{find, number};
use crate::record::{Figure, Results};

/// A page and its plots by name.
pub struct Page {
    /// The text.
    pub text: String,
    /// The plots.
    pub plots: Vec<(String, String)>,
    /// The lines of the budget that do not hold, and of which the template does not say why.
    pub unexplained: Vec<String>,
}

/// Where plots lie, as seen from the page.
pub const FOLDER: &str = "performance";

const NOT_MEASURED: &str = "*not measured in this run*";

/// Fills in `template`. An error names the place that cannot be understood.
pub fn fill(template: &str, results: &Results) -> Result<Page, String> {
    let budget = Budget::read();
    let missed = missed(&budget, &results.figures);
    let mut page = Page {
        text: String::new(),
        plots: Vec::new(),
        unexplained: missed
            .iter()
            .filter(|name| !template.contains(&format!("{{{{missed {name}}}}}")))
            .cloned()
            .collect(),
    };
    page.append(template, results, &missed)?;
    Ok(page)
}

fn missed(budget: &Budget, figures: &[Figure]) -> Vec<String> {
    let lines = budget.line.iter();
    lines
        .filter(|line| line.verdict(figures) == Verdict::Missed)
        .map(|line| line.name.clone())
        .collect()
}

impl Page {
    fn append(
        &mut self,
        template: &str,
        results: &Results,
        missed: &[String],
    ) -> Result<(), String> {
        let figures = &results.figures[..];
        let mut rest = template;
        while let Some((before, after)) = rest.split_once("{{") {
            let (place, mut after) = after.split_once("}}").ok_or_else(|| {
                let begin: String = after.chars().take(40).collect();
                format!("a place is not closed: {begin}")
            })?;
            self.text.push_str(before);
            let (kind, words) = place.split_once(' ').unwrap_or((place, ""));
            let words: Vec<&str> = words.split('|').map(str::trim).collect();
            match (kind, &words[..]) {
                ("machine", [""]) => self.text.push_str(&machine(results)),
                ("budget", [""]) => self.text.push_str(&budget(figures)),
                ("missed", [name]) => {
                    let known = Budget::read().line.iter().any(|line| line.name == *name);
                    let (why, next) = after
                        .split_once("{{end}}\n")
                        .filter(|_| known)
                        .ok_or_else(|| format!("no such line, or no end: {{{{{place}}}}}"))?;
                    if missed.iter().any(|own| own == name) {
                        self.append(why.trim_start(), results, missed)?;
                    }
                    after = next;
                }
                ("unexplained", [""]) => {
                    let text = unexplained(missed, &self.unexplained, figures);
                    self.text.push_str(&text);
                }
                ("value", [group, case, figure]) => {
                    let value = find(figures, group, case, figure);
                    let value = value.map(|own| number(own.value, figure));
                    self.text.push_str(value.as_deref().unwrap_or(NOT_MEASURED));
                }
                ("table", [group, columns @ ..]) => {
                    self.text.push_str(&table(figures, group, columns));
                }
                ("bars", [file, group, figure, title]) => {
                    let plot = bars(figures, group, figure, title);
                    self.plot(file, title, plot);
                }
                ("lines", [file, group, across, up, title, series @ ..]) => {
                    let plot = lines(figures, group, [title, across, up], series);
                    self.plot(file, title, plot);
                }
                _ => return Err(format!("no such place: {{{{{place}}}}}")),
            }
            rest = after;
        }
        self.text.push_str(rest);
        Ok(())
    }

    fn plot(&mut self, file: &str, title: &str, plot: Option<String>) {
        let Some(plot) = plot else {
            self.text.push_str(NOT_MEASURED);
            return;
        };
        let _ = write!(self.text, "![{title}]({FOLDER}/{file}.svg)");
        self.plots.push((format!("{file}.svg"), plot));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::LeftOut;

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

    fn results() -> Results {
        Results {
            figures: figures(),
            ..Results::default()
        }
    }

    fn filled(template: &str) -> String {
        fill(template, &results()).unwrap().text
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
    fn quartiles_are_shown_where_they_are_asked_for() {
        let mut results = results();
        results.figures[2].quartiles = Some((1.25, 1.75));
        let filled = |template: &str| fill(template, &results).unwrap().text;
        let text = filled("{{table g | ns ± = Time | x open ±}}");
        assert!(
            text.ends_with("| 10 keys | 5 | 1.50 (1.25–1.75) |"),
            "{text}"
        );
        let text = filled("{{table g | x open}}");
        assert!(text.ends_with("| 10 keys | 1.50 |"), "{text}");
    }

    #[test]
    fn a_plot_is_a_file_beside_the_page() {
        let page = fill("{{bars b | g | ns | Title}}", &results()).unwrap();
        assert_eq!(page.text, "![Title](performance/b.svg)");
        assert_eq!(page.plots[0].0, "b.svg");
        assert!(page.plots[0].1.starts_with("<svg"));
    }

    #[test]
    fn what_is_no_place_is_named() {
        let error = fill("{{nonsense}}", &Results::default()).err();
        assert_eq!(error.as_deref(), Some("no such place: {{nonsense}}"));
        assert!(fill("{{budget", &Results::default()).is_err());
    }

    #[test]
    fn the_template_can_be_filled_with_nothing() {
        let page = fill(include_str!("../performance.md"), &Results::default()).unwrap();
        assert!(page.plots.is_empty());
        assert!(page.text.contains(NOT_MEASURED));
    }

    /// Line 10 of the budget, with 2 look-ups where one may be.
    fn one_line_missed() -> Results {
        let figure = Figure {
            group: "stampede".to_owned(),
            case: "1,000 callers".to_owned(),
            figure: "look-ups, most".to_owned(),
            value: 2.0,
            quartiles: None,
        };
        Results {
            figures: vec![figure],
            ..Results::default()
        }
    }

    #[test]
    fn why_a_line_is_missed_is_there_only_when_it_is() {
        let template = "a\n{{missed 10}}\nhad {{value g | 10 keys | ns}}\n{{end}}\nb";
        assert_eq!(filled(template), "a\nb");
        let page = fill(template, &one_line_missed()).unwrap();
        assert_eq!(page.text, format!("a\nhad {NOT_MEASURED}\nb"));
        assert!(page.unexplained.is_empty());
        assert!(fill("{{missed 10}}", &results()).is_err(), "no end");
        assert!(fill("{{missed x}}{{end}}\n", &results()).is_err());
    }

    #[test]
    fn a_line_that_is_missed_without_a_word_is_named() {
        let page = fill("{{unexplained}}", &one_line_missed()).unwrap();
        assert_eq!(page.unexplained, ["10"]);
        assert!(page.text.ends_with("are missed: 10.**"), "{}", page.text);
        assert!(filled("{{unexplained}}").starts_with("None of those"));
    }

    #[test]
    fn what_was_left_out_is_said() {
        let mut results = results();
        results.left_out.push(LeftOut {
            what: "nginx".to_owned(),
            why: "it is not installed".to_owned(),
        });
        let text = fill("{{machine}}", &results).unwrap().text;
        assert_eq!(
            text,
            "> **Not measured in this run:**\n> - nginx: it is not installed"
        );
    }
}
