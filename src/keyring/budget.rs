//! How many look-ups may end in "no such key".
//!
//! A checksum that anybody can compute does not stop a flood of well-formed junk, and a cache does
//! not either, since every key of it is new. So look-ups of digests that never opened a key draw on
//! a budget; one that finds a key gives back what it drew, so that a cold start costs nothing.

use std::sync::{Arc, Mutex, PoisonError};

use crate::clock::BootTime;

/// A token bucket, full at the start.
#[derive(Clone)]
pub(crate) struct Budget {
    bucket: Arc<Mutex<Bucket>>,
    a_second: f64,
    burst: f64,
}

struct Bucket {
    tokens: f64,
    filled: Option<BootTime>,
}

/// One unit drawn. Given back when dropped, unless it was spent.
pub(crate) struct Reservation {
    budget: Budget,
    spent: bool,
}

impl Budget {
    pub(crate) fn new(a_second: u32, burst: u32) -> Self {
        let burst = f64::from(burst);
        Self {
            bucket: Arc::new(Mutex::new(Bucket {
                tokens: burst,
                filled: None,
            })),
            a_second: f64::from(a_second),
            burst,
        }
    }

    pub(crate) fn reserve(&self, now: BootTime) -> Option<Reservation> {
        let mut bucket = self.bucket.lock().unwrap_or_else(PoisonError::into_inner);
        let since = bucket
            .filled
            .map_or(0.0, |filled| now.saturating_since(filled).as_secs_f64());
        bucket.filled = bucket.filled.max(Some(now));
        bucket.tokens = (bucket.tokens + since * self.a_second).min(self.burst);
        if bucket.tokens < 1.0 {
            return None;
        }
        bucket.tokens -= 1.0;
        Some(Reservation {
            budget: self.clone(),
            spent: false,
        })
    }
}

impl Reservation {
    pub(crate) fn spend(mut self) {
        self.spent = true;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if !self.spent {
            let budget = &self.budget;
            let mut bucket = budget.bucket.lock().unwrap_or_else(PoisonError::into_inner);
            bucket.tokens = (bucket.tokens + 1.0).min(budget.burst);
        }
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
            budget.reserve(at(1)).expect("the burst").spend();
        }
        assert!(budget.reserve(at(1)).is_none());
        assert!(budget.reserve(at(400)).is_none(), "not yet half a second");
        assert!(budget.reserve(at(600)).is_some());
    }

    #[test]
    fn what_finds_a_key_is_given_back() {
        let budget = Budget::new(1, 1);
        for _ in 0..100 {
            drop(budget.reserve(at(1)).expect("given back each time"));
        }
    }

    #[test]
    fn an_idle_hour_does_not_save_up_more_than_the_burst() {
        let budget = Budget::new(1_000, 2);
        budget.reserve(at(1)).expect("full").spend();
        for _ in 0..2 {
            budget.reserve(at(3_600_000)).expect("full again").spend();
        }
        assert!(budget.reserve(at(3_600_000)).is_none());
    }

    #[test]
    fn a_clock_that_stands_still_or_lies_behind_gives_nothing() {
        let budget = Budget::new(1, 1);
        budget.reserve(at(1_000)).expect("full").spend();
        assert!(budget.reserve(at(1_000)).is_none());
        assert!(budget.reserve(at(0)).is_none());
    }
}
