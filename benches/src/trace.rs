//! Which function each instruction of a call belongs to.
//!
//! From the addresses and stack pointers of every single step the calls are put together again:
//! a stack pointer that went down by one word on the way to somewhere else is a call, one that is
//! above where a call began is its return. Functions that were inlined come from the line tables.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;

use addr2line::Loader;

use crate::harness::Case;
use crate::instructions::{Counter, Step, between};

/// Instructions a call, by stack of functions, outermost first.
pub struct Profile {
    stacks: HashMap<Vec<String>, u64>,
    calls: u32,
}

/// One part of the address space.
struct Mapping {
    from: u64,
    to: u64,
    file: String,
}

struct Names {
    loader: Loader,
    base: u64,
    mappings: Vec<Mapping>,
    known: HashMap<u64, Vec<String>>,
}

impl Profile {
    /// Takes the mean of `calls` calls of `case`, far enough apart, as counting does.
    pub fn of(case: &mut Case, counter: Counter, calls: u32) -> Self {
        let mut names = Names::new();
        let mut stacks = HashMap::new();
        for n in 0..calls {
            for _ in 0..between(n) {
                case.work.once();
            }
            let steps = counter.trace(&mut || case.work.once());
            fold(&steps, &mut names, &mut stacks);
        }
        Self { stacks, calls }
    }

    /// One line for each stack, as flame graph tools want them, from the whole of `calls` calls.
    pub fn folded(&self) -> String {
        let mut lines: Vec<_> = self
            .stacks
            .iter()
            .map(|(stack, count)| format!("{} {count}\n", stack.join(";")))
            .collect();
        lines.sort();
        lines.concat()
    }

    /// What each piece of the way takes: a stack belongs to the first piece that is named by one of
    /// its functions, or to the last one, which has no name.
    pub fn pieces(&self, pieces: &[(&'static str, &[&str])]) -> Vec<(&'static str, f64)> {
        let mut sums = vec![0; pieces.len()];
        for (stack, count) in &self.stacks {
            let belongs = |marks: &[&str]| {
                marks.is_empty()
                    || stack
                        .iter()
                        .any(|name| marks.iter().any(|mark| name.contains(mark)))
            };
            let at = pieces.iter().position(|(_, marks)| belongs(marks));
            sums[at.expect("the last piece takes the rest")] += count;
        }
        let names = pieces.iter().map(|(piece, _)| *piece);
        names
            .zip(sums.into_iter().map(|sum| self.each(sum)))
            .collect()
    }

    /// The functions that take at least `least` instructions a call, with all that they call and
    /// alone, most expensive first.
    pub fn functions(&self, least: f64) -> String {
        let mut sums: HashMap<&str, (u64, u64)> = HashMap::new();
        for (stack, &count) in &self.stacks {
            for (at, name) in stack.iter().enumerate() {
                if !stack[..at].contains(name) {
                    sums.entry(name).or_default().0 += count;
                }
            }
            if let Some(name) = stack.last() {
                sums.entry(name).or_default().1 += count;
            }
        }
        let mut rows: Vec<_> = sums
            .into_iter()
            .map(|(name, (all, own))| (self.each(all), self.each(own), name))
            .filter(|(all, ..)| *all >= least)
            .collect();
        rows.sort_by(|one, other| other.0.total_cmp(&one.0));
        let mut text = format!("{:>9} {:>9}  function\n", "with all", "alone");
        for (all, own, name) in rows {
            let _ = writeln!(text, "{all:>9.1} {own:>9.1}  {name}");
        }
        text
    }

    fn each(&self, count: u64) -> f64 {
        count as f64 / f64::from(self.calls)
    }
}

fn fold(steps: &[Step], names: &mut Names, stacks: &mut HashMap<Vec<String>, u64>) {
    // Where each function under way was called from, and the stack pointer at its start.
    let mut calls: Vec<(u64, u64)> = Vec::new();
    let mut last: Option<Step> = None;
    for &step in steps {
        while calls.last().is_some_and(|&(_, stack)| step.stack > stack) {
            calls.pop();
        }
        if let Some(last) = last {
            // No instruction has more than 15 bytes.
            let goes_on = (last.address..=last.address + 15).contains(&step.address);
            if step.stack == last.stack.wrapping_sub(8) && !goes_on {
                calls.push((last.address, step.stack));
            }
        }
        let mut stack = Vec::new();
        for &(site, _) in &calls {
            stack.extend_from_slice(names.at(site));
        }
        stack.extend_from_slice(names.at(step.address));
        *stacks.entry(stack).or_default() += 1;
        last = Some(step);
    }
}

impl Names {
    fn new() -> Self {
        let program = std::env::current_exe().unwrap();
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        let mappings: Vec<Mapping> = maps.lines().filter_map(mapping).collect();
        let own = program.to_string_lossy();
        let base = mappings.iter().find(|mapping| mapping.file == own);
        Self {
            base: base.unwrap().from,
            loader: Loader::new(&program).unwrap(),
            mappings,
            known: HashMap::new(),
        }
    }

    /// The functions at an address, outermost first: more than one where some were inlined.
    fn at(&mut self, address: u64) -> &[String] {
        if !self.known.contains_key(&address) {
            let names = self.look_up(address);
            self.known.insert(address, names);
        }
        &self.known[&address]
    }

    fn look_up(&self, address: u64) -> Vec<String> {
        let mut names = Vec::new();
        let probe = address - self.base;
        if let Ok(mut frames) = self.loader.find_frames(probe) {
            while let Ok(Some(frame)) = frames.next() {
                let name = frame.function.and_then(|function| {
                    let name = short(&function.demangle().ok()?);
                    let file = frame.location.and_then(|location| location.file);
                    Some(format!("{name} ({})", file.map_or("?".to_owned(), place)))
                });
                names.extend(name);
            }
        }
        names.reverse();
        if names.is_empty() {
            let mapping = self
                .mappings
                .iter()
                .find(|mapping| (mapping.from..mapping.to).contains(&address));
            let file = mapping.map_or("?", |mapping| &mapping.file);
            let symbol = self.loader.find_symbol(probe).map(short);
            let file = file.rsplit('/').next().unwrap_or(file);
            names.push(symbol.unwrap_or_else(|| format!("[{}]", file.trim_matches(['[', ']']))));
        }
        names
    }
}

/// Without what it is generic over.
fn short(name: &str) -> String {
    let name = addr2line::demangle_auto(name.into(), None);
    if name.starts_with('<') {
        return name.into_owned();
    }
    let end = name.find('<').filter(|&at| at > 0).unwrap_or(name.len());
    name[..end].to_owned()
}

/// A path that begins with the name of what it is a part of.
fn place(path: &str) -> String {
    let own = env!("CARGO_MANIFEST_DIR").trim_end_matches("benches");
    if let Some(rest) = path.strip_prefix(own) {
        return format!("portcullis/{rest}");
    }
    if let Some((_, rest)) = path.split_once("/registry/src/") {
        return rest
            .split_once('/')
            .map_or(rest, |(_, rest)| rest)
            .to_owned();
    }
    path.split_once("/library/")
        .map_or(path, |(_, rest)| rest)
        .to_owned()
}

fn mapping(line: &str) -> Option<Mapping> {
    let mut words = line.split_ascii_whitespace();
    let (from, to) = words.next()?.split_once('-')?;
    Some(Mapping {
        from: u64::from_str_radix(from, 16).ok()?,
        to: u64::from_str_radix(to, 16).ok()?,
        file: words.nth(4).unwrap_or("anonymous").to_owned(),
    })
}
