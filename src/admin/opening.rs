//! The first start: open to whoever is on the same machine, until there is a key.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::HeaderMap;
use http::request::Parts;

use super::host::{host, is_loopback_name};
use crate::keyring::{Keyring, WriteError};
use crate::layer::ClientAddress;

/// What proxies add to a request. Its prefix tells most of it.
const FORWARDED: &str = "x-forwarded";

/// The rest.
const BY_A_PROXY: [&str; 9] = [
    "forwarded",
    "via",
    "x-real-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-original-forwarded-for",
    "true-client-ip",
    "cf-connecting-ip",
    "fastly-client-ip",
];

/// Whether the router is open for now.
#[derive(Clone, Debug, Default)]
pub(super) struct Opening {
    /// Once there was a key it is so for ever, and nobody has to ask the store again.
    over: Arc<AtomicBool>,
}

impl Opening {
    /// Whether this request may do without credentials.
    pub(super) async fn is_open_to(
        &self,
        parts: &Parts,
        client: Option<&ClientAddress>,
        keyring: &Keyring,
    ) -> Result<bool, WriteError> {
        if self.over.load(Ordering::Relaxed) || !comes_from_here(parts, client) {
            return Ok(false);
        }
        let over = keyring.ever_had_a_key().await?;
        if over {
            self.over.store(true, Ordering::Relaxed);
        }
        Ok(!over)
    }
}

/// Whether a program on this machine sent this itself, for this machine by its own name. A page
/// whose name an attacker lets point to this machine says that name; a proxy says so, too, or adds
/// what it knows.
fn comes_from_here(parts: &Parts, client: Option<&ClientAddress>) -> bool {
    let (headers, extensions) = (&parts.headers, &parts.extensions);
    let is_loopback = |client: &ClientAddress| {
        let address = client.of(headers, extensions);
        address.is_some_and(|address| address.to_canonical().is_loopback())
    };
    is_loopback(&ClientAddress::peer())
        && client.is_none_or(is_loopback)
        && !is_forwarded(headers)
        && host(headers, &parts.uri).is_some_and(is_loopback_name)
}

fn is_forwarded(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| {
        let name = name.as_str();
        name.starts_with(FORWARDED) || BY_A_PROXY.contains(&name)
    })
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;
    use crate::layer::PeerAddress;

    /// A name, the peer, more lines, and whether it comes from here.
    type Case = (
        &'static str,
        Option<&'static str>,
        &'static [(&'static str, &'static str)],
        bool,
    );

    #[test]
    fn only_what_was_sent_on_this_machine_to_this_machine() {
        let cases: [Case; 15] = [
            ("loopback", Some("127.0.0.1"), &[], true),
            ("loopback in six", Some("::1"), &[], true),
            ("loopback as six", Some("::ffff:127.0.0.1"), &[], true),
            ("nobody knows", None, &[], false),
            ("another machine", Some("192.0.2.1"), &[], false),
            ("another as six", Some("::ffff:192.0.2.1"), &[], false),
            ("any address", Some("0.0.0.0"), &[], false),
            (
                "a proxy",
                Some("127.0.0.1"),
                &[("x-forwarded-for", "127.0.0.1")],
                false,
            ),
            (
                "a proxy's host",
                Some("127.0.0.1"),
                &[("x-forwarded-host", "localhost")],
                false,
            ),
            (
                "a standard proxy",
                Some("127.0.0.1"),
                &[("forwarded", "for=127.0.0.1")],
                false,
            ),
            (
                "a polite proxy",
                Some("127.0.0.1"),
                &[("via", "1.1 x")],
                false,
            ),
            (
                "nginx",
                Some("127.0.0.1"),
                &[("x-real-ip", "127.0.0.1")],
                false,
            ),
            (
                "an empty line",
                Some("127.0.0.1"),
                &[("x-forwarded-for", "")],
                false,
            ),
            (
                "a rebound name",
                Some("127.0.0.1"),
                &[("host", "evil.example")],
                false,
            ),
            (
                "two hosts",
                Some("127.0.0.1"),
                &[("host", "localhost")],
                false,
            ),
        ];
        for (name, peer, lines, expected) in cases {
            let mut request = Request::builder().uri("/keys");
            if !matches!(name, "a rebound name") {
                request = request.header("host", "localhost:8080");
            }
            for (name, value) in lines {
                request = request.header(*name, *value);
            }
            let (mut parts, ()) = request.body(()).unwrap().into_parts();
            if let Some(peer) = peer {
                parts.extensions.insert(PeerAddress(peer.parse().unwrap()));
            }
            assert_eq!(comes_from_here(&parts, None), expected, "{name}");
        }
    }
}
