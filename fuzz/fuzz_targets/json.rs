//! The admin API's reader of JSON against `serde_json`.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::admin::fuzzing::rewrite_json;
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    let ours = rewrite_json(data);
    let theirs = serde_json::from_slice::<Value>(data);
    match (&ours, &theirs) {
        (Some(text), Ok(value)) => {
            let again: Value = serde_json::from_str(text).expect("what is written is JSON");
            assert_eq!(again, *value, "{text}");
            assert_eq!(rewrite_json(text.as_bytes()).as_ref(), Some(text));
        }
        (None, Err(_)) => {}
        (Some(_), Err(why)) => {
            // We keep the digits of a number, whatever they come to, and refuse that later, by the
            // name of the field; and we read the level 128, where serde_json takes fewer.
            let why = why.to_string();
            let known = ["number out of range", "recursion limit exceeded"];
            assert!(known.iter().any(|known| why.starts_with(known)), "{why}");
        }
        (None, Ok(value)) => panic!("not read: {value}"),
    }
});
