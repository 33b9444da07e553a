//! Reports of secrets that were found where they should not be. Whoever holds a key may report it:
//! that takes no other credential, and the answer to a key is that to anything else.

#[cfg(feature = "secret-scanning")]
mod github;
mod limits;
mod report;
#[cfg(feature = "secret-scanning")]
mod room;
#[cfg(feature = "secret-scanning")]
mod signature;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::post;

#[cfg(feature = "secret-scanning")]
pub use self::github::{InvalidScanningKeys, ScanningKeys};
use self::limits::Limits;
#[cfg(feature = "openapi")]
pub(super) use self::report::Received;
pub(super) use self::report::Report;
use super::{Desk, open};
use crate::keyring::Keyring;

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
    limit_by_address: Option<(u32, Duration)>,
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
    /// One address could use up the limit of all.
    #[error(
        "the limit by address of leak reports is not below the limit of all, so that one address \
         could use that up"
    )]
    OneAddressUsesAll,
}

impl LeakReports {
    /// Reports by `POST /leaks`, within the limits that are there by default.
    pub fn new() -> Self {
        Self {
            limit: (60, Duration::from_mins(1)),
            limit_by_address: None,
            #[cfg(feature = "secret-scanning")]
            github: None,
        }
    }

    /// How many reports, of up to 100 secrets each, are looked into in how much time; one more is
    /// answered 429 with `Retry-After`. That many at once, and then one more whenever its share of
    /// the time has passed. A report counts if something in it has the form of a key: what costs the
    /// store nothing takes nothing from others. Each process counts by itself. Defaults to 60 a
    /// minute.
    pub fn limit(mut self, most: u32, within: Duration) -> Self {
        self.limit = (most, within);
        self
    }

    /// How many reports of whatever kind may come from one address, where that is known; it has to
    /// be less than [`limit`](Self::limit). Of an IPv6 address the first 48 bits count: what one
    /// customer may have. Defaults to a sixth of the limit, 10 a minute.
    ///
    /// The address is that of the peer, unless [`Admin::client_address`](super::Admin::client_address)
    /// says how to tell. Behind a proxy that was not declared there it is the same for all, and all
    /// share this limit: declare the proxy.
    pub fn limit_by_address(mut self, most: u32, within: Duration) -> Self {
        self.limit_by_address = Some((most, within));
        self
    }

    /// Takes the reports of GitHub's secret scanning by `POST /leaks/github`, signed by one of these
    /// keys. Defaults to none.
    ///
    /// They have a limit of their own, ten times [`limit`](Self::limit), and only what is signed
    /// counts, and has something in it that has the form of a key: nobody else takes anything from
    /// it. What has no signature by a known key is refused before its body is read, and a body has
    /// 10 seconds to come. Whether a signature is good is found out for two at a time, on threads
    /// beside those of the runtime; others wait. Where
    /// [`Admin::client_address`](super::Admin::client_address) was called, no address is listened to
    /// more often than that limit.
    ///
    /// Of bodies that nobody has verified yet 32 MiB are held at a time, and what is more is 503: the
    /// application's memory comes before a report. Whoever sends that much every 10 seconds keeps
    /// GitHub out for as long; where that matters, let only GitHub's addresses come to this path.
    #[cfg(feature = "secret-scanning")]
    pub fn github(mut self, keys: ScanningKeys) -> Self {
        self.github = Some(keys);
        self
    }

    pub(super) fn for_keys_of(self, keyring: &Keyring) -> Result<Intake, InvalidLeakReports> {
        let clock = keyring.clock();
        #[cfg(feature = "secret-scanning")]
        let github = match self.github {
            None => None,
            Some(keys) => {
                let (most, within) = self.limit;
                let all = (most.saturating_mul(10), within);
                // One address may have all of it: who signs reports has few.
                let limits = Limits::new(all, all, &clock)?;
                Some(github::Github::new(keys, limits))
            }
        };
        Ok(Intake {
            limits: Limits::below(self.limit, self.limit_by_address, &clock)?,
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
    limits: Limits,
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
