//! Transactions that write: how they begin, and the two ways they end.

use std::time::Duration;

use sqlx::{AssertSqlSafe, PgConnection};
use tokio::time::timeout;

use super::connections::{Connections, Lent};
use super::failure::{committing, failed, is_over, silent};
use super::guard::Guard;
use crate::store::{StoreError, StoreErrorKind};

/// How long a COMMIT may take. It waits for the disk, and for a standby where that is asked of it.
const COMMITTING: Duration = Duration::from_secs(10);

const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; ";

/// For this transaction alone, in case the session is a pooler's: no lock is waited for, and no
/// transaction left open, for longer than whoever asked would wait. An acknowledged change is on
/// the disk, whatever the server does by default.
const LIMITS: &str = "\
    SELECT set_config('statement_timeout', '3s', true), \
           set_config('lock_timeout', '2s', true), \
           set_config('idle_in_transaction_session_timeout', '1500ms', true), \
           set_config('synchronous_commit', CASE current_setting('synchronous_commit') \
               WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END, true); ";

/// All of this store's transactions hold this lock (an arbitrary number), most of them together.
const TOGETHER: &str = "SELECT pg_advisory_xact_lock_shared(7021835462201839001)";

/// Waits for those under way, at most for as long as the server lets any of them live.
const ALONE: &str = "\
    SELECT set_config('lock_timeout', '10s', true), set_config('statement_timeout', '10s', true); \
    SELECT pg_advisory_xact_lock(7021835462201839001)";

/// Which transactions may be under way at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Company {
    /// Any but one that is alone.
    Together,
    /// None. What it reads, no other transaction of this store is about to change.
    Alone,
}

/// A transaction. Dropped, it is rolled back: its connection is closed.
pub(super) struct Writing {
    lent: Lent,
    guard: Guard,
}

impl Writing {
    pub(super) async fn begin(writes: &Connections, company: Company) -> Result<Self, StoreError> {
        let lock = match company {
            Company::Together => TOGETHER,
            Company::Alone => ALONE,
        };
        let sql = [BEGIN, LIMITS, lock].concat();
        loop {
            let waiting = "waiting for a connection to write on";
            let mut lent = writes.lend().await.map_err(failed(waiting))?;
            // In one go, of which nothing is left if the connection is.
            let begin = sqlx::raw_sql(AssertSqlSafe(sql.as_str()));
            let answer = writes.guard.over(begin.execute(&mut lent.connection)).await;
            match answer.unwrap_or_else(|| Err(silent())) {
                Ok(_) => {
                    let guard = writes.guard.clone();
                    return Ok(Self { lent, guard });
                }
                // The server was restarted since it was last used, say.
                Err(error) if lent.was_idle && is_over(&error) => lent.close(),
                Err(error) => {
                    lent.close();
                    return Err(failed("waiting for other writes to end")(error));
                }
            }
        }
    }

    pub(super) fn connection(&mut self) -> &mut PgConnection {
        &mut self.lent.connection
    }

    /// What comes of `work` on its connection.
    pub(super) async fn over<T>(
        mut self,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, StoreError>,
    ) -> Result<(Self, T), StoreError> {
        let guard = self.guard.clone();
        match guard.over(work(&mut self.lent.connection)).await {
            Some(Ok(done)) => Ok((self, done)),
            Some(Err(error)) => {
                // Whoever comes next may have the connection, if it still answers.
                drop(self.roll_back().await);
                Err(error)
            }
            None => {
                self.lent.close();
                Err(failed("changing a key")(silent()))
            }
        }
    }

    pub(super) async fn commit(mut self) -> Result<(), StoreError> {
        let commit = sqlx::raw_sql("COMMIT").execute(&mut self.lent.connection);
        let committed = timeout(COMMITTING, self.guard.over(commit)).await;
        let committed = committed.map_err(|_| {
            let context = format!("a COMMIT was not answered within {COMMITTING:?}");
            StoreError::new(StoreErrorKind::OutcomeUnknown, context)
        })?;
        let committed = committed.unwrap_or_else(|| Err(silent()));
        self.end(committed).map_err(committing)
    }

    /// Ends a transaction of which nothing is to stay.
    pub(super) async fn roll_back(mut self) -> Result<(), StoreError> {
        let rolled_back = sqlx::raw_sql("ROLLBACK")
            .execute(&mut self.lent.connection)
            .await;
        self.end(rolled_back)
            .map_err(failed("ending a transaction that wrote nothing"))
    }

    fn end<T>(self, answer: Result<T, sqlx::Error>) -> Result<(), sqlx::Error> {
        match answer {
            Ok(_) => {
                self.lent.give_back();
                Ok(())
            }
            Err(error) => {
                self.lent.close();
                Err(error)
            }
        }
    }
}
