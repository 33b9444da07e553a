//! Keeping in step with the store: the lease is renewed by each successful sync.
//!
//! One query a poll interval keeps *all* remembered keys fresh, whatever the traffic. Nudges make
//! the next sync come sooner; they carry no truth, so that one that is lost, doubled or forged
//! costs time at most.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::Inner;
use super::epoch::Followed;
use crate::store::{KeyStore, StoreError, StoreErrorKind, SyncReport};

/// Nudges that come closer together than this share a sync.
const NUDGE_GAP: Duration = Duration::from_millis(10);

/// How a sync's answer relates to the history that was followed so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Continuity {
    First,
    Unbroken,
    Broken(Break),
}

/// Why the history that was followed is not this store's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
enum Break {
    #[error("this is another store than before")]
    AnotherStore,
    #[error("the store went back to an older state")]
    WentBack,
    #[error("the store went back to an older state and has moved on from there")]
    AnotherHistory,
    #[error("the change rows since the last sync have been pruned")]
    Gap,
}

/// `followed` is how far the history was followed when the sync was sent. The newest revision seen
/// may lie above the last one applied, by a write of ours: a store below it has lost that write.
fn continuity(followed: Followed, report: &SyncReport) -> Continuity {
    let Followed {
        applied, highest, ..
    } = followed;
    let Some(since) = applied else {
        return Continuity::First;
    };
    if report.position.store != since.store {
        Continuity::Broken(Break::AnotherStore)
    } else if report.position.revision < since.revision.max(highest) {
        Continuity::Broken(Break::WentBack)
    } else {
        match report.nonce_then {
            // Without the row of that revision the rows after it may be incomplete too.
            None => Continuity::Broken(Break::Gap),
            Some(nonce) if nonce != since.nonce => Continuity::Broken(Break::AnotherHistory),
            Some(_) => Continuity::Unbroken,
        }
    }
}

impl Inner {
    /// One sync, on a task of its own so that nobody who leaves can cut it short.
    pub(super) async fn sync(self: &Arc<Self>) -> Result<(), Arc<StoreError>> {
        let inner = Arc::clone(self);
        tokio::spawn(async move { inner.sync_here().await })
            .await
            .unwrap_or_else(|panic| {
                let context = "a sync panicked";
                let error = StoreError::new(StoreErrorKind::Corrupt, context).caused_by(panic);
                tracing::error!(error = &error as &dyn std::error::Error, "a sync failed");
                Err(Arc::new(error))
            })
    }

    async fn sync_here(&self) -> Result<(), Arc<StoreError>> {
        // One at a time: a slow one must not apply an old report over a new one.
        let mut last = self.last_sync.lock().await;
        // The lease counts from the start. The answer may be as old as the question.
        let began = self.clock.boot();
        let followed = self.timeline.followed();
        let ask = async {
            self.agreement.hold(&self.store).await?;
            self.store.sync(followed.applied).await
        };
        let answer = timeout(self.sync_deadline, ask).await;
        let result = match answer {
            Ok(Ok(report)) => {
                self.apply(followed, &report, began.as_nanos());
                Ok(())
            }
            Ok(Err(error)) => Err(Arc::new(error)),
            Err(_) => {
                let context = format!("a sync did not end within {:?}", self.sync_deadline);
                let error = StoreError::new(StoreErrorKind::Unavailable, context);
                Err(Arc::new(error))
            }
        };
        match (&result, last.is_ok()) {
            // Once for each outage, not once a second.
            (Err(error), true) => {
                tracing::warn!(error = &**error as &dyn std::error::Error, "a sync failed");
            }
            (Ok(()), false) => tracing::info!("in sync again"),
            _ => {}
        }
        last.clone_from(&result);
        result
    }

    fn apply(&self, followed: Followed, report: &SyncReport, began: u64) {
        let position = report.position;
        match continuity(followed, report) {
            Continuity::Unbroken => {
                self.timeline.continue_to(position, &report.changes, began);
            }
            Continuity::First => self.timeline.start_over_at(position, followed, began),
            Continuity::Broken(why) => {
                tracing::error!(
                    why = &why as &dyn std::error::Error,
                    revision = position.revision,
                    "the store's history broke: everything remembered is dropped"
                );
                self.timeline.start_over_at(position, followed, began);
            }
        }
    }
}

/// Syncs on every poll, nudge and wake, until the last keyring is dropped.
pub(super) async fn run(
    inner: Weak<Inner>,
    store: Arc<dyn KeyStore>,
    poll: Duration,
    wake: Arc<Notify>,
    mut last_keyring: watch::Receiver<()>,
) {
    // A task of its own: nudges are a comfort, and a store that panics over them must not take
    // the syncs along. Dropping the set ends it.
    let nudge = Arc::new(Notify::new());
    let mut listener = JoinSet::new();
    listener.spawn(pass_on_nudges(store, Arc::clone(&nudge)));
    loop {
        match inner.upgrade() {
            // The outcome is kept and reported by the sync itself.
            Some(inner) => drop(inner.sync().await),
            None => return,
        }
        tokio::select! {
            () = sleep(poll) => {}
            () = nudge.notified() => sleep(NUDGE_GAP).await,
            () = wake.notified() => {}
            // The sender lives in `Inner`; it says nothing, it only goes.
            _ = last_keyring.changed() => return,
        }
    }
}

async fn pass_on_nudges(store: Arc<dyn KeyStore>, nudge: Arc<Notify>) {
    let mut nudges = store.nudges();
    loop {
        nudges.nudged().await;
        nudge.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Position, StoreId};

    fn position(store: u8, revision: u64, nonce: i64) -> Position {
        Position {
            store: StoreId([store; 16]),
            revision,
            nonce,
        }
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn a_history_is_followed_only_where_it_is_unbroken() {
        struct Test {
            name: &'static str,
            since: Option<Position>,
            /// Zero where no write of ours went beyond `since`.
            written: u64,
            position: Position,
            nonce_then: Option<i64>,
            result: Continuity,
        }
        let tests = [
            Test {
                name: "the first sync follows nothing",
                since: None,
                written: 0,
                position: position(1, 5, 50),
                nonce_then: Some(50),
                result: Continuity::First,
            },
            Test {
                name: "nothing happened",
                since: Some(position(1, 5, 50)),
                written: 0,
                position: position(1, 5, 50),
                nonce_then: Some(50),
                result: Continuity::Unbroken,
            },
            Test {
                name: "it went on",
                since: Some(position(1, 5, 50)),
                written: 0,
                position: position(1, 9, 90),
                nonce_then: Some(50),
                result: Continuity::Unbroken,
            },
            Test {
                name: "another store, though the numbers fit",
                since: Some(position(1, 5, 50)),
                written: 0,
                position: position(2, 9, 90),
                nonce_then: Some(50),
                result: Continuity::Broken(Break::AnotherStore),
            },
            Test {
                name: "restored to an older state",
                since: Some(position(1, 5, 50)),
                written: 0,
                position: position(1, 4, 40),
                nonce_then: None,
                result: Continuity::Broken(Break::WentBack),
            },
            Test {
                name: "restored to just before a write of ours",
                since: Some(position(1, 5, 50)),
                written: 7,
                position: position(1, 5, 50),
                nonce_then: Some(50),
                result: Continuity::Broken(Break::WentBack),
            },
            Test {
                name: "it went on by a write of ours",
                since: Some(position(1, 5, 50)),
                written: 7,
                position: position(1, 7, 70),
                nonce_then: Some(50),
                result: Continuity::Unbroken,
            },
            Test {
                name: "restored, and back at the same number by another way",
                since: Some(position(1, 5, 50)),
                written: 0,
                position: position(1, 5, 51),
                nonce_then: Some(51),
                result: Continuity::Broken(Break::AnotherHistory),
            },
            Test {
                name: "restored, and beyond by another way",
                since: Some(position(1, 5, 50)),
                written: 0,
                position: position(1, 9, 91),
                nonce_then: Some(51),
                result: Continuity::Broken(Break::AnotherHistory),
            },
            Test {
                name: "away for so long that the rows are pruned",
                since: Some(position(1, 5, 50)),
                written: 0,
                position: position(1, 90_000, 9),
                nonce_then: None,
                result: Continuity::Broken(Break::Gap),
            },
        ];
        for test in tests {
            let report = SyncReport {
                position: test.position,
                nonce_then: test.nonce_then,
                changes: Vec::new(),
            };
            let followed = Followed {
                applied: test.since,
                highest: test
                    .written
                    .max(test.since.map_or(0, |since| since.revision)),
                writes: 0,
                seamless: 0,
            };
            assert_eq!(continuity(followed, &report), test.result, "{}", test.name);
        }
    }
}
