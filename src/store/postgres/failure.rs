//! Which kind of failure an error of sqlx is.

use std::borrow::Cow;
use std::error::Error;
use std::io;

use sqlx::error::DatabaseError;
use sqlx::postgres::{PgDatabaseError, PgSeverity};

use crate::store::{StoreError, StoreErrorKind};

/// What the server says of a failure, as far as it may be shown. Its details name the values of rows
/// ("Key (digest)=(...) already exists"), and so do its messages about malformed values.
#[derive(Debug, thiserror::Error)]
#[error("{message} (SQLSTATE {code})")]
struct ServerSays {
    code: String,
    message: String,
}

impl ServerSays {
    fn of(error: &dyn DatabaseError) -> Self {
        let code = error.code().map(Cow::into_owned).unwrap_or_default();
        let message = if code.starts_with("22") {
            "a value cannot be stored".to_owned()
        } else {
            error.message().to_owned()
        };
        Self { code, message }
    }
}

/// For everything but a COMMIT: the transaction it happened in is rolled back.
pub(super) fn failed(context: &'static str) -> impl FnOnce(sqlx::Error) -> StoreError {
    move |error| {
        let kind = match error {
            sqlx::Error::ColumnDecode { .. }
            | sqlx::Error::Decode(_)
            | sqlx::Error::ColumnNotFound(_)
            | sqlx::Error::ColumnIndexOutOfBounds { .. }
            | sqlx::Error::TypeNotFound { .. } => StoreErrorKind::Corrupt,
            // Also tables that are not there: somebody may be putting back a backup.
            _ => StoreErrorKind::Unavailable,
        };
        caused(StoreError::new(kind, context), error)
    }
}

/// For the first connection: a server that does not let this program in, however long it waits.
pub(super) fn opening(error: sqlx::Error) -> StoreError {
    const CONTEXT: &str = "opening the database";
    // Invalid authorization, no such database, insufficient privilege; a pooler that cannot keep the
    // settings of a session.
    let is_refused = code(&error)
        .is_some_and(|code| code.starts_with("28") || code.starts_with("3D") || code == "42501");
    // TLS is asked for, and nobody has brought any.
    if is_refused || matches!(error, sqlx::Error::Configuration(_) | sqlx::Error::Tls(_)) {
        caused(
            StoreError::new(StoreErrorKind::Misconfigured, CONTEXT),
            error,
        )
    } else {
        failed(CONTEXT)(error)
    }
}

/// For the rows of a new key.
pub(super) fn adding(error: sqlx::Error) -> StoreError {
    let is_taken = error
        .as_database_error()
        .is_some_and(DatabaseError::is_unique_violation);
    if is_taken {
        caused(taken(), error)
    } else {
        failed("adding a key")(error)
    }
}

fn taken() -> StoreError {
    let context = "adding a key whose id or digest is taken";
    StoreError::new(StoreErrorKind::Conflict, context)
}

/// For a COMMIT.
///
/// A server that goes on and answers with an error has rolled back. Of one that hung up, or said
/// that it does, the commit may be on its disk.
pub(super) fn committing(error: sqlx::Error) -> StoreError {
    let kind = if is_over(&error) {
        StoreErrorKind::OutcomeUnknown
    } else {
        StoreErrorKind::Unavailable
    };
    caused(StoreError::new(kind, "committing a change"), error)
}

fn caused(failure: StoreError, error: sqlx::Error) -> StoreError {
    match error {
        sqlx::Error::Database(error) => failure.caused_by(ServerSays::of(&*error)),
        error => failure.caused_by(error),
    }
}

/// For what waited on a connection in vain.
pub(super) fn silent() -> sqlx::Error {
    let why = "the link went silent in the midst of it";
    io::Error::new(io::ErrorKind::TimedOut, why).into()
}

/// Whether the session is over, or nobody knows what it is at.
pub(super) fn is_over(error: &sqlx::Error) -> bool {
    let answer = error
        .as_database_error()
        .and_then(|error| error.try_downcast_ref::<PgDatabaseError>());
    answer.is_none_or(|error| matches!(error.severity(), PgSeverity::Fatal | PgSeverity::Panic))
}

/// Whether another transaction was in the way, which has the right of way once.
pub(super) fn is_to_be_repeated(error: &StoreError) -> bool {
    if error.kind() == StoreErrorKind::OutcomeUnknown {
        return false;
    }
    let says = error.source().and_then(<dyn Error>::downcast_ref);
    // A serialization failure, a deadlock.
    says.is_some_and(|ServerSays { code, .. }| code == "40001" || code == "40P01")
}

/// The SQLSTATE.
fn code(error: &sqlx::Error) -> Option<Cow<'_, str>> {
    error.as_database_error()?.code()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_failure_leaves_behind() {
        let gone = || sqlx::Error::Io(std::io::ErrorKind::UnexpectedEof.into());
        assert_eq!(committing(gone()).kind(), StoreErrorKind::OutcomeUnknown);
        let lost = failed("reading")(gone());
        assert_eq!(lost.kind(), StoreErrorKind::Unavailable);
        assert!(!is_to_be_repeated(&lost));
        let late = adding(sqlx::Error::PoolTimedOut);
        assert_eq!(late.kind(), StoreErrorKind::Unavailable);
        let garbage = failed("reading")(sqlx::Error::Decode("no".into()));
        assert_eq!(garbage.kind(), StoreErrorKind::Corrupt);
    }
}
