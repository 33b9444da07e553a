//! What is wrong first is answered first. Each request of a row has one mistake less than the one
//! before it.

use axum::body::Body;
use http::{Method, Request};

use crate::desk::{Answer, Desk, Held, TOKEN};

struct Ask<'a> {
    method: Method,
    path: &'a str,
    caller: Option<&'a str>,
    content_type: Option<&'a str>,
    body: String,
}

impl Ask<'_> {
    async fn of(self, desk: &Desk) -> Answer {
        let mut request = Request::builder().method(self.method).uri(self.path);
        if let Some(caller) = self.caller {
            request = request.header("authorization", format!("Bearer {caller}"));
        }
        if let Some(content_type) = self.content_type {
            request = request.header("content-type", content_type);
        }
        desk.ask(request.body(Body::from(self.body)).unwrap()).await
    }
}

/// An endpoint that takes a body.
struct Endpoint {
    name: &'static str,
    method: Method,
    path: fn(&Held) -> String,
    scope: &'static str,
    wrong: &'static str,
    fine: &'static str,
    /// Whether the path names a key.
    of_a_key: bool,
}

const ENDPOINTS: [Endpoint; 4] = [
    Endpoint {
        name: "create",
        method: Method::POST,
        path: |_| "/keys".to_owned(),
        scope: "keys:write",
        wrong: r#"{"name": 1, "scopes": ["b"]}"#,
        fine: r#"{"name": "n", "scopes": ["b"]}"#,
        of_a_key: false,
    },
    Endpoint {
        name: "change",
        method: Method::PATCH,
        path: Held::path,
        scope: "keys:write",
        wrong: r#"{"name": 1}"#,
        fine: r#"{"name": "n"}"#,
        of_a_key: true,
    },
    Endpoint {
        name: "rotate",
        method: Method::POST,
        path: |key| key.below("rotate"),
        scope: "keys:write",
        wrong: r#"{"grace_seconds": "1"}"#,
        fine: "{}",
        of_a_key: true,
    },
    Endpoint {
        name: "emergency",
        method: Method::POST,
        path: |_| "/keys/revoke".to_owned(),
        scope: "keys:admin",
        wrong: r#"{"all": 1, "reason": "r"}"#,
        fine: r#"{"owner": "nobody", "reason": "r"}"#,
        of_a_key: false,
    },
];

#[tokio::test]
async fn an_endpoint_with_a_body_answers_in_the_order_that_is_fixed() {
    const JSON: Option<&str> = Some("application/json");
    for desk in Desk::everywhere().await {
        for endpoint in &ENDPOINTS {
            let lacking = desk.key(&["keys:read"]).await;
            let caller = desk.key(&[endpoint.scope]).await;
            let exceeding = desk.key(&["b"]).await;
            desk.delete(TOKEN, &exceeding.path()).await.ok();
            let unknown = Held {
                id: "key_0000000000000000".parse().unwrap(),
                secret: String::new(),
            };
            let target = if endpoint.of_a_key {
                &unknown
            } else {
                &exceeding
            };
            let path = (endpoint.path)(target);
            let queried = format!("{path}?x=1");
            let (lacking, caller) = (Some(lacking.secret.as_str()), Some(caller.secret.as_str()));
            let big = || "[".repeat(70_000);
            let wrong = || endpoint.wrong.to_owned();
            let fine = || endpoint.fine.to_owned();
            let rows = [
                (
                    queried.as_str(),
                    None,
                    None,
                    big(),
                    (401, "missing_credentials"),
                ),
                (&queried, Some("x"), None, big(), (401, "invalid_token")),
                (&queried, lacking, None, big(), (403, "insufficient_scope")),
                (&queried, caller, None, big(), (413, "payload_too_large")),
                (
                    &queried,
                    caller,
                    None,
                    "{".into(),
                    (415, "unsupported_media_type"),
                ),
                (
                    &queried,
                    caller,
                    None,
                    "{}".into(),
                    (415, "unsupported_media_type"),
                ),
                (
                    &queried,
                    caller,
                    Some("text/json"),
                    "{}".into(),
                    (415, "unsupported_media_type"),
                ),
                (&queried, caller, JSON, String::new(), (400, "invalid_json")),
                (&queried, caller, JSON, "{".into(), (400, "invalid_json")),
                (&path, caller, JSON, wrong(), (422, "invalid_field")),
                (&queried, caller, JSON, fine(), (422, "invalid_field")),
            ];
            for (at, (path, caller, content_type, body, expected)) in rows.into_iter().enumerate() {
                let ask = Ask {
                    method: endpoint.method.clone(),
                    path,
                    caller,
                    content_type,
                    body,
                };
                assert_eq!(
                    ask.of(&desk).await.said(),
                    expected,
                    "{} {at}",
                    endpoint.name
                );
            }
            let last = |path: String, caller: &str| {
                let (desk, caller) = (desk.clone(), caller.to_owned());
                async move {
                    let ask = Ask {
                        method: endpoint.method.clone(),
                        path: &path,
                        caller: Some(&caller),
                        content_type: JSON,
                        body: endpoint.fine.to_owned(),
                    };
                    ask.of(&desk).await
                }
            };
            let caller = caller.unwrap();
            if endpoint.of_a_key {
                let missing = last(path, caller).await;
                assert_eq!(missing.said(), (404, "not_found"), "{}", endpoint.name);
                let path = (endpoint.path)(&exceeding);
                // Both beyond the caller and revoked.
                let beyond = last(path.clone(), caller).await;
                assert_eq!(beyond.said(), (403, "exceeds_caller"), "{}", endpoint.name);
                let dead = last(path, TOKEN).await;
                assert_eq!(dead.said(), (409, "key_revoked"), "{}", endpoint.name);
            } else if endpoint.name == "create" {
                let beyond = last(path, caller).await;
                assert_eq!(beyond.said(), (403, "exceeds_caller"));
            } else {
                assert_eq!(last(path, caller).await.text, r#"{"revoked":0}"#);
            }
        }
    }
}

#[tokio::test]
async fn a_past_expiry_comes_before_authority_and_after_the_rest() {
    for desk in Desk::everywhere().await {
        let writer = desk.key(&["keys:write"]).await;
        let past = r#"{"name": "n", "scopes": ["b"], "expires_at": "2000-01-01T00:00:00Z"}"#;
        let answer = desk.post(&writer.secret, "/keys", past).await;
        assert_eq!(answer.said(), (422, "invalid_field"));
        assert_eq!(answer.at(), ["#/expires_at"]);
        let mine = r#"{"name": "n", "scopes": [], "owner": "other"}"#;
        let answer = desk.post(&writer.secret, "/keys", mine).await;
        assert_eq!(answer.said(), (403, "exceeds_caller"));
    }
}

#[tokio::test]
async fn another_owners_key_and_a_missing_one_are_the_same_to_the_byte() {
    for desk in Desk::everywhere().await {
        let caller = desk.key(&["keys:write", "*"]).await;
        let other = desk.key_of("other", &[]).await;
        desk.delete(TOKEN, &other.path()).await.ok();
        let ids = [
            other.id.as_str(),
            "key_0000000000000000",
            "x",
            "current2",
            "%00",
            "key_%F0",
        ];
        let mut texts = Vec::new();
        for id in ids {
            let path = format!("/keys/{id}");
            let secret = &caller.secret;
            texts.push(desk.get(secret, &path).await.text);
            texts.push(desk.delete(secret, &path).await.text);
            texts.push(desk.patch(secret, &path, "{}").await.text);
            texts.push(
                desk.post(secret, &format!("{path}/rotate"), "{}")
                    .await
                    .text,
            );
            texts.push(desk.delete(secret, &format!("{path}/previous")).await.text);
        }
        assert!(texts.iter().all(|text| *text == texts[0]), "{texts:?}");
        assert!(texts[0].contains("not_found"));
    }
}
