//! Roles: names in a row, and what the code says of them.

use super::fixture::Replica;
use super::log;
use crate::keyring::caller::Caller;
use crate::keyring::on_behalf::Making;
use crate::keyring::{BuildError, Builder, Keyring, NewKey, WriteError};
use crate::scope::RoleSet;
use crate::store::{MemoryStore, Refusal};

fn known(builder: Builder) -> Builder {
    builder
        .scopes(["reports:read", "reports:write"])
        .role("read_only", "Sees everything.", ["reports:read"])
        .role("admin", "Does everything.", ["*", "keys:admin"])
}

fn new(scopes: &[&str], roles: &[&str]) -> NewKey {
    let new = NewKey::named("key").unwrap().scopes(scopes).unwrap();
    new.roles(roles).unwrap()
}

#[tokio::test]
async fn a_key_grants_what_its_roles_grant_and_a_restart_renews_that() {
    let store = MemoryStore::new();
    let before = Replica::with(store.clone(), known).await;
    let created = before
        .keyring
        .create(new(&["reports:write"], &["read_only"]));
    let created = created.await.unwrap();
    let secret = created.secret.expose();
    assert_eq!(created.key.scopes.to_string(), "reports:write");

    let after = Replica::with(store.clone(), |builder| {
        builder.role(
            "read_only",
            "Sees reports and invoices.",
            ["reports:read", "invoices:read"],
        )
    });
    let without = Replica::with(store, |builder| builder);
    let cases = [
        ("as it was", before, "reports:read reports:write"),
        (
            "with other words",
            after.await,
            "invoices:read reports:read reports:write",
        ),
        ("without the role", without.await, "reports:write"),
    ];
    for (name, replica, grants) in cases {
        let _ = log::lines("");
        let principal = replica.principal(secret).await;
        assert_eq!(principal.scopes().to_string(), grants, "{name}");
        assert_eq!(principal.roles().to_string(), "read_only", "{name}");
        assert!(principal.has_scope("reports:write") && !principal.has_scope("read_only"));
        // Once, when the row is read; not at each request.
        let _ = replica.principal(secret).await;
        let warned = log::lines("a key has roles that are not known");
        assert_eq!(
            warned.len(),
            usize::from(name == "without the role"),
            "{name}"
        );
        assert!(
            warned
                .iter()
                .all(|line| line.contains("WARN") && line.contains("read_only"))
        );
    }
}

#[tokio::test]
async fn what_is_not_known_is_refused_with_what_is() {
    let replica = Replica::with(MemoryStore::new(), known).await;
    let refused = async |new: NewKey| {
        let made = replica.keyring.create(new).await;
        made.unwrap_err().to_string()
    };
    assert_eq!(
        refused(new(&["report:read"], &[])).await,
        "the scope `report:read` is not declared; declared are keys:admin, keys:read, \
         keys:write, reports:read, reports:write"
    );
    assert_eq!(
        refused(new(&[], &["admin", "readonly"])).await,
        "the role `readonly` is not known; known are admin, read_only"
    );
    let bare = Replica::alone().await;
    let why = bare.keyring.create(new(&["anything"], &["admin"])).await;
    assert_eq!(
        why.unwrap_err().to_string(),
        "the role `admin` is not known; known are none"
    );
}

#[tokio::test]
async fn of_many_the_first_are_named() {
    let replica = Replica::with(MemoryStore::new(), |builder| {
        (0..60).fold(builder, |builder, n| {
            builder.role(&format!("role{n:02}"), "", [""; 0])
        })
    });
    let why = replica.await.keyring.create(new(&[], &["other"])).await;
    let said = why.unwrap_err().to_string();
    assert!(said.ends_with("role48, role49 and 10 more"), "{said}");
}

#[tokio::test]
async fn nobody_hands_on_a_role_that_grants_more_than_they_hold() {
    let replica = Replica::with(MemoryStore::new(), known).await;
    let maker = new(&["keys:write"], &["read_only"]);
    let maker = replica.keyring.create(maker).await.unwrap();
    let principal = replica.principal(maker.secret.expose()).await;
    for (scopes, roles, expected) in [
        (&[][..], &["read_only"][..], true),
        (&["reports:read"], &[], true),
        (&[], &["admin"], false),
        (&["reports:write"], &["read_only"], false),
    ] {
        let caller = Caller::Key(principal.clone());
        let made = replica
            .keyring
            .create_as(caller, new(scopes, roles), Making::default());
        match made.await {
            Ok(made) => {
                assert!(expected, "{scopes:?} {roles:?}");
                assert_eq!(made.record.roles, RoleSet::parse(roles).unwrap());
            }
            Err(why) => {
                let exceeds = matches!(why, WriteError::Refused(Refusal::ExceedsCaller));
                assert!(!expected && exceeds, "{scopes:?} {roles:?}: {why}");
            }
        }
    }
}

#[tokio::test]
async fn what_cannot_be_declared_is_refused_when_building() {
    let store = MemoryStore::new;
    let keyring = |builder: fn(Builder) -> Builder| {
        let built = builder(Keyring::builder(store()).prefix("acme")).build();
        match built {
            Err(BuildError::Declaration(why)) => why.to_string(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(
        keyring(|b| b.scopes(["a"]).role("r", "", ["b"])),
        "the role \"r\" grants \"b\", which is not among the declared scopes"
    );
    assert!(keyring(|b| b.describe_scopes([("a b", "")])).contains("the character ` `"));
    assert!(keyring(|b| b.scopes(["a:*"])).contains("has a wildcard"));
    assert!(keyring(|b| b.role("", "", [""; 0])).contains("the name of a role is empty"));
}
