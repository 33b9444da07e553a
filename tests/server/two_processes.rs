//! Two servers on one file.

use std::time::Duration;

use serde_json::{Value, json};

use crate::process::{Setup, until};

/// Far more than a poll on a busy machine, and far less than the staleness that is allowed.
const BOUND: Duration = Duration::from_secs(5);

fn setup() -> Setup {
    Setup::sqlite()
        .with("PORTCULLIS_POLL_MS", "200")
        .with("PORTCULLIS_MAX_STALENESS_MS", "60000")
        .with("PORTCULLIS_LOOKUP_DEADLINE_MS", "5000")
}

#[tokio::test]
async fn what_one_does_the_other_heeds_though_it_remembers_otherwise() {
    let setup = setup();
    let one = setup.start().await;
    let other = setup.start().await;
    for (one, other) in [(&one, &other), (&other, &one)] {
        let key = one.a_key().await;
        // Never seen, so never remembered otherwise.
        assert!(other.opens(&key).await);
        for _ in 0..3 {
            one.enable(&key, false).await;
            until(BOUND, "disabled", async || !other.opens(&key).await).await;
            one.enable(&key, true).await;
            until(BOUND, "enabled", async || other.opens(&key).await).await;
        }
        one.revoke(&key).await;
        until(BOUND, "revoked", async || !other.opens(&key).await).await;
        for _ in 0..20 {
            assert!(!other.opens(&key).await, "it stays revoked");
        }
    }
}

#[tokio::test]
async fn a_key_can_be_revoked_where_it_was_not_made() {
    let setup = setup();
    let one = setup.start().await;
    let other = setup.start().await;
    let key = one.a_key().await;
    assert!(one.opens(&key).await && other.opens(&key).await);
    other.revoke(&key).await;
    assert!(!other.opens(&key).await, "at once where it was done");
    until(BOUND, "revoked", async || !one.opens(&key).await).await;
    // And what one knows the other knows.
    let path = format!("/keys/{}", key.id);
    let shown = one.admin("GET", &path, Value::Null).await.json();
    assert_eq!(shown, other.admin("GET", &path, Value::Null).await.json());
}

#[tokio::test]
async fn both_write_at_once_and_nothing_is_lost_or_fails() {
    let setup = setup();
    let servers = [setup.start().await, setup.start().await];
    let write = async |n: usize| {
        let mut keys = Vec::new();
        for i in 0..15 {
            let server = &servers[(n + i) % 2];
            let key = server
                .create(json!({"name": format!("{n}/{i}"), "scopes": []}))
                .await;
            if i % 2 == 0 {
                server.revoke(&key).await;
            }
            keys.push((key, i % 2 != 0));
        }
        keys
    };
    let (a, b, c, d) = tokio::join!(write(0), write(1), write(2), write(3));
    for (key, alive) in [a, b, c, d].concat() {
        for server in &servers {
            until(BOUND, "in step", async || server.opens(&key).await == alive).await;
        }
    }
}
