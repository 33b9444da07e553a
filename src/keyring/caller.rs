//! On whose behalf a write is made, and what that one holds by its own row.

use std::slice;
#[cfg(feature = "admin")]
use std::sync::Arc;

#[cfg(feature = "admin")]
use super::session::Session;
use crate::allowed_ips::{self, AllowedIps};
use crate::key::{Environment, KeyId};
use crate::principal::Principal;
use crate::resources::{self, Resources};
use crate::scope::{RoleSet, Roles, Scope, ScopeSet};
use crate::store::{KeyRecord, Owner, Provenance, Refusal, Rows, Status, Subjects};
use crate::timestamp::Timestamp;

/// On whose behalf a write is made.
#[derive(Clone, Debug)]
pub(crate) enum Caller {
    /// The application itself: everything is allowed.
    System,
    /// The bootstrap admin token: everything is allowed.
    #[cfg(feature = "admin")]
    AdminToken,
    /// Whoever comes before there is a key. Everything is allowed until there has been one.
    #[cfg(feature = "admin")]
    Opener,
    /// A key, which hands on only what it holds.
    #[cfg_attr(
        not(feature = "admin"),
        expect(dead_code, reason = "only the admin router acts for keys")
    )]
    Key(Principal),
    /// A key where everybody is confined to the keys of the own owner, whatever else it grants.
    #[cfg(feature = "admin")]
    ConfinedKey(Principal),
    /// Somebody who is signed in to the application, and hands on only what that says; with the
    /// scopes and roles together, as far as they count here.
    #[cfg(feature = "admin")]
    Session(Arc<Session>, ScopeSet),
}

impl Caller {
    pub(crate) fn provenance(&self) -> Provenance {
        match self {
            Self::System => Provenance::System,
            #[cfg(feature = "admin")]
            Self::Opener => Provenance::System,
            #[cfg(feature = "admin")]
            Self::AdminToken => Provenance::AdminToken,
            Self::Key(principal) => Provenance::Key(principal.key_id().clone()),
            #[cfg(feature = "admin")]
            Self::ConfinedKey(principal) => Provenance::Key(principal.key_id().clone()),
            #[cfg(feature = "admin")]
            Self::Session(session, _) => Provenance::Session(session.id.clone()),
        }
    }

    /// The key that calls, if it is one that does.
    pub(crate) fn key(&self) -> Option<&Principal> {
        match self {
            Self::Key(principal) => Some(principal),
            #[cfg(feature = "admin")]
            Self::ConfinedKey(principal) => Some(principal),
            _ => None,
        }
    }

    /// For whom this one acts, if it is for somebody.
    #[cfg(feature = "admin")]
    pub(crate) fn owner(&self) -> Option<&Owner> {
        match self {
            Self::Session(session, _) => Some(&session.owner),
            caller => caller.key().map(Principal::owner_value),
        }
    }

    /// What this one holds by what the gate knows, unless it may do everything.
    #[cfg(feature = "admin")]
    pub(crate) fn grants(&self) -> Option<&ScopeSet> {
        match self {
            Self::Session(_, grants) => Some(grants),
            caller => caller.key().map(Principal::scopes),
        }
    }

    /// The owner whose keys are all that this one sees; `None` if it sees those of everybody.
    #[cfg(feature = "admin")]
    pub(crate) fn confined_to(&self) -> Option<&Owner> {
        let beyond = match self {
            Self::ConfinedKey(_) => false,
            caller => {
                let grants = caller.grants();
                grants.is_none_or(|grants| grants.allows(&Scope::keys_admin()))
            }
        };
        if beyond { None } else { self.owner() }
    }

    /// Whether a policy may have a say in what this one does.
    pub(super) fn is_limited(&self) -> bool {
        match self {
            Self::System => false,
            #[cfg(feature = "admin")]
            Self::AdminToken | Self::Opener => false,
            _ => true,
        }
    }

    /// Whose keys this one makes, and of which environment, where nobody says; of those that are
    /// declared, and that are allowed.
    pub(super) fn by_default<'a>(
        &'a self,
        declared: &'a [Environment],
        allowed: Option<&[Environment]>,
    ) -> (Owner, Option<&'a Environment>) {
        if let Some(principal) = self.key() {
            return (
                principal.owner_value().clone(),
                Some(principal.environment()),
            );
        }
        #[cfg(feature = "admin")]
        if let Self::Session(session, _) = self {
            let own = session.environments.as_deref();
            let fits = |one: &&Environment| {
                let is_in =
                    |some: Option<&[Environment]>| some.is_none_or(|some| some.contains(one));
                is_in(own) && is_in(allowed)
            };
            return (session.owner.clone(), declared.iter().find(fits));
        }
        #[cfg(not(feature = "admin"))]
        let _ = allowed;
        (Owner::admin(), declared.first())
    }

    /// The rows that a decision for this caller needs.
    pub(crate) fn subjects(&self, target: Option<KeyId>) -> Subjects {
        Subjects {
            caller: self.key().map(Principal::digest),
            target,
            ..Subjects::default()
        }
    }

    /// What this caller holds by its own row, provided that it is alive.
    pub(super) fn power<'a>(
        &'a self,
        roles: &'a Roles,
        rows: &'a Rows,
    ) -> Result<Power<'a>, Refusal> {
        match self {
            Self::System => Ok(Power::Unlimited),
            #[cfg(feature = "admin")]
            Self::AdminToken => Ok(Power::Unlimited),
            #[cfg(feature = "admin")]
            Self::Opener if rows.ever_had_a_key => Err(Refusal::NotTheFirst),
            #[cfg(feature = "admin")]
            Self::Opener => Ok(Power::Unlimited),
            Self::Key(principal) => Held::by_row(principal, roles, rows).map(Power::Limited),
            #[cfg(feature = "admin")]
            Self::ConfinedKey(principal) => {
                let mut held = Held::by_row(principal, roles, rows)?;
                held.grants = held.grants.within_own_owner();
                Ok(Power::Limited(held))
            }
            #[cfg(feature = "admin")]
            Self::Session(session, grants) => {
                Ok(Power::Limited(Held::by_session(session, grants, roles)))
            }
        }
    }
}

/// What a living caller holds.
pub(super) enum Power<'a> {
    Unlimited,
    Limited(Held<'a>),
}

/// What a caller holds that may not do everything.
pub(super) struct Held<'a> {
    /// Which key it is, if it is one.
    id: Option<&'a KeyId>,
    owner: &'a Owner,
    /// Its scopes and roles together.
    grants: ScopeSet,
    own_roles: &'a RoleSet,
    resources: Option<&'a Resources>,
    allowed_ips: Option<&'a AllowedIps>,
    /// `None` is any.
    environments: Option<&'a [Environment]>,
    expires_at: Option<Timestamp>,
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
            Self::Limited(held) => held.grants.allows(scope),
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
        matches!(self, Self::Limited(held) if held.id == Some(&target.id))
    }

    /// The end of the caller's own life.
    pub(super) fn expires_at(&self) -> Option<Timestamp> {
        match self {
            Self::Unlimited => None,
            Self::Limited(held) => held.expires_at,
        }
    }

    /// Whether a key of this extent holds no more than the caller.
    pub(super) fn covers(&self, extent: &Extent<'_>) -> bool {
        match self {
            Self::Unlimited => true,
            Self::Limited(held) => held.covers(extent),
        }
    }

    pub(super) fn covers_key(&self, key: &KeyRecord) -> bool {
        self.covers(&Extent::of(key))
    }

    /// Whether the caller sees the keys of this owner at all.
    pub(super) fn reaches(&self, owner: &Owner) -> bool {
        match self {
            Self::Unlimited => true,
            Self::Limited(held) => *held.owner == *owner || self.has(&Scope::keys_admin()),
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

impl<'a> Held<'a> {
    /// What a key holds by its own row, provided that it is alive.
    fn by_row(principal: &Principal, roles: &'a Roles, rows: &'a Rows) -> Result<Self, Refusal> {
        let row = rows.caller.as_ref().ok_or(Refusal::CallerDead)?;
        let secret_is_over = row.secret_expires_at.is_some_and(|end| end <= rows.now);
        let record = &row.record;
        let is_elsewhere = !principal.may_be_bound_to(record.allowed_ips.as_ref());
        if secret_is_over || is_elsewhere || record.status(rows.now) != Status::Active {
            return Err(Refusal::CallerDead);
        }
        Ok(Self {
            id: Some(&record.id),
            owner: &record.owner,
            grants: roles.effective(&record.scopes, &record.roles),
            own_roles: &record.roles,
            resources: record.resources.as_ref(),
            allowed_ips: record.allowed_ips.as_ref(),
            environments: Some(slice::from_ref(&record.environment)),
            expires_at: row.expires_at(),
            roles,
        })
    }

    #[cfg(feature = "admin")]
    fn by_session(session: &'a Session, grants: &ScopeSet, roles: &'a Roles) -> Self {
        Self {
            id: None,
            owner: &session.owner,
            grants: grants.clone(),
            own_roles: &session.roles,
            resources: session.resources.as_ref(),
            allowed_ips: None,
            environments: session.environments.as_deref(),
            expires_at: None,
            roles,
        }
    }

    fn covers(&self, extent: &Extent<'_>) -> bool {
        let outlives = match (extent.expires_at, self.expires_at) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(end), Some(own)) => end > own,
        };
        // A role that is not known here may be known to another release, or again to the next:
        // only whoever has it hands it on.
        let mut unknown = self.roles.unknown(extent.roles);
        let grants = self.roles.effective(extent.scopes, extent.roles);
        let environments = self.environments;
        self.grants.covers(&grants)
            && unknown.all(|role| self.own_roles.contains(role))
            && resources::covers(self.resources, extent.resources)
            && allowed_ips::covers(self.allowed_ips, extent.allowed_ips)
            && environments.is_none_or(|own| own.contains(extent.environment))
            && !outlives
    }
}
