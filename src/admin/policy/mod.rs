//! What an application allows those who make keys for themselves.

mod entitlement;
mod mint_limit;
mod permit;

pub(super) use self::mint_limit::{BootClock, of_one_customer};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use self::entitlement::Asking;
pub use self::entitlement::{Entitlement, Minting};
use self::mint_limit::MintLimit;
pub(super) use self::permit::NotMade;
use crate::keyring::{Keyring, Limits};

/// How long an application has to say whether an owner is entitled to a key.
const DEADLINE: Duration = Duration::from_secs(2);

/// Longer than any plan of anybody, and short enough to be added to any date.
const LONGEST: Duration = Duration::from_hours(100 * 365 * 24);

/// What is allowed to whoever makes keys. Nothing is limited unless a method says so.
///
/// It binds keys and sessions, on the [self-service router](super::Admin::self_service_router)
/// all of them; on the router for operators the holders of `keys:admin` are exempt, and so is the
/// admin token. It is asked last, after everything else that could refuse a request but a digest that
/// somebody else's secret has or had: that counts as a key, or else one could find out by trying
/// which digests others have. And not at all where a request with an `Idempotency-Key` comes again,
/// since no key is made then.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::time::Duration;
/// use portcullis::admin::{Admin, Minting, Policy};
/// # use portcullis::Keyring;
/// # use portcullis::store::MemoryStore;
/// # async fn plan_of(_: &str) -> Result<String, std::io::Error> { Ok("team".into()) }
///
/// let policy = Policy::new()
///     .live_keys_per_owner(5)
///     .mint_limit(10, Duration::from_hours(1))
///     .max_lifetime(Duration::from_hours(365 * 24))
///     .entitlement(async |minting: Minting| {
///         let plan = plan_of(minting.owner.as_str()).await?;
///         Ok::<_, std::io::Error>(plan != "free")
///     });
/// let keyring = Keyring::builder(MemoryStore::new()).prefix("acme").build()?;
/// let router = Admin::new(keyring).policy(policy)?.self_service_router();
/// # let _: axum::Router = router;
/// # Ok(()) }
/// ```
#[derive(Clone)]
#[must_use]
pub struct Policy {
    live_keys: Option<u64>,
    max_lifetime: Option<Duration>,
    environments: Option<Vec<String>>,
    mint_limit: Option<(u32, Duration)>,
    entitlement: Option<Arc<dyn Entitlement>>,
    deadline: Duration,
}

/// Why there cannot be such a policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidPolicy {
    /// A number or a time that has to be more than nothing.
    #[error("{0} must be more than 0")]
    Nothing(&'static str),
    /// A time that has to be less than it is.
    #[error("{0} must be at most 100 years")]
    TooLong(&'static str),
    /// An environment that the keyring does not have.
    #[error("the environment {0:?} is not declared")]
    UndeclaredEnvironment(String),
}

impl Policy {
    /// One that allows everything.
    pub fn new() -> Self {
        Self {
            live_keys: None,
            max_lifetime: None,
            environments: None,
            mint_limit: None,
            entitlement: None,
            deadline: DEADLINE,
        }
    }

    /// How many keys of one owner may be neither revoked nor expired: one more is refused with 409
    /// `key_limit_reached`. They are counted in the transaction that adds one, so that requests at
    /// the same time do not get past it. Defaults to any number.
    pub fn live_keys_per_owner(mut self, most: u64) -> Self {
        self.live_keys = Some(most);
        self
    }

    /// How long after it was made a key may end at the latest. Without an expiry it ends then; a
    /// later one is refused with 422, when the key is made and when it is changed. Defaults to any
    /// time, and never.
    pub fn max_lifetime(mut self, longest: Duration) -> Self {
        self.max_lifetime = Some(longest);
        self
    }

    /// Of which environments keys may be made; others are refused with 422. Defaults to each that
    /// is declared.
    pub fn environments(mut self, environments: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let environments = environments.into_iter();
        self.environments = Some(environments.map(|one| one.as_ref().to_owned()).collect());
        self
    }

    /// How many keys may be made in how much time; one more is refused with 429 and `Retry-After`.
    /// That many at once, and then one more whenever its share of the time has passed. Defaults to
    /// any number.
    ///
    /// It is counted for the owner on whose behalf a caller acts, not for the caller: each key and
    /// each session would else bring a limit of its own, and a key could make the next. Where
    /// [`client_address`](super::Admin::client_address) was called and the address of a request is
    /// known, it is counted for that, too; of an IPv6 address for the first half. Each process
    /// counts by itself.
    pub fn mint_limit(mut self, most: u32, within: Duration) -> Self {
        self.mint_limit = Some((most, within));
        self
    }

    /// Whom to ask whether the owner of a new key is entitled to it; if not, it is refused with 403
    /// `entitlement_required`. If that fails, panics or takes too long, nobody knows, and the answer
    /// is 503. Defaults to nobody.
    pub fn entitlement(mut self, entitlement: impl Entitlement) -> Self {
        self.entitlement = Some(Arc::new(entitlement));
        self
    }

    /// How long that may take. Defaults to 2 s.
    pub fn entitlement_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// As it is asked about keys of this keyring.
    pub(super) fn for_keys_of(self, keyring: &Keyring) -> Result<Rules, InvalidPolicy> {
        let Self {
            live_keys,
            max_lifetime,
            environments,
            mint_limit,
            entitlement,
            deadline,
        } = self;
        if let Some(longest) = max_lifetime {
            check("max_lifetime", longest)?;
        }
        check("entitlement_deadline", deadline)?;
        if environments.as_ref().is_some_and(Vec::is_empty) {
            return Err(InvalidPolicy::Nothing("the number of environments"));
        }
        let declared = |name: String| {
            let declared = keyring.environments();
            let found = declared.iter().find(|known| known.as_str() == name);
            found
                .cloned()
                .ok_or(InvalidPolicy::UndeclaredEnvironment(name))
        };
        let environments = environments.map(|names| names.into_iter().map(declared).collect());
        let mint_limit = mint_limit.map(|(most, within)| {
            check("the time of mint_limit", within)?;
            MintLimit::new(most, within, keyring.clock())
                .ok_or(InvalidPolicy::Nothing("the number of mint_limit"))
        });
        Ok(Rules {
            limits: Limits {
                live_keys,
                longest_life: max_lifetime,
                environments: environments.transpose()?,
            },
            mint_limit: mint_limit.transpose()?,
            asking: entitlement.map(|entitlement| Asking {
                entitlement,
                deadline,
            }),
        })
    }
}

fn check(what: &'static str, time: Duration) -> Result<(), InvalidPolicy> {
    if time.is_zero() {
        return Err(InvalidPolicy::Nothing(what));
    }
    if time > LONGEST {
        return Err(InvalidPolicy::TooLong(what));
    }
    Ok(())
}

impl Default for Policy {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy")
            .field("live_keys", &self.live_keys)
            .field("max_lifetime", &self.max_lifetime)
            .field("environments", &self.environments)
            .field("mint_limit", &self.mint_limit)
            .field("entitlement", &self.entitlement.is_some())
            .field("deadline", &self.deadline)
            .finish()
    }
}

/// A policy that was found to be possible.
#[derive(Debug, Default)]
pub(super) struct Rules {
    /// What the transaction judges.
    pub(super) limits: Limits,
    mint_limit: Option<MintLimit>,
    asking: Option<Asking>,
}
