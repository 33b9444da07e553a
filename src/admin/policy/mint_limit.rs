//! How many keys may be made in how much time.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use http::StatusCode;

use crate::admin::answer::Refused;
use crate::clock::Clock;
use crate::store::Owner;

/// How many owners and addresses are counted for at a time. Each of them was allowed a key within
/// the time of the limit; who comes when there are so many waits until one of these is over.
const MOST: usize = 100_000;

/// The first half of an IPv6 address: what one customer has at the least (RFC 6177).
const NETWORK: u128 = !0 << 64;

type Counted = RateLimiter<For, HashMapStateStore<For>, BootClock, NoOpMiddleware<Nanos>>;

/// The limit, and what was made of late.
pub(super) struct MintLimit {
    most: NonZeroU32,
    within: Duration,
    clock: BootClock,
    counted: Counted,
}

/// For whom keys are counted.
#[derive(Clone, PartialEq, Eq, Hash)]
enum For {
    Owner(Owner),
    Address(IpAddr),
}

/// Time as the keyring has it.
#[derive(Clone)]
pub(in crate::admin) struct BootClock(pub(in crate::admin) Arc<dyn Clock>);

impl governor::clock::Clock for BootClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::new(self.0.boot().as_nanos())
    }
}

impl MintLimit {
    /// `None` if none could be made at all.
    pub(super) fn new(most: u32, within: Duration, clock: Arc<dyn Clock>) -> Option<Self> {
        let most = NonZeroU32::new(most)?;
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

    /// One more key of this owner, asked for from this address if that is known.
    pub(super) fn count(&self, owner: &Owner, address: Option<IpAddr>) -> Result<(), Refused> {
        // The owner first: who has come to the limit takes nothing from others at the same address.
        self.count_for(&For::Owner(owner.clone()))?;
        match address {
            Some(address) => self.count_for(&For::Address(of_one_customer(address))),
            None => Ok(()),
        }
    }

    fn count_for(&self, whom: &For) -> Result<(), Refused> {
        if self.counted.len() >= MOST {
            self.counted.retain_recent();
            if self.counted.len() >= MOST {
                return Err(self.refused(self.within / self.most.get()));
            }
        }
        let counted = self.counted.check_key(whom);
        counted.map_err(|not_until| {
            let now = governor::clock::Clock::now(&self.clock);
            self.refused(not_until.wait_time_from(now))
        })
    }

    /// Refused, for so long.
    fn refused(&self, wait: Duration) -> Refused {
        let seconds = |time: Duration| time.as_nanos().div_ceil(1_000_000_000).max(1);
        let (wait, within) = (seconds(wait), seconds(self.within));
        Refused::problem(StatusCode::TOO_MANY_REQUESTS, "rate_limited")
            .because("too many keys were made of late")
            .with("retry-after", &wait.to_string())
            .with("ratelimit", &format!(r#""mint";r=0;t={wait}"#))
            .with(
                "ratelimit-policy",
                &format!(r#""mint";q={};w={within}"#, self.most),
            )
    }
}

pub(in crate::admin) fn of_one_customer(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(six) => Ipv6Addr::from_bits(six.to_bits() & NETWORK).into(),
        four @ IpAddr::V4(_) => four,
    }
}

impl fmt::Debug for MintLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MintLimit")
            .field("most", &self.most)
            .field("within", &self.within)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::FakeClock;

    fn limit(most: u32, within: Duration) -> (MintLimit, FakeClock) {
        let clock = FakeClock::new();
        let limit = MintLimit::new(most, within, Arc::new(clock.clone())).unwrap();
        (limit, clock)
    }

    #[test]
    fn each_owner_and_each_address_has_its_share() {
        let (limit, clock) = limit(3, Duration::from_mins(30));
        let owner = |name: &str| Owner::parse(name).unwrap();
        let at = |text: &str| Some(text.parse().unwrap());
        let count = |name: &str, address| limit.count(&owner(name), address).is_ok();
        assert!(count("a", None) && count("a", at("192.0.2.1")) && count("a", None));
        assert!(!count("a", None) && !count("a", at("192.0.2.9")));
        assert!(count("b", at("192.0.2.1")) && count("c", at("::ffff:192.0.2.1")));
        assert!(
            !count("d", at("192.0.2.1")),
            "the address has had its share"
        );
        assert!(
            count("e", at("192.0.2.9")),
            "who was refused before took nothing from it"
        );
        for last in 1..=3 {
            assert!(count("f", at(&format!("2001:db8::{last}"))));
        }
        assert!(!count("g", at("2001:db8::ffff:4")) && count("g", at("2001:db8:0:1::")));

        clock.advance(Duration::from_mins(10) - Duration::from_secs(1));
        assert!(!count("a", None));
        clock.advance(Duration::from_secs(1));
        assert!(count("a", None) && !count("a", None));
    }

    #[test]
    fn what_is_over_makes_room() {
        let (limit, clock) = limit(1, Duration::from_hours(1));
        let owner = |number: usize| Owner::parse(&number.to_string()).unwrap();
        for number in 0..MOST {
            assert!(limit.count(&owner(number), None).is_ok());
        }
        assert!(limit.count(&owner(MOST), None).is_err());
        assert_eq!(limit.counted.len(), MOST);
        clock.advance(Duration::from_hours(2));
        assert!(limit.count(&owner(MOST), None).is_ok());
        assert_eq!(limit.counted.len(), 1);
    }

    #[test]
    fn there_is_no_limit_of_nothing() {
        let clock = || Arc::new(FakeClock::new());
        assert!(MintLimit::new(0, Duration::from_hours(1), clock()).is_none());
        assert!(MintLimit::new(u32::MAX, Duration::from_nanos(1), clock()).is_some());
    }
}
