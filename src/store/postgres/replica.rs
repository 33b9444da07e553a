//! Look-ups elsewhere than at the primary: at a read replica, or through a pooler.
//!
//! A comfort, like every other source of answers that the primary would give as well: where it does
//! not answer soon, the primary is asked at once, and for a moment everything goes there. What it
//! answers may be old. The revision that comes with each answer says how old, and the keyring asks
//! again where that is not enough.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::connections::Connections;
use super::guard::within;
use super::read::{self, Form};
use crate::key::KeyDigest;
use crate::store::LookUp;

/// How long an answer is waited for. Whoever asks has to go to the primary within the same deadline.
const PATIENCE: Duration = Duration::from_millis(150);

/// How long it is left alone after it did not answer.
const REST: Duration = Duration::from_secs(1);

#[derive(Clone)]
pub(super) struct Replica {
    connections: Connections,
    form: Form,
    /// Until when it is left alone, while it does not answer.
    rests: Arc<Mutex<Option<Instant>>>,
}

impl Replica {
    pub(super) fn new(connections: Connections, form: Form) -> Self {
        Self {
            connections,
            form,
            rests: Arc::default(),
        }
    }

    /// `None` if the primary is to be asked instead.
    pub(super) async fn look_up(&self, digest: KeyDigest) -> Option<LookUp> {
        let was_silent = self.try_again()?;
        let work = read::look_up(&self.connections, digest, self.form);
        match within(PATIENCE, "looking up a key at the replica", work).await {
            Ok(look_up) => {
                if was_silent {
                    *self.rests() = None;
                    tracing::info!("the source of look-ups answers again");
                }
                Some(look_up)
            }
            Err(error) => {
                // Once for each outage.
                if self.rests().replace(Instant::now() + REST).is_none() {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "the source of look-ups does not answer: they go to the primary"
                    );
                }
                None
            }
        }
    }

    /// Whether it did not answer the last time. `None` while it is left alone. When that is over, one
    /// look-up at a time finds out whether it is back.
    fn try_again(&self) -> Option<bool> {
        let mut rests = self.rests();
        let Some(until) = *rests else {
            return Some(false);
        };
        let now = Instant::now();
        (until <= now).then(|| {
            *rests = Some(now + REST);
            true
        })
    }

    fn rests(&self) -> MutexGuard<'_, Option<Instant>> {
        self.rests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use sqlx::postgres::PgConnectOptions;
    use tokio::sync::watch;
    use tokio::time::advance;

    use super::*;
    use crate::store::postgres::guard::Guard;

    #[tokio::test(start_paused = true)]
    async fn one_at_a_time_finds_out_whether_it_is_back() {
        let nowhere = PgConnectOptions::new_without_pgpass().socket("/nonexistent");
        let (_never, silences) = watch::channel(0);
        let connections = Connections::new(nowhere, 1, Guard::new(silences));
        let replica = Replica::new(connections, Form::Prepared);
        assert_eq!(replica.try_again(), Some(false));
        assert!(
            replica
                .look_up(KeyDigest::from_bytes([7; 32]))
                .await
                .is_none()
        );
        assert_eq!(replica.try_again(), None, "it is left alone");
        advance(REST).await;
        assert_eq!(replica.try_again(), Some(true));
        assert_eq!(replica.try_again(), None, "somebody is at it");
        advance(REST).await;
        assert_eq!(
            replica.try_again(),
            Some(true),
            "who may never have come back"
        );
    }
}
