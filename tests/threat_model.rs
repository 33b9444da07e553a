//! The threat model names a test for each attack. Here: that they are there.

use std::collections::BTreeSet;
use std::path::Path;

const PAGE: &str = include_str!("../docs/threat-model.md");

/// What the page links to: the name of a test, and the file in which it should be.
fn named() -> BTreeSet<(&'static str, &'static str)> {
    let links = PAGE.split("[`").skip(1);
    links
        .filter_map(|link| {
            let (test, rest) = link.split_once("`](../")?;
            let (file, _) = rest.split_once(')')?;
            Some((test, file))
        })
        .collect()
}

/// Whether there is a function of this name that is not left out. The attribute or the macro around it
/// makes it a test, or else it would be reported as unused.
fn has(source: &str, test: &str) -> bool {
    let lines: Vec<&str> = source.lines().map(str::trim_start).collect();
    let named = |line: &str| {
        let after = line.split_once("fn ").map(|(_, rest)| rest);
        after
            .and_then(|rest| rest.strip_prefix(test))
            .is_some_and(|rest| rest.starts_with('('))
    };
    let at = lines.iter().position(|line| named(line));
    at.is_some_and(|at| {
        let attributes = lines[..at].iter().rev();
        !{ attributes }
            .take_while(|line| line.starts_with("#[") || line.starts_with("//"))
            .any(|line| line.starts_with("#[ignore"))
    })
}

#[test]
fn every_test_that_the_page_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let named = named();
    assert!(named.len() > 90, "the page names {} tests", named.len());
    let missing: Vec<_> = named
        .iter()
        .filter(|(test, file)| {
            let source = std::fs::read_to_string(root.join(file)).unwrap_or_default();
            !has(&source, test)
        })
        .collect();
    assert!(missing.is_empty(), "not there: {missing:#?}");
}

#[test]
fn every_promise_has_tests() {
    let (_, rest) = PAGE
        .split_once("## Promises and what would catch their breach")
        .expect("the page has that table");
    let (table, _) = rest.split_once("\n## ").expect("which ends");
    let rows: Vec<_> = table
        .lines()
        .filter(|line| line.starts_with("| "))
        .skip(1)
        .collect();
    assert_eq!(rows.len(), 10, "promises");
    for row in rows {
        assert!(row.contains("](../"), "no test for {row}");
    }
}
