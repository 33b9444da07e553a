//! Noticing the writes of other connections, also those of other processes.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, SqliteConnection};
use tokio::time::{Instant, sleep_until};

use crate::store::Nudges;

/// How often to ask. It costs a look into shared memory.
const POLL: Duration = Duration::from_millis(50);

/// The longest pause between two attempts at a database that does not answer.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// `PRAGMA data_version` changes whenever a connection other than the one that asks has
/// committed, to whatever table. So this has a connection of its own, and no write of this
/// process goes unnoticed either.
pub(super) struct DataVersion {
    options: SqliteConnectOptions,
    /// For reports.
    listening: Arc<AtomicBool>,
    connection: Option<SqliteConnection>,
    /// As the open connection saw it last. Versions of two connections cannot be compared.
    seen: Option<i64>,
    pause: Duration,
    /// When to ask again, kept here so that a caller who keeps leaving early does not put it off.
    next: Option<Instant>,
}

impl DataVersion {
    pub(super) fn of(options: SqliteConnectOptions, listening: Arc<AtomicBool>) -> Self {
        Self {
            options,
            listening,
            connection: None,
            seen: None,
            pause: POLL,
            next: None,
        }
    }

    async fn ask(&mut self) -> Result<i64, sqlx::Error> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(self.options.connect().await?),
        };
        sqlx::query_scalar("PRAGMA data_version")
            .fetch_one(connection)
            .await
    }
}

#[async_trait]
impl Nudges for DataVersion {
    async fn nudged(&mut self) {
        loop {
            if let Some(next) = self.next {
                sleep_until(next).await;
            }
            let seen = if let Ok(version) = self.ask().await {
                self.pause = POLL;
                Some(version)
            } else {
                // Not worth a word: the sync that goes on beside it fails as well, and says so.
                self.connection = None;
                self.pause = (self.pause * 2).min(LONGEST_PAUSE);
                None
            };
            self.listening.store(seen.is_some(), Ordering::Relaxed);
            self.next = Some(Instant::now() + self.pause);
            // The first answer of a connection is a nudge too: what came before it is not known.
            if std::mem::replace(&mut self.seen, seen) != seen && seen.is_some() {
                return;
            }
        }
    }
}

impl fmt::Debug for DataVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataVersion")
            .field("seen", &self.seen)
            .finish_non_exhaustive()
    }
}
