//! Which options do not go together, and why a keyring is not built.

use std::fmt;
use std::time::Duration;

use super::Builder;
use crate::key::InvalidFormat;
use crate::keyring::declared::InvalidDeclaration;
use crate::keyring::retention;
use crate::store::Retention;

/// Whoever wants to do without the store for longer wants another store.
const LONGEST_OUTAGE_GRACE: Duration = Duration::from_hours(24);

/// Why a keyring cannot be built like this. Always a mistake in the configuration: a store that
/// is away fails nothing here.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// No prefix was given.
    #[error("a keyring needs a prefix, such as .prefix(\"acme\"), that is never changed again")]
    NoPrefix,
    /// The prefix, one of the environments, the secrets of the checksum, or a foreign format.
    #[error("this cannot be the form of a key")]
    Format(#[from] InvalidFormat),
    /// One of the declared scopes or roles.
    #[error("this cannot be declared")]
    Declaration(#[from] InvalidDeclaration),
    /// The lease would be renewed too seldom.
    #[error(
        "the poll interval must be at most a quarter of max_staleness, so that a lost sync does \
         not end the lease: {poll_interval:?} is more than a quarter of {max_staleness:?}"
    )]
    PollTooSeldom {
        /// As configured.
        poll_interval: Duration,
        /// As configured.
        max_staleness: Duration,
    },
    /// A look-up could be older than anything that may be trusted.
    #[error(
        "the look-up deadline must be less than max_staleness: {lookup_deadline:?} is not less \
         than {max_staleness:?}"
    )]
    DeadlineTooLong {
        /// As configured.
        lookup_deadline: Duration,
        /// As configured.
        max_staleness: Duration,
    },
    /// A number or a time that has to be more than it is.
    #[error("{option} must be at least {least}, and is {value}")]
    TooSmall {
        /// Which option.
        option: &'static str,
        /// The least it may be.
        least: String,
        /// As configured.
        value: String,
    },
    /// A time that has to be less than it is.
    #[error("{option} must be at most {most:?}, and is {value:?}")]
    TooLong {
        /// Which option.
        option: &'static str,
        /// The most it may be.
        most: Duration,
        /// As configured.
        value: Duration,
    },
    /// There is no Tokio runtime to run the background task on.
    #[error("a keyring must be built inside a Tokio runtime")]
    NoRuntime(#[source] tokio::runtime::TryCurrentError),
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    NoRandomness(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Builder {
    /// The poll interval and the look-up deadline. What was not given fits itself in; what was
    /// given is never changed, and refused where it does not fit.
    pub(super) fn rhythm(&self) -> (Duration, Duration) {
        let poll = Duration::from_secs(1).min(self.max_staleness / 4);
        let deadline = Duration::from_millis(500).min(self.max_staleness / 2);
        (
            self.poll_interval.unwrap_or(poll),
            self.lookup_deadline.unwrap_or(deadline),
        )
    }

    pub(super) fn check(
        &self,
        poll_interval: Duration,
        lookup_deadline: Duration,
    ) -> Result<(), BuildError> {
        let least = Duration::from_millis(1);
        at_least("max_staleness", self.max_staleness, least * 4)?;
        at_least("poll_interval", poll_interval, least)?;
        at_least("lookup_deadline", lookup_deadline, least)?;
        at_least("the capacity for known keys", self.known_keys, 1)?;
        at_least("the capacity for unknown keys", self.unknown_keys, 1)?;
        // One for known keys and one for all others.
        at_least("concurrent look-ups", self.concurrent_lookups, 2)?;
        at_least("waiting requests", self.waiting_requests, 1)?;
        at_least("unknown look-ups a second", self.unknown_lookups.0, 1)?;
        at_least("unknown look-ups at once", self.unknown_lookups.1, 1)?;
        let Retention { dead_keys, events } = self.retention.unwrap_or_default();
        let kept = [
            ("retention of dead keys", dead_keys),
            ("retention of events", events),
        ];
        for (option, kept) in kept {
            let kept = kept.unwrap_or(Duration::MAX);
            at_least(option, kept, retention::SHORTEST)?;
        }
        if let Some(grace) = self.outage_grace {
            let option = "dangerously_accept_known_keys_during_outage";
            at_least(option, grace, least)?;
            if grace > LONGEST_OUTAGE_GRACE {
                return Err(BuildError::TooLong {
                    option,
                    most: LONGEST_OUTAGE_GRACE,
                    value: grace,
                });
            }
        }
        if poll_interval > self.max_staleness / 4 {
            return Err(BuildError::PollTooSeldom {
                poll_interval,
                max_staleness: self.max_staleness,
            });
        }
        if lookup_deadline >= self.max_staleness {
            return Err(BuildError::DeadlineTooLong {
                lookup_deadline,
                max_staleness: self.max_staleness,
            });
        }
        Ok(())
    }
}

fn at_least<T: Copy + PartialOrd + fmt::Debug>(
    option: &'static str,
    value: T,
    least: T,
) -> Result<(), BuildError> {
    if value < least {
        return Err(BuildError::TooSmall {
            option,
            least: format!("{least:?}"),
            value: format!("{value:?}"),
        });
    }
    Ok(())
}
