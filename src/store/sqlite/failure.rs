//! Which kind of failure an error of sqlx is.

use sqlx::error::DatabaseError;

use crate::store::{StoreError, StoreErrorKind};

/// `SQLITE_BUSY`: another connection holds the lock, and went on holding it.
const BUSY: i32 = 5;

/// What triggers say that find the id of a revoked key, or the digest of a secret that is gone,
/// before a constraint is asked.
const TAKEN: [&str; 2] = [
    "a revoked key stays revoked",
    "a secret that is over stays over",
];

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
            _ => StoreErrorKind::Unavailable,
        };
        StoreError::new(kind, context).caused_by(error)
    }
}

/// For the rows of a new key.
pub(super) fn adding(error: sqlx::Error) -> StoreError {
    let is_taken = error
        .as_database_error()
        .is_some_and(|error| error.is_unique_violation() || TAKEN.contains(&error.message()));
    if is_taken {
        taken().caused_by(error)
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
/// Only a lock that could not be had leaves the transaction where it was. Of any other failure
/// the next recovery of the log may make a commit: the disk was full after the last page, or did
/// not say whether it has them all.
pub(super) fn committing(error: sqlx::Error) -> StoreError {
    let kind = if is_busy(&error) {
        StoreErrorKind::Unavailable
    } else {
        StoreErrorKind::OutcomeUnknown
    };
    StoreError::new(kind, "committing a change").caused_by(error)
}

pub(super) fn is_busy(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(DatabaseError::code);
    let code: Option<i32> = code.and_then(|code| code.parse().ok());
    // The upper bits say more about it.
    code.is_some_and(|code| code & 0xff == BUSY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_failure_leaves_behind() {
        let lost = committing(sqlx::Error::WorkerCrashed);
        assert_eq!(lost.kind(), StoreErrorKind::OutcomeUnknown);
        let crashed = failed("reading")(sqlx::Error::WorkerCrashed);
        assert_eq!(crashed.kind(), StoreErrorKind::Unavailable);
        let late = adding(sqlx::Error::PoolTimedOut);
        assert_eq!(late.kind(), StoreErrorKind::Unavailable);
        let garbage = failed("reading")(sqlx::Error::Decode("no".into()));
        assert_eq!(garbage.kind(), StoreErrorKind::Corrupt);
    }
}
