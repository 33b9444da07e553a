//! What is shown of it, and nothing changed.

use std::collections::HashMap;

use super::State;
use crate::key::{KeyDigest, KeyId};
use crate::store::{
    EventQuery, FoundKey, KeyRecord, ListQuery, Owner, Provenance, RecordedEvent, Rows, Status,
    Subjects, Whose,
};
use crate::timestamp::Timestamp;

impl State {
    pub(in crate::store::memory) fn found(&self, digest: &KeyDigest) -> Option<FoundKey> {
        let secret = self.secrets.get(digest)?.as_ref()?;
        Some(FoundKey {
            record: self.record(&secret.key)?,
            secret_expires_at: secret.expires_at,
            secret_last_used_at: secret.last_used_at,
        })
    }

    pub(in crate::store::memory) fn record(&self, id: &KeyId) -> Option<KeyRecord> {
        Some(self.keys.get(id)?.record.clone())
    }

    pub(in crate::store::memory) fn list(
        &self,
        query: &ListQuery,
        now: Timestamp,
    ) -> Vec<KeyRecord> {
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

    pub(in crate::store::memory) fn rows(&self, subjects: &Subjects, now: Timestamp) -> Rows {
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

    pub(super) fn keys_of(&self, whose: &Whose) -> Vec<KeyId> {
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

    pub(in crate::store::memory) fn events(&self, query: &EventQuery) -> Vec<RecordedEvent> {
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
}

/// Whether it is dead for good.
fn is_dead(record: &KeyRecord, now: Timestamp) -> bool {
    matches!(record.status(now), Status::Revoked | Status::Expired)
}

/// Where a key stands in the order of lists.
pub(in crate::store::memory) fn position(record: &KeyRecord) -> (Timestamp, KeyId) {
    (record.created_at, record.id.clone())
}
