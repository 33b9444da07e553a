//! Time as an argument.
//!
//! Two questions, two clocks. How old is this answer? The boot clock: it never goes back and
//! goes on while the machine sleeps. What date is it? The wall clock, which a store writes into
//! its rows. No decision about a request is ever taken on the local wall clock.

use std::fmt::Debug;
use std::time::Duration;

use crate::timestamp::Timestamp;

/// A moment on the boot clock, in nanoseconds; comparable within one machine's uptime only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BootTime(u64);

impl BootTime {
    /// The moment `nanos` nanoseconds after the boot clock's zero.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the boot clock's zero.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// How long ago `earlier` was; zero if it lies ahead.
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// This moment moved back by `by`; the clock's zero if that is before it.
    #[must_use]
    pub fn saturating_sub(self, by: Duration) -> Self {
        let by = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_sub(by))
    }

    /// This moment moved on by `by`; the far end of the clock if that is beyond it (584 years).
    #[must_use]
    pub fn saturating_add(self, by: Duration) -> Self {
        let by = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(by))
    }
}

/// The two clocks that the crate reads.
///
/// [`SystemClock`] is the default everywhere; `testing::FakeClock` moves only when told.
pub trait Clock: Debug + Send + Sync + 'static {
    /// Time since boot. Must never go back, and must go on while the machine is suspended:
    /// what a keyring trusts is measured with it.
    fn boot(&self) -> BootTime;

    /// The date, for what is written into rows.
    fn wall(&self) -> Timestamp;
}

/// The machine's clocks.
///
/// The boot clock is `CLOCK_BOOTTIME` on Linux and Android and `CLOCK_MONOTONIC` on Apple's systems,
/// both of which count sleep. Elsewhere it is [`std::time::Instant`]: where that stands still during
/// sleep, a machine that wakes up trusts what it remembers for up to `max_staleness` longer.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
    #[inline]
    fn boot(&self) -> BootTime {
        use rustix::time::{ClockId, clock_gettime};
        #[cfg(not(target_vendor = "apple"))]
        let now = clock_gettime(ClockId::Boottime);
        // Not what `Instant` reads there, which stands still during sleep.
        #[cfg(target_vendor = "apple")]
        let now = clock_gettime(ClockId::Monotonic);
        // Neither field is negative on this clock; a kernel that says otherwise gives an age of
        // zero to nothing, since ages saturate.
        let secs = u64::try_from(now.tv_sec).unwrap_or(0);
        let nanos = u64::try_from(now.tv_nsec).unwrap_or(0);
        BootTime(secs.saturating_mul(1_000_000_000).saturating_add(nanos))
    }

    #[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
    fn boot(&self) -> BootTime {
        use std::sync::OnceLock;
        use std::time::Instant;
        static ZERO: OnceLock<Instant> = OnceLock::new();
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the clock the ban points to"
        )]
        let now = Instant::now();
        let since = now.saturating_duration_since(*ZERO.get_or_init(|| now));
        // One nanosecond on, because zero means "never" where moments are kept as integers.
        BootTime(
            u64::try_from(since.as_nanos())
                .unwrap_or(u64::MAX)
                .saturating_add(1),
        )
    }

    fn wall(&self) -> Timestamp {
        #[expect(
            clippy::disallowed_methods,
            reason = "this is the clock the ban points to"
        )]
        let now = std::time::SystemTime::now();
        now.duration_since(std::time::SystemTime::UNIX_EPOCH)
            .ok()
            .and_then(|since| i64::try_from(since.as_micros()).ok())
            .and_then(Timestamp::from_unix_micros)
            .unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boot_clock_does_not_go_back() {
        let first = SystemClock.boot();
        let second = SystemClock.boot();
        assert!(first <= second);
        assert!(first.as_nanos() > 0, "zero means never");
    }

    #[test]
    fn ages_and_ends_saturate_instead_of_wrapping() {
        let early = BootTime::from_nanos(5);
        let late = BootTime::from_nanos(9);
        assert_eq!(late.saturating_since(early), Duration::from_nanos(4));
        assert_eq!(early.saturating_since(late), Duration::ZERO);
        assert_eq!(late.saturating_add(Duration::MAX).as_nanos(), u64::MAX);
    }
}
