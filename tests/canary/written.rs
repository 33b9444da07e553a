//! Bytes as they are written into text: hexadecimal, base64, lists of numbers, percent-encoding.

/// The shortest that is of interest: 32 bytes in base64 without padding.
const SHORTEST: usize = 43;

/// Everything that could be bytes which somebody wrote down.
pub(crate) fn bytes_in(text: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let words = text.split(|&byte| sextet(byte).is_none());
    let words = words.filter(|word| word.len() >= SHORTEST);
    let words = words.flat_map(|word| hexadecimal(word).chain(base64(word)));
    words.chain(lists(text))
}

/// A text with `%5F` for `_`.
pub(crate) fn percent_decoded(text: &[u8]) -> Option<Vec<u8>> {
    text.contains(&b'%').then(|| {
        let mut decoded = Vec::with_capacity(text.len());
        let mut rest = text;
        while let [first, after @ ..] = rest {
            let escaped = match after {
                [high, low, after @ ..] if *first == b'%' => {
                    octet(*high, *low).map(|byte| (byte, after))
                }
                _ => None,
            };
            let (byte, after) = escaped.unwrap_or((*first, after));
            decoded.push(byte);
            rest = after;
        }
        decoded
    })
}

/// The first digit may be of something else.
fn hexadecimal(word: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    let digits = word.split(|byte| !byte.is_ascii_hexdigit());
    let digits = digits.filter(|digits| digits.len() >= 64);
    let starts = digits.flat_map(|digits| [digits, &digits[1..]]);
    starts.map(|digits| {
        let pairs = digits.chunks_exact(2);
        pairs.filter_map(|pair| octet(pair[0], pair[1])).collect()
    })
}

fn octet(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

/// Both alphabets at once. What is looked for may begin at each character of a group.
fn base64(word: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    (0..4).map(move |start| {
        let (mut bytes, mut bits, mut length) = (Vec::new(), 0_u32, 0);
        for sextet in word[start..].iter().filter_map(|&byte| sextet(byte)) {
            bits = (bits << 6 | u32::from(sextet)) & 0xffff;
            length += 6;
            if length >= 8 {
                length -= 8;
                bytes.push((bits >> length).to_le_bytes()[0]);
            }
        }
        bytes
    })
}

fn sextet(byte: u8) -> Option<u8> {
    Some(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    })
}

/// As `Debug` writes bytes, on one line or on many.
fn lists(text: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    text.split(|&byte| byte == b'[').skip(1).filter_map(|list| {
        let end = list.iter().position(|byte| {
            !byte.is_ascii_digit() && !byte.is_ascii_whitespace() && *byte != b','
        });
        let list = std::str::from_utf8(&list[..end.unwrap_or(list.len())]).ok()?;
        let numbers = list
            .split(',')
            .filter_map(|number| number.trim().parse().ok());
        let bytes: Vec<u8> = numbers.collect();
        (bytes.len() >= 32).then_some(bytes)
    })
}
