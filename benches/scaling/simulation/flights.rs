//! Look-ups of a replica: shared by all who ask the same, so many at a time, each with a deadline.

use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasherDefault;

use super::freshness::Tag;
use super::memory::Spread;

/// What a flight is about: requests join it only under the same tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Question {
    pub(crate) key: u32,
    pub(crate) tag: Tag,
}

#[derive(Debug)]
pub(crate) struct Flight {
    pub(crate) boarded: u64,
    pub(crate) departed: u64,
    /// When each request came that waits.
    pub(crate) waiting: Vec<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// A flight of its own.
    Boarded,
    Joined,
    /// Too many wait already.
    Refused,
}

#[derive(Debug)]
pub(crate) struct Flights {
    by_question: HashMap<Question, Flight, BuildHasherDefault<Spread>>,
    /// Those that wait for their turn.
    lane: VecDeque<Question>,
    under_way: usize,
    at_a_time: usize,
    waiting: usize,
    most_waiting: usize,
    paused_until: u64,
}

impl Flights {
    pub(crate) fn new(at_a_time: usize, most_waiting: usize) -> Self {
        Self {
            by_question: HashMap::default(),
            lane: VecDeque::new(),
            under_way: 0,
            at_a_time,
            waiting: 0,
            most_waiting,
            paused_until: 0,
        }
    }

    pub(crate) fn ask(&mut self, question: Question, now: u64) -> Asked {
        if self.waiting >= self.most_waiting {
            return Asked::Refused;
        }
        self.waiting += 1;
        if let Some(flight) = self.by_question.get_mut(&question) {
            flight.waiting.push(now);
            return Asked::Joined;
        }
        let flight = Flight {
            boarded: now,
            departed: now,
            waiting: vec![now],
        };
        self.by_question.insert(question, flight);
        self.lane.push_back(question);
        Asked::Boarded
    }

    /// The next one whose turn it is, with the time at which it boarded.
    pub(crate) fn depart(&mut self, now: u64) -> Option<(Question, u64)> {
        if self.under_way >= self.at_a_time || now < self.paused_until {
            return None;
        }
        let question = self.lane.pop_front()?;
        let flight = self.by_question.get_mut(&question)?;
        flight.departed = now;
        self.under_way += 1;
        Some((question, flight.boarded))
    }

    pub(crate) fn boarded(&self, question: Question) -> Option<u64> {
        Some(self.by_question.get(&question)?.boarded)
    }

    /// One that was under way has ended.
    pub(crate) fn land(&mut self, question: Question) -> Option<Flight> {
        self.under_way -= 1;
        self.remove(question)
    }

    /// One that boarded before `since` and is still waiting for its turn.
    pub(crate) fn give_up(&mut self, since: u64) -> Option<Flight> {
        let &question = self.lane.front()?;
        if self.by_question.get(&question)?.boarded >= since {
            return None;
        }
        self.lane.pop_front();
        self.remove(question)
    }

    pub(crate) fn pause(&mut self, until: u64) {
        self.paused_until = until;
    }

    fn remove(&mut self, question: Question) -> Option<Flight> {
        let flight = self.by_question.remove(&question)?;
        self.waiting -= flight.waiting.len();
        Some(flight)
    }
}
