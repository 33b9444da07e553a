//! The host that a request is for.

use std::net::{Ipv4Addr, Ipv6Addr};

use http::Uri;
use http::header::{HOST, HeaderMap, HeaderName};
use http::uri::Authority;

/// The host that the request is for, with its port if there is one, as far as the request says one
/// thing.
pub(super) fn host<'a>(headers: &'a HeaderMap, uri: &'a Uri) -> Option<&'a str> {
    let line = only(headers, &HOST).ok()?;
    let target = uri.authority().map(Authority::as_str);
    match (line, target) {
        (Some(line), Some(target)) if !line.eq_ignore_ascii_case(target) => None,
        (line, target) => line.or(target),
    }
}

/// `localhost`, or an address that is always this machine, with or without a port.
pub(super) fn is_loopback_name(host: &str) -> bool {
    let bare = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let name = match host.rsplit_once(':') {
        Some((name, port)) if bare(port) => name,
        _ => host,
    };
    let six = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'));
    if let Some(six) = six {
        return six.parse().is_ok_and(|six: Ipv6Addr| six.is_loopback());
    }
    let four = name.parse::<Ipv4Addr>();
    name.eq_ignore_ascii_case("localhost") || four.is_ok_and(|four| four.is_loopback())
}

/// The value of a header that is there at most once, and is text.
pub(super) fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, ()> {
    let mut lines = headers.get_all(name).iter();
    match (lines.next(), lines.next()) {
        (None, _) => Ok(None),
        (Some(line), None) => line.to_str().map(Some).map_err(drop),
        (Some(_), Some(_)) => Err(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_this_machine() {
        for (host, expected) in [
            ("localhost", true),
            ("LOCALHOST:8080", true),
            ("127.0.0.1", true),
            ("127.8.9.1:80", true),
            ("[::1]", true),
            ("[::1]:8080", true),
            ("::1", false),
            ("[::2]", false),
            ("[::ffff:127.0.0.1]", false),
            ("[127.0.0.1]", false),
            ("", false),
            ("localhost.", false),
            ("localhost:", false),
            ("localhost:8080:1", false),
            ("localhost:x", false),
            ("a.localhost", false),
            ("localhost.evil.example", false),
            ("127.0.0.1.evil.example", false),
            ("127.1", false),
            ("2130706433", false),
            ("0.0.0.0", false),
            ("192.0.2.1", false),
            ("user@localhost", false),
        ] {
            assert_eq!(is_loopback_name(host), expected, "{host}");
        }
    }
}
