//! `WWW-Authenticate` (RFC 9110 section 11.6.1, RFC 6750 section 3).

use http::HeaderValue;

use super::rejection::{Reason, Rejection};

/// The protection space that a challenge names, in the form of a quoted string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Realm {
    quoted: String,
}

/// A realm that cannot be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the realm {0:?} has a control character, which no header can carry")]
pub struct InvalidRealm(pub(crate) String);

impl Realm {
    pub(crate) fn new(realm: &str) -> Result<Self, InvalidRealm> {
        if realm.chars().any(char::is_control) {
            return Err(InvalidRealm(realm.to_owned()));
        }
        let mut quoted = String::with_capacity(realm.len() + 2);
        quoted.push('"');
        for c in realm.chars() {
            if matches!(c, '"' | '\\') {
                quoted.push('\\');
            }
            quoted.push(c);
        }
        quoted.push('"');
        Ok(Self { quoted })
    }

    /// The challenge for a refusal; `None` where asking again with other credentials is no help.
    pub(crate) fn challenge(&self, rejection: &Rejection) -> Option<HeaderValue> {
        let realm = &self.quoted;
        let text = match rejection.reason() {
            // RFC 6750 section 3.1: no error code for a request without credentials.
            Reason::MissingCredentials => format!("Bearer realm={realm}"),
            Reason::InsufficientScope(demand) => format!(
                "Bearer realm={realm}, error=\"insufficient_scope\", scope=\"{}\"",
                demand.challenge_value()
            ),
            // RFC 6750 section 3: the scope is said where there is one that would help.
            Reason::OutsideResources(_)
            | Reason::Malformed(_)
            | Reason::TooLong
            | Reason::NotAKey(_)
            | Reason::Dead(_) => {
                format!("Bearer realm={realm}, error=\"{}\"", rejection.code())
            }
            Reason::Unavailable(_) | Reason::Misconfigured => return None,
        };
        // Cannot fail: the realm has no control characters, and scopes are plain ASCII.
        HeaderValue::from_bytes(text.as_bytes()).ok()
    }
}

impl Default for Realm {
    fn default() -> Self {
        Self {
            quoted: "\"api\"".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::credential::Malformed;
    use crate::keyring::{Dead, Unavailable};
    use crate::scope::Demand;

    fn challenge(reason: Reason) -> Option<String> {
        let value = Realm::default().challenge(&Rejection::new(reason))?;
        Some(value.to_str().unwrap().to_owned())
    }

    #[test]
    fn each_reason_has_its_challenge() {
        let tests = [
            (Reason::MissingCredentials, Some(r#"Bearer realm="api""#)),
            (
                Reason::Malformed(Malformed::Repeated),
                Some(r#"Bearer realm="api", error="invalid_request""#),
            ),
            (
                Reason::Dead(Dead::Revoked),
                Some(r#"Bearer realm="api", error="invalid_token""#),
            ),
            (
                Reason::TooLong,
                Some(r#"Bearer realm="api", error="invalid_token""#),
            ),
            (
                Reason::InsufficientScope(Arc::new(Demand::all(["b:x", "a"]))),
                Some(r#"Bearer realm="api", error="insufficient_scope", scope="a b:x""#),
            ),
            (
                Reason::OutsideResources("project".into()),
                Some(r#"Bearer realm="api", error="insufficient_scope""#),
            ),
            (Reason::Unavailable(Unavailable::Deadline), None),
            (Reason::Misconfigured, None),
        ];
        for (reason, result) in tests {
            let name = reason.to_string();
            assert_eq!(challenge(reason).as_deref(), result, "{name}");
        }
    }

    #[test]
    fn quotes_and_backslashes_are_escaped() {
        let realm = Realm::new(r#"a "b" \c"#).unwrap();
        let value = realm.challenge(&Rejection::new(Reason::MissingCredentials));
        assert_eq!(value.unwrap(), r#"Bearer realm="a \"b\" \\c""#);
    }

    #[test]
    fn control_characters_are_refused_with_the_value() {
        for realm in ["a\nb", "a\0", "\u{7f}", "a\u{85}"] {
            let error = Realm::new(realm).unwrap_err();
            assert!(error.to_string().contains(&format!("{realm:?}")));
        }
    }

    #[test]
    fn letters_beyond_ascii_are_sent_as_they_are() {
        let realm = Realm::new("schlüssel").unwrap();
        let value = realm.challenge(&Rejection::new(Reason::MissingCredentials));
        assert_eq!(
            value.unwrap().as_bytes(),
            "Bearer realm=\"schlüssel\"".as_bytes()
        );
    }
}
