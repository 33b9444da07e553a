//! How many look-ups may end in "no such key".
//!
//! A checksum that anybody can compute does not stop a flood of well-formed junk, and a cache does
//! not either, since every key of it is new. So look-ups of digests that never opened a key draw on
//! a budget if they find nothing; one that finds a key costs nothing, nor does one that is still
//! under way, so that a cold start is free however many keys come at once.

use std::sync::PoisonError;

use super::concurrency::{Mutex, MutexGuard};
use crate::clock::BootTime;

/// A token bucket, full at the start. It is charged for what was found to be unknown, so that its
/// level falls below zero by as many look-ups as were under way when it ran out.
pub(crate) struct Budget {
    bucket: Mutex<Bucket>,
    a_second: f64,
    burst: f64,
}

struct Bucket {
    tokens: f64,
    filled: Option<BootTime>,
}

impl Budget {
    pub(crate) fn new(a_second: u32, burst: u32) -> Self {
        let burst = f64::from(burst);
        Self {
            bucket: Mutex::new(Bucket {
                tokens: burst,
                filled: None,
            }),
            a_second: f64::from(a_second),
            burst,
        }
    }

    /// Whether a digest that never opened anything must not be looked up now.
    pub(crate) fn is_spent(&self, now: BootTime) -> bool {
        self.filled(now).tokens < 1.0
    }

    /// A look-up found nothing.
    pub(crate) fn spend(&self, now: BootTime) {
        self.filled(now).tokens -= 1.0;
    }

    fn filled(&self, now: BootTime) -> MutexGuard<'_, Bucket> {
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let since = bucket
            .filled
            .map_or(0.0, |filled| now.saturating_since(filled).as_secs_f64());
        bucket.filled = bucket.filled.max(Some(now));
        bucket.tokens = (bucket.tokens + since * self.a_second).min(self.burst);
        bucket
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> BootTime {
        BootTime::from_nanos(millis * 1_000_000)
    }

    #[test]
    fn the_burst_and_then_so_many_a_second() {
        let budget = Budget::new(2, 3);
        for _ in 0..3 {
            assert!(!budget.is_spent(at(1)), "the burst");
            budget.spend(at(1));
        }
        assert!(budget.is_spent(at(1)));
        assert!(budget.is_spent(at(400)), "not yet half a second");
        assert!(!budget.is_spent(at(600)));
    }

    #[test]
    fn what_is_not_spent_costs_nothing() {
        let budget = Budget::new(1, 1);
        assert!((0..100).all(|_| !budget.is_spent(at(1))));
    }

    #[test]
    fn what_was_under_way_when_it_ran_out_is_made_up_for() {
        let budget = Budget::new(1, 1);
        for _ in 0..3 {
            budget.spend(at(1));
        }
        assert!(budget.is_spent(at(2_500)));
        assert!(!budget.is_spent(at(3_001)));
    }

    #[test]
    fn an_idle_hour_does_not_save_up_more_than_the_burst() {
        let budget = Budget::new(1_000, 2);
        budget.spend(at(1));
        for _ in 0..2 {
            assert!(!budget.is_spent(at(3_600_000)), "full again");
            budget.spend(at(3_600_000));
        }
        assert!(budget.is_spent(at(3_600_000)));
    }

    #[test]
    fn a_clock_that_stands_still_or_lies_behind_gives_nothing() {
        let budget = Budget::new(1, 1);
        budget.spend(at(1_000));
        assert!(budget.is_spent(at(1_000)));
        assert!(budget.is_spent(at(0)));
    }
}
