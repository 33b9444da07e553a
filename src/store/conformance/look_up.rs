//! Finding a key.

use std::collections::BTreeMap;
use std::time::Duration;

use super::sample::{add, add_as, digest, id, moment, named, position, record, rename};
use super::stage::Stage;
use crate::allowed_ips::AllowedIps;
use crate::clock::Clock as _;
use crate::key::KeyHint;
use crate::resources::Resources;
use crate::scope::{RoleSet, ScopeSet};
use crate::store::{
    Decision, FoundKey, KeyName, KeyRecord, ListQuery, Metadata, Owner, Provenance, Refusal,
    Revocation, SessionId, Source, Subjects,
};
use crate::timestamp::Timestamp;

/// What is not there is `Ok(None)`, with the revision that this is true at.
pub async fn an_absent_key_is_none(stage: &Stage) {
    let look_up = stage
        .store()
        .look_up(&digest(1), Source::Primary)
        .await
        .unwrap();
    assert_eq!(look_up.found, None);
    assert!(look_up.primary);
    assert_eq!(look_up.store, position(stage.store()).await.store);
    assert_eq!(stage.store().get(&id(1)).await.unwrap().value, None);

    let revision = add(stage.store(), 2).await.revision;
    let look_up = stage
        .store()
        .look_up(&digest(1), Source::Primary)
        .await
        .unwrap();
    assert_eq!(look_up.found, None, "another key is not this one");
    assert_eq!(look_up.revision, revision);
    assert_eq!(stage.store().get(&id(1)).await.unwrap().value, None);
}

/// Each field comes back as it was written, whichever way the key is read.
pub async fn a_key_is_found_with_all_its_fields(stage: &Stage) {
    let records = [
        record(1),
        KeyRecord {
            id: id(2),
            name: KeyName::parse("é\u{1f511} 'quoted' \"twice\" ;--").unwrap(),
            owner: Owner::parse(" o'wner\\%_ ").unwrap(),
            environment: "eu1".parse().unwrap(),
            hint: KeyHint::from_stored("~!@#$%^&*()'\"").unwrap(),
            scopes: ScopeSet::from_stored("* keys:write reports:*").unwrap(),
            roles: RoleSet::from_stored("Read_only a.b-c").unwrap(),
            resources: Some(
                Resources::from_stored(r#"{"a":[],"topic":["\"ü #'\\","2"]}"#).unwrap(),
            ),
            allowed_ips: Some(AllowedIps::from_stored("10.0.0.0/8 2001:db8::1").unwrap()),
            enabled: false,
            created_at: Timestamp::from_unix_micros(-1).unwrap(),
            created_by: Provenance::Key(id(1)),
            expires_at: Some(Timestamp::MAX),
            revoked: Some(Revocation {
                at: moment(7),
                by: Provenance::AdminToken,
                reason: Some("lost: \u{1} \n 'é'".into()),
            }),
            metadata: Metadata::parse(r#"{"é":["\u0000",1.5e300,null,{}]}"#).unwrap(),
            last_used_at: Some(moment(6)),
            previous: None,
        },
        KeyRecord {
            id: "key_0123456789abcdef".parse().unwrap(),
            scopes: ScopeSet::empty(),
            resources: Some(Resources::none()),
            created_at: Timestamp::MIN,
            created_by: Provenance::Session(SessionId::parse("key: ü'%").unwrap()),
            expires_at: Some(Timestamp::from_unix_micros(1).unwrap()),
            revoked: Some(Revocation {
                at: Timestamp::MIN,
                by: Provenance::System,
                reason: None,
            }),
            ..record(3)
        },
    ];
    for (number, record) in (1..).zip(&records) {
        let written = add_as(stage.store(), record.clone(), digest(number)).await;
        assert_eq!(written.record, *record);
    }
    for (number, record) in (1..).zip(records) {
        for store in [stage.store(), stage.other()] {
            let found = FoundKey {
                record: record.clone(),
                secret_expires_at: None,
                secret_last_used_at: None,
            };
            let look_up = store
                .look_up(&digest(number), Source::Primary)
                .await
                .unwrap();
            assert_eq!(look_up.found, Some(found));
            let read = store.get(&record.id).await.unwrap();
            assert_eq!(read.value.as_ref(), Some(&record));
            let query = ListQuery {
                limit: 10,
                ..ListQuery::default()
            };
            assert!(store.list(&query).await.unwrap().value.contains(&record));
        }
    }
}

/// Whoever reads after a write was acknowledged reads at its revision at least.
pub async fn a_look_up_is_as_new_as_the_last_write(stage: &Stage) {
    let added = add(stage.store(), 1).await;
    for store in [stage.store(), stage.other()] {
        let look_up = store.look_up(&digest(1), Source::Primary).await.unwrap();
        assert_eq!(look_up.revision, added.revision);
        assert_eq!(position(store).await.revision, added.revision);
    }
    let renamed = rename(stage.other(), id(1), "new").await;
    for store in [stage.store(), stage.other()] {
        let look_up = store.look_up(&digest(1), Source::Primary).await.unwrap();
        assert_eq!(look_up.revision, renamed.revision);
        assert_eq!(look_up.found.unwrap().record, renamed.record);
    }
}

/// The key of a look-up is the one that there was at its revision, also while others write.
pub async fn a_look_up_is_one_snapshot(stage: &Stage) {
    let added = add(stage.store(), 1).await;
    let writer = stage.handle(1);
    let writing = tokio::spawn(async move {
        let mut names = BTreeMap::from([(added.revision, added.record.name)]);
        for number in 0..50 {
            let renamed = rename(&*writer, id(1), &format!("name {number}")).await;
            names.insert(renamed.revision, renamed.record.name);
        }
        names
    });
    let mut read = Vec::new();
    while !writing.is_finished() {
        let look_up = stage
            .store()
            .look_up(&digest(1), Source::Primary)
            .await
            .unwrap();
        read.push((look_up.revision, look_up.found.unwrap().record.name));
        tokio::task::yield_now().await;
    }
    let names = writing.await.unwrap();
    for (revision, name) in read {
        let (_, at_that_revision) = names.range(..=revision).next_back().unwrap();
        assert_eq!(name, *at_that_revision, "at revision {revision}");
    }
}

/// All answers tell the time by the one clock of the store.
pub async fn the_answers_carry_the_clock_of_the_store(stage: &Stage) {
    let mut last = Timestamp::MIN;
    for _ in 0..2 {
        let query = ListQuery {
            limit: 1,
            ..ListQuery::default()
        };
        let refuse = Box::new(|_: &_| Decision::Refuse(Refusal::NotFound));
        let answers = [
            stage
                .store()
                .look_up(&digest(1), Source::Primary)
                .await
                .unwrap()
                .now,
            stage.store().get(&id(1)).await.unwrap().now,
            stage.store().list(&query).await.unwrap().now,
            stage
                .store()
                .transact(Subjects::default(), refuse)
                .await
                .unwrap()
                .now,
            stage
                .other()
                .look_up(&digest(1), Source::Primary)
                .await
                .unwrap()
                .now,
        ];
        for now in answers {
            assert!(last <= now, "the clock went back");
            last = now;
        }
        if let Some(clock) = stage.clock() {
            assert!(answers.iter().all(|now| *now == clock.wall()));
            clock.advance(Duration::from_mins(1));
        }
    }
}

/// The key of cursors is random, stays as it is, and is the same for all.
pub async fn the_cursor_key_is_one_for_all(stage: &Stage) {
    let key = stage.store().cursor_key().await.unwrap();
    assert_ne!(key, [0; 32]);
    let renamed = named(record(1), "another");
    add_as(stage.store(), renamed, digest(1)).await;
    assert_eq!(stage.store().cursor_key().await.unwrap(), key);
    assert_eq!(stage.other().cursor_key().await.unwrap(), key);
}

/// Until then it is that of whoever asked last.
pub async fn the_digest_algorithm_is_that_of_the_first_key(stage: &Stage) {
    for (store, name) in [
        (stage.store(), "sha256"),
        (stage.other(), "hmac-sha256:9c1185a5"),
        (stage.store(), "blake3"),
        (stage.store(), "blake3"),
    ] {
        assert_eq!(store.digest_algorithm(name).await.unwrap(), name);
    }
    let added = add(stage.store(), 1).await;
    for name in ["sha256", "blake3", ""] {
        for store in [stage.store(), stage.other()] {
            assert_eq!(store.digest_algorithm(name).await.unwrap(), "blake3");
        }
    }
    let now = position(stage.store()).await;
    assert_eq!(now.revision, added.revision, "a name is no change of a key");
}
