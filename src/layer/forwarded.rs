//! Addresses as proxies write them down: `X-Forwarded-For` and its like, and `Forwarded` (RFC 7239).
//!
//! Each proxy adds to the end, and what stands before that is what a client has sent, made up or
//! not. So nothing here may be read in two ways: what is not clearly an address is none.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::ops::ControlFlow::{self, Break, Continue};

/// The most proxies that are followed in one line of a list.
const MOST_HOPS: usize = 100;

/// The longest line of `Forwarded` that is looked at. The quotes in it are paired from its
/// beginning, so that its end cannot be read alone.
const LONGEST: usize = 4096;

/// Where a line leads: to somebody who is no proxy of ours (`None`: nobody knows to whom), or
/// through nothing but our proxies to the first of them.
pub(super) type Trail = ControlFlow<Option<IpAddr>, IpAddr>;

/// Follows a list of addresses from its end.
pub(super) fn follow_list(line: &[u8], is_proxy: impl Fn(IpAddr) -> bool) -> Trail {
    let mut first = Break(None);
    for (hops, entry) in line.rsplit(|&byte| byte == b',').enumerate() {
        match address(entry) {
            Some(proxy) if is_proxy(proxy) && hops < MOST_HOPS => first = Continue(proxy),
            Some(proxy) if is_proxy(proxy) => return Break(None),
            client => return Break(client),
        }
    }
    first
}

/// Follows the elements of `Forwarded`, as if from their end.
pub(super) fn follow_forwarded(line: &[u8], is_proxy: impl Fn(IpAddr) -> bool) -> Trail {
    if line.len() > LONGEST {
        return Break(None);
    }
    let mut trail = None;
    for element in unquoted(line, b',') {
        trail = Some(match (node(element).and_then(address), trail) {
            (Some(proxy), None) if is_proxy(proxy) => Continue(proxy),
            (Some(proxy), Some(trail)) if is_proxy(proxy) => trail,
            // Whatever stands before it was sent by this one.
            (client, _) => Break(client),
        });
    }
    trail.unwrap_or(Break(None))
}

/// An address, with or without a port, an IPv6 one with or without brackets.
fn address(text: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(text).ok()?.trim_matches([' ', '\t']);
    let address = if let Ok(address) = text.parse() {
        address
    } else if let Ok(socket) = text.parse::<SocketAddr>() {
        socket.ip()
    } else {
        let bare = text.strip_prefix('[')?.strip_suffix(']')?;
        IpAddr::V6(bare.parse::<Ipv6Addr>().ok()?)
    };
    Some(address.to_canonical())
}

/// The value of `for` in an element, if all of the element is well-formed: whoever leaves a quote
/// open would otherwise have what the next proxy adds read as a part of it.
fn node(element: &[u8]) -> Option<&[u8]> {
    let mut node = None;
    for pair in unquoted(element, b';') {
        let equals = pair.iter().position(|&byte| byte == b'=')?;
        let (name, value) = (&pair[..equals], plain(pair[equals + 1..].trim_ascii_end())?);
        if name.trim_ascii_start().eq_ignore_ascii_case(b"for") && node.replace(value).is_some() {
            return None;
        }
    }
    node
}

/// A value without its quotes. Escapes are let through: no address has one.
fn plain(value: &[u8]) -> Option<&[u8]> {
    let Some(quoted) = value.strip_prefix(b"\"") else {
        return (!value.contains(&b'"')).then_some(value);
    };
    let inside = quoted.strip_suffix(b"\"")?;
    let mut escaped = false;
    for &byte in inside {
        if byte == b'"' && !escaped {
            return None;
        }
        escaped = byte == b'\\' && !escaped;
    }
    // The last quote belongs to the value.
    (!escaped).then_some(inside)
}

/// The parts of `text` between separators that are not in quotes.
fn unquoted(text: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |&byte| {
        let literal = std::mem::take(&mut escaped);
        match byte {
            b'\\' => escaped = quoted && !literal,
            b'"' => quoted ^= !literal,
            _ => {}
        }
        byte == separator && !quoted
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Our proxies are those in 10.0.0.0/8, and `fd00::1`.
    fn is_proxy(address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => address.octets()[0] == 10,
            IpAddr::V6(address) => address.segments() == [0xfd00, 0, 0, 0, 0, 0, 0, 1],
        }
    }

    /// What becomes of a line, in words.
    fn told(trail: Trail) -> String {
        match trail {
            Break(Some(client)) => client.to_string(),
            Break(None) => "?".to_owned(),
            Continue(first) => format!("from {first}"),
        }
    }

    #[test]
    fn a_list_is_followed_from_its_end() {
        let cases: [(&str, &[u8], &str); 29] = [
            ("a client", b"192.0.2.1", "192.0.2.1"),
            ("behind a proxy", b"192.0.2.1, 10.0.0.1", "192.0.2.1"),
            (
                "without spaces",
                b"192.0.2.1,10.0.0.1,10.0.0.2",
                "192.0.2.1",
            ),
            ("with many", b" \t192.0.2.1 \t, 10.0.0.1 ", "192.0.2.1"),
            (
                "what it made up",
                b"10.0.0.9, 198.51.100.1, 192.0.2.1",
                "192.0.2.1",
            ),
            (
                "a proxy that it made up",
                b"192.0.2.99, 10.0.0.9, 192.0.2.1, 10.0.0.1",
                "192.0.2.1",
            ),
            ("proxies alone", b"10.0.0.2, 10.0.0.1", "from 10.0.0.2"),
            ("a port", b"192.0.2.1:8080, 10.0.0.1:443", "192.0.2.1"),
            ("six", b"2001:db8::1, fd00::1", "2001:db8::1"),
            (
                "six in brackets",
                b"[2001:db8::1], [fd00::1]",
                "2001:db8::1",
            ),
            ("six with a port", b"[2001:DB8::1]:8080", "2001:db8::1"),
            (
                "four in six",
                b"::ffff:192.0.2.1, ::ffff:10.0.0.1",
                "192.0.2.1",
            ),
            (
                "four in six in brackets",
                b"[::ffff:192.0.2.1]:1",
                "192.0.2.1",
            ),
            ("nothing", b"", "?"),
            ("spaces", b"  ", "?"),
            ("a comma", b",", "?"),
            ("nothing at the end", b"192.0.2.1,", "?"),
            ("nothing in between", b"192.0.2.1, , 10.0.0.1", "?"),
            ("garbage", b"192.0.2.1, x, 10.0.0.1", "?"),
            ("garbage before the client", b"x, 192.0.2.1", "192.0.2.1"),
            ("bytes", b"\xff\xfe", "?"),
            ("unknown", b"unknown", "?"),
            ("a name", b"localhost", "?"),
            ("a zone", b"fe80::1%eth0", "?"),
            ("octal", b"010.0.0.1", "?"),
            ("an open bracket", b"[2001:db8::1", "?"),
            ("four in brackets", b"[192.0.2.1]", "?"),
            ("no port", b"192.0.2.1:", "?"),
            ("two in one", b"192.0.2.1 10.0.0.1", "?"),
        ];
        for (name, line, expected) in cases {
            assert_eq!(told(follow_list(line, is_proxy)), expected, "{name}");
        }
        for (hops, expected) in [(100, "192.0.2.1"), (101, "?")] {
            let line = "192.0.2.1".to_owned() + &", 10.0.0.1".repeat(hops);
            let trail = follow_list(line.as_bytes(), is_proxy);
            assert_eq!(told(trail), expected, "{hops} proxies");
        }
    }

    #[test]
    fn forwarded_is_followed_from_its_end() {
        let cases: [(&str, &str, &str); 31] = [
            ("a client", "for=192.0.2.1", "192.0.2.1"),
            ("behind a proxy", "for=192.0.2.1, for=10.0.0.1", "192.0.2.1"),
            ("in another case", "FOR=192.0.2.1", "192.0.2.1"),
            ("in quotes", r#"for="192.0.2.1""#, "192.0.2.1"),
            ("with a port", r#"for="192.0.2.1:8080""#, "192.0.2.1"),
            ("six", r#"for="[2001:db8::1]:8080""#, "2001:db8::1"),
            (
                "beside others",
                "by=10.0.0.1; for=192.0.2.1 ;proto=https",
                "192.0.2.1",
            ),
            (
                "a comma in quotes",
                r#"for=192.0.2.1;host="a,for=10.0.0.1""#,
                "192.0.2.1",
            ),
            (
                "a quote in quotes",
                r#"for=192.0.2.1;host="a\",for=10.0.0.1""#,
                "192.0.2.1",
            ),
            (
                "what it made up",
                "for=10.0.0.9, for=192.0.2.1",
                "192.0.2.1",
            ),
            ("garbage before the client", "x, for=192.0.2.1", "192.0.2.1"),
            (
                "proxies alone",
                "for=10.0.0.2, for=10.0.0.1",
                "from 10.0.0.2",
            ),
            ("unknown", "for=192.0.2.1, for=unknown", "?"),
            ("hidden", "for=_gazonk", "?"),
            ("garbage in between", "for=192.0.2.1, x, for=10.0.0.1", "?"),
            ("nobody", "proto=https", "?"),
            ("two in one", "for=192.0.2.1;for=192.0.2.2", "?"),
            ("a list", "192.0.2.1", "?"),
            ("nothing", "", "?"),
            ("nothing at the end", "for=192.0.2.1,", "?"),
            ("a semicolon at the end", "for=192.0.2.1;", "?"),
            ("space before the equals sign", "for =192.0.2.1", "?"),
            ("quotes around half of it", r#"for=192."0.2.1""#, "?"),
            ("an escape", r#"for="192.0.2.\1""#, "?"),
            ("no end", r#"for="192.0.2.1"#, "?"),
            // A client leaves a quote open, and the proxy in front of us adds its own words.
            ("an open quote", r#"for=192.0.2.9;x=", for=192.0.2.1"#, "?"),
            (
                "closed by the next",
                r#"for=192.0.2.9;x=", for="[2001:db8::1]""#,
                "?",
            ),
            (
                "an escape before it",
                r#"for=192.0.2.9;x="\, for="[2001:db8::1]""#,
                "?",
            ),
            (
                "in an element of its own",
                r#"for=192.0.2.9, x=", for="[2001:db8::1]""#,
                "?",
            ),
            (
                "with a value in front",
                r#"for=192.0.2.9;x=y", for="[2001:db8::1]""#,
                "?",
            ),
            (
                "a quote for a name",
                r#"for=192.0.2.9;", for="[2001:db8::1]";x=y"#,
                "?",
            ),
        ];
        for (name, line, expected) in cases {
            let trail = follow_forwarded(line.as_bytes(), is_proxy);
            assert_eq!(told(trail), expected, "{name}");
        }
        for (bytes, expected) in [(4096, "192.0.2.1"), (4097, "?")] {
            let end = ";for=192.0.2.1";
            let line = "x=".to_owned() + &"y".repeat(bytes - 2 - end.len()) + end;
            let trail = follow_forwarded(line.as_bytes(), is_proxy);
            assert_eq!(told(trail), expected, "{bytes} bytes");
        }
    }
}
