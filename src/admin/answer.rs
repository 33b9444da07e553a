//! What is answered: JSON, or a problem (RFC 9457).

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS};
use http::{Extensions, Method, StatusCode};
use serde::Serialize;

use super::errors::{Errors, FieldError};
use crate::keyring::Unavailable;
use crate::layer::{Form, Gate, PROBLEM_JSON, Reason, Rejection};
use crate::scope::Demand;

/// What an endpoint answers.
pub(super) type Answer = Result<Response, Refused>;

/// Any answer but success.
#[derive(Debug)]
pub(super) enum Refused {
    /// What the gate in front of any other route would say, in the same words.
    Gate(Rejection),
    /// What only this router says.
    Problem(Problem),
}

/// An answer of this router's own.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: Option<String>,
    errors: Vec<FieldError>,
    headers: Vec<(&'static str, HeaderValue)>,
}

/// The body of a problem. What it tells of the request is bounded and escaped.
#[derive(Serialize)]
struct ProblemBody<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
}

impl Refused {
    pub(super) fn insufficient_scope(demand: Demand) -> Self {
        Self::Gate(Rejection::new(Reason::InsufficientScope(Arc::new(demand))))
    }

    pub(super) fn unavailable() -> Self {
        Self::Gate(Rejection::new(Reason::Unavailable(
            Unavailable::StoreFailed,
        )))
    }

    /// More is under way than there is room for.
    #[cfg(feature = "secret-scanning")]
    pub(super) fn overloaded() -> Self {
        Self::Gate(Rejection::new(Reason::Unavailable(Unavailable::Overloaded)))
    }

    /// A key that is not there, or that this caller may not see: nothing tells the two apart.
    pub(super) fn not_found() -> Self {
        Self::problem(StatusCode::NOT_FOUND, "not_found")
    }

    pub(super) fn problem(status: StatusCode, code: &'static str) -> Self {
        Self::Problem(Problem {
            status,
            code,
            detail: None,
            errors: Vec::new(),
            headers: Vec::new(),
        })
    }

    /// What there is to say of all else that comes from this caller now, without another try.
    pub(super) fn of_the_rest(&self) -> Option<Self> {
        match self {
            Self::Gate(rejection) => Some(Self::Gate(rejection.clone())),
            Self::Problem(problem) if problem.status == StatusCode::SERVICE_UNAVAILABLE => {
                Some(Self::unavailable())
            }
            Self::Problem(problem) if problem.status == StatusCode::TOO_MANY_REQUESTS => {
                Some(Self::problem(problem.status, problem.code))
            }
            Self::Problem(_) => None,
        }
    }

    /// Says more for people. `detail` must hold nothing secret.
    pub(super) fn because(mut self, detail: impl Into<String>) -> Self {
        if let Self::Problem(problem) = &mut self {
            problem.detail = Some(detail.into());
        }
        self
    }
}

impl Refused {
    /// Two callers in one request.
    pub(super) const AMBIGUOUS: &'static str = "ambiguous_caller";

    /// With one more header.
    pub(super) fn with(mut self, name: &'static str, value: &str) -> Self {
        if let (Self::Problem(problem), Ok(value)) = (&mut self, HeaderValue::try_from(value)) {
            problem.headers.push((name, value));
        }
        self
    }

    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Gate(rejection) => rejection.status(),
            Self::Problem(problem) => problem.status,
        }
    }

    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Gate(rejection) => rejection.code(),
            Self::Problem(problem) => problem.code,
        }
    }

    /// Why, for the log.
    pub(super) fn why(&self) -> String {
        match self {
            Self::Gate(rejection) => rejection.to_string(),
            Self::Problem(problem) => problem.detail.clone().unwrap_or_default(),
        }
    }
}

impl Errors {
    /// Goes on only if nothing is wrong.
    pub(super) fn check(self) -> Result<(), Refused> {
        if self.is_empty() {
            Ok(())
        } else {
            Err(self.into())
        }
    }
}

impl From<Rejection> for Refused {
    fn from(rejection: Rejection) -> Self {
        Self::Gate(rejection)
    }
}

impl From<Errors> for Refused {
    fn from(errors: Errors) -> Self {
        Self::Problem(Problem {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            code: "invalid_field",
            detail: None,
            errors: errors.into_vec(),
            headers: Vec::new(),
        })
    }
}

/// The answer to a request of this method.
pub(super) fn answered(answer: Answer, gate: &Gate, method: &Method) -> Response {
    let refused = match answer {
        Ok(response) => return response,
        Err(Refused::Gate(rejection)) => {
            gate.refuse(rejection, Form::http(method), Extensions::new())
        }
        Err(Refused::Problem(problem)) => Form::http(method).shape(problem.respond(gate)),
    };
    refused.map(Body::from)
}

/// The status and the body of a refusal that is a part of an answer.
pub(super) fn told(refused: Refused, gate: &Gate) -> (StatusCode, Bytes) {
    let response = match refused {
        Refused::Gate(rejection) => {
            gate.refuse(rejection, Form::http(&Method::POST), Extensions::new())
        }
        Refused::Problem(problem) => problem.respond(gate),
    };
    (response.status(), response.into_body())
}

impl Problem {
    fn respond(&self, gate: &Gate) -> http::Response<Bytes> {
        let body = to_json(&ProblemBody {
            r#type: gate.answers.types().of(self.code),
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            code: self.code,
            detail: self.detail.as_deref(),
            errors: &self.errors,
        });
        let mut response = http::Response::new(body);
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        for (name, value) in &self.headers {
            headers.insert(*name, value.clone());
        }
        headers.insert(CONTENT_TYPE, PROBLEM_JSON);
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// Success, with this body.
pub(super) fn json(status: StatusCode, body: &impl Serialize) -> Response {
    let json = HeaderValue::from_static("application/json");
    of_type(json, status, Body::from(to_json(body)))
}

/// Success, with a body of this type.
pub(super) fn of_type(content_type: HeaderValue, status: StatusCode, body: Body) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

#[expect(
    clippy::expect_used,
    reason = "only numbers, strings and lists of them are ever written"
)]
pub(super) fn to_json(body: &impl Serialize) -> Bytes {
    let bytes = serde_json::to_vec(body).expect("strings and numbers can be written as JSON");
    Bytes::from(bytes)
}

/// What every answer of a route has: it is about keys, so nobody keeps it, and nobody takes it for
/// anything but what it says it is.
pub(super) async fn sealed(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
