//! The store's own connections.
//!
//! Not a pool of sqlx, which takes back what is dropped, however it was left, and first waits for
//! it to answer: a silent link would keep its place for ever, and a transaction that was begun by
//! a future which is gone would be found by the next to come. Here a connection is taken back from
//! those who say that they are done with it. Any other is closed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgRow};
use sqlx::{ConnectOptions as _, Execute, Executor as _, PgConnection, Postgres};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, timeout};

use super::failure::is_over;

/// How long it may take to open a connection. It goes on when whoever needs it has left: were it to
/// start over with each caller, a server that is slow to answer would never be reached.
const OPENING: Duration = Duration::from_millis(1_500);

/// A connection that lay idle for longer is not trusted: what lies between here and the server may
/// have forgotten it.
const LONGEST_IDLE: Duration = Duration::from_mins(5);

/// One that was not needed for so long, while others were used, is closed.
const SURPLUS: Duration = Duration::from_secs(5);

/// So many connections at most, opened when they are needed. Clones share them.
#[derive(Clone)]
pub(super) struct Connections {
    options: PgConnectOptions,
    places: Arc<Semaphore>,
    idle: Arc<Idle>,
}

/// Those that nobody uses, the last used one at the end.
#[derive(Default)]
struct Idle(Mutex<Vec<(PgConnection, Instant)>>);

/// A connection in use. Dropped, it is closed, and the idle ones with it: whatever befell it may have
/// befallen them.
pub(super) struct Lent {
    pub(super) connection: PgConnection,
    /// Whether it lay idle before, and may have been lost then.
    pub(super) was_idle: bool,
    lease: Lease,
}

/// A place among the connections in use.
struct Lease {
    idle: Arc<Idle>,
    is_good: bool,
    _place: OwnedSemaphorePermit,
}

impl Connections {
    pub(super) fn new(options: PgConnectOptions, most: usize) -> Self {
        Self {
            options,
            places: Arc::new(Semaphore::new(most)),
            idle: Arc::default(),
        }
    }

    /// Waits for a connection as long as the caller does.
    pub(super) async fn lend(&self) -> Result<Lent, sqlx::Error> {
        let places = Arc::clone(&self.places);
        // It is never closed.
        let place = places.acquire_owned().await;
        let place = place.map_err(|_| sqlx::Error::PoolClosed)?;
        let lease = Lease {
            idle: Arc::clone(&self.idle),
            is_good: false,
            _place: place,
        };
        match self.idle.take() {
            Some(connection) => Ok(Lent {
                connection,
                was_idle: true,
                lease,
            }),
            None => self.open(lease).await,
        }
    }

    async fn open(&self, lease: Lease) -> Result<Lent, sqlx::Error> {
        let options = self.options.clone();
        let (hand_over, opened) = oneshot::channel();
        tokio::spawn(async move {
            let connection = timeout(OPENING, options.connect()).await;
            let lent = connection
                .unwrap_or(Err(sqlx::Error::PoolTimedOut))
                .map(|connection| Lent {
                    connection,
                    was_idle: false,
                    lease,
                });
            if let Err(Ok(unwanted)) = hand_over.send(lent) {
                unwanted.keep_one();
            }
        });
        opened.await.unwrap_or(Err(sqlx::Error::PoolClosed))
    }

    /// The rows of one statement that may be run twice.
    pub(super) async fn rows<E: Execute<'static, Postgres> + 'static>(
        &self,
        statement: impl Fn() -> E,
    ) -> Result<Vec<PgRow>, sqlx::Error> {
        loop {
            let mut lent = self.lend().await?;
            match lent.connection.fetch_all(statement()).await {
                Ok(rows) => {
                    lent.give_back();
                    return Ok(rows);
                }
                // The server was restarted since, say.
                Err(error) if lent.was_idle && is_over(&error) => drop(lent),
                Err(error) => return Err(error),
            }
        }
    }
}

impl Idle {
    fn take(&self) -> Option<PgConnection> {
        let mut idle = self.connections();
        let (connection, since) = idle.pop()?;
        if since.elapsed() < LONGEST_IDLE {
            return Some(connection);
        }
        // The others have been idle for longer still.
        idle.clear();
        None
    }

    fn connections(&self) -> MutexGuard<'_, Vec<(PgConnection, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lent {
    /// All that was asked has been answered, and no transaction is open.
    pub(super) fn give_back(self) {
        let Self {
            connection,
            mut lease,
            ..
        } = self;
        lease.is_good = true;
        // Before its place is free.
        let mut idle = lease.idle.connections();
        if idle
            .first()
            .is_some_and(|(_, since)| since.elapsed() > SURPLUS)
        {
            drop(idle.remove(0));
        }
        idle.push((connection, Instant::now()));
    }

    /// It was opened for somebody who is gone. The next to come may have it; but were all of them
    /// kept, for which people waited in an outage, they would stay after it.
    fn keep_one(mut self) {
        self.lease.is_good = true;
        let none_is_idle = self.lease.idle.connections().is_empty();
        if none_is_idle {
            self.give_back();
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if !self.is_good {
            self.idle.connections().clear();
        }
    }
}
