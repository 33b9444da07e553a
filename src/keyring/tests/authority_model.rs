//! The rules of authority told a second time, naively, against random callers, requests and rows.
//!
//! Nothing here is taken from `authority.rs`. What a list of scopes grants is found out by going
//! through a universe of concrete scopes one by one, so that "no more than the caller" is the
//! inclusion of two sets. Apart from the comparison with that second telling, every decision is
//! asked whether it lets anybody have what the caller has not.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use super::chance::Chance;
use crate::allowed_ips::AllowedIps;
use crate::key::{Environment, KeyDigest, KeyHint};
use crate::keyring::authority::{
    self, Draft, End, Expiry, KeyPatch, Restrict, Rotation, SelfService,
};
use crate::keyring::caller::Caller;
use crate::keyring::limits::Limits;
use crate::principal::{Known, Principal, Span};
use crate::resources::Resources;
use crate::scope::{RoleSet, Roles, ScopeSet};
use crate::store::{
    Decision, EventKind, FoundKey, KeyName, KeyRecord, Metadata, Owner, Previous, Provenance,
    Refusal, Replay, Revocation, Rows, Whose,
};
use crate::timestamp::Timestamp;

const PAIRS: u64 = 100_000;

const CALLER: &str = "key_000000000000000c";
const TARGET: &str = "key_000000000000000t";
const NEW: &str = "key_000000000000000n";
const NEW_DIGEST: KeyDigest = KeyDigest::from_bytes([7; 32]);

/// What can be granted.
const GRANTS: [&str; 16] = [
    "*",
    "a",
    "a:*",
    "a:x",
    "a:y",
    "a:x:*",
    "a:x:1",
    "a::*",
    "b",
    "b:*",
    "b:1",
    "keyset:*",
    "keyset:1",
    "keys:read",
    "keys:write",
    "keys:admin",
];

/// What can be asked for: all plain scopes of above, and below each wildcard one that is not named
/// anywhere, so that no list of plain scopes passes for the wildcard.
const UNIVERSE: [&str; 20] = [
    "a",
    "a:",
    "a:x",
    "a:y",
    "a:other",
    "a:x:",
    "a:x:1",
    "a:x:other",
    "a::other",
    "b",
    "b:",
    "b:1",
    "b:other",
    "keys",
    "keyset:1",
    "keyset:other",
    "other",
    "keys:read",
    "keys:write",
    "keys:admin",
];

/// `*` grants everything but the reserved `keys:` scopes; `p:*` everything below `p:`; `keys:admin`
/// includes `keys:write`, which includes `keys:read`; anything else grants itself.
fn grants(grant: &str, scope: &str) -> bool {
    let reserved = scope.starts_with("keys:");
    match grant {
        "keys:admin" => reserved,
        "keys:write" => scope == "keys:write" || scope == "keys:read",
        "*" => !reserved,
        _ => match grant.strip_suffix('*') {
            Some(prefix) => !reserved && scope != prefix && scope.starts_with(prefix),
            None => grant == scope,
        },
    }
}

/// What the roles are that the code knows.
const ROLES: [(&str, &[&str]); 4] = [
    ("idle", &[]),
    ("reader", &["a:x", "b", "keys:read"]),
    ("writer", &["a:*", "keys:write"]),
    ("ruler", &["*", "keys:admin"]),
];

/// A role that the code knows no more. Whoever has it may hand it on, and nobody else: it may
/// grant anything to another release.
const FORGOTTEN: &str = "forgotten";

fn roles() -> Roles {
    let known =
        ROLES.map(|(name, grants)| (name.parse().unwrap(), ScopeSet::parse(grants).unwrap()));
    Roles::new(known)
}

/// All that a key is good for by its scopes and roles.
fn reach(key: &KeyRecord) -> BTreeSet<&'static str> {
    let mut held: Vec<&str> = key.scopes.iter().map(AsRef::as_ref).collect();
    let has = |name: &str| key.roles.iter().any(|role| role.as_str() == name);
    for (name, grants) in ROLES {
        if has(name) {
            held.extend(grants);
        }
    }
    let allowed = |scope: &&str| held.iter().any(|grant| grants(grant, scope));
    let mut reached: BTreeSet<_> = UNIVERSE.into_iter().filter(allowed).collect();
    reached.extend(has(FORGOTTEN).then_some(FORGOTTEN));
    reached
}

fn holds(key: &KeyRecord, scope: &str) -> bool {
    reach(key).contains(scope)
}

/// What there is to be used, among it what no restriction names.
const THINGS: [(&str, &str); 6] = [
    ("p", "1"),
    ("p", "2"),
    ("p", "other"),
    ("q", "1"),
    ("q", "other"),
    ("other", "1"),
];

const RESTRICTIONS: [&str; 7] = [
    "{}",
    r#"{"p":[]}"#,
    r#"{"p":["1"]}"#,
    r#"{"p":["1","2"]}"#,
    r#"{"q":["1"]}"#,
    r#"{"p":["1"],"q":["1"]}"#,
    r#"{"p":["2","1"],"q":[]}"#,
];

/// The things that a key may be used on.
fn things(key: &KeyRecord) -> BTreeSet<(&'static str, &'static str)> {
    let Some(only) = &key.resources else {
        return THINGS.into();
    };
    let mut things = BTreeSet::new();
    for (kind, ids) in only.iter() {
        for id in ids {
            things.extend(THINGS.into_iter().filter(|thing| *thing == (kind, id)));
        }
    }
    things
}

/// Where requests come from, among it where no network is. `None`: nobody knows from where.
const PLACES: [Option<&str>; 9] = [
    None,
    Some("10.0.0.1"),
    Some("10.1.0.1"),
    Some("10.1.0.2"),
    Some("192.0.2.1"),
    Some("192.0.2.200"),
    Some("203.0.113.9"),
    Some("2001:db8::1"),
    Some("fe80::1"),
];

const NETWORKS: [&str; 8] = [
    "0.0.0.0/0",
    "10.0.0.0/8",
    "10.1.0.0/16",
    "10.1.0.1/32",
    "192.0.2.0/24",
    "192.0.2.0/25",
    "2001:db8::/32",
    "::/0",
];

/// The first bits are the same.
fn lies_in(place: &str, network: &str) -> bool {
    let (base, length) = network.split_once('/').unwrap();
    let bits = |address: &str| match address.parse().unwrap() {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    };
    let (place, base) = (bits(place), bits(base));
    let bit = |bytes: &[u8], at: usize| bytes[at / 8] >> (7 - at % 8) & 1;
    let length: usize = length.parse().unwrap();
    place.len() == base.len() && (0..length).all(|at| bit(&place, at) == bit(&base, at))
}

/// Where a key may be used from.
fn places(key: &KeyRecord) -> BTreeSet<Option<&'static str>> {
    let Some(only) = &key.allowed_ips else {
        return PLACES.into();
    };
    let networks = only.to_string();
    let one_has = |place| networks.split(' ').any(|network| lies_in(place, network));
    let known = PLACES
        .into_iter()
        .filter(|place| place.is_some_and(one_has));
    known.collect()
}

/// The end of a life as a number, never being beyond all others.
fn end(moment: Option<Timestamp>) -> i64 {
    moment.map_or(i64::MAX, Timestamp::unix_micros)
}

/// The end of what the caller came in with: its key's or its secret's, whichever is first.
fn own_end(caller: &FoundKey) -> i64 {
    end(caller.record.expires_at).min(end(caller.secret_expires_at))
}

fn is_alive(caller: &FoundKey, now: Timestamp) -> bool {
    caller.record.revoked.is_none() && caller.record.enabled && own_end(caller) > now.unix_micros()
}

/// Whether a key like this is within what the caller holds.
fn is_within(caller: &FoundKey, key: &KeyRecord) -> bool {
    reach(key).is_subset(&reach(&caller.record))
        && things(key).is_subset(&things(&caller.record))
        && places(key).is_subset(&places(&caller.record))
        && key.environment == caller.record.environment
        && end(key.expires_at) <= own_end(caller)
}

/// Whether the caller is told that this owner's keys exist.
fn sees(caller: &FoundKey, owner: &Owner) -> bool {
    caller.record.owner == *owner || holds(&caller.record, "keys:admin")
}

/// A request about keys.
#[derive(Clone, Debug)]
enum Request {
    Create(Box<Draft>),
    Update(KeyPatch, bool),
    /// With this grace; whether keys may renew themselves; for a secret of this environment.
    Rotate(Duration, bool, Environment),
    EndPrevious,
    Revoke,
    RevokeAll(Whose),
}

/// Who asks.
#[derive(Clone, Copy)]
enum Asks<'a> {
    /// The application itself, or the admin token: everything is allowed.
    Almighty,
    /// A key, and its row if there is one.
    Key(Option<&'a FoundKey>),
}

/// What the rules say, as far as the outside can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// 401.
    CallerDead,
    /// 403 `insufficient_scope`.
    LacksScope,
    /// 422.
    InvalidField,
    /// Another request under the same `Idempotency-Key`.
    ReplayDiffers,
    /// The store is not new.
    NotTheFirst,
    /// 404.
    NotFound,
    /// 403 `exceeds_caller`.
    Exceeds,
    /// 409.
    Revoked,
    Expired,
    Undeclared,
    Taken,
    Makes,
    Changes,
    Rotates,
    EndsPrevious,
    RevokesAll,
    Keeps,
}

fn verdict_of(result: &Result<Decision, Refusal>) -> Verdict {
    match result {
        Ok(Decision::Insert { .. }) => Verdict::Makes,
        Ok(Decision::Update { .. }) => Verdict::Changes,
        Ok(Decision::Rotate { .. }) => Verdict::Rotates,
        Ok(Decision::EndPrevious { .. }) => Verdict::EndsPrevious,
        Ok(Decision::RevokeAll { .. }) => Verdict::RevokesAll,
        Ok(Decision::Keep) => Verdict::Keeps,
        Ok(Decision::Refuse(refusal)) | Err(refusal) => match refusal {
            Refusal::CallerDead => Verdict::CallerDead,
            Refusal::CallerLacksScope => Verdict::LacksScope,
            Refusal::ExpiryInThePast | Refusal::ExpiryTooFar => Verdict::InvalidField,
            Refusal::ReplayDiffers => Verdict::ReplayDiffers,
            Refusal::NotTheFirst => Verdict::NotTheFirst,
            Refusal::NotFound => Verdict::NotFound,
            Refusal::ExceedsCaller | Refusal::OnOneself => Verdict::Exceeds,
            Refusal::KeyRevoked => Verdict::Revoked,
            Refusal::KeyExpired => Verdict::Expired,
            Refusal::UndeclaredEnvironment => Verdict::Undeclared,
            Refusal::DigestTaken => Verdict::Taken,
            Refusal::KeyLimitReached
            | Refusal::LivesTooLong
            | Refusal::EnvironmentNotAllowed
            | Refusal::OnlyAsked => unreachable!("nobody asked"),
        },
    }
}

/// The rules, in the order of the answers: credentials, scope, fields, existence, authority, state.
fn judge(asks: Asks<'_>, request: &Request, rows: &Rows) -> Verdict {
    let now = rows.now;
    let caller = match asks {
        Asks::Almighty => None,
        Asks::Key(Some(row)) if is_alive(row, now) => Some(row),
        Asks::Key(_) => return Verdict::CallerDead,
    };
    let target = rows.target.as_ref();
    let is_oneself = match (caller, target) {
        (Some(caller), Some(target)) => caller.record.id == target.id,
        _ => false,
    };
    let needed = match request {
        Request::RevokeAll(_) => Some("keys:admin"),
        Request::Revoke if is_oneself => None,
        _ => Some("keys:write"),
    };
    if let (Some(caller), Some(needed)) = (caller, needed)
        && !holds(&caller.record, needed)
    {
        return Verdict::LacksScope;
    }
    let visible = target.filter(|key| caller.is_none_or(|caller| sees(caller, &key.owner)));
    let within = |key: &KeyRecord| caller.is_none_or(|caller| is_within(caller, key));
    let dead = |key: &KeyRecord| {
        if key.revoked.is_some() {
            Some(Verdict::Revoked)
        } else if end(key.expires_at) <= now.unix_micros() {
            Some(Verdict::Expired)
        } else {
            None
        }
    };
    match request {
        Request::RevokeAll(_) => Verdict::RevokesAll,
        Request::Create(draft) => judge_create(caller, draft, rows, &within, &dead),
        Request::Update(patch, renewal) => {
            if let Some(End::At(at)) = patch.expires_at
                && at <= now
            {
                return Verdict::InvalidField;
            }
            let Some(before) = visible else {
                return Verdict::NotFound;
            };
            let after = after(before, patch);
            let takes_away_or_nothing = matches!(
                patch,
                KeyPatch {
                    name: None,
                    enabled: None | Some(false),
                    scopes: None,
                    roles: None,
                    resources: None,
                    allowed_ips: None,
                    expires_at: None,
                    metadata: None,
                }
            );
            let extends = end(after.expires_at) > end(before.expires_at);
            // Who may renew itself may outlive itself; all else stays within what it holds.
            let mut judged = after.clone();
            if is_oneself && extends && *renewal {
                judged.expires_at = before.expires_at;
            }
            let forbidden =
                (is_oneself && extends && !renewal) || !within(before) || !within(&judged);
            if forbidden && !takes_away_or_nothing {
                return Verdict::Exceeds;
            }
            dead(before).unwrap_or(if after == *before {
                Verdict::Keeps
            } else {
                Verdict::Changes
            })
        }
        Request::Rotate(_, renewal, environment) => match visible {
            None => Verdict::NotFound,
            Some(before) if (is_oneself && !renewal) || !within(before) => Verdict::Exceeds,
            Some(before) if before.environment == *environment => {
                dead(before).unwrap_or(Verdict::Rotates)
            }
            Some(before) => dead(before).unwrap_or(Verdict::Undeclared),
        },
        Request::EndPrevious => match visible {
            None => Verdict::NotFound,
            Some(before) if before.previous.is_none() => Verdict::Keeps,
            Some(_) => Verdict::EndsPrevious,
        },
        Request::Revoke => match visible {
            None => Verdict::NotFound,
            Some(before) if before.revoked.is_some() => Verdict::Keeps,
            Some(_) => Verdict::Changes,
        },
    }
}

fn judge_create(
    caller: Option<&FoundKey>,
    draft: &Draft,
    rows: &Rows,
    within: &dyn Fn(&KeyRecord) -> bool,
    dead: &dyn Fn(&KeyRecord) -> Option<Verdict>,
) -> Verdict {
    if draft.only_first && rows.ever_had_a_key {
        return Verdict::NotTheFirst;
    }
    if let (Some(replay), Some(request)) = (&rows.replay, draft.request) {
        if replay.request != request {
            return Verdict::ReplayDiffers;
        }
        if let Some(made) = &rows.target {
            if made.environment != draft.environment {
                return Verdict::ReplayDiffers;
            }
            // A create never answers that something is not there.
            let sees = caller.is_none_or(|caller| sees(caller, &made.owner));
            if !sees || !within(made) {
                return Verdict::Exceeds;
            }
            return dead(made).unwrap_or(if draft.made_elsewhere {
                Verdict::Keeps
            } else {
                Verdict::Rotates
            });
        }
    }
    let Some(asked) = asked_end(caller, draft.expiry, rows.now) else {
        return Verdict::InvalidField;
    };
    if asked <= rows.now.unix_micros() {
        return Verdict::InvalidField;
    }
    let asked_for = KeyRecord {
        owner: draft.owner.clone(),
        environment: draft.environment.clone(),
        scopes: draft.scopes.clone(),
        roles: draft.roles.clone(),
        resources: draft.resources.clone(),
        allowed_ips: draft.allowed_ips.clone(),
        expires_at: Timestamp::from_unix_micros(asked),
        ..random_record(&mut Chance::seeded(1), NEW)
    };
    let sees = caller.is_none_or(|caller| sees(caller, &draft.owner));
    if !sees || !within(&asked_for) {
        Verdict::Exceeds
    } else if rows.digest_ended || rows.digest_holder.is_some() {
        Verdict::Taken
    } else {
        Verdict::Makes
    }
}

/// The end that a new key gets; `None` if it falls beyond the calendar.
fn asked_end(caller: Option<&FoundKey>, expiry: Expiry, now: Timestamp) -> Option<i64> {
    match expiry {
        Expiry::AsCaller => Some(caller.map_or(i64::MAX, own_end)),
        Expiry::Never => Some(i64::MAX),
        Expiry::At(moment) => Some(moment.unix_micros()),
        Expiry::In(after) => {
            let micros = i128::from(now.unix_micros()) + i128::try_from(after.as_micros()).unwrap();
            let last = i128::from(Timestamp::MAX.unix_micros());
            (micros <= last).then(|| i64::try_from(micros).unwrap())
        }
    }
}

fn after(before: &KeyRecord, patch: &KeyPatch) -> KeyRecord {
    let mut after = before.clone();
    if let Some(name) = &patch.name {
        after.name = name.clone();
    }
    if let Some(enabled) = patch.enabled {
        after.enabled = enabled;
    }
    if let Some(scopes) = &patch.scopes {
        after.scopes = scopes.clone();
    }
    if let Some(roles) = &patch.roles {
        after.roles = roles.clone();
    }
    match &patch.resources {
        None => {}
        Some(Restrict::Lift) => after.resources = None,
        Some(Restrict::To(only)) => after.resources = Some(only.clone()),
    }
    match &patch.allowed_ips {
        None => {}
        Some(Restrict::Lift) => after.allowed_ips = None,
        Some(Restrict::To(only)) => after.allowed_ips = Some(only.clone()),
    }
    if let Some(metadata) = &patch.metadata {
        after.metadata = metadata.clone();
    }
    match patch.expires_at {
        None => {}
        Some(End::Never) => after.expires_at = None,
        Some(End::At(moment)) => after.expires_at = Some(moment),
    }
    after
}

/// So many seconds after the store's now.
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_micros((1_000_000 + seconds) * 1_000_000).unwrap()
}

/// One pair of a caller and a request, with the rows that they meet.
struct Scene {
    /// `None` is the application itself, or the admin token.
    is_key: bool,
    request: Request,
    rows: Rows,
}

impl Scene {
    fn of(seed: u64) -> Self {
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

    fn caller(&self) -> Caller {
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

    fn decide(&self) -> Result<Decision, Refusal> {
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

fn hint(body: &str) -> KeyHint {
    KeyHint::from_stored(&format!("acme_live_{body}")).unwrap()
}

fn random_end(chance: &mut Chance) -> Option<Timestamp> {
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

fn random_scopes(chance: &mut Chance) -> ScopeSet {
    let few = chance.below(4);
    ScopeSet::parse((0..few).map(|_| chance.pick(&GRANTS))).unwrap()
}

fn random_roles(chance: &mut Chance) -> RoleSet {
    let names = ["idle", "reader", "reader", "writer", "ruler", FORGOTTEN];
    let few = chance.pick(&[0, 0, 1, 2]);
    RoleSet::parse((0..few).map(|_| chance.pick(&names))).unwrap()
}

fn random_resources(chance: &mut Chance) -> Resources {
    Resources::from_stored(chance.pick(&RESTRICTIONS)).unwrap()
}

fn random_networks(chance: &mut Chance) -> AllowedIps {
    let few = chance.pick(&[1, 1, 2]);
    AllowedIps::parse((0..few).map(|_| chance.pick(&NETWORKS))).unwrap()
}

fn random_owner(chance: &mut Chance) -> Owner {
    Owner::parse(chance.pick(&["acme", "acme", "acme", "other"])).unwrap()
}

fn random_record(chance: &mut Chance, id: &str) -> KeyRecord {
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

fn random_request(chance: &mut Chance) -> Request {
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
