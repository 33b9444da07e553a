//! What a check costs a real server: over loopback, `wrk` on one core, the server on the other.
//!
//! The figure is the server's own time for each request, user and kernel, as `/proc/PID/stat` has
//! it: it is steadier than requests a second, which also depend on how fast `wrk` is.

mod nginx;
mod server;
mod wrk;

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::ExitCode;

use portcullis_bench::figures::table;
use portcullis_bench::machine::Machine;
use portcullis_bench::record::{Recorder, quartiles};

use crate::nginx::nginx;
use crate::server::{OPEN, Server, VARIANTS, serve};
use crate::wrk::{version, wrk};

const GROUP: &str = "loopback";

/// How far apart the quartiles of the open route may lie, as a part of its median. What is looked
/// for is of this size.
const QUIET: f64 = 0.05;

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
    let (rounds, seconds) = if quick { (1, 1) } else { (9, 3) };
    let servers = VARIANTS.map(Server::start);
    let mut values: HashMap<(&str, &str), Vec<f64>> = HashMap::new();
    for round in 0..=rounds {
        for (variant, server) in VARIANTS.into_iter().zip(&servers) {
            let before = server.time();
            let seconds = if round == 0 { 1 } else { seconds };
            let load = wrk(&server.port, &server.credential, seconds)?;
            let time = server.time() - before;
            // The first round only warms up.
            if round == 0 {
                continue;
            }
            let mut push = |figure, value| values.entry((variant, figure)).or_default().push(value);
            push("server us a request", time * 1e6 / load.requests);
            push("requests a second", load.requests / load.seconds);
            push("us, half of the answers", load.half);
        }
    }
    let open = &values[&(OPEN, "server us a request")];
    if let Err(why) = quiet(open) {
        recorder.left_out("loopback", &why);
        return Err(why);
    }
    for variant in VARIANTS {
        let own = &values[&(variant, "server us a request")];
        let ratios = own.iter().zip(open).map(|(own, open)| own / open).collect();
        for figure in [
            "server us a request",
            "requests a second",
            "us, half of the answers",
        ] {
            recorder.rounds(GROUP, variant, figure, values[&(variant, figure)].clone());
        }
        recorder.rounds(GROUP, variant, "x open route", ratios);
    }
    println!("# over loopback, 64 connections, wrk on one core and the server on the other");
    println!("{}", table(recorder.figures(), GROUP));
    Ok(())
}

/// The open route is the same in each round; what moves it moves all, and not always alike.
fn quiet(open: &[f64]) -> Result<(), String> {
    let (low, median, high) = quartiles(open.to_vec());
    let spread = (high - low) / median;
    if spread <= QUIET {
        return Ok(());
    }
    let [spread, most] = [spread, QUIET].map(|part| 100.0 * part);
    Err(format!(
        "the machine was not quiet: between the quartiles of the open route lie {spread:.1} % of its \
         time, and {most:.0} % may"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_is_not_quiet_is_refused() {
        assert_eq!(quiet(&[6.0, 6.1, 6.2, 6.3, 9.0]), Ok(()));
        let why = quiet(&[6.0, 6.0, 6.2, 6.4, 6.4]).unwrap_err();
        assert!(why.contains("lie 6.5 % of its time, and 5 % may"), "{why}");
    }
}
