//! What a transaction is asked to do: rows go in, a decision comes out, and the store carries it out.

use std::fmt;

use super::contract::{StoreId, Touched};
use super::event::Event;
use super::record::{FoundKey, KeyRecord, Provenance, Revocation};
use super::text::Owner;
use crate::key::{KeyDigest, KeyId};
use crate::timestamp::Timestamp;

/// Which request this is, so that it can be recognised when it comes again: a digest of its
/// caller, endpoint and `Idempotency-Key`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ReplayKey(pub [u8; 32]);

/// What is remembered of a request that made a key.
#[derive(Clone, PartialEq, Eq)]
pub struct Replay {
    /// A digest of what it asked for.
    pub request: [u8; 32],
    /// Which key it made.
    pub made: KeyId,
    /// From this moment on it is forgotten.
    pub expires_at: Timestamp,
}

/// The rows a decision is about.
#[derive(Clone, Debug, Default)]
pub struct Subjects {
    /// The secret of whoever asks, unless it is not a key that asks.
    pub caller: Option<KeyDigest>,
    /// The key it is about, unless it is about a new one.
    pub target: Option<KeyId>,
    /// The request, if it may come again. When it has come before, the key that it made is the
    /// target.
    pub replay: Option<ReplayKey>,
    /// The owner whose keys are to be counted. Until the transaction ends, no other one that
    /// counts them adds a key of this owner.
    pub count_owner: Option<Owner>,
    /// A digest that a new key is to have, if it does not come from a generator: somebody may have
    /// it already, or may have had it.
    pub digest: Option<KeyDigest>,
}

/// What a decision sees: rows as they are inside the transaction.
#[derive(Clone, Debug)]
pub struct Rows {
    /// The store's clock.
    pub now: Timestamp,
    /// The caller's own row, if [`Subjects::caller`] was given and exists.
    pub caller: Option<FoundKey>,
    /// The row of [`Subjects::target`], or of the key that [`Rows::replay`] made, if there is one.
    pub target: Option<KeyRecord>,
    /// What is remembered of [`Subjects::replay`], unless it is past its end.
    pub replay: Option<Replay>,
    /// Whether a key has ever been in this store, also one deleted by hand since.
    pub ever_had_a_key: bool,
    /// How many keys of [`Subjects::count_owner`] are neither revoked nor expired; 0 where nobody
    /// asked.
    pub live_keys: u64,
    /// The key that [`Subjects::digest`] opens, dead or alive, or would if the secret was not over.
    pub digest_holder: Option<KeyRecord>,
    /// Whether [`Subjects::digest`] was that of a secret which opens no key any more: it was
    /// replaced, its grace was ended, or it went with its key. Whose it was nobody knows.
    pub digest_ended: bool,
}

/// A pure function from rows to what is to be done.
pub type Decide = Box<dyn FnMut(&Rows) -> Decision + Send>;

/// What is to be done.
#[derive(Clone, Debug)]
pub enum Decision {
    /// Add a key with its secret.
    Insert {
        /// The new row, without a previous secret.
        record: KeyRecord,
        /// Its secret's digest. A [conflict](super::StoreErrorKind::Conflict) if a key has it, or
        /// ever had it.
        digest: KeyDigest,
        /// Remember the request by [`Subjects::replay`].
        replay: Option<Replay>,
        /// The line for the trail.
        event: Event,
    },
    /// Write this over the target's row.
    Update {
        /// The target's row as it is to be. `id`, `created_at`, `created_by`, `environment`,
        /// `hint`, `last_used_at` and `previous` are those of the target.
        record: KeyRecord,
        /// The line for the trail.
        event: Event,
    },
    /// Give the target another secret. A secret still in its grace dies; the current one becomes
    /// the previous if the record has one, with its end, and dies if it has none.
    Rotate {
        /// The target's row, with the new hint and the previous secret. Nothing else of it is
        /// written, and the store itself knows when the previous secret was last used.
        record: KeyRecord,
        /// The new secret's digest. A [conflict](super::StoreErrorKind::Conflict) if a key has it,
        /// or ever had it.
        digest: KeyDigest,
        /// The line for the trail.
        event: Event,
    },
    /// The target's previous secret dies. If there is none, this is [`Keep`](Decision::Keep).
    EndPrevious {
        /// The target's row without it.
        record: KeyRecord,
        /// The line for the trail.
        event: Event,
    },
    /// Revoke every key of these that is not revoked yet. Each gets the line of the trail that
    /// [`Revocation::event`] gives.
    RevokeAll {
        /// Which keys.
        whose: Whose,
        /// When, by whom and why.
        revocation: Revocation,
    },
    /// Nothing: the target is already as it should be.
    Keep,
    /// Nothing: the caller may not, or the target does not allow it.
    Refuse(Refusal),
}

impl Decision {
    /// The line that this writes into the trail of a key, or of many.
    pub(crate) fn event(&self) -> Option<Event> {
        match self {
            Self::Insert { event, .. }
            | Self::Update { event, .. }
            | Self::Rotate { event, .. }
            | Self::EndPrevious { event, .. } => Some(event.clone()),
            Self::RevokeAll { revocation, .. } => Some(revocation.event()),
            Self::Keep | Self::Refuse(_) => None,
        }
    }
}

/// The keys of an emergency stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Every key.
    All,
    /// Those of this owner.
    Owner(Owner),
    /// Those made by this one, by keys that it made, and so on.
    CreatedBy(Provenance),
}

/// Why a write was refused by its decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The caller's key is gone, revoked, expired or disabled by now.
    #[error("the caller's key is no longer valid")]
    CallerDead,
    /// The caller's key does not grant what this takes.
    #[error("the caller's key lacks the scope for this")]
    CallerLacksScope,
    /// There is no such key, or it belongs to somebody else.
    #[error("no such key")]
    NotFound,
    /// It would give, or change, more than the caller holds.
    #[error("this exceeds what the caller holds")]
    ExceedsCaller,
    /// The key is revoked.
    #[error("the key is revoked")]
    KeyRevoked,
    /// The key has expired.
    #[error("the key has expired")]
    KeyExpired,
    /// The digest that a key was to have is, or was, that of another secret. One that is over does
    /// not come back, for nobody: it may be known to others by now.
    #[error("the digest is, or was, that of another secret")]
    DigestTaken,
    /// The owner has as many living keys as one may have.
    #[error("the owner has as many keys as are allowed")]
    KeyLimitReached,
    /// The key is of an environment that is declared no more, so no secret can be made for it.
    #[error("the environment of the key is not declared")]
    UndeclaredEnvironment,
    /// The caller is not allowed to do this to itself.
    #[error("a key may not do this to itself")]
    OnOneself,
    /// The same `Idempotency-Key` came with another request.
    #[error("the idempotency key was used for another request")]
    ReplayDiffers,
    /// The store has, or had, a key.
    #[error("the store is not new")]
    NotTheFirst,
    /// A policy does not let a key of this owner live as long.
    #[error("the expiry lies later than a key may live here")]
    LivesTooLong,
    /// A policy does not let the owner have keys of this environment.
    #[error("keys of this environment cannot be made here")]
    EnvironmentNotAllowed,
    /// Nobody asked for it to be done, only whether it could be.
    #[error("this was only asked about")]
    OnlyAsked,
    /// The expiry is not after the store's clock.
    #[error("the expiry lies in the past")]
    ExpiryInThePast,
    /// The expiry falls beyond the year 9999.
    #[error("the expiry falls beyond the year 9999")]
    ExpiryTooFar,
}

/// The answer to a transaction.
#[derive(Clone, Debug)]
pub struct Transacted {
    /// The store's clock inside the transaction.
    pub now: Timestamp,
    /// Which store.
    pub store: StoreId,
    /// The newest revision that the transaction saw or made: read inside of it, after the change
    /// and in a statement of its own, before the commit.
    pub revision: u64,
    /// What happened.
    pub outcome: Outcome,
}

/// The most keys that an emergency stop names.
pub const MOST_KEYS_NAMED: usize = 100_000;

/// What a transaction did.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It committed.
    Committed {
        /// What it put out of date.
        touched: Vec<Touched>,
        /// The key as it is now.
        record: KeyRecord,
    },
    /// The decision was to keep what is there.
    Kept {
        /// What it would have put out of date: the secrets of the target, as changed. Somebody
        /// else may have made the change a moment ago, and whoever asked for it again is told
        /// that it holds; so it must hold for what is remembered here, too.
        touched: Vec<Touched>,
        /// The target's row.
        record: KeyRecord,
    },
    /// An emergency stop committed.
    RevokedAll {
        /// What it put out of date: the secrets of all these keys, also of those that were revoked
        /// already (see [`Outcome::Kept`]). Where they are many, `Anywhere` says it as well.
        touched: Vec<Touched>,
        /// How many keys it revoked.
        revoked: u64,
        /// Which ones: all of them, or [`MOST_KEYS_NAMED`] of them if they are more.
        keys: Vec<KeyId>,
    },
    /// The decision was to refuse.
    Refused(Refusal),
}

impl fmt::Debug for ReplayKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReplayKey(redacted)")
    }
}

impl fmt::Debug for Replay {
    // Not the digest: names and metadata can be guessed, and a guess be told by it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replay")
            .field("made", &self.made)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}
