//! The rules themselves.

use std::time::Duration;

use super::NEW;
use super::scene::random_record;
use super::universe::{end, holds, is_alive, is_within, own_end, sees};
use crate::key::Environment;
use crate::keyring::authority::{Draft, End, Expiry, KeyPatch, Restrict};
use crate::keyring::tests::chance::Chance;
use crate::store::{Decision, FoundKey, KeyRecord, Refusal, Rows, Whose};
use crate::timestamp::Timestamp;

/// A request about keys.
#[derive(Clone, Debug)]
pub(super) enum Request {
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
pub(super) enum Asks<'a> {
    /// The application itself, or the admin token: everything is allowed.
    Almighty,
    /// A key, and its row if there is one.
    Key(Option<&'a FoundKey>),
}

/// What the rules say, as far as the outside can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
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

pub(super) fn verdict_of(result: &Result<Decision, Refusal>) -> Verdict {
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
pub(super) fn judge(asks: Asks<'_>, request: &Request, rows: &Rows) -> Verdict {
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

pub(super) fn judge_create(
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
pub(super) fn asked_end(caller: Option<&FoundKey>, expiry: Expiry, now: Timestamp) -> Option<i64> {
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

pub(super) fn after(before: &KeyRecord, patch: &KeyPatch) -> KeyRecord {
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
