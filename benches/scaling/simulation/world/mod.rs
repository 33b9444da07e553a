//! The run itself: a calendar of events, from the first request to the last.

mod changing;
mod following;
mod looking_up;

use std::collections::HashMap;

use super::calendar::{Calendar, Event};
use super::chance::Chance;
use super::costs;
use super::database::{Cores, History, RevisionLock, What, cost};
use super::following::Asker;
use super::moment::{SECOND, nanos};
use super::outcome::Outcome;
use super::popularity::Popularity;
use super::replica::Replica;
use super::scenario::{Begin, Scenario};

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
}
