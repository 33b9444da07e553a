//! What a run counted.

use super::moment::{MILLISECOND, SECOND, float, seconds};

/// The database's processor time by what it was spent on, in nanoseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spent {
    pub(crate) syncs: u64,
    pub(crate) nudges: u64,
    pub(crate) look_ups: u64,
    pub(crate) changes: u64,
    pub(crate) uses: u64,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    /// How long was counted.
    pub(crate) lasted: u64,
    pub(crate) syncs: u64,
    pub(crate) change_rows: u64,
    /// Changes and new keys that were committed.
    pub(crate) commits: u64,
    pub(crate) requests: u64,
    pub(crate) hits: u64,
    /// Look-ups of keys that were not remembered, or too long.
    pub(crate) cold: u64,
    /// Look-ups of keys that would still have been remembered but for a change.
    pub(crate) owed_to_changes: u64,
    /// Look-ups that the standby answered in vain.
    pub(crate) asked_twice: u64,
    /// Requests that were answered with 503.
    pub(crate) refused: u64,
    /// Look-ups that the store did not answer within their deadline.
    pub(crate) cut_off: u64,
    pub(crate) uses: u64,
    /// Answers that may be believed, in all replicas, at the end.
    pub(crate) warm: u64,
    pub(crate) spent: Spent,
    /// From a revoke's answer until another replica refuses the key.
    pub(crate) until_refused: Delays,
    /// How long requests waited that had to.
    pub(crate) waits: Delays,
    /// Look-ups and requests refused, by the second.
    pub(crate) by_second: Vec<Second>,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Second {
    pub(crate) look_ups: u64,
    pub(crate) refused: u64,
}

impl Outcome {
    /// How many a second.
    pub(crate) fn rate(&self, count: u64) -> f64 {
        float(count) / seconds(self.lasted)
    }

    pub(crate) fn look_ups(&self) -> u64 {
        self.cold + self.owed_to_changes
    }

    pub(crate) fn hit_rate(&self) -> f64 {
        float(self.hits) / float(self.requests)
    }

    /// So many cores were busy on average.
    pub(crate) fn cores(&self, spent: u64) -> f64 {
        float(spent) / float(self.lasted)
    }

    pub(crate) fn second_at(&mut self, elapsed: u64) -> &mut Second {
        let second = usize::try_from(elapsed / SECOND).unwrap_or(usize::MAX);
        if self.by_second.len() <= second {
            self.by_second.resize(second + 1, Second::default());
        }
        &mut self.by_second[second]
    }
}

/// Delays, counted by the tenth of a millisecond.
#[derive(Clone, Debug, Default)]
pub(crate) struct Delays {
    counts: Vec<u64>,
    total: u64,
}

const STEP: u64 = MILLISECOND / 10;

impl Delays {
    pub(crate) fn add(&mut self, delay: u64) {
        let step = usize::try_from(delay / STEP).unwrap_or(usize::MAX);
        if self.counts.len() <= step {
            self.counts.resize(step + 1, 0);
        }
        self.counts[step] += 1;
        self.total += 1;
    }

    /// In milliseconds: below it lies this part of all. Not a number where nothing was counted.
    pub(crate) fn percentile(&self, part: f64) -> f64 {
        let mut left = part * float(self.total);
        for (step, &count) in (1..).zip(&self.counts) {
            left -= float(count);
            if count > 0 && left <= 0.0 {
                return float(step) / 10.0;
            }
        }
        f64::NAN
    }
}
