//! What a policy allows, as far as a transaction can judge it.

use std::sync::Arc;
use std::time::Duration;

use super::caller::Power;
use crate::key::Environment;
use crate::scope::Scope;
use crate::store::{Refusal, Rows};
use crate::timestamp::Timestamp;

/// What callers are allowed who do not manage the keys of everybody. The default sets no limits.
#[derive(Clone, Debug, Default)]
pub(crate) struct Limits {
    /// How many keys of one owner may be neither revoked nor expired.
    pub(crate) live_keys: Option<u64>,
    /// How long after it was made a key may end.
    pub(crate) longest_life: Option<Duration>,
    /// Of which environments keys may be made.
    pub(crate) environments: Option<Arc<[Environment]>>,
}

impl Limits {
    const NONE: Self = Self {
        live_keys: None,
        longest_life: None,
        environments: None,
    };

    pub(super) fn environments(&self) -> Option<&[Environment]> {
        self.environments.as_deref()
    }

    /// The limits for a caller of this power.
    pub(super) fn on(&self, power: &Power<'_>) -> &Self {
        if is_bound(power) { self } else { &Self::NONE }
    }

    /// The latest end of a key that was made then; `None` is never.
    pub(super) fn latest_end(&self, made: Timestamp) -> Option<Timestamp> {
        let life = self.longest_life?;
        Some(made.checked_add(life).unwrap_or(Timestamp::MAX))
    }

    pub(super) fn permit_end(
        &self,
        made: Timestamp,
        end: Option<Timestamp>,
    ) -> Result<(), Refusal> {
        match (self.latest_end(made), end) {
            (None, _) => Ok(()),
            (Some(latest), Some(end)) if end <= latest => Ok(()),
            (Some(_), _) => Err(Refusal::LivesTooLong),
        }
    }

    pub(super) fn permit_environment(&self, environment: &Environment) -> Result<(), Refusal> {
        match &self.environments {
            Some(allowed) if !allowed.contains(environment) => Err(Refusal::EnvironmentNotAllowed),
            _ => Ok(()),
        }
    }

    /// One more key, of an owner whose keys were counted.
    pub(super) fn permit_one_more(&self, rows: &Rows) -> Result<(), Refusal> {
        if self.live_keys.is_some_and(|most| rows.live_keys >= most) {
            return Err(Refusal::KeyLimitReached);
        }
        Ok(())
    }
}

/// Whether limits are for this caller at all: whoever may manage the keys of everybody could have
/// a key made by another owner, too.
pub(super) fn is_bound(power: &Power<'_>) -> bool {
    !power.has(&Scope::keys_admin())
}
