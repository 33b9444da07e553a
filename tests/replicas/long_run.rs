//! The long run: every fault again and again, in any order, for as long as one likes.

use std::process::{Command, ExitCode};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use crate::runner::chance::Chance;
use crate::runner::episode::Episode;
use crate::runner::fault::{Fault, Whom};
use crate::runner::figures::Figures;
use crate::runner::healthy;
use crate::runner::proxy::Mode;
use crate::runner::world::{Scale, World, postgres};

const USAGE: &str = "usage: faults [--minutes N] [--seed N] [--replicas N] [--max-staleness-ms N]";

struct Arguments {
    minutes: u64,
    seed: u64,
    scale: Scale,
}

impl Arguments {
    fn parse(mut given: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut arguments = Self {
            minutes: 10,
            seed: 1,
            scale: Scale {
                replicas: 3,
                max_staleness: Duration::from_secs(5),
                authors: 16,
            },
        };
        while let Some(name) = given.next() {
            let value = given.next().unwrap_or_default();
            let Ok(number) = u64::from_str(&value) else {
                return Err(format!("{name} {value:?} is no number"));
            };
            match name.as_str() {
                "--minutes" => arguments.minutes = number,
                "--seed" => arguments.seed = number,
                "--replicas" if (2..=64).contains(&number) => {
                    arguments.scale.replicas = usize::try_from(number).unwrap_or(2);
                }
                "--replicas" => return Err("there must be 2 to 64 replicas".to_owned()),
                "--max-staleness-ms" => {
                    arguments.scale.max_staleness = Duration::from_millis(number);
                }
                _ => return Err(format!("{name} is not known")),
            }
        }
        Ok(arguments)
    }
}

#[tokio::main]
pub(crate) async fn main() -> ExitCode {
    let arguments = match Arguments::parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("faults: {error}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    build_the_server();
    if run(&arguments).await {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// What is judged is what the code says now.
fn build_the_server() {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--example", "server"]);
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    let built = cargo.status().expect("cargo runs");
    assert!(built.success(), "the example server cannot be built");
}

/// Whether every promise was kept.
async fn run(arguments: &Arguments) -> bool {
    let Arguments {
        minutes,
        seed,
        scale,
    } = *arguments;
    println!("{minutes} minutes, seed {seed}, {scale:?}\n");
    let Some(cluster) = postgres() else {
        return false;
    };
    let world = Arc::new(World::start(cluster, scale).await);
    let mut chance = Chance::seeded(seed);
    let mut kept = true;

    println!("nothing wrong, 1000 keys revoked");
    let (figures, violations) = healthy::revoke(&world, 1_000, chance.next()).await;
    println!("{figures}\n");
    kept &= violations.is_empty()
        && figures.elsewhere.permille(990) <= healthy::P99
        && figures.elsewhere.max() <= healthy::MAX;
    for violation in violations.iter().take(10) {
        println!("  BROKEN: {violation}");
    }

    let mut totals: Vec<(Option<Fault>, usize, Figures)> = Vec::new();
    let end = world.watch.now() + Duration::from_secs(60 * minutes);
    let mut due = Vec::new();
    while world.watch.now() < end {
        if due.is_empty() {
            due.push(None);
            due.extend(every_fault().into_iter().map(Some));
        }
        let fault = due.swap_remove(chance.below(due.len()));
        let lasting = match fault {
            Some(Fault::Stopped) => Duration::from_secs(20),
            _ => scale.max_staleness + Duration::from_millis(500 + chance.next() % 3_000),
        };
        let began = world.watch.now();
        let episode = Episode {
            fault,
            lasting,
            seed: chance.next(),
        };
        let report = episode.play(&world).await;
        println!(
            "{} (from {began:.1?}, lasting {lasting:?})\n{report}\n",
            name(fault)
        );
        if !report.is_clean() {
            kept = false;
            for (n, site) in world.sites.iter().enumerate() {
                println!("replica {n}:\n{}", site.log());
            }
        }
        match totals.iter_mut().find(|(which, ..)| *which == fault) {
            Some((_, times, total)) => {
                *times += 1;
                total.add(&report.figures);
            }
            None => totals.push((fault, 1, report.figures)),
        }
    }
    println!("in all");
    totals.sort_by_key(|(fault, ..)| name(*fault));
    for (fault, times, total) in &totals {
        println!("{}, {times} times\n{total}", name(*fault));
    }
    let verdict = if kept {
        "every promise was kept"
    } else {
        "PROMISES WERE BROKEN"
    };
    println!("\n{verdict}");
    kept
}

/// All of them.
fn every_fault() -> Vec<Fault> {
    let (up, down) = (true, true);
    let both = [Whom::One, Whom::All];
    let mut all = Vec::new();
    for mode in [
        Mode::Close,
        Mode::Reset,
        Mode::Hold { up, down },
        Mode::Hold { up, down: false },
        Mode::Hold { up: false, down },
        Mode::Lose,
        Mode::Delay(Duration::from_millis(80)),
        Mode::LoseCommits { reset: true },
        Mode::LoseCommits { reset: false },
    ] {
        all.extend(both.map(|whom| Fault::Network(mode, whom)));
    }
    all.extend([
        Fault::Stopped,
        Fault::ReplicaKilled,
        Fault::PostgresKilled,
        Fault::Terminated,
        Fault::NoNotify,
        Fault::SlowTransaction,
        Fault::Restored,
    ]);
    all
}

fn name(fault: Option<Fault>) -> String {
    fault.map_or_else(|| "nothing wrong".to_owned(), |fault| fault.to_string())
}
