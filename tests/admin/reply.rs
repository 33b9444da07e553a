//! What was answered, and what holds for every answer.

use axum::http::header::HeaderMap;
use axum::http::{Method, StatusCode};
use serde_json::Value;

use crate::world::Holder;

pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("{}", self.text()))
    }

    /// A header's value; empty if it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        let mut lines = self.headers.get_all(name).iter();
        let value = lines.next().map_or("", |value| value.to_str().unwrap());
        assert!(lines.next().is_none(), "{name} is repeated");
        value
    }

    /// The status, and the code if this is a problem.
    pub(crate) fn told(&self) -> (u16, &'static str) {
        let body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let code = body["code"].as_str().unwrap_or_default();
        (self.status, String::leak(code.to_owned()))
    }

    /// Where the errors of a problem are, each as `#/pointer` or `?parameter`.
    pub(crate) fn places(&self) -> Vec<String> {
        let body = self.json();
        let place = |error: &Value| match error["pointer"].as_str() {
            Some(pointer) => pointer.to_owned(),
            None => format!("?{}", error["parameter"].as_str().unwrap()),
        };
        let errors = body["errors"].as_array();
        errors.into_iter().flatten().map(place).collect()
    }

    /// The key that was made.
    pub(crate) fn holder(&self) -> Holder {
        let body = self.json();
        Holder {
            id: body["key"]["id"].as_str().unwrap().to_owned(),
            secret: body["secret"].as_str().unwrap().to_owned(),
        }
    }

    /// What holds whatever was asked.
    pub(crate) fn check(&self, status: StatusCode, method: &Method, what: &str) {
        let content_type = self.header("content-type");
        let unknown_path = self.status == 404 && content_type.is_empty();
        if !unknown_path {
            assert_eq!(self.header("cache-control"), "no-store", "{what}");
            assert_eq!(self.header("x-content-type-options"), "nosniff", "{what}");
        }
        let expected = match self.status {
            200 if content_type == "application/x-ndjson" => content_type,
            200 | 201 => "application/json",
            405 => "",
            _ if unknown_path => "",
            _ => "application/problem+json",
        };
        assert_eq!(content_type, expected, "{what}");
        let retry_after = self.header("retry-after");
        let expected = match self.status {
            429 => retry_after.parse().is_ok_and(|wait: u32| wait > 0),
            503 => retry_after == "1",
            _ => retry_after.is_empty(),
        };
        assert!(expected, "{what}: {retry_after}");
        if method == Method::HEAD {
            return;
        }
        let (_, code) = self.told();
        let is_challenged =
            self.status == 401 || matches!(code, "insufficient_scope" | "invalid_request");
        let challenge = self.header("www-authenticate");
        assert_eq!(!challenge.is_empty(), is_challenged, "{what}");
        if content_type != "application/problem+json" {
            return;
        }
        let problem = self.json();
        assert_eq!(problem["status"], self.status, "{what}");
        let title = status.canonical_reason().unwrap();
        assert_eq!(problem["title"], title, "{what}");
        assert_eq!(problem["type"], "about:blank", "{what}");
        assert!(!code.is_empty(), "{what}");
        assert_eq!(code == "invalid_field", !self.places().is_empty(), "{what}");
        for error in problem["errors"].as_array().into_iter().flatten() {
            assert!(error["detail"].is_string(), "{what}");
            assert_eq!(error.as_object().unwrap().len(), 2, "{what}");
        }
    }
}
