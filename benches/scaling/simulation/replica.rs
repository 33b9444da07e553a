//! One replica: the crate's own freshness core, and around it what a keyring has.

use super::chance::{Chance, mixed};
use super::database::{Change, What};
use super::flights::Flights;
use super::following::Following;
use super::freshness::{Falsified, Freshness, Tag};
use super::memory::Memory;
use super::moment::nanos;
use super::popularity::Octave;
use super::scenario::Scenario;
use super::{arithmetic, settings};

pub(crate) struct Replica {
    pub(crate) freshness: Freshness,
    pub(crate) memory: Memory,
    pub(crate) following: Following,
    pub(crate) flights: Flights,
    /// A notification is on its way to it, and will do for those that come meanwhile.
    pub(crate) nudge_under_way: bool,
    shards: u32,
}

impl Replica {
    /// In step with a store in which nothing has happened yet.
    pub(crate) fn in_step(scenario: &Scenario, now: u64) -> Self {
        let freshness = Freshness::at(0, scenario.shards as usize);
        freshness.publish_sync(now);
        Self {
            freshness,
            memory: Memory::default(),
            following: Following::new(),
            flights: Flights::new(settings::LOOK_UPS_AT_A_TIME, settings::WAITING_FOR_NEW),
            nudge_under_way: false,
            shards: scenario.shards,
        }
    }

    /// Fills the memory as it is after a long time: so many keys of each octave, each looked up so
    /// long ago, and some of them out of date since.
    pub(crate) fn warm_up(&mut self, scenario: &Scenario, now: u64, chance: &mut Chance) {
        for (octave, share) in scenario.popularity().octaves() {
            let requests = scenario.requests * share;
            let kept = arithmetic::kept(scenario, requests);
            if kept > 0.2 {
                for key in octave.first..octave.first + octave.keys {
                    if chance.fraction() < kept {
                        self.recollect(key, requests, scenario, now, chance);
                    }
                }
            } else {
                let mut left = kept * f64::from(octave.keys);
                while left > chance.fraction() {
                    let key = any_new(&self.memory, octave, chance);
                    self.recollect(key, requests, scenario, now, chance);
                    left -= 1.0;
                }
            }
        }
    }

    fn recollect(
        &mut self,
        key: u32,
        requests: f64,
        scenario: &Scenario,
        now: u64,
        chance: &mut Chance,
    ) {
        let (age, up_to_date) = age(scenario, requests, chance);
        let tag = up_to_date.then(|| self.tag_of(key));
        let expires = now + nanos(scenario.time_to_live - age);
        let noted = now - nanos(chance.fraction() * scenario.last_used_every);
        self.memory.recollect(key, tag, expires, noted);
    }

    /// Heeds a change at its revision.
    pub(crate) fn heed(&self, what: What, revision: u64) {
        let bump = |key, falsified| {
            self.freshness.bump(self.shard_of(key), falsified, revision);
        };
        match what {
            What::Created(key) => bump(key, Falsified::Absence),
            What::Changed(key) => bump(key, Falsified::Everything),
            What::Anything => self.freshness.bump_all(revision),
        }
    }

    /// What a sync brings. Gives back how many change rows that were.
    pub(crate) fn apply(
        &mut self,
        changes: impl Iterator<Item = (u64, Change)>,
        upto: u64,
        began: u64,
    ) -> u64 {
        let mut rows = 0;
        for (revision, change) in changes {
            self.heed(change.what, revision);
            rows += 1;
        }
        self.following.applied = upto;
        self.following.seamless = self.following.seamless.max(upto);
        // Last: the lease vouches for everything above.
        self.freshness.publish_sync(began);
        rows
    }

    pub(crate) fn believed(&self, now: u64) -> u64 {
        let tag = |key| self.tag_of(key);
        self.memory.believed(now, tag)
    }

    fn tag_of(&self, key: u32) -> Tag {
        self.freshness.read(self.shard_of(key)).tag
    }

    pub(crate) fn shard_of(&self, key: u32) -> usize {
        let spread = mixed(key.into()) % u64::from(self.shards);
        usize::try_from(spread).unwrap_or(usize::MAX)
    }
}

fn any_new(memory: &Memory, octave: Octave, chance: &mut Chance) -> u32 {
    loop {
        let key = octave.first + chance.below(octave.keys);
        if !memory.contains(key) {
            return key;
        }
    }
}

/// How long ago an answer was looked up that is still kept, and whether its tag has stayed where it
/// was. It may have been at any time, if no request has looked it up again since.
fn age(scenario: &Scenario, requests: f64, chance: &mut Chance) -> (f64, bool) {
    loop {
        let age = chance.fraction() * scenario.time_to_live;
        let up_to_date = chance.wait() / scenario.tag_moves();
        if up_to_date > age {
            return (age, true);
        }
        if up_to_date + chance.wait() / requests > age {
            return (age, false);
        }
    }
}
