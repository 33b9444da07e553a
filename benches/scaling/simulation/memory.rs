//! What a replica remembers of keys: under which tag, and for how long.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::chance::mixed;
use super::freshness::Tag;
use super::moment::MILLISECOND;

/// Answers about keys. Nothing is evicted: the capacity is taken to be large enough.
#[derive(Debug, Default)]
pub(crate) struct Memory(HashMap<u32, Entry, BuildHasherDefault<Spread>>);

/// Small, since a large fleet remembers many millions: times are in milliseconds, and revisions
/// of a run fit.
#[derive(Clone, Copy, Debug)]
struct Entry {
    tag: u32,
    expires: u32,
    /// When a use was last noted; 0 is never.
    noted: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recalled {
    Known,
    /// A change moved the tag since.
    OutOfDate,
    Nothing,
}

impl Memory {
    pub(crate) fn recall(&self, key: u32, tag: Tag, now: u64) -> Recalled {
        match self.0.get(&key) {
            Some(entry) if entry.expires <= millis(now) => Recalled::Nothing,
            Some(entry) if u64::from(entry.tag) == tag.positive => Recalled::Known,
            Some(_) => Recalled::OutOfDate,
            None => Recalled::Nothing,
        }
    }

    /// `noted` is when the store says that the key was last used.
    pub(crate) fn remember(&mut self, key: u32, tag: Tag, now: u64, expires: u64, noted: u64) {
        let known = self.0.get(&key);
        let known = known.filter(|entry| entry.expires > millis(now));
        let entry = Entry {
            tag: revision(tag.positive),
            expires: millis(expires),
            // The statistics outlive the answer that they hang on, but not its time.
            noted: known.map_or(millis(noted), |entry| entry.noted),
        };
        self.0.insert(key, entry);
    }

    /// Puts in an answer from before the run; without a tag it is out of date.
    pub(crate) fn recollect(&mut self, key: u32, tag: Option<Tag>, expires: u64, noted: u64) {
        let entry = Entry {
            tag: tag.map_or(u32::MAX, |tag| revision(tag.positive)),
            expires: millis(expires),
            noted: millis(noted),
        };
        self.0.insert(key, entry);
    }

    /// Whether this use is the one that is written down.
    pub(crate) fn note_use(&mut self, key: u32, now: u64, every: u64) -> bool {
        let Some(entry) = self.0.get_mut(&key) else {
            return false;
        };
        let wins = entry.noted == 0 || millis(now) - entry.noted >= millis(every);
        if wins {
            entry.noted = millis(now);
        }
        wins
    }

    pub(crate) fn contains(&self, key: u32) -> bool {
        self.0.contains_key(&key)
    }

    /// The keys whose answers may be believed, if the tag of each is what `tag` says.
    pub(crate) fn believed(&self, now: u64, tag: impl Fn(u32) -> Tag) -> u64 {
        let believed = self.0.keys();
        let believed = believed.filter(|&&key| self.recall(key, tag(key), now) == Recalled::Known);
        believed.count() as u64
    }
}

fn revision(revision: u64) -> u32 {
    u32::try_from(revision).unwrap_or(u32::MAX)
}

fn millis(moment: u64) -> u32 {
    u32::try_from(moment / MILLISECOND).unwrap_or(u32::MAX)
}

/// A hasher that is the same in every run.
#[derive(Debug, Default)]
pub(crate) struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(byte.into());
        }
    }

    fn write_u32(&mut self, number: u32) {
        self.write_u64(number.into());
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = mixed(self.0 ^ number);
    }
}
