//! A key's end comes at its moment, by the clock that does not jump.

use std::time::Duration;

use super::fixture::{EXPIRED, Replica, allowed, soon};
use crate::keyring::{Expiry, NewKey};
use crate::timestamp::Timestamp;

const TICK: Duration = Duration::from_nanos(1);

async fn of_a_second(replica: &Replica) -> String {
    let new = NewKey::named("key").unwrap();
    let new = new.expiry(Expiry::In(Duration::from_secs(1)));
    let created = replica.keyring.create(new).await.unwrap();
    created.secret.expose().to_owned()
}

/// On a store with the same clock, so that no time passes between the two.
async fn replica() -> Replica {
    let clock = crate::testing::FakeClock::new();
    let store = crate::store::MemoryStore::with_clock(std::sync::Arc::new(clock.clone()));
    let replica = Replica::with(store, |builder| {
        builder.clock(std::sync::Arc::new(clock.clone()))
    });
    Replica {
        clock: clock.clone(),
        ..replica.await
    }
}

#[tokio::test(start_paused = true)]
async fn a_remembered_key_dies_at_the_very_moment_unasked() {
    let replica = replica().await;
    let secret = of_a_second(&replica).await;
    assert_eq!(replica.ask(&secret).await, allowed());
    replica.clock.advance(Duration::from_nanos(999_999_999));
    assert_eq!(replica.ask(&secret).await, allowed());
    replica.clock.advance(TICK);
    assert_eq!(replica.ask(&secret).await, EXPIRED);
    assert_eq!(replica.faults.look_ups.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_ends_during_its_look_up_is_dead() {
    let replica = replica().await;
    let secret = of_a_second(&replica).await;
    replica.faults.look_ups.freeze_next(1);
    let request = replica.asking(&secret);
    soon(replica.faults.look_ups.frozen(1)).await;
    replica.clock.advance(Duration::from_secs(1));
    replica.faults.look_ups.release();
    assert_eq!(request.await.unwrap(), EXPIRED);
}

#[tokio::test(start_paused = true)]
async fn jumps_of_the_wall_clock_change_nothing() {
    let replica = Replica::alone().await;
    let secret = of_a_second(&replica).await;
    assert_eq!(replica.ask(&secret).await, allowed());
    for wall in [Timestamp::MIN, Timestamp::UNIX_EPOCH, Timestamp::MAX] {
        replica.clock.set_wall(wall);
        assert_eq!(replica.ask(&secret).await, allowed(), "{wall}");
    }
    replica.clock.advance(Duration::from_secs(1));
    replica.clock.set_wall(Timestamp::MIN);
    assert_eq!(replica.ask(&secret).await, EXPIRED);
    assert_eq!(replica.faults.look_ups.calls(), 1);
}
