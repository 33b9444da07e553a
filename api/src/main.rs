//! The public API as it is, against `public-api.txt`; and the crates whose types are in it, against
//! `external-crates.txt`. `scripts/api` runs it.

use std::collections::BTreeSet;
use std::error::Error;
use std::process::ExitCode;
use std::{env, fs};

const SNAPSHOT: &str = "public-api.txt";
const EXTERNAL: &str = "external-crates.txt";

/// Methods of traits that say no more than that the trait is there.
const TOLD_BY_THE_TRAIT: [&str; 9] = [
    "clone",
    "cmp",
    "default",
    "eq",
    "fmt",
    "from_str",
    "hash",
    "partial_cmp",
    "source",
];

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let json = arguments
        .next()
        .ok_or("the path of rustdoc's JSON is missing")?;
    let write = arguments.next().as_deref() == Some("--write");
    let api = public_api::Builder::from_rustdoc_json(json)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .build()?;
    let lines: Vec<String> = api.items().map(ToString::to_string).collect();
    let lines: Vec<String> = lines
        .into_iter()
        .filter(|line| says_something(line))
        .collect();
    let fine = crates_are_allowed(&lines)?;
    if write {
        fs::write(SNAPSHOT, lines.join("\n") + "\n")?;
        return Ok(exit(fine));
    }
    Ok(exit(is_as_written(&lines)? && fine))
}

fn exit(fine: bool) -> ExitCode {
    if fine {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn says_something(line: &str) -> bool {
    let Some((path, _)) = line
        .strip_prefix("pub fn ")
        .and_then(|rest| rest.split_once('('))
    else {
        return true;
    };
    let name = path.rsplit("::").next().unwrap_or_default();
    let name = name.split('<').next().unwrap_or_default();
    !TOLD_BY_THE_TRAIT.contains(&name)
}

fn is_as_written(lines: &[String]) -> Result<bool, Box<dyn Error>> {
    let written = fs::read_to_string(SNAPSHOT)?;
    let (then, now): (BTreeSet<&str>, BTreeSet<&str>) = (
        written.lines().collect(),
        lines.iter().map(String::as_str).collect(),
    );
    for gone in then.difference(&now) {
        println!("- {gone}");
    }
    for new in now.difference(&then) {
        println!("+ {new}");
    }
    if then != now {
        println!(
            "the public API is not what api/{SNAPSHOT} says; if it is meant: scripts/api --write"
        );
    }
    Ok(then == now)
}

/// Whoever changes the major version of such a crate changes that of this one.
fn crates_are_allowed(lines: &[String]) -> Result<bool, Box<dyn Error>> {
    let text = fs::read_to_string(EXTERNAL)?;
    let entries = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let allowed: BTreeSet<&str> = entries.filter_map(|line| line.split(' ').next()).collect();
    let met: BTreeSet<&str> = lines.iter().flat_map(|line| crates(line)).collect();
    for stranger in met.difference(&allowed) {
        let line = lines
            .iter()
            .find(|line| crates(line).any(|name| name == *stranger));
        let line = line.map_or("", String::as_str);
        println!("{stranger} is in the public API and not in api/{EXTERNAL}: {line}");
    }
    for unused in allowed.difference(&met) {
        println!("{unused} is in api/{EXTERNAL} and not in the public API");
    }
    Ok(met == allowed)
}

/// The crates that the paths in a line begin with.
fn crates(line: &str) -> impl Iterator<Item = &str> {
    let words = line.split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':');
    words.filter_map(|word| {
        let (first, _) = word.split_once("::")?;
        let is_a_crate = first.starts_with(|c: char| c.is_ascii_lowercase());
        is_a_crate.then_some(first)
    })
}
