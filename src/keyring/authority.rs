//! What a caller may do to keys: pure functions from rows to a decision.
//!
//! They run inside the store's transaction, on rows that no other write can change meanwhile. The
//! cache never authorizes a write: a caller that was revoked elsewhere a moment ago is found dead
//! here, on its own row.
//!
//! The order within each function is that of the answers: the caller, its scope, values that only
//! the store's clock can judge, existence, authority, state.

mod create;
mod update;

use std::time::Duration;

pub use self::create::Expiry;
pub(crate) use self::create::{Draft, create};
pub(crate) use self::update::update;
pub use self::update::{End, KeyPatch, Restrict};
use super::caller::Caller;
use crate::key::{Environment, KeyDigest, KeyHint};
use crate::scope::{Roles, Scope};
use crate::store::{
    Decision, Event, EventKind, KeyRecord, Previous, Refusal, Revocation, Rows, Status, Whose,
};
use crate::timestamp::Timestamp;

/// What the application lets keys do to themselves.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SelfService {
    /// Get another secret, or a longer life.
    pub(crate) renewal: bool,
}

/// A request for a rotation.
#[derive(Clone, Debug)]
pub(crate) struct Rotation {
    pub(crate) digest: KeyDigest,
    pub(crate) hint: KeyHint,
    /// That of the new secret.
    pub(crate) environment: Environment,
    /// How long the old secret goes on working.
    pub(crate) grace: Duration,
    pub(crate) self_service: SelfService,
}

pub(crate) fn rotate(
    caller: &Caller,
    rotation: &Rotation,
    roles: &Roles,
    rows: &Rows,
) -> Result<Decision, Refusal> {
    let power = caller.power(roles, rows)?;
    power.needs(&Scope::keys_write())?;
    let before = power.target(rows)?;
    if power.is(before) && !rotation.self_service.renewal {
        return Err(Refusal::OnOneself);
    }
    if !power.covers_key(before) {
        return Err(Refusal::ExceedsCaller);
    }
    changeable(before, rows)?;
    if before.environment != rotation.environment {
        return Err(Refusal::UndeclaredEnvironment);
    }
    let mut record = before.clone();
    record.hint = rotation.hint.clone();
    record.previous = previous(before, rotation.grace, rows);
    let mut event = event(EventKind::Rotated, caller, rows);
    event.detail.previous_until = record.previous.as_ref().map(|previous| previous.expires_at);
    Ok(Decision::Rotate {
        record,
        digest: rotation.digest,
        event,
    })
}

/// What becomes of the secret that a rotation replaces.
fn previous(before: &KeyRecord, grace: Duration, rows: &Rows) -> Option<Previous> {
    if grace.is_zero() {
        return None;
    }
    let end = rows.now.checked_add(grace).unwrap_or(Timestamp::MAX);
    Some(Previous {
        hint: before.hint.clone(),
        // Never later than the key.
        expires_at: before.expires_at.map_or(end, |key| key.min(end)),
        last_used_at: None,
    })
}

pub(crate) fn end_previous(
    caller: &Caller,
    roles: &Roles,
    rows: &Rows,
) -> Result<Decision, Refusal> {
    let power = caller.power(roles, rows)?;
    power.needs(&Scope::keys_write())?;
    let before = power.target(rows)?;
    if before.previous.is_none() {
        return Ok(Decision::Keep);
    }
    let mut record = before.clone();
    record.previous = None;
    Ok(Decision::EndPrevious {
        record,
        event: event(EventKind::PreviousEnded, caller, rows),
    })
}

pub(crate) fn revoke_all(
    caller: &Caller,
    whose: &Whose,
    reason: &str,
    roles: &Roles,
    rows: &Rows,
) -> Result<Decision, Refusal> {
    caller.power(roles, rows)?.needs(&Scope::keys_admin())?;
    Ok(Decision::RevokeAll {
        whose: whose.clone(),
        revocation: Revocation {
            at: rows.now,
            by: caller.provenance(),
            reason: Some(reason.to_owned()),
        },
    })
}

pub(crate) fn revoke(
    caller: &Caller,
    reason: Option<&str>,
    roles: &Roles,
    rows: &Rows,
) -> Result<Decision, Refusal> {
    let power = caller.power(roles, rows)?;
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
    let revocation = Revocation {
        at: rows.now,
        by: caller.provenance(),
        reason: reason.map(str::to_owned),
    };
    let event = revocation.event();
    let mut record = before.clone();
    record.revoked = Some(revocation);
    Ok(Decision::Update { record, event })
}

fn event(what: EventKind, caller: &Caller, rows: &Rows) -> Event {
    Event::new(what, caller.provenance(), rows.now)
}

fn lies_ahead(end: Option<Timestamp>, rows: &Rows) -> Result<(), Refusal> {
    if end.is_some_and(|end| end <= rows.now) {
        return Err(Refusal::ExpiryInThePast);
    }
    Ok(())
}

/// A dead key stays as it is.
fn changeable(key: &KeyRecord, rows: &Rows) -> Result<(), Refusal> {
    match key.status(rows.now) {
        Status::Revoked => Err(Refusal::KeyRevoked),
        Status::Expired => Err(Refusal::KeyExpired),
        Status::Disabled | Status::Active => Ok(()),
    }
}
