//! What a memory store holds, and what each decision does to it.

mod prune;
mod read;

use std::collections::BTreeMap;

pub(super) use self::read::position;
use crate::key::{KeyDigest, KeyId};
use crate::store::{
    Event, KeyRecord, MOST_KEYS_NAMED, Outcome, Position, Replay, ReplayKey, Revocation, Rows,
    StoreError, StoreErrorKind, Touched, Use, Whose,
};
use crate::timestamp::Timestamp;

/// How many revisions' change rows are kept. A keyring that is further behind starts afresh.
const REVISIONS_KEPT: u64 = 10_000;

#[cfg_attr(test, derive(Clone))]
pub(super) struct State {
    pub(super) position: Position,
    pub(super) cursor_key: [u8; 32],
    pub(super) ever_had_a_key: bool,
    pub(super) digest_algorithm: Option<String>,
    keys: BTreeMap<KeyId, Stored>,
    /// Nothing is ever taken out: a digest whose secret is over opens nothing, and is taken.
    secrets: BTreeMap<KeyDigest, Option<Secret>>,
    replays: BTreeMap<[u8; 32], Replay>,
    /// By number, which the next one is above those of all before.
    events: BTreeMap<u64, (KeyId, Event)>,
    next_event: u64,
    /// By revision. Each revision has at least one row, so that its nonce can be found.
    pub(super) changes: BTreeMap<u64, (i64, Vec<Touched>)>,
}

#[cfg_attr(test, derive(Clone))]
struct Stored {
    record: KeyRecord,
    digest: KeyDigest,
    /// That of `record.previous`.
    previous: Option<KeyDigest>,
}

#[cfg_attr(test, derive(Clone))]
struct Secret {
    key: KeyId,
    expires_at: Option<Timestamp>,
    last_used_at: Option<Timestamp>,
}

impl State {
    pub(super) fn new(position: Position, cursor_key: [u8; 32]) -> Self {
        Self {
            position,
            cursor_key,
            ever_had_a_key: false,
            digest_algorithm: None,
            keys: BTreeMap::new(),
            secrets: BTreeMap::new(),
            replays: BTreeMap::new(),
            events: BTreeMap::new(),
            next_event: 1,
            changes: BTreeMap::from([(0, (position.nonce, Vec::new()))]),
        }
    }

    pub(super) fn insert(
        &mut self,
        record: KeyRecord,
        digest: KeyDigest,
        nonce: i64,
    ) -> Result<Outcome, StoreError> {
        if self.keys.contains_key(&record.id) || self.secrets.contains_key(&digest) {
            return Err(taken());
        }
        self.ever_had_a_key = true;
        self.secrets.insert(digest, Some(Secret::of(&record.id)));
        self.keys.insert(
            record.id.clone(),
            Stored {
                record: record.clone(),
                digest,
                previous: None,
            },
        );
        Ok(self.committed(vec![Touched::added(&digest)], record, nonce))
    }

    pub(super) fn remember(&mut self, replay: Option<(ReplayKey, Replay)>, now: Timestamp) {
        self.replays.retain(|_, replay| now < replay.expires_at);
        if let Some((key, replay)) = replay {
            self.replays.insert(key.0, replay);
        }
    }

    /// Writes over the target's row what an update may change.
    pub(super) fn update(&mut self, record: KeyRecord, nonce: i64) -> Result<Outcome, StoreError> {
        let stored = self.keys.get_mut(&record.id).ok_or_else(no_target)?;
        let before = &stored.record;
        let revoked_at = |key: &KeyRecord| key.revoked.as_ref().map(|revoked| revoked.at);
        if before.revoked.is_some() && revoked_at(before) != revoked_at(&record) {
            let context = "a revoked key stays revoked";
            return Err(StoreError::new(StoreErrorKind::Corrupt, context));
        }
        stored.record = KeyRecord {
            id: before.id.clone(),
            created_at: before.created_at,
            created_by: before.created_by.clone(),
            environment: before.environment.clone(),
            hint: before.hint.clone(),
            last_used_at: before.last_used_at,
            previous: before.previous.clone(),
            ..record
        };
        let record = stored.record.clone();
        let touched = stored.touched().collect();
        Ok(self.committed(touched, record, nonce))
    }

    pub(super) fn rotate(
        &mut self,
        record: KeyRecord,
        digest: KeyDigest,
        nonce: i64,
    ) -> Result<Outcome, StoreError> {
        if self.secrets.contains_key(&digest) {
            return Err(taken());
        }
        let stored = self.keys.get_mut(&record.id).ok_or_else(no_target)?;
        let mut touched: Vec<_> = stored.touched().collect();
        touched.push(Touched::added(&digest));
        if let Some(before) = stored.previous.take() {
            self.secrets.insert(before, None);
        }
        let old = std::mem::replace(&mut stored.digest, digest);
        stored.record.hint = record.hint;
        stored.record.previous = record.previous;
        match (&mut stored.record.previous, self.secrets.get_mut(&old)) {
            (Some(previous), Some(Some(secret))) => {
                secret.expires_at = Some(previous.expires_at);
                previous.last_used_at = secret.last_used_at;
                stored.previous = Some(old);
            }
            _ => drop(self.secrets.insert(old, None)),
        }
        self.secrets.insert(digest, Some(Secret::of(&record.id)));
        let record = stored.record.clone();
        Ok(self.committed(touched, record, nonce))
    }

    pub(super) fn end_previous(&mut self, id: &KeyId, nonce: i64) -> Result<Outcome, StoreError> {
        let stored = self.keys.get_mut(id).ok_or_else(no_target)?;
        let Some(previous) = stored.previous.take() else {
            let record = stored.record.clone();
            return self.keep(Some(&record));
        };
        self.secrets.insert(previous, None);
        stored.record.previous = None;
        let record = stored.record.clone();
        Ok(self.committed(vec![Touched::changed(&previous)], record, nonce))
    }

    pub(super) fn revoke_all(
        &mut self,
        whose: &Whose,
        revocation: &Revocation,
        nonce: i64,
    ) -> Outcome {
        let ids = self.keys_of(whose);
        let mut touched = Vec::new();
        let mut keys = Vec::new();
        let mut revoked = 0;
        for id in ids {
            let Some(stored) = self.keys.get_mut(&id) else {
                continue;
            };
            touched.extend(stored.touched());
            if stored.record.revoked.is_none() {
                stored.record.revoked = Some(revocation.clone());
                revoked += 1;
                self.add_event(id.clone(), revocation.event());
                if keys.len() < MOST_KEYS_NAMED {
                    keys.push(id);
                }
            }
        }
        if revoked > 0 {
            self.commit(touched.clone(), nonce);
        }
        Outcome::RevokedAll {
            touched,
            revoked,
            keys,
        }
    }

    pub(super) fn keep(&self, target: Option<&KeyRecord>) -> Result<Outcome, StoreError> {
        let stored = target.and_then(|target| self.keys.get(&target.id));
        let stored = stored.ok_or_else(no_target)?;
        Ok(Outcome::Kept {
            touched: stored.touched().collect(),
            record: stored.record.clone(),
        })
    }

    pub(super) fn touch(&mut self, used: &Use) {
        let Some(Some(secret)) = self.secrets.get_mut(&used.digest) else {
            return;
        };
        let Some(stored) = self.keys.get_mut(&secret.key) else {
            return;
        };
        if stored.record.revoked.is_some() {
            return;
        }
        let at = Some(used.at);
        secret.last_used_at = secret.last_used_at.max(at);
        stored.record.last_used_at = stored.record.last_used_at.max(at);
        if stored.previous == Some(used.digest)
            && let Some(previous) = &mut stored.record.previous
        {
            previous.last_used_at = previous.last_used_at.max(at);
        }
    }

    /// What a decision about one key has to tell of it, if it changed something.
    pub(super) fn record_event(&mut self, outcome: &Outcome, event: Event) {
        if let Outcome::Committed { record, .. } = outcome {
            self.add_event(record.id.clone(), event);
        }
    }

    fn add_event(&mut self, key: KeyId, event: Event) {
        self.events.insert(self.next_event, (key, event));
        self.next_event += 1;
    }

    fn committed(&mut self, touched: Vec<Touched>, record: KeyRecord, nonce: i64) -> Outcome {
        self.commit(touched.clone(), nonce);
        Outcome::Committed { touched, record }
    }

    fn commit(&mut self, touched: Vec<Touched>, nonce: i64) {
        self.position.revision += 1;
        self.position.nonce = nonce;
        let revision = self.position.revision;
        self.changes.insert(revision, (nonce, touched));
        self.changes = self
            .changes
            .split_off(&revision.saturating_sub(REVISIONS_KEPT));
    }
}

impl Stored {
    /// What a change of this key puts out of date.
    fn touched(&self) -> impl Iterator<Item = Touched> + use<> {
        let digests = [Some(self.digest), self.previous];
        let touched = |digest: KeyDigest| Touched::changed(&digest);
        digests.into_iter().flatten().map(touched)
    }
}

impl Secret {
    fn of(key: &KeyId) -> Self {
        Self {
            key: key.clone(),
            expires_at: None,
            last_used_at: None,
        }
    }
}

/// A decision changes the row that it was shown and no other.
pub(super) fn must_be_the_target(rows: &Rows, id: &KeyId) -> Result<(), StoreError> {
    let target = rows.target.as_ref();
    if target.is_some_and(|target| target.id == *id) {
        return Ok(());
    }
    Err(no_target())
}

fn taken() -> StoreError {
    let context = "adding a key whose id or digest is taken";
    StoreError::new(StoreErrorKind::Conflict, context)
}

fn no_target() -> StoreError {
    StoreError::new(
        StoreErrorKind::Corrupt,
        "a decision kept or changed a key that is not there",
    )
}
