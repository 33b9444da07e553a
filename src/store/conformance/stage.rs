//! What a case plays on.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::clock::Clock;
use crate::store::KeyStore;
use crate::testing::FakeClock;

/// Makes fresh stores of one kind. Dropping it removes whatever its store lay in.
#[async_trait]
pub trait Backend: fmt::Debug + Send + Sync + 'static {
    /// The store that is tested.
    type Store: KeyStore;

    /// Whether the store tells the time by the clock that it is given. One that asks its server
    /// says no, and is asked less.
    const TAKES_A_CLOCK: bool;

    /// Makes an empty store.
    async fn create(clock: Arc<dyn Clock>) -> Self;

    /// A handle on that store: with connections of its own, as another replica would have, if the
    /// store is of that kind.
    async fn open(&self) -> Self::Store;

    /// Changes the store, by whatever means, until it has pruned the change rows of all that was
    /// there before. `false` if it never prunes any.
    async fn outlive_the_changes(&self) -> bool;
}

/// A fresh store, two handles on it, and its clock.
#[derive(Debug)]
pub struct Stage {
    store: Arc<dyn KeyStore>,
    other: Arc<dyn KeyStore>,
    clock: Option<FakeClock>,
    backend: Box<dyn Outlive>,
}

impl Stage {
    /// With the store itself.
    pub async fn direct<B: Backend>() -> Self {
        Self::new::<B>(|store| Arc::new(store)).await
    }

    /// With the store behind one more `Arc<dyn KeyStore>`, as a keyring is given it by those who
    /// choose their store when they start.
    pub async fn shared<B: Backend>() -> Self {
        Self::new::<B>(|store| {
            let store: Arc<dyn KeyStore> = Arc::new(store);
            Arc::new(store)
        })
        .await
    }

    async fn new<B: Backend>(wrap: fn(B::Store) -> Arc<dyn KeyStore>) -> Self {
        let clock = FakeClock::new();
        let backend = B::create(Arc::new(clock.clone())).await;
        Self {
            store: wrap(backend.open().await),
            other: wrap(backend.open().await),
            clock: B::TAKES_A_CLOCK.then_some(clock),
            backend: Box::new(backend),
        }
    }

    /// The store. Not the `Arc` around it, whose methods would be those of the impl for `Arc`.
    pub fn store(&self) -> &dyn KeyStore {
        &*self.store
    }

    /// Another handle on the same store.
    pub fn other(&self) -> &dyn KeyStore {
        &*self.other
    }

    /// The handles, to be taken to another task: now one, now the other.
    pub(super) fn handle(&self, number: u32) -> Arc<dyn KeyStore> {
        Arc::clone(if number.is_multiple_of(2) {
            &self.store
        } else {
            &self.other
        })
    }

    pub(super) fn clock(&self) -> Option<&FakeClock> {
        self.clock.as_ref()
    }

    pub(super) async fn outlive_the_changes(&self) -> bool {
        self.backend.outlive().await
    }
}

/// A [`Backend`] whose store is already made.
#[async_trait]
trait Outlive: Any + fmt::Debug + Send + Sync {
    async fn outlive(&self) -> bool;
}

#[async_trait]
impl<B: Backend> Outlive for B {
    async fn outlive(&self) -> bool {
        self.outlive_the_changes().await
    }
}
