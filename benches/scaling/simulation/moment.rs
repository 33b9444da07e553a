//! Time in the simulation: nanoseconds since it began.

use std::time::Duration;

pub(crate) const MILLISECOND: u64 = 1_000_000;
pub(crate) const SECOND: u64 = 1_000 * MILLISECOND;

pub(crate) fn nanos(seconds: f64) -> u64 {
    let nanos = Duration::from_secs_f64(seconds).as_nanos();
    u64::try_from(nanos).unwrap_or(u64::MAX)
}

pub(crate) fn seconds(nanos: u64) -> f64 {
    Duration::from_nanos(nanos).as_secs_f64()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts stay far below 2^53, from where on floats skip whole numbers"
)]
pub(crate) fn float(count: u64) -> f64 {
    count as f64
}
