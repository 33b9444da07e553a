//! `DELETE /keys/{id}/previous`.

use serde_json::Value;

use crate::desk::{Desk, TOKEN};

const GRACE: &str = r#"{"grace_seconds": 600}"#;

#[tokio::test]
async fn the_secret_in_its_grace_dies_and_the_new_one_lives() {
    for desk in Desk::everywhere().await {
        let writer = desk.key(&["keys:write"]).await;
        let key = desk.key(&["a"]).await;
        let new = desk.post(TOKEN, &key.below("rotate"), GRACE).await.secret();
        assert!(desk.opens(&key.secret).await);
        // Taking away asks for no more than keys:write, like a revocation.
        let ended = desk
            .delete(&writer.secret, &key.below("previous"))
            .await
            .ok();
        assert_eq!(ended.status, 200);
        assert_eq!(ended.body["previous"], Value::Null);
        assert_eq!(ended.body["id"], key.id.as_str());
        assert!(!desk.opens(&key.secret).await);
        assert!(desk.opens(&new).await);
        let again = desk.delete(&writer.secret, &key.below("previous")).await;
        assert_eq!((again.status.as_u16(), again.text), (200, ended.text));
    }
}

#[tokio::test]
async fn a_dead_key_has_no_previous_secret() {
    for desk in Desk::everywhere().await {
        let key = desk.key(&["a"]).await;
        desk.post(TOKEN, &key.below("rotate"), GRACE).await.ok();
        desk.patch(TOKEN, &key.path(), r#"{"enabled": false}"#)
            .await
            .ok();
        let disabled = desk.get(TOKEN, &key.path()).await.ok();
        assert!(disabled.body["previous"].is_object());
        let revoked = desk.delete(TOKEN, &key.path()).await.ok();
        assert_eq!(revoked.body["previous"], Value::Null);
        assert!(!desk.opens(&key.secret).await);
        let ended = desk.delete(TOKEN, &key.below("previous")).await.ok();
        assert_eq!(ended.text, revoked.text);
    }
}

#[tokio::test]
async fn the_use_of_a_previous_secret_is_shown_with_it() {
    let desk = Desk::at_will();
    let key = desk.key(&["a"]).await;
    let new = desk.post(TOKEN, &key.below("rotate"), GRACE).await.secret();
    desk.clock.advance(std::time::Duration::from_secs(7));
    assert!(desk.opens(&key.secret).await);
    desk.keyring.shutdown().await;
    let shown = desk.get(TOKEN, &key.path()).await.ok();
    assert_eq!(shown.body["last_used_at"], "2030-01-01T00:00:07Z");
    assert_eq!(
        shown.body["previous"]["last_used_at"],
        "2030-01-01T00:00:07Z"
    );
    desk.clock.advance(std::time::Duration::from_secs(1));
    assert!(desk.opens(&new).await);
    desk.keyring.shutdown().await;
    let shown = desk.get(TOKEN, &key.path()).await.ok();
    assert_eq!(shown.body["last_used_at"], "2030-01-01T00:00:08Z");
    assert_eq!(
        shown.body["previous"]["last_used_at"],
        "2030-01-01T00:00:07Z"
    );
}

#[tokio::test]
async fn who_may_not_is_told_in_order() {
    for desk in Desk::everywhere().await {
        let reader = desk.key(&["keys:read"]).await;
        let writer = desk.key(&["keys:write"]).await;
        let other = desk.key_of("other", &[]).await;
        let path = other.below("previous");
        let cases = [
            (
                reader.secret.as_str(),
                format!("{path}?x=1"),
                (403, "insufficient_scope"),
            ),
            (
                &writer.secret,
                format!("{path}?x=1"),
                (422, "invalid_field"),
            ),
            (&writer.secret, path.clone(), (404, "not_found")),
            (TOKEN, "/keys/none/previous".to_owned(), (404, "not_found")),
            ("nonsense", path, (401, "invalid_token")),
        ];
        for (caller, path, expected) in cases {
            let answer = desk.delete(caller, &path).await;
            assert_eq!(answer.said(), expected, "{path}");
        }
    }
}
