//! Every interleaving of request, write and sync, with three preemptions at most, tried on the real
//! freshness core.
//!
//! Around it stands the least that there can be of everything else: a store of one key, a cache
//! of one entry, one flight. Next to each model stand the ways to get it wrong that look right;
//! each of them must be found out, or else the model would prove nothing.

#[expect(dead_code, reason = "the models do without some of it")]
#[path = "../src/keyring/freshness.rs"]
mod freshness;

mod concurrency {
    pub(crate) use loom::sync::atomic::{AtomicU64, Ordering};
}

#[path = "loom/epochs.rs"]
mod epochs;
#[path = "loom/lease.rs"]
mod lease;
#[path = "loom/outage.rs"]
mod outage;
#[path = "loom/replica.rs"]
mod replica;
#[path = "loom/restore.rs"]
mod restore;
#[path = "loom/writes.rs"]
mod writes;

use loom::sync::Mutex;

/// A store with one key. The lock is what the commit order of a real one is.
struct Store(Mutex<Row>);

#[derive(Clone, Copy)]
struct Row {
    revision: u64,
    opens: bool,
}

impl Store {
    fn new(opens: bool) -> Self {
        Self(Mutex::new(Row { revision: 1, opens }))
    }

    fn look_up(&self) -> Row {
        *self.0.lock().unwrap()
    }

    /// Answers with the revision of the change.
    fn commit(&self, opens: bool) -> u64 {
        let mut row = self.0.lock().unwrap();
        row.revision += 1;
        row.opens = opens;
        row.revision
    }

    /// A change to some other key, in another shard.
    fn commit_elsewhere(&self) {
        self.0.lock().unwrap().revision += 1;
    }
}

fn check(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

/// Loom must find an interleaving in which `model` goes wrong.
#[track_caller]
fn must_break(model: impl Fn() + Send + Sync + 'static) {
    let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(model)));
    let panic = found.expect_err("no interleaving went wrong");
    let said = panic.downcast_ref::<&str>().map(|said| (*said).to_owned());
    let said = said.or_else(|| panic.downcast_ref::<String>().cloned());
    let said = said.unwrap_or_default();
    assert!(said.contains("PROMISE"), "it broke in another way: {said}");
}
