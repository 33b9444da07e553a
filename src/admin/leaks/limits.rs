//! How many reports are looked into: of one address, and of all.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::InvalidLeakReports;
use crate::admin::answer::Refused;
use crate::admin::rate::{Kind, Rate, network_of};
use crate::clock::Clock;

/// The longest time that reports are counted for.
const LONGEST: Duration = Duration::from_hours(24);

/// Whoever comes when there are so many addresses is counted with all others alone.
const REPORTED: Kind = Kind {
    name: "leaks",
    why: "too many leaks were reported of late",
    room: 10_000,
};

/// Of an IPv6 address, what one customer has at the most (RFC 6177): with less, one could come from
/// 65,536 networks and take the share of all.
const SITE: u32 = 48;

/// So many, in so much time.
pub(super) type Share = (u32, Duration);

/// Which part of the limit of all one address has, where nobody says.
const PART: u32 = 6;

/// The limits, and what was reported of late.
#[derive(Debug)]
pub(super) struct Limits {
    by_address: Rate<IpAddr>,
    all: Rate<()>,
}

impl Limits {
    /// Of which one address has less than all.
    pub(super) fn below(
        all: Share,
        by_address: Option<Share>,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, InvalidLeakReports> {
        let part = ((all.0 / PART).max(1), all.1);
        let limits = Self::new(all, by_address.unwrap_or(part), clock)?;
        if by_address.is_some_and(|of_one| !is_below(of_one, all)) {
            return Err(InvalidLeakReports::OneAddressUsesAll);
        }
        Ok(limits)
    }

    pub(super) fn new(
        all: Share,
        of_one: Share,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, InvalidLeakReports> {
        Ok(Self {
            all: rate(all, "the limit", clock)?,
            by_address: rate(of_one, "the limit by address", clock)?,
        })
    }

    /// One more from this address, before it is known whether there is anything in it.
    pub(super) fn count_for(&self, address: IpAddr) -> Result<(), Refused> {
        let network = network_of(address, SITE);
        self.by_address.count_if_there_is_room(&network)
    }

    /// One more that costs the store something.
    pub(super) fn count(&self) -> Result<(), Refused> {
        self.all.count(&())
    }
}

fn rate<K: Clone + Eq + std::hash::Hash>(
    (most, within): Share,
    what: &'static str,
    clock: &Arc<dyn Clock>,
) -> Result<Rate<K>, InvalidLeakReports> {
    if within > LONGEST {
        return Err(InvalidLeakReports::TooLong(what));
    }
    let rate = Rate::new(REPORTED, most, within, Arc::clone(clock));
    rate.ok_or(InvalidLeakReports::Nothing(what))
}

/// Whether who takes all of the one leaves something of the other: at once, and in the long run.
fn is_below(one: Share, all: Share) -> bool {
    let in_time = |of: Share, time: Duration| u128::from(of.0) * time.as_nanos();
    one.0 < all.0 && in_time(one, all.1) < in_time(all, one.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::FakeClock;

    const MINUTE: Duration = Duration::from_mins(1);

    fn limits(all: Share, of_one: Option<Share>) -> Result<Limits, InvalidLeakReports> {
        let clock: Arc<dyn Clock> = Arc::new(FakeClock::new());
        Limits::below(all, of_one, &clock)
    }

    #[test]
    fn one_address_never_has_the_share_of_all() {
        let uses_all = Some(InvalidLeakReports::OneAddressUsesAll);
        for (all, of_one, refused) in [
            ((60, MINUTE), Some((10, MINUTE)), None),
            ((60, MINUTE), Some((59, MINUTE)), None),
            ((60, MINUTE), Some((60, MINUTE)), uses_all),
            ((60, MINUTE), Some((61, MINUTE)), uses_all),
            // Never all at once, and more in the long run.
            ((60, MINUTE), Some((2, Duration::from_secs(2))), uses_all),
            ((60, MINUTE), Some((2, Duration::from_secs(3))), None),
            // Slow, and all at once.
            ((60, MINUTE), Some((60, Duration::from_hours(1))), uses_all),
            // What nobody has set is below, as far as that is possible.
            ((60, MINUTE), None, None),
            ((1, MINUTE), None, None),
        ] {
            let found = limits(all, of_one).err();
            assert_eq!(found, refused, "{of_one:?} of {all:?}");
        }
    }

    #[test]
    fn an_address_has_a_sixth_where_nobody_says() {
        for (all, share) in [(60, 10), (12, 2), (11, 1), (5, 1), (1, 1)] {
            let limits = limits((all, MINUTE), None).unwrap();
            let address = "2001:db8:1::1".parse().unwrap();
            for _ in 0..share {
                assert!(limits.count_for(address).is_ok());
            }
            let neighbour = "2001:db8:1:ffff::1".parse().unwrap();
            assert!(limits.count_for(neighbour).is_err(), "{all}");
            assert!(limits.count_for("2001:db8:2::1".parse().unwrap()).is_ok());
        }
    }
}
