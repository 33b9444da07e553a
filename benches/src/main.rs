//! Measures. See `README.md`, or run it with `--help`.

use std::path::PathBuf;
use std::process::ExitCode;

use portcullis_bench::budget::Budget;
use portcullis_bench::cases::{Group, Kind, groups, map};
use portcullis_bench::figures::table;
use portcullis_bench::guard::guard;
use portcullis_bench::harness::Effort;
use portcullis_bench::instructions::Counter;
use portcullis_bench::lock;
use portcullis_bench::machine::Machine;
use portcullis_bench::record::{Recorder, read};
use portcullis_bench::trace::Profile;
use portcullis_bench::world::World;

const HELP: &str = "\
bench [--quick] [--group NAME]... [--rounds N] [--counted N] [--out FILE]
    Measures all groups, or those named, and prints tables. FILE gets the figures as JSON lines.
    --quick    few short rounds: shows that everything runs
    --rounds   how many interleaved rounds; 21 by default
    --counted  of how many calls the instructions are counted: a multiple of 64, 0 for none
bench list
    Says which groups there are.
bench guard
    Compares the instructions that the layer adds with budget.toml.
bench budget FILE...
    Says which lines of the budget the figures in these files hold.
bench trace GROUP CASE [--counted N]
    Says which functions the instructions of a case belong to. PORTCULLIS_FOLDED=FILE gets them as
    stacks, for a flame graph.";

#[derive(Default)]
struct Options {
    quick: bool,
    groups: Vec<String>,
    rounds: Option<usize>,
    counted: Option<u32>,
    out: Option<PathBuf>,
    words: Vec<String>,
}

fn options() -> Result<Options, String> {
    let mut options = Options::default();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || {
            let value = arguments.next();
            value.ok_or_else(|| format!("{argument} needs a value"))
        };
        let number = |text: String| text.parse().map_err(|_| format!("{text} is not a number"));
        match argument.as_str() {
            "--quick" => options.quick = true,
            "--group" => options.groups.push(value()?),
            "--rounds" => options.rounds = Some(number(value()?)? as usize),
            "--counted" => options.counted = Some(number(value()?)?),
            "--out" => options.out = Some(value()?.into()),
            _ if argument.starts_with('-') => return Err(HELP.to_owned()),
            _ => options.words.push(argument),
        }
    }
    Ok(options)
}

fn main() -> ExitCode {
    match options().and_then(|options| run(&options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), String> {
    let counter = Counter::new();
    if let Err(why) = &counter {
        eprintln!("instructions are not counted: {why}");
    }
    let mut effort = if options.quick {
        Effort::QUICK
    } else {
        Effort::FULL
    };
    effort.rounds = options.rounds.unwrap_or(effort.rounds);
    effort.counted = options.counted.unwrap_or(effort.counted);
    let recorder = Recorder::new(options.out.as_deref(), Machine::here(options.quick));
    let mut recorder =
        recorder.map_err(|error| format!("the results cannot be written: {error}"))?;
    lock::note(&mut recorder);
    let mut world = World::new(
        effort,
        options.quick,
        counter.as_ref().ok().copied(),
        recorder,
    );
    let words: Vec<&str> = options.words.iter().map(String::as_str).collect();
    match words[..] {
        [] => {
            for group in chosen(&options.groups)? {
                measure(&group, &mut world);
            }
            print!("{}", Budget::read().lines(world.recorder.figures()));
            Ok(())
        }
        ["guard"] => match counter {
            Ok(counter) => guard(&world, counter),
            Err(why) if must_count() => Err(format!("instructions must be counted here: {why}")),
            Err(why) => {
                println!("NOT CHECKED: no instructions were counted, because {why}");
                Ok(())
            }
        },
        ["budget", ref files @ ..] => {
            let results = read(files).map_err(|error| error.to_string())?;
            print!("{}", Budget::read().lines(&results.figures));
            Ok(())
        }
        ["list"] => {
            for group in groups() {
                println!("{:<12} {}", group.name, group.about);
            }
            Ok(())
        }
        ["trace", group, case] => {
            let calls = options.counted.unwrap_or(64);
            trace(&world, group, case, counter?, calls)
        }
        _ => Err(HELP.to_owned()),
    }
}

/// In CI a guard that does not look is none.
fn must_count() -> bool {
    let ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    ci && cfg!(all(target_os = "linux", target_arch = "x86_64"))
}

fn chosen(names: &[String]) -> Result<Vec<Group>, String> {
    let mut all = groups();
    if let Some(name) = names
        .iter()
        .find(|name| all.iter().all(|group| group.name != **name))
    {
        return Err(format!("there is no group {name}"));
    }
    all.retain(|group| {
        if names.is_empty() {
            // That one is for builds of its own.
            group.name != map::ROWS
        } else {
            names.iter().any(|name| name == group.name)
        }
    });
    Ok(all)
}

fn measure(group: &Group, world: &mut World) {
    println!("# {}", group.about);
    match group.kind {
        Kind::Interleaved { cases, measure } => {
            let cases = cases(world);
            measure(world, cases);
        }
        Kind::Own(measure) => measure(world),
    }
    println!("{}", table(world.recorder.figures(), group.name));
}

fn trace(
    world: &World,
    group: &str,
    case: &str,
    counter: Counter,
    calls: u32,
) -> Result<(), String> {
    let group = chosen(&[group.to_owned()])?.remove(0);
    let Kind::Interleaved { cases, .. } = group.kind else {
        return Err(format!("{} has no calls that could be traced", group.name));
    };
    let mut cases = cases(world);
    let names: Vec<_> = cases.iter().map(|case| case.name().to_owned()).collect();
    let found = cases.iter_mut().find(|own| own.name() == case);
    let case = found.ok_or_else(|| format!("no such case; there are {names:?}"))?;
    let profile = Profile::of(case, counter, calls);
    print!("{}", profile.functions(3.0));
    if let Some(path) = std::env::var_os("PORTCULLIS_FOLDED") {
        std::fs::write(path, profile.folded()).map_err(|error| error.to_string())?;
    }
    Ok(())
}
