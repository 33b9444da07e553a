//! Random callers, requests and rows.

use std::sync::Arc;
use std::time::Duration;

use super::rules::Request;
use super::universe::{FORGOTTEN, GRANTS, NETWORKS, RESTRICTIONS, roles};
use super::{CALLER, NEW, NEW_DIGEST, TARGET};
use crate::allowed_ips::AllowedIps;
use crate::key::{KeyDigest, KeyHint};
use crate::keyring::authority::{
    self, Draft, End, Expiry, KeyPatch, Restrict, Rotation, SelfService,
};
use crate::keyring::caller::Caller;
use crate::keyring::limits::Limits;
use crate::keyring::tests::chance::Chance;
use crate::principal::{Known, Principal, Span};
use crate::resources::Resources;
use crate::scope::{RoleSet, Roles, ScopeSet};
use crate::store::{
    Decision, FoundKey, KeyName, KeyRecord, Metadata, Owner, Previous, Provenance, Refusal, Replay,
    Revocation, Rows, Whose,
};
use crate::timestamp::Timestamp;

/// So many seconds after the store's now.
pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_micros((1_000_000 + seconds) * 1_000_000).unwrap()
}

/// One pair of a caller and a request, with the rows that they meet.
pub(super) struct Scene {
    /// `None` is the application itself, or the admin token.
    pub(super) is_key: bool,
    pub(super) request: Request,
    pub(super) rows: Rows,
}

impl Scene {
    pub(super) fn of(seed: u64) -> Self {
        let chance = &mut Chance::seeded(seed);
        let mut record = random_record(chance, CALLER);
        // Most callers are alive and may write keys, so that the rules after that are reached.
        if !chance.one_in(4) {
            record.revoked = None;
            record.enabled = true;
            record.expires_at = chance.pick(&[None, Some(at(5)), Some(at(10))]);
        }
        if !chance.one_in(3) {
            let mut grants: Vec<_> = record.scopes.iter().map(ToString::to_string).collect();
            grants.push(
                chance
                    .pick(&["keys:write", "keys:write", "keys:admin"])
                    .into(),
            );
            record.scopes = ScopeSet::parse(grants).unwrap();
        }
        let secret_expires_at = if chance.one_in(4) {
            random_end(chance)
        } else {
            None
        };
        let caller = (!chance.one_in(20)).then_some(FoundKey {
            record,
            secret_expires_at,
            secret_last_used_at: None,
        });
        let target = match (chance.below(10), &caller) {
            (0, _) => None,
            (1 | 2, Some(caller)) => Some(caller.record.clone()),
            (3, Some(caller)) => {
                // Within the caller in all but what is changed next.
                let mut record = random_record(chance, TARGET);
                record.owner = caller.record.owner.clone();
                record.environment = caller.record.environment.clone();
                record.expires_at = caller.record.expires_at;
                record.scopes = caller.record.scopes.clone();
                record.roles = caller.record.roles.clone();
                record.resources = caller.record.resources.clone();
                record.allowed_ips = caller.record.allowed_ips.clone();
                Some(record)
            }
            _ => Some(random_record(chance, TARGET)),
        };
        let request = random_request(chance);
        let mut rows = Rows {
            now: at(0),
            caller,
            target,
            replay: None,
            ever_had_a_key: !chance.one_in(4),
            live_keys: 0,
            digest_holder: None,
            digest_ended: false,
        };
        if let Request::Create(draft) = &request {
            if draft.request.is_some() && chance.one_in(2) {
                rows.replay = Some(Replay {
                    request: [chance.pick(&[1, 1, 1, 2]); 32],
                    made: TARGET.parse().unwrap(),
                    expires_at: at(1),
                });
            } else {
                rows.target = None;
            }
            if draft.made_elsewhere {
                match chance.below(4) {
                    0 => rows.digest_holder = Some(random_record(chance, TARGET)),
                    1 => rows.digest_ended = true,
                    _ => {}
                }
            }
        }
        let is_key = !chance.one_in(20);
        if !is_key {
            rows.caller = None;
        }
        Self {
            is_key,
            request,
            rows,
        }
    }

    pub(super) fn caller(&self) -> Caller {
        if !self.is_key {
            return Caller::System;
        }
        // The caller as the gate let it in, stronger than its row: that is not what decides.
        let mut record = random_record(&mut Chance::seeded(1), CALLER);
        record.scopes = ScopeSet::everything();
        let found = FoundKey {
            record,
            secret_expires_at: None,
            secret_last_used_at: None,
        };
        let digest = KeyDigest::from_bytes([1; 32]);
        let known = Known::new(
            found,
            digest,
            0,
            Span::ENDLESS,
            Arc::default(),
            &Roles::default(),
        );
        // From a place that its row allows; one that is elsewhere is nobody.
        let row = self.rows.caller.as_ref();
        let networks = row.and_then(|row| row.record.allowed_ips.as_ref());
        let place = networks.and_then(|networks| {
            let network = networks.iter().next()?.to_string();
            network.split_once('/')?.0.parse().ok()
        });
        Caller::Key(Principal::new(Arc::new(known)).used_from(place))
    }

    pub(super) fn decide(&self) -> Result<Decision, Refusal> {
        let (caller, rows) = (self.caller(), &self.rows);
        let roles = roles();
        match &self.request {
            Request::Create(draft) => authority::create(&caller, draft, &roles, rows),
            Request::Update(patch, renewal) => {
                let self_service = SelfService { renewal: *renewal };
                authority::update(
                    &caller,
                    patch,
                    self_service,
                    &Limits::default(),
                    &roles,
                    rows,
                )
            }
            Request::Rotate(grace, renewal, environment) => {
                let rotation = Rotation {
                    digest: NEW_DIGEST,
                    hint: hint("new0"),
                    environment: environment.clone(),
                    grace: *grace,
                    self_service: SelfService { renewal: *renewal },
                };
                authority::rotate(&caller, &rotation, &roles, rows)
            }
            Request::EndPrevious => authority::end_previous(&caller, &roles, rows),
            Request::Revoke => authority::revoke(&caller, Some("why"), &roles, rows),
            Request::RevokeAll(whose) => authority::revoke_all(&caller, whose, "why", &roles, rows),
        }
    }
}

pub(super) fn hint(body: &str) -> KeyHint {
    KeyHint::from_stored(&format!("acme_live_{body}")).unwrap()
}

pub(super) fn random_end(chance: &mut Chance) -> Option<Timestamp> {
    chance
        .pick(&[
            None,
            None,
            Some(-1),
            Some(0),
            Some(1),
            Some(5),
            Some(10),
            Some(20),
        ])
        .map(at)
}

pub(super) fn random_scopes(chance: &mut Chance) -> ScopeSet {
    let few = chance.below(4);
    ScopeSet::parse((0..few).map(|_| chance.pick(&GRANTS))).unwrap()
}

pub(super) fn random_roles(chance: &mut Chance) -> RoleSet {
    let names = ["idle", "reader", "reader", "writer", "ruler", FORGOTTEN];
    let few = chance.pick(&[0, 0, 1, 2]);
    RoleSet::parse((0..few).map(|_| chance.pick(&names))).unwrap()
}

pub(super) fn random_resources(chance: &mut Chance) -> Resources {
    Resources::from_stored(chance.pick(&RESTRICTIONS)).unwrap()
}

pub(super) fn random_networks(chance: &mut Chance) -> AllowedIps {
    let few = chance.pick(&[1, 1, 2]);
    AllowedIps::parse((0..few).map(|_| chance.pick(&NETWORKS))).unwrap()
}

pub(super) fn random_owner(chance: &mut Chance) -> Owner {
    Owner::parse(chance.pick(&["acme", "acme", "acme", "other"])).unwrap()
}

pub(super) fn random_record(chance: &mut Chance, id: &str) -> KeyRecord {
    KeyRecord {
        id: id.parse().unwrap(),
        name: KeyName::parse("before").unwrap(),
        owner: random_owner(chance),
        environment: chance
            .pick(&["live", "live", "live", "test"])
            .parse()
            .unwrap(),
        hint: hint("0000"),
        scopes: random_scopes(chance),
        roles: random_roles(chance),
        resources: chance.one_in(4).then(|| random_resources(chance)),
        allowed_ips: chance.one_in(4).then(|| random_networks(chance)),
        enabled: !chance.one_in(5),
        created_at: at(-100),
        created_by: Provenance::System,
        expires_at: random_end(chance),
        revoked: chance.one_in(8).then_some(Revocation {
            at: at(-50),
            by: Provenance::System,
            reason: Some("the first reason".to_owned()),
        }),
        metadata: Metadata::default(),
        last_used_at: chance.pick(&[None, Some(at(-10))]),
        previous: chance.one_in(3).then_some(Previous {
            hint: hint("prev"),
            expires_at: at(chance.pick(&[-1, 3])),
            last_used_at: None,
        }),
    }
}

pub(super) fn random_request(chance: &mut Chance) -> Request {
    let renewal = chance.one_in(3);
    match chance.below(8) {
        0 | 1 => Request::Create(Box::new(Draft {
            id: NEW.parse().unwrap(),
            digest: NEW_DIGEST,
            hint: hint("new0"),
            name: KeyName::parse("new").unwrap(),
            owner: random_owner(chance),
            environment: chance.pick(&["live", "live", "test"]).parse().unwrap(),
            scopes: random_scopes(chance),
            roles: random_roles(chance),
            resources: (!chance.one_in(3)).then(|| random_resources(chance)),
            allowed_ips: (!chance.one_in(3)).then(|| random_networks(chance)),
            expiry: match chance.below(6) {
                0 | 1 => Expiry::AsCaller,
                2 => Expiry::Never,
                3 => Expiry::At(at(chance.pick(&[-1, 0, 1, 5, 10, 20]))),
                4 => Expiry::In(Duration::from_secs(chance.pick(&[1, 5, 10, 20]))),
                _ => Expiry::In(chance.pick(&[Duration::MAX, Duration::from_secs(1)])),
            },
            metadata: Metadata::default(),
            made_elsewhere: chance.one_in(3),
            only_first: chance.one_in(10),
            request: chance.one_in(3).then_some([1; 32]),
            limits: Limits::default(),
        })),
        2 | 3 => {
            let patch = KeyPatch {
                name: chance
                    .one_in(4)
                    .then(|| KeyName::parse(chance.pick(&["before", "after"])).unwrap()),
                enabled: chance.pick(&[None, None, Some(true), Some(false)]),
                scopes: chance.one_in(3).then(|| random_scopes(chance)),
                roles: chance.one_in(5).then(|| random_roles(chance)),
                resources: match chance.below(12) {
                    0 => Some(Restrict::Lift),
                    1 | 2 => Some(Restrict::To(random_resources(chance))),
                    _ => None,
                },
                allowed_ips: match chance.below(12) {
                    0 => Some(Restrict::Lift),
                    1 | 2 => Some(Restrict::To(random_networks(chance))),
                    _ => None,
                },
                expires_at: match chance.below(6) {
                    0 => Some(End::Never),
                    1 | 2 => Some(End::At(at(chance.pick(&[-1, 0, 1, 5, 10, 20])))),
                    _ => None,
                },
                metadata: chance
                    .one_in(6)
                    .then(|| Metadata::parse(r#"{"after":1}"#).unwrap()),
            };
            Request::Update(patch, renewal)
        }
        4 => {
            let grace = chance.pick(&[0, 1, 7, 100_000_000_000]);
            let environment = chance.pick(&["live", "live", "live", "test"]);
            let environment = environment.parse().unwrap();
            Request::Rotate(Duration::from_secs(grace), renewal, environment)
        }
        5 => Request::EndPrevious,
        6 => Request::Revoke,
        _ => Request::RevokeAll(match chance.below(3) {
            0 => Whose::All,
            1 => Whose::Owner(random_owner(chance)),
            _ => Whose::CreatedBy(Provenance::Key(CALLER.parse().unwrap())),
        }),
    }
}
