//! Interleaved rounds.
//!
//! Every case of a group runs once in every round, so that whatever else the machine does disturbs
//! all alike. What counts is the median of the ratios within each round, not that of the times.

use std::time::{Duration, Instant};

use cpu_time::ThreadTime;

use crate::instructions::{Counter, Counts, between};
use crate::record::Recorder;

/// How much to measure.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// How many rounds.
    pub rounds: usize,
    /// How long each case runs in each round.
    pub time: Duration,
    /// How many calls are counted instruction by instruction: a multiple of 64, or none.
    pub counted: u32,
}

impl Effort {
    /// Enough for figures.
    pub const FULL: Self = Self {
        rounds: 21,
        time: Duration::from_millis(10),
        counted: 64,
    };

    /// Enough to see that everything runs.
    pub const QUICK: Self = Self {
        rounds: 3,
        time: Duration::from_micros(200),
        counted: 0,
    };
}

/// Something to be measured: a closure, and its name.
pub struct Case {
    pub(crate) name: String,
    pub(crate) work: Box<dyn Work>,
}

pub(crate) trait Work {
    /// So many calls in a row.
    fn run(&mut self, calls: u64) -> Duration;
    /// One call.
    fn once(&mut self);
}

impl<F: FnMut()> Work for F {
    fn run(&mut self, calls: u64) -> Duration {
        // The thread's own time: nothing here waits, and what others do with the processor
        // meanwhile is not counted.
        let begin = ThreadTime::now();
        for _ in 0..calls {
            self();
        }
        begin.elapsed()
    }

    fn once(&mut self) {
        self();
    }
}

impl Case {
    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `work` is one call. What it does must be over when it returns.
    pub fn new(name: impl Into<String>, work: impl FnMut() + 'static) -> Self {
        Self {
            name: name.into(),
            work: Box::new(work),
        }
    }
}

/// What the rounds gave: nanoseconds a call, by case and round.
pub struct Rounds {
    names: Vec<String>,
    nanos: Vec<Vec<f64>>,
}

impl Rounds {
    /// The times of a case, round by round.
    pub fn of(&self, name: &str) -> &[f64] {
        let at = self.names.iter().position(|own| own == name);
        &self.nanos[at.unwrap_or_else(|| panic!("no case is called {name:?}"))]
    }

    /// Something that is computed within each round from the times of several cases.
    pub fn each<const N: usize>(&self, names: [&str; N], f: impl Fn([f64; N]) -> f64) -> Vec<f64> {
        let times = names.map(|name| self.of(name));
        let rounds = self.nanos.first().map_or(0, Vec::len);
        (0..rounds)
            .map(|round| f(times.map(|times| times[round])))
            .collect()
    }
}

/// Runs `cases` in rounds and notes nothing.
pub fn rounds(cases: &mut [Case], effort: Effort) -> Rounds {
    let calls: Vec<u64> = cases.iter_mut().map(|case| calls(case, effort)).collect();
    let mut nanos = vec![Vec::with_capacity(effort.rounds); cases.len()];
    for _ in 0..effort.rounds {
        for ((case, &calls), nanos) in cases.iter_mut().zip(&calls).zip(&mut nanos) {
            let each = case.work.run(calls).as_secs_f64() * 1e9 / calls as f64;
            nanos.push(each);
        }
    }
    Rounds {
        names: cases.iter().map(|case| case.name.clone()).collect(),
        nanos,
    }
}

/// Measures `cases` and notes, for each, its time, its ratio to the first one, and its
/// instructions where they can be counted.
pub fn interleave(
    group: &str,
    cases: &mut [Case],
    effort: Effort,
    counter: Option<Counter>,
    recorder: &mut Recorder,
) -> Rounds {
    let rounds = rounds(cases, effort);
    let baseline = &rounds.names[0];
    let ratio = format!("x {baseline}");
    for name in &rounds.names {
        recorder.rounds(group, name, "ns", rounds.of(name).to_vec());
        let ratios = rounds.each([name, baseline], |[own, baseline]| own / baseline);
        recorder.rounds(group, name, &ratio, ratios);
    }
    if let Some(counter) = counter.filter(|_| effort.counted > 0) {
        let counts: Vec<Counts> = cases
            .iter_mut()
            .map(|case| instructions(case, effort.counted, counter))
            .collect();
        for (name, count) in rounds.names.iter().zip(&counts) {
            recorder.note(group, name, "instructions", count.mean);
            recorder.note(group, name, "added", count.mean - counts[0].mean);
            recorder.note(
                group,
                name,
                "added at least",
                count.fewest - counts[0].fewest,
            );
        }
    }
    rounds
}

/// Of enough calls, fewer where a call is long: those are straight on.
pub fn instructions(case: &mut Case, calls: u32, counter: Counter) -> Counts {
    let mut once = || case.work.once();
    once();
    let first = counter.count(&mut once);
    if first < 40_000 {
        counter.counts(calls, between, &mut once)
    } else {
        counter.counts(4, |_| 4, &mut once)
    }
}

/// How many calls fit into the time of a round. Runs the case, so that its caches are warm.
fn calls(case: &mut Case, effort: Effort) -> u64 {
    let begin = Instant::now();
    let mut calls = 1;
    loop {
        let spent = case.work.run(calls);
        if spent >= effort.time || begin.elapsed() > 20 * effort.time {
            let each = spent.as_secs_f64() / calls as f64;
            return ((effort.time.as_secs_f64() / each) as u64).max(1);
        }
        calls *= 2;
    }
}
