//! The form of keys, ours and foreign ones.
//!
//! The bytes are looked at in four ways: as something presented, as the seed of a key and one slip
//! of the pen in it, as names of a format, and as texts that people and stores hand in.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::key::{
    Alphabet, ChecksumSecret, Environment, ForeignFormat, KeyFormat, KeyHint, KeyId, NotAKey,
};
use portcullis_fuzz::ground;
use portcullis_fuzz::key_rules::{is_bearer_token, is_key, key_of};

const ENVIRONMENTS: [&str; 3] = ["live", "liv", "t3"];

/// The formats of a deployment with a checksum for everybody, and of one with a keyed checksum.
struct Formats {
    plain: KeyFormat,
    keyed: KeyFormat,
}

thread_local! {
    static FORMATS: Formats = formats();
}

fn formats() -> Formats {
    let runtime = ground::runtime();
    let _inside = runtime.enter();
    let hex = ForeignFormat::new("old_sk_", Alphabet::Hex, 48).unwrap();
    let base64 = ForeignFormat::new("acme_pat-", Alphabet::Base64Url, 32..=64).unwrap();
    let (plain, _) = ground::keyring(|builder| {
        let builder = builder.environments(ENVIRONMENTS);
        builder.accept_foreign(hex).accept_foreign(base64)
    });
    let secrets = [('k', [7; 32]), ('j', [8; 32])];
    let secrets = secrets.map(|(version, bytes)| ChecksumSecret::new(version, bytes).unwrap());
    let (keyed, _) = ground::keyring(|builder| {
        let builder = builder.environments(ENVIRONMENTS);
        builder.keyed_checksum(secrets)
    });
    Formats {
        plain: plain.format().clone(),
        keyed: keyed.format().clone(),
    }
}

fuzz_target!(|data: &[u8]| {
    FORMATS.with(|formats| {
        presented(formats, data);
        made(formats, data);
    });
    if let Ok(text) = str::from_utf8(data) {
        FORMATS.with(|formats| texts(formats, text));
        names(text);
    }
});

/// What is accepted is a key by the rules, and everything that is a key is accepted.
fn presented(formats: &Formats, bytes: &[u8]) {
    let foreign = is_foreign(bytes, "old_sk_", 48..=48, |byte| {
        byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)
    }) || is_foreign(bytes, "acme_pat-", 32..=64, |byte| {
        byte.is_ascii_alphanumeric() || b"-_".contains(&byte)
    });
    let expected = is_key("acme", &ENVIRONMENTS, bytes) || foreign;
    let parsed = formats.plain.parse(bytes);
    assert_eq!(parsed.is_ok(), expected);
    if let Ok(key) = parsed {
        assert!(formats.plain.starts_like_a_key(bytes));
        assert!(bytes.len() <= 256 && is_bearer_token(bytes));
        let shown = format!("{key:?}");
        let tail = str::from_utf8(&bytes[10..]).unwrap();
        assert!(!shown.contains(tail), "a key in `Debug`: {shown}");
    }
    if formats.keyed.parse(bytes).is_ok() {
        assert!(bytes.len() <= 55 && bytes.starts_with(b"acme_"));
        let version = bytes[bytes.len() - 6];
        assert!(b"kj".contains(&version), "no secret of this version");
    }
}

fn is_foreign(
    bytes: &[u8],
    prefix: &str,
    length: std::ops::RangeInclusive<usize>,
    alphabet: impl Fn(u8) -> bool,
) -> bool {
    let body = bytes.strip_prefix(prefix.as_bytes());
    body.is_some_and(|body| length.contains(&body.len()) && body.iter().all(|byte| alphabet(*byte)))
}

/// A key that was made by the rules is one, and no single slip of the pen makes another of it.
fn made(formats: &Formats, data: &[u8]) {
    let [at, byte, seed @ ..] = data else { return };
    let environment = ENVIRONMENTS[usize::from(*at) % 3];
    let mut key = key_of(&format!("acme_{environment}_"), seed);
    let parsed = formats.plain.parse(&key).expect("made by the rules");
    assert_eq!(parsed.environment().as_str(), environment);
    let digest = parsed.digest();
    // Without the secret the odds are a billion to one; an input that has them found a fault.
    assert_eq!(formats.keyed.parse(&key).err(), Some(NotAKey::Checksum));
    let place = usize::from(*at) % key.len();
    if key[place] == *byte {
        let again = formats.plain.parse(&key).expect("nothing slipped");
        assert_eq!(again.digest(), digest);
    } else {
        key[place] = *byte;
        assert!(formats.plain.parse(&key).is_err(), "a slip at {place}");
    }
}

/// What people and stores hand in prints as it was read.
fn texts(formats: &Formats, text: &str) {
    if let Ok(id) = text.parse::<KeyId>() {
        assert_eq!(id.as_str(), text);
    }
    if let Ok(hint) = KeyHint::from_stored(text) {
        assert_eq!(hint.as_str(), text);
        assert!(text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_graphic()));
    }
    for environment in formats.plain.environments() {
        match formats.plain.imported_hint(text, environment) {
            Ok(hint) => {
                assert_eq!(KeyHint::from_stored(text).as_ref(), Ok(&hint));
                assert!(
                    text.len() <= "acme_live_".len() + 8,
                    "more than a hint: {text}"
                );
                assert!(formats.plain.starts_like_a_key(text.as_bytes()));
            }
            // It says what would be right, whatever was wrong, and so repeats nothing.
            Err(why) => assert_eq!(Err(why), formats.plain.imported_hint("", environment)),
        }
    }
}

/// A format of these names, if it can be, makes keys that it knows again.
fn names(text: &str) {
    let mut words = text.split(' ');
    let prefix = words.next().unwrap_or_default();
    let environments: Vec<&str> = words.collect();
    for name in &environments {
        if let Ok(environment) = name.parse::<Environment>() {
            assert_eq!(environment.as_str(), *name);
        }
    }
    match KeyFormat::new(prefix, &environments) {
        Ok(format) => {
            for environment in format.environments() {
                let key = format
                    .generate(environment)
                    .expect("there are random bytes");
                let plain = key.plain.expose();
                assert!(
                    plain.len() <= 55 && plain.starts_with(&format!("{prefix}_{environment}_"))
                );
                assert!(is_key(prefix, &environments, plain.as_bytes()));
                let parsed = format.parse(plain.as_bytes()).expect("made by it");
                assert_eq!(
                    (parsed.digest(), parsed.environment()),
                    (key.digest, environment)
                );
                assert!(plain.starts_with(key.hint.as_str()));
                assert!(!format!("{:?}", key.plain).contains(&plain[14..]));
            }
        }
        Err(why) => assert!(why.to_string().len() < 400, "{why}"),
    }
    let length = text.len();
    for alphabet in [Alphabet::Hex, Alphabet::Base62, Alphabet::Base64Url] {
        if let Ok(foreign) = ForeignFormat::new(prefix, alphabet, environments.len()..=length) {
            assert!(is_bearer_token(format!("{prefix}0").as_bytes()));
            assert!(foreign.scanner_regex().starts_with(r"\b"));
        }
    }
}
