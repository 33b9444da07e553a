//! Whatever bytes a header holds, the answer is one of the promised ones.

use axum::Router;
use axum::routing::get;
use portcullis::ApiKeyLayer;

use crate::ground::Ground;
use crate::wire::{Server, line};

const KEY_HEADER: &str = "x-api-key";

async fn server(ground: &Ground) -> Server {
    let layer = ApiKeyLayer::new(ground.keyring.clone());
    let both = ApiKeyLayer::new(ground.keyring.clone()).add_header(KEY_HEADER.parse().unwrap());
    let inside = || get(async || "inside");
    let app = Router::new()
        .route("/", inside().route_layer(layer))
        .route("/both", inside().route_layer(both));
    Server::start(app).await
}

type Told = (u16, &'static str);

const MISSING: Told = (401, "missing_credentials");
const UNREADABLE: Told = (400, "invalid_request");
const DEAD: Told = (401, "invalid_token");

/// What the promise says of one line, written down apart from the code.
fn expected(value: &[u8]) -> Told {
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
    let token = rest.trim_start_matches(' ');
    if token.chars().count() > 256 {
        return DEAD;
    }
    let body = token.trim_end_matches('=');
    let is_b64 = |c: char| c.is_ascii_alphanumeric() || "-._~+/".contains(c);
    if rest.starts_with(' ') && !body.is_empty() && body.chars().all(is_b64) {
        DEAD
    } else {
        UNREADABLE
    }
}

#[tokio::test]
async fn every_byte_at_every_place_of_a_short_value() {
    let ground = Ground::new().await;
    let server = server(&ground).await;
    let mut connection = server.connect().await;
    let legal = (0x20..=0x7e).chain(0x80..=0xff).chain([b'\t']);
    for byte in legal {
        for place in 0..9 {
            let mut value = *b"Bearer ab";
            value[place] = byte;
            let answer = connection
                .send("GET", "/", &[&line("authorization", value)])
                .await;
            let told = (answer.status, answer.code());
            let (status, code) = expected(&value);
            assert_eq!(told, (status, code.to_owned()), "{byte:#04x} at {place}");
        }
    }
    assert_eq!(ground.store.asked(), 0);
}

#[tokio::test]
async fn one_to_three_lines_in_every_mix() {
    let ground = Ground::new().await;
    let server = server(&ground).await;
    let mut connection = server.connect().await;
    let key = ground.key(&[]).await;
    let values = [
        String::new(),
        "Basic YTpi".to_owned(),
        "Bearer".to_owned(),
        "Bearer x".to_owned(),
        format!("Bearer {key}"),
        format!("Bearer {}", "x".repeat(300)),
        key.clone(),
        "\u{e9}".to_owned(),
    ];
    for first in &values {
        for second in &values {
            let mut lines = [first, second]
                .map(|value| line("authorization", value))
                .to_vec();
            for third in std::iter::once(None).chain(values.iter().map(Some)) {
                lines.truncate(2);
                lines.extend(third.map(|value| line("Authorization", value)));
                let lines: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
                let answer = connection.send("GET", "/", &lines).await;
                let told = (answer.status, answer.code());
                assert_eq!(told, (400, "invalid_request".to_owned()), "{lines:?}");
            }
            let lines = [line("authorization", first), line(KEY_HEADER, second)];
            let lines: Vec<&[u8]> = lines.iter().map(Vec::as_slice).collect();
            let answer = connection.send("GET", "/both", &lines).await;
            let gets_in = *second == key && expected(first.as_bytes()) == MISSING;
            let told: &[u16] = if gets_in { &[200] } else { &[400, 401] };
            assert!(told.contains(&answer.status), "{lines:?}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn long_credentials_are_refused_by_the_gate_or_by_the_server() {
    let ground = Ground::new().await;
    let server = server(&ground).await;
    for length in [300, 3_000, 30_000, 60_000, 400_000] {
        for filling in ["x", ",", " ", "=", "\t", "acme_live_"] {
            for scheme in ["Bearer ", "Bearer\t", "Bearer", "Basic ", ""] {
                let filling: String = filling.chars().cycle().take(length).collect();
                let value = format!("{scheme}{filling}");
                let mut connection = server.connect().await;
                let bearer = line("authorization", &value);
                // A server that hangs up in the middle of such a head is within its rights.
                let Ok(answer) = connection.try_send("GET", "/", &[&bearer]).await else {
                    assert_eq!(length, 400_000, "{scheme:?}");
                    continue;
                };
                let told = (answer.status, answer.code());
                if answer.status == 431 {
                    assert!(length > 30_000, "{told:?}");
                    continue;
                }
                let (status, code) = expected(value.as_bytes());
                assert_eq!(
                    told,
                    (status, code.to_owned()),
                    "{scheme:?} and {length} bytes"
                );
            }
        }
    }
    let key = line("authorization", format!("Bearer {}", ground.key(&[]).await));
    assert_eq!(server.send("GET", "/", &[&key]).await.status, 200);
    assert_eq!(ground.store.asked(), 1);
}
