//! A request to an application by one of those who use it, and what came back.

use axum::Router;
use axum::body::Body;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, HeaderMap};
use axum::http::{Method, Request};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tower::ServiceExt as _;

use crate::canary;

/// With what somebody comes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum With<'a> {
    Nothing,
    /// The text of a key or of the admin token.
    Bearer(&'a str),
    /// A browser's session.
    Cookie(&'a str),
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    /// The body; null where it is not JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    /// The status, and the code if this is a problem.
    pub(crate) fn told(&self) -> (u16, String) {
        let code = self.json()["code"].as_str().unwrap_or_default().to_owned();
        (self.status, code)
    }

    /// The id and the secret of a key that was made.
    #[track_caller]
    pub(crate) fn made(&self) -> (String, String) {
        assert_eq!(self.status, 201, "{}", self.text);
        let made = self.json();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&made["key"]["id"]), text(&made["secret"]))
    }

    /// One member of each key of a list.
    #[track_caller]
    pub(crate) fn each(&self, member: &str) -> Vec<Value> {
        assert_eq!(self.status, 200, "{}", self.text);
        let list = self.json();
        let keys = list["keys"].as_array().unwrap().iter();
        keys.map(|key| key[member].clone()).collect()
    }
}

/// A request with JSON for a body, unless that is null.
pub(crate) fn request(with: With<'_>, method: Method, path: &str, body: &Value) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    match with {
        With::Nothing => {}
        With::Bearer(token) => {
            canary::know(token);
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        With::Cookie(session) => request = request.header(COOKIE, format!("session={session}")),
    }
    if body.is_null() {
        return request.body(Body::empty()).unwrap();
    }
    let request = request.header(CONTENT_TYPE, "application/json");
    request.body(Body::from(body.to_string())).unwrap()
}

pub(crate) async fn send(app: &Router, request: Request<Body>) -> Answer {
    let asked = request.method().clone();
    let (parts, body) = app.clone().oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    canary::answer_to(&asked, &parts, &body);
    Answer {
        status: parts.status.as_u16(),
        headers: parts.headers,
        text: String::from_utf8(body.to_vec()).unwrap(),
    }
}

pub(crate) async fn get(app: &Router, with: With<'_>, path: &str) -> Answer {
    send(app, request(with, Method::GET, path, &Value::Null)).await
}

pub(crate) async fn post(app: &Router, with: With<'_>, path: &str, body: &Value) -> Answer {
    send(app, request(with, Method::POST, path, body)).await
}

pub(crate) async fn delete(app: &Router, with: With<'_>, path: &str) -> Answer {
    send(app, request(with, Method::DELETE, path, &Value::Null)).await
}

/// The session that a request belongs to, as the applications' own layers read it.
pub(crate) fn session_of(headers: &HeaderMap) -> Option<&str> {
    headers.get(COOKIE)?.to_str().ok()?.strip_prefix("session=")
}
