//! The guard on instructions: what the layer adds, against `budget.toml`.

use std::fmt::Write as _;

use http::{HeaderValue, StatusCode};

use crate::budget::{Budget, Guard};
use crate::harness::Case;
use crate::instructions::{Counter, between};
use crate::keys;
use crate::machine::Machine;
use crate::peers::layered;
use crate::world::{Nothing, World, bare, credentials, each, header, open, served, without};

/// The case that hashes: without instructions for that it takes ten times as many.
const HIT: &str = "hit";
const NO_CREDENTIAL: &str = "no credential";

/// Counts and compares. The error says which budget is exceeded.
pub fn guard(world: &World, counter: Counter) -> Result<(), String> {
    let sha = Machine::here(false).sha_instructions;
    let (said, result) = judge(&Budget::read().guard, &counts(world, counter), sha);
    print!("{said}");
    result
}

/// What to say of each count, and what of it is wrong.
fn judge(guard: &Guard, measured: &[(String, f64)], sha: bool) -> (String, Result<(), String>) {
    let Guard {
        slack_percent,
        instructions,
    } = guard;
    let (mut said, mut exceeded) = (String::new(), Vec::new());
    for (name, budget) in instructions {
        let Some((_, count)) = measured.iter().find(|(own, _)| own == name) else {
            let why = format!("budget.toml has {name:?}, which is not counted");
            return (said, Err(why));
        };
        if !sha && name.ends_with(HIT) {
            let _ = writeln!(said, "{name:<30} NOT CHECKED: no SHA instructions");
            continue;
        }
        let (low, high) = (
            budget * (1.0 - slack_percent / 50.0),
            budget * (1.0 + slack_percent / 100.0),
        );
        let verdict = if *count > high {
            exceeded.push(name.as_str());
            "EXCEEDED"
        } else if *count < low {
            "held; the budget may be lowered"
        } else {
            "held"
        };
        let _ = writeln!(
            said,
            "{name:<30} {count:>7} added instructions, budget {budget:>7}: {verdict}"
        );
    }
    let unknown = measured
        .iter()
        .find(|(name, _)| !instructions.contains_key(name));
    let result = match (unknown, exceeded.is_empty()) {
        (Some((name, count)), _) => Err(format!(
            "budget.toml has no budget for {name:?}, which adds {count}"
        )),
        (None, true) => Ok(()),
        (None, false) => Err(format!(
            "more instructions than budget.toml allows, by more than {slack_percent} %: {}",
            exceeded.join(", ")
        )),
    };
    (said, result)
}

fn counts(world: &World, counter: Counter) -> Vec<(String, f64)> {
    let ok = StatusCode::OK;
    let keyring = world.usual();
    world.warm(&keyring, &credentials(16));
    let gate = || bare(&keyring);
    let router = || served(layered(&keyring));
    let families: [(&str, [Case; 2], Vec<Case>); 2] = [
        (
            "layer alone",
            [
                each("", Nothing, credentials(16), ok),
                without("", Nothing, ok),
            ],
            cases(gate),
        ),
        (
            "Router",
            [
                each("", served(open()), credentials(16), ok),
                without("", served(open()), ok),
            ],
            cases(router),
        ),
    ];
    let count = |mut case: Case| counter.counts(4, between, &mut || case.work.once()).fewest;
    let mut measured = Vec::new();
    for (family, [with_credential, none], cases) in families {
        let (with_credential, none) = (count(with_credential), count(none));
        for case in cases {
            let name = format!("{family}, {}", case.name());
            let without = if case.name() == NO_CREDENTIAL {
                none
            } else {
                with_credential
            };
            measured.push((name, count(case) - without));
        }
    }
    measured
}

/// What is counted of the layer, wherever it stands.
fn cases<S, R>(service: impl Fn() -> S) -> Vec<Case>
where
    S: tower::Service<axum::extract::Request, Response = http::Response<R>> + 'static,
    S::Error: std::fmt::Debug,
{
    let no = StatusCode::UNAUTHORIZED;
    let unreadable = vec![HeaderValue::from_static("Bearer of, bad news")];
    let not_a_key = vec![header("eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl")];
    let mistyped = (0..16).map(|n| header(&keys::mistyped(n))).collect();
    vec![
        each(HIT, service(), credentials(16), StatusCode::OK),
        without(NO_CREDENTIAL, service(), no),
        each("unreadable", service(), unreadable, StatusCode::BAD_REQUEST),
        each("not a key", service(), not_a_key, no),
        each("wrong checksum", service(), mistyped, no),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn judged(counts: [f64; 2], sha: bool) -> (String, Result<(), String>) {
        let names = ["Router, hit", "Router, not a key"].map(str::to_owned);
        let guard = Guard {
            slack_percent: 5.0,
            instructions: BTreeMap::from(names.clone().map(|name| (name, 100.0))),
        };
        let measured: Vec<_> = names.into_iter().zip(counts).collect();
        judge(&guard, &measured, sha)
    }

    #[test]
    fn more_than_the_slack_is_too_much() {
        assert_eq!(judged([105.0, 100.0], true).1, Ok(()));
        let (said, result) = judged([106.0, 100.0], true);
        assert!(said.contains("EXCEEDED"), "{said}");
        assert!(result.unwrap_err().ends_with(": Router, hit"));
    }

    #[test]
    fn without_sha_instructions_all_but_the_hash_is_checked() {
        let (said, result) = judged([1_000.0, 100.0], false);
        assert!(
            said.contains("Router, hit                    NOT CHECKED: no SHA"),
            "{said}"
        );
        assert_eq!(result, Ok(()));
        let (_, result) = judged([1_000.0, 106.0], false);
        assert!(result.unwrap_err().ends_with(": Router, not a key"));
    }

    #[test]
    fn what_has_no_budget_is_named() {
        let mut guard = Budget::read().guard;
        guard.instructions.clear();
        let measured = [("Router, hit".to_owned(), 7.0)];
        let why = judge(&guard, &measured, true).1.unwrap_err();
        assert!(why.contains("no budget for \"Router, hit\""), "{why}");
        guard.instructions.insert("another".to_owned(), 1.0);
        assert!(judge(&guard, &measured, true).1.is_err());
    }
}
