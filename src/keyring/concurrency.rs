//! What threads share, and how tasks begin.
//!
//! The standard library's locks, and the atomics and pointers, in which the keyring's requests and
//! tasks meet are taken from here, so that tests can put others in their place: `tests/loom.rs` loom's
//! atomics, under the freshness core, and the unit tests their own, which count locks, and at each step
//! of which another thread may go on.

pub(super) use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
pub(super) use std::sync::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};

pub(super) use arc_swap::{ArcSwap, ArcSwapOption};
pub(super) use tokio::spawn;
