//! What did the caller present? Nothing, something that cannot be read, or a credential.
//!
//! This knows headers and nothing of keys. Whatever the bytes are, it does not allocate, and besides
//! spaces it looks at no more than the scheme and [`MAX_CREDENTIAL_BYTES`] of them.

mod syntax;

pub(crate) use syntax::is_b64token as is_bearer_token;

use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use thiserror::Error;

#[cfg(feature = "admin")]
pub(crate) use syntax::is_b64token;

/// The longest credential that is looked at, in bytes. A key has 54 at most.
pub(crate) const MAX_CREDENTIAL_BYTES: usize = 256;

/// What the caller presented.
// No `Debug` outside of tests: it would print the credential.
#[derive(Clone, Copy)]
#[cfg_attr(test, derive(Debug, PartialEq))]
pub(crate) enum Credential<'a> {
    /// Nothing for us: no header, or one of another scheme.
    Absent,
    /// Something that does not say one thing.
    Malformed(Malformed),
    /// More than [`MAX_CREDENTIAL_BYTES`], well-formed or not. Whatever it is, it is no key.
    TooLong {
        /// All of it, if it stands where a token does. Its characters were not looked at.
        token: Option<&'a [u8]>,
        /// Which of the places it came from.
        place: usize,
    },
    /// One credential.
    Presented {
        /// It. Whether it is a bearer token is said by [`Credential::checked`] only.
        token: &'a [u8],
        /// Which of the places it came from.
        place: usize,
    },
}

/// Why a request does not say one thing about who sends it. Such a request is answered 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum Malformed {
    /// The header is there and has no value.
    #[error("the credential is empty")]
    Empty,
    /// The header is there more than once. Taking one of them could mean another than a proxy in
    /// front has taken.
    #[error("the header for the credential is repeated")]
    Repeated,
    /// The credential is not a bearer token (RFC 6750 section 2.1), or does not follow `Bearer`
    /// after spaces.
    #[error("the credential is not a bearer token")]
    NotBearerToken,
    /// Two of the headers that may hold the credential are there.
    #[error("there are credentials in two places")]
    TwoPlaces,
}

/// Where to look for a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// `Authorization`, after the scheme `Bearer`.
    Bearer,
    /// A header whose whole value is the credential.
    Header(HeaderName),
}

impl Credential<'_> {
    /// With the characters of the token looked at. The gate leaves that until it is known that
    /// the token is no key, since every key is a bearer token.
    pub(crate) fn checked(self) -> Self {
        match self {
            Self::Presented { token, .. } if !syntax::is_b64token(token) => {
                Self::Malformed(Malformed::NotBearerToken)
            }
            checked => checked,
        }
    }
}

/// Reads the one credential that is in one of `places`, each of which is another header, without a
/// look at what a token is made of.
pub(crate) fn read<'a>(headers: &'a HeaderMap, places: &[Place]) -> Credential<'a> {
    let mut found = Credential::Absent;
    for (place, header) in places.iter().enumerate() {
        let here = match header {
            Place::Bearer => one_line(headers, &AUTHORIZATION, place, syntax::bearer),
            Place::Header(name) => one_line(headers, name, place, syntax::token),
        };
        match (found, here) {
            (_, Credential::Absent) => {}
            (Credential::Absent, here) => found = here,
            _ => return Credential::Malformed(Malformed::TwoPlaces),
        }
    }
    found
}

fn one_line<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
    place: usize,
    read: fn(&'a [u8], usize) -> Credential<'a>,
) -> Credential<'a> {
    let mut lines = headers.get_all(name).iter().map(HeaderValue::as_bytes);
    let Some(line) = lines.next() else {
        return Credential::Absent;
    };
    if lines.next().is_some() {
        // Whatever the schemes: whether the other line counts is not ours to guess.
        return Credential::Malformed(Malformed::Repeated);
    }
    match trim(line) {
        [] => Credential::Malformed(Malformed::Empty),
        value => read(value, place),
    }
}

/// Space around a value is not a part of it, and not every transport takes it away.
fn trim(mut line: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = line {
        line = rest;
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    const AUTH: &str = "authorization";
    const KEY: &str = "x-api-key";

    const ABSENT: Credential<'_> = Credential::Absent;
    const EMPTY: Credential<'_> = Credential::Malformed(Malformed::Empty);
    const REPEATED: Credential<'_> = Credential::Malformed(Malformed::Repeated);
    const NOT_A_TOKEN: Credential<'_> = Credential::Malformed(Malformed::NotBearerToken);
    const TWO_PLACES: Credential<'_> = Credential::Malformed(Malformed::TwoPlaces);

    type Lines<'a> = &'a [(&'static str, &'a [u8])];

    fn headers(lines: Lines<'_>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_bytes(value).unwrap());
        }
        headers
    }

    fn places() -> [Place; 2] {
        [Place::Bearer, Place::Header(HeaderName::from_static(KEY))]
    }

    fn presented(token: &[u8], place: usize) -> Credential<'_> {
        Credential::Presented { token, place }
    }

    #[test]
    fn lines_and_places() {
        let long = [b'x'; 257];
        let cases: [(&str, Lines<'_>, Credential<'_>); 24] = [
            ("no headers", &[], ABSENT),
            (
                "a header that nobody asked for",
                &[("cookie", b"abc")],
                ABSENT,
            ),
            (
                "the first place",
                &[(AUTH, b"Bearer a")],
                presented(b"a", 0),
            ),
            (
                "space after the value",
                &[(AUTH, b"Bearer a \t ")],
                presented(b"a", 0),
            ),
            (
                "nothing after the scheme",
                &[(AUTH, b"Bearer ")],
                NOT_A_TOKEN,
            ),
            ("no value", &[(AUTH, b"")], EMPTY),
            ("spaces and tabs only", &[(AUTH, b" \t ")], EMPTY),
            (
                "too much",
                &[(KEY, &long)],
                Credential::TooLong {
                    token: Some(&long),
                    place: 1,
                },
            ),
            ("the second place", &[(KEY, b"b")], presented(b"b", 1)),
            (
                "space after the second",
                &[(KEY, b"b \t ")],
                presented(b"b", 1),
            ),
            ("a scheme in the second", &[(KEY, b"Bearer b")], NOT_A_TOKEN),
            ("no value in the second", &[(KEY, b"\t")], EMPTY),
            (
                "one beside another scheme",
                &[(AUTH, b"Basic a"), (KEY, b"b")],
                presented(b"b", 1),
            ),
            ("both", &[(AUTH, b"Bearer a"), (KEY, b"b")], TWO_PLACES),
            (
                "both, the same",
                &[(AUTH, b"Bearer a"), (KEY, b"a")],
                TWO_PLACES,
            ),
            (
                "one beside an empty one",
                &[(AUTH, b""), (KEY, b"b")],
                TWO_PLACES,
            ),
            (
                "one beside no token",
                &[(AUTH, b"Bearer a"), (KEY, b",")],
                TWO_PLACES,
            ),
            (
                "one beside too much",
                &[(AUTH, b"Bearer a"), (KEY, &long)],
                TWO_PLACES,
            ),
            (
                "one beside two",
                &[(AUTH, b"Bearer a"), (KEY, b"b"), (KEY, b"c")],
                TWO_PLACES,
            ),
            (
                "the same twice",
                &[(AUTH, b"Bearer a"), (AUTH, b"Bearer a")],
                REPEATED,
            ),
            (
                "another scheme first",
                &[(AUTH, b"Basic a"), (AUTH, b"Bearer b")],
                REPEATED,
            ),
            (
                "two other schemes",
                &[(AUTH, b"Basic a"), (AUTH, b"Digest b")],
                REPEATED,
            ),
            ("nothing twice", &[(AUTH, b""), (AUTH, b"")], REPEATED),
            (
                "the second place twice",
                &[(KEY, b"a"), (KEY, b"a")],
                REPEATED,
            ),
        ];
        for (name, lines, expected) in cases {
            let headers = headers(lines);
            assert_eq!(read(&headers, &places()).checked(), expected, "{name}");
        }
    }

    #[test]
    fn only_the_named_places_are_read() {
        let both = headers(&[(AUTH, b"Bearer a"), (KEY, b"b")]);
        assert_eq!(read(&both, &[]), ABSENT);
        assert_eq!(read(&both, &places()[..1]), presented(b"a", 0));
        assert_eq!(read(&both, &places()[1..]), presented(b"b", 0));
    }

    #[test]
    fn every_byte_that_a_header_can_hold_gets_an_answer() {
        let values = (0..=u8::MAX).filter_map(|byte| HeaderValue::from_bytes(&[byte]).ok());
        for value in values {
            let byte = value.as_bytes()[0];
            let mut lines = HeaderMap::new();
            lines.insert(KEY, value.clone());
            let expected = match byte {
                b' ' | b'\t' => EMPTY,
                _ if byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte) => {
                    presented(value.as_bytes(), 1)
                }
                _ => NOT_A_TOKEN,
            };
            assert_eq!(read(&lines, &places()).checked(), expected, "{byte:#04x}");
        }
    }
}
