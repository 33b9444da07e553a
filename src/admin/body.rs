//! The body of a request: not too much of it, of the type that it has to have, and JSON indeed.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap};
use http::{HeaderValue, StatusCode};
use tokio::time::timeout;

use super::answer::Refused;
use super::json::Json;

/// The most bytes of an object that are read: many times what the largest key takes.
pub(super) const LIMIT: usize = 64 * 1024;

/// Room for so many bytes is there before the first has come. Nobody is believed to send much before
/// much has come.
pub(super) const AHEAD: usize = 4 * 1024;

/// How long a body may take to come.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// Reads a body to its end, which is to be done only after the caller was found to be allowed.
/// What is too large is refused before what is of the wrong type, and that before what cannot be
/// read.
pub(super) async fn read(headers: &HeaderMap, body: Body) -> Result<Json, Refused> {
    let bytes = within(LIMIT, PATIENCE, headers, body).await?;
    must_be("application/json", headers)?;
    parse(&bytes)
}

/// Reads one JSON value.
pub(super) fn parse(bytes: &[u8]) -> Result<Json, Refused> {
    Json::parse(bytes).map_err(|error| invalid_json().because(error.to_string()))
}

/// Goes on only if there is one content type and it is this one, whatever its parameters.
pub(super) fn must_be(expected: &str, headers: &HeaderMap) -> Result<(), Refused> {
    if is(expected, headers) {
        return Ok(());
    }
    let refused = Refused::problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type");
    Err(refused.because(format!("the content type must be {expected}")))
}

/// Reads a body to its end, if it has no more bytes than that and takes no longer.
pub(super) async fn within(
    limit: usize,
    patience: Duration,
    headers: &HeaderMap,
    body: Body,
) -> Result<Vec<u8>, Refused> {
    counted(limit, patience, headers, body, |_| Ok(())).await
}

/// The same, where it is said of each piece how many bytes have come, and the answer may be that
/// there is no room for them.
pub(super) async fn counted(
    limit: usize,
    patience: Duration,
    headers: &HeaderMap,
    body: Body,
    came: impl FnMut(usize) -> Result<(), Refused>,
) -> Result<Vec<u8>, Refused> {
    let announced = headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse().ok())
        .unwrap_or(0)
        .max(body.size_hint().lower());
    let Ok(announced) = usize::try_from(announced) else {
        return Err(too_many_bytes(limit));
    };
    if announced > limit {
        return Err(too_many_bytes(limit));
    }
    let bytes = Vec::with_capacity(announced.min(AHEAD));
    let reading = timeout(patience, to_its_end(limit, bytes, body, came));
    reading.await.unwrap_or_else(|_| {
        let refused = Refused::problem(StatusCode::REQUEST_TIMEOUT, "request_timeout");
        let seconds = patience.as_secs();
        Err(refused.because(format!("the body must come within {seconds} seconds")))
    })
}

async fn to_its_end(
    limit: usize,
    mut bytes: Vec<u8>,
    mut body: Body,
    mut came: impl FnMut(usize) -> Result<(), Refused>,
) -> Result<Vec<u8>, Refused> {
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let frame = frame.map_err(|_| invalid_json().because("the body ended early"))?;
        // Trailers are nothing to us.
        if let Ok(data) = frame.into_data() {
            if data.len() > limit - bytes.len() {
                return Err(too_many_bytes(limit));
            }
            came(data.len())?;
            bytes.extend_from_slice(&data);
        }
    }
    Ok(bytes)
}

fn is(expected: &str, headers: &HeaderMap) -> bool {
    let mut lines = headers.get_all(CONTENT_TYPE).iter();
    let (Some(only), None) = (lines.next(), lines.next()) else {
        return false;
    };
    let essence = |line: &HeaderValue| {
        let line = line.to_str().ok()?;
        let (essence, _) = line.split_once(';').unwrap_or((line, ""));
        Some(essence.trim().eq_ignore_ascii_case(expected))
    };
    essence(only).unwrap_or(false)
}

fn too_many_bytes(limit: usize) -> Refused {
    too_large(format_args!("the body must have at most {limit} bytes"))
}

pub(super) fn too_large(what: impl fmt::Display) -> Refused {
    Refused::problem(StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large").because(what.to_string())
}

fn invalid_json() -> Refused {
    Refused::problem(StatusCode::BAD_REQUEST, "invalid_json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_content_type_that_is_json() {
        let cases: [(&str, &[&str], bool); 12] = [
            ("JSON", &["application/json"], true),
            ("in another case", &["Application/JSON"], true),
            ("with a charset", &["application/json; charset=utf-8"], true),
            (
                "with a parameter and no space",
                &["application/json;a=b"],
                true,
            ),
            ("with space around", &[" application/json ; a=b"], true),
            ("none", &[], false),
            ("empty", &[""], false),
            ("two", &["application/json", "application/json"], false),
            ("a list", &["application/json, text/plain"], false),
            ("a form", &["application/x-www-form-urlencoded"], false),
            ("a relative", &["application/problem+json"], false),
            (
                "JSON as a parameter",
                &["text/plain; application/json"],
                false,
            ),
        ];
        for (name, lines, expected) in cases {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(CONTENT_TYPE, HeaderValue::from_static(line));
            }
            assert_eq!(is("application/json", &headers), expected, "{name}");
        }
    }
}
