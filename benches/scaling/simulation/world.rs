//! The run itself: a calendar of events, from the first request to the last.

use std::collections::HashMap;

use super::calendar::{Calendar, Event};
use super::chance::Chance;
use super::costs;
use super::database::{Change, Cores, History, RevisionLock, What, cost};
use super::flights::{Asked, Flight, Question};
use super::following::{Asker, Next};
use super::memory::Recalled;
use super::moment::{SECOND, nanos};
use super::outcome::Outcome;
use super::popularity::Popularity;
use super::replica::Replica;
use super::scenario::{Begin, Scenario};
use super::settings;

/// A while after the machines were started, so that what happened before has a time too.
const START: u64 = 100_000 * SECOND;

pub(crate) fn run(scenario: &Scenario) -> Outcome {
    let mut world = World::new(scenario);
    world.schedule_the_first();
    world.live();
    world.outcome
}

struct World<'a> {
    scenario: &'a Scenario,
    popularity: Popularity,
    /// Apart, so that more requests do not mean other changes.
    chance_of_requests: Chance,
    chance_of_changes: Chance,
    calendar: Calendar,
    primary: Cores,
    standby: Cores,
    lock: RevisionLock,
    history: History,
    replicas: Vec<Replica>,
    /// When the store says that keys were last used.
    uses: HashMap<u32, u64>,
    now: u64,
    counting_from: u64,
    end: u64,
    outcome: Outcome,
}

impl<'a> World<'a> {
    fn new(scenario: &'a Scenario) -> Self {
        let mut chance = Chance::seeded(scenario.seed);
        let replicas = (0..scenario.replicas).map(|_| {
            let mut replica = Replica::in_step(scenario, START);
            if scenario.begin == Begin::Warm && scenario.requests > 0.0 {
                replica.warm_up(scenario, START, &mut chance);
            }
            replica
        });
        let counting_from = START + nanos(scenario.settle);
        let end = counting_from + nanos(scenario.counted);
        Self {
            scenario,
            popularity: scenario.popularity(),
            replicas: replicas.collect(),
            chance_of_requests: Chance::seeded(scenario.seed + 1),
            chance_of_changes: Chance::seeded(scenario.seed + 2),
            calendar: Calendar::default(),
            primary: Cores::new(scenario.cores),
            standby: Cores::new(scenario.cores),
            lock: RevisionLock::default(),
            history: History::default(),
            uses: HashMap::new(),
            now: START,
            counting_from,
            end,
            outcome: Outcome {
                lasted: end - counting_from,
                ..Outcome::default()
            },
        }
    }

    fn schedule_the_first(&mut self) {
        for replica in 0..self.scenario.replicas {
            let phase = self.chance_of_changes.fraction() * self.scenario.poll;
            let at = START + nanos(phase);
            self.calendar.enter(at, Event::Poll { replica, poll: 0 });
        }
        self.next_request();
        self.next_change();
        self.next_creation();
        if let Some(stop_at) = self.scenario.stop_at {
            self.calendar.enter(START + nanos(stop_at), Event::Stop);
        }
    }

    fn live(&mut self) {
        while let Some((at, event)) = self.calendar.next() {
            if at >= self.end {
                break;
            }
            self.now = at;
            self.happen(event);
        }
        self.now = self.end;
        self.outcome.warm = self.replicas.iter().map(|r| r.believed(self.end)).sum();
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Request => self.request(),
            Event::Change => {
                let key = self.chance_of_changes.below(self.scenario.keys);
                self.change(What::Changed(key));
                self.next_change();
            }
            Event::Creation => {
                let key = self.chance_of_changes.below(self.scenario.keys);
                self.change(What::Created(key));
                self.next_creation();
            }
            Event::Stop => self.change(What::Anything),
            Event::Commit { writer, what } => self.commit(writer, what),
            Event::Committed { writer, revision } => self.committed(writer, revision),
            Event::Poll { replica, poll } => {
                if self.replica(replica).following.is_due(poll) {
                    self.ask_for_sync(replica, Asker::Follower);
                }
            }
            Event::Nudge { replica } => {
                let here = self.replica(replica);
                here.nudge_under_way = false;
                let next = here.following.nudge();
                self.go_on(replica, next);
            }
            Event::GapOver { replica } => self.ask_for_sync(replica, Asker::Follower),
            Event::Synced {
                replica,
                began,
                snapshot,
            } => self.synced(replica, began, snapshot),
            Event::LookedUp {
                replica,
                question,
                snapshot,
                by_standby,
            } => self.looked_up(replica, question, snapshot, by_standby),
            Event::CutOff { replica, question } => self.cut_off(replica, question),
            Event::PauseOver { replica } => self.depart(replica),
        }
    }

    fn counts(&self) -> bool {
        self.now >= self.counting_from
    }

    fn replica(&mut self, replica: u32) -> &mut Replica {
        &mut self.replicas[replica as usize]
    }

    /// On the way to the database or back.
    fn way() -> u64 {
        cost(costs::ROUND_TRIP / 2.0)
    }

    // Changes: executed, put in order by the lock, committed, heeded by the writer, answered.

    fn next_change(&mut self) {
        self.next(self.scenario.changes, Event::Change);
    }

    fn next_creation(&mut self) {
        self.next(self.scenario.creations, Event::Creation);
    }

    fn next(&mut self, a_second: f64, event: Event) {
        if a_second > 0.0 {
            let wait = self.chance_of_changes.wait() / a_second;
            self.calendar.enter(self.now + nanos(wait), event);
        }
    }

    fn change(&mut self, what: What) {
        let writer = self.chance_of_changes.below(self.scenario.replicas);
        let spent = cost(costs::CHANGE);
        let executed = self.primary.execute(self.now + Self::way(), spent);
        let committed = self.lock.commit(executed.ended, cost(costs::LOCK_HELD));
        if self.counts() {
            self.outcome.spent.changes += spent;
        }
        let commit = Event::Commit { writer, what };
        self.calendar.enter(committed, commit);
    }

    fn commit(&mut self, writer: u32, what: What) {
        let revision = self.history.append(Change {
            what,
            writer,
            committed: self.now,
            answered: None,
        });
        if self.counts() {
            self.outcome.commits += 1;
        }
        let committed = Event::Committed { writer, revision };
        self.calendar.enter(self.now + Self::way(), committed);
        if self.scenario.nudged {
            for replica in 0..self.scenario.replicas {
                self.wake(replica);
            }
        }
    }

    fn wake(&mut self, replica: u32) {
        if self.replica(replica).nudge_under_way {
            return;
        }
        self.replica(replica).nudge_under_way = true;
        let spent = cost(costs::WAKE);
        let executed = self.primary.execute(self.now, spent);
        if self.counts() {
            self.outcome.spent.nudges += spent;
        }
        let at = executed.ended + Self::way();
        self.calendar.enter(at, Event::Nudge { replica });
    }

    fn committed(&mut self, writer: u32, revision: u64) {
        let what = self.history.change(revision).what;
        let here = self.replica(writer);
        here.heed(what, revision);
        if revision - 1 <= here.following.seamless {
            here.following.seamless = here.following.seamless.max(revision);
            self.history.answered(revision, self.now);
        } else {
            // Others have written before it.
            self.ask_for_sync(writer, Asker::Write(revision));
        }
    }

    // Syncs.

    fn go_on(&mut self, replica: u32, next: Option<Next>) {
        match next {
            Some(Next::SyncAfterGap) => {
                let at = self.now + nanos(settings::NUDGE_GAP);
                self.calendar.enter(at, Event::GapOver { replica });
            }
            Some(Next::Poll(poll)) => {
                let at = self.now + nanos(self.scenario.poll);
                self.calendar.enter(at, Event::Poll { replica, poll });
            }
            None => {}
        }
    }

    fn ask_for_sync(&mut self, replica: u32, asker: Asker) {
        if self.replica(replica).following.ask(asker) {
            self.send_sync(replica);
        }
    }

    fn send_sync(&mut self, replica: u32) {
        let began = self.now;
        let applied = self.replica(replica).following.applied;
        let rows = self.history.revision_at(began) - applied;
        let spent = cost(costs::SYNC) + rows * cost(costs::CHANGE_ROW);
        let executed = self.primary.execute(began + Self::way(), spent);
        if self.counts() {
            self.outcome.syncs += 1;
            self.outcome.spent.syncs += spent;
        }
        let synced = Event::Synced {
            replica,
            began,
            snapshot: executed.began,
        };
        self.calendar.enter(executed.ended + Self::way(), synced);
    }

    fn synced(&mut self, replica: u32, began: u64, snapshot: u64) {
        let (now, counts) = (self.now, self.counts());
        let here = &mut self.replicas[replica as usize];
        let upto = self.history.revision_at(snapshot);
        let applied = here.following.applied;
        let rows = here.apply(self.history.between(applied, upto), upto, began);
        if counts {
            self.outcome.change_rows += rows;
            for (_, change) in self.history.between(applied, upto) {
                if change.writer != replica {
                    let since = change.answered.unwrap_or(now);
                    self.outcome.until_refused.add(now - since);
                }
            }
        }
        let (asker, another) = here.following.done();
        let next = match asker {
            Some(Asker::Write(revision)) => {
                self.history.answered(revision, self.now);
                None
            }
            Some(Asker::Follower) => Some(here.following.rest()),
            None => None,
        };
        self.go_on(replica, next);
        if another {
            self.send_sync(replica);
        }
    }

    // Requests and look-ups.

    fn next_request(&mut self) {
        let a_second = self.scenario.requests * f64::from(self.scenario.replicas);
        if a_second > 0.0 {
            let wait = self.chance_of_requests.wait() / a_second;
            self.calendar.enter(self.now + nanos(wait), Event::Request);
        }
    }

    fn request(&mut self) {
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

    fn depart(&mut self, replica: u32) {
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

    fn looked_up(&mut self, replica: u32, question: Question, snapshot: u64, by_standby: bool) {
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

    fn cut_off(&mut self, replica: u32, question: Question) {
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
