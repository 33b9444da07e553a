//! What it was measured on.

use std::fs;
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::provenance::CHANGED;

/// Enough to say what a figure holds for.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Machine {
    /// The processor's name.
    pub processor: String,
    /// How many cores this process may run on.
    pub cores: usize,
    /// Whether it has instructions for SHA-256, by far the largest step of a check.
    pub sha_instructions: bool,
    /// The operating system.
    pub system: String,
    /// The compiler.
    pub rustc: String,
    /// What was measured.
    pub commit: String,
    /// Whether this was a quick run, which shows that everything runs and nothing else.
    pub quick: bool,
}

impl Machine {
    /// This one.
    pub fn here(quick: bool) -> Self {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let field = |name: &str| {
            let line = cpuinfo.lines().find(|line| line.starts_with(name))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        };
        Self {
            processor: field("model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            sha_instructions: field("flags").is_some_and(|flags| flags.contains("sha_ni")),
            system: kernel(&said_by("uname", &["-sr"])),
            rustc: said_by("rustc", &["--version"]),
            commit: commit(),
            quick,
        }
    }
}

/// Its name and its first two numbers: what comes behind is whose build it is.
fn kernel(said: &str) -> String {
    let end = said.match_indices(['.', '-']).nth(1);
    said[..end.map_or(said.len(), |(at, _)| at)].to_owned()
}

/// The commit, and whether anything but results and pages differs from it.
fn commit() -> String {
    let here = env!("CARGO_MANIFEST_DIR");
    let commit = said_by("git", &["-C", here, "rev-parse", "--short=12", "HEAD"]);
    let sources = [
        ".cargo",
        "src",
        "Cargo.toml",
        "Cargo.lock",
        "benches/budget.toml",
        "benches/reproduce",
        "benches/src",
        "benches/peers",
        "benches/other-languages",
        "benches/Cargo.toml",
        "benches/Cargo.lock",
    ];
    let root = format!("{here}/..");
    let mut status = vec!["-C", &root, "status", "--porcelain", "--"];
    status.extend(sources);
    if said_by("git", &status).is_empty() {
        commit
    } else {
        format!("{commit}{CHANGED}")
    }
}

fn said_by(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map_or(String::new(), |output| {
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    })
}
