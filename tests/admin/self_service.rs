//! The router for customers.

use axum::body::Body;
use axum::http::{Method, Request};
use portcullis::admin::TrustedCaller;

use crate::world::{ADMIN_TOKEN, World, request, signed_in};

type Asking<'a> = &'a dyn Fn(Method, &str, &str) -> Request<Body>;

on_every_store!(
    everybody_is_confined_to_the_own_owner,
    what_is_for_operators_is_not_there,
);

async fn everybody_is_confined_to_the_own_owner(world: World) {
    let theirs = world.key("umbrella", &["a"]).await;
    let peer = world.key("acme", &["keys:admin"]).await;
    let plain = world.key("acme", &["a"]).await;
    let admin = world.key("acme", &["*", "keys:admin"]).await;
    let session = TrustedCaller::new("s", "acme").unwrap();
    let session = session.scopes(["*", "keys:admin"]).unwrap();
    let by_key =
        |method, path: &str, body: &str| request(method, path, &admin.secret, body.to_owned());
    let by_session =
        |method, path: &str, body: &str| signed_in(&session, method, path, body.to_owned());
    let callers: [Asking<'_>; 2] = [&by_key, &by_session];
    for ask in callers {
        let told =
            async |method, path: &str, body: &str| world.send(ask(method, path, body)).await.told();
        let list = world.send(ask(Method::GET, "/mine/keys", "")).await.json();
        let keys = list["keys"].as_array().unwrap();
        assert!(keys.iter().all(|key| key["owner"] == "acme"));
        let list = ask(Method::GET, "/mine/keys?owner=umbrella", "");
        assert_eq!(
            world.send(list).await.json()["keys"]
                .as_array()
                .unwrap()
                .len(),
            0
        );
        let path = format!("/mine/keys/{}", theirs.id);
        for method in [Method::GET, Method::PATCH, Method::DELETE] {
            assert_eq!(told(method, &path, "{}").await, (404, "not_found"));
        }
        let rotate = format!("{path}/rotate");
        assert_eq!(told(Method::POST, &rotate, "{}").await, (404, "not_found"));
        let previous = format!("{path}/previous");
        assert_eq!(
            told(Method::DELETE, &previous, "").await,
            (404, "not_found")
        );

        let mut cases = vec![
            (r#"{"name":"n","scopes":["*","keys:write"]}"#, (201, "")),
            (
                r#"{"name":"n","scopes":["keys:admin"]}"#,
                (403, "exceeds_caller"),
            ),
            (r#"{"name":"n","scopes":[],"owner":"acme"}"#, (201, "")),
        ];
        cases.push((
            r#"{"name":"n","scopes":[],"owner":"umbrella"}"#,
            (403, "exceeds_caller"),
        ));
        for (body, expected) in cases {
            assert_eq!(
                told(Method::POST, "/mine/keys", body).await,
                expected,
                "{body}"
            );
        }
        // One that reaches further than anybody here.
        let path = format!("/mine/keys/{}", peer.id);
        let on = r#"{"name":"x"}"#;
        assert_eq!(
            told(Method::PATCH, &path, on).await,
            (403, "exceeds_caller")
        );
        let path = format!("/mine/keys/{}", plain.id);
        assert_eq!(told(Method::PATCH, &path, on).await, (200, ""));
        let wider = r#"{"scopes":["keys:admin"]}"#;
        assert_eq!(
            told(Method::PATCH, &path, wider).await,
            (403, "exceeds_caller")
        );
    }
    // On the other router they are what they are.
    let list = request(Method::GET, "/admin/keys?owner=umbrella", &admin.secret, "");
    assert_eq!(
        world.send(list).await.json()["keys"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

async fn what_is_for_operators_is_not_there(world: World) {
    let admin = world.key("acme", &["*", "keys:admin"]).await;
    let stop = r#"{"all":true,"reason":"r"}"#;
    let stop = request(Method::POST, "/mine/keys/revoke", &admin.secret, stop);
    assert_eq!(world.send(stop).await.status, 405);
    let token = world.get("/mine/keys", ADMIN_TOKEN).await;
    assert_eq!(token.told(), (401, "invalid_token"));
    let nobody = world.get("/mine/keys", "").await;
    assert_eq!(nobody.told(), (401, "missing_credentials"));
    let own = world.get("/mine/keys/current", &admin.secret).await;
    assert_eq!(own.json()["id"], admin.id);
    let own = world.delete("/mine/keys/current", &admin.secret).await;
    assert_eq!(own.json()["status"], "revoked");
}
