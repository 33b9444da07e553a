//! How a credential is written: what the value of one header line says.

use super::{Credential, MAX_CREDENTIAL_BYTES, Malformed};

const BEARER: &[u8] = b"Bearer";

/// Reads the trimmed value of `Authorization`.
pub(super) fn bearer(value: &[u8], place: usize) -> Credential<'_> {
    // As nearly everybody writes it; the rest of this comes to the same.
    if let Some(credential) = value.strip_prefix(b"Bearer ")
        && credential.first().is_some_and(|&byte| byte != b' ')
    {
        return token(credential, place);
    }
    let Some((scheme, after)) = value.split_at_checked(BEARER.len()) else {
        return Credential::Absent;
    };
    // The scheme ends where no more `tchar` follows: `BearerX` and `Bearer-x` are other schemes.
    if !scheme.eq_ignore_ascii_case(BEARER) || after.first().is_some_and(|&byte| is_tchar(byte)) {
        return Credential::Absent;
    }
    let spaces = after.iter().take_while(|&&byte| byte == b' ').count();
    let (_, credential) = after.split_at(spaces);
    match token(credential, place) {
        Credential::Presented { .. } if spaces == 0 => {
            Credential::Malformed(Malformed::NotBearerToken)
        }
        Credential::TooLong { .. } if spaces == 0 => Credential::TooLong { token: None, place },
        answer => answer,
    }
}

/// Reads the trimmed value of a header that holds nothing but the credential.
pub(super) fn token(value: &[u8], place: usize) -> Credential<'_> {
    // First, so that what is long costs nothing more.
    if value.len() > MAX_CREDENTIAL_BYTES {
        return Credential::TooLong {
            token: Some(value),
            place,
        };
    }
    Credential::Presented {
        token: value,
        place,
    }
}

/// `1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="`
pub(crate) fn is_b64token(value: &[u8]) -> bool {
    let padding = value.iter().rev().take_while(|&&byte| byte == b'=').count();
    let (body, _) = value.split_at(value.len() - padding);
    !body.is_empty() && body.iter().all(|&byte| B64[usize::from(byte)])
}

/// The characters of a scheme (RFC 9110 section 5.6.2).
fn is_tchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// The characters of a bearer token, but for the `=` at its end.
const B64: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 128_u8 {
        table[byte as usize] =
            byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/');
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    fn presented(token: &[u8]) -> Credential<'_> {
        Credential::Presented { token, place: 0 }
    }

    fn too_long(value: &[u8]) -> Credential<'_> {
        Credential::TooLong {
            token: Some(value),
            place: 0,
        }
    }

    const TOO_LONG_FOR_NO_TOKEN: Credential<'_> = Credential::TooLong {
        token: None,
        place: 0,
    };

    const ABSENT: Credential<'_> = Credential::Absent;
    const NOT_A_TOKEN: Credential<'_> = Credential::Malformed(Malformed::NotBearerToken);

    #[test]
    fn what_follows_authorization() {
        let (x255, x256, x257) = ([b'x'; 255], [b'x'; 256], [b'x'; 257]);
        let c257 = [b','; 257];
        let spaces = [b' '; 1000];
        let cases: [(&str, &[&[u8]], Credential<'_>); 34] = [
            ("a bearer token", &[b"Bearer abc"], presented(b"abc")),
            (
                "a scheme in another case",
                &[b"bEARER abc"],
                presented(b"abc"),
            ),
            (
                "many spaces",
                &[b"Bearer", &spaces, b"abc"],
                presented(b"abc"),
            ),
            (
                "all kinds of characters",
                &[b"Bearer aZ09-._~+/=="],
                presented(b"aZ09-._~+/=="),
            ),
            ("256 bytes", &[b"Bearer ", &x256], presented(&x256)),
            ("257 bytes", &[b"Bearer ", &x257], too_long(&x257)),
            (
                "257 bytes after many spaces",
                &[b"Bearer", &spaces, &x257],
                too_long(&x257),
            ),
            (
                "257 bytes that are no token",
                &[b"Bearer ", &c257],
                too_long(&c257),
            ),
            (
                "257 bytes without a space",
                &[b"Bearer", &c257],
                TOO_LONG_FOR_NO_TOKEN,
            ),
            (
                "a tab and 256 bytes",
                &[b"Bearer\t", &x256],
                TOO_LONG_FOR_NO_TOKEN,
            ),
            ("a tab and 255 bytes", &[b"Bearer\t", &x255], NOT_A_TOKEN),
            ("the scheme alone", &[b"Bearer"], NOT_A_TOKEN),
            ("the scheme and a space", &[b"Bearer "], NOT_A_TOKEN),
            ("a tab for the space", &[b"Bearer\tabc"], NOT_A_TOKEN),
            ("a tab after the space", &[b"Bearer \tabc"], NOT_A_TOKEN),
            ("a comma for the space", &[b"Bearer,abc"], NOT_A_TOKEN),
            ("a slash for the space", &[b"Bearer/abc"], NOT_A_TOKEN),
            (
                "an equals sign for the space",
                &[b"Bearer=abc"],
                NOT_A_TOKEN,
            ),
            ("two tokens", &[b"Bearer a b"], NOT_A_TOKEN),
            ("a list of two", &[b"Bearer a, Bearer b"], NOT_A_TOKEN),
            ("a quoted token", &[b"Bearer \"abc\""], NOT_A_TOKEN),
            ("padding alone", &[b"Bearer =="], NOT_A_TOKEN),
            ("padding in the middle", &[b"Bearer a=b"], NOT_A_TOKEN),
            ("a byte beyond ASCII", &[b"Bearer \xff"], NOT_A_TOKEN),
            ("another scheme", &[b"Basic abc"], ABSENT),
            ("another scheme, long", &[b"Basic ", &x257], ABSENT),
            ("a scheme that goes on", &[b"BearerX abc"], ABSENT),
            (
                "a scheme that goes on with a dash",
                &[b"Bearer-x abc"],
                ABSENT,
            ),
            ("a scheme that stops short", &[b"Beare abc"], ABSENT),
            ("a raw key", &[b"acme_live_abc"], ABSENT),
            ("a single letter", &[b"B"], ABSENT),
            ("nothing", &[], ABSENT),
            ("no scheme", &[b"\xff\xff\xff\xff\xff\xff\xff"], ABSENT),
            ("a space in front", &[b" Bearer abc"], ABSENT),
        ];
        for (name, value, expected) in cases {
            assert!(bearer(&value.concat(), 0).checked() == expected, "{name}");
        }
    }

    #[test]
    fn what_is_a_token_by_itself() {
        let (x256, x257, c257) = ([b'x'; 256], [b'x'; 257], [b','; 257]);
        let cases: [(&str, &[u8], Credential<'_>); 8] = [
            ("a token", b"abc==", presented(b"abc==")),
            ("256 bytes", &x256, presented(&x256)),
            ("257 bytes", &x257, too_long(&x257)),
            ("257 bytes that are no token", &c257, too_long(&c257)),
            ("nothing", b"", NOT_A_TOKEN),
            ("a scheme and a token", b"Bearer abc", NOT_A_TOKEN),
            ("a list", b"a,b", NOT_A_TOKEN),
            ("a byte beyond ASCII", b"\x80", NOT_A_TOKEN),
        ];
        for (name, value, expected) in cases {
            assert_eq!(token(value, 0).checked(), expected, "{name}");
        }
    }

    #[test]
    fn every_byte_at_every_position_of_a_short_value() {
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
        let is_tchar =
            |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        for byte in 0..=u8::MAX {
            for position in 0..9 {
                let mut value = *b"Bearer ab";
                value[position] = byte;
                let same = byte.eq_ignore_ascii_case(&b"Bearer ab"[position]);
                let expected = match position {
                    0..=6 if same => presented(b"ab"),
                    0..=5 => ABSENT,
                    6 if is_tchar(byte) => ABSENT,
                    6 => NOT_A_TOKEN,
                    7 if byte == b' ' => presented(b"b"),
                    8 if byte == b'=' => presented(b"a="),
                    _ if is_token(byte) => presented(&value[7..]),
                    _ => NOT_A_TOKEN,
                };
                assert_eq!(
                    bearer(&value, 0).checked(),
                    expected,
                    "{byte:#04x} at {position}"
                );
            }
        }
    }
}
