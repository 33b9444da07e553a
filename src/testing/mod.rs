//! For tests of services and stores: time that moves when told, and a store that fails on command.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use portcullis::Keyring;
//! use portcullis::keyring::NewKey;
//! use portcullis::store::MemoryStore;
//! use portcullis::testing::FaultStore;
//!
//! let store = FaultStore::new(MemoryStore::new());
//! let faults = store.faults();
//! let keyring = Keyring::builder(store).prefix("acme").build()?;
//!
//! faults.writes.fail();
//! assert!(keyring.create(NewKey::named("export")?).await.is_err());
//! faults.writes.heal();
//! assert!(keyring.create(NewKey::named("export")?).await.is_ok());
//! assert_eq!(faults.writes.calls(), 2);
//! # Ok(()) }
//! ```

mod clock;
mod faults;
mod store;

pub use clock::FakeClock;
pub use faults::{Faults, Switch};
pub use store::FaultStore;
