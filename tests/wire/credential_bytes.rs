//! Whatever byte stands wherever in a credential, the answer is one of the promised ones.

use axum::Router;

use crate::client::{BOTH, Protocol};
use crate::ground::{Ground, Marks, Server};
use crate::message::Request;

type Told = (u16, &'static str);

const IN: Told = (200, "");
const MISSING: Told = (401, "missing_credentials");
const UNREADABLE: Told = (400, "invalid_request");
const DEAD: Told = (401, "invalid_token");

/// What the promise says of a credential that arrived, written down apart from the code.
fn bearer(value: &[u8], key: &str) -> Told {
    let text: String = value.iter().map(|&byte| char::from(byte)).collect();
    let text = text.trim_matches([' ', '\t']);
    if text.is_empty() {
        return UNREADABLE;
    }
    let is_tchar = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    let end = text.find(|c| !is_tchar(c)).unwrap_or(text.len());
    let (scheme, rest) = text.split_at(end);
    if !scheme.eq_ignore_ascii_case("bearer") {
        return MISSING;
    }
    if !rest.starts_with(' ') {
        return UNREADABLE;
    }
    token(rest.trim_start_matches(' '), key)
}

fn token(token: &str, key: &str) -> Told {
    let body = token.trim_end_matches('=');
    let is_b64 = |c: char| c.is_ascii_alphanumeric() || "-._~+/".contains(c);
    if body.is_empty() || !body.chars().all(is_b64) {
        UNREADABLE
    } else if token == key {
        IN
    } else {
        DEAD
    }
}

/// What no value of a header can hold (RFC 9110 section 5.5): the server refuses it by itself.
fn is_control(byte: u8) -> bool {
    byte < b' ' && byte != b'\t' || byte == 0x7f
}

async fn server(ground: &Ground) -> Server {
    let marks = Marks::default();
    let keyed = ground.layer().with_header("x-api-key".parse().unwrap());
    let app = Router::new()
        .route("/", marks.handler("/").layer(ground.layer()))
        .route("/keyed", marks.handler("/keyed").layer(keyed));
    Server::start(app).await
}

/// Puts each byte at each place of `value`, and holds the answers against what is `expected` of a
/// value where this is the key.
async fn each_byte_at_each_place(
    target: &str,
    header: &str,
    value: &str,
    expected: fn(&[u8], &str) -> Told,
) {
    let ground = Ground::new().await;
    let key = ground.key(&[]).await;
    let server = server(&ground).await;
    let value = value.replace("{key}", &key);
    for protocol in BOTH {
        let mut client = server.client(protocol);
        for place in 0..value.len() {
            let with = |byte: u8| {
                let mut bytes = value.clone().into_bytes();
                bytes[place] = byte;
                bytes
            };
            let (controls, others): (Vec<u8>, _) = (0..=u8::MAX).partition(|b| is_control(*b));
            let request = |byte: &u8| Request::get(target).line(header, with(*byte));
            for byte in controls {
                let outcome = client.try_send(&request(&byte)).await;
                let what = format!("{byte:#04x} at {place}, by {protocol:?}: {outcome:?}");
                if byte == b'\n' && protocol == Protocol::Http1 && place + 1 == value.len() {
                    // There the line ends, one byte earlier.
                    let (status, code) = outcome.told();
                    let cut_off = &value.as_bytes()[..place];
                    assert_eq!((status, &*code), expected(cut_off, &key), "{what}");
                } else {
                    assert!(outcome.is_of_the_protocol(), "{what}");
                }
            }
            for bytes in others.chunks(100) {
                let requests: Vec<_> = bytes.iter().map(request).collect();
                for (byte, outcome) in bytes.iter().zip(client.send_all(&requests).await) {
                    let what = format!("{byte:#04x} at {place}, by {protocol:?}: {outcome:?}");
                    let (status, code) = outcome.told();
                    assert_eq!((status, &*code), expected(&with(*byte), &key), "{what}");
                }
            }
        }
        assert_eq!(ground.asked(), 1, "no look-up but for the key itself");
    }
}

#[tokio::test]
async fn each_byte_at_each_place_of_authorization() {
    each_byte_at_each_place("/", "authorization", "Bearer {key}", bearer).await;
}

#[tokio::test]
async fn each_byte_at_each_place_of_a_header_for_keys() {
    each_byte_at_each_place("/keyed", "x-api-key", "{key}", |value, key| {
        let text: String = value.iter().map(|&byte| char::from(byte)).collect();
        token(text.trim_matches([' ', '\t']), key)
    })
    .await;
}
