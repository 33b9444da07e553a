//! How many are let through in how much time, for each of those that they are counted for.

use std::fmt;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use http::StatusCode;

use super::answer::Refused;
use crate::clock::Clock;

/// A limit, and what was counted of late.
pub(super) struct Rate<K: Eq + Hash + Clone> {
    kind: Kind,
    most: NonZeroU32,
    within: Duration,
    clock: BootClock,
    counted: RateLimiter<K, HashMapStateStore<K>, BootClock, NoOpMiddleware<Nanos>>,
}

/// What is counted.
#[derive(Clone, Copy)]
pub(super) struct Kind {
    /// Its name in `RateLimit` and `RateLimit-Policy`.
    pub(super) name: &'static str,
    /// What is told to whoever comes too late.
    pub(super) why: &'static str,
    /// For how many it is counted at a time, so that strangers do not fill the memory.
    pub(super) room: usize,
}

/// Time as the keyring has it.
#[derive(Clone)]
struct BootClock(Arc<dyn Clock>);

impl governor::clock::Clock for BootClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::new(self.0.boot().as_nanos())
    }
}

impl<K: Eq + Hash + Clone> Rate<K> {
    /// That many at once, and then one more whenever its share of the time has passed. `None` if
    /// nothing could be let through at all.
    pub(super) fn new(
        kind: Kind,
        most: u32,
        within: Duration,
        clock: Arc<dyn Clock>,
    ) -> Option<Self> {
        let most = NonZeroU32::new(most)?;
        if within.is_zero() {
            return None;
        }
        let share = (within / most.get()).max(Duration::from_nanos(1));
        let quota = Quota::with_period(share)?.allow_burst(most);
        let clock = BootClock(clock);
        Some(Self {
            kind,
            most,
            within,
            counted: RateLimiter::hashmap_with_clock(quota, clock.clone()),
            clock,
        })
    }

    /// One more for this one. Where there is no room to count it, it waits for others to be over.
    pub(super) fn count(&self, whom: &K) -> Result<(), Refused> {
        if !self.has_room() {
            return Err(self.refused(self.within / self.most.get()));
        }
        self.check(whom)
    }

    /// One more for this one. Where there is no room to count it, it is let through.
    pub(super) fn count_if_there_is_room(&self, whom: &K) -> Result<(), Refused> {
        if !self.has_room() {
            return Ok(());
        }
        self.check(whom)
    }

    fn has_room(&self) -> bool {
        if self.counted.len() >= self.kind.room {
            self.counted.retain_recent();
        }
        self.counted.len() < self.kind.room
    }

    fn check(&self, whom: &K) -> Result<(), Refused> {
        self.counted.check_key(whom).map_err(|not_until| {
            let now = governor::clock::Clock::now(&self.clock);
            self.refused(not_until.wait_time_from(now))
        })
    }

    /// Refused, for so long.
    fn refused(&self, wait: Duration) -> Refused {
        let seconds = |time: Duration| time.as_nanos().div_ceil(1_000_000_000).max(1);
        let (wait, within) = (seconds(wait), seconds(self.within));
        let (name, most) = (self.kind.name, self.most);
        Refused::problem(StatusCode::TOO_MANY_REQUESTS, "rate_limited")
            .because(self.kind.why)
            .with("retry-after", &wait.to_string())
            .with("ratelimit", &format!(r#""{name}";r=0;t={wait}"#))
            .with(
                "ratelimit-policy",
                &format!(r#""{name}";q={most};w={within}"#),
            )
    }
}

impl<K: Eq + Hash + Clone> fmt::Debug for Rate<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rate")
            .field("name", &self.kind.name)
            .field("most", &self.most)
            .field("within", &self.within)
            .finish_non_exhaustive()
    }
}

/// For which network an address is counted: its own if it is IPv4, and else that of its first
/// `bits` bits, since nobody has only one of the others.
pub(super) fn network_of(address: IpAddr, bits: u32) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(six) => {
            let host = u128::MAX.checked_shr(bits).unwrap_or(0);
            Ipv6Addr::from_bits(six.to_bits() & !host).into()
        }
        four @ IpAddr::V4(_) => four,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::FakeClock;

    const FEW: Kind = Kind {
        name: "few",
        why: "too many",
        room: 100,
    };

    fn rate(most: u32, within: Duration) -> (Rate<usize>, FakeClock) {
        let clock = FakeClock::new();
        let rate = Rate::new(FEW, most, within, Arc::new(clock.clone())).unwrap();
        (rate, clock)
    }

    #[test]
    fn one_more_is_let_through_whenever_its_share_has_passed() {
        let (rate, clock) = rate(3, Duration::from_mins(30));
        for _ in 0..3 {
            assert!(rate.count(&1).is_ok());
        }
        assert!(rate.count(&1).is_err());
        assert!(rate.count(&2).is_ok(), "each for itself");
        clock.advance(Duration::from_mins(10) - Duration::from_secs(1));
        assert!(rate.count(&1).is_err());
        clock.advance(Duration::from_secs(1));
        assert!(rate.count(&1).is_ok() && rate.count(&1).is_err());
    }

    #[test]
    fn a_crowd_is_counted_in_bounded_room() {
        let (rate, clock) = rate(1, Duration::from_mins(1));
        for n in 0..FEW.room {
            assert!(rate.count(&n).is_ok());
        }
        assert!(rate.count(&FEW.room).is_err(), "there is no room for it");
        assert!(rate.count_if_there_is_room(&FEW.room).is_ok());
        assert!(rate.count_if_there_is_room(&0).is_ok(), "nor to know it");
        assert_eq!(rate.counted.len(), FEW.room);
        clock.advance(Duration::from_mins(2));
        assert!(rate.count(&FEW.room).is_ok(), "what is over makes room");
        assert!(rate.count_if_there_is_room(&FEW.room).is_err());
        assert_eq!(rate.counted.len(), 1);
    }

    #[test]
    fn there_is_no_limit_of_nothing() {
        let new = |most, within| Rate::<()>::new(FEW, most, within, Arc::new(FakeClock::new()));
        assert!(new(0, Duration::from_mins(1)).is_none());
        assert!(new(1, Duration::ZERO).is_none());
        assert!(new(u32::MAX, Duration::from_nanos(1)).is_some());
    }

    #[test]
    fn an_address_is_counted_for_its_network() {
        for (address, bits, network) in [
            ("192.0.2.1", 64, "192.0.2.1"),
            ("::ffff:192.0.2.1", 64, "192.0.2.1"),
            ("2001:db8:1:2:3:4:5:6", 64, "2001:db8:1:2::"),
            ("2001:db8:1:2:3:4:5:6", 48, "2001:db8:1::"),
            ("2001:db8::1", 128, "2001:db8::1"),
        ] {
            let found = network_of(address.parse().unwrap(), bits);
            assert_eq!(found.to_string(), network, "{address}");
        }
    }
}
