//! Each answer of the document, brought about on the route that it is documented for.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::http::{HeaderName, HeaderValue, Method, Request};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body::Frame;
use http_body_util::BodyExt as _;
use p256::ecdsa::Signature;
use p256::ecdsa::signature::Signer as _;
use portcullis::admin::{Admin, Policy, TrustedCaller};
use serde_json::json;
use tower::ServiceExt as _;

use crate::document::{Told, documented, signing_key, whole};
use crate::late::Late;
use crate::reply::Reply;
use crate::world::{ADMIN_TOKEN, Elsewhere, Holder, World, key_path, request};

/// A key that ends.
const MORTAL: &str = r#"{"name":"n","scopes":[],"expires_in":"1m"}"#;

/// A route on a fresh world, where a request by the caller about the target is in order.
struct Stage {
    world: World,
    told: Told,
    /// Manages the keys of everybody.
    caller: Holder,
    /// Manages those of the same owner, and holds nothing else.
    customer: Holder,
    target: Holder,
}

#[tokio::test(start_paused = true)]
async fn each_answer_of_the_document_is_given_there() {
    for told in documented().await {
        let reply = Stage::of(told).await.reply().await;
        let code = reply.told().1;
        let given = (reply.status, code);
        assert_eq!(
            given,
            (told.status, &*told.code),
            "{told:?}: {}",
            reply.text()
        );
    }
}

/// A policy that has something against each key that is made.
fn against(code: &str) -> Policy {
    match code {
        "entitlement_required" => {
            Policy::new().entitlement(async |_| Ok::<_, std::convert::Infallible>(false))
        }
        "key_limit_reached" => Policy::new().live_keys_per_owner(1),
        "rate_limited" => Policy::new().mint_limit(1, Duration::from_hours(1)),
        _ => Policy::new(),
    }
}

impl Stage {
    async fn of(told: &Told) -> Self {
        let world = World::with(
            |builder| builder.environments(["live", "test"]),
            |admin| whole(admin).policy(against(&told.code)).unwrap(),
        );
        let caller = world.key("a", &["*", "keys:admin"]).await;
        let customer = world.key("a", &["keys:write"]).await;
        let target = world.key("a", &["x"]).await;
        Self {
            world,
            told: told.clone(),
            caller,
            customer,
            target,
        }
    }

    fn path(&self) -> String {
        format!("/admin{}", self.told.path.replace("{id}", &self.target.id))
    }

    /// What is in order.
    fn body(&self) -> String {
        match (&*self.told.method, &*self.told.path) {
            ("POST", "/keys") => r#"{"name":"n","scopes":[]}"#.to_owned(),
            ("PATCH", _) => r#"{"name":"x"}"#.to_owned(),
            ("POST", "/keys/{id}/rotate") => "{}".to_owned(),
            ("POST", "/keys/import") => {
                let fields = Elsewhere::of("live").fields();
                format!(r#"{{"name":"n","scopes":[],{fields}}}"#)
            }
            ("POST", "/keys/revoke") => r#"{"owner":"nobody","reason":"r"}"#.to_owned(),
            ("POST", "/leaks") => json!({"secrets": [self.target.secret]}).to_string(),
            ("POST", "/leaks/github") => json!([{"token": self.target.secret}]).to_string(),
            _ => String::new(),
        }
    }

    fn asking(&self, token: &str, body: impl Into<String>) -> Request<Body> {
        self.at(&self.path(), token, body)
    }

    fn at(&self, path: &str, token: &str, body: impl Into<String>) -> Request<Body> {
        let body = body.into();
        let method = Method::try_from(&*self.told.method).unwrap();
        let signature: Signature = signing_key().sign(body.as_bytes());
        let mut request = request(method, path, token, body);
        if self.told.path.starts_with("/leaks") {
            request.headers_mut().remove("authorization");
        }
        if self.told.path == "/leaks/github" {
            let signature = STANDARD.encode(signature.to_der());
            set(&mut request, "github-public-key-identifier", "one");
            set(&mut request, "github-public-key-signature", &signature);
        }
        if self.told.path == "/keys/import" {
            set(&mut request, "content-type", "application/x-ndjson");
        }
        request
    }

    /// What is in order, by the caller.
    fn good(&self) -> Request<Body> {
        self.asking(&self.caller.secret, self.body())
    }

    async fn send(&self, request: Request<Body>) -> Reply {
        self.world.send(request).await
    }

    /// What brings the answer about.
    async fn reply(&self) -> Reply {
        match &*self.told.code {
            "" => self.send(self.good()).await,
            "missing_credentials" => self.send(self.asking("", self.body())).await,
            "invalid_token" => self.send(self.asking("wrong", self.body())).await,
            "invalid_request" => {
                let mut request = self.good();
                let again = request.headers()["authorization"].clone();
                request.headers_mut().append("authorization", again);
                self.send(request).await
            }
            "ambiguous_caller" => self.send(in_session(self.good())).await,
            "cross_site_request" => {
                let mut request = in_session(self.asking("", self.body()));
                set(&mut request, "sec-fetch-site", "cross-site");
                self.send(request).await
            }
            "insufficient_scope" => {
                let nobody = self.world.key("a", &[]).await;
                self.send(self.asking(&nobody.secret, self.body())).await
            }
            "not_found" if self.told.path.ends_with("/current") => {
                self.send(self.asking(ADMIN_TOKEN, "")).await
            }
            "not_found" => {
                let path = self.path().replace(&self.target.id, "key_0123456789abcdef");
                let request = self.at(&path, &self.caller.secret, self.body());
                self.send(request).await
            }
            "invalid_field" => {
                let path = format!("{}?nonsense=1", self.path());
                let request = self.at(&path, &self.caller.secret, self.body());
                self.send(request).await
            }
            "invalid_cursor" => {
                let path = format!("{}?cursor=x", self.path());
                self.send(self.at(&path, &self.caller.secret, "")).await
            }
            "unavailable" => {
                self.world.faults.fail();
                self.send(self.good()).await
            }
            "outcome_unknown" => {
                self.world.faults.writes.lose_answers();
                self.send(self.good()).await
            }
            "rate_limited" => self.too_often().await,
            "request_timeout" | "payload_too_large" | "unsupported_media_type" | "invalid_json" => {
                self.of_the_body().await
            }
            "invalid_signature" => {
                let mut request = self.good();
                set(&mut request, "github-public-key-signature", "?");
                self.send(request).await
            }
            _ => self.of_the_state().await,
        }
    }

    async fn of_the_body(&self) -> Reply {
        let mut request = self.good();
        match (&*self.told.code, &*self.told.path) {
            ("payload_too_large", _) => {
                let large = " ".repeat(16_000_001);
                request = self.asking(&self.caller.secret, large);
            }
            ("unsupported_media_type", _) => set(&mut request, "content-type", "text/plain"),
            // Of its lines each is answered for itself; what cannot be told is where they end.
            ("invalid_json", "/keys/import") => {
                *request.body_mut() = Body::new(CutOff);
            }
            ("invalid_json", _) => request = self.asking(&self.caller.secret, "{"),
            _ => {
                let (body, _, never) = Late::body();
                *request.body_mut() = body;
                // Longer than a world waits for an answer.
                let router = self.world.router.clone();
                let (parts, body) = router.oneshot(request).await.unwrap().into_parts();
                drop(never);
                return Reply {
                    status: parts.status.as_u16(),
                    headers: parts.headers,
                    body: body.collect().await.unwrap().to_bytes().to_vec(),
                };
            }
        }
        self.send(request).await
    }

    async fn too_often(&self) -> Reply {
        let mut last = None;
        // Of imports one at a time is too often: the first is not over, since nobody reads it.
        let mut unread = Vec::new();
        for _ in 0..=601 {
            let (router, customer) = (self.world.router.clone(), &self.customer.secret);
            if self.told.path == "/keys/import" && unread.is_empty() {
                let lines = vec![self.body(); 100].join("\n");
                let first = router.oneshot(self.asking(customer, lines)).await;
                unread.push(first.unwrap());
                continue;
            }
            let reply = self.send(self.asking(customer, self.body())).await;
            if reply.status == 429 {
                return reply;
            }
            last = Some(reply);
        }
        last.unwrap()
    }

    /// What depends on the key, or on others.
    async fn of_the_state(&self) -> Reply {
        let (world, target) = (&self.world, &self.target);
        match (&*self.told.code, &*self.told.path) {
            ("exceeds_caller", "/keys") => {
                let body = r#"{"name":"n","scopes":["y"]}"#;
                self.send(self.asking(&self.customer.secret, body)).await
            }
            ("exceeds_caller" | "entitlement_required" | "key_limit_reached", _) => {
                let request = self.asking(&self.customer.secret, self.body());
                self.send(request).await
            }
            ("digest_taken", _) => {
                let fields = Elsewhere::of("live").fields();
                let body = format!(r#"{{"name":"n","scopes":[],{fields}}}"#);
                let first = self.asking(&self.caller.secret, body.clone());
                assert_eq!(self.send(first).await.status, 201);
                self.send(self.asking(&self.caller.secret, body)).await
            }
            ("idempotency_key_reused", _) => {
                self.again().await;
                let other = r#"{"name":"other","scopes":[]}"#;
                self.send(self.repeatable(other)).await
            }
            ("idempotency_key_in_use", _) => {
                world.faults.writes.freeze_next(1);
                let router = world.router.clone();
                let first = tokio::spawn(router.oneshot(self.repeatable(&self.body())));
                world.faults.writes.frozen(1).await;
                let second = self.send(self.repeatable(&self.body())).await;
                world.faults.writes.release();
                assert_eq!(first.await.unwrap().unwrap().status(), 201);
                second
            }
            ("key_revoked", "/keys") => {
                let made = self.again().await;
                world.delete(&key_path(&made.id), ADMIN_TOKEN).await;
                self.send(self.repeatable(MORTAL)).await
            }
            ("key_expired", "/keys") => {
                self.again().await;
                world.advance(61);
                self.send(self.repeatable(MORTAL)).await
            }
            ("key_revoked", _) => {
                world.delete(&key_path(&target.id), ADMIN_TOKEN).await;
                self.send(self.good()).await
            }
            ("key_expired", _) => {
                let body = r#"{"expires_at":"2030-01-01T00:01:00Z"}"#;
                assert_eq!(world.patch(&target.id, ADMIN_TOKEN, body).await.status, 200);
                world.advance(61);
                self.send(self.good()).await
            }
            ("environment_not_declared", _) => {
                let more = r#","environment":"test""#;
                let made = world.made(ADMIN_TOKEN, more).await.holder();
                // Another replica declares `live` alone.
                let admin = Admin::new(world.elsewhere());
                let admin = admin.bootstrap_token(ADMIN_TOKEN).unwrap();
                let router = Router::new().nest("/admin", admin.router());
                let path = format!("{}/rotate", key_path(&made.id));
                let request = self.at(&path, ADMIN_TOKEN, "{}");
                world.send_to(router, request).await
            }
            (code, path) => panic!("nothing here brings about {code} of {path}"),
        }
    }

    fn repeatable(&self, body: &str) -> Request<Body> {
        let mut request = self.asking(&self.caller.secret, body);
        set(&mut request, "idempotency-key", "k");
        request
    }

    /// Made by a request that can be sent again.
    async fn again(&self) -> Holder {
        let reply = self.send(self.repeatable(MORTAL)).await;
        assert_eq!(reply.status, 201, "{}", reply.text());
        reply.holder()
    }
}

fn in_session(mut request: Request<Body>) -> Request<Body> {
    let session = TrustedCaller::new("alice", "a").unwrap();
    request.extensions_mut().insert(session);
    request
}

/// A body that ends before its end.
struct CutOff;

impl HttpBody for CutOff {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        Poll::Ready(Some(Err(std::io::Error::other("cut off"))))
    }
}

fn set(request: &mut Request<Body>, name: &'static str, value: &str) {
    let value = HeaderValue::try_from(value).unwrap();
    let name = HeaderName::from_static(name);
    request.headers_mut().insert(name, value);
}
