//! What is deleted when it has been over for long enough.

use std::collections::HashSet;

use super::State;
use crate::key::KeyId;
use crate::store::{KeyRecord, MOST_PRUNED, Provenance, Pruned, Retention};
use crate::timestamp::Timestamp;

/// How many things are pruned at once.
const AT_ONCE: usize = MOST_PRUNED as usize;

impl State {
    pub(in crate::store::memory) fn prune(
        &mut self,
        retention: &Retention,
        now: Timestamp,
        nonce: i64,
    ) -> Pruned {
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
}

/// Whether it was dead already before this moment.
fn was_dead(record: &KeyRecord, before: Timestamp) -> bool {
    let ends = [
        record.revoked.as_ref().map(|revoked| revoked.at),
        record.expires_at,
    ];
    ends.into_iter().flatten().any(|end| end < before)
}
