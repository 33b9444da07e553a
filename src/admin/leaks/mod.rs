//! Reports of secrets that were found where they should not be. Whoever holds a key may report it:
//! that takes no other credential, and the answer to a key is that to anything else.

#[cfg(feature = "secret-scanning")]
mod github;
mod limit;
mod report;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::post;

#[cfg(feature = "secret-scanning")]
pub use self::github::{InvalidScanningKeys, ScanningKeys};
use self::limit::Limit;
#[cfg(feature = "openapi")]
pub(super) use self::report::Received;
pub(super) use self::report::Report;
use super::{Desk, open};
use crate::keyring::Keyring;

/// The longest time that reports are counted for.
const LONGEST: Duration = Duration::from_hours(24);

/// How leaked keys may be reported, and how many of them.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let store = portcullis::store::MemoryStore::new();
/// # let keyring = portcullis::Keyring::builder(store).prefix("acme").build()?;
/// use std::time::Duration;
///
/// use portcullis::admin::{Admin, LeakReports};
///
/// let reports = LeakReports::new().limit(30, Duration::from_secs(60));
/// let admin = Admin::new(keyring).leak_reports(reports)?.router();
/// # let _ = admin;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct LeakReports {
    limit: (u32, Duration),
    limit_by_address: (u32, Duration),
    #[cfg(feature = "secret-scanning")]
    github: Option<ScanningKeys>,
}

/// Why reports of leaks cannot be taken like this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidLeakReports {
    /// None could ever be made.
    #[error("{0} of leak reports is 0, so that none could be made")]
    Nothing(&'static str),
    /// The time is longer than they are counted for.
    #[error("the time of {0} of leak reports is over 24 hours")]
    TooLong(&'static str),
}

impl LeakReports {
    /// Reports by `POST /leaks`, within the limits that are there by default.
    pub fn new() -> Self {
        Self {
            limit: (60, Duration::from_mins(1)),
            limit_by_address: (10, Duration::from_mins(1)),
            #[cfg(feature = "secret-scanning")]
            github: None,
        }
    }

    /// How many reports, of up to 100 secrets each, are looked into in how much time; one more is
    /// answered 429 with `Retry-After`. That many at once, and then one more whenever its share of
    /// the time has passed. Each process counts by itself. Defaults to 60 a minute.
    pub fn limit(mut self, most: u32, within: Duration) -> Self {
        self.limit = (most, within);
        self
    }

    /// How many of these may come from one address, where that is known (see
    /// [`Admin::client_address`](super::Admin::client_address)); of an IPv6 address the first half
    /// counts. Defaults to 10 a minute.
    pub fn limit_by_address(mut self, most: u32, within: Duration) -> Self {
        self.limit_by_address = (most, within);
        self
    }

    /// Takes the reports of GitHub's secret scanning by `POST /leaks/github`, signed by one of these
    /// keys. They have a limit of their own, ten times [`limit`](Self::limit). Defaults to none.
    #[cfg(feature = "secret-scanning")]
    pub fn github(mut self, keys: ScanningKeys) -> Self {
        self.github = Some(keys);
        self
    }

    pub(super) fn for_keys_of(self, keyring: &Keyring) -> Result<Intake, InvalidLeakReports> {
        let check = |(most, within): (u32, Duration), what| {
            if within > LONGEST {
                return Err(InvalidLeakReports::TooLong(what));
            }
            let nothing = InvalidLeakReports::Nothing(what);
            Limit::new(most, within, keyring.clock()).ok_or(nothing)
        };
        #[cfg(feature = "secret-scanning")]
        let github = match self.github {
            None => None,
            Some(keys) => {
                let (most, within) = self.limit;
                let limit = check((most.saturating_mul(10), within), "the limit")?;
                Some(github::Github { keys, limit })
            }
        };
        Ok(Intake {
            limit: check(self.limit, "the limit")?,
            by_address: check(self.limit_by_address, "the limit by address")?,
            #[cfg(feature = "secret-scanning")]
            github,
        })
    }
}

impl Default for LeakReports {
    fn default() -> Self {
        Self::new()
    }
}

/// Where reports come in.
#[derive(Debug)]
pub(super) struct Intake {
    limit: Limit,
    by_address: Limit,
    #[cfg(feature = "secret-scanning")]
    github: Option<github::Github>,
}

impl Intake {
    /// Whether there is a route for the reports that GitHub signs.
    #[cfg(feature = "openapi")]
    #[cfg_attr(
        not(feature = "secret-scanning"),
        expect(clippy::unused_self, reason = "there is nothing to tell apart")
    )]
    pub(super) fn takes_githubs(&self) -> bool {
        #[cfg(feature = "secret-scanning")]
        return self.github.is_some();
        #[cfg(not(feature = "secret-scanning"))]
        false
    }

    /// The routes that there are.
    #[cfg_attr(
        not(feature = "secret-scanning"),
        expect(clippy::unused_self, reason = "there is nothing to tell apart")
    )]
    pub(super) fn routes(&self) -> Router<Arc<Desk>> {
        let routes = Router::new().route("/leaks", post(open(report::report)));
        #[cfg(feature = "secret-scanning")]
        if self.github.is_some() {
            return routes.route("/leaks/github", post(open(github::report)));
        }
        routes
    }
}
