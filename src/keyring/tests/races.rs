//! Changes against look-ups that are under way: frozen after the row was read, before it came
//! back. Whoever asks after the change was answered gets the new answer, while the old look-up is
//! still frozen and after it has landed.

use std::time::Duration;

use super::fixture::{Answer, DISABLED, REVOKED, Replica, UNKNOWN, allowed, soon};
use crate::key::{GeneratedKey, KeyId};
use crate::keyring::Builder;
use crate::keyring::authority::{self, Draft, Expiry};
use crate::keyring::caller::Caller;
use crate::keyring::limits::Limits;
use crate::scope::{Roles, ScopeSet};
use crate::store::{KeyName, MemoryStore, Metadata, Owner, Subjects};

#[derive(Clone, Copy, Debug)]
enum Change {
    Revoke,
    Disable,
    Enable,
    Rename,
}

impl Change {
    async fn make(self, replica: &Replica, id: &KeyId) {
        match self {
            Self::Revoke => replica.revoke(id).await,
            Self::Disable => replica.enable(id, false).await,
            Self::Enable => replica.enable(id, true).await,
            Self::Rename => replica.rename(id, "renamed").await,
        }
    }

    fn before(self) -> Answer {
        match self {
            Self::Revoke | Self::Disable | Self::Rename => allowed(),
            Self::Enable => DISABLED,
        }
    }

    fn after(self) -> Answer {
        match self {
            Self::Revoke => REVOKED,
            Self::Disable => DISABLED,
            Self::Enable => allowed(),
            Self::Rename => Ok("renamed".to_owned()),
        }
    }
}

const CHANGES: [Change; 4] = [
    Change::Revoke,
    Change::Disable,
    Change::Enable,
    Change::Rename,
];

/// A key that is as it was before `change`.
async fn key_before(change: Change, replica: &Replica) -> (KeyId, String) {
    let created = replica.create().await;
    if matches!(change, Change::Enable) {
        replica.enable(&created.key.id, false).await;
    }
    (created.key.id, created.secret.expose().to_owned())
}

#[tokio::test(start_paused = true)]
async fn a_change_is_heeded_while_an_older_look_up_is_frozen_and_after_it_landed() {
    for change in CHANGES {
        let replica = Replica::alone().await;
        let look_ups = &replica.faults.look_ups;
        let (id, secret) = key_before(change, &replica).await;
        look_ups.freeze_next(1);
        let earlier = replica.asking(&secret);
        soon(look_ups.frozen(1)).await;

        change.make(&replica, &id).await;
        for _ in 0..10 {
            assert_eq!(replica.ask(&secret).await, change.after(), "{change:?}");
        }
        assert_eq!((look_ups.held(), look_ups.calls()), (1, 2), "{change:?}");

        look_ups.release();
        let earlier = earlier.await.unwrap();
        assert!(
            earlier == change.before() || earlier == change.after(),
            "{change:?}: {earlier:?}"
        );
        for _ in 0..100 {
            assert_eq!(replica.ask(&secret).await, change.after(), "{change:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_late_joiner_does_not_join_the_look_up_from_before_the_change() {
    for change in CHANGES {
        let replica = Replica::alone().await;
        let look_ups = &replica.faults.look_ups;
        let (id, secret) = key_before(change, &replica).await;
        look_ups.freeze_next(2);
        let earlier = replica.crowd(&secret, 5);
        soon(look_ups.frozen(1)).await;
        change.make(&replica, &id).await;
        // These share a look-up of their own, which is frozen too.
        let later = replica.crowd(&secret, 5);
        soon(look_ups.frozen(2)).await;
        assert_eq!(look_ups.calls(), 2, "{change:?}");
        look_ups.release();
        for request in later {
            assert_eq!(request.await.unwrap(), change.after(), "{change:?}");
        }
        for request in earlier {
            assert!(request.await.is_ok());
        }
        assert_eq!(replica.ask(&secret).await, change.after(), "{change:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_is_heeded_when_the_answer_from_before_is_remembered() {
    for change in CHANGES {
        let replica = Replica::alone().await;
        let (id, secret) = key_before(change, &replica).await;
        assert_eq!(replica.ask(&secret).await, change.before(), "{change:?}");
        change.make(&replica, &id).await;
        assert_eq!(replica.ask(&secret).await, change.after(), "{change:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_key_opens_while_its_negative_look_up_is_frozen_and_after_it_landed() {
    let replica = Replica::alone().await;
    let look_ups = &replica.faults.look_ups;
    let key = generated(&replica);
    let secret = key.plain.expose().to_owned();
    look_ups.freeze_next(1);
    let earlier = replica.asking(&secret);
    soon(look_ups.frozen(1)).await;

    insert(&replica, key).await;
    for _ in 0..10 {
        assert_eq!(replica.ask(&secret).await, allowed());
    }
    assert_eq!((look_ups.held(), look_ups.calls()), (1, 2));

    look_ups.release();
    assert_eq!(earlier.await.unwrap(), UNKNOWN);
    for _ in 0..100 {
        assert_eq!(replica.ask(&secret).await, allowed());
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_from_before_a_change_that_lands_first_is_not_remembered() {
    for change in CHANGES {
        let replica = Replica::alone().await;
        let look_ups = &replica.faults.look_ups;
        let (id, secret) = key_before(change, &replica).await;
        look_ups.freeze_next(1);
        let earlier = replica.asking(&secret);
        soon(look_ups.frozen(1)).await;
        change.make(&replica, &id).await;
        look_ups.release();
        drop(earlier.await.unwrap());
        assert_eq!(replica.ask(&secret).await, change.after(), "{change:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_such_key_from_before_a_create_that_lands_first_is_not_remembered() {
    let replica = Replica::alone().await;
    let look_ups = &replica.faults.look_ups;
    let key = generated(&replica);
    let secret = key.plain.expose().to_owned();
    look_ups.freeze_next(1);
    let earlier = replica.asking(&secret);
    soon(look_ups.frozen(1)).await;
    insert(&replica, key).await;
    look_ups.release();
    drop(earlier.await.unwrap());
    assert_eq!(replica.ask(&secret).await, allowed());
}

#[tokio::test(start_paused = true)]
async fn a_new_key_opens_though_it_was_remembered_as_unknown() {
    let replica = Replica::alone().await;
    let key = generated(&replica);
    let secret = key.plain.expose().to_owned();
    assert_eq!(replica.ask(&secret).await, UNKNOWN);
    insert(&replica, key).await;
    assert_eq!(replica.ask(&secret).await, allowed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn under_real_threads_nothing_sent_after_a_revoke_is_accepted() {
    // What is asked here is not how fast a busy machine is.
    let patient = |builder: Builder| builder.lookup_deadline(Duration::from_secs(4));
    let replica = Replica::with(MemoryStore::new(), patient).await;
    for _ in 0..100 {
        let created = replica.create().await;
        let secret = created.secret.expose().to_owned();
        let earlier: Vec<_> = (0..4)
            .map(|_| {
                let (replica, secret) = (replica.clone(), secret.clone());
                tokio::spawn(async move {
                    for _ in 0..20 {
                        drop(replica.ask(&secret).await);
                        tokio::task::yield_now().await;
                    }
                })
            })
            .collect();
        tokio::task::yield_now().await;
        replica.revoke(&created.key.id).await;
        for _ in 0..5 {
            assert_eq!(replica.ask(&secret).await, REVOKED);
        }
        for requests in earlier {
            requests.await.unwrap();
        }
        assert_eq!(replica.ask(&secret).await, REVOKED);
    }
}

fn generated(replica: &Replica) -> GeneratedKey {
    let format = replica.keyring.format();
    format.generate(format.default_environment()).unwrap()
}

/// Creates this very key, as the admin of a store with known secrets would.
async fn insert(replica: &Replica, key: GeneratedKey) {
    let draft = Draft {
        id: KeyId::generate().unwrap(),
        digest: key.digest,
        hint: key.hint,
        name: KeyName::parse("key").unwrap(),
        owner: Owner::parse("owner").unwrap(),
        environment: replica.keyring.format().default_environment().clone(),
        scopes: ScopeSet::empty(),
        roles: crate::scope::RoleSet::empty(),
        resources: None,
        allowed_ips: None,
        expiry: Expiry::Never,
        metadata: Metadata::default(),
        made_elsewhere: false,
        only_first: false,
        request: None,
        limits: Limits::default(),
    };
    let decide =
        move |rows: &_| authority::create(&Caller::System, &draft, &Roles::default(), rows);
    let write = replica.keyring.inner.write(Subjects::default(), decide);
    write.await.unwrap();
}
