//! The outage grace: known keys keep working for a while, and nothing else does.

use std::time::Duration;

use super::fixture::{Answer, Replica, allowed, unavailable};
use crate::key::KeyId;
use crate::keyring::{Builder, Unavailable};
use crate::store::{KeyStore, MemoryStore};

const MAX_STALENESS: Duration = Duration::from_secs(5);
const GRACE: Duration = Duration::from_mins(30);
const TICK: Duration = Duration::from_nanos(1);

fn graceful(builder: Builder) -> Builder {
    builder.dangerously_accept_known_keys_during_outage(GRACE)
}

async fn of(store: impl KeyStore) -> Replica {
    Replica::with(store, graceful).await
}

/// A key that was used here not long before the store went away, and the lease is over.
async fn in_outage() -> (Replica, KeyId, String) {
    let replica = of(MemoryStore::new()).await;
    let created = replica.create().await;
    let secret = created.secret.expose().to_owned();
    replica.sync().await;
    assert_eq!(replica.ask(&secret).await, allowed());
    replica.faults.fail();
    replica.clock.advance(MAX_STALENESS + TICK);
    (replica, created.key.id, secret)
}

async fn marked(replica: &Replica, secret: &str) -> bool {
    replica.principal(secret).await.is_judged_in_outage()
}

fn away() -> Answer {
    unavailable(Unavailable::StoreFailed)
}

#[tokio::test(start_paused = true)]
async fn a_known_key_works_from_the_end_of_the_lease_to_the_end_of_the_grace() {
    let (replica, _, secret) = in_outage().await;
    assert!(marked(&replica, &secret).await);
    replica.clock.advance(GRACE.saturating_sub(TICK));
    assert!(
        marked(&replica, &secret).await,
        "the grace holds to its end"
    );
    replica.clock.advance(TICK);
    assert_eq!(replica.ask(&secret).await, away(), "and not a tick longer");
    assert_eq!(replica.keyring.health().judged_in_outage, 2);
}

#[tokio::test(start_paused = true)]
async fn without_the_option_there_is_none() {
    let replica = Replica::alone().await;
    let created = replica.create().await;
    let secret = created.secret.expose();
    assert_eq!(replica.ask(secret).await, allowed());
    replica.faults.fail();
    replica.clock.advance(MAX_STALENESS + TICK);
    assert_eq!(replica.ask(secret).await, away());
    assert_eq!(replica.keyring.health().judged_in_outage, 0);
}

#[tokio::test(start_paused = true)]
async fn while_the_lease_holds_nobody_is_marked() {
    let replica = of(MemoryStore::new()).await;
    let created = replica.create().await;
    let secret = created.secret.expose();
    assert!(!marked(&replica, secret).await);
    replica.faults.fail();
    replica.clock.advance(MAX_STALENESS);
    assert!(!marked(&replica, secret).await);
    assert_eq!(replica.keyring.health().judged_in_outage, 0);
}

#[tokio::test(start_paused = true)]
async fn a_look_up_that_is_answered_decides_alone() {
    let (replica, id, secret) = in_outage().await;
    replica.faults.heal();
    replica.faults.syncs.fail();
    let elsewhere = replica.faults.look_ups.calls();
    assert!(!marked(&replica, &secret).await);
    assert_eq!(replica.faults.look_ups.calls(), elsewhere + 1);
    assert!(id.as_str().starts_with("key_"));
}
