//! How many reports are looked into in how much time.

use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use http::StatusCode;

use crate::admin::answer::Refused;
use crate::admin::policy::{BootClock, of_one_customer};
use crate::clock::Clock;

/// How many addresses are counted for at a time. Whoever comes when there are so many is counted
/// with all others alone.
const MOST: usize = 10_000;

type Counted = RateLimiter<
    Option<IpAddr>,
    HashMapStateStore<Option<IpAddr>>,
    BootClock,
    NoOpMiddleware<Nanos>,
>;

/// A limit for all together, or for each address.
pub(super) struct Limit {
    most: NonZeroU32,
    within: Duration,
    clock: BootClock,
    counted: Counted,
}

impl Limit {
    /// `None` if nothing could be let through at all.
    pub(super) fn new(most: u32, within: Duration, clock: Arc<dyn Clock>) -> Option<Self> {
        let most = NonZeroU32::new(most)?;
        if within.is_zero() {
            return None;
        }
        let share = (within / most.get()).max(Duration::from_nanos(1));
        let quota = Quota::with_period(share)?.allow_burst(most);
        let clock = BootClock(clock);
        Some(Self {
            most,
            within,
            counted: RateLimiter::hashmap_with_clock(quota, clock.clone()),
            clock,
        })
    }

    /// One more of this address.
    pub(super) fn count_for(&self, address: IpAddr) -> Result<(), Refused> {
        if self.counted.len() >= MOST {
            self.counted.retain_recent();
            if self.counted.len() >= MOST {
                return Ok(());
            }
        }
        self.check(Some(of_one_customer(address)))
    }

    /// One more of anybody.
    pub(super) fn count(&self) -> Result<(), Refused> {
        self.check(None)
    }

    fn check(&self, whom: Option<IpAddr>) -> Result<(), Refused> {
        let counted = self.counted.check_key(&whom);
        counted.map_err(|not_until| {
            let now = governor::clock::Clock::now(&self.clock);
            let seconds = |time: Duration| time.as_nanos().div_ceil(1_000_000_000).max(1);
            let wait = seconds(not_until.wait_time_from(now));
            let (most, within) = (self.most, seconds(self.within));
            Refused::problem(StatusCode::TOO_MANY_REQUESTS, "rate_limited")
                .because("too many leaks were reported of late")
                .with("retry-after", &wait.to_string())
                .with("ratelimit", &format!(r#""leaks";r=0;t={wait}"#))
                .with(
                    "ratelimit-policy",
                    &format!(r#""leaks";q={most};w={within}"#),
                )
        })
    }
}

impl fmt::Debug for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limit")
            .field("most", &self.most)
            .field("within", &self.within)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::FakeClock;

    #[test]
    fn a_crowd_of_addresses_is_counted_in_bounded_room() {
        let clock = FakeClock::new();
        let limit = Limit::new(1, Duration::from_mins(1), Arc::new(clock.clone())).unwrap();
        let address = |n: usize| IpAddr::from(u32::try_from(n).unwrap().to_be_bytes());
        for n in 0..2 * MOST {
            assert!(limit.count_for(address(n)).is_ok());
        }
        assert_eq!(limit.counted.len(), MOST);
        assert!(
            limit.count_for(address(0)).is_ok(),
            "there is no room to know it"
        );
        clock.advance(Duration::from_mins(2));
        assert!(limit.count_for(address(0)).is_ok());
        assert!(limit.count_for(address(0)).is_err());
        assert_eq!(limit.counted.len(), 1);
    }

    #[test]
    fn there_is_no_limit_of_nothing() {
        let new = |most, within| Limit::new(most, within, Arc::new(FakeClock::new()));
        assert!(new(0, Duration::from_mins(1)).is_none());
        assert!(new(1, Duration::ZERO).is_none());
        assert!(new(u32::MAX, Duration::from_nanos(1)).is_some());
    }
}
