//! From which address a request comes: that of the peer, or the one that our proxies vouch for.

use std::net::IpAddr;
use std::ops::ControlFlow::{Break, Continue};

use http::header::{FORWARDED, HeaderName};
use http::{Extensions, HeaderMap};

use super::forwarded::{follow_forwarded, follow_list};
use crate::allowed_ips::{AllowedIps, InvalidAllowedIps};

/// The address at the other end of the connection, in the extensions of a request.
///
/// Whoever accepts connections puts it there. With the feature `axum` that need not be done where
/// the service is made by `into_make_service_with_connect_info::<SocketAddr>()`; where both are
/// there this one counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerAddress(pub IpAddr);

/// How to tell from which address a request comes, for keys that may be used
/// [from some only](crate::allowed_ips::AllowedIps).
///
/// ```
/// use http::HeaderName;
/// use portcullis::layer::ClientAddress;
///
/// let header = HeaderName::from_static("x-forwarded-for");
/// let client = ClientAddress::behind(header, ["10.0.0.0/8", "2001:db8:1::/48"])?;
/// # let _ = client;
/// # Ok::<_, portcullis::allowed_ips::InvalidAllowedIps>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct ClientAddress {
    /// `None`: the peer is the client.
    proxies: Option<Proxies>,
}

#[derive(Clone, Debug)]
struct Proxies {
    header: HeaderName,
    trusted: AllowedIps,
}

impl ClientAddress {
    /// The peer is the client: nothing stands in front, and no header is read. The default.
    pub fn peer() -> Self {
        Self::default()
    }

    /// Proxies at these addresses stand in front, and write into `header` from where a request came
    /// to them, each at the end: `X-Forwarded-For`, or `Forwarded` in its own syntax (RFC 7239). A
    /// header that a proxy sets to one address will do as well.
    ///
    /// A request from any other peer comes from that peer, whatever the header says. Otherwise the
    /// addresses in the header are read from the last to the first, several lines as one list; the
    /// first that is no proxy's is the client's. If an entry on the way is no address, the client's
    /// is not known.
    ///
    /// **Name the proxies themselves and nobody else:** whoever can connect from one of these
    /// addresses can claim any.
    pub fn behind(
        header: HeaderName,
        proxies: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<Self, InvalidAllowedIps> {
        let trusted = AllowedIps::parse(proxies)?;
        Ok(Self {
            proxies: Some(Proxies { header, trusted }),
        })
    }

    /// Where a request comes from; `None` if that is not known.
    pub(crate) fn of(&self, headers: &HeaderMap, extensions: &Extensions) -> Option<IpAddr> {
        let peer = peer(extensions)?;
        match &self.proxies {
            Some(proxies) if proxies.trusted.allows(peer) => proxies.client(headers, peer),
            _ => Some(peer),
        }
    }
}

impl Proxies {
    fn client(&self, headers: &HeaderMap, peer: IpAddr) -> Option<IpAddr> {
        let is_proxy = |address| self.trusted.allows(address);
        let mut first = peer;
        for line in headers.get_all(&self.header).iter().rev() {
            let trail = if self.header == FORWARDED {
                follow_forwarded(line.as_bytes(), is_proxy)
            } else {
                follow_list(line.as_bytes(), is_proxy)
            };
            match trail {
                Break(client) => return client,
                Continue(proxy) => first = proxy,
            }
        }
        // One of the proxies asks on its own behalf.
        Some(first)
    }
}

fn peer(extensions: &Extensions) -> Option<IpAddr> {
    let peer = extensions.get().map(|PeerAddress(address)| *address);
    #[cfg(feature = "axum")]
    let peer = peer.or_else(|| {
        use axum::extract::ConnectInfo;
        let info = extensions.get::<ConnectInfo<std::net::SocketAddr>>();
        info.map(|ConnectInfo(socket)| socket.ip())
    });
    peer.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const LIST: HeaderName = HeaderName::from_static("x-forwarded-for");

    fn from(peer: &str) -> Extensions {
        let mut extensions = Extensions::new();
        extensions.insert(PeerAddress(peer.parse().unwrap()));
        extensions
    }

    fn lines(name: &HeaderName, lines: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(name, HeaderValue::from_str(line).unwrap());
        }
        headers
    }

    #[test]
    fn a_header_counts_from_a_proxy_alone_and_its_lines_are_one_list() {
        let client = ClientAddress::behind(LIST, ["10.0.0.0/8", "fd00::1"]).unwrap();
        let cases: [(&str, &str, &[&str], Option<&str>); 13] = [
            ("no proxy", "192.0.2.1", &[], Some("192.0.2.1")),
            (
                "no proxy, and a lie",
                "192.0.2.1",
                &["192.0.2.9"],
                Some("192.0.2.1"),
            ),
            (
                "a lie with a proxy",
                "192.0.2.1",
                &["192.0.2.9, 10.0.0.1"],
                Some("192.0.2.1"),
            ),
            ("a proxy", "10.0.0.1", &["192.0.2.9"], Some("192.0.2.9")),
            (
                "a proxy over six",
                "::ffff:10.0.0.1",
                &["192.0.2.9"],
                Some("192.0.2.9"),
            ),
            (
                "a proxy with six",
                "fd00::1",
                &["192.0.2.9"],
                Some("192.0.2.9"),
            ),
            (
                "a lie through it",
                "10.0.0.1",
                &["10.9.9.9, 192.0.2.9"],
                Some("192.0.2.9"),
            ),
            (
                "a lie in a line",
                "10.0.0.1",
                &["198.51.100.1", "192.0.2.9"],
                Some("192.0.2.9"),
            ),
            (
                "a proxy in a line",
                "10.0.0.1",
                &["192.0.2.9", "10.0.0.2"],
                Some("192.0.2.9"),
            ),
            (
                "garbage in a line",
                "10.0.0.1",
                &["192.0.2.9", "x", "10.0.0.2"],
                None,
            ),
            ("an empty line", "10.0.0.1", &["192.0.2.9", ""], None),
            (
                "proxies alone",
                "10.0.0.1",
                &["10.0.0.3", "10.0.0.2"],
                Some("10.0.0.3"),
            ),
            ("a proxy for itself", "10.0.0.1", &[], Some("10.0.0.1")),
        ];
        for (name, peer, header, expected) in cases {
            let found = client.of(&lines(&LIST, header), &from(peer));
            assert_eq!(
                found.map(|it| it.to_string()).as_deref(),
                expected,
                "{name}"
            );
        }
        let nobody = client.of(&lines(&LIST, &["192.0.2.9"]), &Extensions::new());
        assert_eq!(nobody, None, "without a peer no header counts");
    }

    #[test]
    fn no_header_is_read_unless_it_is_named() {
        let forwarded = lines(&FORWARDED, &["for=192.0.2.9", "for=10.0.0.2"]);
        let list = lines(&LIST, &["192.0.2.8"]);
        let (peer, behind) = (from("10.0.0.1"), ClientAddress::behind);
        let cases = [
            ("none is named", ClientAddress::peer(), &list, "10.0.0.1"),
            (
                "another is",
                behind(FORWARDED, ["10.0.0.0/8"]).unwrap(),
                &list,
                "10.0.0.1",
            ),
            (
                "this one is",
                behind(FORWARDED, ["10.0.0.0/8"]).unwrap(),
                &forwarded,
                "192.0.2.9",
            ),
        ];
        for (name, client, headers, expected) in cases {
            let found = client.of(headers, &peer).unwrap();
            assert_eq!(found.to_string(), expected, "{name}");
        }
    }

    #[cfg(feature = "axum")]
    #[test]
    fn axum_tells_the_peer_and_what_was_put_there_counts_first() {
        use axum::extract::ConnectInfo;
        use std::net::SocketAddr;
        let mut extensions = Extensions::new();
        let socket: SocketAddr = "[::ffff:192.0.2.1]:4711".parse().unwrap();
        extensions.insert(ConnectInfo(socket));
        let found = |extensions: &_| ClientAddress::peer().of(&HeaderMap::new(), extensions);
        assert_eq!(found(&extensions).unwrap().to_string(), "192.0.2.1");
        extensions.insert(PeerAddress("192.0.2.2".parse().unwrap()));
        assert_eq!(found(&extensions).unwrap().to_string(), "192.0.2.2");
    }

    #[test]
    fn what_is_no_proxy_is_refused() {
        let why = ClientAddress::behind(LIST, ["10.0.0.1/8"]).unwrap_err();
        assert!(
            why.to_string().contains("the network is 10.0.0.0/8"),
            "{why}"
        );
        assert!(ClientAddress::behind(LIST, [""; 0]).is_err());
    }
}
