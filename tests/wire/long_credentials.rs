//! Credentials of any length: the gate or the server in front of it refuses them, nothing is looked
//! up, and the service goes on.

use axum::Router;

use crate::client::{BOTH, Protocol};
use crate::ground::{Ground, Marks, Server};
use crate::message::Request;
use crate::refusal::Refusal;

/// What a server takes of a head at most, by default of hyper.
fn most(protocol: Protocol) -> usize {
    match protocol {
        Protocol::Http1 => 400 * 1024,
        Protocol::Http2 => 16 * 1024,
    }
}

#[tokio::test]
async fn of_300_bytes_to_400_kilobytes() {
    let ground = Ground::new().await;
    let key = ground.key(&["*"]).await;
    let marks = Marks::default();
    let app = Router::new()
        .route("/", marks.handler("/"))
        .route_layer(ground.layer());
    let server = Server::start(app).await;
    let filled =
        |what: &str, length: usize| -> Vec<u8> { what.bytes().cycle().take(length).collect() };
    for protocol in BOTH {
        for length in [300, 4 * 1024, 64 * 1024, 400 * 1024] {
            let x = filled("x", length);
            let credentials: [(&str, &[&[u8]], Refusal); 12] = [
                ("letters", &[b"Bearer ", &x], Refusal::dead()),
                (
                    "the key and letters",
                    &[b"Bearer ", key.as_bytes(), &x],
                    Refusal::dead(),
                ),
                (
                    "letters and the key",
                    &[b"Bearer ", &x, key.as_bytes()],
                    Refusal::dead(),
                ),
                (
                    "the key, again and again",
                    &[b"Bearer ", &filled(&key, length)],
                    Refusal::dead(),
                ),
                (
                    "the key and padding",
                    &[b"Bearer ", key.as_bytes(), &filled("=", length)],
                    Refusal::dead(),
                ),
                (
                    "a list of the key",
                    &[b"Bearer ", &filled(&format!("{key}, "), length)],
                    Refusal::dead(),
                ),
                (
                    "no token",
                    &[b"Bearer ", &filled(",", length)],
                    Refusal::dead(),
                ),
                (
                    "beyond ASCII",
                    &[b"Bearer ", &filled("\u{e9}", length)],
                    Refusal::dead(),
                ),
                ("after a tab", &[b"Bearer\t", &x], Refusal::dead()),
                ("Basic", &[b"Basic ", &x], Refusal::missing()),
                ("no scheme", &[&x], Refusal::missing()),
                (
                    "a scheme that goes on",
                    &[b"Bearer", &x, b" ", key.as_bytes()],
                    Refusal::missing(),
                ),
            ];
            for (name, value, refusal) in credentials {
                let value = value.concat();
                let request = Request::get("/").authorization(&value);
                let outcome = server.client(protocol).try_send(&request).await;
                let what = format!("{name}, {} bytes by {protocol:?}", value.len());
                let (status, code) = outcome.told();
                if value.len() > most(protocol) && outcome.is_of_the_protocol() {
                    continue;
                }
                assert_eq!((status, &*code), (refusal.status, refusal.code), "{what}");
            }
            assert_eq!(marks.take(), [""; 0], "nothing of it ran anything");
            assert_eq!(ground.asked(), u64::from(protocol == Protocol::Http2));
        }
        let answer = server
            .client(protocol)
            .send(&Request::get("/").key(&key))
            .await;
        assert_eq!(
            (answer.status, &marks.take()[..]),
            (200, &["/".to_owned()][..])
        );
    }
}

/// Space is no part of the credential, however much there is of it.
#[tokio::test]
async fn space_around_the_key_is_not_counted() {
    let ground = Ground::new().await;
    let key = ground.key(&[]).await;
    let app = Router::new().route("/", Marks::default().handler("/"));
    let server = Server::start(app.route_layer(ground.layer())).await;
    let space = " ".repeat(4 * 1024);
    for protocol in BOTH {
        for value in [
            format!("Bearer {space}{key}"),
            format!("{space}Bearer {key}"),
            format!("Bearer {key}{space}"),
        ] {
            let request = Request::get("/").authorization(value);
            assert_eq!(server.client(protocol).send(&request).await.status, 200);
        }
    }
}
