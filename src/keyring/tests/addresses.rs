//! Keys that may be used from some addresses only: on hits and misses, in an outage, for a write.

use std::time::Duration;

use super::fixture::{Answer, Replica, allowed, unavailable};
use super::log;
use crate::allowed_ips::AllowedIps;
use crate::key::KeyId;
use crate::keyring::caller::Caller;
use crate::keyring::on_behalf::Making;
use crate::keyring::{Dead, Denial, Judged, KeyPatch, NewKey, Restrict, Unavailable, WriteError};
use crate::store::{MemoryStore, Refusal};

const OFFICE: [&str; 2] = ["192.0.2.0/24", "2001:db8::/32"];
const ELSEWHERE: Answer = Err(Denial::Dead(Dead::Address));

/// A key that is bound to the office.
async fn bound(replica: &Replica) -> (KeyId, String) {
    let new = NewKey::named("key").unwrap().allowed_ips(OFFICE).unwrap();
    let created = replica.keyring.create(new).await.unwrap();
    (created.key.id, created.secret.expose().to_owned())
}

async fn bind(replica: &Replica, id: &KeyId, networks: &[&str]) {
    let patch = KeyPatch {
        allowed_ips: Some(Restrict::To(AllowedIps::parse(networks).unwrap())),
        ..KeyPatch::default()
    };
    replica.keyring.update(id, patch).await.unwrap();
}

#[tokio::test]
async fn every_hit_and_miss_is_judged_by_where_it_comes_from() {
    let cases = [
        (Some("192.0.2.7"), allowed()),
        (Some("::ffff:192.0.2.7"), allowed()),
        (Some("2001:db8::7"), allowed()),
        (Some("192.0.3.7"), ELSEWHERE),
        (Some("::1"), ELSEWHERE),
        (None, ELSEWHERE),
    ];
    for (from, expected) in &cases {
        let replica = Replica::alone().await;
        let (_, secret) = bound(&replica).await;
        replica.sync().await;
        assert_eq!(
            replica.ask_from(&secret, *from).await,
            *expected,
            "{from:?}"
        );
        // From memory, whoever has asked before.
        let asked = replica.faults.look_ups.calls();
        for (from, expected) in &cases {
            let answer = replica.ask_from(&secret, *from).await;
            assert_eq!(answer, *expected, "{from:?} on a hit");
        }
        assert_eq!(replica.faults.look_ups.calls(), asked);
    }
}

#[tokio::test]
async fn where_nobody_knows_from_where_the_operator_is_told() {
    let replica = Replica::alone().await;
    let (id, secret) = bound(&replica).await;
    for from in [Some("198.51.100.1"), None] {
        let _ = log::lines("");
        assert_eq!(replica.ask_from(&secret, from).await, ELSEWHERE);
        let told = log::lines("the address of the client is not known");
        assert_eq!(told.len(), usize::from(from.is_none()), "{from:?}");
        assert!(
            told.iter()
                .all(|line| line.contains(id.as_str()) && line.contains("ERROR"))
        );
    }
}

#[tokio::test]
async fn a_hit_of_a_key_that_is_not_bound_looks_at_no_address() {
    let replica = Replica::alone().await;
    let created = replica.create().await;
    let secret = created.secret.expose();
    replica.sync().await;
    assert_eq!(replica.ask(secret).await, allowed());
    let key = replica.keyring.format().parse(secret.as_bytes()).unwrap();
    let judged = replica
        .keyring
        .authorize(&key, || unreachable!("nobody needs it"));
    assert!(matches!(judged, Judged::Now(Ok(_))));
}

#[tokio::test]
async fn a_use_from_elsewhere_is_no_use() {
    let replica = Replica::alone().await;
    let (id, secret) = bound(&replica).await;
    for (from, used) in [("198.51.100.1", false), ("192.0.2.1", true)] {
        let _ = replica.ask_from(&secret, Some(from)).await;
        replica.keyring.shutdown().await;
        let key = replica.keyring.get(&id).await.unwrap().unwrap();
        assert_eq!(key.last_used_at.is_some(), used, "{from}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_grace_lets_nobody_in_from_elsewhere() {
    let grace = Duration::from_mins(30);
    let replica = Replica::with(MemoryStore::new(), |builder| {
        builder.dangerously_accept_known_keys_during_outage(grace)
    });
    let replica = replica.await;
    let (_, secret) = bound(&replica).await;
    replica.sync().await;
    assert_eq!(
        replica.ask_from(&secret, Some("192.0.2.7")).await,
        allowed()
    );
    replica.faults.fail();
    replica.clock.advance(Duration::from_secs(6));
    let away = unavailable(Unavailable::StoreFailed);
    for (from, expected) in [
        (Some("192.0.2.7"), allowed()),
        (Some("192.0.3.7"), away.clone()),
        (None, away),
    ] {
        assert_eq!(replica.ask_from(&secret, from).await, expected, "{from:?}");
    }
    assert_eq!(replica.keyring.health().judged_in_outage, 1);
    let principal = replica.principal_from(&secret, "192.0.2.7").await;
    assert!(principal.is_judged_in_outage());
}

/// What a key creates when it is let in from an address, and its row is bound meanwhile.
async fn create_as(from: &str, before: &[&str], meanwhile: &[&str]) -> Result<(), WriteError> {
    let replica = Replica::alone().await;
    let scopes = ["keys:write"];
    let new = NewKey::named("key").unwrap().scopes(scopes).unwrap();
    let created = replica.keyring.create(new).await.unwrap();
    if !before.is_empty() {
        bind(&replica, &created.key.id, before).await;
    }
    let secret = created.secret.expose();
    let principal = replica.principal_from(secret, from).await;
    if !meanwhile.is_empty() {
        bind(&replica, &created.key.id, meanwhile).await;
    }
    let child = NewKey::named("child").unwrap().allowed_ips(["192.0.2.8"]);
    let caller = Caller::Key(principal);
    let made = replica
        .keyring
        .create_as(caller, child.unwrap(), Making::default());
    made.await.map(|_| ())
}

#[tokio::test]
async fn a_write_is_judged_by_the_callers_row_as_it_is_now() {
    let inside = "192.0.2.7";
    let cases: [(&str, &[&str], &[&str], bool); 6] = [
        ("it is not bound", &[], &[], true),
        ("it is bound to where it comes from", &OFFICE, &[], true),
        ("and still is", &OFFICE, &["192.0.2.0/28"], true),
        (
            "it is bound to elsewhere by now",
            &OFFICE,
            &["198.51.100.0/24"],
            false,
        ),
        // Nobody has looked from where it comes: the next request is judged by that.
        ("it is bound since", &[], &OFFICE, false),
        (
            "it is bound to elsewhere since",
            &[],
            &["198.51.100.0/24"],
            false,
        ),
    ];
    for (name, before, meanwhile, expected) in cases {
        let made = create_as(inside, before, meanwhile).await;
        match made {
            Ok(()) => assert!(expected, "{name}"),
            Err(why) => {
                let dead = matches!(why, WriteError::Refused(Refusal::CallerDead));
                assert!(!expected && dead, "{name}: {why}");
            }
        }
    }
}
