//! On whose behalf a write is made, and what that one holds by its own row.

use crate::allowed_ips::{self, AllowedIps};
use crate::key::{Environment, KeyId};
use crate::principal::Principal;
use crate::resources::{self, Resources};
use crate::scope::{RoleSet, Roles, Scope, ScopeSet};
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
            ..Subjects::default()
        }
    }

    /// What this caller holds by its own row, provided that it is alive.
    pub(super) fn power<'a>(&self, roles: &'a Roles, rows: &'a Rows) -> Result<Power<'a>, Refusal> {
        if !matches!(self, Self::Key(_)) {
            return Ok(Power::Unlimited);
        }
        let row = rows.caller.as_ref().ok_or(Refusal::CallerDead)?;
        let secret_is_over = row.secret_expires_at.is_some_and(|end| end <= rows.now);
        if secret_is_over || row.record.status(rows.now) != Status::Active {
            return Err(Refusal::CallerDead);
        }
        Ok(Power::OfKey(Held {
            row,
            grants: roles.effective(&row.record.scopes, &row.record.roles),
            roles,
        }))
    }
}

/// What a living caller holds.
pub(super) enum Power<'a> {
    Unlimited,
    OfKey(Held<'a>),
}

/// What a key holds by its own row.
pub(super) struct Held<'a> {
    row: &'a FoundKey,
    /// Its scopes and roles together.
    grants: ScopeSet,
    roles: &'a Roles,
}

/// All of a key that its maker must hold as well.
pub(super) struct Extent<'a> {
    pub(super) scopes: &'a ScopeSet,
    pub(super) roles: &'a RoleSet,
    pub(super) resources: Option<&'a Resources>,
    pub(super) allowed_ips: Option<&'a AllowedIps>,
    pub(super) environment: &'a Environment,
    pub(super) expires_at: Option<Timestamp>,
}

impl<'a> Extent<'a> {
    pub(super) fn of(key: &'a KeyRecord) -> Self {
        Self {
            scopes: &key.scopes,
            roles: &key.roles,
            resources: key.resources.as_ref(),
            allowed_ips: key.allowed_ips.as_ref(),
            environment: &key.environment,
            expires_at: key.expires_at,
        }
    }
}

impl<'a> Power<'a> {
    pub(super) fn has(&self, scope: &Scope) -> bool {
        match self {
            Self::Unlimited => true,
            Self::OfKey(held) => held.grants.allows(scope),
        }
    }

    pub(super) fn needs(&self, scope: &Scope) -> Result<(), Refusal> {
        if self.has(scope) {
            Ok(())
        } else {
            Err(Refusal::CallerLacksScope)
        }
    }

    pub(super) fn is(&self, target: &KeyRecord) -> bool {
        matches!(self, Self::OfKey(held) if held.row.record.id == target.id)
    }

    /// The end of the caller's own life.
    pub(super) fn expires_at(&self) -> Option<Timestamp> {
        match self {
            Self::Unlimited => None,
            Self::OfKey(held) => held.row.expires_at(),
        }
    }

    /// Whether a key of this extent holds no more than the caller.
    pub(super) fn covers(&self, extent: &Extent<'_>) -> bool {
        match self {
            Self::Unlimited => true,
            Self::OfKey(held) => held.covers(extent),
        }
    }

    pub(super) fn covers_key(&self, key: &KeyRecord) -> bool {
        self.covers(&Extent::of(key))
    }

    /// Whether the caller sees the keys of this owner at all.
    pub(super) fn reaches(&self, owner: &Owner) -> bool {
        match self {
            Self::Unlimited => true,
            Self::OfKey(held) => held.row.record.owner == *owner || self.has(&Scope::keys_admin()),
        }
    }

    pub(super) fn target(&self, rows: &'a Rows) -> Result<&'a KeyRecord, Refusal> {
        // Another owner's key and a missing one are the same to whoever may not see it.
        rows.target
            .as_ref()
            .filter(|target| self.reaches(&target.owner))
            .ok_or(Refusal::NotFound)
    }
}

impl Held<'_> {
    fn covers(&self, extent: &Extent<'_>) -> bool {
        let own = &self.row.record;
        let outlives = match (extent.expires_at, self.row.expires_at()) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(end), Some(own)) => end > own,
        };
        // A role that is not known here may be known to another release, or again to the next:
        // only whoever has it hands it on.
        let mut unknown = self.roles.unknown(extent.roles);
        let grants = self.roles.effective(extent.scopes, extent.roles);
        self.grants.covers(&grants)
            && unknown.all(|role| own.roles.contains(role))
            && resources::covers(own.resources.as_ref(), extent.resources)
            && allowed_ips::covers(own.allowed_ips.as_ref(), extent.allowed_ips)
            && own.environment == *extent.environment
            && !outlives
    }
}
