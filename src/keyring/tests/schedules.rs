//! The real keyring on schedules of its threads that no clock and no frozen store brings about: at
//! each step on what they share, any of them may go on.
//!
//! `PORTCULLIS_SCHEDULES` says how many of each are tried.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Waker};

use shuttle::future::block_on;
use shuttle::thread::{self, JoinHandle};

use super::fixture::{REVOKED, Replica, allowed, unavailable};
use crate::key::KeyId;
use crate::keyring::concurrency::on_many_schedules;
use crate::keyring::{Builder, Unavailable};
use crate::store::MemoryStore;

/// A replica and a key that nothing is remembered of yet.
#[derive(Clone)]
struct World {
    replica: Replica,
    id: KeyId,
    secret: String,
    /// The answer to the revocation was given.
    revoked: Arc<AtomicBool>,
}

impl World {
    fn new() -> Self {
        Self::with(|builder| builder)
    }

    fn with(options: impl FnOnce(Builder) -> Builder) -> Self {
        let replica = block_on(Replica::with(MemoryStore::new(), options));
        let created = block_on(replica.create());
        Self {
            replica,
            id: created.key.id,
            secret: created.secret.expose().to_owned(),
            revoked: Arc::default(),
        }
    }

    fn on_a_thread(&self, work: impl FnOnce(&Self) + Send + 'static) -> JoinHandle<()> {
        let world = self.clone();
        thread::spawn(move || work(&world))
    }

    /// A request; one that comes after the answer to the revocation is refused.
    fn ask(&self) {
        let late = self.revoked.load(Ordering::SeqCst);
        let answer = block_on(self.replica.ask(&self.secret));
        let in_time = !late && answer == allowed();
        assert!(in_time || answer == REVOKED, "{answer:?}, late: {late}");
    }

    /// Leaves after the first step, whether there is an answer by then or not.
    fn ask_and_hang_up(&self) {
        let mut asked = std::pin::pin!(self.replica.ask(&self.secret));
        let mut context = Context::from_waker(Waker::noop());
        let _ = asked.as_mut().poll(&mut context);
    }

    /// Whatever the answer is: one that was lost tells as much.
    fn revoke(&self) {
        drop(block_on(self.replica.keyring.revoke(&self.id, None)));
        self.revoked.store(true, Ordering::SeqCst);
        self.ask();
    }

    /// Whoever asks now finds it revoked, and nothing of what was under way is left.
    fn is_revoked(&self) {
        self.revoked.store(true, Ordering::SeqCst);
        self.ask();
        self.is_at_rest();
    }

    fn is_at_rest(&self) {
        let load = || self.replica.keyring.health();
        while load().lookups > 0 {
            thread::yield_now();
        }
        assert_eq!(load().waiting, 0);
    }
}

fn all(threads: impl IntoIterator<Item = JoinHandle<()>>) {
    for thread in threads {
        thread.join().unwrap();
    }
}

/// The tags do not move by it, since nobody knows to what. The epoch does.
#[test]
fn a_revocation_holds_whose_answer_from_the_store_was_lost() {
    on_many_schedules(|| {
        let world = World::new();
        world.replica.faults.writes.lose_answers();
        all([
            world.on_a_thread(World::ask),
            world.on_a_thread(World::ask),
            world.on_a_thread(World::revoke),
        ]);
        world.is_revoked();
    });
}

#[test]
fn those_who_hang_up_leave_nothing_behind_and_the_others_their_answer() {
    on_many_schedules(|| {
        let world = World::new();
        all([
            world.on_a_thread(World::ask),
            world.on_a_thread(World::ask_and_hang_up),
            world.on_a_thread(World::ask_and_hang_up),
        ]);
        world.is_at_rest();
        let look_ups = world.replica.faults.look_ups.calls();
        world.ask();
        let again = world.replica.faults.look_ups.calls() - look_ups;
        assert_eq!(again, 0, "the answer was remembered");
    });
}

#[test]
fn no_more_wait_than_there_are_places() {
    on_many_schedules(|| {
        let world = World::with(|builder| builder.lookups(2, 4));
        let crowd = (0..6).map(|_| {
            world.on_a_thread(|world| {
                let answer = block_on(world.replica.ask(&world.secret));
                let turned_away = unavailable(Unavailable::Overloaded);
                assert!(answer == allowed() || answer == turned_away, "{answer:?}");
                let waiting = world.replica.keyring.health().waiting;
                assert!(waiting <= 4, "{waiting}");
            })
        });
        all(crowd.collect::<Vec<_>>());
        world.is_at_rest();
    });
}
