//! `Idempotency-Key`.

use std::time::Duration;

use axum::body::Body;
use http::Request;
use portcullis::keyring::Expiry;

use crate::desk::{Answer, Desk, TOKEN};

const BODY: &str = r#"{"name": "n", "scopes": ["a", "b"], "metadata": {"m": 1}}"#;

async fn make(desk: &Desk, caller: &str, values: &[&str], body: &str) -> Answer {
    let mut request = Request::post("/keys")
        .header("authorization", format!("Bearer {caller}"))
        .header("content-type", "application/json");
    for value in values {
        request = request.header("idempotency-key", value.as_bytes());
    }
    desk.ask(request.body(Body::from(body.to_owned())).unwrap())
        .await
}

#[tokio::test]
async fn the_same_request_gets_the_same_key_with_a_fresh_secret() {
    let same = [
        BODY,
        r#"{"scopes":["b","a","a"],"metadata":{"m":1},"name":" n "}"#,
        r#"{"n\u0061me": "n", "scopes": ["a", "b"], "metadata": { "m" : 1 }}"#,
    ];
    for desk in Desk::everywhere().await {
        let mut before = make(&desk, TOKEN, &["k"], BODY).await.ok();
        assert_eq!(before.status, 201);
        for body in same {
            let again = make(&desk, TOKEN, &["k"], body).await.ok();
            assert_eq!(again.status, 201, "{body}");
            assert_eq!(again.id(), before.id(), "{body}");
            assert_eq!(again.headers["location"], before.headers["location"]);
            assert_ne!(again.secret(), before.secret(), "{body}");
            assert!(!desk.opens(&before.secret()).await, "{body}");
            assert!(desk.opens(&again.secret()).await, "{body}");
            assert_eq!(again.body["key"]["previous"], serde_json::Value::Null);
            before = again;
        }
        let all = desk.get(TOKEN, "/keys").await;
        assert_eq!(all.body["keys"].as_array().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn another_request_under_the_same_value_is_refused() {
    let others = [
        r#"{"name": "m", "scopes": ["a", "b"], "metadata": {"m": 1}}"#,
        r#"{"name": "n", "scopes": ["a"], "metadata": {"m": 1}}"#,
        r#"{"name": "n", "scopes": ["a", "b"], "metadata": {"m": 1.0}}"#,
        r#"{"name": "n", "scopes": ["a", "b"]}"#,
        r#"{"name": "n", "scopes": ["a", "b"], "metadata": {"m": 1}, "owner": "admin"}"#,
        r#"{"name": "n", "scopes": ["a", "b"], "metadata": {"m": 1}, "environment": "test"}"#,
        r#"{"name": "n", "scopes": ["a", "b"], "metadata": {"m": 1}, "expires_at": null}"#,
        r#"{"name": "n", "scopes": ["a", "b"], "metadata": {"m": 1}, "expires_in": "1d"}"#,
        // Reused is what it is first, whatever else may be wrong with it.
        r#"{"name": "n", "scopes": ["a", "b"], "expires_at": "2000-01-01T00:00:00Z"}"#,
    ];
    for desk in Desk::everywhere().await {
        let made = make(&desk, TOKEN, &["k"], BODY).await.ok();
        for body in others {
            let answer = make(&desk, TOKEN, &["k"], body).await;
            assert_eq!(answer.said(), (422, "idempotency_key_reused"), "{body}");
        }
        assert!(desk.opens(&made.secret()).await);
        // A request that cannot be read is not compared with anything.
        let answer = make(&desk, TOKEN, &["k"], "{}").await;
        assert_eq!(answer.said(), (422, "invalid_field"));
    }
}

#[tokio::test]
async fn callers_and_values_do_not_meet() {
    for desk in Desk::everywhere().await {
        let one = desk.key(&["keys:write", "*"]).await;
        let two = desk.key(&["keys:write", "*"]).await;
        let mut ids = Vec::new();
        for (caller, value) in [
            (TOKEN, "k"),
            (one.secret.as_str(), "k"),
            (&two.secret, "k"),
            (&two.secret, "K"),
            (&two.secret, "kk"),
        ] {
            ids.push(make(&desk, caller, &[value], BODY).await.ok().id());
        }
        ids.push(make(&desk, TOKEN, &[], BODY).await.ok().id());
        ids.push(make(&desk, TOKEN, &[], BODY).await.ok().id());
        let count = ids.len();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), count);
    }
}

#[tokio::test]
async fn a_caller_stays_the_same_when_it_gets_another_secret() {
    for desk in Desk::everywhere().await {
        let caller = desk.key(&["keys:write", "*"]).await;
        let made = make(&desk, &caller.secret, &["k"], BODY).await.ok();
        let rotated = desk
            .post(TOKEN, &caller.below("rotate"), "{}")
            .await
            .secret();
        let again = make(&desk, &rotated, &["k"], BODY).await.ok();
        assert_eq!(again.id(), made.id());
    }
}

#[tokio::test]
async fn the_header_is_there_once_and_has_1_to_255_visible_characters() {
    let (long, longer) = ("x".repeat(255), "x".repeat(256));
    for desk in Desk::everywhere().await {
        for values in [
            vec![""],
            vec!["a b"],
            vec!["\t"],
            vec!["é"],
            vec!["a", "a"],
            vec!["a", ""],
            vec![longer.as_str()],
        ] {
            let answer = make(&desk, TOKEN, &values, BODY).await;
            assert_eq!(answer.said(), (400, "invalid_request"), "{values:?}");
            assert!(!answer.headers.contains_key("www-authenticate"));
            // After the syntax of the body, before its fields.
            let answer = make(&desk, TOKEN, &values, "{").await;
            assert_eq!(answer.said(), (400, "invalid_json"), "{values:?}");
            let answer = make(&desk, TOKEN, &values, "{}").await;
            assert_eq!(answer.said(), (400, "invalid_request"), "{values:?}");
        }
        for value in ["!", "\"8e03978e-40d5-43dd-bc93-6894a57f9324\"", &long] {
            make(&desk, TOKEN, &[value], BODY).await.ok();
        }
    }
}

#[tokio::test]
async fn it_is_forgotten_after_a_day() {
    let desk = Desk::at_will();
    let made = make(&desk, TOKEN, &["k"], BODY).await.ok();
    desk.clock
        .advance(Duration::from_micros(86_400_000_000 - 1));
    let again = make(&desk, TOKEN, &["k"], BODY).await.ok();
    assert_eq!(again.id(), made.id());
    // A repetition does not start the day afresh.
    desk.clock.advance(Duration::from_micros(1));
    let other = make(&desk, TOKEN, &["k"], r#"{"name": "other", "scopes": []}"#)
        .await
        .ok();
    assert_ne!(other.id(), made.id());
    assert!(desk.opens(&again.secret()).await);
}

#[tokio::test]
async fn a_key_that_died_meanwhile_stays_dead() {
    let desk = Desk::at_will();
    let minute = r#"{"name": "n", "scopes": [], "expires_in": "1m"}"#;
    let expiring = make(&desk, TOKEN, &["e"], minute).await.ok();
    let revoked = make(&desk, TOKEN, &["r"], BODY).await.ok();
    desk.delete(TOKEN, &format!("/keys/{}", revoked.id()))
        .await
        .ok();
    let again = make(&desk, TOKEN, &["r"], BODY).await;
    assert_eq!(again.said(), (409, "key_revoked"));
    desk.clock.advance(Duration::from_secs(59));
    let again = make(&desk, TOKEN, &["e"], minute).await.ok();
    assert_eq!(
        again.body["key"]["expires_at"],
        expiring.body["key"]["expires_at"]
    );
    desk.clock.advance(Duration::from_secs(1));
    let again = make(&desk, TOKEN, &["e"], minute).await;
    assert_eq!(again.said(), (409, "key_expired"));
}

#[tokio::test]
async fn a_key_that_has_grown_beyond_its_maker_gets_no_secret_from_it() {
    for desk in Desk::everywhere().await {
        let caller = desk.key(&["keys:write", "a", "b"]).await;
        let made = make(&desk, &caller.secret, &["k"], BODY).await.ok();
        let path = format!("/keys/{}", made.id());
        desk.patch(TOKEN, &path, r#"{"scopes": ["c"]}"#).await.ok();
        let again = make(&desk, &caller.secret, &["k"], BODY).await;
        assert_eq!(again.said(), (403, "exceeds_caller"));
        assert!(desk.opens(&made.secret()).await);

        let admin = desk.key_of("boss", &["keys:admin", "*"]).await;
        let body = r#"{"name": "n", "scopes": [], "owner": "else"}"#;
        make(&desk, &admin.secret, &["k"], body).await.ok();
        desk.patch(TOKEN, &admin.path(), r#"{"scopes": ["keys:write"]}"#)
            .await
            .ok();
        let again = make(&desk, &admin.secret, &["k"], body).await;
        assert_eq!(again.said(), (403, "exceeds_caller"));
    }
}

#[tokio::test]
async fn what_was_refused_is_not_remembered() {
    for desk in Desk::everywhere().await {
        let caller = desk.key(&["keys:write", "a"]).await;
        let refused = make(&desk, &caller.secret, &["k"], BODY).await;
        assert_eq!(refused.said(), (403, "exceeds_caller"));
        let other = r#"{"name": "n", "scopes": ["a"]}"#;
        make(&desk, &caller.secret, &["k"], other).await.ok();
    }
}

#[tokio::test]
async fn a_key_in_its_grace_loses_both_secrets_to_the_repetition() {
    for desk in Desk::everywhere().await {
        let made = make(&desk, TOKEN, &["k"], BODY).await.ok();
        let path = format!("/keys/{}/rotate", made.id());
        let grace = r#"{"grace_seconds": 600}"#;
        let rotated = desk.post(TOKEN, &path, grace).await.ok();
        let again = make(&desk, TOKEN, &["k"], BODY).await.ok();
        assert_eq!(again.id(), made.id());
        assert!(!desk.opens(&made.secret()).await);
        assert!(!desk.opens(&rotated.secret()).await);
        assert!(desk.opens(&again.secret()).await);
    }
}

#[tokio::test]
async fn requests_at_once_make_one_key_here_and_elsewhere() {
    for desk in Desk::everywhere().await {
        let replica = desk.replica();
        let requests: Vec<_> = (0..20)
            .map(|at| {
                let desk = if at % 2 == 0 {
                    desk.clone()
                } else {
                    replica.clone()
                };
                tokio::spawn(async move { make(&desk, TOKEN, &["k"], BODY).await })
            })
            .collect();
        let mut made = Vec::new();
        for request in requests {
            let answer = request.await.unwrap();
            match answer.said() {
                (201, _) => made.push(answer),
                said => assert_eq!(said, (409, "idempotency_key_in_use")),
            }
        }
        assert!(!made.is_empty());
        assert!(made.iter().all(|answer| answer.id() == made[0].id()));
        let all = desk.get(TOKEN, "/keys").await;
        assert_eq!(all.body["keys"].as_array().unwrap().len(), 1);
        let mut alive = 0;
        for answer in &made {
            alive += u32::from(desk.opens(&answer.secret()).await);
        }
        assert_eq!(alive, 1);
    }
}

#[tokio::test]
async fn a_request_that_still_runs_is_not_run_twice() {
    for desk in Desk::everywhere().await {
        let (slow, faults) = desk.faulty();
        faults.writes.freeze_next(1);
        let first = {
            let slow = slow.clone();
            tokio::spawn(async move { make(&slow, TOKEN, &["k"], BODY).await })
        };
        faults.writes.frozen(1).await;
        let second = make(&slow, TOKEN, &["k"], BODY).await;
        assert_eq!(second.said(), (409, "idempotency_key_in_use"));
        let other = make(&slow, TOKEN, &["other"], BODY);
        other.await.ok();
        faults.writes.release();
        let first = first.await.unwrap().ok();
        assert!(desk.opens(&first.secret()).await);
        let third = make(&slow, TOKEN, &["k"], BODY).await.ok();
        assert_eq!(third.id(), first.id());
    }
}

#[tokio::test]
async fn a_client_that_hangs_up_can_ask_again() {
    for desk in Desk::everywhere().await {
        let (slow, faults) = desk.faulty();
        faults.writes.freeze_next(1);
        let first = {
            let slow = slow.clone();
            tokio::spawn(async move { make(&slow, TOKEN, &["k"], BODY).await })
        };
        faults.writes.frozen(1).await;
        first.abort();
        assert!(first.await.unwrap_err().is_cancelled());
        let second = make(&slow, TOKEN, &["k"], BODY).await;
        assert_eq!(second.said(), (409, "idempotency_key_in_use"));
        faults.writes.release();
        let third = loop {
            let answer = make(&slow, TOKEN, &["k"], BODY).await;
            if answer.status == 201 {
                break answer;
            }
            tokio::task::yield_now().await;
        };
        let all = desk.get(TOKEN, "/keys").await;
        assert_eq!(all.body["keys"].as_array().unwrap().len(), 1);
        assert!(desk.opens(&third.secret()).await);
    }
}

#[tokio::test]
async fn a_caller_with_an_end_hands_it_on_and_is_recognised() {
    let desk = Desk::at_will();
    let hour = Expiry::In(Duration::from_hours(1));
    let caller = desk.key_for("acme", &["keys:write", "*"], hour).await;
    let made = make(&desk, &caller.secret, &["k"], BODY).await.ok();
    assert_eq!(made.body["key"]["expires_at"], "2030-01-01T01:00:00Z");
    desk.clock.advance(Duration::from_mins(1));
    let again = make(&desk, &caller.secret, &["k"], BODY).await.ok();
    assert_eq!(again.body["key"]["expires_at"], "2030-01-01T01:00:00Z");
}
