//! That the search for secrets finds them, however they are written, and that all tests are
//! searched.

#[path = "canary/mod.rs"]
mod canary;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use canary::Search;
use portcullis::key::KeyFormat;
use sha2::{Digest as _, Sha256};

fn key() -> String {
    let format = KeyFormat::new("acme", ["live"]).unwrap();
    let key = format.generate(format.default_environment()).unwrap();
    key.plain.expose().to_owned()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// All ways in which bytes are written into text.
fn written(bytes: &[u8]) -> Vec<String> {
    let mut written = vec![
        hex(bytes),
        hex(bytes).to_uppercase(),
        // As Postgres writes bytes, and behind a letter that is a digit as well.
        format!("\\x{}", hex(bytes)),
        format!("e{}", hex(bytes)),
        format!("{bytes:?}"),
        format!("{bytes:#?}"),
    ];
    // In base64 the beginning may stand at three places within a group.
    for ahead in ["", "~", "~~"] {
        let whole = [ahead.as_bytes(), bytes, b"~"].concat();
        written.push(BASE64_STANDARD.encode(&whole));
        written.push(BASE64_URL_SAFE_NO_PAD.encode(&whole));
    }
    written.push(BASE64_STANDARD.encode(bytes));
    written.push(BASE64_URL_SAFE_NO_PAD.encode(bytes));
    written
}

fn in_a_line(text: &str) -> String {
    format!("2030-01-01T00:00:00Z TRACE h2::codec: read key={text} of=48\n")
}

#[test]
fn a_key_that_nobody_knows_is_found_in_every_form() {
    let key = key();
    let mut forms = written(key.as_bytes());
    forms.push(key.clone());
    forms.push(format!("{:?}", bytes::Bytes::from(key.clone())));
    forms.push(key.replace('_', "%5F"));
    forms.push(format!("{key}{}", "x".repeat(300)));
    // Mistyped.
    forms.push(key.replace("acme_live", "other_test"));
    for form in forms {
        let found = Search::default().find(in_a_line(&form).as_bytes());
        assert_eq!(found, Some("a key"), "{form}");
        let found = Search::default().keys_in(in_a_line(&form).as_bytes());
        assert_eq!(found, Some("a key"), "{form}");
    }
}

#[test]
fn a_part_of_a_key_is_found_where_the_key_is_known() {
    let key = key();
    let mut search = Search::default();
    let body = &key["acme_live_1234".len()..];
    assert_eq!(search.find(in_a_line(body).as_bytes()), None);
    assert_eq!(search.know(&key), None);
    let (half, _) = body.split_at(body.len() / 2);
    for part in [body, half, &body[7..19]] {
        let found = search.find(in_a_line(part).as_bytes());
        assert_eq!(found, Some("a part of a key"), "{part}");
    }
    // The hint is for people to see.
    let hint = &key[.."acme_live_1234".len()];
    assert_eq!(search.find(in_a_line(hint).as_bytes()), None);
}

#[test]
fn a_digest_is_found_in_every_form_before_the_key_is_known_and_after() {
    let key = key();
    for form in written(&Sha256::digest(&key)) {
        let line = in_a_line(&form);
        let mut search = Search::default();
        assert_eq!(search.find(line.as_bytes()), None, "{form}");
        let of_later = search.know(&key);
        assert!(of_later.is_some(), "{form}");
        let found = search.find(line.as_bytes());
        assert_eq!(found, Some("the digest of a key"), "{form}");
        // That is where digests belong.
        assert_eq!(search.keys_in(line.as_bytes()), None, "{form}");
    }
}

#[test]
fn a_secret_of_another_form_is_found_where_it_is_known() {
    let token = "the-only-admin-token.of~these+tests/0123456789==";
    let mut search = Search::default();
    assert_eq!(search.find(token.as_bytes()), None);
    assert_eq!(search.know(token), None);
    let mut forms = written(token.as_bytes());
    forms.push(token.to_owned());
    for form in forms {
        let found = search.find(in_a_line(&form).as_bytes());
        assert_eq!(found, Some("a secret"), "{form}");
    }
}

#[test]
fn what_is_no_secret_is_not_found() {
    let mut search = Search::default();
    assert_eq!(search.know(&key()), None);
    let id = "key_2vQ9dKfTn0aYxZbC3LmP8s";
    for text in [
        id,
        "acme_live_3Jd4",
        "SELECT s.key_id, k.name FROM portcullis.secrets s WHERE s.digest = $1",
        "[1, 2, 3]",
        "",
    ] {
        assert_eq!(search.find(in_a_line(text).as_bytes()), None, "{text}");
    }
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn no_keyring_of_a_test_is_forgotten() {
    let mut files = Vec::new();
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    sources(&tests, &mut files);
    // That of another file, which is named here, listens as well.
    let listens = [
        "canary::listen()",
        "canary::listen_to_the_crate_alone()",
        "canary::take_log()",
        "store_of_keyring()",
        "canary::in_a_log",
        "canary::nothing_in_a_log(",
    ];
    let listens = |path: &Path, text: &str| {
        // A ground listens for whatever stands on it, where it does.
        let ground = path.with_file_name("ground.rs");
        let of_ground = text
            .contains("Ground::new(")
            .then(|| fs::read_to_string(ground));
        let of_ground = of_ground.and_then(Result::ok).unwrap_or_default();
        [text, &of_ground]
            .iter()
            .any(|text| listens.iter().any(|listens| text.contains(listens)))
    };
    let (mut keyrings, mut forgotten) = (0, Vec::new());
    // This file is about the words that it looks for, and where pieces of the heap are counted a log
    // would take some.
    let left_out = ["canary.rs", "allocations.rs"].map(|name| tests.join(name));
    for path in files.iter().filter(|path| !left_out.contains(path)) {
        let text = fs::read_to_string(path).unwrap();
        // Made here, or by a process that is started here.
        if text.contains("Keyring::builder(") || text.contains(".join(\"examples\")") {
            keyrings += 1;
            if !listens(path, &text) {
                forgotten.push(path);
            }
        }
    }
    assert!(keyrings >= 10, "{keyrings}");
    assert!(forgotten.is_empty(), "not listened to: {forgotten:#?}");
}
