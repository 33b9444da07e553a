//! A key store as one would tell it to a friend: a list, and one change after the other.

use std::time::Duration;

use super::fixture::{Answer, DISABLED, EXPIRED, REVOKED, UNKNOWN};
use crate::key::{KeyHint, KeyId};
use crate::keyring::{End, KeyPatch};
use crate::store::{
    KeyRecord, ListQuery, Owner, Previous, Provenance, Refusal, Revocation, Status, Whose,
};
use crate::timestamp::Timestamp;

/// All keys that ever were.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Naive {
    pub(super) keys: Vec<Key>,
}

/// A key and the secrets that open it, the newest first.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Key {
    pub(super) record: KeyRecord,
    pub(super) secrets: Vec<Secret>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Secret {
    /// `None` where the answer with it was lost.
    pub(super) text: Option<String>,
    pub(super) ends: Option<Timestamp>,
}

/// The record after a change, or why there was none.
pub(super) type Changed = Result<KeyRecord, Refusal>;

/// Without the statistics, which come when they come.
pub(super) fn bare(mut record: KeyRecord) -> KeyRecord {
    record.last_used_at = None;
    if let Some(previous) = &mut record.previous {
        previous.last_used_at = None;
    }
    record
}

fn is_over(end: Option<Timestamp>, now: Timestamp) -> bool {
    end.is_some_and(|end| end <= now)
}

impl Naive {
    /// What a request with this secret is answered.
    pub(super) fn verdict(&self, secret: &str, now: Timestamp) -> Answer {
        for key in &self.keys {
            for one in &key.secrets {
                if one.text.as_deref() != Some(secret) {
                    continue;
                }
                let record = &key.record;
                if record.revoked.is_some() {
                    return REVOKED;
                }
                if is_over(record.expires_at, now) || is_over(one.ends, now) {
                    return EXPIRED;
                }
                if !record.enabled {
                    return DISABLED;
                }
                return Ok(record.name.as_str().to_owned());
            }
        }
        UNKNOWN
    }

    /// The key that this secret opens, dead or alive, and where its life or the secret's ends.
    pub(super) fn opened_by(&self, secret: &str) -> Option<(&KeyRecord, Option<Timestamp>)> {
        for key in &self.keys {
            for one in &key.secrets {
                if one.text.as_deref() == Some(secret) {
                    let ends = [key.record.expires_at, one.ends];
                    return Some((&key.record, ends.into_iter().flatten().min()));
                }
            }
        }
        None
    }

    pub(super) fn key(&mut self, id: &KeyId) -> Result<&mut Key, Refusal> {
        self.keys
            .iter_mut()
            .find(|key| key.record.id == *id)
            .ok_or(Refusal::NotFound)
    }

    pub(super) fn list(&self, query: &ListQuery, now: Timestamp) -> Vec<KeyRecord> {
        let mut records: Vec<KeyRecord> = self.keys.iter().map(|key| key.record.clone()).collect();
        records.sort_by_key(|record| (record.created_at, record.id.clone()));
        records.reverse();
        if let Some((created_at, id)) = &query.after {
            records.retain(|record| (record.created_at, &record.id) < (*created_at, id));
        }
        if let Some(owner) = &query.owner {
            records.retain(|record| record.owner == *owner);
        }
        if let Some(status) = query.status {
            records.retain(|record| status_of(record, now) == status);
        }
        if let Some(environment) = &query.environment {
            records.retain(|record| record.environment == *environment);
        }
        if let Some(moment) = query.expires_before {
            records.retain(|record| record.expires_at.is_some_and(|end| end < moment));
        }
        records.truncate(query.limit as usize);
        records
    }

    pub(super) fn update(&mut self, id: &KeyId, patch: &KeyPatch, now: Timestamp) -> Changed {
        if let Some(End::At(end)) = patch.expires_at
            && end <= now
        {
            return Err(Refusal::ExpiryInThePast);
        }
        let record = &mut self.key(id)?.record;
        is_changeable(record, now)?;
        if let Some(name) = &patch.name {
            record.name = name.clone();
        }
        if let Some(enabled) = patch.enabled {
            record.enabled = enabled;
        }
        if let Some(scopes) = &patch.scopes {
            record.scopes = scopes.clone();
        }
        if let Some(metadata) = &patch.metadata {
            record.metadata = metadata.clone();
        }
        if let Some(end) = patch.expires_at {
            record.expires_at = match end {
                End::Never => None,
                End::At(moment) => Some(moment),
            };
        }
        Ok(record.clone())
    }

    pub(super) fn rotate(
        &mut self,
        id: &KeyId,
        grace: Duration,
        hint: KeyHint,
        text: Option<String>,
        now: Timestamp,
    ) -> Changed {
        let key = self.key(id)?;
        is_changeable(&key.record, now)?;
        let mut old = key.secrets.remove(0);
        key.secrets.clear();
        key.record.previous = None;
        if !grace.is_zero() {
            let end = now.checked_add(grace).unwrap();
            let end = key.record.expires_at.map_or(end, |key| key.min(end));
            old.ends = Some(end);
            key.secrets.push(old);
            key.record.previous = Some(Previous {
                hint: key.record.hint.clone(),
                expires_at: end,
                last_used_at: None,
            });
        }
        key.secrets.insert(0, Secret { text, ends: None });
        key.record.hint = hint;
        Ok(key.record.clone())
    }

    pub(super) fn end_previous(&mut self, id: &KeyId) -> Changed {
        let key = self.key(id)?;
        key.secrets.truncate(1);
        key.record.previous = None;
        Ok(key.record.clone())
    }

    pub(super) fn revoke(&mut self, id: &KeyId, reason: Option<&str>, now: Timestamp) -> Changed {
        let record = &mut self.key(id)?.record;
        if record.revoked.is_none() {
            record.revoked = Some(revocation(reason, now));
        }
        Ok(record.clone())
    }

    pub(super) fn revoke_all(&mut self, whose: &Whose, reason: &str, now: Timestamp) -> u64 {
        let mut makers = Vec::new();
        if let Whose::CreatedBy(maker) = whose {
            makers.push(maker.clone());
        }
        // Makers made by makers: at most as many rounds as there are keys.
        for _ in 0..self.keys.len() {
            for key in &self.keys {
                let itself = Provenance::Key(key.record.id.clone());
                if makers.contains(&key.record.created_by) && !makers.contains(&itself) {
                    makers.push(itself);
                }
            }
        }
        let mut revoked = 0;
        for key in &mut self.keys {
            let meant = match whose {
                Whose::All => true,
                Whose::Owner(owner) => key.record.owner == *owner,
                Whose::CreatedBy(_) => makers.contains(&key.record.created_by),
            };
            if meant && key.record.revoked.is_none() {
                key.record.revoked = Some(revocation(Some(reason), now));
                revoked += 1;
            }
        }
        revoked
    }

    /// The owners there are, and one that has nothing.
    pub(super) fn owners(&self) -> Vec<Owner> {
        let mut owners: Vec<Owner> = self
            .keys
            .iter()
            .map(|key| key.record.owner.clone())
            .collect();
        owners.push(Owner::parse("nobody").unwrap());
        owners
    }
}

fn revocation(reason: Option<&str>, now: Timestamp) -> Revocation {
    Revocation {
        at: now,
        by: Provenance::System,
        reason: reason.map(str::to_owned),
    }
}

fn status_of(record: &KeyRecord, now: Timestamp) -> Status {
    if record.revoked.is_some() {
        return Status::Revoked;
    }
    if is_over(record.expires_at, now) {
        return Status::Expired;
    }
    if record.enabled {
        Status::Active
    } else {
        Status::Disabled
    }
}

fn is_changeable(record: &KeyRecord, now: Timestamp) -> Result<(), Refusal> {
    match status_of(record, now) {
        Status::Revoked => Err(Refusal::KeyRevoked),
        Status::Expired => Err(Refusal::KeyExpired),
        Status::Disabled | Status::Active => Ok(()),
    }
}
