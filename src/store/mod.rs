//! Where keys live: the contract, and the stores that come with the crate.

#[cfg(feature = "testing")]
pub mod conformance;
pub mod contract;
pub mod error;
pub mod memory;
pub mod record;
#[cfg(feature = "sqlite")]
pub mod sqlite;

pub use contract::{
    Change, Decide, Decision, Falsifies, KeyStore, ListQuery, LookUp, Nudges, Outcome, Position,
    Read, Refusal, Replay, ReplayKey, Rows, StoreId, Subjects, SyncReport, Touched, Transacted,
    Use, Where, Whose,
};
pub use error::{StoreError, StoreErrorKind};
pub use memory::MemoryStore;
pub use record::{
    FoundKey, InvalidMetadata, InvalidText, KeyName, KeyRecord, Metadata, Owner, Previous,
    Provenance, Revocation, Status,
};
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteStore;
