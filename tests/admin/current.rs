//! `/keys/current`.

use http::{Method, Request};

use crate::desk::{Desk, TOKEN};

#[tokio::test]
async fn a_key_without_any_scope_sees_itself() {
    for desk in Desk::everywhere().await {
        let key = desk.key(&[]).await;
        let shown = desk.get(&key.secret, "/keys/current").await.ok();
        assert_eq!(shown.text, desk.get(TOKEN, &key.path()).await.text);
        // By its id it takes a scope.
        let by_id = desk.get(&key.secret, &key.path()).await;
        assert_eq!(by_id.said(), (403, "insufficient_scope"));
    }
}

#[tokio::test]
async fn a_key_without_any_scope_ends_itself() {
    for desk in Desk::everywhere().await {
        for path in ["current", "its id"] {
            let key = desk.key(&[]).await;
            let path = match path {
                "current" => "/keys/current?reason=lost".to_owned(),
                _ => format!("{}?reason=lost", key.path()),
            };
            let revoked = desk.delete(&key.secret, &path).await.ok();
            assert_eq!(revoked.body["status"], "revoked");
            assert_eq!(revoked.body["revoked_reason"], "lost");
            assert_eq!(revoked.body["revoked_by"], format!("key:{}", key.id));
            let again = desk.delete(&key.secret, &path).await;
            assert_eq!(again.said(), (401, "invalid_token"));
        }
    }
}

#[tokio::test]
async fn an_admin_token_is_no_key() {
    for desk in Desk::everywhere().await {
        assert_eq!(
            desk.get(TOKEN, "/keys/current").await.said(),
            (404, "not_found")
        );
        assert_eq!(
            desk.delete(TOKEN, "/keys/current").await.said(),
            (404, "not_found")
        );
    }
}

#[tokio::test]
async fn what_is_asked_wrongly_is_told() {
    for desk in Desk::everywhere().await {
        let key = desk.key(&[]).await;
        for path in ["/keys/current?x=1", "/keys/current?reason=a"] {
            let answer = desk.get(&key.secret, path).await;
            assert_eq!(answer.said(), (422, "invalid_field"), "{path}");
        }
        let long = format!("/keys/current?reason={}", "x".repeat(501));
        for path in [
            "/keys/current?reason=%00",
            "/keys/current?reason=a&reason=a",
            "/keys/current?why=a",
            &long,
        ] {
            let answer = desk.delete(&key.secret, path).await;
            assert_eq!(answer.said(), (422, "invalid_field"), "{path}");
        }
        assert!(desk.opens(&key.secret).await);
    }
}

#[tokio::test]
async fn the_fixed_paths_win_over_ids_and_have_methods_of_their_own() {
    for desk in Desk::everywhere().await {
        for (method, path) in [
            (Method::PATCH, "/keys/current"),
            (Method::POST, "/keys/current"),
            (Method::GET, "/keys/revoke"),
            (Method::DELETE, "/keys/revoke"),
            (Method::PATCH, "/keys/revoke"),
            (Method::GET, "/keys/key_0000000000000000/rotate"),
            (Method::POST, "/keys/key_0000000000000000/previous"),
        ] {
            // Before the credential, of which there is none.
            let request = Request::builder().method(method).uri(path);
            let request = request.body(axum::body::Body::empty()).unwrap();
            let answer = desk.ask(request).await;
            assert_eq!(
                (answer.status.as_u16(), answer.text.as_str()),
                (405, ""),
                "{path}"
            );
        }
    }
}
