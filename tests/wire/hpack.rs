//! Headers of HTTP/2 as bytes (RFC 7541): written in the plainest of its forms, so that any byte
//! can be sent, and read without a dynamic table, which the client forbids.

use std::collections::HashMap;
use std::sync::LazyLock;

/// Appendix A, from 1 on. The values are left out where no answer has any.
const STATIC: [(&str, &str); 61] = [
    (":authority", ""),
    (":method", "GET"),
    (":method", "POST"),
    (":path", "/"),
    (":path", "/index.html"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "200"),
    (":status", "204"),
    (":status", "206"),
    (":status", "304"),
    (":status", "400"),
    (":status", "404"),
    (":status", "500"),
    ("accept-charset", ""),
    ("accept-encoding", "gzip, deflate"),
    ("accept-language", ""),
    ("accept-ranges", ""),
    ("accept", ""),
    ("access-control-allow-origin", ""),
    ("age", ""),
    ("allow", ""),
    ("authorization", ""),
    ("cache-control", ""),
    ("content-disposition", ""),
    ("content-encoding", ""),
    ("content-language", ""),
    ("content-length", ""),
    ("content-location", ""),
    ("content-range", ""),
    ("content-type", ""),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("expect", ""),
    ("expires", ""),
    ("from", ""),
    ("host", ""),
    ("if-match", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("if-range", ""),
    ("if-unmodified-since", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("max-forwards", ""),
    ("proxy-authenticate", ""),
    ("proxy-authorization", ""),
    ("range", ""),
    ("referer", ""),
    ("refresh", ""),
    ("retry-after", ""),
    ("server", ""),
    ("set-cookie", ""),
    ("strict-transport-security", ""),
    ("transfer-encoding", ""),
    ("user-agent", ""),
    ("vary", ""),
    ("via", ""),
    ("www-authenticate", ""),
];

/// The printable characters of appendix B, by the length of their codes. The codes follow: among
/// those of one length they count up in this order, and a longer length goes on where the shorter
/// one ended.
const HUFFMAN: [(u32, &str); 11] = [
    (5, "012aceiost"),
    (6, " %-./3456789=A_bdfghlmnpru"),
    (7, ":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz"),
    (8, "&*,;XZ"),
    (10, "!\"()?"),
    (11, "'+|"),
    (12, "#>"),
    (13, "\0$@[]~"),
    (14, "^}"),
    (15, "<`{"),
    (19, "\\"),
];

static CODES: LazyLock<HashMap<(u32, u32), char>> = LazyLock::new(|| {
    let (mut code, mut before) = (0_u32, 0);
    let mut codes = HashMap::new();
    for (length, symbols) in HUFFMAN {
        code <<= length - before;
        before = length;
        for symbol in symbols.chars() {
            codes.insert((length, code), symbol);
            code += 1;
        }
    }
    codes
});

/// One field, as a literal that is not indexed, its name spelled out.
pub(crate) fn write(block: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    block.push(0);
    for text in [name, value] {
        write_length(block, text.len());
        block.extend_from_slice(text);
    }
}

/// Section 5.1, with a prefix of seven bits of which the eighth says: no Huffman code.
fn write_length(block: &mut Vec<u8>, length: usize) {
    let Some(mut rest) = length.checked_sub(127) else {
        block.push(u8::try_from(length).unwrap());
        return;
    };
    block.push(127);
    while rest >= 128 {
        block.push(u8::try_from(rest % 128).unwrap() | 128);
        rest /= 128;
    }
    block.push(u8::try_from(rest).unwrap());
}

/// All fields of a block, in order.
pub(crate) fn read(block: &[u8]) -> Vec<(String, String)> {
    let mut rest = block;
    let mut fields = Vec::new();
    while let Some(&first) = rest.first() {
        match first {
            0b1000_0000.. => {
                let (name, value) = STATIC[number(&mut rest, 7) - 1];
                fields.push((name.to_owned(), value.to_owned()));
            }
            0b0100_0000.. => fields.push(literal(&mut rest, 6)),
            // The size of the dynamic table, which is none.
            0b0010_0000.. => assert_eq!(number(&mut rest, 5), 0),
            _ => fields.push(literal(&mut rest, 4)),
        }
    }
    fields
}

fn literal(rest: &mut &[u8], prefix: u32) -> (String, String) {
    let name = match number(rest, prefix) {
        0 => text(rest),
        index => STATIC[index - 1].0.to_owned(),
    };
    (name, text(rest))
}

fn number(rest: &mut &[u8], prefix: u32) -> usize {
    let most = (1_usize << prefix) - 1;
    let mut number = usize::from(take(rest, 1)[0]) & most;
    if number < most {
        return number;
    }
    for shift in (0..).step_by(7) {
        let byte = usize::from(take(rest, 1)[0]);
        number += (byte & 127) << shift;
        if byte < 128 {
            break;
        }
    }
    number
}

fn text(rest: &mut &[u8]) -> String {
    let is_huffman = rest[0] >= 128;
    let length = number(rest, 7);
    let bytes = take(rest, length);
    if !is_huffman {
        return String::from_utf8(bytes.to_vec()).unwrap();
    }
    let (mut text, mut code, mut length) = (String::new(), 0, 0);
    let bits = bytes
        .iter()
        .flat_map(|byte| (0..8).rev().map(move |at| byte >> at & 1));
    for bit in bits {
        (code, length) = (code << 1 | u32::from(bit), length + 1);
        if let Some(symbol) = CODES.get(&(length, code)) {
            text.push(*symbol);
            (code, length) = (0, 0);
        }
    }
    assert!(length < 8 && code + 1 == 1 << length, "padded with ones");
    text
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> &'a [u8] {
    let (taken, after) = rest.split_at(length);
    *rest = after;
    taken
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
    let byte = |pair: &[char]| u8::from_str_radix(&String::from_iter(pair), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

/// Appendices C.2.2 and C.6.1, of which the second has a date, a location and Huffman codes.
#[test]
fn the_examples_of_the_standard_are_read() {
    let plain = hex("040c 2f73 616d 706c 652f 7061 7468");
    assert_eq!(
        read(&plain),
        [(":path".to_owned(), "/sample/path".to_owned())]
    );
    let coded = hex(
        "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 \
         2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
    );
    let fields = [
        (":status", "302"),
        ("cache-control", "private"),
        ("date", "Mon, 21 Oct 2013 20:13:21 GMT"),
        ("location", "https://www.example.com"),
    ];
    let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(read(&coded), fields);
}

/// Appendix C.1.
#[test]
fn numbers_are_those_of_the_standard() {
    for (prefix, bytes, expected) in [
        (5, &[0b1010][..], 10),
        (5, &[0b1_1111, 0b1001_1010, 0b1010], 1337),
        (8, &[0b10_1010], 42),
    ] {
        assert_eq!(number(&mut &*bytes, prefix), expected);
    }
    for length in [0, 126, 127, 128, 300, 400_000] {
        let mut written = Vec::new();
        write_length(&mut written, length);
        assert_eq!(number(&mut &*written, 7), length);
    }
}
