//! Keys whose secret was made elsewhere.

use super::fixture::{Replica, UNKNOWN, allowed};
use crate::key::GeneratedKey;
use crate::keyring::caller::Caller;
use crate::keyring::on_behalf::{Making, Recognisable};
use crate::keyring::{Imported, MadeElsewhere, NewKey, WriteError};
use crate::store::{EventKind, EventQuery, Refusal, ReplayKey};

/// A key that nobody here has made.
fn elsewhere(replica: &Replica) -> (GeneratedKey, MadeElsewhere) {
    let format = replica.keyring.format();
    let key = format.generate(format.default_environment()).unwrap();
    let made = MadeElsewhere {
        digest: key.digest,
        hint: key.hint.clone(),
    };
    (key, made)
}

fn new(owner: &str) -> NewKey {
    NewKey::named("key").unwrap().owner(owner).unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_imported_key_opens_what_it_grants_from_the_answer_on() {
    let replica = Replica::alone().await;
    let (key, made) = elsewhere(&replica);
    let secret = key.plain.expose();
    assert_eq!(replica.ask(secret).await, UNKNOWN, "and it is remembered");
    let imported = replica.keyring.import(new("acme"), made.clone()).await;
    let Imported::Made(record) = imported.unwrap() else {
        panic!("nobody had it");
    };
    assert_eq!(record.hint, made.hint);
    assert_eq!(replica.ask(secret).await, allowed());
    let query = EventQuery {
        key: Some(record.id),
        limit: 10,
        ..EventQuery::default()
    };
    let told = replica.keyring.events(query).await.unwrap();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].event.what, EventKind::Imported);
}

#[tokio::test(start_paused = true)]
async fn a_digest_is_the_owners_already_or_anothers() {
    let replica = Replica::alone().await;
    let (key, made) = elsewhere(&replica);
    let import = |owner| replica.keyring.import(new(owner), made.clone());
    let Imported::Made(record) = import("acme").await.unwrap() else {
        panic!("nobody had it");
    };
    assert_eq!(
        import("acme").await.unwrap(),
        Imported::Exists(record.clone())
    );
    let others = import("other").await.unwrap_err();
    assert!(matches!(others, WriteError::Refused(Refusal::DigestTaken)));
    // Nor does it bring back what was revoked.
    replica.revoke(&record.id).await;
    let Imported::Exists(dead) = import("acme").await.unwrap() else {
        panic!("it is there");
    };
    assert!(dead.revoked.is_some());
    assert!(replica.ask(key.plain.expose()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_request_that_comes_again_keeps_the_key_and_its_secret() {
    let replica = Replica::alone().await;
    let (key, made) = elsewhere(&replica);
    let making = Making {
        recognisable: Some(Recognisable {
            by: ReplayKey([1; 32]),
            request: [2; 32],
        }),
        ..Making::default()
    };
    let import = || {
        let keyring = &replica.keyring;
        keyring.import_as(Caller::System, new("acme"), made.clone(), making.clone())
    };
    let (_, first) = import().await.unwrap();
    let (_, again) = import().await.unwrap();
    assert_eq!(first, again);
    assert!(matches!(first, Imported::Made(_)));
    assert_eq!(replica.ask(key.plain.expose()).await, allowed());
}

#[tokio::test(start_paused = true)]
async fn a_role_that_the_code_does_not_know_is_given_to_nobody() {
    let replica = Replica::alone().await;
    let keyring = &replica.keyring;
    let roles = |new: NewKey| new.roles(["auditor"]).unwrap();
    let created = keyring.create(roles(new("acme"))).await.unwrap_err();
    let (_, made) = elsewhere(&replica);
    let imported = keyring.import(roles(new("acme")), made).await.unwrap_err();
    for error in [created, imported] {
        assert!(matches!(error, WriteError::UnknownRole { role, .. } if role == "auditor"));
    }
    assert_eq!(replica.faults.writes.calls(), 0);
}
