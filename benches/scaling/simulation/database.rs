//! The database: so many cores, one queue before them, one lock for the order of commits, and the
//! history of changes.

use super::moment::nanos;

/// A number of cores that take statements in the order in which they come.
#[derive(Debug)]
pub(crate) struct Cores {
    /// When each of them is through with what it has.
    free_at: Vec<u64>,
}

/// When a statement was executed. Its snapshot is from the beginning.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Executed {
    pub(crate) began: u64,
    pub(crate) ended: u64,
}

impl Cores {
    pub(crate) fn new(cores: u32) -> Self {
        Self {
            free_at: vec![0; cores as usize],
        }
    }

    pub(crate) fn execute(&mut self, arrived: u64, cost: u64) -> Executed {
        let mut first = 0;
        for (core, free_at) in self.free_at.iter().enumerate() {
            if *free_at < self.free_at[first] {
                first = core;
            }
        }
        let began = arrived.max(self.free_at[first]);
        let ended = began + cost;
        self.free_at[first] = ended;
        Executed { began, ended }
    }
}

/// The lock that puts revisions into the order of commits.
#[derive(Debug, Default)]
pub(crate) struct RevisionLock {
    free_at: u64,
}

impl RevisionLock {
    /// When a transaction that asks for the lock at `asked` has committed.
    pub(crate) fn commit(&mut self, asked: u64, held: u64) -> u64 {
        self.free_at = asked.max(self.free_at) + held;
        self.free_at
    }
}

/// Committed changes; the revision of each is its place, counted from one.
#[derive(Debug, Default)]
pub(crate) struct History(Vec<Change>);

#[derive(Clone, Copy, Debug)]
pub(crate) struct Change {
    pub(crate) what: What,
    pub(crate) writer: u32,
    pub(crate) committed: u64,
    /// When whoever asked for it was answered.
    pub(crate) answered: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Created(u32),
    Changed(u32),
    /// More shards than are written down apart.
    Anything,
}

impl History {
    pub(crate) fn append(&mut self, change: Change) -> u64 {
        self.0.push(change);
        self.0.len() as u64
    }

    /// The newest revision that a snapshot of that moment shows.
    pub(crate) fn revision_at(&self, moment: u64) -> u64 {
        self.0.partition_point(|change| change.committed <= moment) as u64
    }

    /// The change rows above one revision up to another, each with its revision.
    pub(crate) fn between(&self, above: u64, upto: u64) -> impl Iterator<Item = (u64, Change)> {
        let first = usize::try_from(above).unwrap_or(usize::MAX);
        let last = usize::try_from(upto).unwrap_or(usize::MAX);
        let changes = self.0[first.min(last)..last].iter().copied();
        (above + 1..).zip(changes)
    }

    pub(crate) fn change(&self, revision: u64) -> Change {
        let place = usize::try_from(revision - 1).unwrap_or(usize::MAX);
        self.0[place]
    }

    pub(crate) fn answered(&mut self, revision: u64, moment: u64) {
        let place = usize::try_from(revision - 1).unwrap_or(usize::MAX);
        self.0[place].answered = Some(moment);
    }
}

/// Microseconds of a cost in nanoseconds.
pub(crate) fn cost(micros: f64) -> u64 {
    nanos(micros / 1e6)
}
