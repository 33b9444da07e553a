//! What threads share, with a place before each step at which another thread may go on.
//!
//! In the place of `concurrency` in all unit tests. Within [`on_many_schedules`] shuttle says who
//! goes on; elsewhere these are what they stand for. No step is less ordered here than it looks:
//! what comes of weaker orders is loom's business (`tests/loom.rs`).

use std::cell::Cell;
use std::error::Error;
use std::pin::Pin;
use std::sync::{Arc, LockResult, TryLockError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use arc_swap::Guard;
use shuttle::scheduler::RandomScheduler;

pub(crate) use std::sync::atomic::Ordering;
pub(crate) use std::sync::{MutexGuard, RwLockReadGuard, RwLockWriteGuard};

/// How many schedules of each test are tried, unless `PORTCULLIS_SCHEDULES` says otherwise.
const SCHEDULES: usize = 150;

/// Enough for a store and all above it without optimization.
const STACK: usize = 1 << 20;

thread_local! {
    /// All threads of a schedule take turns on the one that runs the test.
    static SCHEDULED: Cell<bool> = const { Cell::new(false) };

    static LOCKS: Cell<u64> = const { Cell::new(0) };
}

/// Runs `test` again and again, its threads in another order each time. They are shuttle's, and so is
/// what waits for a future. Tokio's time stands still, so that no deadline passes.
///
/// Nobody listens to the log: shuttle would tell of every step.
#[expect(
    clippy::unwrap_used,
    reason = "this is a test, which its place in the tree hides"
)]
pub(crate) fn on_many_schedules(test: impl Fn() + Send + Sync + 'static) {
    let schedules = std::env::var("PORTCULLIS_SCHEDULES");
    let schedules = schedules.map_or(SCHEDULES, |number| number.parse().unwrap());
    let mut config = shuttle::Config::new();
    config.stack_size = STACK;
    let runner = shuttle::Runner::new(RandomScheduler::new_from_seed(1, schedules), config);
    SCHEDULED.set(true);
    let silence = tracing::subscriber::NoSubscriber::default();
    tracing::subscriber::with_default(silence, || {
        runner.run(move || {
            let runtime = tokio::runtime::Builder::new_current_thread();
            let runtime = { runtime }.enable_time().start_paused(true).build();
            let runtime = runtime.unwrap();
            let _entered = runtime.enter();
            test();
        })
    });
    SCHEDULED.set(false);
}

/// Whoever else can go on may do so here.
fn anybody() {
    if SCHEDULED.get() && !std::thread::panicking() {
        shuttle::thread::sleep(Duration::ZERO);
    }
}

macro_rules! atomic {
    ($name:ident of $number:ty) => {
        #[derive(Debug, Default)]
        pub(crate) struct $name(std::sync::atomic::$name);

        #[allow(dead_code, reason = "one is not asked for all that the other is")]
        impl $name {
            pub(crate) const fn new(number: $number) -> Self {
                Self(std::sync::atomic::$name::new(number))
            }

            pub(crate) fn load(&self, order: Ordering) -> $number {
                anybody();
                self.0.load(order)
            }

            pub(crate) fn store(&self, number: $number, order: Ordering) {
                anybody();
                self.0.store(number, order);
            }

            pub(crate) fn fetch_add(&self, number: $number, order: Ordering) -> $number {
                anybody();
                self.0.fetch_add(number, order)
            }

            pub(crate) fn fetch_sub(&self, number: $number, order: Ordering) -> $number {
                anybody();
                self.0.fetch_sub(number, order)
            }

            pub(crate) fn fetch_max(&self, number: $number, order: Ordering) -> $number {
                anybody();
                self.0.fetch_max(number, order)
            }

            pub(crate) fn compare_exchange(
                &self,
                from: $number,
                to: $number,
                done: Ordering,
                failed: Ordering,
            ) -> Result<$number, $number> {
                anybody();
                self.0.compare_exchange(from, to, done, failed)
            }

            pub(crate) fn fetch_update(
                &self,
                done: Ordering,
                failed: Ordering,
                update: impl FnMut($number) -> Option<$number>,
            ) -> Result<$number, $number> {
                anybody();
                self.0.fetch_update(done, failed, update)
            }
        }
    };
}

atomic!(AtomicU64 of u64);
atomic!(AtomicUsize of usize);

#[derive(Default)]
pub(crate) struct Mutex<T>(std::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(std::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        count_lock();
        anybody();
        loop {
            match self.0.try_lock() {
                Ok(guard) => return Ok(guard),
                Err(TryLockError::Poisoned(poisoned)) => return Err(poisoned),
                // Who holds it goes on only if this one does not block the thread for both.
                Err(TryLockError::WouldBlock) if SCHEDULED.get() => anybody(),
                Err(TryLockError::WouldBlock) => return self.0.lock(),
            }
        }
    }
}

/// Without a place before it: it is taken within transactions as well, and whoever went on there would
/// come to the lock of the store, which is none of these, and wait for it for ever.
#[derive(Default)]
pub(crate) struct RwLock<T>(std::sync::RwLock<T>);

impl<T> RwLock<T> {
    pub(crate) fn read(&self) -> LockResult<RwLockReadGuard<'_, T>> {
        count_lock();
        self.0.read()
    }

    pub(crate) fn write(&self) -> LockResult<RwLockWriteGuard<'_, T>> {
        count_lock();
        self.0.write()
    }
}

fn count_lock() {
    LOCKS.set(LOCKS.get() + 1);
}

/// How many locks this thread has taken so far, of those that are here.
pub(crate) fn locks_taken() -> u64 {
    LOCKS.get()
}

pub(crate) struct ArcSwap<T>(arc_swap::ArcSwap<T>);

impl<T> ArcSwap<T> {
    pub(crate) fn from_pointee(value: T) -> Self {
        Self(arc_swap::ArcSwap::from_pointee(value))
    }

    pub(crate) fn load(&self) -> Guard<Arc<T>> {
        anybody();
        self.0.load()
    }

    pub(crate) fn load_full(&self) -> Arc<T> {
        anybody();
        self.0.load_full()
    }

    pub(crate) fn store(&self, value: Arc<T>) {
        anybody();
        self.0.store(value);
    }
}

pub(crate) struct ArcSwapOption<T>(arc_swap::ArcSwapOption<T>);

impl<T> ArcSwapOption<T> {
    pub(crate) const fn const_empty() -> Self {
        Self(arc_swap::ArcSwapOption::const_empty())
    }

    pub(crate) fn load(&self) -> Guard<Option<Arc<T>>> {
        anybody();
        self.0.load()
    }

    pub(crate) fn store(&self, value: Option<Arc<T>>) {
        anybody();
        self.0.store(value);
    }

    pub(crate) fn compare_and_swap(&self, current: &Arc<T>, new: Option<Arc<T>>) {
        anybody();
        self.0.compare_and_swap(current, new);
    }
}

/// A task, which goes on when this is dropped.
pub(crate) enum Task<T> {
    OfTokio(tokio::task::JoinHandle<T>),
    OfShuttle(shuttle::future::JoinHandle<T>),
}

impl<T> Future for Task<T> {
    type Output = Result<T, Box<dyn Error + Send + Sync>>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match self.get_mut() {
            Self::OfTokio(task) => ready!(Pin::new(task).poll(context)).map_err(Into::into),
            Self::OfShuttle(task) => ready!(Pin::new(task).poll(context)).map_err(Into::into),
        })
    }
}

pub(crate) fn spawn<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Task<T> {
    if SCHEDULED.get() {
        Task::OfShuttle(shuttle::future::spawn(work))
    } else {
        Task::OfTokio(tokio::spawn(work))
    }
}
