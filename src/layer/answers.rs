//! The answers of a gate to what it refuses, made when the gate is and copied for each refusal:
//! whoever floods a service with nonsense is not to make it write JSON.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, Response, StatusCode};

use super::challenge::Realm;
use super::problem::ProblemTypes;
use super::rejection::{Reason, Rejection};
use crate::credential::Malformed;
use crate::keyring::{Dead, Unavailable};

/// How a gate words its refusals, and the refusals.
#[derive(Clone, Debug)]
pub(crate) struct Answers {
    realm: Realm,
    types: ProblemTypes,
    missing_credentials: Answer,
    malformed: Answer,
    invalid_token: Answer,
    /// Its challenge depends on the route.
    insufficient_scope: Answer,
    outside_resources: Answer,
    unavailable: Answer,
    misconfigured: Answer,
}

#[derive(Clone, Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Answers {
    fn new(realm: Realm, types: ProblemTypes) -> Self {
        let answer = |reason| Answer::to(&Rejection::new(reason), &realm, &types);
        Self {
            missing_credentials: answer(Reason::MissingCredentials),
            malformed: answer(Reason::Malformed(Malformed::Empty)),
            // The same for every kind of token that opens nothing.
            invalid_token: answer(Reason::Dead(Dead::Unknown)),
            insufficient_scope: Answer::without_challenge(
                StatusCode::FORBIDDEN,
                "insufficient_scope",
                &types,
            ),
            outside_resources: answer(Reason::OutsideResources(Arc::default())),
            unavailable: answer(Reason::Unavailable(Unavailable::StoreFailed)),
            misconfigured: answer(Reason::Misconfigured),
            realm,
            types,
        }
    }

    pub(crate) fn in_realm(&mut self, realm: Realm) {
        *self = Self::new(realm, self.types.clone());
    }

    pub(crate) fn with_types(&mut self, types: ProblemTypes) {
        *self = Self::new(self.realm.clone(), types);
    }

    pub(crate) fn realm(&self) -> &Realm {
        &self.realm
    }

    #[cfg(feature = "admin")]
    pub(crate) fn types(&self) -> &ProblemTypes {
        &self.types
    }

    /// The whole answer to a refusal. Nothing in it comes from the request.
    pub(crate) fn to(&self, rejection: &Rejection) -> Response<Bytes> {
        let answer = match rejection.reason() {
            Reason::MissingCredentials => &self.missing_credentials,
            Reason::Malformed(_) => &self.malformed,
            Reason::TooLong | Reason::NotAKey(_) | Reason::Dead(_) => &self.invalid_token,
            Reason::InsufficientScope(_) => &self.insufficient_scope,
            Reason::OutsideResources(_) => &self.outside_resources,
            Reason::Unavailable(_) => &self.unavailable,
            Reason::Misconfigured => &self.misconfigured,
        };
        let mut response = Response::new(answer.body.clone());
        *response.status_mut() = answer.status;
        *response.headers_mut() = answer.headers.clone();
        if matches!(rejection.reason(), Reason::InsufficientScope(_))
            && let Some(challenge) = self.realm.challenge(rejection)
        {
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

impl Default for Answers {
    fn default() -> Self {
        Self::new(Realm::default(), ProblemTypes::default())
    }
}

impl Answer {
    fn to(rejection: &Rejection, realm: &Realm, types: &ProblemTypes) -> Self {
        let mut answer = Self::without_challenge(rejection.status(), rejection.code(), types);
        if let Some(challenge) = realm.challenge(rejection) {
            answer.headers.insert(WWW_AUTHENTICATE, challenge);
        }
        if let Some(delay) = retry_after(rejection) {
            answer.headers.insert(RETRY_AFTER, delay);
        }
        answer
    }

    fn without_challenge(status: StatusCode, code: &'static str, types: &ProblemTypes) -> Self {
        let (parts, body) = types.answer(status, code).into_parts();
        let mut headers = parts.headers;
        headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        Self {
            status,
            headers,
            body,
        }
    }
}

/// How long a client should wait before it asks again, in seconds.
pub(super) fn retry_after(rejection: &Rejection) -> Option<HeaderValue> {
    matches!(rejection.reason(), Reason::Unavailable(_)).then_some(HeaderValue::from_static("1"))
}

#[cfg(test)]
mod tests {
    use http::header::CONTENT_TYPE;

    use super::*;
    use crate::key::NotAKey;
    use crate::scope::Demand;

    #[test]
    fn each_reason_has_the_answer_that_its_own_words_would_make() {
        let demand = Arc::new(Demand::all(["b:x", "a"]));
        let reasons = [
            Reason::MissingCredentials,
            Reason::Malformed(Malformed::Repeated),
            Reason::TooLong,
            Reason::NotAKey(NotAKey::Checksum),
            Reason::Dead(Dead::Revoked),
            Reason::InsufficientScope(demand),
            Reason::OutsideResources("project".into()),
            Reason::Unavailable(Unavailable::Overloaded),
            Reason::Misconfigured,
        ];
        let realm = Realm::new("api of \"acme\"").unwrap();
        let types = ProblemTypes::at("https://api.example/problems/").unwrap();
        let mut answers = Answers::default();
        answers.with_types(types.clone());
        answers.in_realm(realm.clone());
        for reason in reasons {
            let rejection = Rejection::new(reason);
            let answer = answers.to(&rejection);
            let worded = types.answer(rejection.status(), rejection.code());
            assert_eq!(answer.status(), rejection.status(), "{rejection}");
            assert_eq!(answer.body(), worded.body(), "{rejection}");
            let headers = answer.headers();
            assert_eq!(headers[CONTENT_TYPE], "application/problem+json");
            let length = answer.body().len().to_string();
            assert_eq!(headers[CONTENT_LENGTH], length, "{rejection}");
            let challenge = realm.challenge(&rejection);
            let challenges: Vec<_> = headers.get_all(WWW_AUTHENTICATE).iter().collect();
            assert_eq!(challenges, challenge.iter().collect::<Vec<_>>());
            let delay = headers.get(RETRY_AFTER);
            assert_eq!(delay.is_some(), rejection.status().as_u16() == 503);
        }
    }
}
