//! What happens when.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::database::What;
use super::flights::Question;

#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    /// A request comes to one of the replicas.
    Request,
    /// Somebody asks one of them for a change, or for a new key.
    Change,
    Creation,
    /// Somebody revokes everything.
    Stop,
    Commit {
        writer: u32,
        what: What,
    },
    /// The writer hears that its change is committed.
    Committed {
        writer: u32,
        revision: u64,
    },
    Poll {
        replica: u32,
        poll: u32,
    },
    Nudge {
        replica: u32,
    },
    GapOver {
        replica: u32,
    },
    Synced {
        replica: u32,
        began: u64,
        snapshot: u64,
    },
    LookedUp {
        replica: u32,
        question: Question,
        snapshot: u64,
        by_standby: bool,
    },
    CutOff {
        replica: u32,
        question: Question,
    },
    PauseOver {
        replica: u32,
    },
}

#[derive(Debug, Default)]
pub(crate) struct Calendar {
    coming: BinaryHeap<Entry>,
    entered: u64,
}

#[derive(Debug)]
struct Entry {
    at: u64,
    number: u64,
    event: Event,
}

impl Calendar {
    pub(crate) fn enter(&mut self, at: u64, event: Event) {
        let number = self.entered;
        self.entered += 1;
        self.coming.push(Entry { at, number, event });
    }

    pub(crate) fn next(&mut self) -> Option<(u64, Event)> {
        let Entry { at, event, .. } = self.coming.pop()?;
        Some((at, event))
    }
}

/// The soonest is the greatest; of those at one moment what was entered first, so that a run
/// repeats itself.
impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Entry {}
