//! Leaving a failing store alone, and finding out soon that it is back.
//!
//! After a failure the store is not asked for about 100 ms. Requests that miss meanwhile are not
//! refused: they wait, within their own deadline, for one probe. If it is answered, all go on; if
//! it fails, all are told so. A store that fails thus gets about ten questions a second, however
//! many requests there are, and the first request after its recovery is answered.

use std::collections::HashMap;
use std::sync::PoisonError;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::authorize::Unavailable;
use super::concurrency::{Mutex, MutexGuard};
use crate::key::KeyDigest;

const PAUSE: Duration = Duration::from_millis(100);

/// Digests whose rows could not be read; more at a time are not told apart.
const COOLED_DIGESTS: usize = 1_024;

/// What a look-up said of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Answered,
    Failed,
    /// It was cut off before it had the time that a look-up should have.
    CutOff,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Healthy,
    /// Until then nobody asks, and then one.
    Cooling(Instant),
    /// That one is asking.
    Probing,
}

pub(crate) struct Cooldown {
    phase: watch::Sender<Phase>,
    digests: Mutex<HashMap<KeyDigest, Instant>>,
}

/// The right to ask the store once. Dropped without a verdict it counts as answered: what panics
/// is the reading of one row, and cools that digest alone.
pub(crate) struct Pass<'a> {
    cooldown: &'a Cooldown,
    probe: bool,
}

impl Cooldown {
    pub(crate) fn new() -> Self {
        Self {
            phase: watch::Sender::new(Phase::Healthy),
            digests: Mutex::default(),
        }
    }

    /// Waits for leave to ask the store. Fails when the probe fails that was waited for.
    pub(crate) async fn admit(&self) -> Result<Pass<'_>, Unavailable> {
        let mut phase = self.phase.subscribe();
        let mut waited_in = None;
        loop {
            let seen = *phase.borrow_and_update();
            match seen {
                Phase::Healthy => return Ok(self.pass(false)),
                // Another pause than the one before: the probe in between failed, maybe so fast
                // that it was not seen.
                Phase::Cooling(_) if waited_in.is_some_and(|phase| phase != seen) => {
                    return Err(Unavailable::StoreFailed);
                }
                Phase::Cooling(until) => tokio::select! {
                    () = sleep_until(until) => {
                        if self.advance(seen, Phase::Probing) {
                            return Ok(self.pass(true));
                        }
                    }
                    // The sender is a field of `self`: this cannot fail.
                    _ = phase.changed() => {}
                },
                Phase::Probing => drop(phase.changed().await),
            }
            waited_in = Some(seen);
        }
    }

    fn pass(&self, probe: bool) -> Pass<'_> {
        Pass {
            cooldown: self,
            probe,
        }
    }

    /// From one phase to another, unless somebody else moved on first.
    fn advance(&self, from: Phase, to: Phase) -> bool {
        self.phase.send_if_modified(|phase| {
            let same = *phase == from;
            if same {
                *phase = to;
            }
            same
        })
    }

    /// Waits while this digest is left alone, because its row could not be read.
    pub(crate) async fn digest_is_cool(&self, digest: &KeyDigest) {
        let until = self.digests().get(digest).copied();
        if let Some(until) = until {
            sleep_until(until).await;
        }
    }

    pub(crate) fn cool_digest(&self, digest: KeyDigest) {
        let now = Instant::now();
        let mut digests = self.digests();
        if digests.len() >= COOLED_DIGESTS {
            digests.retain(|_, until| *until > now);
        }
        if digests.len() < COOLED_DIGESTS {
            digests.insert(digest, now + pause());
        }
    }

    fn digests(&self) -> MutexGuard<'_, HashMap<KeyDigest, Instant>> {
        self.digests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a look-up would have to wait, because the last one failed: until its pause is over,
    /// and then until the one who asks has an answer.
    pub(crate) fn leaves_the_store_alone(&self) -> bool {
        match *self.phase.borrow() {
            Phase::Healthy => false,
            Phase::Cooling(until) => Instant::now() < until,
            Phase::Probing => true,
        }
    }

    pub(crate) fn is_healthy(&self) -> bool {
        *self.phase.borrow() == Phase::Healthy
    }
}

impl Pass<'_> {
    pub(crate) fn settle(self, verdict: Verdict) {
        let cooling = Phase::Cooling(Instant::now() + pause());
        match (self.probe, verdict) {
            // A look-up that began before the failure says nothing of the store after it; and
            // that a probe was answered is said by its drop.
            (_, Verdict::Answered) | (false, Verdict::CutOff) => {}
            (true, Verdict::Failed | Verdict::CutOff) => {
                self.cooldown.advance(Phase::Probing, cooling);
            }
            (false, Verdict::Failed) => {
                self.cooldown.advance(Phase::Healthy, cooling);
            }
        }
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if self.probe {
            self.cooldown.advance(Phase::Probing, Phase::Healthy);
        }
    }
}

/// The pause, spread by a quarter both ways, so that replicas do not probe in step.
fn pause() -> Duration {
    let half = PAUSE / 2;
    // Without random bytes replicas may probe in step, which does no harm.
    let random = getrandom::u32().unwrap_or(u32::MAX / 2);
    PAUSE * 3 / 4 + half.mul_f64(f64::from(random) / f64::from(u32::MAX))
}
