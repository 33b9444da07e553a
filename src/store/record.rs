//! A key as a store keeps it, without its secret.

use std::fmt;

use super::event::{Event, EventDetail, EventKind};
use super::metadata::Metadata;
use super::text::{KeyName, Owner, SessionId};
use crate::allowed_ips::AllowedIps;
use crate::key::{Environment, KeyHint, KeyId};
use crate::resources::Resources;
use crate::scope::{RoleSet, ScopeSet};
use crate::timestamp::Timestamp;

/// A key's row. Everything in it may be shown to its owner; the secret is not in it, nor is the
/// digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRecord {
    /// Stable for the life of the key, whatever happens to its secret.
    pub id: KeyId,
    /// What a person calls it.
    pub name: KeyName,
    /// Whose key it is. Keys are visible to their owner only.
    pub owner: Owner,
    /// The environment that is spelled out in the key.
    pub environment: Environment,
    /// The beginning of the secret, by which people recognise it.
    pub hint: KeyHint,
    /// What it grants by itself.
    pub scopes: ScopeSet,
    /// What it grants besides: whatever the application says that these grant.
    pub roles: RoleSet,
    /// What it may be used on; `None` is everything.
    pub resources: Option<Resources>,
    /// Where it may be used from; `None` is anywhere.
    pub allowed_ips: Option<AllowedIps>,
    /// A disabled key is dead until it is enabled again.
    pub enabled: bool,
    /// When it was made, by the store's clock.
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: Provenance,
    /// From this moment on it is dead; `None` is never.
    pub expires_at: Option<Timestamp>,
    /// Present once it is revoked, and for ever after.
    pub revoked: Option<Revocation>,
    /// What the application keeps beside it. Nothing here looks into it.
    pub metadata: Metadata,
    /// When it was last used, by the clock of the replica that saw it: late by up to the debounce
    /// interval, and lost where a process was killed. A statistic, never a basis for a decision.
    pub last_used_at: Option<Timestamp>,
    /// The secret before the last rotation, while it is still in its grace.
    pub previous: Option<Previous>,
}

/// A secret in its grace: after a rotation it opens the key for a while beside the new one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Previous {
    /// Its beginning.
    pub hint: KeyHint,
    /// From this moment on it is dead.
    pub expires_at: Timestamp,
    /// When it was last used. See [`KeyRecord::last_used_at`].
    pub last_used_at: Option<Timestamp>,
}

impl KeyRecord {
    /// What the key is at `now`: the first that holds of revoked, expired, disabled, active.
    pub fn status(&self, now: Timestamp) -> Status {
        if self.revoked.is_some() {
            Status::Revoked
        } else if self.expires_at.is_some_and(|end| end <= now) {
            Status::Expired
        } else if !self.enabled {
            Status::Disabled
        } else {
            Status::Active
        }
    }
}

/// The first that holds, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// Dead for ever.
    Revoked,
    /// Past its end.
    Expired,
    /// Switched off for now.
    Disabled,
    /// It opens what its scopes grant.
    Active,
}

impl Status {
    /// The word that the admin API uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Revoked => "revoked",
            Self::Expired => "expired",
            Self::Disabled => "disabled",
            Self::Active => "active",
        }
    }
}

/// When, by whom and why a key was revoked. Written once, kept for ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// By the store's clock.
    pub at: Timestamp,
    /// Who did it.
    pub by: Provenance,
    /// What they said, if they said anything.
    pub reason: Option<String>,
}

impl Revocation {
    /// The line of the trail for it.
    pub fn event(&self) -> Event {
        Event {
            detail: EventDetail {
                reason: self.reason.clone(),
                ..EventDetail::default()
            },
            ..Event::new(EventKind::Revoked, self.by.clone(), self.at)
        }
    }
}

/// A key and what belongs to the one secret by which it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundKey {
    /// The key.
    pub record: KeyRecord,
    /// The end of this secret, if it comes before that of the key.
    pub secret_expires_at: Option<Timestamp>,
    /// When this secret was last used. See [`KeyRecord::last_used_at`].
    pub secret_last_used_at: Option<Timestamp>,
}

impl FoundKey {
    /// The lower of the key's end and this secret's.
    pub fn expires_at(&self) -> Option<Timestamp> {
        match (self.record.expires_at, self.secret_expires_at) {
            (Some(key), Some(secret)) => Some(key.min(secret)),
            (one, other) => one.or(other),
        }
    }
}

/// Who did something.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Provenance {
    /// The holder of a key.
    Key(KeyId),
    /// Somebody who is signed in to the application.
    Session(SessionId),
    /// The holder of a bootstrap admin token.
    AdminToken,
    /// The application itself.
    System,
}

impl Provenance {
    /// Reads back what [`Display`](fmt::Display) wrote.
    pub fn from_stored(stored: &str) -> Option<Self> {
        match stored {
            "admin-token" => Some(Self::AdminToken),
            "system" => Some(Self::System),
            other => match other.split_once(':')? {
                ("key", id) => Some(Self::Key(id.parse().ok()?)),
                ("session", id) => Some(Self::Session(SessionId::parse(id).ok()?)),
                _ => None,
            },
        }
    }
}

impl fmt::Display for Provenance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(id) => write!(f, "key:{id}"),
            Self::Session(id) => write!(f, "session:{id}"),
            Self::AdminToken => f.write_str("admin-token"),
            Self::System => f.write_str("system"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn provenance_reads_back() {
        let key = Provenance::Key("key_0123456789abcdef".parse().unwrap());
        let session = |id| Provenance::Session(SessionId::parse(id).unwrap());
        let sessions = [session("u:1 ü"), session("key:key_0123456789abcdef")];
        let others = [key, Provenance::AdminToken, Provenance::System];
        for provenance in sessions.into_iter().chain(others) {
            let stored = provenance.to_string();
            assert_eq!(Provenance::from_stored(&stored), Some(provenance));
        }
        assert_eq!(Provenance::from_stored("key:nonsense"), None);
        assert_eq!(Provenance::from_stored("root"), None);
        assert_eq!(Provenance::from_stored("root:x"), None);
        assert_eq!(Provenance::from_stored("session:"), None);
        assert_eq!(Provenance::from_stored("session:a\nb"), None);
    }
}
