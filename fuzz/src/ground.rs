//! What targets stand on: a runtime, and a keyring whose keys are the same in every run, so that
//! an input that was found once is found again.

use std::sync::Arc;

use portcullis::Keyring;
use portcullis::keyring::{Builder, Imported, MadeElsewhere, NewKey};
use portcullis::store::{KeyRecord, KeyStore, MemoryStore};
use portcullis::testing::FakeClock;
use tokio::runtime::{Builder as RuntimeBuilder, Runtime};

use crate::key_rules::key_of;

/// A key that opens.
pub const LIVING: &[u8] = b"a key that opens";

/// A key that was revoked.
pub const REVOKED: &[u8] = b"a key that was revoked";

/// One thread, whose time passes only while everybody waits for it.
pub fn runtime() -> Runtime {
    let mut builder = RuntimeBuilder::new_current_thread();
    builder.enable_time().start_paused(true);
    builder.build().expect("a runtime takes no resources")
}

/// The text of the key that is made of this.
pub fn secret(seed: &[u8]) -> String {
    String::from_utf8(key_of("acme_live_", seed)).expect("a key is ASCII")
}

/// An empty store whose clock stands still, and a keyring on it that goes by the same.
pub fn keyring(options: impl FnOnce(Builder) -> Builder) -> (Keyring, FakeClock) {
    let clock = FakeClock::new();
    let store = MemoryStore::with_clock(Arc::new(clock.clone()));
    (keyring_on(store, &clock, options), clock)
}

/// A keyring on this store, going by this clock.
pub fn keyring_on(
    store: impl KeyStore,
    clock: &FakeClock,
    options: impl FnOnce(Builder) -> Builder,
) -> Keyring {
    let builder = Keyring::builder(store).prefix("acme");
    let builder = builder.clock(Arc::new(clock.clone()));
    options(builder).build().expect("the options are fine")
}

/// Puts the key that is made of `seed` into the store.
pub async fn put(keyring: &Keyring, seed: &[u8], new: NewKey) -> KeyRecord {
    let secret = secret(seed);
    let format = keyring.format();
    let parsed = format.parse(secret.as_bytes()).expect("it is a key");
    let hint = format.imported_hint(&secret[..14], parsed.environment());
    let elsewhere = MadeElsewhere {
        digest: parsed.digest(),
        hint: hint.expect("it is the beginning of one"),
    };
    match keyring.import(new, elsewhere).await {
        Ok(Imported::Made(record)) => record,
        other => panic!("the store has room for it: {other:?}"),
    }
}
