//! Who a request comes from, once its key has been found good.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::BootTime;
use crate::key::{Environment, KeyDigest, KeyId};
use crate::keyring::Usage;
use crate::scope::ScopeSet;
use crate::store::{FoundKey, KeyName, Owner};
use crate::timestamp::Timestamp;

/// The key behind an authenticated request: who holds it and what it grants.
///
/// Cheap to clone. In axum it is an extractor; elsewhere [`Principal::of`] finds it in a request.
/// It shows the key as it was when the request was judged; a stream that outlives many requests
/// should be judged again from time to time.
#[derive(Clone)]
pub struct Principal {
    known: Arc<Known>,
}

/// What a keyring remembers of a key: everything that judging a request takes.
pub(crate) struct Known {
    /// The positive tag that was read before the look-up began.
    pub(crate) tag: u64,
    pub(crate) standing: Standing,
    /// The lower of the key's end and the secret's, on the boot clock.
    pub(crate) ends: Option<BootTime>,
    pub(crate) digest: KeyDigest,
    pub(crate) usage: Arc<Usage>,
    /// When the map that keeps this last heard that it is used, boot clock nanoseconds.
    heard: AtomicU64,
    pub(crate) environment: Environment,
    id: KeyId,
    name: KeyName,
    owner: Owner,
    scopes: ScopeSet,
    expires_at: Option<Timestamp>,
}

/// What a key's row says of it, its end apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    Live,
    Disabled,
    Revoked,
}

impl Known {
    pub(crate) fn new(
        found: FoundKey,
        digest: KeyDigest,
        tag: u64,
        ends: Option<BootTime>,
        usage: Arc<Usage>,
    ) -> Self {
        let expires_at = found.expires_at();
        let record = found.record;
        let standing = match (&record.revoked, record.enabled) {
            (Some(_), _) => Standing::Revoked,
            (None, false) => Standing::Disabled,
            (None, true) => Standing::Live,
        };
        Self {
            tag,
            standing,
            ends,
            digest,
            usage,
            heard: AtomicU64::new(0),
            environment: record.environment,
            id: record.id,
            name: record.name,
            owner: record.owner,
            scopes: record.scopes,
            expires_at,
        }
    }
}

impl Known {
    /// Whether the map has to be told that this is used. Of a crowd, about one is told so.
    #[inline]
    pub(crate) fn is_unheard(&self, now: BootTime, patience: Duration) -> bool {
        let heard = BootTime::from_nanos(self.heard.load(Ordering::Relaxed));
        if now.saturating_since(heard) < patience {
            return false;
        }
        self.heard.store(now.as_nanos(), Ordering::Relaxed);
        true
    }
}

impl Principal {
    pub(crate) fn new(known: Arc<Known>) -> Self {
        Self { known }
    }

    /// The key's stable id. Use it for what hangs on the key, such as limits.
    pub fn key_id(&self) -> &KeyId {
        &self.known.id
    }

    /// Whose key it is. Use it for what hangs on the customer, such as everything the request
    /// creates: a rotated or replaced key then still reaches it.
    pub fn owner(&self) -> &str {
        self.known.owner.as_str()
    }

    /// What a person called the key.
    pub fn name(&self) -> &str {
        self.known.name.as_str()
    }

    /// The environment that is spelled out in the key.
    pub fn environment(&self) -> &Environment {
        &self.known.environment
    }

    /// What the key grants, wildcards as they were given.
    pub fn scopes(&self) -> &ScopeSet {
        &self.known.scopes
    }

    /// When the key's life ends, by the store's clock; `None` is never.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.known.expires_at
    }

    /// Whether the key grants this scope, directly, by a wildcard, or by the `keys:` hierarchy.
    ///
    /// A text that cannot be a scope is granted to nobody.
    pub fn has_scope(&self, scope: &str) -> bool {
        scope
            .parse()
            .is_ok_and(|scope| self.known.scopes.allows(&scope))
    }

    pub(crate) fn digest(&self) -> KeyDigest {
        self.known.digest
    }

    pub(crate) fn owner_value(&self) -> &Owner {
        &self.known.owner
    }
}

impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Principal")
            .field("key_id", &self.known.id)
            .field("owner", &self.known.owner)
            .field("name", &self.known.name)
            .field("environment", &self.known.environment)
            .field("scopes", &self.known.scopes)
            .finish_non_exhaustive()
    }
}
