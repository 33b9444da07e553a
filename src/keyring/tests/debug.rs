//! Nothing that is printed for people to debug shows a secret or a digest.

use std::time::Duration;

use super::fixture::{Replica, allowed};
use crate::keyring::{Expiry, Health, Keyring, NewKey};
use crate::store::MemoryStore;

#[tokio::test(start_paused = true)]
async fn no_secret_and_no_digest_is_shown_while_a_key_is_in_use() {
    let replica = Replica::alone().await;
    let created = replica.create().await;
    let secret = created.secret.expose();
    assert_eq!(replica.ask(secret).await, allowed());
    let digest = replica
        .keyring
        .format()
        .parse(secret.as_bytes())
        .unwrap()
        .digest();
    let body = secret.strip_prefix("acme_live_").unwrap();
    // The hint shows the first four characters and no more.
    let hidden = &body[4..];
    let hex: String = digest.as_bytes()[..4]
        .iter()
        .fold(String::new(), |hex, b| hex + &format!("{b:02x}"));
    let bytes = format!("{:?}", &digest.as_bytes()[..4]);
    let bytes = bytes.trim_matches(['[', ']']);
    let shown = [
        format!("{:?}", replica.keyring),
        format!("{created:?}"),
        format!("{:?}", replica.keyring.health()),
        format!("{:#?}", replica.keyring),
        format!("{created:#?}"),
    ];
    for shown in shown {
        for secret in [hidden, &hidden[..8], &hex, bytes] {
            assert!(!shown.contains(secret), "{secret} is in {shown}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_created_key_shows_its_record_and_hides_its_secret() {
    let replica = Replica::alone().await;
    let created = replica.create().await;
    let shown = format!("{created:?}");
    let record = format!("{:?}", created.key);
    let secret = format!("{:?}", created.secret);
    assert_eq!(
        shown,
        format!("Created {{ key: {record}, secret: {secret} }}")
    );
}

#[test]
fn a_new_key_shows_what_was_asked_for() {
    let new = NewKey::named("export").unwrap();
    let new = new.owner("acme").unwrap().scopes(["a:b"]).unwrap();
    let new = new.expiry(Expiry::In(Duration::from_mins(1)));
    let shown = format!("{new:?}");
    for part in ["export", "acme", "a:b", "In(60s)"] {
        assert!(shown.contains(part), "{part} is not in {shown}");
    }
}

#[test]
fn a_builder_shows_its_options() {
    let store = MemoryStore::new();
    let shown_store = format!("{store:?}");
    let builder = Keyring::builder(store).prefix("acme");
    let shown = format!("{builder:?}").replace(&shown_store, "S");
    assert_eq!(
        shown,
        "Builder { store: S, prefix: Some(\"acme\"), environments: [\"live\"], scopes: None, \
         max_staleness: 5s, poll_interval: None, lookup_deadline: None, .. }"
    );
}

#[tokio::test(start_paused = true)]
async fn health_shows_numbers_alone() {
    let replica = Replica::of(MemoryStore::new()).await;
    let expected = Health {
        in_sync: true,
        lease_age: Some(Duration::ZERO),
        revision: Some(0),
        epoch: 1,
        lookups_answered: true,
        lookups: 0,
        waiting: 0,
        known: 0,
        unknown: 0,
        uses_dropped: 0,
        sync_lag: Some(Duration::ZERO),
        listening: false,
        history_breaks: 0,
        refuses_what_it_saw_revoked: false,
        judged_in_outage: 0,
    };
    assert_eq!(replica.keyring.health(), expected);
    assert_eq!(
        format!("{expected:?}"),
        "Health { in_sync: true, lease_age: Some(0ns), revision: Some(0), epoch: 1, \
         lookups_answered: true, lookups: 0, waiting: 0, known: 0, unknown: 0, \
         uses_dropped: 0, sync_lag: Some(0ns), listening: false, history_breaks: 0, \
         refuses_what_it_saw_revoked: false, judged_in_outage: 0 }"
    );
}
