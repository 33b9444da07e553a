//! Whoever listens to changes.

use std::sync::{Arc, Mutex};

use portcullis::keyring::KeyChange;

use crate::world::{ADMIN_TOKEN, World, key_path};

#[tokio::test]
async fn each_change_is_told_once_after_it_was_made() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let hear = {
        let told = Arc::clone(&told);
        move |change: &KeyChange| {
            let said = match change {
                KeyChange::Key { event, key } => {
                    let fields = event.detail.fields.join(",");
                    format!("{} {} {} {fields}", event.what.as_str(), key.id, event.by)
                }
                KeyChange::Stopped {
                    event,
                    revoked,
                    keys,
                } => {
                    format!(
                        "{} {revoked} {} {}",
                        event.what.as_str(),
                        keys.len(),
                        event.by
                    )
                }
                _ => unreachable!(),
            };
            told.lock().unwrap().push(said);
        }
    };
    let worlds = World::everywhere(|builder| builder.on_change(hear.clone()), |admin| admin);
    for world in worlds.await {
        let take = || std::mem::take(&mut *told.lock().unwrap());
        let made = world.made(ADMIN_TOKEN, "").await.holder();
        let (id, by) = (&made.id, "admin-token");
        assert_eq!(take(), [format!("created {id} {by} ")]);
        let body = r#"{"name":"x","enabled":false}"#;
        for _ in 0..2 {
            world.patch(id, ADMIN_TOKEN, body).await;
        }
        assert_eq!(take(), [format!("changed {id} {by} name,enabled")]);
        world.patch(id, ADMIN_TOKEN, r#"{"enabled":true}"#).await;
        assert_eq!(take(), [format!("enabled {id} {by} ")]);
        world.patch(id, ADMIN_TOKEN, "{").await;
        world.patch("key_0000000000000000", ADMIN_TOKEN, body).await;
        assert_eq!(take(), [""; 0]);
        for _ in 0..2 {
            world.delete(&key_path(id), ADMIN_TOKEN).await;
        }
        assert_eq!(take(), [format!("revoked {id} {by} ")]);
        world.key("a", &[]).await;
        world.key("a", &[]).await;
        take();
        for _ in 0..2 {
            let whose = portcullis::store::Whose::All;
            world.keyring.revoke_all(whose, "over").await.unwrap();
        }
        assert_eq!(take(), ["revoked 2 2 system"]);
    }
}

#[tokio::test]
async fn a_listener_that_panics_changes_nothing() {
    let heard = Arc::new(Mutex::new(0));
    let also = Arc::clone(&heard);
    let world = World::with(
        |builder| {
            builder
                .on_change(|_| panic!("not today"))
                .on_change(move |_| *also.lock().unwrap() += 1)
        },
        |admin| admin,
    );
    let made = world.made(ADMIN_TOKEN, "").await.holder();
    assert_eq!(
        world.get("/admin/keys/current", &made.secret).await.status,
        200
    );
    assert_eq!(*heard.lock().unwrap(), 1);
    assert!(
        world
            .take_log()
            .contains("a listener to changes of keys panicked")
    );
}

#[tokio::test]
async fn a_change_that_was_not_committed_is_not_told() {
    let heard = Arc::new(Mutex::new(0));
    let also = Arc::clone(&heard);
    let world = World::with(
        |builder| builder.on_change(move |_| *also.lock().unwrap() += 1),
        |admin| admin,
    );
    world.faults.fail();
    let reply = world.post(ADMIN_TOKEN, r#"{"name":"n","scopes":[]}"#).await;
    assert_eq!(reply.status, 503);
    assert_eq!(*heard.lock().unwrap(), 0);
}
