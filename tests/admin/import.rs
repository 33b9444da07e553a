//! `POST /keys/import`.

use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{Method, Request};
use http_body::Frame;
use http_body_util::BodyExt as _;
use portcullis::admin::{Admin, Policy};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};
use tower::ServiceExt as _;

use crate::late::Late;
use crate::reply::Reply;
use crate::world::{ADMIN_TOKEN, Elsewhere, World, key_path, request};

on_every_store!(
    each_line_is_answered_in_order,
    what_is_there_already_is_left_as_it_is,
    a_line_that_is_wrong_is_wrong_alone,
    a_line_hands_on_no_more_than_the_caller_holds,
    it_is_not_too_long_and_of_its_type,
    whoever_leaves_finds_done_what_was_answered,
    a_caller_that_dies_on_the_way_makes_nothing_more,
    an_owner_has_one_import_at_a_time,
);

const NDJSON: &str = "application/x-ndjson";

fn asking(token: &str, content_type: &str, body: impl Into<Body>) -> Request<Body> {
    let request = Request::builder()
        .method(Method::POST)
        .uri("/admin/keys/import");
    let request = request.header("authorization", format!("Bearer {token}"));
    let request = request.header("content-type", content_type);
    request.body(body.into()).unwrap()
}

pub(crate) async fn import(world: &World, token: &str, body: impl Into<Body>) -> Reply {
    world.send(asking(token, NDJSON, body)).await
}

/// An import after one that whoever had begun it has left: the line that it was at may not be over.
async fn import_after(world: &World, token: &str, body: &str) -> Reply {
    let again = async {
        loop {
            let reply = import(world, token, body.to_owned()).await;
            if reply.status != 429 {
                return reply;
            }
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(30), again).await.unwrap()
}

/// The answers, each checked for its shape.
pub(crate) fn lines(reply: &Reply) -> Vec<Value> {
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.header("content-type"), NDJSON);
    let text = reply.text();
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    let lines: Vec<Value> = lines.collect();
    for line in &lines {
        let done = line["status"].as_u64().unwrap() < 300;
        assert_eq!(line["key"].is_object(), done, "{line}");
        assert_eq!(line["problem"].is_object(), !done, "{line}");
        assert_eq!(line.as_object().unwrap().len(), 3, "{line}");
        if !done {
            assert_eq!(line["problem"]["status"], line["status"], "{line}");
        }
    }
    lines
}

pub(crate) fn told(lines: &[Value]) -> Vec<(u64, u64, &str)> {
    let told = lines.iter().map(|line| {
        let number = line["line"].as_u64().unwrap();
        let code = line["problem"]["code"].as_str().unwrap_or_default();
        (number, line["status"].as_u64().unwrap(), code)
    });
    told.collect()
}

fn line(elsewhere: &Elsewhere, more: &str) -> String {
    let fields = elsewhere.fields();
    format!(r#"{{"name":"n","scopes":[],{fields}{more}}}"#)
}

async fn alive(world: &World, elsewhere: &Elsewhere) -> bool {
    let reply = world.get("/admin/keys/current", &elsewhere.secret).await;
    reply.status == 200
}

async fn each_line_is_answered_in_order(world: World) {
    let keys: Vec<Elsewhere> = (0..20).map(|_| Elsewhere::of("live")).collect();
    let body: String = keys
        .iter()
        .enumerate()
        .map(|(n, key)| line(key, &format!(r#","owner":"o","metadata":{{"n":{n}}}"#)) + "\n")
        .collect();
    let reply = import(&world, ADMIN_TOKEN, body).await;
    let lines = lines(&reply);
    assert_eq!(lines.len(), keys.len());
    for (n, (answer, key)) in lines.iter().zip(&keys).enumerate() {
        assert_eq!(
            (answer["line"].as_u64(), &answer["status"]),
            (Some(n as u64 + 1), &json!(201))
        );
        let id = answer["key"]["id"].as_str().unwrap();
        assert_eq!(world.shown(id).await, answer["key"]);
        assert_eq!(answer["key"]["metadata"], json!({ "n": n }));
        assert_eq!(answer["key"]["hint"], key.hint);
        assert!(alive(&world, key).await);
        assert!(!reply.text().contains(&key.digest));
    }
    // Blank lines are none, and the last need not end.
    let (one, two) = (Elsewhere::of("live"), Elsewhere::of("live"));
    let body = format!("\n  \r\n{}\r\n\n{}", line(&one, ""), line(&two, ""));
    let reply = import(&world, ADMIN_TOKEN, body).await;
    assert_eq!(told(&self::lines(&reply)), [(3, 201, ""), (5, 201, "")]);
    assert_eq!(self::lines(&import(&world, ADMIN_TOKEN, "").await).len(), 0);
}

async fn what_is_there_already_is_left_as_it_is(world: World) {
    let caller = world.key("a", &["keys:write"]).await;
    let other = world.key("b", &["keys:write"]).await;
    let key = Elsewhere::of("live");
    let first = lines(&import(&world, &caller.secret, line(&key, "")).await);
    let path = key_path(first[0]["key"]["id"].as_str().unwrap());
    let before = world.get(&path, ADMIN_TOKEN).await.json();
    let twice = format!(
        "{}\n{}\n",
        line(&key, ""),
        line(&key, r#","expires_in":"1d""#)
    );
    let again = lines(&import(&world, &caller.secret, twice).await);
    assert_eq!(told(&again), [(1, 200, ""), (2, 200, "")]);
    for line in &again {
        assert_eq!(line["key"], before);
    }
    // To others it is not shown.
    let taken = lines(&import(&world, &other.secret, line(&key, "")).await);
    assert_eq!(told(&taken), [(1, 409, "digest_taken")]);
    // A dead one does not come back.
    world.delete(&path, ADMIN_TOKEN).await;
    let dead = lines(&import(&world, &caller.secret, line(&key, "")).await);
    assert_eq!(told(&dead), [(1, 200, "")]);
    assert_eq!(dead[0]["key"]["status"], "revoked");
    assert!(!alive(&world, &key).await);
}

async fn a_line_that_is_wrong_is_wrong_alone(world: World) {
    let (first, last) = (Elsewhere::of("live"), Elsewhere::of("live"));
    let third = Elsewhere::of("live");
    let body = [
        line(&first, ""),
        "not JSON".to_owned(),
        "[]".to_owned(),
        "{}".to_owned(),
        r#"{"name":"n","scopes":[]}"#.to_owned(),
        line(&third, r#","name":"again""#),
        line(&third, r#","enabled":false"#),
        line(&third, r#","expires_at":"2020-01-01T00:00:00Z""#),
        line(
            &third,
            &format!(r#","metadata":{{"x":"{}"}}"#, "x".repeat(70_000)),
        ),
        format!("{} {}", line(&third, ""), line(&third, "")),
        "[".repeat(200),
        line(&last, ""),
    ]
    .join("\n");
    let reply = import(&world, ADMIN_TOKEN, body).await;
    let lines = lines(&reply);
    let expected = [
        (1, 201, ""),
        (2, 400, "invalid_json"),
        (3, 422, "invalid_field"),
        (4, 422, "invalid_field"),
        (5, 422, "invalid_field"),
        (6, 422, "invalid_field"),
        (7, 422, "invalid_field"),
        (8, 422, "invalid_field"),
        (9, 413, "payload_too_large"),
        (10, 400, "invalid_json"),
        (11, 400, "invalid_json"),
        (12, 201, ""),
    ];
    assert_eq!(told(&lines), expected);
    let missing: Vec<_> = lines[3]["problem"]["errors"]
        .as_array()
        .unwrap()
        .iter()
        .collect();
    let missing: Vec<_> = missing
        .iter()
        .map(|error| error["pointer"].as_str().unwrap())
        .collect();
    assert_eq!(missing, ["#/name", "#/scopes", "#/digest", "#/hint"]);
    assert_eq!(lines[7]["problem"]["errors"][0]["pointer"], "#/expires_at");
    assert_eq!(world.count().await, 2);
}

async fn a_line_hands_on_no_more_than_the_caller_holds(world: World) {
    let caller = world.key("a", &["keys:write", "x"]).await;
    let made = |fields: &str| {
        let elsewhere = Elsewhere::of("live").fields();
        format!(r#"{{"name":"n",{elsewhere},{fields}}}"#)
    };
    let body = [
        made(r#""scopes":["x"]"#),
        made(r#""scopes":["y"]"#),
        made(r#""scopes":["keys:admin"]"#),
        made(r#""scopes":[],"owner":"b""#),
        made(r#""scopes":[]"#),
    ]
    .join("\n");
    let lines = lines(&import(&world, &caller.secret, body).await);
    let exceeds = "exceeds_caller";
    let expected = [
        (1, 201, ""),
        (2, 403, exceeds),
        (3, 403, exceeds),
        (4, 403, exceeds),
        (5, 201, ""),
    ];
    assert_eq!(told(&lines), expected);
    assert_eq!(lines[0]["key"]["created_by"], format!("key:{}", caller.id));

    let reader = world.key("a", &["keys:read"]).await;
    let reply = import(&world, &reader.secret, made(r#""scopes":[]"#)).await;
    assert_eq!(reply.told(), (403, "insufficient_scope"));
    let reply = import(&world, "wrong", made(r#""scopes":[]"#)).await;
    assert_eq!(reply.told(), (401, "invalid_token"));
}

async fn it_is_not_too_long_and_of_its_type(world: World) {
    let too_large = (413, "payload_too_large");
    let most = "x\n".repeat(10_000);
    assert_eq!(
        lines(&import(&world, ADMIN_TOKEN, most.clone()).await).len(),
        10_000
    );
    assert_eq!(
        import(&world, ADMIN_TOKEN, most + "x").await.told(),
        too_large
    );
    let bytes = " ".repeat(16_000_000);
    assert_eq!(import(&world, ADMIN_TOKEN, bytes.clone()).await.status, 200);
    assert_eq!(
        import(&world, ADMIN_TOKEN, bytes + " ").await.told(),
        too_large
    );
    for content_type in ["application/json", "text/plain", ""] {
        let reply = world.send(asking(ADMIN_TOKEN, content_type, "x")).await;
        assert_eq!(
            reply.told(),
            (415, "unsupported_media_type"),
            "{content_type}"
        );
    }
    let mut request = asking(ADMIN_TOKEN, NDJSON, "x");
    *request.uri_mut() = "/admin/keys/import?owner=a".parse().unwrap();
    assert_eq!(world.send(request).await.told(), (422, "invalid_field"));
}

async fn whoever_leaves_finds_done_what_was_answered(world: World) {
    let keys: Vec<Elsewhere> = (0..200).map(|_| Elsewhere::of("live")).collect();
    let body: String = keys.iter().map(|key| line(key, "") + "\n").collect();
    let request = asking(ADMIN_TOKEN, NDJSON, body.clone());
    let response = world.router.clone().oneshot(request).await.unwrap();
    let mut answer = response.into_body();
    let mut heard = String::new();
    while heard.lines().count() < 3 {
        let frame = answer.frame().await.unwrap().unwrap();
        heard.push_str(str::from_utf8(frame.data_ref().unwrap()).unwrap());
    }
    drop(answer);
    for key in &keys[..3] {
        assert!(alive(&world, key).await);
    }
    // All of it again: nothing is lost, and nothing is there twice.
    let again = lines(&import_after(&world, ADMIN_TOKEN, &body).await);
    let there = again.iter().filter(|line| line["status"] == 200).count();
    assert!((3..200).contains(&there), "{there}");
    assert!(
        again
            .iter()
            .all(|line| line["status"] == 200 || line["status"] == 201)
    );
    assert_eq!(world.count().await, 200);
}

async fn a_caller_that_dies_on_the_way_makes_nothing_more(world: World) {
    let caller = world.key("a", &["keys:write"]).await;
    let keys: Vec<Elsewhere> = (0..200).map(|_| Elsewhere::of("live")).collect();
    let body: String = keys.iter().map(|key| line(key, "") + "\n").collect();
    let request = asking(&caller.secret, NDJSON, body);
    let response = world.router.clone().oneshot(request).await.unwrap();
    let mut answer = response.into_body();
    let first = answer.frame().await.unwrap().unwrap().into_data().unwrap();
    // The answer waits for whoever reads it, and so does the work.
    assert_eq!(
        world
            .delete(&key_path(&caller.id), ADMIN_TOKEN)
            .await
            .status,
        200
    );
    let before = world.count().await;
    let rest = answer.collect().await.unwrap().to_bytes();
    let text = String::from_utf8([first, rest].concat()).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 200);
    let made = lines
        .iter()
        .take_while(|line| line["status"] == 201)
        .count();
    assert!((1..200).contains(&made), "{made}");
    for line in &lines[made..] {
        assert_eq!(line["problem"]["code"], "invalid_token");
    }
    assert_eq!(world.count().await, before);
}

fn body(keys: &[Elsewhere]) -> String {
    keys.iter().map(|key| line(key, "") + "\n").collect()
}

fn some(count: usize) -> Vec<Elsewhere> {
    (0..count).map(|_| Elsewhere::of("live")).collect()
}

/// An import that is not over, since nobody reads more than its first line.
async fn begun(world: &World, token: &str) -> axum::body::Body {
    let request = asking(token, NDJSON, body(&some(200)));
    let response = world.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), 200);
    let mut answer = response.into_body();
    answer.frame().await.unwrap().unwrap();
    answer
}

async fn an_owner_has_one_import_at_a_time(world: World) {
    let caller = world.key("a", &["keys:write"]).await;
    let colleague = world.key("a", &["keys:write"]).await;
    let other = world.key("b", &["keys:write"]).await;
    let answer = begun(&world, &caller.secret).await;
    for (token, path) in [
        (&caller, "/admin"),
        (&colleague, "/admin"),
        (&caller, "/mine"),
    ] {
        let (body, mut asked, _never) = Late::body();
        let mut request = asking(&token.secret, NDJSON, body);
        *request.uri_mut() = format!("{path}/keys/import").parse().unwrap();
        let refused = world.send(request).await;
        assert_eq!(refused.told(), (429, "rate_limited"));
        assert_eq!(refused.header("retry-after"), "10");
        assert!(asked.try_recv().is_err(), "the body is not read");
    }
    // Others are not kept waiting, nor is anything else.
    let one = body(&some(1));
    assert_eq!(
        lines(&import(&world, &other.secret, one.clone()).await).len(),
        1
    );
    assert_eq!(
        lines(&import(&world, ADMIN_TOKEN, one.clone()).await).len(),
        1
    );
    let mine = world.get("/admin/keys", &caller.secret).await;
    assert_eq!(mine.status, 200);
    // Over is what was answered to its end,
    assert_eq!(
        answer
            .collect()
            .await
            .unwrap()
            .to_bytes()
            .split(|b| *b == b'\n')
            .count(),
        200
    );
    // and what nobody reads any more, when the line that it was at is done.
    world.faults.writes.freeze_next(1);
    let request = asking(&caller.secret, NDJSON, body(&some(200)));
    let response = world.router.clone().oneshot(request).await.unwrap();
    world.faults.writes.frozen(1).await;
    drop(response);
    let refused = import(&world, &colleague.secret, one.clone()).await;
    assert_eq!(refused.told(), (429, "rate_limited"));
    world.faults.writes.release();
    let again = import_after(&world, &colleague.secret, &one).await;
    assert_eq!(again.status, 200);
}

/// Asks for another import when it is woken, there and then.
struct AsksWhenWoken {
    router: Router,
    told: Mutex<Vec<u16>>,
}

impl Wake for AsksWhenWoken {
    fn wake(self: Arc<Self>) {
        let asked = self.router.clone().oneshot(asking(ADMIN_TOKEN, NDJSON, ""));
        let mut cx = Context::from_waker(Waker::noop());
        if let Poll::Ready(response) = pin!(asked).poll(&mut cx) {
            self.told
                .lock()
                .unwrap()
                .push(response.unwrap().status().as_u16());
        }
    }
}

#[tokio::test]
async fn whoever_hears_its_end_may_begin_the_next() {
    let world = World::memory();
    let asks = Arc::new(AsksWhenWoken {
        router: world.router.clone(),
        told: Mutex::default(),
    });
    let waker = Waker::from(Arc::clone(&asks));
    let request = asking(ADMIN_TOKEN, NDJSON, "");
    let response = world.router.clone().oneshot(request).await.unwrap();
    let mut end = pin!(response.into_body().collect());
    while end
        .as_mut()
        .poll(&mut Context::from_waker(&waker))
        .is_pending()
    {
        tokio::task::yield_now().await;
    }
    assert_eq!(*asks.told.lock().unwrap(), [200]);
}

#[tokio::test]
async fn there_are_four_imports_at_a_time_and_one_of_them_is_for_operators() {
    let world = World::memory();
    let mut running = Vec::new();
    for owner in ["a", "b", "c"] {
        let key = world.key(owner, &["keys:write"]).await;
        running.push(begun(&world, &key.secret).await);
    }
    let customer = world.key("d", &["keys:write"]).await;
    let operator = world.key("e", &["keys:write", "keys:admin"]).await;
    let refused = import(&world, &customer.secret, "").await;
    assert_eq!(refused.told(), (429, "rate_limited"));
    running.push(begun(&world, &operator.secret).await);
    let refused = import(&world, ADMIN_TOKEN, "").await;
    assert_eq!(refused.told(), (429, "rate_limited"));
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_stalls_is_cut_off() {
    let world = World::memory();
    let caller = world.key("a", &["keys:write"]).await;
    let mut answer = begun(&world, &caller.secret).await;
    // All that it is waited for together counts: most of it is spent here.
    sleep(Duration::from_secs(100)).await;
    for _ in 0..5 {
        answer.frame().await.unwrap().unwrap();
    }
    let refused = import(&world, &caller.secret, "").await;
    assert_eq!(refused.told(), (429, "rate_limited"));
    sleep(Duration::from_secs(21)).await;
    assert_eq!(import(&world, &caller.secret, "").await.status, 200);
    // It does not look like the whole answer.
    let mut rest = 0;
    let end = loop {
        match answer.frame().await.unwrap() {
            Ok(_) => rest += 1,
            Err(error) => break error,
        }
    };
    assert!(rest < 100, "{rest}");
    assert_eq!(
        end.to_string(),
        "the answer was cut off before its last line"
    );
    assert!(answer.frame().await.is_none());
    // Nothing was done that could not be told: beside these there is the caller, and the first line
    // was taken when it had begun.
    let keys = world.get("/admin/keys?limit=500", ADMIN_TOKEN).await.json();
    let keys = keys["keys"].as_array().unwrap().len();
    assert_eq!(keys, 1 + 5 + rest + 1);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let world = World::memory();
    let caller = world.key("a", &["keys:write"]).await;
    let late = async |mut request: Request<Body>, seconds| {
        let (body, _, _never) = Late::body();
        *request.body_mut() = body;
        let began = Instant::now();
        let response = world.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        assert_eq!(parts.status, 408);
        assert_eq!(began.elapsed().as_secs(), seconds);
        let body = body.collect().await.unwrap().to_bytes();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["code"], "request_timeout");
    };
    late(asking(&caller.secret, NDJSON, ""), 120).await;
    assert_eq!(import(&world, &caller.secret, "").await.status, 200);
    let post = |path| request(Method::POST, path, &caller.secret, "");
    late(post("/admin/keys"), 30).await;
    late(post("/admin/leaks"), 30).await;
}

#[tokio::test]
async fn lines_that_are_refused_cost_what_a_key_costs() {
    let limit = Policy::new().mint_limit(3, Duration::from_hours(1));
    let policy = |admin: Admin| admin.policy(limit.clone()).unwrap();
    for world in World::everywhere(|builder| builder, policy).await {
        let caller = world.key("a", &["keys:write"]).await;
        let exceeds = line(&Elsewhere::of("live"), r#","owner":"b""#);
        let body = ["x", &exceeds, &body(&some(1)), "x", "x", &exceeds].join("\n");
        let answers = lines(&import(&world, &caller.secret, body.clone()).await);
        let limited = (429, "rate_limited");
        let expected = [
            (400, "invalid_json"),
            (403, "exceeds_caller"),
            (201, ""),
            // The first too many is told what is wrong with it, and is the last that is looked at.
            (400, "invalid_json"),
            limited,
            limited,
        ];
        let told: Vec<_> = told(&answers).into_iter().map(|it| (it.1, it.2)).collect();
        assert_eq!(told, expected);
        let writes = world.faults.writes.calls();
        let answers = lines(&import(&world, &caller.secret, exceeds).await);
        assert_eq!(answers.len(), 1);
        assert_eq!(world.faults.writes.calls(), writes + 1);
        // Whom the policy does not bind it costs nothing.
        let answers = lines(
            &import(
                &world,
                ADMIN_TOKEN,
                "x\n".repeat(10) + &line(&Elsewhere::of("live"), ""),
            )
            .await,
        );
        assert_eq!(answers.last().unwrap()["status"], 201);
    }
}

/// Says how much it is, and then does not come.
struct Endless;

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[b' '; 1000])))))
    }
}

#[tokio::test]
async fn what_does_not_end_is_not_read_to_the_end() {
    let world = World::memory();
    let reply = import(&world, ADMIN_TOKEN, Body::new(Endless)).await;
    assert_eq!(reply.told(), (413, "payload_too_large"));
}

#[tokio::test]
async fn an_outage_is_told_of_each_line_and_not_waited_for() {
    let world = World::memory();
    let keys: Vec<Elsewhere> = (0..50).map(|_| Elsewhere::of("live")).collect();
    let body: String = keys.iter().map(|key| line(key, "") + "\n").collect();
    world.faults.writes.fail();
    let calls = world.faults.writes.calls();
    let failed = lines(&import(&world, ADMIN_TOKEN, body.clone()).await);
    assert_eq!(failed.len(), 50);
    assert!(
        failed
            .iter()
            .all(|line| line["problem"]["code"] == "unavailable")
    );
    assert_eq!(world.faults.writes.calls(), calls + 1);

    // Nobody knows what became of the first. Of the others it is known.
    world.faults.writes.lose_answers();
    let failed = lines(&import(&world, ADMIN_TOKEN, body.clone()).await);
    assert_eq!(failed[0]["problem"]["code"], "outcome_unknown");
    assert!(
        failed[1..]
            .iter()
            .all(|line| line["problem"]["code"] == "unavailable")
    );

    world.faults.heal();
    let again = lines(&import(&world, ADMIN_TOKEN, body).await);
    assert_eq!(again[0]["status"], 200);
    assert!(again[1..].iter().all(|line| line["status"] == 201));
}

#[tokio::test]
async fn a_policy_binds_each_line() {
    let policy = |policy: Policy| move |admin: Admin| admin.policy(policy.clone()).unwrap();
    let keys: Vec<Elsewhere> = (0..6).map(|_| Elsewhere::of("live")).collect();
    let body: String = keys.iter().map(|key| line(key, "") + "\n").collect();
    let counted = policy(Policy::new().live_keys_per_owner(4));
    let limited = policy(Policy::new().mint_limit(3, Duration::from_hours(1)));
    for (admin, code, status) in [
        (
            &counted as &dyn Fn(Admin) -> Admin,
            "key_limit_reached",
            409,
        ),
        (&limited, "rate_limited", 429),
    ] {
        for world in World::everywhere(|builder| builder, admin).await {
            let caller = world.key("a", &["keys:write"]).await;
            let answers = lines(&import(&world, &caller.secret, body.clone()).await);
            let expected = [
                (1, 201, ""),
                (2, 201, ""),
                (3, 201, ""),
                (4, status, code),
                (5, status, code),
                (6, status, code),
            ];
            assert_eq!(told(&answers), expected);
            // What is there already is no key more.
            let there = line(&keys[0], "");
            let answers = lines(&import(&world, &caller.secret, there).await);
            assert_eq!(told(&answers), [(1, 200, "")]);
        }
    }
}
