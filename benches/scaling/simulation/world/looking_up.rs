//! Requests, and the look-ups of those that miss.

use super::World;
use crate::simulation::calendar::Event;
use crate::simulation::database::cost;
use crate::simulation::flights::{Asked, Flight, Question};
use crate::simulation::memory::Recalled;
use crate::simulation::moment::nanos;
use crate::simulation::{costs, settings};

impl World<'_> {
    pub(super) fn next_request(&mut self) {
        let a_second = self.scenario.requests * f64::from(self.scenario.replicas);
        if a_second > 0.0 {
            let wait = self.chance_of_requests.wait() / a_second;
            self.calendar.enter(self.now + nanos(wait), Event::Request);
        }
    }

    pub(super) fn request(&mut self) {
        self.next_request();
        let (now, counts) = (self.now, self.counts());
        let replica = self.chance_of_requests.below(self.scenario.replicas);
        let key = self.popularity.draw(&mut self.chance_of_requests);
        let here = &mut self.replicas[replica as usize];
        // The order of `authorize`: one reading of lease and tag, then what is remembered.
        let reading = here.freshness.read(here.shard_of(key));
        let recalled = here.memory.recall(key, reading.tag, now);
        let trusted = reading.is_trusted(now, nanos(settings::MAX_STALENESS));
        if counts {
            self.outcome.requests += 1;
        }
        if trusted && recalled == Recalled::Known {
            if counts {
                self.outcome.hits += 1;
            }
            self.used(replica, key);
            return;
        }
        self.give_up(replica);
        let tag = reading.tag;
        let question = Question { key, tag };
        let asked = self.replica(replica).flights.ask(question, now);
        if counts {
            match asked {
                Asked::Refused => self.refused(1),
                Asked::Joined => {}
                Asked::Boarded if recalled == Recalled::OutOfDate => {
                    self.outcome.owed_to_changes += 1;
                }
                Asked::Boarded => self.outcome.cold += 1,
            }
        }
        self.depart(replica);
    }

    /// Those whose turn did not come in time.
    fn give_up(&mut self, replica: u32) {
        let since = self.now - nanos(self.scenario.turn_within);
        while let Some(flight) = self.replica(replica).flights.give_up(since) {
            self.refused(flight.waiting.len());
        }
    }

    pub(super) fn depart(&mut self, replica: u32) {
        self.give_up(replica);
        let now = self.now;
        while let Some((question, boarded)) = self.replica(replica).flights.depart(now) {
            let by_standby = self.scenario.standby_lag.is_some();
            self.look_up(replica, question, boarded, by_standby);
        }
    }

    fn look_up(&mut self, replica: u32, question: Question, boarded: u64, by_standby: bool) {
        let spent = cost(costs::LOOK_UP);
        let arrived = self.now + Self::way();
        let (cores, lag) = if by_standby {
            let lag = self.scenario.standby_lag.unwrap_or_default();
            (&mut self.standby, nanos(lag))
        } else {
            (&mut self.primary, 0)
        };
        let executed = cores.execute(arrived, spent);
        if self.counts() {
            self.outcome.spent.look_ups += spent;
            let elapsed = self.now - self.counting_from;
            self.outcome.second_at(elapsed).look_ups += 1;
        }
        let answered = executed.ended + Self::way();
        let deadline = boarded + nanos(settings::LOOK_UP_DEADLINE);
        if answered > deadline {
            let cut_off = Event::CutOff { replica, question };
            self.calendar.enter(deadline, cut_off);
        } else {
            let looked_up = Event::LookedUp {
                replica,
                question,
                snapshot: executed.began - lag,
                by_standby,
            };
            self.calendar.enter(answered, looked_up);
        }
    }

    pub(super) fn looked_up(
        &mut self,
        replica: u32,
        question: Question,
        snapshot: u64,
        by_standby: bool,
    ) {
        let revision = self.history.revision_at(snapshot);
        let behind = question.tag.is_ahead_of(revision);
        if behind && by_standby {
            if self.counts() {
                self.outcome.asked_twice += 1;
            }
            if let Some(boarded) = self.replica(replica).flights.boarded(question) {
                self.look_up(replica, question, boarded, false);
            }
            return;
        }
        let Some(flight) = self.replica(replica).flights.land(question) else {
            return;
        };
        if behind {
            self.refused(flight.waiting.len());
        } else {
            let Question { key, tag } = question;
            let expires = self.now + nanos(self.scenario.time_to_live);
            let noted = self.uses.get(&key).copied().unwrap_or_default();
            let now = self.now;
            let memory = &mut self.replica(replica).memory;
            memory.remember(key, tag, now, expires, noted);
            self.used(replica, key);
            self.waited(&flight);
        }
        self.depart(replica);
    }

    pub(super) fn cut_off(&mut self, replica: u32, question: Question) {
        if self.counts() {
            self.outcome.cut_off += 1;
        }
        if let Some(flight) = self.replica(replica).flights.land(question) {
            self.refused(flight.waiting.len());
            // Most of the time went by in the queue otherwise, which is no fault of the store's.
            if self.now - flight.departed >= nanos(settings::LOOK_UP_DEADLINE / 2.0) {
                let until = self.now + nanos(settings::PAUSE);
                self.replica(replica).flights.pause(until);
                self.calendar.enter(until, Event::PauseOver { replica });
            }
        }
        self.depart(replica);
    }

    fn used(&mut self, replica: u32, key: u32) {
        let (now, every) = (self.now, nanos(self.scenario.last_used_every));
        if self.replica(replica).memory.note_use(key, now, every) {
            self.uses.insert(key, now);
            if self.counts() {
                self.outcome.uses += 1;
                self.outcome.spent.uses += cost(costs::USE);
            }
        }
    }

    fn refused(&mut self, requests: usize) {
        if self.counts() {
            let elapsed = self.now - self.counting_from;
            self.outcome.refused += requests as u64;
            self.outcome.second_at(elapsed).refused += requests as u64;
        }
    }

    fn waited(&mut self, flight: &Flight) {
        if self.counts() {
            for came in &flight.waiting {
                self.outcome.waits.add(self.now - came);
            }
        }
    }
}
