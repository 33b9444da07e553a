//! From which addresses a key may be used.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use ipnet::{IpNet, Ipv4Net};

use crate::excerpt::excerpt;

/// The most networks.
const MOST: usize = 100;

/// What an IPv4 address has before it as an IPv6 one (RFC 4291, 2.5.5.2), in bits.
const MAPPED: u8 = 96;

/// The networks that a key may be used from: 1 to 100 of them, sorted, each there once.
///
/// A network is written as `192.0.2.0/24` or `2001:db8::/32`, an address alone is a network of one.
/// An IPv6 address that stands for an IPv4 one (`::ffff:192.0.2.1`) counts as that, wherever it
/// comes from. A list prints as its networks with a space between them, which
/// [`from_stored`](Self::from_stored) reads again. Cloning is cheap.
///
/// ```
/// use portcullis::allowed_ips::AllowedIps;
///
/// let office = AllowedIps::parse(["192.0.2.0/24", "2001:db8::1"])?;
/// assert!(office.allows("192.0.2.77".parse()?));
/// assert!(office.allows("::ffff:192.0.2.77".parse()?));
/// assert!(!office.allows("198.51.100.1".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AllowedIps(Arc<[IpNet]>);

/// Why this is no list of networks. What is repeated of a value is printable ASCII, at most 64
/// characters of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidAllowedIps {
    /// Not a network.
    #[error("`{value}` must be an address or a network such as 192.0.2.0/24 or 2001:db8::/32")]
    NotANetwork {
        /// The offending text.
        value: String,
    },
    /// Bits are set beyond the prefix: a network may be meant, or an address.
    #[error("`{value}` has bits beyond its prefix; the network is {network}")]
    HostBits {
        /// The offending text.
        value: String,
        /// What it would be without them.
        network: String,
    },
    /// There is none: such a key would be good for nothing.
    #[error("no network is given; 1 to {MOST} are possible")]
    Empty,
    /// There are too many.
    #[error("more than {MOST} networks are given; at most {MOST} are possible")]
    TooMany,
}

impl AllowedIps {
    /// The networks that these texts spell.
    pub fn parse(
        texts: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<Self, InvalidAllowedIps> {
        let texts = texts.into_iter().take(MOST + 1);
        let networks = texts.map(|text| network(text.as_ref()));
        let mut networks: Vec<IpNet> = networks.collect::<Result<_, _>>()?;
        match networks.len() {
            0 => return Err(InvalidAllowedIps::Empty),
            1..=MOST => {}
            _ => return Err(InvalidAllowedIps::TooMany),
        }
        networks.sort_unstable();
        networks.dedup();
        Ok(Self(networks.into()))
    }

    /// The networks that were printed as `stored`, with one space between them.
    pub fn from_stored(stored: &str) -> Result<Self, InvalidAllowedIps> {
        Self::parse(stored.split(' '))
    }

    /// Whether one of the networks has this address. Does not allocate.
    #[must_use]
    pub fn allows(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// Whether each network of `others` lies in one of these, so that whoever may come from these
    /// may hand `others` on.
    #[must_use]
    pub fn covers(&self, others: &Self) -> bool {
        let lies_in_ours = |theirs| self.0.iter().any(|ours| ours.contains(theirs));
        others.0.iter().all(lies_in_ours)
    }

    /// The networks, sorted, to be printed.
    pub fn iter(&self) -> impl Iterator<Item = impl fmt::Display> {
        self.0.iter()
    }
}

/// Whether a key that may be used from `held` (`None`: from anywhere) may hand on `given`.
pub(crate) fn covers(held: Option<&AllowedIps>, given: Option<&AllowedIps>) -> bool {
    match (held, given) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(held), Some(given)) => held.covers(given),
    }
}

fn network(text: &str) -> Result<IpNet, InvalidAllowedIps> {
    let parsed: Option<IpNet> = match text.parse::<IpAddr>() {
        Ok(address) => Some(address.into()),
        Err(_) => text.parse().ok(),
    };
    let Some(network) = parsed else {
        let value = excerpt(text);
        return Err(InvalidAllowedIps::NotANetwork { value });
    };
    if network != network.trunc() {
        return Err(InvalidAllowedIps::HostBits {
            value: excerpt(text),
            network: network.trunc().to_string(),
        });
    }
    Ok(canonical(network))
}

/// What a mapped network stands for.
fn canonical(network: IpNet) -> IpNet {
    let IpNet::V6(v6) = network else {
        return network;
    };
    let length = v6.prefix_len().checked_sub(MAPPED);
    let mapped = length.zip(Ipv6Addr::to_ipv4_mapped(&v6.addr()));
    let v4 = mapped.and_then(|(length, address)| Ipv4Net::new(address, length).ok());
    v4.map_or(network, IpNet::V4)
}

impl fmt::Display for AllowedIps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, network) in self.0.iter().enumerate() {
            let space = if at == 0 { "" } else { " " };
            write!(f, "{space}{network}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(stored: &str) -> AllowedIps {
        AllowedIps::from_stored(stored).unwrap()
    }

    #[test]
    fn an_address_is_allowed_by_any_of_the_networks() {
        let cases = [
            ("192.0.2.0/24", "192.0.2.255", true),
            ("192.0.2.0/24", "192.0.3.0", false),
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("192.0.2.0/24", "::ffff:192.0.2.7", true),
            ("::ffff:192.0.2.0/120", "192.0.2.7", true),
            ("::ffff:0:0/96", "203.0.113.9", true),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("::/0", "2001:db8::1", true),
            ("::/0", "203.0.113.9", false),
            ("::/0", "::ffff:203.0.113.9", false),
            ("10.0.0.0/8 2001:db8::/32", "2001:db8:ffff::", true),
            ("10.0.0.0/8 2001:db8::/32", "2001:db9::", false),
        ];
        for (networks, address, expected) in cases {
            let allowed = from(networks).allows(address.parse().unwrap());
            assert_eq!(allowed, expected, "{address} in {networks}");
        }
    }

    #[test]
    fn each_network_must_lie_in_one_of_those_that_are_held() {
        let cases = [
            (None, None, true),
            (None, Some("10.0.0.0/8"), true),
            (Some("0.0.0.0/0 ::/0"), None, false),
            (Some("10.0.0.0/8"), Some("10.0.0.0/8"), true),
            (Some("10.0.0.0/8"), Some("10.1.0.0/16 10.2.3.4"), true),
            (Some("10.0.0.0/8"), Some("10.1.0.0/16 11.2.3.4"), false),
            (Some("10.0.0.0/8"), Some("0.0.0.0/0"), false),
            (Some("10.0.0.0/8"), Some("::ffff:10.0.0.0/104"), true),
            (Some("::/0"), Some("10.0.0.0/8"), false),
            (Some("0.0.0.0/0"), Some("::/0"), false),
        ];
        for (held, given, expected) in cases {
            let (held_, given_) = (held.map(from), given.map(from));
            let covered = covers(held_.as_ref(), given_.as_ref());
            assert_eq!(covered, expected, "{held:?} {given:?}");
        }
    }

    #[test]
    fn it_is_sorted_without_repetition_and_reads_what_it_prints() {
        let cases = [
            ("192.0.2.1", "192.0.2.1/32"),
            ("2001:DB8::0/32", "2001:db8::/32"),
            ("::ffff:192.0.2.1", "192.0.2.1/32"),
            (
                "2001:db8::1 10.0.0.0/8 10.0.0.0/8",
                "10.0.0.0/8 2001:db8::1/128",
            ),
        ];
        for (given, printed) in cases {
            assert_eq!(from(given).to_string(), printed);
            assert_eq!(from(printed), from(given));
        }
    }

    #[test]
    fn what_is_no_network_is_refused_and_the_error_says_why() {
        let cases = [
            ("", "must be an address"),
            ("localhost", "must be an address"),
            ("10.0.0.0/33", "must be an address"),
            ("10.0.0/8", "must be an address"),
            ("010.0.0.1", "must be an address"),
            ("fe80::1%eth0", "must be an address"),
            ("10.0.0.0/8 ", "must be an address"),
            ("10.0.0.1/8", "the network is 10.0.0.0/8"),
            ("2001:db8::1/32", "the network is 2001:db8::/32"),
        ];
        for (value, expected) in cases {
            let said = AllowedIps::parse([value]).unwrap_err().to_string();
            assert!(said.contains(expected), "{value:?}: {said}");
            assert!(said.is_ascii() && said.len() < 200, "{said}");
        }
        assert_eq!(AllowedIps::parse([""; 0]), Err(InvalidAllowedIps::Empty));
        let endless = AllowedIps::parse(std::iter::repeat("10.0.0.1"));
        assert_eq!(endless, Err(InvalidAllowedIps::TooMany));
        let hundred = (0..100).map(|n| format!("10.0.0.{n}"));
        assert_eq!(AllowedIps::parse(hundred).unwrap().iter().count(), 100);
    }
}
