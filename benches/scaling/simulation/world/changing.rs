//! A change: executed, put in order by the lock, committed, heeded by its writer, and answered.

use super::World;
use crate::simulation::calendar::Event;
use crate::simulation::costs;
use crate::simulation::database::{Change, What, cost};
use crate::simulation::following::Asker;
use crate::simulation::moment::nanos;

impl World<'_> {
    pub(super) fn next_change(&mut self) {
        self.next(self.scenario.changes, Event::Change);
    }

    pub(super) fn next_creation(&mut self) {
        self.next(self.scenario.creations, Event::Creation);
    }

    fn next(&mut self, a_second: f64, event: Event) {
        if a_second > 0.0 {
            let wait = self.chance_of_changes.wait() / a_second;
            self.calendar.enter(self.now + nanos(wait), event);
        }
    }

    pub(super) fn change(&mut self, what: What) {
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

    pub(super) fn commit(&mut self, writer: u32, what: What) {
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

    pub(super) fn committed(&mut self, writer: u32, revision: u64) {
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
}
