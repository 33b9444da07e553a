//! On whose behalf a write is made, and what that one holds by its own row.

use crate::key::{Environment, KeyId};
use crate::principal::Principal;
use crate::scope::{Scope, ScopeSet};
use crate::store::{FoundKey, KeyRecord, Owner, Provenance, Refusal, Rows, Status, Subjects};
use crate::timestamp::Timestamp;

/// On whose behalf a write is made.
#[derive(Clone, Debug)]
pub(crate) enum Caller {
    /// The application itself: everything is allowed.
    System,
    /// The bootstrap admin token: everything is allowed.
    #[cfg(feature = "admin")]
    AdminToken,
    /// A key, which hands on only what it holds.
    #[cfg_attr(
        not(feature = "admin"),
        expect(dead_code, reason = "only the admin router acts for keys")
    )]
    Key(Principal),
}

impl Caller {
    pub(crate) fn provenance(&self) -> Provenance {
        match self {
            Self::System => Provenance::System,
            #[cfg(feature = "admin")]
            Self::AdminToken => Provenance::AdminToken,
            Self::Key(principal) => Provenance::Key(principal.key_id().clone()),
        }
    }

    /// The rows that a decision for this caller needs.
    pub(crate) fn subjects(&self, target: Option<KeyId>) -> Subjects {
        let caller = if let Self::Key(principal) = self {
            Some(principal.digest())
        } else {
            None
        };
        Subjects {
            caller,
            target,
            replay: None,
        }
    }

    /// What this caller holds by its own row, provided that it is alive.
    pub(super) fn power<'a>(&self, rows: &'a Rows) -> Result<Power<'a>, Refusal> {
        if !matches!(self, Self::Key(_)) {
            return Ok(Power::Unlimited);
        }
        let row = rows.caller.as_ref().ok_or(Refusal::CallerDead)?;
        let secret_is_over = row.secret_expires_at.is_some_and(|end| end <= rows.now);
        if secret_is_over || row.record.status(rows.now) != Status::Active {
            return Err(Refusal::CallerDead);
        }
        Ok(Power::OfKey(row))
    }
}

/// What a living caller holds.
#[derive(Clone, Copy)]
pub(super) enum Power<'a> {
    Unlimited,
    OfKey(&'a FoundKey),
}

impl Power<'_> {
    pub(super) fn has(self, scope: &Scope) -> bool {
        match self {
            Self::Unlimited => true,
            Self::OfKey(row) => row.record.scopes.allows(scope),
        }
    }

    pub(super) fn needs(self, scope: &Scope) -> Result<(), Refusal> {
        if self.has(scope) {
            Ok(())
        } else {
            Err(Refusal::CallerLacksScope)
        }
    }

    pub(super) fn is(self, target: &KeyRecord) -> bool {
        matches!(self, Self::OfKey(row) if row.record.id == target.id)
    }

    /// Whether a key with these properties holds no more than the caller.
    pub(super) fn covers(
        self,
        scopes: &ScopeSet,
        environment: &Environment,
        expires_at: Option<Timestamp>,
    ) -> bool {
        let Self::OfKey(row) = self else { return true };
        let outlives = match (expires_at, row.expires_at()) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(end), Some(own)) => end > own,
        };
        row.record.scopes.covers(scopes) && row.record.environment == *environment && !outlives
    }

    pub(super) fn covers_key(self, key: &KeyRecord) -> bool {
        self.covers(&key.scopes, &key.environment, key.expires_at)
    }

    /// Whether the caller sees the keys of this owner at all.
    pub(super) fn reaches(self, owner: &Owner) -> bool {
        match self {
            Self::Unlimited => true,
            Self::OfKey(row) => row.record.owner == *owner || self.has(&Scope::keys_admin()),
        }
    }

    pub(super) fn target(self, rows: &Rows) -> Result<&KeyRecord, Refusal> {
        // Another owner's key and a missing one are the same to whoever may not see it.
        rows.target
            .as_ref()
            .filter(|target| self.reaches(&target.owner))
            .ok_or(Refusal::NotFound)
    }
}
