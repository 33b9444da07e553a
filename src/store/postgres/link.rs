//! The one connection that hears of changes, and asks for them.
//!
//! Syncs run on the connection that listens. A link that was cut shows at once; one that went
//! silent shows nothing at all, so that each sync is its probe: whoever asked gives up, and the
//! link is opened anew. Every time it is open again it nudges, for what may have been said in
//! between. A notification carries no truth: the sync that it hastens does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::ConnectOptions as _;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use tokio::runtime::Builder;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::failure::failed;
use super::guard::{Guard, within};
use super::nudges::Heard;
use super::read;
use crate::store::{Position, StoreError, StoreErrorKind, SyncReport};

/// The channel that the trigger notifies.
const CHANNEL: &str = "portcullis";

/// How long it may take to open a connection and to listen on it.
const OPENING: Duration = Duration::from_secs(1);

/// How long a sync may take when nobody gives up on it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(100);

/// How many may wait for a sync.
const WAITING: usize = 64;

/// A handle on the task that has the connection. The task ends with the last of them.
#[derive(Clone)]
pub(super) struct Link {
    asks: mpsc::Sender<Ask>,
    heard: watch::Receiver<u64>,
    silences: watch::Receiver<u64>,
    listening: Arc<AtomicBool>,
}

/// Somebody waits for a sync, until the other end of `reply` is gone.
struct Ask {
    since: Option<Position>,
    reply: oneshot::Sender<Result<SyncReport, StoreError>>,
}

impl Link {
    pub(super) fn open(options: PgConnectOptions) -> Self {
        let (asks, asked) = mpsc::channel(WAITING);
        let (nudge, heard) = watch::channel(0);
        let (silence, silences) = watch::channel(0);
        let listening = Arc::<AtomicBool>::default();
        let task = Task {
            options,
            asked,
            nudge,
            silence,
            listening: Arc::clone(&listening),
        };
        tokio::spawn(task.run());
        Self {
            asks,
            heard,
            silences,
            listening,
        }
    }

    /// For whatever runs on other connections.
    pub(super) fn guard(&self) -> Guard {
        Guard::new(self.silences.clone())
    }

    pub(super) async fn sync(&self, since: Option<Position>) -> Result<SyncReport, StoreError> {
        let (reply, answer) = oneshot::channel();
        let asked = self.asks.send(Ask { since, reply }).await;
        if let (Ok(()), Ok(answer)) = (asked, answer.await) {
            return answer;
        }
        let context = "the runtime is going down";
        Err(StoreError::new(StoreErrorKind::Unavailable, context))
    }

    pub(super) fn nudges(&self) -> Heard {
        Heard(self.heard.clone())
    }

    pub(super) fn is_listening(&self) -> bool {
        self.listening.load(Ordering::Relaxed)
    }
}

struct Task {
    options: PgConnectOptions,
    asked: mpsc::Receiver<Ask>,
    nudge: watch::Sender<u64>,
    silence: watch::Sender<u64>,
    listening: Arc<AtomicBool>,
}

/// Why a connection is used no more.
enum End {
    /// It was lost, or failed.
    Lost,
    /// Whoever asked got no answer.
    Silent,
    /// Nobody is left who could ask.
    NobodyLeft,
}

impl Task {
    async fn run(mut self) {
        let mut was_silent = false;
        // Down -> (Listening | Down), Listening -> Down
        loop {
            let began = Instant::now();
            match open(&self.options).await {
                Ok(mut connection) => {
                    self.listening.store(true, Ordering::Relaxed);
                    count_up(&self.nudge);
                    if was_silent {
                        count_up(&self.silence);
                    }
                    let end = self.listen(&mut connection).await;
                    self.listening.store(false, Ordering::Relaxed);
                    hang_up(connection);
                    was_silent = match end {
                        End::Lost => false,
                        End::Silent => true,
                        End::NobodyLeft => return,
                    };
                    // A server that hangs up on whomever it lets in is left alone in between.
                    if began.elapsed() < PAUSE {
                        sleep(PAUSE).await;
                    }
                }
                Err(error) => {
                    if matches!(self.refuse(Arc::new(error)).await, End::NobodyLeft) {
                        return;
                    }
                }
            }
        }
    }

    async fn listen(&mut self, connection: &mut PgListener) -> End {
        loop {
            // Either may be left at any time without losing anything.
            tokio::select! {
                ask = self.asked.recv() => match ask {
                    Some(ask) => if let Err(end) = answer(connection, ask).await {
                        return end;
                    },
                    None => return End::NobodyLeft,
                },
                // Not `recv`, which opens a new connection without a word.
                notification = connection.try_recv() => match notification {
                    Ok(Some(_)) => {
                        while connection.next_buffered().is_some() {}
                        count_up(&self.nudge);
                    }
                    Ok(None) | Err(_) => return End::Lost,
                },
            }
        }
    }

    /// Tells all who ask before the next attempt why they get no answer.
    async fn refuse(&mut self, error: Arc<StoreError>) -> End {
        let next = Instant::now() + PAUSE;
        loop {
            match timeout_at(next, self.asked.recv()).await {
                Ok(Some(ask)) => {
                    let context = "the connection for syncs cannot be opened";
                    let kind = StoreErrorKind::Unavailable;
                    let refusal = StoreError::new(kind, context).caused_by(Arc::clone(&error));
                    drop(ask.reply.send(Err(refusal)));
                }
                Ok(None) => return End::NobodyLeft,
                Err(_) => return End::Lost,
            }
        }
    }
}

fn count_up(counter: &watch::Sender<u64>) {
    counter.send_modify(|count| *count = count.wrapping_add(1));
}

/// Fails if the connection is not to be used again.
async fn answer(connection: &mut PgListener, ask: Ask) -> Result<(), End> {
    let Ask { since, mut reply } = ask;
    if reply.is_closed() {
        return Ok(());
    }
    let answer = tokio::select! {
        answer = timeout(PATIENCE, read::sync(connection, since)) => {
            answer.map_err(|_| End::Silent)?
        }
        () = reply.closed() => return Err(End::Silent),
    };
    let is_good = answer.is_ok();
    drop(reply.send(answer));
    if is_good { Ok(()) } else { Err(End::Lost) }
}

async fn open(options: &PgConnectOptions) -> Result<PgListener, StoreError> {
    const CONTEXT: &str = "listening for changes";
    // First to see whether anybody is there. A pool would try until its time is up, and keep to itself
    // why it failed.
    let knock = async { options.connect().await.map_err(failed(CONTEXT)) };
    drop(within(OPENING, CONTEXT, knock).await?);
    // A listener takes its connection from a pool: one of its own, that goes with it.
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(OPENING)
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_lazy_with(options.clone());
    let connected = PgListener::connect_with(&pool).await;
    let mut connection = connected.map_err(failed(CONTEXT))?;
    connection.eager_reconnect(false);
    let listening = timeout(OPENING, connection.listen(CHANNEL)).await;
    match listening.unwrap_or(Err(sqlx::Error::PoolTimedOut)) {
        Ok(()) => Ok(connection),
        Err(error) => {
            hang_up(connection);
            Err(failed(CONTEXT)(error))
        }
    }
}

/// Closes the socket, whatever the link is at.
///
/// A listener that is dropped says goodbye on a task of its own, and waits for an answer for as long
/// as a silent link is silent. Said on a runtime that never runs, it is not said at all, and the
/// connection goes with the task.
fn hang_up(connection: PgListener) {
    let Ok(runtime) = Builder::new_current_thread().build() else {
        // Out of resources: then it is said.
        return;
    };
    let entered = runtime.enter();
    drop(connection);
    drop(entered);
    runtime.shutdown_background();
}
