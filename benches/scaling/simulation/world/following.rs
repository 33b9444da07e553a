//! Syncs: asked for, executed, applied.

use super::World;
use crate::simulation::calendar::Event;
use crate::simulation::database::cost;
use crate::simulation::following::{Asker, Next};
use crate::simulation::moment::nanos;
use crate::simulation::{costs, settings};

impl World<'_> {
    pub(super) fn go_on(&mut self, replica: u32, next: Option<Next>) {
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

    pub(super) fn ask_for_sync(&mut self, replica: u32, asker: Asker) {
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

    pub(super) fn synced(&mut self, replica: u32, began: u64, snapshot: u64) {
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
        let mut asker = here.following.done();
        while let Some(done) = asker {
            match done {
                Asker::Write(revision) => self.history.answered(revision, now),
                Asker::Follower => {
                    let next = self.replica(replica).following.rest();
                    self.go_on(replica, Some(next));
                }
            }
            asker = self.replica(replica).following.settled();
        }
        if self.replica(replica).following.is_wanted() {
            self.send_sync(replica);
        }
    }
}
