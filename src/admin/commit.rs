//! Changes that did not happen, or may not have, and how that is answered.

use std::error::Error;

use http::StatusCode;

use super::KEYS_WRITE;
use super::answer::Refused;
use crate::keyring::{Dead, WriteError};
use crate::layer::{Reason, Rejection};
use crate::scope::Demand;
use crate::store::{Refusal, StoreError};

impl From<WriteError> for Refused {
    fn from(error: WriteError) -> Self {
        let refusal = match error {
            WriteError::Refused(refusal) => refusal,
            WriteError::OutcomeUnknown(_) => {
                complain(&error, "a change to a key may or may not have been written");
                return outcome_unknown();
            }
            // The last four are found before anything is written, and answered there. Should the
            // declarations ever differ, nothing was written.
            WriteError::Store(_)
            | WriteError::NoRandomness(_)
            | WriteError::UnknownEnvironment(_)
            | WriteError::UnknownScope { .. }
            | WriteError::NotAHint(_)
            | WriteError::UnknownRole { .. } => {
                complain(&error, "a change to a key was not written");
                return Self::unavailable();
            }
        };
        match refusal {
            // Told the same as any dead key: which death it died since is nobody's business.
            Refusal::CallerDead => Rejection::new(Reason::Dead(Dead::Revoked)).into(),
            Refusal::CallerLacksScope => Self::insufficient_scope(Demand::one(KEYS_WRITE)),
            Refusal::NotFound => Self::not_found(),
            Refusal::ExceedsCaller => Self::problem(StatusCode::FORBIDDEN, "exceeds_caller")
                .because("this is more than the caller holds itself"),
            Refusal::OnOneself => Self::problem(StatusCode::FORBIDDEN, "exceeds_caller")
                .because("a key may not give itself another secret or a longer life"),
            Refusal::UndeclaredEnvironment => {
                Self::problem(StatusCode::CONFLICT, "environment_not_declared").because(
                    "the environment of this key is no longer declared, so no secret can be made \
                     for it",
                )
            }
            Refusal::KeyRevoked => Self::problem(StatusCode::CONFLICT, "key_revoked")
                .because("a revoked key stays as it is"),
            Refusal::KeyExpired => Self::problem(StatusCode::CONFLICT, "key_expired")
                .because("an expired key stays as it is"),
            Refusal::DigestTaken => Self::problem(StatusCode::CONFLICT, "digest_taken")
                .because("the digest is, or was, that of another secret"),
            Refusal::KeyLimitReached => Self::problem(StatusCode::CONFLICT, "key_limit_reached")
                .because("the owner has as many keys as are allowed"),
            Refusal::ReplayDiffers => {
                Self::problem(StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused")
                    .because("the idempotency key was used for another request")
            }
            // Whoever came before there was a key comes too late now, and has no credentials.
            Refusal::NotTheFirst => Rejection::new(Reason::MissingCredentials).into(),
            // Where these can happen, it is answered there, with the field that it is about.
            Refusal::ExpiryInThePast
            | Refusal::ExpiryTooFar
            | Refusal::LivesTooLong
            | Refusal::EnvironmentNotAllowed
            | Refusal::OnlyAsked => {
                complain(
                    &error_of(refusal),
                    "a change was refused for no good reason",
                );
                Self::unavailable()
            }
        }
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        complain(&error, "keys could not be read");
        Self::unavailable()
    }
}

fn error_of(refusal: Refusal) -> WriteError {
    WriteError::Refused(refusal)
}

/// Not `unavailable`: whoever reads that may just try again.
fn outcome_unknown() -> Refused {
    Refused::problem(StatusCode::SERVICE_UNAVAILABLE, "outcome_unknown")
        .because("the change may or may not have been made; look before it is tried again")
}

fn complain(error: &(dyn Error + 'static), what: &'static str) {
    tracing::error!(error, "{what}");
}
