//! Time that moves when told.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::{BootTime, Clock};
use crate::timestamp::Timestamp;

/// An hour after boot, since zero means "never" where moments are kept as integers.
const BOOT: BootTime = BootTime::from_nanos(3_600_000_000_000);

/// 2030-01-01T00:00:00Z, in microseconds.
const WALL: i64 = 1_893_456_000_000_000;

/// A clock that stands still until it is told to move. Clones show the same time.
///
/// It starts an hour after boot, on the first of January 2030.
///
/// ```
/// use portcullis::clock::Clock;
/// use portcullis::testing::FakeClock;
/// use std::time::Duration;
///
/// let clock = FakeClock::new();
/// let (boot, wall) = (clock.boot(), clock.wall());
/// clock.clone().advance(Duration::from_secs(7));
/// assert_eq!(clock.boot().saturating_since(boot), Duration::from_secs(7));
/// assert_eq!(clock.wall().saturating_duration_since(wall), Duration::from_secs(7));
/// ```
#[derive(Clone, Debug)]
pub struct FakeClock {
    hands: Arc<Mutex<Hands>>,
}

#[derive(Debug)]
struct Hands {
    boot: BootTime,
    wall: Timestamp,
}

impl FakeClock {
    /// A clock of its own.
    #[must_use]
    pub fn new() -> Self {
        Self {
            hands: Arc::new(Mutex::new(Hands {
                boot: BOOT,
                wall: Timestamp::from_unix_micros(WALL).unwrap_or(Timestamp::UNIX_EPOCH),
            })),
        }
    }

    /// Lets time pass: the boot clock and the wall clock move on together.
    pub fn advance(&self, by: Duration) {
        let mut hands = self.hands();
        hands.boot = hands.boot.saturating_add(by);
        hands.wall = hands.wall.checked_add(by).unwrap_or(Timestamp::MAX);
    }

    /// Sets the wall clock alone, as an administrator or a time server does.
    pub fn set_wall(&self, wall: Timestamp) {
        self.hands().wall = wall;
    }

    fn hands(&self) -> MutexGuard<'_, Hands> {
        self.hands.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for FakeClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for FakeClock {
    fn boot(&self) -> BootTime {
        self.hands().boot
    }

    fn wall(&self) -> Timestamp {
        self.hands().wall
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_starts_on_the_day_it_says() {
        assert_eq!(FakeClock::new().wall().to_string(), "2030-01-01T00:00:00Z");
    }

    #[test]
    fn a_jump_of_the_wall_clock_leaves_the_boot_clock_alone() {
        let clock = FakeClock::new();
        let boot = clock.boot();
        clock.set_wall(Timestamp::UNIX_EPOCH);
        assert_eq!(clock.boot(), boot);
        assert_eq!(clock.wall(), Timestamp::UNIX_EPOCH);
    }
}
