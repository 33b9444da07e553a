//! Which foreign formats there may be, and which keys are of them.

use super::*;
use crate::key::{KeyDigest, KeyFormat, NotAKey};

const LIVE: &str = "acme_live_0123456789ABCDEFGHIJKLMNOPQRSTUV4IG2In";
const HEX: &str = "000102030405060708090a0b0c0d0e0f1011121314151617";

fn foreign(prefix: &str, alphabet: Alphabet, body: impl Into<BodyLength>) -> ForeignFormat {
    ForeignFormat::new(prefix, alphabet, body).unwrap()
}

fn accepting(formats: impl IntoIterator<Item = ForeignFormat>) -> KeyFormat {
    let format = KeyFormat::new("acme", ["live", "test"]).unwrap();
    format.with_foreign(formats).unwrap()
}

/// The environment of a key.
fn environment<'a>(format: &'a KeyFormat, text: &'a str) -> Result<&'a str, NotAKey> {
    let key = format.parse(text.as_bytes())?;
    assert_eq!(
        key.digest(),
        KeyDigest::of(text.as_bytes()),
        "as it was sent"
    );
    Ok(key.environment().as_str())
}

#[test]
fn scanners_look_for_what_is_accepted() {
    let cases = [
        (
            foreign("a.b+_", Alphabet::Hex, 48),
            r"\ba\.b\+_[0-9a-f]{48}\b",
        ),
        (
            foreign("pat-", Alphabet::Base64Url, 32..=40),
            r"\bpat-[0-9A-Za-z_-]{32,40}\b",
        ),
        (
            foreign("gh", Alphabet::Base62, 36),
            r"\bgh[0-9A-Za-z]{36}\b",
        ),
    ];
    for (format, regex) in cases {
        assert_eq!(format.scanner_regex(), regex);
    }
}

#[test]
fn foreign_keys_are_keys_and_near_misses_are_none() {
    let format = accepting([
        foreign("old_", Alphabet::Hex, 48),
        foreign("pat-", Alphabet::Base64Url, 32..=40).environment("test".parse().unwrap()),
        foreign("gh", Alphabet::Base62, 36),
    ]);
    let a = |times| "a".repeat(times);
    let cases = [
        ("ours", LIVE.to_owned(), Some("live")),
        ("in hex", format!("old_{HEX}"), Some("live")),
        (
            "of the least length",
            format!("pat-{}", a(32)),
            Some("test"),
        ),
        ("of the most", format!("pat-_-{}", a(38)), Some("test")),
        ("without a separator", format!("gh{}", a(36)), Some("live")),
        ("one character less", format!("old_{}", &HEX[1..]), None),
        ("one more", format!("old_{HEX}0"), None),
        ("upper case", format!("old_{}", HEX.to_uppercase()), None),
        ("a prefix in upper case", format!("OLD_{HEX}"), None),
        ("no prefix", HEX.to_owned(), None),
        ("no separator", format!("old{HEX}"), None),
        ("not of the alphabet", format!("old_{}g", &HEX[1..]), None),
        ("padding", format!("old_{}=", &HEX[1..]), None),
        ("a line feed behind it", format!("old_{HEX}\n"), None),
        ("less than the least", format!("pat-{}", a(31)), None),
        ("more than the most", format!("pat-{}", a(41)), None),
        ("a dot", format!("pat-.{}", a(32)), None),
        ("a dash in base62", format!("gh-{}", a(35)), None),
        ("a megabyte", format!("old_{}", "0".repeat(1 << 20)), None),
        (
            "ours with a wrong checksum",
            LIVE.replace("4IG2In", "4IG2Im"),
            None,
        ),
    ];
    for (name, text, expected) in cases {
        assert_eq!(environment(&format, &text).ok(), expected, "{name}");
    }
    // Without them the same is no key, and a typo in ours is a typo either way.
    let ours_alone = KeyFormat::new("acme", ["live"]).unwrap();
    assert!(environment(&ours_alone, &format!("old_{HEX}")).is_err());
    let typo = LIVE.replace("4IG2In", "4IG2Im");
    assert_eq!(environment(&format, &typo), Err(NotAKey::Checksum));
}

#[test]
fn every_other_byte_at_every_position_is_refused() {
    let format = accepting([foreign("old_", Alphabet::Hex, 48)]);
    let key = format!("old_{HEX}");
    for position in 0..key.len() {
        for byte in 0..=u8::MAX {
            let mut presented = key.as_bytes().to_vec();
            presented[position] = byte;
            let is_key = match position {
                0..4 => byte == key.as_bytes()[position],
                _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
            };
            let parsed = format.parse(&presented);
            assert_eq!(parsed.is_ok(), is_key, "{byte:#04x} at {position}");
        }
    }
}

#[test]
fn forms_that_some_text_would_share_are_refused() {
    use Alphabet::{Base62, Base64Url, Hex};
    let cases = [
        ("ours", vec![foreign("acme_live_", Base62, 38)], false),
        (
            "not the first environment",
            vec![foreign("acme_test_", Hex, 30..=50)],
            false,
        ),
        (
            "all that begins with a letter",
            vec![foreign("a", Base64Url, 32..=64)],
            false,
        ),
        (
            "ours in another length",
            vec![foreign("acme_live_", Hex, 48)],
            true,
        ),
        (
            "twice",
            vec![foreign("x_", Hex, 32), foreign("x_", Hex, 32)],
            false,
        ),
        (
            "side by side",
            vec![foreign("x_", Hex, 32), foreign("x_", Hex, 33)],
            true,
        ),
    ];
    for (name, formats, expected) in cases {
        let format = KeyFormat::new("acme", ["live", "test"]).unwrap();
        let built = format.with_foreign(formats);
        assert_eq!(built.is_ok(), expected, "{name}");
    }
}

#[test]
fn an_overlap_is_told_with_both_and_so_is_an_environment() {
    let ours = || KeyFormat::new("acme", ["live", "test"]).unwrap();
    let why = ours().with_foreign([foreign("acme_", Alphabet::Base64Url, 43)]);
    assert_eq!(
        why.unwrap_err().to_string(),
        "keys that begin with \"acme_\" cannot be told from those that begin with \
         \"acme_live_\": some have the length and the characters of both"
    );
    let prod = foreign("x_", Alphabet::Hex, 32).environment("prod".parse().unwrap());
    assert_eq!(
        ours().with_foreign([prod]).unwrap_err().to_string(),
        "foreign keys are to be of the environment \"prod\", which is not declared"
    );
}

#[test]
fn what_cannot_be_a_foreign_key_is_refused_and_the_error_says_why() {
    use Alphabet::{Base62, Base64Url, Hex};
    let (x32, x33) = ("x".repeat(32), "x".repeat(33));
    let cases: [(&str, Alphabet, BodyLength, &str); 15] = [
        ("x_", Hex, 28.into(), ""),
        ("x_", Base62, 19.into(), ""),
        ("x.~+/", Base64Url, (19..=251).into(), ""),
        (&x32, Hex, 28.into(), ""),
        ("", Hex, 48.into(), "the prefix of a foreign key is empty"),
        (&x33, Hex, 48.into(), "has 33 bytes; it has 1 to 32"),
        (
            "x y",
            Hex,
            48.into(),
            "the prefix `x y` of a foreign key has characters",
        ),
        (
            "x=",
            Hex,
            48.into(),
            "the prefix `x=` of a foreign key has characters",
        ),
        (
            "é_",
            Hex,
            48.into(),
            "the prefix `\\u{e9}_` of a foreign key has characters",
        ),
        ("x_", Hex, 27.into(), "at least 28, which are 112 bits"),
        (
            "x_",
            Base62,
            (18..=40).into(),
            "a body of 18 characters can be guessed",
        ),
        ("x_", Base64Url, 0.into(), "at least 19, which are 112 bits"),
        (
            "x_",
            Hex,
            255.into(),
            "of 257 bytes is too long: nothing over 256",
        ),
        ("x_", Hex, usize::MAX.into(), "is too long"),
        (
            "x_",
            Hex,
            BodyLength {
                least: 48,
                most: 32,
            },
            "a body of 48 to 32 characters is none",
        ),
    ];
    for (prefix, alphabet, body, expected) in cases {
        match ForeignFormat::new(prefix, alphabet, body) {
            Ok(format) => {
                assert_eq!(expected, "", "{prefix:?} {body:?}");
                let key = prefix.to_owned() + &"0".repeat(body.most);
                assert!(key.len() <= 256 && is_bearer_token(key.as_bytes()));
                assert!(format.shape().includes(key.as_bytes()));
            }
            Err(why) => {
                let said = why.to_string();
                assert!(!expected.is_empty() && said.contains(expected), "{said}");
            }
        }
    }
}

#[test]
fn what_starts_like_a_foreign_key_starts_like_a_key() {
    let format = accepting([foreign("old_", Alphabet::Hex, 48)]);
    for (text, expected) in [
        ("old_", true),
        ("acme_", true),
        ("old", false),
        ("eyJ", false),
    ] {
        let told = format.starts_like_a_key(text.as_bytes());
        assert_eq!(told, expected, "{text}");
    }
}

#[test]
fn a_keyed_checksum_is_asked_of_our_own_keys_alone() {
    let secret = super::super::ChecksumSecret::new('1', [7; 32]).unwrap();
    let format = KeyFormat::new("acme", ["live"]).unwrap();
    let format = format.with_keyed_checksum([secret]).unwrap();
    let format = format
        .with_foreign([foreign("old_", Alphabet::Hex, 48)])
        .unwrap();
    assert_eq!(environment(&format, LIVE), Err(NotAKey::Checksum));
    assert_eq!(environment(&format, &format!("old_{HEX}")), Ok("live"));
}
