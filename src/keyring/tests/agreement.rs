//! A keyring whose digests are not those of the store.

use std::time::Duration;

use crate::key::{DigestAlgorithm, Pepper};
use crate::keyring::{Keyring, NewKey, WriteError};
use crate::store::{KeyStore, MemoryStore, StoreErrorKind};
use crate::testing::FaultStore;

fn peppered(store: MemoryStore, pepper: u8) -> Keyring {
    let pepper = Pepper::new([pepper; 32]).unwrap();
    Keyring::builder(store)
        .prefix("acme")
        .digest(DigestAlgorithm::hmac_sha256(pepper))
        .build()
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn another_digest_than_the_stores_is_refused_and_never_called_a_dead_key() {
    let store = MemoryStore::new();
    let here = peppered(store.clone(), 1);
    here.create(NewKey::named("key").unwrap()).await.unwrap();

    let strangers = [
        peppered(store.clone(), 2),
        Keyring::builder(store.clone())
            .prefix("acme")
            .build()
            .unwrap(),
    ];
    for stranger in strangers {
        let error = stranger.ready().await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Misconfigured);
        assert!(error.to_string().contains("hmac-sha256:"), "{error}");
        let write = stranger.create(NewKey::named("other").unwrap()).await;
        let Err(WriteError::Store(error)) = write else {
            panic!("{write:?}");
        };
        assert_eq!(error.kind(), StoreErrorKind::Misconfigured);
    }
    assert!(peppered(store, 1).ready().await.is_ok());
}

#[tokio::test]
async fn a_store_without_keys_takes_the_digest_of_whoever_comes() {
    let store = MemoryStore::new();
    assert_eq!(store.digest_algorithm("a").await.unwrap(), "a");
    assert_eq!(store.digest_algorithm("b").await.unwrap(), "b");
    let here = peppered(store.clone(), 1);
    here.create(NewKey::named("key").unwrap()).await.unwrap();
    let kept = store.digest_algorithm("a").await.unwrap();
    assert!(kept.starts_with("hmac-sha256:"));
}

#[tokio::test(start_paused = true)]
async fn a_question_that_hangs_holds_nobody_up_once_the_store_is_back() {
    let store = FaultStore::new(MemoryStore::new());
    let faults = store.faults();
    faults.reads.hang();
    let keyring = Keyring::builder(store).prefix("acme").build().unwrap();
    let new = NewKey::named("key").unwrap();
    // A sync asks first and is cut short by its deadline; a write, which nobody cuts short, is next.
    let writing = keyring.clone();
    let write = tokio::spawn(async move { writing.create(new).await });
    tokio::time::sleep(Duration::from_secs(2)).await;
    faults.heal();
    let _whatever_it_met = write.await.unwrap();
    keyring.ready().await.unwrap();
    keyring.create(NewKey::named("key").unwrap()).await.unwrap();
}
