//! What is written to the log: each change, once, by ids alone.

use serde_json::json;

use crate::world::{ADMIN_TOKEN, World, key_path};

#[tokio::test]
async fn each_change_is_one_line_without_names_and_secrets() {
    let world = World::memory();
    let writer = world.key("a", &["keys:write"]).await;
    world.take_log();
    let by = format!("by=key:{}", writer.id);

    let name = "mine\u{2028}alice-in-chains";
    let body = json!({"name": name, "scopes": []}).to_string();
    let made = world.post(&writer.secret, body).await.holder();
    let mut all = String::new();
    let mut check = |what: &str| {
        let log = world.take_log();
        let lines: Vec<&str> = log.lines().filter(|line| line.contains("INFO")).collect();
        match what {
            "" => assert!(lines.is_empty(), "{log}"),
            what => {
                let [line] = lines[..] else {
                    panic!("{what}: {log}")
                };
                let key = format!("key={}", made.id);
                for part in [what, &key, &by] {
                    assert!(line.contains(part), "{line}");
                }
            }
        }
        all += &log;
    };
    check("key created");

    let body = json!({"name": "bob-the-builder"}).to_string();
    world.patch(&made.id, &writer.secret, body.clone()).await;
    check("key changed");
    world.patch(&made.id, &writer.secret, body).await;
    check("");
    world.patch(&made.id, &writer.secret, "[").await;
    world.get("/admin/keys", ADMIN_TOKEN).await;
    check("");
    let path = format!("{}?reason=carol-left", key_path(&made.id));
    world.delete(&path, &writer.secret).await;
    check("key revoked");
    world.delete(&path, &writer.secret).await;
    check("");

    for secret in [
        &writer.secret[14..],
        &made.secret[14..],
        ADMIN_TOKEN,
        "alice",
        "bob",
        "carol",
    ] {
        assert!(!all.contains(secret), "{secret}: {all}");
    }
}
