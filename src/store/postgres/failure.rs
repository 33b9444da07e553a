//! Which kind of failure an error of sqlx is.

use std::error::Error as _;

use sqlx::error::DatabaseError;
use sqlx::postgres::{PgDatabaseError, PgSeverity};

use crate::store::{StoreError, StoreErrorKind};

/// For everything but a COMMIT: the transaction it happened in is rolled back.
pub(super) fn failed(context: &'static str) -> impl FnOnce(sqlx::Error) -> StoreError {
    move |error| {
        let kind = match error {
            sqlx::Error::ColumnDecode { .. }
            | sqlx::Error::Decode(_)
            | sqlx::Error::ColumnNotFound(_)
            | sqlx::Error::ColumnIndexOutOfBounds { .. }
            | sqlx::Error::TypeNotFound { .. } => StoreErrorKind::Corrupt,
            sqlx::Error::Configuration(_) => StoreErrorKind::Misconfigured,
            // Also tables that are not there: somebody may be putting back a backup.
            _ => StoreErrorKind::Unavailable,
        };
        StoreError::new(kind, context).caused_by(error)
    }
}

/// For the first connection: a server that does not let this program in, whatever it waits for.
pub(super) fn opening(error: sqlx::Error) -> StoreError {
    const CONTEXT: &str = "opening the database";
    // Invalid authorization, no such database, insufficient privilege.
    let is_refused = code(&error)
        .is_some_and(|code| code.starts_with("28") || code.starts_with("3D") || code == "42501");
    if is_refused {
        StoreError::new(StoreErrorKind::Misconfigured, CONTEXT).caused_by(error)
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
        taken().caused_by(error)
    } else {
        failed("adding a key")(error)
    }
}

pub(super) fn taken() -> StoreError {
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
    StoreError::new(kind, "committing a change").caused_by(error)
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
    let error = error
        .source()
        .and_then(<dyn std::error::Error>::downcast_ref);
    // A serialization failure, a deadlock.
    error
        .and_then(code)
        .is_some_and(|code| code == "40001" || code == "40P01")
}

/// The SQLSTATE.
fn code(error: &sqlx::Error) -> Option<String> {
    let code = error.as_database_error()?.code()?;
    Some(code.into_owned())
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
