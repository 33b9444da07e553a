//! A principal in the arguments of an axum handler.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

use axum_core::body::Body;
use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use axum_core::response::{IntoResponse, Response};
use http::Extensions;
use http::request::Parts;

use crate::layer::{Authentication, Form, Gate, Reason, Rejection, misconfigured};
use crate::principal::Principal;
use crate::scope::{Demand, is_valid_demand};

/// The answer to a request for which a handler's principal is missing: 401 or 403 through the
/// gate that let the request in, 500 where no gate ran.
pub struct ExtractRejection {
    rejection: Rejection,
    /// `None` where none ran.
    gate: Option<Arc<Gate>>,
    form: Form,
}

impl ExtractRejection {
    /// Why, for the application.
    pub fn rejection(&self) -> &Rejection {
        &self.rejection
    }

    fn through(authentication: &Authentication, reason: Reason, parts: &Parts) -> Self {
        Self {
            rejection: Rejection::new(reason),
            gate: Some(Arc::clone(&authentication.gate)),
            form: authentication.gate.form(&parts.method, &parts.headers),
        }
    }

    fn no_gate(parts: &Parts) -> Self {
        Self {
            rejection: Rejection::new(Reason::Misconfigured),
            gate: None,
            form: Form::http(&parts.method),
        }
    }
}

impl IntoResponse for ExtractRejection {
    fn into_response(self) -> Response {
        let response = match self.gate {
            Some(gate) => gate.refuse(self.rejection, self.form, Extensions::new()),
            None => misconfigured(self.form),
        };
        response.map(Body::from)
    }
}

impl fmt::Display for ExtractRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rejection.fmt(f)
    }
}

impl fmt::Debug for ExtractRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ExtractRejection")
            .field(&self.rejection)
            .finish()
    }
}

impl std::error::Error for ExtractRejection {}

fn authentication(parts: &Parts) -> Result<&Authentication, ExtractRejection> {
    Authentication::of(&parts.extensions).ok_or_else(|| ExtractRejection::no_gate(parts))
}

fn principal(parts: &Parts) -> Result<(&Authentication, &Principal), ExtractRejection> {
    let authentication = authentication(parts)?;
    match &authentication.principal {
        Some(principal) => Ok((authentication, principal)),
        None => Err(ExtractRejection::through(
            authentication,
            Reason::MissingCredentials,
            parts,
        )),
    }
}

/// Whoever calls. Anonymous callers, where an optional layer lets them in, are answered 401.
impl<S: Sync> FromRequestParts<S> for Principal {
    type Rejection = ExtractRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ExtractRejection> {
        principal(parts).map(|(_, principal)| principal.clone())
    }
}

/// Whoever calls, or nobody. Without a layer around the route it is 500, never `None`.
impl<S: Sync> OptionalFromRequestParts<S> for Principal {
    type Rejection = ExtractRejection;

    async fn from_request_parts(
        parts: &mut Parts,
        _: &S,
    ) -> Result<Option<Self>, ExtractRejection> {
        authentication(parts).map(|authentication| authentication.principal.clone())
    }
}

/// A scope as a type, for [`Scoped`].
pub trait RequiredScope {
    /// Its name: a plain scope without wildcard. Anything else does not compile where it is used.
    const SCOPE: &'static str;
}

/// A principal whose key grants `T`: the demand stands in the handler's signature. A key without
/// the scope is answered 403, before any body is read if this comes before the body's extractor.
///
/// ```
/// use portcullis::{RequiredScope, Scoped};
///
/// struct ReadReports;
///
/// impl RequiredScope for ReadReports {
///     const SCOPE: &'static str = "reports:read";
/// }
///
/// async fn reports(caller: Scoped<ReadReports>) -> String {
///     format!("reports of {}", caller.owner())
/// }
/// # let _: axum::Router = axum::Router::new().route("/", axum::routing::get(reports));
/// ```
///
/// ```compile_fail
/// # use portcullis::{RequiredScope, Scoped};
/// struct Everything;
///
/// impl RequiredScope for Everything {
///     const SCOPE: &'static str = "*"; // No route can demand a wildcard.
/// }
///
/// async fn reports(caller: Scoped<Everything>) {}
/// # let _: axum::Router = axum::Router::new().route("/", axum::routing::get(reports));
/// ```
pub struct Scoped<T> {
    principal: Principal,
    scope: PhantomData<fn() -> T>,
}

impl<T> Scoped<T> {
    /// The principal.
    pub fn into_principal(self) -> Principal {
        self.principal
    }
}

impl<T> Deref for Scoped<T> {
    type Target = Principal;

    fn deref(&self) -> &Principal {
        &self.principal
    }
}

impl<T: RequiredScope, S: Sync> FromRequestParts<S> for Scoped<T> {
    type Rejection = ExtractRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ExtractRejection> {
        const {
            assert!(
                is_valid_demand(T::SCOPE),
                "RequiredScope::SCOPE must be a plain scope: 1 to 64 of A-Z a-z 0-9 . _ : -"
            );
        };
        let (authentication, principal) = principal(parts)?;
        if principal.has_scope(T::SCOPE) {
            return Ok(Self {
                principal: principal.clone(),
                scope: PhantomData,
            });
        }
        let reason = Reason::InsufficientScope(Arc::new(Demand::one(T::SCOPE)));
        Err(ExtractRejection::through(authentication, reason, parts))
    }
}

impl<T> Clone for Scoped<T> {
    fn clone(&self) -> Self {
        Self {
            principal: self.principal.clone(),
            scope: PhantomData,
        }
    }
}

impl<T> fmt::Debug for Scoped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Scoped").field(&self.principal).finish()
    }
}
