//! What a caller may do to keys: pure functions from rows to a decision.
//!
//! They run inside the store's transaction, on rows that no other write can change meanwhile. The
//! cache never authorizes a write: a caller that was revoked elsewhere a moment ago is found dead
//! here, on its own row.
//!
//! The order within each function is that of the answers: the caller, its scope, values that only
//! the store's clock can judge, existence, authority, state.

use std::time::Duration;

use super::caller::{Caller, Extent, Power};
use super::limits::Limits;
use crate::allowed_ips::AllowedIps;
use crate::key::{Environment, KeyDigest, KeyHint, KeyId};
use crate::resources::Resources;
use crate::scope::{RoleSet, Roles, Scope, ScopeSet};
use crate::store::{
    Decision, Event, EventKind, KeyName, KeyRecord, Metadata, Owner, Previous, Refusal, Replay,
    Revocation, Rows, Status, Whose,
};
use crate::timestamp::Timestamp;

/// How long a request is recognised when it comes again.
const REPLAY_KEPT: Duration = Duration::from_hours(24);

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
    pub(crate) roles: RoleSet,
    pub(crate) resources: Option<Resources>,
    pub(crate) allowed_ips: Option<AllowedIps>,
    pub(crate) expiry: Expiry,
    pub(crate) metadata: Metadata,
    /// Whether the secret was made elsewhere, so that another key may have, or have had, its digest.
    pub(crate) made_elsewhere: bool,
    /// Only if the store never had a key.
    pub(crate) only_first: bool,
    /// A digest of what is asked for, if the request can be recognised when it comes again.
    pub(crate) request: Option<[u8; 32]>,
    /// What the policy allows whoever asks.
    pub(crate) limits: Limits,
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
    /// What it grants by itself, all of it.
    pub scopes: Option<ScopeSet>,
    /// What it grants besides, all of it.
    pub roles: Option<RoleSet>,
    /// What it may be used on.
    pub resources: Option<Restrict<Resources>>,
    /// Where it may be used from.
    pub allowed_ips: Option<Restrict<AllowedIps>>,
    /// When its life ends.
    pub expires_at: Option<End>,
    /// What the application keeps beside it, all of it.
    pub metadata: Option<Metadata>,
}

/// The end of a life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It has none.
    Never,
    /// At this moment, which must lie ahead.
    At(Timestamp),
}

impl From<End> for Option<Timestamp> {
    fn from(end: End) -> Self {
        match end {
            End::Never => None,
            End::At(end) => Some(end),
        }
    }
}

/// What becomes of a restriction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Restrict<T> {
    /// There is none any more.
    Lift,
    /// This one, in the place of what was there.
    To(T),
}

impl<T> From<Restrict<T>> for Option<T> {
    fn from(restrict: Restrict<T>) -> Self {
        match restrict {
            Restrict::Lift => None,
            Restrict::To(restriction) => Some(restriction),
        }
    }
}

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

pub(crate) fn create(
    caller: &Caller,
    draft: &Draft,
    roles: &Roles,
    rows: &Rows,
) -> Result<Decision, Refusal> {
    let power = caller.power(roles, rows)?;
    power.needs(&Scope::keys_write())?;
    if draft.only_first && rows.ever_had_a_key {
        return Err(Refusal::NotTheFirst);
    }
    if let (Some(replay), Some(request)) = (&rows.replay, draft.request) {
        if replay.request != request {
            return Err(Refusal::ReplayDiffers);
        }
        // Its key may have been deleted by hand since; then this makes another.
        if let Some(made) = &rows.target {
            return repeat(caller, &power, draft, made, rows);
        }
    }
    let limits = draft.limits.on(&power);
    let expires_at = match draft.expiry {
        Expiry::AsCaller => earlier(power.expires_at(), limits.latest_end(rows.now)),
        Expiry::Never => None,
        Expiry::At(end) => Some(end),
        Expiry::In(after) => Some(rows.now.checked_add(after).ok_or(Refusal::ExpiryTooFar)?),
    };
    lies_ahead(expires_at, rows)?;
    limits.permit_end(rows.now, expires_at)?;
    limits.permit_environment(&draft.environment)?;
    let record = KeyRecord {
        id: draft.id.clone(),
        name: draft.name.clone(),
        owner: draft.owner.clone(),
        environment: draft.environment.clone(),
        hint: draft.hint.clone(),
        scopes: draft.scopes.clone(),
        roles: draft.roles.clone(),
        resources: draft.resources.clone(),
        allowed_ips: draft.allowed_ips.clone(),
        enabled: true,
        created_at: rows.now,
        created_by: caller.provenance(),
        expires_at,
        revoked: None,
        metadata: draft.metadata.clone(),
        last_used_at: None,
        previous: None,
    };
    if !power.reaches(&record.owner) || !power.covers_key(&record) {
        return Err(Refusal::ExceedsCaller);
    }
    let holder = rows.digest_holder.as_ref();
    if holder.is_some_and(|holder| holder.owner == record.owner) {
        return Err(Refusal::DigestTaken);
    }
    // Before it is told that others have, or had, the digest: whoever can make no key could try
    // digests without limit.
    limits.permit_one_more(rows)?;
    if holder.is_some() || rows.digest_ended {
        return Err(Refusal::DigestTaken);
    }
    let replay = draft.request.map(|request| Replay {
        request,
        made: record.id.clone(),
        expires_at: rows.now.checked_add(REPLAY_KEPT).unwrap_or(Timestamp::MAX),
    });
    let what = if draft.made_elsewhere {
        EventKind::Imported
    } else {
        EventKind::Created
    };
    Ok(Decision::Insert {
        record,
        digest: draft.digest,
        replay,
        event: event(what, caller, rows),
    })
}

/// The same request again: its answer was lost, and with it the secret. The key stays, and gets
/// another secret, if all that held when it was made still holds. One that was made elsewhere has
/// not lost its secret.
fn repeat(
    caller: &Caller,
    power: &Power<'_>,
    draft: &Draft,
    made: &KeyRecord,
    rows: &Rows,
) -> Result<Decision, Refusal> {
    // What was left open then may be filled in otherwise now.
    if made.environment != draft.environment {
        return Err(Refusal::ReplayDiffers);
    }
    if !power.reaches(&made.owner) || !power.covers_key(made) {
        return Err(Refusal::ExceedsCaller);
    }
    changeable(made, rows)?;
    if draft.made_elsewhere {
        return Ok(Decision::Keep);
    }
    let mut record = made.clone();
    record.hint = draft.hint.clone();
    record.previous = None;
    let mut event = event(EventKind::Rotated, caller, rows);
    event.detail.repeated = true;
    Ok(Decision::Rotate {
        record,
        digest: draft.digest,
        event,
    })
}

pub(crate) fn update(
    caller: &Caller,
    patch: &KeyPatch,
    self_service: SelfService,
    limits: &Limits,
    roles: &Roles,
    rows: &Rows,
) -> Result<Decision, Refusal> {
    let power = caller.power(roles, rows)?;
    power.needs(&Scope::keys_write())?;
    let limits = limits.on(&power);
    let end = patch.expires_at.map(Option::<Timestamp>::from);
    if let Some(end) = end {
        lies_ahead(end, rows)?;
        // What is too late for a key that is made now is too late for each that is there.
        limits.permit_end(rows.now, end)?;
    }
    let before = power.target(rows)?;
    if let Some(end) = end {
        // From its making: or else a key that is extended in time would never end.
        limits.permit_end(before.created_at, end)?;
    }
    let after = patched(before, patch);
    // Taking away is allowed to whoever may write; giving back, and everything else, only to
    // whoever holds all that the key holds, before and after.
    let only_disables = KeyPatch {
        enabled: patch.enabled.filter(|enabled| !enabled),
        ..KeyPatch::default()
    };
    if *patch != only_disables {
        let extends = match (before.expires_at, after.expires_at) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(before), Some(after)) => after > before,
        };
        let extends_itself = extends && power.is(before);
        if extends_itself && !self_service.renewal {
            return Err(Refusal::OnOneself);
        }
        let mut extent = Extent::of(&after);
        // A key that may extend itself holds, in that one respect, more than it has.
        if extends_itself {
            extent.expires_at = before.expires_at;
        }
        if !power.covers_key(before) || !power.covers(&extent) {
            return Err(Refusal::ExceedsCaller);
        }
    }
    changeable(before, rows)?;
    if after == *before {
        return Ok(Decision::Keep);
    }
    let event = changed(before, &after, event(EventKind::Changed, caller, rows));
    Ok(Decision::Update {
        record: after,
        event,
    })
}

fn patched(before: &KeyRecord, patch: &KeyPatch) -> KeyRecord {
    let KeyPatch {
        name,
        enabled,
        scopes,
        roles,
        resources,
        allowed_ips,
        expires_at,
        metadata,
    } = patch.clone();
    let mut after = before.clone();
    after.name = name.unwrap_or(after.name);
    after.enabled = enabled.unwrap_or(after.enabled);
    after.scopes = scopes.unwrap_or(after.scopes);
    after.roles = roles.unwrap_or(after.roles);
    after.resources = resources.map_or(after.resources, Restrict::into);
    after.allowed_ips = allowed_ips.map_or(after.allowed_ips, Restrict::into);
    after.metadata = metadata.unwrap_or(after.metadata);
    after.expires_at = expires_at.map_or(after.expires_at, End::into);
    after
}

/// What a change was.
fn changed(before: &KeyRecord, after: &KeyRecord, mut event: Event) -> Event {
    let fields = [
        ("name", before.name != after.name),
        ("enabled", before.enabled != after.enabled),
        ("scopes", before.scopes != after.scopes),
        ("roles", before.roles != after.roles),
        ("resources", before.resources != after.resources),
        ("allowed_ips", before.allowed_ips != after.allowed_ips),
        ("expires_at", before.expires_at != after.expires_at),
        ("metadata", before.metadata != after.metadata),
    ];
    let fields = fields.into_iter().filter(|(_, differs)| *differs);
    let fields: Vec<_> = fields.map(|(field, _)| field.into()).collect();
    match (&*fields, after.enabled) {
        ([enabled], true) if enabled == "enabled" => event.what = EventKind::Enabled,
        ([enabled], false) if enabled == "enabled" => event.what = EventKind::Disabled,
        _ => {
            let switched = before.enabled != after.enabled;
            event.detail.enabled = switched.then_some(after.enabled);
            event.detail.fields = fields;
        }
    }
    event
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

fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
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
