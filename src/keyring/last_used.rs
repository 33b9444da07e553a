//! When keys were last used: a statistic that no request waits for.
//!
//! A use is noted at most once in a debounce interval for each secret, by whichever request comes
//! first; it puts it into a bounded queue and goes on. One task writes what is queued, in batches.
//! What does not fit is dropped and counted. A process that is killed loses what was not yet
//! written: at most [`BATCH_EVERY`], and the uses since that were debounced.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout, timeout_at};

use super::concurrency::{AtomicU64, Ordering};
use crate::clock::{BootTime, Clock};
use crate::key::KeyDigest;
use crate::store::{KeyStore, Use};
use crate::timestamp::Timestamp;

/// How long a use may wait for others to be written with it.
const BATCH_EVERY: Duration = Duration::from_secs(1);

/// The most uses that are written at a time.
const BATCH: usize = 1_000;

/// The most uses that wait to be written.
const QUEUE: usize = 10_000;

/// How long a write of uses may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// When a secret's use was last noted. Shared by all that is remembered of the secret, so that
/// looking it up again does not start the interval afresh.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    /// Boot clock nanoseconds; 0 is never.
    noted: AtomicU64,
}

impl Usage {
    pub(crate) fn noted_at(moment: BootTime) -> Self {
        Self {
            noted: AtomicU64::new(moment.as_nanos()),
        }
    }

    /// Whether this use is the one to be noted.
    #[inline]
    fn wins(&self, now: BootTime, debounce: u64) -> bool {
        let noted = self.noted.load(Ordering::Relaxed);
        let now = now.as_nanos();
        if noted != 0 && now.saturating_sub(noted) < debounce {
            return false;
        }
        // Of a crowd that finds the interval over, one moves it on.
        self.noted
            .compare_exchange(noted, now, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    }
}

/// Where uses are noted.
pub(crate) struct LastUsed {
    queue: mpsc::Sender<Note>,
    debounce: u64,
    dropped: Arc<AtomicU64>,
}

enum Note {
    Use(Use),
    /// Write all that came before, then say so.
    Flush(oneshot::Sender<()>),
}

impl LastUsed {
    /// With the task that does the writing, which ends after the last of this.
    pub(crate) fn new(
        store: Arc<dyn KeyStore>,
        debounce: Duration,
    ) -> (Self, impl Future<Output = ()> + Send + use<>) {
        let (queue, notes) = mpsc::channel(QUEUE);
        let dropped = Arc::new(AtomicU64::new(0));
        let this = Self {
            queue,
            debounce: u64::try_from(debounce.as_nanos()).unwrap_or(u64::MAX),
            dropped: Arc::clone(&dropped),
        };
        (this, write(store, notes, dropped))
    }

    /// A request was let in. One relaxed load, but for the one that notes it.
    #[inline]
    pub(crate) fn note(&self, usage: &Usage, digest: KeyDigest, now: BootTime, clock: &dyn Clock) {
        if usage.wins(now, self.debounce) {
            self.enqueue(digest, clock.wall());
        }
    }

    #[cold]
    fn enqueue(&self, digest: KeyDigest, at: Timestamp) {
        if self.queue.try_send(Note::Use(Use { digest, at })).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns once all that was noted before has been written, or cannot be.
    pub(crate) async fn flush(&self) {
        let (done, flushed) = oneshot::channel();
        // Whatever is in the queue comes before, in batches; it is not worth more of a wait.
        let wait = async {
            if self.queue.send(Note::Flush(done)).await.is_ok() {
                let _ = flushed.await;
            }
        };
        if timeout(PATIENCE * 2, wait).await.is_err() {
            tracing::warn!("the last uses of keys could not be written in time");
        }
    }

    /// How many uses were dropped, because the queue was full or the store did not take them.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

async fn write(store: Arc<dyn KeyStore>, mut notes: mpsc::Receiver<Note>, dropped: Arc<AtomicU64>) {
    let mut open = true;
    while open {
        let mut batch = HashMap::new();
        let mut flushed = None;
        let mut ends = None;
        while batch.len() < BATCH && flushed.is_none() {
            // The clock of a batch starts with its first use: nothing runs while nobody calls.
            let next = match ends {
                None => Ok(notes.recv().await),
                Some(ends) => timeout_at(ends, notes.recv()).await,
            };
            match next {
                Ok(Some(Note::Use(used))) => {
                    ends.get_or_insert_with(|| Instant::now() + BATCH_EVERY);
                    let at: &mut Timestamp = batch.entry(used.digest).or_insert(used.at);
                    *at = used.at.max(*at);
                }
                Ok(Some(Note::Flush(done))) => flushed = Some(done),
                Ok(None) => {
                    open = false;
                    break;
                }
                Err(_) => break,
            }
        }
        if !batch.is_empty() {
            write_batch(&store, batch, &dropped).await;
        }
        if let Some(done) = flushed {
            // Whoever asked may have left.
            let _ = done.send(());
        }
    }
}

async fn write_batch(
    store: &Arc<dyn KeyStore>,
    batch: HashMap<KeyDigest, Timestamp>,
    dropped: &AtomicU64,
) {
    let uses: Vec<Use> = batch
        .into_iter()
        .map(|(digest, at)| Use { digest, at })
        .collect();
    let count = uses.len();
    let store = Arc::clone(store);
    // A task of its own, so that a store that panics does not end this one.
    let touch = tokio::spawn(async move { timeout(PATIENCE, store.touch(&uses)).await });
    let error: Box<dyn std::error::Error + Send + Sync> = match touch.await {
        Ok(Ok(Ok(()))) => return,
        Ok(Ok(Err(error))) => error.into(),
        Ok(Err(elapsed)) => elapsed.into(),
        Err(panic) => panic.into(),
    };
    dropped.fetch_add(count as u64, Ordering::Relaxed);
    tracing::warn!(
        error = &*error as &dyn std::error::Error,
        count,
        "the last uses of keys could not be written"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keyring::concurrency::on_many_schedules;

    fn at(seconds: u64) -> BootTime {
        BootTime::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn one_use_in_an_interval_is_noted() {
        let debounce = 300 * 1_000_000_000;
        let usage = Usage::default();
        assert!(usage.wins(at(1), debounce), "the first");
        assert!(!usage.wins(at(1), debounce));
        assert!(!usage.wins(at(300), debounce));
        assert!(usage.wins(at(301), debounce));
        assert!(!usage.wins(at(302), debounce));
    }

    #[test]
    fn of_a_crowd_that_finds_the_interval_over_one_notes_it_on_many_schedules() {
        on_many_schedules(|| {
            let usage = Arc::new(Usage::noted_at(at(1)));
            let crowd = [(); 3].map(|()| {
                let usage = Arc::clone(&usage);
                shuttle::thread::spawn(move || usage.wins(at(301), 300 * 1_000_000_000))
            });
            let won = crowd.map(|one| one.join().unwrap());
            assert_eq!(won.iter().filter(|&&won| won).count(), 1);
        });
    }

    #[test]
    fn a_use_that_another_replica_wrote_down_counts() {
        let debounce = 300 * 1_000_000_000;
        let usage = Usage::noted_at(at(100));
        assert!(!usage.wins(at(399), debounce));
        assert!(usage.wins(at(400), debounce));
    }
}
