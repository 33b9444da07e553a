//! What a caller may do to keys: pure functions from rows to a decision.
//!
//! They run inside the store's transaction, on rows that no other write can change meanwhile. The
//! cache never authorizes a write: a caller that was revoked elsewhere a moment ago is found dead
//! here, on its own row.
//!
//! The order within each function is that of the answers: the caller, its scope, values that only
//! the store's clock can judge, existence, authority, state.

use std::time::Duration;

use crate::key::{Environment, KeyDigest, KeyHint, KeyId};
use crate::principal::Principal;
use crate::scope::{Scope, ScopeSet};
use crate::store::{
    Decision, FoundKey, KeyName, KeyRecord, Owner, Provenance, Refusal, Revocation, Rows, Status,
    Subjects,
};
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

/// A key to be made.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) id: KeyId,
    pub(crate) digest: KeyDigest,
    pub(crate) hint: KeyHint,
    pub(crate) name: KeyName,
    pub(crate) owner: Owner,
    pub(crate) environment: Environment,
    pub(crate) scopes: ScopeSet,
    pub(crate) expiry: Expiry,
    /// Only if the store never had a key.
    pub(crate) only_first: bool,
}

/// When a new key's life ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expiry {
    /// With the life of the key that makes it; never, where no key does.
    #[default]
    AsCaller,
    /// Never.
    Never,
    /// At this moment, which must lie ahead.
    At(Timestamp),
    /// After this time, counted by the store's clock.
    In(Duration),
}

/// What to change in a key; `None` leaves it as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct KeyPatch {
    /// What a person calls it.
    pub name: Option<KeyName>,
    /// Whether it may be used.
    pub enabled: Option<bool>,
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
        Subjects { caller, target }
    }

    /// What this caller holds by its own row, provided that it is alive.
    fn power<'a>(&self, rows: &'a Rows) -> Result<Power<'a>, Refusal> {
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
enum Power<'a> {
    Unlimited,
    OfKey(&'a FoundKey),
}

impl Power<'_> {
    fn has(self, scope: &Scope) -> bool {
        match self {
            Self::Unlimited => true,
            Self::OfKey(row) => row.record.scopes.allows(scope),
        }
    }

    fn needs(self, scope: &Scope) -> Result<(), Refusal> {
        if self.has(scope) {
            Ok(())
        } else {
            Err(Refusal::CallerLacksScope)
        }
    }

    fn is(self, target: &KeyRecord) -> bool {
        matches!(self, Self::OfKey(row) if row.record.id == target.id)
    }

    /// Whether a key with these properties holds no more than the caller.
    fn covers(
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

    /// Whether the caller sees the keys of this owner at all.
    fn reaches(self, owner: &Owner) -> bool {
        match self {
            Self::Unlimited => true,
            Self::OfKey(row) => row.record.owner == *owner || self.has(&Scope::keys_admin()),
        }
    }

    fn target(self, rows: &Rows) -> Result<&KeyRecord, Refusal> {
        // Another owner's key and a missing one are the same to whoever may not see it.
        rows.target
            .as_ref()
            .filter(|target| self.reaches(&target.owner))
            .ok_or(Refusal::NotFound)
    }
}

pub(crate) fn create(caller: &Caller, draft: &Draft, rows: &Rows) -> Result<Decision, Refusal> {
    let power = caller.power(rows)?;
    power.needs(&Scope::keys_write())?;
    if draft.only_first && rows.ever_had_a_key {
        return Err(Refusal::NotTheFirst);
    }
    let expires_at = match (draft.expiry, power) {
        (Expiry::AsCaller, Power::OfKey(row)) => row.expires_at(),
        (Expiry::AsCaller, Power::Unlimited) | (Expiry::Never, _) => None,
        (Expiry::At(end), _) => Some(end),
        (Expiry::In(after), _) => Some(rows.now.checked_add(after).ok_or(Refusal::ExpiryTooFar)?),
    };
    if expires_at.is_some_and(|end| end <= rows.now) {
        return Err(Refusal::ExpiryInThePast);
    }
    if !power.reaches(&draft.owner) || !power.covers(&draft.scopes, &draft.environment, expires_at)
    {
        return Err(Refusal::ExceedsCaller);
    }
    let record = KeyRecord {
        id: draft.id.clone(),
        name: draft.name.clone(),
        owner: draft.owner.clone(),
        environment: draft.environment.clone(),
        hint: draft.hint.clone(),
        scopes: draft.scopes.clone(),
        enabled: true,
        created_at: rows.now,
        created_by: caller.provenance(),
        expires_at,
        revoked: None,
    };
    Ok(Decision::Insert {
        record,
        digest: draft.digest,
    })
}

pub(crate) fn update(caller: &Caller, patch: &KeyPatch, rows: &Rows) -> Result<Decision, Refusal> {
    let power = caller.power(rows)?;
    power.needs(&Scope::keys_write())?;
    let before = power.target(rows)?;
    let mut after = before.clone();
    if let Some(name) = &patch.name {
        after.name = name.clone();
    }
    if let Some(enabled) = patch.enabled {
        after.enabled = enabled;
    }
    // Taking away is allowed to whoever may write; giving back, and everything else, only to
    // whoever holds all that the key holds, before and after.
    let only_takes_away = patch.name.is_none() && patch.enabled != Some(true);
    let covers = |key: &KeyRecord| power.covers(&key.scopes, &key.environment, key.expires_at);
    let holds_enough = covers(before) && covers(&after);
    if !only_takes_away && !holds_enough {
        return Err(Refusal::ExceedsCaller);
    }
    match before.status(rows.now) {
        Status::Revoked => return Err(Refusal::KeyRevoked),
        Status::Expired => return Err(Refusal::KeyExpired),
        Status::Disabled | Status::Active => {}
    }
    if after == *before {
        return Ok(Decision::Keep);
    }
    Ok(Decision::Update(after))
}

pub(crate) fn revoke(
    caller: &Caller,
    reason: Option<&str>,
    rows: &Rows,
) -> Result<Decision, Refusal> {
    let power = caller.power(rows)?;
    // Whoever holds a key may end it; that takes no scope.
    let oneself = rows.target.as_ref().is_some_and(|target| power.is(target));
    if !oneself {
        power.needs(&Scope::keys_write())?;
    }
    let before = power.target(rows)?;
    if before.revoked.is_some() {
        // The first time and reason stay.
        return Ok(Decision::Keep);
    }
    let mut after = before.clone();
    after.revoked = Some(Revocation {
        at: rows.now,
        by: caller.provenance(),
        reason: reason.map(str::to_owned),
    });
    Ok(Decision::Update(after))
}
