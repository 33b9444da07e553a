//! What threads share, and how tasks begin.
//!
//! The freshness core, the timeline, flights, writes, syncs, the hot table and the debounce of uses
//! take these from here, so that tests can put others in their place: `tests/loom.rs` loom's atomics,
//! under the freshness core, and the unit tests their own, at each step of which another thread may
//! go on.

pub(super) use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
pub(super) use std::sync::{Mutex, MutexGuard};

pub(super) use arc_swap::{ArcSwap, ArcSwapOption};
pub(super) use tokio::spawn;
