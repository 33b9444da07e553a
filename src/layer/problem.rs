//! The body of a refusal: `application/problem+json` (RFC 9457).

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};

/// The media type of RFC 9457 section 6.1.
pub(crate) const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// Where the types of problems are described: a URL before the code, or nowhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ProblemTypes {
    base: Option<String>,
}

/// A base for problem types that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the base {0:?} for problem types is not an absolute http or https URL in plain ASCII, such \
     as \"https://api.example/problems/\""
)]
pub struct InvalidProblemTypes(pub(crate) String);

impl ProblemTypes {
    pub(crate) fn at(base: &str) -> Result<Self, InvalidProblemTypes> {
        let invalid = || InvalidProblemTypes(base.to_owned());
        let uri: http::Uri = base.parse().map_err(|_| invalid())?;
        let is_web = matches!(uri.scheme_str(), Some("http" | "https"));
        // Such as may stand in a JSON string as it is. `Uri` lets some through that may not.
        let is_plain = base
            .bytes()
            .all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\' | b'<' | b'>'));
        if !is_web || !is_plain {
            return Err(invalid());
        }
        Ok(Self {
            base: Some(base.to_owned()),
        })
    }

    /// The URI of a type: `about:blank` says that the status is all there is to it.
    pub(crate) fn of(&self, code: &str) -> String {
        match &self.base {
            Some(base) => format!("{base}{code}"),
            None => "about:blank".to_owned(),
        }
    }

    /// An answer without details. Nothing in it comes from the request.
    pub(crate) fn answer(&self, status: StatusCode, code: &'static str) -> Response<Bytes> {
        let r#type = self.of(code);
        let title = status.canonical_reason().unwrap_or("Error");
        let number = status.as_u16();
        // Neither part needs escaping: the base was checked, and the rest is our own.
        let body =
            format!(r#"{{"type":"{type}","title":"{title}","status":{number},"code":"{code}"}}"#);
        let mut response = Response::new(Bytes::from(body));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, PROBLEM_JSON);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_is_that_of_the_standard() {
        let answer = ProblemTypes::default().answer(StatusCode::UNAUTHORIZED, "invalid_token");
        assert_eq!(
            answer.body(),
            r#"{"type":"about:blank","title":"Unauthorized","status":401,"code":"invalid_token"}"#
        );
        assert_eq!(answer.headers()[CONTENT_TYPE], "application/problem+json");
    }

    #[test]
    fn a_base_makes_types() {
        let types = ProblemTypes::at("https://api.example/problems/").unwrap();
        assert_eq!(
            types.of("unavailable"),
            "https://api.example/problems/unavailable"
        );
    }

    #[test]
    fn a_base_that_could_break_the_body_is_refused() {
        for base in [
            "",
            "/problems/",
            "ftp://a/",
            "https://a/\"",
            "https://a/\\",
            "https://ä/",
        ] {
            let error = ProblemTypes::at(base).unwrap_err();
            assert!(error.to_string().contains(&format!("{base:?}")), "{base}");
        }
    }
}
