//! Options of a keyring, each with its default.

mod assemble;
mod refuse;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

pub use self::refuse::BuildError;
use super::change::{KeyChange, Listeners};
use super::declared::Declared;
use crate::clock::{Clock, SystemClock};
use crate::key::{ChecksumSecret, DigestAlgorithm, ForeignFormat};
use crate::store::{KeyStore, Retention};

/// Builds a [`Keyring`](super::Keyring). Each method says what it is when it is not called.
#[must_use]
pub struct Builder {
    store: Arc<dyn KeyStore>,
    clock: Arc<dyn Clock>,
    prefix: Option<String>,
    environments: Vec<String>,
    declared: Declared,
    self_renewal: bool,
    listeners: Listeners,
    keyed_checksum: Option<Vec<ChecksumSecret>>,
    foreign: Vec<ForeignFormat>,
    digest: DigestAlgorithm,
    max_staleness: Duration,
    poll_interval: Option<Duration>,
    lookup_deadline: Option<Duration>,
    known_keys: u64,
    unknown_keys: u64,
    concurrent_lookups: usize,
    waiting_requests: usize,
    unknown_lookups: (u32, u32),
    last_used_every: Duration,
    outage_grace: Option<Duration>,
    poll_when_idle: bool,
    retention: Option<Retention>,
}

impl Builder {
    pub(super) fn new(store: Arc<dyn KeyStore>) -> Self {
        Self {
            store,
            clock: Arc::new(SystemClock),
            prefix: None,
            environments: vec!["live".to_owned()],
            declared: Declared::default(),
            self_renewal: false,
            listeners: Listeners::default(),
            keyed_checksum: None,
            foreign: Vec::new(),
            digest: DigestAlgorithm::default(),
            max_staleness: Duration::from_secs(5),
            poll_interval: None,
            lookup_deadline: None,
            known_keys: 100_000,
            unknown_keys: 10_000,
            concurrent_lookups: 64,
            waiting_requests: 2_000,
            unknown_lookups: (200, 1_000),
            last_used_every: Duration::from_mins(5),
            outage_grace: None,
            poll_when_idle: true,
            retention: None,
        }
    }

    /// The first part of every key: `[a-z0-9]`, at most 14 characters together with the longest
    /// environment. Required. **Changing it later kills every key in the world.**
    pub fn prefix(mut self, prefix: &str) -> Self {
        self.prefix = Some(prefix.to_owned());
        self
    }

    /// The second part of every key, one of these: `[a-z0-9]`. Replaces the default, which is
    /// `live` alone. With more than one, each layer must name those that it accepts.
    pub fn environments(mut self, environments: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        self.environments = owned(environments);
        self
    }

    /// Declares the scopes that exist; others are refused when a key is made. Wildcards are
    /// granted all the same if they reach a declared scope. By default every scope exists.
    pub fn scopes(mut self, scopes: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        self.declared.scopes = Some(owned(scopes));
        self
    }

    /// Declares scopes that exist, besides those of [`scopes`](Self::scopes), each with what people
    /// are told of it, in documents and on pages. May be called more than once.
    ///
    /// ```
    /// # use portcullis::{Keyring, store::MemoryStore};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let keyring = Keyring::builder(MemoryStore::new())
    ///     .prefix("acme")
    ///     .describe_scopes([
    ///         ("reports:read", "See reports."),
    ///         ("reports:write", "Make and change reports."),
    ///     ])
    ///     .role("auditor", "Sees everything and changes nothing.", ["reports:read"])
    ///     .build()?;
    ///
    /// let scopes = keyring.scopes().expect("some are declared");
    /// assert_eq!(scopes.description(&"reports:read".parse()?), Some("See reports."));
    /// let (name, auditor) = keyring.roles().iter().next().expect("one is known");
    /// assert_eq!(name.as_str(), "auditor");
    /// assert_eq!(auditor.grants().to_string(), "reports:read");
    /// # Ok(()) }
    /// ```
    pub fn describe_scopes(
        mut self,
        scopes: impl IntoIterator<Item = (impl AsRef<str>, impl AsRef<str>)>,
    ) -> Self {
        let scopes = scopes.into_iter();
        let scopes =
            scopes.map(|(name, text)| (name.as_ref().to_owned(), text.as_ref().to_owned()));
        self.declared.described.extend(scopes);
        self
    }

    /// Gives keys a role to have: `grants` together under a name of 1 to 64 of `A-Za-z0-9._-`, and
    /// what people are told of it. By default there are no roles.
    ///
    /// A key has roles by their names alone. What they grant is said here, and changes for every
    /// key when the application starts with other words. **To take a role away takes what it
    /// grants from every key that has it**: the name alone grants nothing, and such a key is named
    /// in a warning. Where scopes are declared, each grant must be one that may be given.
    pub fn role(
        mut self,
        name: &str,
        description: &str,
        grants: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Self {
        let role = (name.to_owned(), description.to_owned(), owned(grants));
        self.declared.roles.push(role);
        self
    }

    /// Lets a key with `keys:write` rotate itself and extend its own life. Off by default: a leaked
    /// key could then shut its holder out and live for ever.
    pub fn self_renewal(mut self) -> Self {
        self.self_renewal = true;
        self
    }

    /// Tells of each change to keys that this keyring commits: for a mail to the owner, say, or for
    /// a system that collects such events. May be called more than once; by default nobody is told.
    ///
    /// It is called after the commit and before whoever asked for the change gets an answer, so it
    /// must not block: hand the change to a channel. If it panics, that is logged and changes
    /// nothing. What another replica changes is told there; and a change of which nobody can say
    /// whether it was committed is told nowhere. The trail that the store keeps has them all.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use portcullis::Keyring;
    /// # use portcullis::keyring::NewKey;
    /// # use portcullis::store::MemoryStore;
    /// use portcullis::keyring::KeyChange;
    /// use portcullis::store::EventKind;
    ///
    /// let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    /// let keyring = Keyring::builder(MemoryStore::new())
    ///     .prefix("acme")
    ///     .on_change(move |change| drop(tell.send(change.clone())))
    ///     .build()?;
    /// let made = keyring.create(NewKey::named("nightly export")?).await?;
    ///
    /// let Some(KeyChange::Key { event, key }) = told.recv().await else { panic!("one key was made") };
    /// assert_eq!((event.what, key.id), (EventKind::Created, made.key.id));
    /// # Ok(()) }
    /// ```
    pub fn on_change(mut self, listener: impl Fn(&KeyChange) + Send + Sync + 'static) -> Self {
        self.listeners.add(listener);
        self
    }

    /// Keys the checksum, so that nobody else can make up what passes for a key: a forged one is
    /// refused offline, and costs neither a look-up nor memory. The first secret signs new keys,
    /// all of them verify; see [`ChecksumSecret`] for how to rotate them. By default the checksum
    /// is a CRC-32, which everybody can compute.
    ///
    /// **Keys with a CRC-32 are refused from then on**, or else forging would stay free; and so
    /// are the keys of a secret that is no longer given.
    pub fn keyed_checksum(mut self, secrets: impl IntoIterator<Item = ChecksumSecret>) -> Self {
        self.keyed_checksum = Some(secrets.into_iter().collect());
        self
    }

    /// Accepts keys of this form as well, which another system has issued: they open the gate like
    /// our own once their digests have been imported. May be called for several forms. By default
    /// there is none.
    ///
    /// Refused when building are forms that some text would share, with our own keys or with each
    /// other. Foreign keys have no checksum, so that made-up ones cost a look-up each, as far as
    /// [`unknown_lookups`](Self::unknown_lookups) goes.
    pub fn accept_foreign(mut self, format: ForeignFormat) -> Self {
        self.foreign.push(format);
        self
    }

    /// Which digest the store knows keys by. Defaults to SHA-256. **Changing it later, or its
    /// pepper, kills every key in the world.**
    pub fn digest(mut self, algorithm: DigestAlgorithm) -> Self {
        self.digest = algorithm;
        self
    }

    /// How long remembered answers are trusted after the start of the last successful sync: the
    /// upper bound, under any fault, of how long a revoked key lives on here. Defaults to 5 s.
    pub fn max_staleness(mut self, max_staleness: Duration) -> Self {
        self.max_staleness = max_staleness;
        self
    }

    /// How often to sync, with one small query, whatever the traffic. Nudges come on top.
    /// At most a quarter of `max_staleness`. Defaults to 1 s, or to that quarter if it is less.
    pub fn poll_interval(mut self, poll_interval: Duration) -> Self {
        self.poll_interval = Some(poll_interval);
        self
    }

    /// Whether to poll also while there are no requests. By default that is done. `false` lets a
    /// database sleep that does so when nobody uses it: a poll interval without a request is the
    /// last one with a poll, and the next request makes the next sync come at once. If it comes
    /// after the end of the lease, it is answered by a look-up meanwhile.
    ///
    /// [`Health::in_sync`](super::Health::in_sync) is then `false` while nobody asks.
    pub fn poll_when_idle(mut self, poll: bool) -> Self {
        self.poll_when_idle = poll;
        self
    }

    /// How long a request waits for a look-up before it is answered with 503. Less than
    /// `max_staleness`. Defaults to 500 ms, or to half of `max_staleness` if that is less.
    pub fn lookup_deadline(mut self, lookup_deadline: Duration) -> Self {
        self.lookup_deadline = Some(lookup_deadline);
        self
    }

    /// How many keys, and how many unknown keys, are remembered. Defaults to 100,000 and 10,000.
    pub fn capacity(mut self, known: u64, unknown: u64) -> Self {
        (self.known_keys, self.unknown_keys) = (known, unknown);
        self
    }

    /// How many look-ups run at a time, half of them kept for keys that were good before, and how
    /// many requests wait for them, of which a quarter is kept for such keys too; what comes on top
    /// is answered with 503 at once. Defaults to 64 and 2,000.
    pub fn lookups(mut self, concurrent: usize, waiting: usize) -> Self {
        (self.concurrent_lookups, self.waiting_requests) = (concurrent, waiting);
        self
    }

    /// How many look-ups may find nothing, a second and at once. Beyond that, keys that never
    /// opened anything are answered with 503 unseen. Defaults to 200 and 1,000.
    pub fn unknown_lookups(mut self, a_second: u32, burst: u32) -> Self {
        self.unknown_lookups = (a_second, burst);
        self
    }

    /// How often, for each secret, it is written down that it was used. Defaults to 5 minutes.
    pub fn last_used_every(mut self, debounce: Duration) -> Self {
        self.last_used_every = debounce;
        self
    }

    /// Deletes what is over when it has been kept for so long: keys that are revoked or expired,
    /// and lines of their trail, by the clock of the store. Off by default: everything is kept.
    /// Each at least an hour.
    ///
    /// A task in the background sees to it once an hour, in steps of 500 keys and 500 lines at
    /// most, also while nobody asks anything. A deleted key is an unknown key; its trail stays until
    /// it is old enough itself. A key that has made other keys stays as long as one of them is
    /// there. Its digests stay taken for ever (32 bytes each, and nothing else), so that no key with
    /// the same secret can be [imported](super::Keyring::import): what somebody goes on sending with it
    /// would come in as whoever had that done.
    pub fn retention(mut self, retention: Retention) -> Self {
        self.retention = Some(retention);
        self
    }

    /// **Weakens revocation.** Lets keys that were good keep working for this long after the lease
    /// is over, while the store is away. Off by default: then such requests are answered with 503.
    ///
    /// A key that is revoked meanwhile, through another replica or by hand, lives on here until the
    /// store is back, at most for `max_staleness` and this on top; and so does one that was rotated,
    /// disabled, or deprived of a scope. What this very process has revoked, or has read as
    /// revoked, stays refused, as far as the newest 100,000 of each go.
    ///
    /// It applies to a request only if the last successful sync is older than `max_staleness` *and*
    /// its look-up failed in the store, by an error or by its deadline, or would have had to wait
    /// because another one has just failed like that. It lets in only what this process knows to
    /// have been good, within the end of its life; every key that was used in the
    /// ten minutes before the outage is known, as far as [`capacity`](Self::capacity) goes.
    /// Environment and scopes are judged as ever. [`Principal::is_judged_in_outage`] tells such
    /// requests apart, so that a handler can refuse what must not be done with a dead key; the admin
    /// router refuses all of them. At least a millisecond and at most a day.
    ///
    /// [`Principal::is_judged_in_outage`]: crate::Principal::is_judged_in_outage
    pub fn dangerously_accept_known_keys_during_outage(mut self, grace: Duration) -> Self {
        self.outage_grace = Some(grace);
        self
    }

    /// Whose clock measures what may be trusted. Defaults to the machine's.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }
}

fn owned(texts: impl IntoIterator<Item = impl AsRef<str>>) -> Vec<String> {
    texts.into_iter().map(|t| t.as_ref().to_owned()).collect()
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("store", &self.store)
            .field("prefix", &self.prefix)
            .field("environments", &self.environments)
            .field("scopes", &self.declared.scopes)
            .field("max_staleness", &self.max_staleness)
            .field("poll_interval", &self.poll_interval)
            .field("lookup_deadline", &self.lookup_deadline)
            .finish_non_exhaustive()
    }
}
