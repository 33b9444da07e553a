//! What a flight asks the store, and what it may believe of the answer.
//!
//! A row counts if it is from the history that is followed and not older than what is known of it.
//! The store that takes the writes is believed for the moment at which it was asked. A read replica
//! may lag behind by any time: its row counts as of the lease, and against the tag as it is then;
//! where that is not enough, and where there is no lease, the primary is asked. A primary that is
//! behind what is known has lost something: nobody is given its row, and a sync finds out. One that
//! calls a key alive which was seen revoked has lost something too, whatever its revision is.

use std::sync::Arc;

use tokio::sync::SemaphorePermit;
use tokio::time::{Instant, timeout_at};

use super::Inner;
use super::authorize::Unavailable;
use super::cache::LOOKED_AT_AGAIN;
use super::cooldown::{Pass, Verdict};
use super::flight::{Flight, Landing};
use super::freshness::Reading;
use super::last_used::Usage;
use crate::clock::BootTime;
use crate::key::KeyId;
use crate::principal::{Known, Span, Standing};
use crate::store::{LookUp, Source, StoreError, StoreErrorKind};

impl Flight {
    pub(super) async fn look_up(&mut self) -> Landing {
        let inner = Arc::clone(&self.inner);
        let flights = &inner.flights;
        let deadline = Instant::now() + flights.deadline;
        let (_permit, pass) = match self.turn(&inner, deadline).await {
            Ok(turn) => turn,
            Err(why) => return Landing::Unavailable(why),
        };
        let asked = Instant::now();
        let answer = timeout_at(deadline, self.ask()).await;
        match answer {
            Ok(Ok(row)) => {
                pass.settle(Verdict::Answered);
                row.map_or(Landing::Unavailable(Unavailable::Behind), |row| {
                    self.read(row)
                })
            }
            Ok(Err(error)) if error.kind() == StoreErrorKind::Corrupt => {
                report(&error);
                pass.settle(Verdict::Answered);
                inner.cooldown.cool_digest(self.question.digest);
                Landing::Unavailable(Unavailable::Corrupt)
            }
            Ok(Err(error)) => {
                report(&error);
                pass.settle(Verdict::Failed);
                Landing::Unavailable(Unavailable::StoreFailed)
            }
            // Most of the time went by in the queue, which is no fault of the store's.
            Err(_) if asked.elapsed() < flights.deadline / 2 => {
                pass.settle(Verdict::CutOff);
                Landing::Unavailable(Unavailable::Overloaded)
            }
            Err(_) => {
                tracing::warn!(deadline = ?flights.deadline, "a look-up did not end within its deadline");
                pass.settle(Verdict::Failed);
                Landing::Unavailable(Unavailable::Deadline)
            }
        }
    }

    /// Waits for a turn: after a failure the store, or this one digest, is left alone for a
    /// moment; and only so many look-ups run at a time.
    async fn turn<'a>(
        &self,
        inner: &'a Inner,
        deadline: Instant,
    ) -> Result<(SemaphorePermit<'a>, Pass<'a>), Unavailable> {
        let cool = inner.cooldown.digest_is_cool(&self.question.digest);
        timeout_at(deadline, cool)
            .await
            .map_err(|_| Unavailable::Corrupt)?;
        let lane = if self.once_found {
            &inner.flights.known
        } else {
            &inner.flights.unknown
        };
        // One whose turn comes at its last moment would be cut off before it is answered: the store
        // has the work and nobody the answer, and so it goes with all that wait behind it. An
        // overload that has passed would then never be over.
        let turn_by = deadline - inner.flights.deadline / 2;
        let Ok(Ok(permit)) = timeout_at(turn_by, lane.acquire()).await else {
            // Those in front wait for a store that has failed, and so did this one.
            let failed = inner.cooldown.leaves_the_store_alone();
            return Err(if failed {
                Unavailable::StoreFailed
            } else {
                Unavailable::Overloaded
            });
        };
        // Again, since those before it in the lane may have spent the rest.
        if !self.once_found && inner.budget.is_spent(inner.clock.boot()) {
            return Err(Unavailable::TooManyUnknown);
        }
        let pass = timeout_at(deadline, inner.cooldown.admit())
            .await
            .map_err(|_| Unavailable::StoreFailed)??;
        Ok((permit, pass))
    }

    /// The row, or nothing where even the primary has none to be believed.
    async fn ask(&mut self) -> Result<Option<LookUp>, StoreError> {
        let inner = Arc::clone(&self.inner);
        inner.agreement.hold(&inner.store).await?;
        // Without a lease a read replica's row would count for no moment at all.
        if self.lease().is_some() {
            let row = self.ask_of(Source::Any).await?;
            if row.primary {
                return self.settle(row).await;
            }
            if let Some(since) = self.vouched_for(&row) {
                self.as_of = self.as_of.min(since);
                return Ok(Some(row));
            }
        }
        let row = self.ask_of(Source::Primary).await?;
        self.settle(row).await
    }

    /// What the primary said, if it can be believed.
    async fn settle(&mut self, row: LookUp) -> Result<Option<LookUp>, StoreError> {
        let Some(row) = self.of_primary(row) else {
            return Ok(None);
        };
        if self.forgotten(&row).is_none() {
            return Ok(Some(row));
        }
        // A revoked key, alive. It may have been revoked while this row was on its way; what is
        // asked for now shows every revocation that was seen before.
        let row = self.ask_of(Source::Primary).await?;
        let row = self.of_primary(row);
        if let Some(row) = &row
            && let Some(key) = self.forgotten(row)
        {
            self.inner.break_found(row.revision);
            tracing::warn!(
                target: "portcullis::history",
                %key,
                "a key that was seen revoked is alive in the store, and stays refused"
            );
        }
        Ok(row)
    }

    async fn ask_of(&mut self, source: Source) -> Result<LookUp, StoreError> {
        // The age of the answer counts from before the question was sent.
        self.asked = self.inner.clock.boot();
        self.as_of = self.asked;
        let digest = &self.question.digest;
        self.inner.store.look_up(digest, source).await
    }

    /// What the primary said, if it can be believed.
    fn of_primary(&self, row: LookUp) -> Option<LookUp> {
        let same_store = self.epoch.store.is_none_or(|store| store == row.store);
        if row.primary && same_store && !self.question.tag.is_ahead_of(row.revision) {
            self.inner.timeline.saw(self.epoch.number, row.revision);
            return Some(row);
        }
        // Its history broke, or it takes writes no more. The next sync finds which.
        self.inner.wake.notify_one();
        None
    }

    /// Since when a read replica's row may be taken to hold, if it may be taken at all.
    fn vouched_for(&self, row: &LookUp) -> Option<BootTime> {
        // A key that was made a moment ago may be in the customer's hands already, and in the tags
        // only after the next sync. It is told to be no key by the primary or by nobody.
        row.found.as_ref()?;
        if self.forgotten(row).is_some() {
            return None;
        }
        // Since a restore or a failover that lost changes, a standby may follow the past that was
        // left, whose revisions say nothing. The operator knows which one it follows.
        if self.epoch.refuses_seen_revoked {
            return None;
        }
        let reading = self.lease()?;
        let same_store = self.epoch.store == Some(row.store);
        // Against the tag of now, which goes with the lease of now, and may have moved since the
        // question: what moved it may be what the replica has not heard of.
        (same_store && !reading.tag.is_ahead_of(row.revision))
            .then(|| BootTime::from_nanos(reading.synced_at))
    }

    /// The lease and the tags as they are now, unless the lease is over.
    fn lease(&self) -> Option<Reading> {
        let shard = self.question.digest.shard().into();
        let reading = self.epoch.freshness.read(shard);
        let now = self.inner.clock.boot().as_nanos();
        reading
            .is_trusted(now, self.inner.max_staleness_nanos)
            .then_some(reading)
    }

    /// The key that this row calls alive although it was seen revoked.
    fn forgotten<'a>(&self, row: &'a LookUp) -> Option<&'a KeyId> {
        let record = &row.found.as_ref()?.record;
        let alive = record.revoked.is_none();
        (alive && self.inner.seen_revoked.contains(&record.id)).then_some(&record.id)
    }

    fn read(&self, row: LookUp) -> Landing {
        let began = self.asked;
        // Also of a row from before the revocation, which was made while it was on its way.
        let refused = self.forgotten(&row).is_some();
        let LookUp {
            now,
            found,
            primary,
            ..
        } = row;
        let Some(found) = found else {
            return Landing::Unknown;
        };
        // A standby may be ahead of what the primary has acknowledged, and of what it will keep.
        if primary && found.record.revoked.is_some() {
            let seen_revoked = &self.inner.seen_revoked;
            seen_revoked.read_as_revoked([&found.record.id]);
        }
        // The remaining life as the store sees it, laid on the boot clock from before the
        // question was sent: the end comes early by the time of the look-up, never late.
        let ends = found.expires_at().map(|end| {
            let remaining = end.saturating_duration_since(now);
            began.saturating_add(remaining)
        });
        let (digest, tag) = (self.question.digest, self.question.tag.positive);
        let usage = self.epoch.cache.usage(&digest).unwrap_or_else(|| {
            // What another replica, or this one before a restart, wrote down counts as well.
            let usage = found.secret_last_used_at.map(|used| {
                let ago = now.saturating_duration_since(used);
                Usage::noted_at(began.saturating_sub(ago))
            });
            Arc::new(usage.unwrap_or_default())
        });
        let look_again = began.saturating_add(LOOKED_AT_AGAIN);
        let span = Span { look_again, ends };
        let roles = &self.inner.roles;
        let unknown: Vec<_> = roles.unknown(&found.record.roles).collect();
        if !unknown.is_empty() {
            let key = &found.record.id;
            tracing::warn!(%key, ?unknown, "a key has roles that are not known, and grant nothing");
        }
        let mut known = Known::new(found, digest, tag, span, usage, roles);
        known.share(&self.inner.shared);
        if refused {
            known.standing = Standing::Revoked;
        }
        Landing::Found(Arc::new(known))
    }
}

fn report(error: &StoreError) {
    tracing::warn!(error = error as &dyn std::error::Error, "a look-up failed");
}
