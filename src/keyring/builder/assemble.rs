//! From options to a keyring, and to the tasks behind it.

use std::sync::{Arc, Weak};

use tokio::sync::{Notify, watch};

use super::{BuildError, Builder};
use crate::key::{DigestHasherBuilder, KeyFormat};
use crate::keyring::agreement::Agreement;
use crate::keyring::authority::SelfService;
use crate::keyring::cache::time_to_keep;
use crate::keyring::epoch::CacheSizes;
use crate::keyring::flight::Flights;
use crate::keyring::idle::Idle;
use crate::keyring::last_used::LastUsed;
use crate::keyring::once_found::OnceFound;
use crate::keyring::outage::Outage;
use crate::keyring::seen_revoked::SeenRevoked;
use crate::keyring::shared::Shared;
use crate::keyring::timeline::Timeline;
use crate::keyring::{Inner, Keyring, budget, cooldown, retention, sync};

/// What a keyring's background tasks are made of.
struct Followers<W> {
    /// Writes down when keys were last used.
    writing: W,
    /// Makes the next sync come at once.
    wake: Arc<Notify>,
    /// Tells of the first request after a poll.
    request: Arc<Notify>,
    /// Tells that the last keyring is gone.
    gone: watch::Receiver<()>,
}

impl Builder {
    /// Checks the options and starts to follow the store. Asks nothing of it yet, so that a store
    /// that is away fails nothing: the gate answers 503 until it is back.
    pub fn build(self) -> Result<Keyring, BuildError> {
        let (poll_interval, _) = self.rhythm();
        let retention = self.retention;
        let (keyring, followers) = self.assemble()?;
        let runtime = tokio::runtime::Handle::try_current().map_err(BuildError::NoRuntime)?;
        let Followers {
            writing,
            wake,
            request,
            gone,
        } = followers;
        let weak: Weak<Inner> = Arc::downgrade(&keyring.inner);
        let store = Arc::clone(&keyring.inner.store);
        runtime.spawn(writing);
        if let Some(retention) = retention {
            runtime.spawn(retention::run(Arc::clone(&store), retention, gone.clone()));
        }
        let rhythm = sync::Rhythm {
            poll: poll_interval,
            wake,
            request,
        };
        runtime.spawn(sync::run(weak, store, rhythm, gone));
        Ok(keyring)
    }

    /// A keyring that never follows its store, and so needs no runtime: nothing is ever asked of
    /// it, but which one it is.
    #[cfg(feature = "testing")]
    pub(crate) fn build_idle(self) -> Result<Keyring, BuildError> {
        self.assemble().map(|(keyring, _)| keyring)
    }

    /// The keyring, and what goes on behind it once it is spawned.
    fn assemble(
        self,
    ) -> Result<(Keyring, Followers<impl Future<Output = ()> + Send + use<>>), BuildError> {
        let (poll_interval, lookup_deadline) = self.rhythm();
        self.check(poll_interval, lookup_deadline)?;
        let prefix = self.prefix.ok_or(BuildError::NoPrefix)?;
        let agreement = Agreement::on(self.digest.name(), lookup_deadline);
        let format = KeyFormat::new(&prefix, &self.environments)?.with_digest(self.digest);
        let format = match self.keyed_checksum {
            Some(secrets) => format.with_keyed_checksum(secrets)?,
            None => format,
        };
        let format = format.with_foreign(self.foreign)?;
        let (catalogue, roles) = self.declared.check()?;
        let hasher =
            DigestHasherBuilder::new().map_err(|error| BuildError::NoRandomness(error.into()))?;
        let wake = Arc::new(Notify::new());
        let idle = Idle::polling_all_the_same(self.poll_when_idle);
        let request = idle.request();
        let (last_keyring, gone) = watch::channel(());
        let (a_second, burst) = self.unknown_lookups;
        let (last_used, writing) = LastUsed::new(Arc::clone(&self.store), self.last_used_every);
        let inner = Arc::new(Inner {
            store: self.store,
            clock: self.clock,
            format,
            catalogue,
            roles,
            agreement,
            listeners: self.listeners,
            self_service: SelfService {
                renewal: self.self_renewal,
            },
            timeline: Timeline::new(CacheSizes {
                positive: self.known_keys,
                negative: self.unknown_keys,
                kept: time_to_keep(self.max_staleness, self.outage_grace),
                hasher: hasher.clone(),
            }),
            once_found: OnceFound::with_room_for(self.known_keys, hasher),
            flights: Flights::new(
                self.concurrent_lookups,
                self.waiting_requests,
                lookup_deadline,
            ),
            cooldown: cooldown::Cooldown::new(),
            budget: budget::Budget::new(a_second, burst),
            outage: Outage::new(self.max_staleness, self.outage_grace),
            shared: Shared::default(),
            seen_revoked: SeenRevoked::default(),
            max_staleness: self.max_staleness,
            max_staleness_nanos: u64::try_from(self.max_staleness.as_nanos()).unwrap_or(u64::MAX),
            // Two syncs that each take this long, a poll apart, still renew the lease in time.
            sync_deadline: self.max_staleness / 4,
            last_used,
            syncs: sync::Syncs::default(),
            idle,
            wake: Arc::clone(&wake),
            _last_keyring: last_keyring,
        });
        let followers = Followers {
            writing,
            wake,
            request,
            gone,
        };
        Ok((Keyring { inner }, followers))
    }
}
