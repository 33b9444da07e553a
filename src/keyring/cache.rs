//! The answers that are remembered, good ones and "no such key" apart.
//!
//! Two caches, because one would let a stream of unknown keys push the known ones out: an
//! admission policy does not save entries that are read once or twice between evictions. The
//! times to live are hygiene, not freshness, which is the tags' and the lease's business.
//!
//! What is known of a key is asked for again when it is [`LOOKED_AT_AGAIN`] old, and is kept for
//! longer than that: should the store be away then, the lease, or an outage grace, still has
//! something to stand on.

mod map;

use std::sync::Arc;
use std::time::Duration;

use self::map::{Chosen, Map};
use super::epoch::CacheSizes;
use super::freshness::Tag;
use super::hot::HotTable;
use super::last_used::Usage;
use crate::clock::BootTime;
use crate::key::KeyDigest;
use crate::principal::Known;

/// How old what is known of a key may get before it is looked up again, changed or not.
pub(crate) const LOOKED_AT_AGAIN: Duration = Duration::from_mins(10);

const NEGATIVE_TIME_TO_LIVE: Duration = Duration::from_secs(5);

/// How long what is known of a key is kept. Whatever is used is looked at again in time, so that
/// what was used within [`LOOKED_AT_AGAIN`] before an outage is at most twice that old when the
/// outage begins.
pub(crate) fn time_to_keep(max_staleness: Duration, outage_grace: Option<Duration>) -> Duration {
    let kept = LOOKED_AT_AGAIN + max_staleness;
    outage_grace.map_or(kept, |grace| kept + LOOKED_AT_AGAIN + grace)
}

/// How long an entry may be used without the map's hearing of it. Seldom enough to cost nothing,
/// and often enough for the map to know which entries are in use: otherwise it would drop the very
/// ones that are used most.
const UNHEARD: Duration = Duration::from_secs(1);

/// Only the benchmark goes without the table, to say what it gives.
const HOT_TABLE: bool = !cfg!(portcullis_no_hot_table);

pub(crate) struct Cache {
    hot: HotTable,
    positive: Chosen<Arc<Known>>,
    /// The negative tag under which a key was not found.
    negative: Chosen<u64>,
}

/// What is remembered of a digest under a tag.
pub(crate) enum Remembered {
    /// A key that is in steady use.
    Hot(Arc<Known>),
    Known(Arc<Known>),
    Unknown,
    Nothing,
}

impl Cache {
    pub(crate) fn new(sizes: &CacheSizes) -> Self {
        Self {
            hot: HotTable::beside(sizes.positive, sizes.hasher.clone()),
            positive: Chosen::new(sizes.positive, sizes.kept, sizes.hasher.clone()),
            negative: Chosen::new(sizes.negative, NEGATIVE_TIME_TO_LIVE, sizes.hasher.clone()),
        }
    }

    #[inline]
    pub(crate) fn recall(&self, digest: &KeyDigest, tag: Tag) -> Remembered {
        if HOT_TABLE && let Some(known) = self.hot.get(digest, tag.positive) {
            return Remembered::Hot(known);
        }
        match self.positive.get(digest) {
            Some(known) if known.tag == tag.positive => Remembered::Known(known),
            _ if self.negative.get(digest) == Some(tag.negative) => Remembered::Unknown,
            _ => Remembered::Nothing,
        }
    }

    /// The same for good answers alone.
    pub(crate) fn recall_known(&self, digest: &KeyDigest, tag: Tag) -> Option<Arc<Known>> {
        let known = self.positive.get(digest)?;
        (known.tag == tag.positive).then_some(known)
    }

    /// Keeps the map and the table in front of it in step with what was recalled at `now`, and
    /// takes back what the map has dropped by now. Nothing here decides whether to believe it.
    #[inline]
    pub(crate) fn keep_up(&self, remembered: Remembered, now: BootTime) -> Remembered {
        match &remembered {
            Remembered::Hot(known) if known.is_unheard(now, UNHEARD) => {
                if self.positive.get(&known.digest).is_none() {
                    self.hot.drop_entry(known);
                    return Remembered::Nothing;
                }
            }
            Remembered::Known(known) if HOT_TABLE => self.hot.offer(known, now),
            Remembered::Hot(_)
            | Remembered::Known(_)
            | Remembered::Unknown
            | Remembered::Nothing => {}
        }
        remembered
    }

    /// The statistics of this digest, however out of date the answer that they hang on may be.
    pub(crate) fn usage(&self, digest: &KeyDigest) -> Option<Arc<Usage>> {
        Some(Arc::clone(&self.positive.get(digest)?.usage))
    }

    pub(crate) fn remember_known(&self, known: &Arc<Known>) {
        self.positive.insert(known.digest, Arc::clone(known));
        self.hot.renew(known);
    }

    pub(crate) fn remember_unknown(&self, digest: KeyDigest, tag: Tag) {
        // The key, or this secret of it, is gone. Where no sync has brought that, the tag of what
        // was known is still right, and this answer may be forgotten first: an outage grace would
        // let the key in again.
        self.positive.invalidate(&digest);
        self.hot.forget(&digest);
        self.negative.insert(digest, tag.negative);
    }

    #[cfg(test)]
    pub(crate) fn kept(&self) -> Option<Duration> {
        self.positive.time_to_live()
    }

    /// As their time to live does.
    #[cfg(test)]
    pub(crate) fn forget_unknown(&self) {
        self.negative.clear();
    }

    /// How many answers are kept, positive and negative, about.
    pub(crate) fn sizes(&self) -> (u64, u64) {
        (self.positive.entry_count(), self.negative.entry_count())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::key::DigestHasherBuilder;
    use crate::principal::Span;
    use crate::scope::Roles;
    use crate::store::{FoundKey, KeyName, KeyRecord, Metadata, Owner, Provenance};
    use crate::timestamp::Timestamp;

    const TAG: Tag = Tag {
        positive: 5,
        negative: 7,
    };

    pub(in crate::keyring) fn known(number: u16, tag: u64) -> Arc<Known> {
        let record = KeyRecord {
            id: format!("key_{number:022}").parse().unwrap(),
            name: KeyName::parse("sample").unwrap(),
            owner: Owner::parse("somebody").unwrap(),
            environment: "live".parse().unwrap(),
            hint: crate::key::KeyHint::from_stored("acme_live_3Jd4").unwrap(),
            scopes: crate::scope::ScopeSet::default(),
            roles: crate::scope::RoleSet::empty(),
            resources: None,
            allowed_ips: None,
            enabled: true,
            created_at: Timestamp::UNIX_EPOCH,
            created_by: Provenance::System,
            expires_at: None,
            revoked: None,
            metadata: Metadata::default(),
            last_used_at: None,
            previous: None,
        };
        let found = FoundKey {
            record,
            secret_expires_at: None,
            secret_last_used_at: None,
        };
        let digest = KeyDigest::of(&number.to_be_bytes());
        Arc::new(Known::new(
            found,
            digest,
            tag,
            Span::ENDLESS,
            Arc::default(),
            &Roles::default(),
        ))
    }

    fn cache() -> Cache {
        Cache::new(&CacheSizes {
            positive: 100,
            negative: 1,
            kept: Duration::from_mins(10),
            hasher: DigestHasherBuilder::new().unwrap(),
        })
    }

    /// Asks for a key as a request at `nanos` does.
    fn ask(cache: &Cache, known: &Known, nanos: u64) -> Remembered {
        let remembered = cache.recall(&known.digest, TAG);
        cache.keep_up(remembered, BootTime::from_nanos(nanos))
    }

    #[test]
    fn one_use_in_eight_moves_an_entry_to_the_front() {
        let (cache, known) = (cache(), known(1, TAG.positive));
        cache.remember_known(&known);
        for nanos in [1, 2, 3, 4, 5, 6, 7, 8] {
            let found = ask(&cache, &known, nanos);
            assert!(matches!(found, Remembered::Known(found) if Arc::ptr_eq(&found, &known)));
        }
        let found = ask(&cache, &known, 9);
        assert!(matches!(found, Remembered::Hot(found) if Arc::ptr_eq(&found, &known)));
    }

    #[test]
    fn what_is_out_of_date_is_found_nowhere() {
        let (cache, old, new) = (cache(), known(1, 4), known(1, TAG.positive));
        cache.remember_known(&old);
        cache.hot.put(&old);
        assert!(matches!(ask(&cache, &old, 1), Remembered::Nothing));
        cache.remember_known(&new);
        let (Remembered::Hot(found) | Remembered::Known(found)) = ask(&cache, &old, 1) else {
            panic!("it was looked up");
        };
        assert!(Arc::ptr_eq(&found, &new));
    }

    #[test]
    fn what_was_looked_at_again_takes_the_place_of_what_was_known() {
        let (cache, old, new) = (cache(), known(1, TAG.positive), known(1, TAG.positive));
        cache.remember_known(&old);
        cache.hot.put(&old);
        cache.remember_known(&new);
        let found = ask(&cache, &old, 1);
        assert!(matches!(found, Remembered::Hot(found) if Arc::ptr_eq(&found, &new)));
    }

    #[test]
    fn what_was_found_to_be_gone_is_found_nowhere() {
        let (cache, known) = (cache(), known(1, TAG.positive));
        cache.remember_known(&known);
        cache.hot.put(&known);
        cache.remember_unknown(known.digest, TAG);
        assert!(matches!(ask(&cache, &known, 1), Remembered::Unknown));
    }

    #[test]
    fn what_the_map_has_dropped_goes_within_a_second() {
        let second = u64::try_from(UNHEARD.as_nanos()).unwrap();
        let (cache, known) = (cache(), known(1, TAG.positive));
        cache.remember_known(&known);
        cache.hot.put(&known);
        // The map hears of it now, and again a second later.
        assert!(matches!(ask(&cache, &known, second), Remembered::Hot(_)));
        cache.positive.invalidate(&known.digest);
        let found = ask(&cache, &known, 2 * second - 1);
        assert!(matches!(found, Remembered::Hot(_)), "not asked at each use");
        assert!(matches!(
            ask(&cache, &known, 2 * second),
            Remembered::Nothing
        ));
        assert!(cache.hot.get(&known.digest, TAG.positive).is_none());
    }
}
