//! What a case plays on.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use crate::clock::{BootTime, Clock, SystemClock};
use crate::store::KeyStore;
use crate::timestamp::Timestamp;

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
    clock: Option<Arc<HandMovedClock>>,
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
        let clock = Arc::new(HandMovedClock::new());
        let backend = B::create(clock.clone()).await;
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

    pub(super) fn clock(&self) -> Option<&HandMovedClock> {
        self.clock.as_deref()
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

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub(super) struct HandMovedClock(Mutex<Timestamp>);

impl HandMovedClock {
    fn new() -> Self {
        // 2030-01-01, so that it is mistaken for no other clock.
        let start = Timestamp::from_unix_micros(1_893_456_000_000_000).unwrap();
        Self(Mutex::new(start))
    }

    pub(super) fn advance(&self, by: Duration) {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *now = now.checked_add(by).unwrap();
    }
}

impl Clock for HandMovedClock {
    fn boot(&self) -> BootTime {
        SystemClock.boot()
    }

    fn wall(&self) -> Timestamp {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
