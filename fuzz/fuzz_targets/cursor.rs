//! A cursor opens as it was given out and in no other way.
//!
//! Read as text the bytes are a cursor of somebody's making. Read in pieces they are what a list
//! is about, where its page ended, and what becomes of the cursor on its way.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::admin::fuzzing::{List, open_cursor, seal_cursor};
use portcullis::key::KeyId;
use portcullis::store::{Owner, Status};
use portcullis::timestamp::Timestamp;

const KEY: [u8; 32] = [7; 32];
const OTHER_KEY: [u8; 32] = [8; 32];

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = str::from_utf8(data) {
        of_ones_own_making(text);
    }
    let Some((head, rest)) = data.split_at_checked(12) else {
        return;
    };
    let (micros, head) = head.split_first_chunk().expect("twelve bytes");
    let micros = i64::from_be_bytes(*micros);
    let [listed, asked, length, _] = head else {
        return;
    };
    let (owner, edits) = rest.split_at(usize::from(*length).min(rest.len()));
    let owner = str::from_utf8(owner).unwrap_or("owner");
    let Some(created_at) = Timestamp::from_unix_micros(micros) else {
        return;
    };
    let id: KeyId = "key_0123456789abcdefABCDEF".parse().expect("it is an id");
    let cursor = seal_cursor(&KEY, &list(*listed, owner), created_at, &id);
    let position = Some((created_at, id));
    assert_eq!(open_cursor(&KEY, &list(*listed, owner), &cursor), position);
    assert_eq!(
        open_cursor(&OTHER_KEY, &list(*listed, owner), &cursor),
        None
    );
    // Another list, if it is one.
    if list(*asked, owner) != list(*listed, owner) {
        assert_eq!(open_cursor(&KEY, &list(*asked, owner), &cursor), None);
    }
    let changed = edit(&cursor, edits);
    if changed != cursor.as_bytes()
        && let Ok(changed) = str::from_utf8(&changed)
    {
        assert_eq!(
            open_cursor(&KEY, &list(*listed, owner), changed),
            None,
            "{changed}"
        );
    }
});

/// Nobody seals without the key: that one is opened would be a find.
fn of_ones_own_making(text: &str) {
    for number in 0..32 {
        assert_eq!(open_cursor(&KEY, &list(number, text), text), None, "{text}");
    }
}

/// One of 32 lists of this owner and of everybody.
fn list(number: u8, owner: &str) -> List {
    let bit = |bit: u8| number >> bit & 1 == 1;
    let status = if bit(2) {
        Status::Active
    } else {
        Status::Revoked
    };
    List {
        owner: Owner::parse(owner).ok().filter(|_| bit(0)),
        status: bit(1).then_some(status),
        environment: bit(3).then(|| "live".parse().expect("it is a name")),
        expires_before: bit(4).then_some(Timestamp::UNIX_EPOCH),
    }
}

/// Each three bytes do something to the text: replace, insert or cut off.
fn edit(cursor: &str, edits: &[u8]) -> Vec<u8> {
    let mut bytes = cursor.as_bytes().to_vec();
    for edit in edits.chunks_exact(3) {
        let at = usize::from(edit[1]) % bytes.len().max(1);
        match edit[0] % 4 {
            0 if !bytes.is_empty() => bytes[at] = edit[2],
            1 => bytes.insert(at, edit[2]),
            2 => bytes.truncate(at),
            _ => bytes.push(edit[2]),
        }
    }
    bytes
}
