//! What a request says of the form in which it can be refused.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HeaderValue};
use http::{Method, Response};

/// The form of a refusal. It is read off the request where the refusal is made, so that a request
/// that is let in costs nothing, and so that a layer in between that translates (gRPC-Web, say)
/// is spoken to in the language that it passes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// An answer by HTTP.
    Http,
    /// The same to a HEAD request.
    HttpHead,
    /// The trailers of a gRPC call.
    Grpc,
}

impl Form {
    /// That of HTTP, whatever else the request says.
    pub(crate) fn http(method: &Method) -> Self {
        if method == Method::HEAD {
            Self::HttpHead
        } else {
            Self::Http
        }
    }

    /// The same headers and no body for HEAD (RFC 9110 section 9.3.2). The length is written
    /// down, since it can no longer be seen.
    pub(crate) fn shape(self, mut response: Response<Bytes>) -> Response<Bytes> {
        if self == Self::Grpc {
            return response;
        }
        let length = HeaderValue::from(response.body().len());
        response.headers_mut().insert(CONTENT_LENGTH, length);
        self.of_length(response)
    }

    /// The same for an answer whose length is written down.
    pub(crate) fn of_length(self, mut response: Response<Bytes>) -> Response<Bytes> {
        if self == Self::HttpHead {
            *response.body_mut() = Bytes::new();
        }
        response
    }
}
