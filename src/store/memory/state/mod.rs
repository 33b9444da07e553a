//! What a memory store holds, and what each decision does to it.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::key::{KeyDigest, KeyId};
use crate::store::{
    Event, EventQuery, FoundKey, KeyRecord, ListQuery, MOST_KEYS_NAMED, MOST_PRUNED, Outcome,
    Owner, Position, Provenance, Pruned, RecordedEvent, Replay, ReplayKey, Retention, Revocation,
    Rows, Status, StoreError, StoreErrorKind, Subjects, Touched, Use, Whose,
};
use crate::timestamp::Timestamp;

/// How many revisions' change rows are kept. A keyring that is further behind starts afresh.
const REVISIONS_KEPT: u64 = 10_000;

/// How many things are pruned at once.
const AT_ONCE: usize = MOST_PRUNED as usize;

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

    pub(super) fn found(&self, digest: &KeyDigest) -> Option<FoundKey> {
        let secret = self.secrets.get(digest)?.as_ref()?;
        Some(FoundKey {
            record: self.record(&secret.key)?,
            secret_expires_at: secret.expires_at,
            secret_last_used_at: secret.last_used_at,
        })
    }

    pub(super) fn record(&self, id: &KeyId) -> Option<KeyRecord> {
        Some(self.keys.get(id)?.record.clone())
    }

    pub(super) fn list(&self, query: &ListQuery, now: Timestamp) -> Vec<KeyRecord> {
        let ListQuery {
            owner,
            after,
            limit: _,
            status,
            environment,
            expires_before,
        } = query;
        self.keys
            .values()
            .map(|stored| &stored.record)
            .filter(|key| owner.as_ref().is_none_or(|owner| *owner == key.owner))
            .filter(|key| after.as_ref().is_none_or(|after| position(key) < *after))
            .filter(|key| status.is_none_or(|status| status == key.status(now)))
            .filter(|key| {
                environment
                    .as_ref()
                    .is_none_or(|env| *env == key.environment)
            })
            .filter(|key| {
                expires_before.is_none_or(|moment| key.expires_at.is_some_and(|end| end < moment))
            })
            .cloned()
            .collect()
    }

    pub(super) fn rows(&self, subjects: &Subjects, now: Timestamp) -> Rows {
        let replay = subjects
            .replay
            .and_then(|key| self.replays.get(&key.0))
            .filter(|replay| now < replay.expires_at)
            .cloned();
        let target = match &replay {
            Some(replay) => Some(&replay.made),
            None => subjects.target.as_ref(),
        };
        Rows {
            now,
            caller: subjects.caller.and_then(|digest| self.found(&digest)),
            target: target.and_then(|id| self.record(id)),
            ever_had_a_key: self.ever_had_a_key,
            replay,
            live_keys: subjects
                .count_owner
                .as_ref()
                .map_or(0, |owner| self.live_keys(owner, now)),
            digest_holder: subjects.digest.and_then(|digest| {
                let holder = self.secrets.get(&digest)?.as_ref()?;
                self.record(&holder.key)
            }),
            digest_ended: subjects
                .digest
                .is_some_and(|digest| matches!(self.secrets.get(&digest), Some(None))),
        }
    }

    fn live_keys(&self, owner: &Owner, now: Timestamp) -> u64 {
        let records = self.keys.values().map(|stored| &stored.record);
        let theirs = records.filter(|record| record.owner == *owner);
        let live = theirs.filter(|record| !is_dead(record, now));
        live.map(|_| 1).sum()
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

    fn keys_of(&self, whose: &Whose) -> Vec<KeyId> {
        let ids_where = |wanted: &dyn Fn(&KeyRecord) -> bool| -> Vec<KeyId> {
            let records = self.keys.values().map(|stored| &stored.record);
            records
                .filter(|record| wanted(record))
                .map(|record| record.id.clone())
                .collect()
        };
        match whose {
            Whose::All => ids_where(&|_| true),
            Whose::Owner(owner) => ids_where(&|record| record.owner == *owner),
            Whose::CreatedBy(maker) => {
                let mut made_by: HashMap<&Provenance, Vec<&KeyId>> = HashMap::new();
                for stored in self.keys.values() {
                    let KeyRecord { id, created_by, .. } = &stored.record;
                    made_by.entry(created_by).or_default().push(id);
                }
                // Taken out, so that nobody's are walked twice.
                let mut ids = made_by.remove(maker).unwrap_or_default();
                let mut next = 0;
                // Grows while it is walked: keys made by these, by those, and so on.
                while let Some(&id) = ids.get(next) {
                    let made = made_by.remove(&Provenance::Key(id.clone()));
                    ids.extend(made.into_iter().flatten());
                    next += 1;
                }
                ids.into_iter().cloned().collect()
            }
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

    pub(super) fn events(&self, query: &EventQuery) -> Vec<RecordedEvent> {
        let EventQuery { key, before, limit } = query;
        self.events
            .range(..before.unwrap_or(u64::MAX))
            .rev()
            .filter(|(_, (id, _))| key.as_ref().is_none_or(|key| key == id))
            .take(usize::try_from(*limit).unwrap_or(usize::MAX))
            .map(|(&seq, (id, event))| RecordedEvent {
                seq,
                key: id.clone(),
                event: event.clone(),
            })
            .collect()
    }

    pub(super) fn prune(&mut self, retention: &Retention, now: Timestamp, nonce: i64) -> Pruned {
        let Retention { dead_keys, events } = retention;
        let mut pruned = Pruned::default();
        if let Some(before) = dead_keys.and_then(|kept| now.checked_sub(kept)) {
            let makers: HashSet<&KeyId> = self
                .keys
                .values()
                .filter_map(|stored| match &stored.record.created_by {
                    Provenance::Key(maker) => Some(maker),
                    _ => None,
                })
                .collect();
            let records = self.keys.values().map(|stored| &stored.record);
            let over = records.filter(|record| was_dead(record, before));
            let over = over.filter(|record| !makers.contains(&record.id));
            let over: Vec<KeyId> = over.map(|record| record.id.clone()).collect();
            pruned.keys = self.delete(&over, nonce);
            pruned.more |= pruned.keys > 0 && over.len() >= AT_ONCE;
        }
        if let Some(before) = events.and_then(|kept| now.checked_sub(kept)) {
            let over = self
                .events
                .iter()
                .filter(|(_, (_, event))| event.at < before);
            let over: Vec<u64> = over.map(|(&seq, _)| seq).take(AT_ONCE).collect();
            for seq in &over {
                self.events.remove(seq);
                pruned.events += 1;
            }
            pruned.more |= over.len() == AT_ONCE;
        }
        pruned
    }

    /// Deletes as many of these keys as are deleted at once.
    fn delete(&mut self, ids: &[KeyId], nonce: i64) -> u64 {
        let mut touched = Vec::new();
        let mut deleted = 0;
        for id in ids.iter().take(AT_ONCE) {
            let Some(stored) = self.keys.remove(id) else {
                continue;
            };
            touched.extend(stored.touched());
            for digest in [Some(stored.digest), stored.previous].into_iter().flatten() {
                self.secrets.insert(digest, None);
            }
            self.replays.retain(|_, replay| replay.made != *id);
            deleted += 1;
        }
        if deleted > 0 {
            self.commit(touched, nonce);
        }
        deleted
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

/// Whether it is dead for good.
fn is_dead(record: &KeyRecord, now: Timestamp) -> bool {
    matches!(record.status(now), Status::Revoked | Status::Expired)
}

/// Whether it was dead already before this moment.
fn was_dead(record: &KeyRecord, before: Timestamp) -> bool {
    let ends = [
        record.revoked.as_ref().map(|revoked| revoked.at),
        record.expires_at,
    ];
    ends.into_iter().flatten().any(|end| end < before)
}

/// Where a key stands in the order of lists.
pub(super) fn position(record: &KeyRecord) -> (Timestamp, KeyId) {
    (record.created_at, record.id.clone())
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
