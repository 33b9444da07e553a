//! Whether a key may be made, and what it becomes.

use std::time::Duration;

use super::{changeable, event, lies_ahead};
use crate::allowed_ips::AllowedIps;
use crate::key::{Environment, KeyDigest, KeyHint, KeyId};
use crate::keyring::caller::{Caller, Power};
use crate::keyring::limits::Limits;
use crate::resources::Resources;
use crate::scope::{RoleSet, Roles, Scope, ScopeSet};
use crate::store::{
    Decision, EventKind, KeyName, KeyRecord, Metadata, Owner, Refusal, Replay, Rows,
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

fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
