//! The contract between a keyring and the place where keys live.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use super::decision::{Decide, Subjects, Transacted};
use super::error::StoreError;
use super::event::{EventQuery, Pruned, RecordedEvent, Retention};
use super::record::{FoundKey, KeyRecord, Status};
use super::text::Owner;
use crate::key::{Environment, KeyDigest, KeyId};
use crate::timestamp::Timestamp;

/// A place where keys live.
///
/// # Contract
///
/// - **Revisions.** Every committed change that matters to authentication (a key or secret
///   created, changed or deleted, by whatever means, also by hand) has a revision. Revisions grow
///   by the order of commits: whoever reads revision `r` sees every change up to `r`. Not a
///   timestamp and not a plain sequence, both of which a slow transaction overtakes.
/// - **Change rows.** For each changed or deleted secret there is a row that says at which
///   revision and in which shard ([`KeyDigest::shard`]), written in the same transaction. Rows may
///   be pruned from the oldest on. What a write says that it touched is found among its rows, so
///   that a keyring notices when a change of its own got lost.
/// - **Nonces.** Each revision comes with a random nonce. A store that was put back to an older
///   state and then went on reaches old revision numbers with other nonces.
/// - **One snapshot.** The parts of a [`LookUp`] or a [`SyncReport`] come from one snapshot.
/// - **Acknowledged means committed**, and durable against a crash of the process and, as far as
///   the medium allows, of the machine.
/// - **Cancellation.** A keyring drops the future of a read, of a [`touch`](KeyStore::touch), or of
///   a [`prune`](KeyStore::prune), when its deadline is over, and runs [`transact`](KeyStore::transact) on a task of its own to
///   its end. None of them may leave a transaction open.
/// - **Revoked stays revoked.** No update clears or moves the moment of a revocation.
/// - **A digest is given once.** The digest of every secret stays known as taken when the secret is
///   gone: replaced, ended, or deleted with its key, by whatever means, also by hand. It is written down in the same
///   transaction as the change, and never pruned: 32 bytes each. Or else whoever learned an old
///   secret could have a key made by its digest, and what a forgotten client still sends would come in as theirs.
/// - **The trail.** The event of a decision is written in the transaction that carries it out. A
///   decision that changes nothing leaves none. Events are no change that matters to
///   authentication: they make no revision.
/// - Absent is `Ok(None)`, not an error.
///
/// The suite in `store::conformance` (feature `testing`) asks all of this of a store.
///
/// # Wrappers
///
/// There are no default bodies: a metering or caching store has to forward every method, and
/// `#[deny(clippy::missing_trait_methods)]` on its impl keeps it so.
#[async_trait]
pub trait KeyStore: fmt::Debug + Send + Sync + 'static {
    /// The key that this digest opens, dead or alive, as `source` knows it.
    async fn look_up(&self, digest: &KeyDigest, source: Source) -> Result<LookUp, StoreError>;

    /// What has changed since `since`, or where the store is now if that is `None`.
    ///
    /// Only a store that takes writes may answer; a read replica fails.
    async fn sync(&self, since: Option<Position>) -> Result<SyncReport, StoreError>;

    /// A subscription to nudges, asked for once by each keyring.
    fn nudges(&self) -> Box<dyn Nudges>;

    /// Whether nudges come at the moment, for reports: no decision hangs on it. A store that needs
    /// no connection to hear of changes always says so.
    fn is_listening(&self) -> bool;

    /// One key by its id.
    async fn get(&self, id: &KeyId) -> Result<Read<Option<KeyRecord>>, StoreError>;

    /// Keys, newest first: by `created_at`, then by `id`, both descending.
    async fn list(&self, query: &ListQuery) -> Result<Read<Vec<KeyRecord>>, StoreError>;

    /// Reads the subjects, asks `decide`, and does what it says, all in one transaction that no
    /// other write can come between.
    ///
    /// `decide` may be called again when the store has to start over; what counts is its last
    /// answer. It is pure and quick.
    async fn transact(&self, subjects: Subjects, decide: Decide) -> Result<Transacted, StoreError>;

    /// Lines of the trail, newest first by their numbers. Also of keys that are gone.
    async fn events(&self, query: &EventQuery) -> Result<Read<Vec<RecordedEvent>>, StoreError>;

    /// Deletes what has been kept long enough, by the store's clock: at most
    /// [`MOST_PRUNED`](super::MOST_PRUNED) keys and as many lines of the trail in one call.
    ///
    /// A deleted key is a change like any other, with its revision.
    async fn prune(&self, retention: &Retention) -> Result<Pruned, StoreError>;

    /// Writes down when secrets were last used, and when their keys were. Touches nothing else, makes
    /// no revision, skips what is revoked or gone, and never moves a time back.
    async fn touch(&self, uses: &[Use]) -> Result<(), StoreError>;

    /// The name of the algorithm by which this store's digests are made. A store that never had a
    /// key takes `name`; one that had keeps its own, and answers with that.
    async fn digest_algorithm(&self, name: &str) -> Result<String, StoreError>;

    /// A secret of the store's own, made when the store was, shared by all its replicas: it seals
    /// the cursors of lists.
    async fn cursor_key(&self) -> Result<[u8; 32], StoreError>;
}

/// Tells that there may be something new to sync. A nudge, never the truth: it may come too
/// often, too late or not at all, since a keyring syncs by itself all the same.
#[async_trait]
pub trait Nudges: fmt::Debug + Send {
    /// Waits for the next nudge. What happens between two calls is not lost, though several
    /// nudges may become one. Dropping the future loses nothing either. Must not spin.
    async fn nudged(&mut self);
}

/// Which store this is: random, made when the store was. A copy has the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StoreId(pub [u8; 16]);

/// A point in a store's history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Whose history.
    pub store: StoreId,
    /// The newest revision.
    pub revision: u64,
    /// That revision's nonce.
    pub nonce: i64,
}

/// Something read, and the store's clock at that moment.
#[derive(Clone, Debug)]
pub struct Read<T> {
    /// The store's clock.
    pub now: Timestamp,
    /// What was read.
    pub value: T,
}

/// Who is to answer a look-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// Whoever answers soonest: a read replica, where the store has one.
    Any,
    /// The store that takes the writes, and nobody else. Asked where an answer of
    /// [`Any`](Source::Any) was older than what is known, and where nothing is known for sure.
    Primary,
}

/// The answer to a look-up.
#[derive(Clone, Debug)]
pub struct LookUp {
    /// Which store.
    pub store: StoreId,
    /// The revision of the snapshot.
    pub revision: u64,
    /// The store's clock.
    pub now: Timestamp,
    /// Whether this came from the store that takes the writes.
    pub primary: bool,
    /// The key, unless there is none.
    pub found: Option<FoundKey>,
}

/// The answer to a sync.
#[derive(Clone, Debug)]
pub struct SyncReport {
    /// Where the store is.
    pub position: Position,
    /// The nonce that the store has for the revision of `since`, if it still has one.
    pub nonce_then: Option<i64>,
    /// The change rows above the revision of `since`, in any order. Complete if `nonce_then` is
    /// there, since rows are pruned from the oldest on.
    pub changes: Vec<Change>,
}

/// A change row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// At which revision.
    pub revision: u64,
    /// Which keys it touched.
    pub touched: Touched,
}

/// Which remembered answers a change puts out of date.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Touched {
    /// About which keys.
    pub place: Where,
    /// Which kind of answer.
    pub falsifies: Falsifies,
}

/// Where a change happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Where {
    /// The keys whose [`KeyDigest::shard`] is this.
    Shard(u16),
    /// Any key.
    Anywhere,
}

/// What a change puts out of date.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Falsifies {
    /// A secret was added: "no such key" alone.
    Absence,
    /// A key or secret was changed or deleted: every answer.
    Everything,
}

/// Which keys to list. The default asks for none of all.
#[derive(Clone, Debug, Default)]
pub struct ListQuery {
    /// Of this owner only.
    pub owner: Option<Owner>,
    /// Only keys that come after this one in the order of the list.
    pub after: Option<(Timestamp, KeyId)>,
    /// At most so many.
    pub limit: u32,
    /// Of this status only, by the store's clock.
    pub status: Option<Status>,
    /// Of this environment only.
    pub environment: Option<Environment>,
    /// Only keys whose end comes before this moment. A key without an end has none.
    pub expires_before: Option<Timestamp>,
}

/// A use of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Use {
    /// Which secret.
    pub digest: KeyDigest,
    /// When.
    pub at: Timestamp,
}

impl Touched {
    /// The change row for a new secret.
    pub fn added(digest: &KeyDigest) -> Self {
        Self {
            place: Where::Shard(digest.shard()),
            falsifies: Falsifies::Absence,
        }
    }

    /// The change row for a secret whose key changed.
    pub fn changed(digest: &KeyDigest) -> Self {
        Self {
            place: Where::Shard(digest.shard()),
            falsifies: Falsifies::Everything,
        }
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<S: KeyStore + ?Sized> KeyStore for Arc<S> {
    async fn look_up(&self, digest: &KeyDigest, source: Source) -> Result<LookUp, StoreError> {
        (**self).look_up(digest, source).await
    }

    async fn sync(&self, since: Option<Position>) -> Result<SyncReport, StoreError> {
        (**self).sync(since).await
    }

    fn nudges(&self) -> Box<dyn Nudges> {
        (**self).nudges()
    }

    fn is_listening(&self) -> bool {
        (**self).is_listening()
    }

    async fn get(&self, id: &KeyId) -> Result<Read<Option<KeyRecord>>, StoreError> {
        (**self).get(id).await
    }

    async fn list(&self, query: &ListQuery) -> Result<Read<Vec<KeyRecord>>, StoreError> {
        (**self).list(query).await
    }

    async fn transact(&self, subjects: Subjects, decide: Decide) -> Result<Transacted, StoreError> {
        (**self).transact(subjects, decide).await
    }

    async fn events(&self, query: &EventQuery) -> Result<Read<Vec<RecordedEvent>>, StoreError> {
        (**self).events(query).await
    }

    async fn prune(&self, retention: &Retention) -> Result<Pruned, StoreError> {
        (**self).prune(retention).await
    }

    async fn touch(&self, uses: &[Use]) -> Result<(), StoreError> {
        (**self).touch(uses).await
    }

    async fn digest_algorithm(&self, name: &str) -> Result<String, StoreError> {
        (**self).digest_algorithm(name).await
    }

    async fn cursor_key(&self) -> Result<[u8; 32], StoreError> {
        (**self).cursor_key().await
    }
}
