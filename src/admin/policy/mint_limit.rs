//! How many keys may be made in how much time.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::admin::answer::Refused;
use crate::admin::rate::{Kind, Rate, network_of};
use crate::clock::Clock;
use crate::store::Owner;

/// Each of those that are counted for was allowed a key within the time of the limit; who comes
/// when there are so many waits until one of these is over.
const MADE: Kind = Kind {
    name: "mint",
    why: "too many keys were made of late",
    room: 100_000,
};

/// Of an IPv6 address, what one customer has at the least (RFC 6177).
const CUSTOMER: u32 = 64;

/// The limit, and what was made of late.
#[derive(Debug)]
pub(super) struct MintLimit(Rate<For>);

/// For whom keys are counted.
#[derive(Clone, PartialEq, Eq, Hash)]
enum For {
    Owner(Owner),
    Address(IpAddr),
}

impl MintLimit {
    /// `None` if none could be made at all.
    pub(super) fn new(most: u32, within: Duration, clock: Arc<dyn Clock>) -> Option<Self> {
        Rate::new(MADE, most, within, clock).map(Self)
    }

    /// One more key of this owner, asked for from this address if that is known.
    pub(super) fn count(&self, owner: &Owner, address: Option<IpAddr>) -> Result<(), Refused> {
        // The owner first: who has come to the limit takes nothing from others at the same address.
        self.0.count(&For::Owner(owner.clone()))?;
        match address {
            Some(address) => self.0.count(&For::Address(network_of(address, CUSTOMER))),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::FakeClock;

    #[test]
    fn each_owner_and_each_address_has_its_share() {
        let clock = Arc::new(FakeClock::new());
        let limit = MintLimit::new(3, Duration::from_mins(30), clock).unwrap();
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
    }
}
