//! Who a request comes from, once its key has been found good.

use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use crate::allowed_ips::AllowedIps;
use crate::clock::BootTime;
use crate::key::{Environment, KeyDigest, KeyId};
use crate::keyring::{Dead, Shared, Usage, bound_to};
use crate::resources::Resources;
use crate::scope::{RoleSet, Roles, ScopeSet};
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
    in_outage: bool,
    /// Where the request came from, looked at only if the key is bound to addresses.
    from: Option<IpAddr>,
}

/// What a keyring remembers of a key: everything that judging a request takes.
pub(crate) struct Known {
    /// The positive tag that was read before the look-up began.
    pub(crate) tag: u64,
    pub(crate) standing: Standing,
    /// Until then neither the end nor the age of this has to be looked at.
    pub(crate) settled_until: BootTime,
    /// The lower of the key's end and the secret's, on the boot clock.
    ends: Option<BootTime>,
    pub(crate) digest: KeyDigest,
    pub(crate) usage: Arc<Usage>,
    /// When the map that keeps this last heard that it is used, boot clock nanoseconds.
    heard: AtomicU64,
    holding: Arc<Holding>,
    id: KeyId,
    name: KeyName,
    /// Apart, since most keys have nothing of the kind, and many keys are remembered.
    bounds: Option<Box<Bounds>>,
    expires_at: Option<Timestamp>,
}

/// Whose a key is and what it grants: the same for many keys, and kept once for all of them.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Holding {
    pub(crate) environment: Environment,
    pub(crate) owner: Owner,
    /// Those of its row and those of its roles together.
    pub(crate) scopes: ScopeSet,
}

/// The roles that a key has, and what it is bound to.
struct Bounds {
    roles: RoleSet,
    /// What it may be used on; `None` is everything.
    resources: Option<Resources>,
    /// Where it may be used from; `None` is anywhere.
    allowed_ips: Option<AllowedIps>,
}

static NO_ROLES: LazyLock<RoleSet> = LazyLock::new(RoleSet::empty);

impl Bounds {
    fn unless_none(self) -> Option<Box<Self>> {
        let Self {
            roles,
            resources,
            allowed_ips,
        } = &self;
        let none = roles.is_empty() && resources.is_none() && allowed_ips.is_none();
        (!none).then(|| Box::new(self))
    }
}

/// For how long a row that was read says all there is to say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    /// From then on the row is read again.
    pub(crate) look_again: BootTime,
    /// The lower of the key's end and the secret's, on the boot clock.
    pub(crate) ends: Option<BootTime>,
}

impl Span {
    /// For ever: a row that nobody reads again.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) const ENDLESS: Self = Self {
        look_again: BootTime::from_nanos(u64::MAX),
        ends: None,
    };
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
        span: Span,
        usage: Arc<Usage>,
        roles: &Roles,
    ) -> Self {
        let expires_at = found.expires_at();
        let record = found.record;
        let standing = match (&record.revoked, record.enabled) {
            (Some(_), _) => Standing::Revoked,
            (None, false) => Standing::Disabled,
            (None, true) => Standing::Live,
        };
        let Span { look_again, ends } = span;
        Self {
            tag,
            standing,
            settled_until: ends.map_or(look_again, |ends| ends.min(look_again)),
            ends,
            digest,
            usage,
            heard: AtomicU64::new(0),
            holding: Arc::new(Holding {
                environment: record.environment,
                owner: record.owner,
                scopes: roles.effective(&record.scopes, &record.roles),
            }),
            id: record.id,
            name: record.name,
            bounds: Bounds {
                roles: record.roles,
                resources: record.resources,
                allowed_ips: record.allowed_ips,
            }
            .unless_none(),
            expires_at,
        }
    }

    /// Keeps what other keys have, too, together with them.
    pub(crate) fn share(&mut self, shared: &Shared) {
        shared.hold(&mut self.holding);
    }

    #[inline]
    pub(crate) fn environment(&self) -> &Environment {
        &self.holding.environment
    }

    /// Whether the key's life, or that of this secret, is over.
    #[inline]
    pub(crate) fn has_ended(&self, now: BootTime) -> bool {
        self.settled_until <= now && self.ends.is_some_and(|end| end <= now)
    }

    pub(crate) fn id(&self) -> &KeyId {
        &self.id
    }

    /// Where the key may be used from; `None` is anywhere.
    #[inline]
    pub(crate) fn allowed_ips(&self) -> Option<&AllowedIps> {
        self.bounds.as_ref()?.allowed_ips.as_ref()
    }

    fn roles(&self) -> &RoleSet {
        let bounds = self.bounds.as_ref();
        bounds.map_or_else(|| &*NO_ROLES, |bounds| &bounds.roles)
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
        Self {
            known,
            in_outage: false,
            from: None,
        }
    }

    /// Let in while the store was away, by what was remembered from before.
    pub(crate) fn in_outage(known: Arc<Known>) -> Self {
        Self {
            in_outage: true,
            ..Self::new(known)
        }
    }

    /// Let in by the address that the request came from.
    #[inline]
    pub(crate) fn used_from(self, from: Option<IpAddr>) -> Self {
        Self { from, ..self }
    }

    /// The same, judged once more by somebody who tells in another way from where a request comes.
    pub(crate) fn now_from(self, from: impl FnOnce() -> Option<IpAddr>) -> Result<Self, Dead> {
        let from = bound_to(&self.known, from)?;
        Ok(self.used_from(from))
    }

    /// Whether a key that may be used from these addresses alone may be used by this request. No
    /// where nobody has looked from where it came, since the key was bound only after that.
    pub(crate) fn may_be_bound_to(&self, allowed: Option<&AllowedIps>) -> bool {
        allowed.is_none_or(|allowed| self.from.is_some_and(|from| allowed.allows(from)))
    }

    /// The key's stable id. Use it for what hangs on the key, such as limits.
    pub fn key_id(&self) -> &KeyId {
        &self.known.id
    }

    /// Whose key it is. Use it for what hangs on the customer, such as everything the request
    /// creates: a rotated or replaced key then still reaches it.
    pub fn owner(&self) -> &str {
        self.known.holding.owner.as_str()
    }

    /// What a person called the key.
    pub fn name(&self) -> &str {
        self.known.name.as_str()
    }

    /// The environment that is spelled out in the key.
    pub fn environment(&self) -> &Environment {
        self.known.environment()
    }

    /// What the key grants by itself and by its roles, wildcards as they were given.
    pub fn scopes(&self) -> &ScopeSet {
        &self.known.holding.scopes
    }

    /// The roles that the key has, also those that the application knows no more.
    pub fn roles(&self) -> &RoleSet {
        self.known.roles()
    }

    /// What the key may be used on; `None` is everything.
    pub fn resources(&self) -> Option<&Resources> {
        self.known.bounds.as_ref()?.resources.as_ref()
    }

    /// Whether the key may be used on this one: it is not restricted, or this is among what it is
    /// restricted to. For a list, let it through once for each item, or select by
    /// [`resources`](Self::resources).
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// use portcullis::testing;
    ///
    /// let everywhere = testing::caller("acme-corp").principal();
    /// assert!(everywhere.allows("project", "p1"));
    ///
    /// let one = testing::caller("acme-corp").resources([("project", ["p1"])]).principal();
    /// assert!(one.allows("project", "p1"));
    /// assert!(!one.allows("project", "p2") && !one.allows("topic", "p1"));
    /// # }
    /// ```
    pub fn allows(&self, kind: &str, id: &str) -> bool {
        self.resources()
            .is_none_or(|resources| resources.allows(kind, id))
    }

    /// When the key's life ends, by the store's clock; `None` is never.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.known.expires_at
    }

    /// Whether the key grants this scope, directly, by a role, by a wildcard, or by the `keys:`
    /// hierarchy.
    ///
    /// A text that cannot be a scope is granted to nobody.
    pub fn has_scope(&self, scope: &str) -> bool {
        scope
            .parse()
            .is_ok_and(|scope| self.known.holding.scopes.allows(&scope))
    }

    /// Whether the key was let in although nobody can say whether it is still good: the store is
    /// away, and an outage grace goes on with what was remembered of it. Always `false` unless
    /// [`Builder::dangerously_accept_known_keys_during_outage`] was called.
    ///
    /// The key may have been revoked elsewhere since. A handler that changes something for good
    /// can refuse with 503 here, and go on reading.
    ///
    /// [`Builder::dangerously_accept_known_keys_during_outage`]:
    ///     crate::keyring::Builder::dangerously_accept_known_keys_during_outage
    pub fn is_judged_in_outage(&self) -> bool {
        self.in_outage
    }

    pub(crate) fn digest(&self) -> KeyDigest {
        self.known.digest
    }

    pub(crate) fn owner_value(&self) -> &Owner {
        &self.known.holding.owner
    }
}

impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Principal")
            .field("key_id", &self.known.id)
            .field("owner", &self.known.holding.owner)
            .field("name", &self.known.name)
            .field("environment", self.known.environment())
            .field("scopes", &self.known.holding.scopes)
            .field("roles", self.known.roles())
            .finish_non_exhaustive()
    }
}
