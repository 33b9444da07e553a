//! Where keys live: the contract, and the stores that come with the crate.

#[cfg(feature = "testing")]
pub mod conformance;
pub mod contract;
pub mod decision;
pub mod error;
pub mod event;
pub mod memory;
pub mod metadata;
#[cfg(feature = "postgres")]
pub mod postgres;
pub mod record;
#[cfg(feature = "sqlite")]
pub mod sqlite;
pub mod text;

pub use contract::{
    Change, Falsifies, KeyStore, ListQuery, LookUp, Nudges, Position, Read, Source, StoreId,
    SyncReport, Touched, Use, Where,
};
pub use decision::{
    Decide, Decision, MOST_KEYS_NAMED, Outcome, Refusal, Replay, ReplayKey, Rows, Subjects,
    Transacted, Whose,
};
pub use error::{StoreError, StoreErrorKind};
pub use event::{
    Event, EventDetail, EventKind, EventQuery, MOST_PRUNED, Pruned, RecordedEvent, Retention,
};
pub use memory::MemoryStore;
pub use metadata::{InvalidMetadata, Metadata};
#[cfg(feature = "postgres")]
pub use postgres::PostgresStore;
pub use record::{FoundKey, KeyRecord, Previous, Provenance, Revocation, Status};
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteStore;
pub use text::{InvalidText, KeyName, Owner, SessionId};
