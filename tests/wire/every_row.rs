//! Every situation has one answer, word by word, over both protocols.

use std::time::Duration;

use portcullis::keyring::{Expiry, KeyPatch, NewKey};

use crate::client::BOTH;
use crate::ground::{Ground, Server, unknown_key, well_formed};
use crate::message::Request;
use crate::refusal::Refusal;
use crate::table::{JSON_WEB_TOKEN, Row, app, assert_all, at, auth};

#[tokio::test]
async fn no_credentials_or_another_scheme() {
    let ground = Ground::new().await;
    let key = ground.key(&["*"]).await;
    let bearer = format!("Bearer {key}");
    let thing = || Request::get("/thing");
    let rows: Vec<Row> = [
        ("no header", thing()),
        ("Basic", auth("Basic dXNlcjpwYXNz")),
        ("Basic, long", auth(format!("Basic {}", "x".repeat(300)))),
        ("a raw key", auth(&key)),
        ("a longer scheme", auth(format!("BearerX {key}"))),
        ("a scheme that goes on", auth(format!("Bearer-1 {key}"))),
        ("a shorter scheme", auth(format!("Beare {key}"))),
        ("Digest around Bearer", auth(format!("Digest Bearer {key}"))),
        ("beyond ASCII", auth(b"\xc3\xa9 x")),
        (
            "in the query",
            Request::get(format!(
                "/thing?access_token={key}&authorization=Bearer%20{key}"
            )),
        ),
        (
            "in a cookie",
            thing().line("cookie", format!("authorization={bearer}; k={key}")),
        ),
        (
            "in the body",
            Request::new("POST", "/thing").body(&format!("access_token={key}")),
        ),
        ("for a proxy", thing().line("proxy-authorization", &bearer)),
        (
            "in a header that nobody named",
            thing().line("x-api-key", &key),
        ),
    ]
    .map(|(name, request)| (name, request, Some(Refusal::missing())))
    .into();
    // The body of a POST is not sent by HEAD.
    let (with_body, rows): (Vec<Row>, _) = rows
        .into_iter()
        .partition(|(_, request, _)| !request.body.is_empty());
    assert_all(app(ground.layer()), &rows, &[]).await;
    let server = Server::start(app(ground.layer())).await;
    for protocol in BOTH {
        for (what, request, _) in &with_body {
            let answer = server.client(protocol).send(request).await;
            Refusal::missing().assert(what, &answer, answer.body.len());
        }
    }
    assert_eq!(ground.asked(), 0);
}

#[tokio::test]
async fn what_does_not_say_one_thing() {
    let ground = Ground::new().await;
    let key = ground.key(&["*"]).await;
    let bearer = format!("Bearer {key}");
    let commas = ",".repeat(256);
    let rows = [
        ("nothing", auth("")),
        ("blanks", auth(" \t  ")),
        ("the scheme alone", auth("Bearer")),
        ("the scheme and spaces", auth("Bearer   ")),
        ("a tab", auth(format!("Bearer\t{key}"))),
        ("a tab after a space", auth(format!("Bearer \t{key}"))),
        ("two words", auth(format!("Bearer {key} {key}"))),
        ("a list", auth(format!("Bearer {key},{key}"))),
        ("a list of schemes", auth(format!("{bearer}, Basic YTpi"))),
        ("a list with nothing in it", auth(format!("{bearer},"))),
        ("parameters", auth(format!("Bearer token=\"{key}\""))),
        ("a quoted key", auth(format!("Bearer \"{key}\""))),
        ("padding alone", auth("Bearer ==")),
        ("padding in front", auth(format!("Bearer ={key}"))),
        ("beyond ASCII", auth(b"Bearer \xc3\xa9")),
        ("no space", auth(format!("Bearer={key}"))),
        ("a colon", auth(format!("Bearer: {key}"))),
        (
            "256 bytes that are no token",
            auth(format!("Bearer {commas}")),
        ),
        ("the same twice", auth(&bearer).authorization(&bearer)),
        (
            "another scheme first",
            auth("Basic YTpi").authorization(&bearer),
        ),
        ("an empty one last", auth(&bearer).authorization("")),
    ]
    .map(|(name, request)| (name, request, Some(Refusal::unreadable())));
    assert_all(app(ground.layer()), &rows, &[]).await;
    assert_eq!(ground.asked(), 0);
}

#[tokio::test]
async fn what_opens_nothing_gets_the_same_to_the_letter() {
    let ground = Ground::with(|builder| builder.environments(["live", "test"])).await;
    let layer = ground.layer().environments(["live"]).unwrap();
    let good = ground.key(&["*"]).await;
    let new = || NewKey::named("ci").unwrap();
    let short = new().expiry(Expiry::In(Duration::from_secs(1)));
    let expired = ground.make(short).await;
    let test = new().environment("test".parse().unwrap());
    let test = ground.make(test).await.secret.expose().to_owned();
    let (revoked, disabled) = (ground.create(&["*"]).await, ground.create(&["*"]).await);
    let rotated = ground.create(&["*"]).await;
    let keyring = &ground.keyring;
    keyring
        .revoke(&revoked.key.id, Some("leaked"))
        .await
        .unwrap();
    keyring
        .rotate(&rotated.key.id, Duration::ZERO)
        .await
        .unwrap();
    let off = KeyPatch {
        enabled: Some(false),
        ..KeyPatch::default()
    };
    keyring.update(&disabled.key.id, off).await.unwrap();
    ground.clock.advance(Duration::from_secs(2));
    let x = |length| "x".repeat(length);
    let bearer = |token: &str| auth(format!("Bearer {token}"));
    let rows: Vec<Row> = [
        ("not a key", bearer("x")),
        ("a JSON web token", auth(JSON_WEB_TOKEN)),
        ("the beginning of a key", bearer("acme_live_")),
        ("an unknown key", bearer(&unknown_key())),
        ("revoked", bearer(revoked.secret.expose())),
        ("disabled", bearer(disabled.secret.expose())),
        ("expired", bearer(expired.secret.expose())),
        ("rotated away", bearer(rotated.secret.expose())),
        ("of another environment", bearer(&test)),
        (
            "of an environment that nobody declared",
            bearer(&well_formed("prod", &x(32))),
        ),
        (
            "of another prefix",
            bearer(&good.replacen("acme", "acne", 1)),
        ),
        ("in upper case", bearer(&good.to_ascii_uppercase())),
        ("with padding", bearer(&format!("{good}="))),
        ("256 bytes", bearer(&x(256))),
        ("257 bytes", bearer(&x(257))),
        ("257 bytes that are no token", bearer(&",".repeat(257))),
        ("a good key and more", bearer(&format!("{good}{}", x(257)))),
        ("a tab and 256 bytes", auth(format!("Bearer\t{}", x(256)))),
    ]
    .map(|(name, request)| (name, request, Some(Refusal::dead())))
    .into();
    // Twice: when it is looked up, and when it is remembered.
    let rows: Vec<Row> = [rows.clone(), rows].concat();
    assert_all(app(layer.clone()), &rows, &[]).await;

    let server = Server::start(app(layer)).await;
    for protocol in BOTH {
        let mut client = server.client(protocol);
        let first = client.send(&rows[0].1).await;
        for (name, request, _) in &rows {
            assert_eq!(client.send(request).await, first, "{name} by {protocol:?}");
        }
        assert_eq!(client.send(&at("/thing", &good)).await.status, 200);
    }
}

#[tokio::test]
async fn a_good_key_in_each_way_to_write_it() {
    let ground = Ground::new().await;
    let key = ground.key(&["reports:read"]).await;
    let rows = [
        ("as everybody does", auth(format!("Bearer {key}"))),
        ("in any case", auth(format!("bEARER {key}"))),
        ("after many spaces", auth(format!("Bearer      {key}"))),
        ("blanks around it", auth(format!("  Bearer {key} \t "))),
        (
            "a name in another case",
            Request::get("/thing").line("aUTHORIZATION", format!("Bearer {key}")),
        ),
    ]
    .map(|(name, request)| (name, request, None));
    assert_all(app(ground.layer()), &rows, &[]).await;
}

#[tokio::test]
async fn a_missing_scope_is_named_with_all_that_the_route_demands() {
    let ground = Ground::new().await;
    let (none, a) = (ground.key(&[]).await, ground.key(&["a"]).await);
    let (b, both) = (ground.key(&["b:*"]).await, ground.key(&["a", "b:*"]).await);
    let all = || Some(Refusal::out_of_scope("a b:x"));
    let any = || Some(Refusal::out_of_scope("a b:y"));
    let rows = [
        ("all, of none", at("/all", &none), all()),
        ("all, of one", at("/all", &a), all()),
        ("all, of the other", at("/all", &b), all()),
        ("all, of all", at("/all", &both), None),
        ("any, of none", at("/any", &none), any()),
        ("any, of one", at("/any", &a), None),
        ("any, of the other", at("/any", &b), None),
        (
            "without a key",
            Request::get("/all"),
            Some(Refusal::missing()),
        ),
    ];
    assert_all(app(ground.layer()), &rows, &[]).await;
}

#[tokio::test]
async fn where_no_layer_ran() {
    let ground = Ground::new().await;
    let key = ground.key(&["*"]).await;
    let rows = [
        ("a principal", at("/bare", &key)),
        ("a principal, without a key", Request::get("/bare")),
        ("perhaps a principal", Request::get("/maybe")),
        ("a demand", at("/demand", &key)),
    ]
    .map(|(name, request)| (name, request, Some(Refusal::misconfigured())));
    assert_all(app(ground.layer()), &rows, &[]).await;
}

#[tokio::test]
async fn a_store_that_cannot_answer() {
    let row = |name, key: &str, refusal| [(name, at("/thing", key), refusal)];
    let away = || Some(Refusal::unavailable());

    let ground = Ground::new().await;
    let key = ground.key(&[]).await;
    ground.faults.fail();
    assert_all(app(ground.layer()), &row("it fails", &key, away()), &[]).await;

    let soon = Duration::from_millis(20);
    let ground = Ground::with(|builder| builder.lookup_deadline(soon)).await;
    let key = ground.key(&[]).await;
    ground.faults.look_ups.hang();
    assert_all(app(ground.layer()), &row("it hangs", &key, away()), &[]).await;

    let ground = Ground::new().await;
    let key = ground.key(&[]).await;
    assert_all(app(ground.layer()), &row("it is there", &key, None), &[]).await;
    ground.faults.fail();
    assert_all(
        app(ground.layer()),
        &row("it is remembered", &key, None),
        &[],
    )
    .await;
    ground.clock.advance(Duration::from_secs(6));
    assert_all(
        app(ground.layer()),
        &row("the lease is over", &key, away()),
        &[],
    )
    .await;

    let ground = Ground::with(|builder| builder.unknown_lookups(1, 1)).await;
    let dead = || Some(Refusal::dead());
    let (one, two) = (unknown_key(), well_formed("live", &"B".repeat(32)));
    assert_all(app(ground.layer()), &row("the budget", &one, dead()), &[]).await;
    assert_all(
        app(ground.layer()),
        &row("over the budget", &two, away()),
        &[],
    )
    .await;
    assert_all(app(ground.layer()), &row("remembered", &one, dead()), &[]).await;
}

#[tokio::test]
async fn a_request_over_the_bound_of_waiters() {
    let ground = Ground::with(|builder| {
        let builder = builder.lookups(2, 1);
        builder.lookup_deadline(Duration::from_secs(4))
    })
    .await;
    let server = Server::start(app(ground.layer())).await;
    let (first, second) = (ground.key(&[]).await, ground.key(&[]).await);
    ground.faults.look_ups.freeze_next(1);
    let (mut client, one) = (server.client(BOTH[0]), at("/thing", &first));
    let waiting = client.send(&one);
    let shed = async {
        ground.faults.look_ups.frozen(1).await;
        let row = (
            "one more",
            at("/thing", &second),
            Some(Refusal::unavailable()),
        );
        assert_all(app(ground.layer()), &[row], &[]).await;
        ground.faults.look_ups.release();
    };
    let (answer, ()) = tokio::join!(waiting, shed);
    assert_eq!(answer.status, 200, "the one that waited");
}
