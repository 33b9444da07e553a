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
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, sleep_until, timeout};

use super::failure::{is_over, silent};
use super::guard::Guard;

/// How long it may take to open a connection. It goes on when whoever needs it has left: were it to
/// start over with each caller, a server that is slow to answer would never be reached.
const OPENING: Duration = Duration::from_millis(1_500);

/// A connection that lay idle for longer is not trusted: what lies between here and the server may
/// have forgotten it.
const LONGEST_IDLE: Duration = Duration::from_mins(5);

/// After so long the server has given up on a look-up (see the limits in `connect`). A place that was
/// left in the middle of something is taken for so long.
const GIVING_UP: Duration = Duration::from_secs(1);

/// One that was not needed for so long, while others were used, is closed.
const SURPLUS: Duration = Duration::from_secs(5);

/// So many connections at most, opened when they are needed. Clones share them.
#[derive(Clone)]
pub(super) struct Connections {
    options: PgConnectOptions,
    /// Over whatever is asked on them.
    pub(super) guard: Guard,
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
    since: Instant,
    left: Left,
    place: Option<OwnedSemaphorePermit>,
}

/// How a place is left.
enum Left {
    /// Nobody knows: whoever had it gave up. The server may still be at it.
    InTheMiddle,
    /// With all that was asked answered.
    Done,
    /// With a connection that is of no more use, to the server neither.
    Over,
}

impl Connections {
    pub(super) fn new(options: PgConnectOptions, most: usize, guard: Guard) -> Self {
        Self {
            options,
            guard,
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
            since: Instant::now(),
            left: Left::InTheMiddle,
            place: Some(place),
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

    async fn open(&self, mut lease: Lease) -> Result<Lent, sqlx::Error> {
        let options = self.options.clone();
        let (hand_over, opened) = oneshot::channel();
        tokio::spawn(async move {
            let connected = timeout(OPENING, options.connect()).await;
            let lent = match connected.unwrap_or(Err(sqlx::Error::PoolTimedOut)) {
                Ok(connection) => Ok(Lent {
                    connection,
                    was_idle: false,
                    lease,
                }),
                Err(error) => {
                    lease.leave(Left::Over);
                    Err(error)
                }
            };
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
            let rows = lent.connection.fetch_all(statement());
            let rows = self.guard.over(rows).await;
            match rows.unwrap_or_else(|| Err(silent())) {
                Ok(rows) => {
                    lent.give_back();
                    return Ok(rows);
                }
                // The server was restarted since, say.
                Err(error) if lent.was_idle && is_over(&error) => lent.close(),
                Err(error) => {
                    lent.close();
                    return Err(error);
                }
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
        lease.leave(Left::Done);
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

    /// The server has answered, or is gone. No more is asked of it here.
    pub(super) fn close(mut self) {
        self.lease.leave(Left::Over);
    }

    /// It was opened for somebody who is gone. The next to come may have it; but were all of them
    /// kept, for which people waited in an outage, they would stay after it.
    fn keep_one(mut self) {
        self.lease.leave(Left::Done);
        let none_is_idle = self.lease.idle.connections().is_empty();
        if none_is_idle {
            self.give_back();
        }
    }
}

impl Lease {
    fn leave(&mut self, left: Left) {
        self.left = left;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if matches!(self.left, Left::Done) {
            return;
        }
        self.idle.connections().clear();
        if matches!(self.left, Left::InTheMiddle)
            && let Ok(runtime) = Handle::try_current()
        {
            // Or else, while a lock makes everybody wait and leave, sessions would be opened much
            // faster than the server gives up on those that were left.
            let (place, free) = (self.place.take(), self.since + GIVING_UP);
            runtime.spawn(async move {
                sleep_until(free).await;
                drop(place);
            });
        }
    }
}
