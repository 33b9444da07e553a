//! Whether a key may be changed, and what it becomes.

use super::{SelfService, changeable, event, lies_ahead};
use crate::allowed_ips::AllowedIps;
use crate::keyring::caller::{Caller, Extent};
use crate::keyring::limits::Limits;
use crate::resources::Resources;
use crate::scope::{RoleSet, Roles, Scope, ScopeSet};
use crate::store::{Decision, Event, EventKind, KeyName, KeyRecord, Metadata, Refusal, Rows};
use crate::timestamp::Timestamp;

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
