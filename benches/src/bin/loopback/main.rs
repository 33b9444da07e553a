//! What a check costs a real server: over loopback, `wrk` on one core, the servers on the other.
//!
//! The figure is a server's own time for each request, user and kernel. Each is asked together with an
//! open route on the same core: what the host of a virtual machine does besides lasts for some
//! seconds, can make a request half as long again, and meets both alike.

mod nginx;
mod server;
mod wrk;

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;

use portcullis_bench::figures::table;
use portcullis_bench::machine::Machine;
use portcullis_bench::record::{Recorder, quartiles};

use crate::nginx::nginx;
use crate::server::{OPEN, Server, VARIANTS, serve};
use crate::wrk::{version, wrk};

const GROUP: &str = "loopback";

/// How far from each other two open routes may be found. What is looked for is a few times that.
const QUIET: f64 = 0.02;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words[..] {
        ["serve", variant] => serve(variant),
        ["nginx", ..] => nginx(&arguments),
        _ => measure(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: &[String]) -> Result<(), String> {
    let quick = arguments.iter().any(|argument| argument == "--quick");
    let out = arguments.iter().position(|argument| argument == "--out");
    let out = out.and_then(|at| arguments.get(at + 1)).map(PathBuf::from);
    let machine = Machine::here(quick);
    if machine.cores < 2 {
        return Err("this takes two cores: one for the server, one for wrk".to_owned());
    }
    let wrk_version = version("wrk", "wrk ", "apt-get install wrk")?;
    let mut recorder = Recorder::new(out.as_deref(), machine).map_err(|error| error.to_string())?;
    recorder.tool("wrk", &wrk_version);
    let rounds = if quick { 1 } else { 21 };
    let open = Server::start(OPEN);
    let servers = VARIANTS.map(Server::start);
    let mut values: HashMap<(&str, &str), Vec<f64>> = HashMap::new();
    for round in 0..=rounds {
        for (variant, server) in VARIANTS.into_iter().zip(&servers) {
            let pair = [server, &open];
            let before = pair.map(Server::time);
            let [own, other] = thread::scope(|scope| {
                let loads = pair.map(|one| scope.spawn(|| wrk(&one.port, &one.credential, 1)));
                loads.map(|load| load.join().expect("wrk is waited for"))
            });
            let [own, other] = [own?.requests, other?.requests];
            let after = pair.map(Server::time);
            let own = (after[0] - before[0]) * 1e6 / own;
            let other = (after[1] - before[1]) * 1e6 / other;
            // The first round only warms up.
            if round == 0 {
                continue;
            }
            let mut push = |figure, value| values.entry((variant, figure)).or_default().push(value);
            push("server us a request", own);
            push("x open route", own / other);
        }
    }
    if !quick && let Err(why) = quiet(&values[&(OPEN, "x open route")]) {
        recorder.left_out("loopback", &why);
        return Err(why);
    }
    for variant in VARIANTS {
        for figure in ["server us a request", "x open route"] {
            recorder.rounds(GROUP, variant, figure, values[&(variant, figure)].clone());
        }
    }
    println!(
        "# over loopback, 64 connections to each, wrk on one core and the servers on the other"
    );
    println!("{}", table(recorder.figures(), GROUP));
    Ok(())
}

/// Two open routes are the same.
fn quiet(open: &[f64]) -> Result<(), String> {
    let (low, _, high) = quartiles(open.to_vec());
    if 1.0 - QUIET <= low && high <= 1.0 + QUIET {
        return Ok(());
    }
    Err(format!(
        "the machine was not quiet: of two open routes one took {low:.3} to {high:.3} of the other's \
         time in half of the rounds, and {QUIET} more or less is what may be"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_is_not_quiet_is_refused() {
        assert_eq!(quiet(&[0.7, 0.99, 1.0, 1.01, 1.4]), Ok(()));
        let why = quiet(&[0.9, 0.99, 1.0, 1.03, 1.1]).unwrap_err();
        assert!(why.contains("one took 0.990 to 1.030 of"), "{why}");
        assert!(quiet(&[0.9, 0.97, 1.0, 1.01, 1.1]).is_err());
    }
}
