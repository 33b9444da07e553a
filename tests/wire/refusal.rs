//! The answers that are promised, held against what came word by word.

use serde_json::{Value, json};

use crate::challenge::{self, Challenge};
use crate::message::Answer;

/// What the gate says instead of letting in.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    title: &'static str,
    pub(crate) code: &'static str,
    /// The parameters of the challenge after the realm; none if there is no challenge.
    challenge: Option<Vec<(&'static str, &'static str)>>,
    pub(crate) realm: &'static str,
    /// The `type` of the problem.
    pub(crate) r#type: &'static str,
    /// Headers besides those of every refusal.
    pub(crate) headers: Vec<(&'static str, &'static str)>,
}

impl Refusal {
    fn new(status: u16, title: &'static str, code: &'static str) -> Self {
        Self {
            status,
            title,
            code,
            challenge: None,
            realm: "api",
            r#type: "about:blank",
            headers: Vec::new(),
        }
    }

    fn challenging(mut self, params: &[(&'static str, &'static str)]) -> Self {
        self.challenge = Some(params.to_vec());
        self
    }

    pub(crate) fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(crate) fn missing() -> Self {
        Self::new(401, "Unauthorized", "missing_credentials").challenging(&[])
    }

    pub(crate) fn unreadable() -> Self {
        let refusal = Self::new(400, "Bad Request", "invalid_request");
        refusal.challenging(&[("error", "invalid_request")])
    }

    pub(crate) fn dead() -> Self {
        let refusal = Self::new(401, "Unauthorized", "invalid_token");
        refusal.challenging(&[("error", "invalid_token")])
    }

    pub(crate) fn out_of_scope(scope: &'static str) -> Self {
        let refusal = Self::new(403, "Forbidden", "insufficient_scope");
        refusal.challenging(&[("error", "insufficient_scope"), ("scope", scope)])
    }

    pub(crate) fn unavailable() -> Self {
        let refusal = Self::new(503, "Service Unavailable", "unavailable");
        refusal.with("retry-after", "1")
    }

    pub(crate) fn misconfigured() -> Self {
        Self::new(500, "Internal Server Error", "misconfigured")
    }

    pub(crate) fn problem(&self) -> Value {
        json!({
            "type": self.r#type,
            "title": self.title,
            "status": self.status,
            "code": self.code,
        })
    }

    pub(crate) fn challenge(&self) -> Option<Challenge> {
        let params = self.challenge.as_deref()?;
        Some(Challenge::bearer(
            &[&[("realm", self.realm)], params].concat(),
        ))
    }

    /// Everything about this answer is as it is promised, and nothing else is in it. The length is
    /// that of the body which a HEAD does not get.
    #[track_caller]
    pub(crate) fn assert(&self, what: &str, answer: &Answer, length: usize) {
        assert_eq!(answer.status, self.status, "{what}: {answer:?}");
        let length = length.to_string();
        let mut expected = vec![
            ("content-length", length.as_str()),
            ("content-type", "application/problem+json"),
        ];
        expected.extend(&self.headers);
        expected.sort_by_key(|(name, _)| *name);
        let is_other = |(name, _): &&(String, String)| name != "www-authenticate";
        let headers = answer.headers.iter().filter(is_other);
        let headers: Vec<_> = headers.map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(headers, expected, "{what}");
        let challenge = answer.one("www-authenticate");
        let challenge = challenge.map(|line| challenge::parse(line).unwrap());
        let expected = self.challenge().map(|challenge| vec![challenge]);
        assert_eq!(challenge, expected, "{what}");
    }

    #[track_caller]
    pub(crate) fn assert_body(&self, what: &str, answer: &Answer) {
        let body: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(body, self.problem(), "{what}");
    }
}
