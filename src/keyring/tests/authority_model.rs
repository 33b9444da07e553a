//! The rules of authority told a second time, naively, against random callers, requests and rows.
//!
//! Nothing here is taken from `authority.rs` and below it. What a list of scopes grants is found out by going
//! through a universe of concrete scopes one by one, so that "no more than the caller" is the
//! inclusion of two sets. Apart from the comparison with that second telling, every decision is
//! asked whether it lets anybody have what the caller has not.

mod rules;
mod scene;
mod universe;

use self::rules::{Asks, Request, after, asked_end, judge, verdict_of};
use self::scene::{Scene, hint};
use self::universe::{end, holds, is_alive, own_end, places, reach, things};
use crate::key::KeyDigest;
use crate::store::{Decision, EventKind, KeyRecord, Owner, Provenance};
use crate::timestamp::Timestamp;

const PAIRS: u64 = 100_000;

const CALLER: &str = "key_000000000000000c";
const TARGET: &str = "key_000000000000000t";
const NEW: &str = "key_000000000000000n";
const NEW_DIGEST: KeyDigest = KeyDigest::from_bytes([7; 32]);

/// Whoever asks: the dead stay dead, and a change changes what was asked about and nothing else.
fn assert_nothing_else_changes(scene: &Scene, decision: &Decision) {
    let target = scene.rows.target.as_ref();
    if let Decision::Update { record: after, .. } = decision {
        let before = target.unwrap();
        assert!(before.revoked.is_none(), "revoked is for ever");
        let rest = KeyRecord {
            name: after.name.clone(),
            scopes: after.scopes.clone(),
            roles: after.roles.clone(),
            resources: after.resources.clone(),
            allowed_ips: after.allowed_ips.clone(),
            enabled: after.enabled,
            expires_at: after.expires_at,
            metadata: after.metadata.clone(),
            revoked: after.revoked.clone(),
            ..before.clone()
        };
        assert_eq!(*after, rest);
    }
    if let Decision::Rotate { record, digest, .. } = decision {
        let before = target.unwrap();
        assert!(before.revoked.is_none(), "revoked is for ever");
        assert_eq!(*digest, NEW_DIGEST);
        if matches!(scene.request, Request::Create(_)) {
            assert_eq!(record.previous, None, "the lost secret is dead");
        }
        if let Some(previous) = &record.previous {
            assert!(end(Some(previous.expires_at)) <= end(before.expires_at));
            assert_eq!(previous.hint, before.hint);
        }
        let rest = KeyRecord {
            hint: hint("new0"),
            previous: record.previous.clone(),
            ..before.clone()
        };
        assert_eq!(*record, rest);
    }
    if let Decision::EndPrevious { record, .. } = decision {
        let rest = KeyRecord {
            previous: None,
            ..target.unwrap().clone()
        };
        assert_eq!(*record, rest);
    }
}

/// What nobody may have by this decision, whatever the rules above say.
fn assert_nobody_rises(scene: &Scene, decision: &Decision) {
    if !scene.is_key || matches!(decision, Decision::Refuse(_)) {
        return;
    }
    let rows = &scene.rows;
    let target = rows.target.as_ref();
    let caller = rows
        .caller
        .as_ref()
        .expect("a caller that is not there does nothing");
    assert!(is_alive(caller, rows.now), "the dead do nothing");
    let rules_all = holds(&caller.record, "keys:admin");
    let held = reach(&caller.record);
    let owned = |owner: &Owner| assert!(*owner == caller.record.owner || rules_all, "owner");
    let covered = |key: &KeyRecord| {
        for scope in reach(key) {
            assert!(held.contains(scope), "{scope}");
            assert!(scope != "keys:admin" || rules_all, "keys:admin");
        }
        assert!(things(key).is_subset(&things(&caller.record)), "things");
        assert!(places(key).is_subset(&places(&caller.record)), "places");
        assert_eq!(key.environment, caller.record.environment);
    };
    let outlived_by = |key: &KeyRecord| end(key.expires_at) > own_end(caller);
    let is_oneself = target.is_some_and(|target| target.id == caller.record.id);
    match decision {
        Decision::Insert { record, .. } => {
            owned(&record.owner);
            covered(record);
            assert!(!outlived_by(record), "lifetime");
            assert_eq!(record.created_by, Provenance::Key(caller.record.id.clone()));
            assert!(record.enabled && record.revoked.is_none() && record.previous.is_none());
            assert_eq!((record.created_at, record.last_used_at), (rows.now, None));
        }
        Decision::Update { record: after, .. } => {
            let before = target.unwrap();
            owned(&after.owner);
            let only_less = KeyRecord {
                enabled: before.enabled,
                revoked: None,
                ..after.clone()
            } == *before
                && (before.enabled || !after.enabled);
            if !only_less {
                covered(before);
                covered(after);
                assert!(!outlived_by(before), "lifetime");
                let renews = matches!(scene.request, Request::Update(_, true)) && is_oneself;
                assert!(!outlived_by(after) || renews, "lifetime");
            }
        }
        Decision::Rotate { record, .. } => {
            owned(&record.owner);
            covered(record);
            assert!(!outlived_by(record), "lifetime");
            let renews = matches!(scene.request, Request::Rotate(_, true, _));
            assert!(!is_oneself || renews || matches!(scene.request, Request::Create(_)));
        }
        Decision::EndPrevious { record, .. } => owned(&record.owner),
        Decision::RevokeAll { .. } => assert!(rules_all),
        Decision::Keep => owned(&target.unwrap().owner),
        Decision::Refuse(_) => unreachable!(),
    }
}

/// The trail says what was done, when and by whom.
fn assert_it_is_told(scene: &Scene, decision: &Decision) {
    let before = scene.rows.target.as_ref();
    let (event, expected) = match decision {
        Decision::Insert { event, .. } => {
            let Request::Create(draft) = &scene.request else {
                panic!("made without being asked for");
            };
            let made = if draft.made_elsewhere {
                EventKind::Imported
            } else {
                EventKind::Created
            };
            (event.clone(), made)
        }
        Decision::Update { record, event } => {
            let before = before.unwrap();
            let switched = KeyRecord {
                enabled: record.enabled,
                ..before.clone()
            };
            let expected = match (&record.revoked, record.enabled) {
                (Some(_), _) => EventKind::Revoked,
                (None, true) if *record == switched => EventKind::Enabled,
                (None, false) if *record == switched => EventKind::Disabled,
                _ => EventKind::Changed,
            };
            let told = |field: &str| event.detail.fields.iter().any(|told| told == field);
            if expected == EventKind::Changed {
                assert_eq!(told("scopes"), record.scopes != before.scopes);
                assert_eq!(told("roles"), record.roles != before.roles);
                assert_eq!(told("resources"), record.resources != before.resources);
                assert_eq!(
                    told("allowed_ips"),
                    record.allowed_ips != before.allowed_ips
                );
                assert_eq!(told("expires_at"), record.expires_at != before.expires_at);
                assert_eq!(told("enabled"), event.detail.enabled.is_some());
            }
            (event.clone(), expected)
        }
        Decision::Rotate { record, event, .. } => {
            let again = matches!(scene.request, Request::Create(_));
            assert_eq!(event.detail.repeated, again);
            let until = record.previous.as_ref().map(|previous| previous.expires_at);
            assert_eq!(event.detail.previous_until, until);
            (event.clone(), EventKind::Rotated)
        }
        Decision::EndPrevious { event, .. } => (event.clone(), EventKind::PreviousEnded),
        Decision::RevokeAll { revocation, .. } => (revocation.event(), EventKind::Revoked),
        Decision::Keep | Decision::Refuse(_) => return,
    };
    let caller = scene.caller().provenance();
    assert_eq!(
        (event.what, event.at, event.by),
        (expected, scene.rows.now, caller)
    );
    let reason = (expected == EventKind::Revoked).then(|| "why".to_owned());
    assert_eq!(event.detail.reason, reason);
}

#[test]
fn a_hundred_thousand_random_requests_are_judged_as_the_rules_say_and_nobody_rises() {
    let mut seen = std::collections::BTreeMap::new();
    for seed in 0..PAIRS {
        let scene = Scene::of(seed);
        let asks = if scene.is_key {
            Asks::Key(scene.rows.caller.as_ref())
        } else {
            Asks::Almighty
        };
        let expected = judge(asks, &scene.request, &scene.rows);
        let result = scene.decide();
        assert_eq!(
            verdict_of(&result),
            expected,
            "seed {seed}: {:?} on {:?}: {result:?}",
            scene.request,
            scene.rows
        );
        *seen.entry(format!("{expected:?}")).or_insert(0) += 1;
        let Ok(decision) = result else { continue };
        let asserted = std::panic::catch_unwind(|| {
            assert_nothing_else_changes(&scene, &decision);
            assert_nobody_rises(&scene, &decision);
            assert_it_is_told(&scene, &decision);
        });
        assert!(
            asserted.is_ok(),
            "seed {seed}: {:?} on {:?}: {decision:?}",
            scene.request,
            scene.rows
        );
        match (&scene.request, &decision) {
            (Request::Update(patch, _), Decision::Update { record, .. }) => {
                assert_eq!(*record, after(scene.rows.target.as_ref().unwrap(), patch));
            }
            (Request::Create(draft), Decision::Insert { record, .. }) => {
                let caller = scene.rows.caller.as_ref();
                let asked = asked_end(caller, draft.expiry, scene.rows.now);
                assert_eq!(Some(end(record.expires_at)), asked, "seed {seed}");
                assert_eq!(record.scopes, draft.scopes, "seed {seed}");
                assert_eq!(record.roles, draft.roles, "seed {seed}");
                assert_eq!(record.resources, draft.resources, "seed {seed}");
                assert_eq!(record.allowed_ips, draft.allowed_ips, "seed {seed}");
            }
            (Request::Rotate(grace, ..), Decision::Rotate { record, .. }) => {
                let first = end(record.expires_at).min(
                    scene
                        .rows
                        .now
                        .checked_add(*grace)
                        .map_or(i64::MAX, Timestamp::unix_micros),
                );
                let previous = record.previous.as_ref();
                let ends = previous.map(|previous| previous.expires_at.unix_micros());
                let first = first.min(Timestamp::MAX.unix_micros());
                assert_eq!(ends, (!grace.is_zero()).then_some(first), "seed {seed}");
            }
            _ => {}
        }
    }
    // Chance must have come by every rule often.
    println!("{seen:?}");
    assert_eq!(seen.len(), 17, "{seen:?}");
    assert!(seen.values().all(|&times| times > 200), "{seen:?}");
}
