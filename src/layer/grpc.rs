//! The form of a refusal that a gRPC client understands.
//!
//! [gRPC over HTTP/2](https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md) answers what
//! it refuses with *Trailers-Only*: status 200 and one block of headers, among them the status of
//! the call, that ends the stream.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Response};

use super::rejection::{Reason, Rejection};

const MEDIA_TYPE: &str = "application/grpc";
const GRPC: HeaderValue = HeaderValue::from_static(MEDIA_TYPE);
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// Whether a request is a call by gRPC: `application/grpc`, with or without a `+` and the format
/// of its messages, with or without parameters. gRPC-Web has another framing and is not meant.
pub(crate) fn is_call(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(CONTENT_TYPE) else {
        return false;
    };
    let media_type = value.as_bytes().split(|&b| b == b';').next();
    let media_type = media_type.unwrap_or_default().trim_ascii();
    let Some((name, format)) = media_type.split_at_checked(MEDIA_TYPE.len()) else {
        return false;
    };
    name.eq_ignore_ascii_case(MEDIA_TYPE.as_bytes()) && matches!(format, [] | [b'+', ..])
}

/// The answer to a call. It says no more than its status, so that every kind of dead key gets
/// the same.
pub(crate) fn answer(rejection: &Rejection) -> Response<Bytes> {
    let (status, message) = status(rejection.reason());
    let mut response = Response::new(Bytes::new());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, GRPC);
    headers.insert(GRPC_STATUS, HeaderValue::from(status));
    headers.insert(GRPC_MESSAGE, HeaderValue::from_static(message));
    response
}

/// The [status](https://grpc.io/docs/guides/status-codes/) of the call, and a message that is its
/// own percent-encoding.
fn status(reason: &Reason) -> (u16, &'static str) {
    match reason {
        // INVALID_ARGUMENT
        Reason::Malformed(_) => (3, "unreadable credentials"),
        // UNAUTHENTICATED
        Reason::MissingCredentials | Reason::TooLong | Reason::NotAKey(_) | Reason::Dead(_) => {
            (16, "a valid API key is required")
        }
        // PERMISSION_DENIED
        Reason::InsufficientScope(_) => (7, "the API key lacks the scope"),
        Reason::OutsideResources(_) => (7, "the API key is restricted to other resources"),
        // UNAVAILABLE
        Reason::Unavailable(_) => (14, "temporarily unavailable"),
        // INTERNAL
        Reason::Misconfigured => (13, "internal error"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http::StatusCode;

    use super::*;
    use crate::credential::Malformed;
    use crate::key::NotAKey;
    use crate::keyring::{Dead, Unavailable};
    use crate::scope::Demand;

    #[test]
    fn each_reason_has_its_status() {
        let tests = [
            (Reason::Malformed(Malformed::Repeated), "3"),
            (Reason::MissingCredentials, "16"),
            (Reason::TooLong, "16"),
            (Reason::NotAKey(NotAKey::Checksum), "16"),
            (Reason::Dead(Dead::Revoked), "16"),
            (Reason::Dead(Dead::Unknown), "16"),
            (Reason::InsufficientScope(Arc::new(Demand::all(["a"]))), "7"),
            (Reason::OutsideResources("project".into()), "7"),
            (Reason::Unavailable(Unavailable::Deadline), "14"),
            (Reason::Misconfigured, "13"),
        ];
        for (reason, status) in tests {
            let answer = answer(&Rejection::new(reason.clone()));
            assert_eq!(answer.status(), StatusCode::OK, "{reason}");
            assert_eq!(answer.headers()[CONTENT_TYPE], "application/grpc");
            assert_eq!(answer.headers()[GRPC_STATUS], status, "{reason}");
            assert_eq!(answer.headers().len(), 3, "{reason}");
            assert!(answer.body().is_empty(), "{reason}");
            let message = answer.headers()[GRPC_MESSAGE].as_bytes();
            let plain = |b: &u8| matches!(b, b' '..=b'~') && *b != b'%';
            assert!(message.iter().all(plain), "{reason}");
        }
    }
}
