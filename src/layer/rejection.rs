//! Why a request is not let in, for the application; the client sees only what it must.

use std::fmt;
use std::sync::Arc;

use http::StatusCode;

use crate::credential::Malformed;
use crate::key::NotAKey;
use crate::keyring::{Dead, Denial, Unavailable};
use crate::scope::Demand;

/// A refusal. It lies in the extensions of the response, so that layers around the gate can log
/// or count it:
///
/// ```
/// # use portcullis::Rejection;
/// fn count<B>(response: &http::Response<B>) {
///     if let Some(rejection) = response.extensions().get::<Rejection>() {
///         println!("refused: {rejection}");
///     }
/// }
/// ```
///
/// What the client is told is fixed and bland: every kind of dead key gets the same answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    reason: Reason,
}

/// The reasons for a refusal, told apart.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// No credentials, or of another scheme. 401.
    #[error("no credentials")]
    MissingCredentials,
    /// Credentials that do not say one thing. 400.
    #[error("unreadable credentials: {0}")]
    Malformed(Malformed),
    /// A token of more than 256 bytes. 401.
    #[error("the credential is too long")]
    TooLong,
    /// A token that is not a key of this service. 401.
    #[error("not a key: {0}")]
    NotAKey(NotAKey),
    /// A key that opens nothing. 401.
    #[error("dead key: {0}")]
    Dead(Dead),
    /// A good key without the scope that the route demands. 403.
    #[error("the key lacks the scope: {0:?}")]
    InsufficientScope(Arc<Demand>),
    /// A good key that may not be used on what the route is about, a thing of this kind. 403.
    #[error("the key is restricted to other resources of the kind {0}")]
    OutsideResources(Arc<str>),
    /// Nothing can be said at the moment. 503.
    #[error("unavailable: {0}")]
    Unavailable(Unavailable),
    /// A handler or a layer asked for a principal where no [`ApiKeyLayer`](crate::ApiKeyLayer)
    /// ran, or for a path parameter that the route does not have. 500.
    #[error("a layer or a handler asked for what its route does not have")]
    Misconfigured,
}

impl Rejection {
    pub(crate) fn new(reason: Reason) -> Self {
        Self { reason }
    }

    pub(crate) fn into_reason(self) -> Reason {
        self.reason
    }

    /// Why, for the application. Not for the client.
    pub fn reason(&self) -> &Reason {
        &self.reason
    }

    /// The status of the answer, unless it goes to a [gRPC call](crate::ApiKeyLayer::grpc).
    pub fn status(&self) -> StatusCode {
        match self.reason {
            Reason::Malformed(_) => StatusCode::BAD_REQUEST,
            Reason::MissingCredentials | Reason::TooLong | Reason::NotAKey(_) | Reason::Dead(_) => {
                StatusCode::UNAUTHORIZED
            }
            Reason::InsufficientScope(_) | Reason::OutsideResources(_) => StatusCode::FORBIDDEN,
            Reason::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Reason::Misconfigured => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The word for machines in the answer.
    pub fn code(&self) -> &'static str {
        match self.reason {
            Reason::MissingCredentials => "missing_credentials",
            Reason::Malformed(_) => "invalid_request",
            Reason::TooLong | Reason::NotAKey(_) | Reason::Dead(_) => "invalid_token",
            Reason::InsufficientScope(_) | Reason::OutsideResources(_) => "insufficient_scope",
            Reason::Unavailable(_) => "unavailable",
            Reason::Misconfigured => "misconfigured",
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)
    }
}

impl std::error::Error for Rejection {}

impl From<Denial> for Rejection {
    fn from(denial: Denial) -> Self {
        Self::new(match denial {
            Denial::Dead(why) => Reason::Dead(why),
            Denial::Unavailable(why) => Reason::Unavailable(why),
        })
    }
}
