//! From a digest to an answer, without waiting where the answer is known.

use std::net::IpAddr;
use std::sync::Arc;

use super::cache::Remembered;
use super::epoch::Epoch;
use super::flight::Landing;
use super::freshness::Tag;
use super::{Inner, Keyring};
use crate::allowed_ips::AllowedIps;
use crate::clock::BootTime;
use crate::key::{Environment, KeyDigest, KeyId, ParsedKey};
use crate::principal::{Known, Principal, Standing};

/// Why a key that reads like one opens nothing. Clients are never told which.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Dead {
    /// The store has no such key.
    #[error("no such key")]
    Unknown,
    /// It was revoked.
    #[error("the key is revoked")]
    Revoked,
    /// It is switched off.
    #[error("the key is disabled")]
    Disabled,
    /// Its end, or that of this secret, has come.
    #[error("the key has expired")]
    Expired,
    /// It belongs to another environment than those accepted here, or than its row says.
    #[error("the key is of an environment that is not accepted here")]
    Environment,
    /// It may not be used from where the request comes from, or nobody knows where that is.
    #[error("the key may not be used from this address")]
    Address,
}

/// Why nothing can be said about a key at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Unavailable {
    /// The look-up failed in the store, or the store is being left alone after a failure.
    #[error("the look-up failed in the store")]
    StoreFailed,
    /// The look-up did not end within its deadline.
    #[error("the look-up did not end within its deadline")]
    Deadline,
    /// The store's answer to this look-up could not be read, or reading it panicked.
    #[error("the store's answer could not be read")]
    Corrupt,
    /// Too many requests wait for look-ups.
    #[error("too many requests wait for look-ups")]
    Overloaded,
    /// Too many unknown keys a second: digests that never opened anything are not looked up.
    #[error("too many unknown keys a second")]
    TooManyUnknown,
    /// The row is older than what this process knows of.
    #[error("the store answered with an older state than is known")]
    Behind,
}

/// An answer other than yes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denial {
    Dead(Dead),
    Unavailable(Unavailable),
}

/// What can be said at once.
pub(crate) enum Judged {
    Now(Result<Principal, Denial>),
    /// Boxed, so that what is said at once stays small.
    Later(Box<Miss>),
}

/// A question that takes a look-up.
pub(crate) struct Miss {
    inner: Arc<Inner>,
    epoch: Arc<Epoch>,
    question: Question,
    environment: Environment,
    /// Where the request comes from, if that is known.
    from: Option<IpAddr>,
}

/// What a flight is about. Requests join it only if they ask the very same: a revoke moves the
/// tag, so that a request that comes after it never joins a look-up from before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Question {
    pub(crate) digest: KeyDigest,
    pub(crate) tag: Tag,
    pub(crate) epoch: u64,
}

impl Keyring {
    /// Judges a key that is used from an address. On a hit: no await, no lock that all requests
    /// share, no allocation, and no look at the address unless the key is bound to some.
    #[inline]
    pub(crate) fn authorize(
        &self,
        key: &ParsedKey<'_>,
        from: impl FnOnce() -> Option<IpAddr>,
    ) -> Judged {
        let inner = &self.inner;
        inner.idle.note_request();
        let digest = key.digest();
        // The order is the design: one epoch, one reading of lease and tag, used for the cache
        // and the flight alike, then the entry, and the clock last. A request that is held up
        // anywhere in between finds itself later, never earlier, than it is.
        let epoch = inner.timeline.current();
        let reading = epoch.freshness.read(digest.shard().into());
        let remembered = epoch.cache.recall(&digest, reading.tag);
        let now = inner.clock.boot();
        if reading.is_trusted(now.as_nanos(), inner.max_staleness_nanos) {
            match epoch.cache.keep_up(remembered, now) {
                Remembered::Hot(known) | Remembered::Known(known)
                    if now < known.settled_until || known.has_ended(now) =>
                {
                    return Judged::Now(inner.judge(known, key.environment(), from, now));
                }
                Remembered::Unknown => return Judged::Now(Err(Denial::Dead(Dead::Unknown))),
                // Good, but old enough to be looked at again.
                Remembered::Hot(_) | Remembered::Known(_) | Remembered::Nothing => {}
            }
        }
        Judged::Later(Box::new(Miss {
            inner: Arc::clone(inner),
            question: Question {
                digest,
                tag: reading.tag,
                epoch: epoch.number,
            },
            epoch: Arc::clone(&epoch),
            environment: key.environment().clone(),
            from: from(),
        }))
    }
}

impl Miss {
    /// Waits for a look-up of one's own or somebody else's, at most for the look-up deadline; and
    /// goes by memory where the store does not answer.
    pub(crate) async fn resolve(self: Box<Self>) -> Result<Principal, Denial> {
        let inner = &self.inner;
        let by_memory =
            || inner.let_in_by_memory(&self.question.digest, &self.environment, self.from);
        // Somebody else has just found that the store does not answer, and nobody has to find it
        // again, each for the length of a deadline. When the pause is over one of them does.
        if inner.cooldown.leaves_the_store_alone()
            && let Some(principal) = by_memory()
        {
            return Ok(principal);
        }
        let answer = self.by_store().await;
        match answer {
            Err(Denial::Unavailable(Unavailable::StoreFailed | Unavailable::Deadline)) => {
                by_memory().map_or(answer, Ok)
            }
            _ => answer,
        }
    }

    /// Waits for a look-up, and has nothing to go by where that fails.
    pub(crate) async fn by_store(&self) -> Result<Principal, Denial> {
        let Self {
            inner,
            epoch,
            question,
            environment,
            from,
        } = self;
        match inner.flights.join(inner, epoch, *question).await {
            // The clock is read after the wait: a key that ended meanwhile is dead.
            Landing::Found(known) => inner.judge(known, environment, || *from, inner.clock.boot()),
            Landing::Unknown => Err(Denial::Dead(Dead::Unknown)),
            Landing::Unavailable(why) => Err(Denial::Unavailable(why)),
        }
    }
}

impl Inner {
    /// The decision about a key that exists. Taken on every request, hit or miss.
    #[inline]
    fn judge(
        &self,
        known: Arc<Known>,
        environment: &Environment,
        from: impl FnOnce() -> Option<IpAddr>,
        now: BootTime,
    ) -> Result<Principal, Denial> {
        if let Some(dead) = death(&known, environment, now) {
            return Err(Denial::Dead(dead));
        }
        let from = bound_to(&known, from).map_err(Denial::Dead)?;
        self.last_used
            .note(&known.usage, known.digest, now, &*self.clock);
        Ok(Principal::new(known).used_from(from))
    }
}

/// Why a key that exists opens nothing, if it does not.
#[inline]
pub(super) fn death(known: &Known, environment: &Environment, now: BootTime) -> Option<Dead> {
    match known.standing {
        Standing::Revoked => Some(Dead::Revoked),
        _ if known.has_ended(now) => Some(Dead::Expired),
        Standing::Disabled => Some(Dead::Disabled),
        // The row is the truth, and it is what the caller's environment was checked against.
        Standing::Live if known.environment() != environment => Some(Dead::Environment),
        Standing::Live => None,
    }
}

/// The address by which a key is let in; none if it may be used from anywhere, and then nobody
/// asks for it.
#[inline]
pub(crate) fn bound_to(
    known: &Known,
    from: impl FnOnce() -> Option<IpAddr>,
) -> Result<Option<IpAddr>, Dead> {
    match known.allowed_ips() {
        None => Ok(None),
        Some(allowed) => place(known.id(), allowed, from()).map(Some),
    }
}

#[cold]
fn place(key: &KeyId, allowed: &AllowedIps, from: Option<IpAddr>) -> Result<IpAddr, Dead> {
    match from {
        Some(from) if allowed.allows(from) => Ok(from),
        Some(_) => Err(Dead::Address),
        None => {
            tracing::error!(
                %key,
                "a key may be used from some addresses only, and the address of the client is not \
                 known: serve with the addresses of peers, and name the proxies in front"
            );
            Err(Dead::Address)
        }
    }
}
