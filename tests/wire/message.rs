//! A request as it is to be on the wire, and what came back.

use crate::canary;

/// A request that nobody corrects: whatever is in it is sent.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: Vec<u8>,
    pub(crate) target: Vec<u8>,
    /// Names and values. A host is added where none is among them.
    pub(crate) lines: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
}

pub(crate) const HOST: &str = "gate.test";

impl Request {
    pub(crate) fn new(method: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        Self {
            method: method.as_ref().to_vec(),
            target: target.as_ref().to_vec(),
            lines: Vec::new(),
            body: Vec::new(),
        }
    }

    pub(crate) fn get(target: impl AsRef<[u8]>) -> Self {
        Self::new("GET", target)
    }

    pub(crate) fn line(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.lines.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    pub(crate) fn authorization(self, value: impl AsRef<[u8]>) -> Self {
        self.line("authorization", value)
    }

    pub(crate) fn key(self, key: &str) -> Self {
        self.authorization(format!("Bearer {key}"))
    }

    pub(crate) fn body(mut self, body: &str) -> Self {
        self.lines
            .push(("content-length".to_owned(), body.len().to_string().into()));
        self.body = body.as_bytes().to_vec();
        self
    }

    pub(crate) fn is_head(&self) -> bool {
        self.method == b"HEAD"
    }
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Answered(Answer),
    /// The server has hung up, or has reset the stream. For what is no request by the protocol it
    /// may.
    Cut,
}

impl Outcome {
    pub(crate) fn answer(self) -> Answer {
        match self {
            Self::Answered(answer) => answer,
            Self::Cut => panic!("the server has hung up"),
        }
    }

    /// No answer has a secret in it.
    #[track_caller]
    pub(crate) fn search(&self) {
        if let Self::Answered(Answer { headers, body, .. }) = self {
            canary::answer(headers.iter().map(|(name, value)| (name, value)), body);
        }
    }

    /// The status, and the `code` if the answer is a problem. A server that has hung up said none.
    pub(crate) fn told(&self) -> (u16, String) {
        match self {
            Self::Answered(answer) => (answer.status, answer.code()),
            Self::Cut => (0, String::new()),
        }
    }

    /// Whether it is the word of the server's protocol and not of anything behind it: a bare
    /// refusal, or the end of the connection.
    pub(crate) fn is_of_the_protocol(&self) -> bool {
        match self {
            Self::Answered(answer) => {
                matches!(answer.status, 400 | 414 | 431) && answer.body.is_empty()
            }
            Self::Cut => true,
        }
    }
}

/// An answer as it came, without `date` and without what is between the two ends of a connection
/// alone: how the body was framed, and whether the connection stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case, sorted; lines of one name in their order.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
    /// Whether nothing may follow on this connection.
    pub(crate) is_last: bool,
}

impl Answer {
    pub(crate) fn new(status: u16, headers: Vec<(String, String)>) -> Self {
        let is_last = headers
            .iter()
            .any(|(name, value)| name == "connection" && value.eq_ignore_ascii_case("close"));
        let of_the_answer =
            |(name, _): &(String, String)| !matches!(&**name, "date" | "connection");
        let mut headers: Vec<_> = headers.into_iter().filter(of_the_answer).collect();
        headers.sort_by(|(one, _), (other, _)| one.cmp(other));
        Self {
            status,
            headers,
            body: String::new(),
            is_last,
        }
    }

    /// All values of a header, in order.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let lines = self.headers.iter().filter(|(n, _)| n == name);
        lines.map(|(_, value)| value.as_str()).collect()
    }

    /// The value of a header that is there at most once.
    pub(crate) fn one(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() <= 1, "{name} is repeated: {all:?}");
        all.first().copied()
    }

    /// The `code` in the body; nothing if there is no problem in it.
    pub(crate) fn code(&self) -> String {
        let body: serde_json::Value = serde_json::from_str(&self.body).unwrap_or_default();
        body["code"].as_str().unwrap_or_default().to_owned()
    }

    /// What a client can tell one answer from another by.
    pub(crate) fn seen(&self) -> (u16, &[(String, String)], &str) {
        (self.status, &self.headers, &self.body)
    }
}
