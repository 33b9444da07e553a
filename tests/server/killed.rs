//! What was acknowledged is there after a `kill -9`, whenever it comes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::client::{Key, key_of};
use crate::process::{ADMIN_TOKEN, Server, Setup, until};

/// The answers that one client got before the server was gone.
#[derive(Default)]
struct Acknowledged {
    created: Vec<Key>,
    disabled: Vec<Key>,
    revoked: Vec<Key>,
}

async fn write_until_it_is_gone(server: Arc<Server>, answers: Arc<AtomicUsize>) -> Acknowledged {
    let mut acknowledged = Acknowledged::default();
    let call = async |method: &str, path: &str, body: Value| {
        let answer = server.try_admin(ADMIN_TOKEN, method, path, &body).await;
        if answer.is_some() {
            answers.fetch_add(1, Ordering::Relaxed);
        }
        answer
    };
    let new = json!({"name": "n", "scopes": []});
    while let Some(created) = call("POST", "/keys", new.clone()).await {
        let key = key_of(&created.is(201));
        let path = format!("/keys/{}", key.id);
        // What is not answered may have happened or not.
        match acknowledged.created.len() % 3 {
            0 => acknowledged.created.push(key),
            1 => {
                acknowledged.created.push(key.clone());
                let Some(revoked) = call("DELETE", &path, Value::Null).await else {
                    acknowledged.created.pop();
                    break;
                };
                revoked.is(200);
                acknowledged.revoked.push(key);
            }
            _ => {
                acknowledged.created.push(key.clone());
                let Some(disabled) = call("PATCH", &path, json!({"enabled": false})).await else {
                    acknowledged.created.pop();
                    break;
                };
                disabled.is(200);
                acknowledged.disabled.push(key);
            }
        }
    }
    acknowledged
}

#[tokio::test]
async fn nothing_acknowledged_is_lost() {
    let setup = Setup::sqlite();
    let mut all = Acknowledged::default();
    for round in 0..12 {
        let server = Arc::new(setup.start().await);
        let answers = Arc::new(AtomicUsize::new(0));
        let mut clients = JoinSet::new();
        for _ in 0..4 {
            let (server, answers) = (Arc::clone(&server), Arc::clone(&answers));
            clients.spawn(write_until_it_is_gone(server, answers));
        }
        // In the middle of writes, a bit later each time.
        let enough = 5 + 7 * round;
        until(std::time::Duration::from_secs(20), "writes", async || {
            answers.load(Ordering::Relaxed) >= enough
        })
        .await;
        server.kill_now();
        for client in clients.join_all().await {
            all.created.extend(client.created);
            all.disabled.extend(client.disabled);
            all.revoked.extend(client.revoked);
        }
        drop(server);
    }
    let server = setup.start().await;
    let mut dead = 0;
    for key in &all.created {
        let path = format!("/keys/{}", key.id);
        let shown = server.admin("GET", &path, Value::Null).await.is(200).json();
        let among = |keys: &[Key]| keys.iter().any(|k| k.id == key.id);
        let status = if among(&all.revoked) {
            "revoked"
        } else if among(&all.disabled) {
            "disabled"
        } else {
            "active"
        };
        assert_eq!(shown["status"], status);
        assert_eq!(server.opens(key).await, status == "active");
        dead += usize::from(status != "active");
    }
    assert!(dead > 50, "hardly anything was written: {dead}");
}
