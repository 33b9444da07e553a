//! A moment as the store keeps it and the outside writes it.

mod rfc3339;

use std::{fmt, str::FromStr, time::Duration};

use time::OffsetDateTime;

pub use rfc3339::InvalidTimestamp;

/// A moment in UTC, to the microsecond, in the years 0000 to 9999.
///
/// It is a wall-clock time and counts no leap seconds. It prints as RFC 3339 in UTC with `Z`, with a
/// fraction only when there is one.
///
/// ```
/// use portcullis::timestamp::{InvalidTimestamp, Timestamp};
///
/// let noon = Timestamp::parse("2030-06-01T14:00:00.250+02:00")?;
/// assert_eq!(noon.to_string(), "2030-06-01T12:00:00.25Z");
/// assert_eq!(noon.unix_micros(), 1_906_545_600_250_000);
/// # Ok::<(), InvalidTimestamp>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// 1970-01-01T00:00:00Z.
    pub const UNIX_EPOCH: Self = Self(0);

    /// The first moment, the start of the year 0000.
    pub const MIN: Self = Self(-62_167_219_200_000_000);

    /// The last moment, a microsecond before the end of the year 9999.
    pub const MAX: Self = Self(253_402_300_799_999_999);

    /// The moment so many microseconds after the Unix epoch, or before it if negative.
    ///
    /// `None` outside the years 0000 to 9999, which RFC 3339 could not write.
    ///
    /// ```
    /// use portcullis::timestamp::Timestamp;
    ///
    /// let epoch = Timestamp::from_unix_micros(0).unwrap();
    /// assert_eq!(epoch.to_string(), "1970-01-01T00:00:00Z");
    /// assert_eq!(Timestamp::from_unix_micros(i64::MAX), None);
    /// ```
    #[must_use]
    pub const fn from_unix_micros(micros: i64) -> Option<Self> {
        if Self::MIN.0 <= micros && micros <= Self::MAX.0 {
            Some(Self(micros))
        } else {
            None
        }
    }

    /// Microseconds since the Unix epoch; negative before it.
    #[must_use]
    pub const fn unix_micros(self) -> i64 {
        self.0
    }

    /// The moment that `text` names in RFC 3339, with any offset.
    ///
    /// Digits beyond the microsecond are dropped, so that an expiry may come a microsecond early but
    /// never late.
    ///
    /// # Errors
    ///
    /// The [`InvalidTimestamp`] that says what is wrong.
    ///
    /// ```
    /// use portcullis::timestamp::{InvalidTimestamp, Timestamp};
    ///
    /// let moment = Timestamp::parse("2030-01-01T00:00:00.123456789Z")?;
    /// assert_eq!(moment, Timestamp::parse("2030-01-01T05:30:00.123456+05:30")?);
    /// let leap = Timestamp::parse("2016-12-31T23:59:60Z");
    /// assert!(matches!(leap, Err(InvalidTimestamp::LeapSecond { .. })));
    /// # Ok::<(), InvalidTimestamp>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, InvalidTimestamp> {
        rfc3339::parse(text)
    }

    /// The moment `later` than this one, what is below a microsecond dropped. `None` past the year
    /// 9999.
    ///
    /// ```
    /// use std::time::Duration;
    /// use portcullis::timestamp::Timestamp;
    ///
    /// let epoch = Timestamp::from_unix_micros(0).unwrap();
    /// let soon = epoch.checked_add(Duration::from_secs(90)).unwrap();
    /// assert_eq!(soon.to_string(), "1970-01-01T00:01:30Z");
    /// assert_eq!(epoch.checked_add(Duration::MAX), None);
    /// ```
    #[must_use]
    pub fn checked_add(self, later: Duration) -> Option<Self> {
        let later = i64::try_from(later.as_micros()).ok()?;
        self.0.checked_add(later).and_then(Self::from_unix_micros)
    }

    /// The moment this much earlier; `None` before the year 0.
    ///
    /// ```
    /// use std::time::Duration;
    /// use portcullis::timestamp::Timestamp;
    ///
    /// let later = Timestamp::from_unix_micros(5).unwrap();
    /// assert_eq!(later.checked_sub(Duration::from_micros(5)), Some(Timestamp::UNIX_EPOCH));
    /// assert_eq!(Timestamp::MIN.checked_sub(Duration::from_micros(1)), None);
    /// ```
    #[must_use]
    pub fn checked_sub(self, earlier: Duration) -> Option<Self> {
        let earlier = i64::try_from(earlier.as_micros()).ok()?;
        self.0.checked_sub(earlier).and_then(Self::from_unix_micros)
    }

    /// How long after `earlier` this moment comes; zero if it does not come after it.
    ///
    /// ```
    /// use std::time::Duration;
    /// use portcullis::timestamp::Timestamp;
    ///
    /// let (first, last) = (Timestamp::MIN, Timestamp::MAX);
    /// assert_eq!(first.saturating_duration_since(last), Duration::ZERO);
    /// assert!(last.saturating_duration_since(first) > Duration::from_secs(9999 * 365 * 86_400));
    /// ```
    #[must_use]
    pub fn saturating_duration_since(self, earlier: Self) -> Duration {
        // The whole range is below 2^60 microseconds, so the difference cannot overflow.
        Duration::from_micros(u64::try_from(self.0 - earlier.0).unwrap_or(0))
    }
}

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    fn from_str(text: &str) -> Result<Self, InvalidTimestamp> {
        Self::parse(text)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let utc = OffsetDateTime::UNIX_EPOCH.saturating_add(time::Duration::microseconds(self.0));
        let (date, (hour, minute, second, micros)) = (utc.date(), utc.time().as_hms_micro());
        let (year, month, day) = (date.year(), u8::from(date.month()), date.day());
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}"
        )?;
        if micros != 0 {
            write!(f, ".{}", format!("{micros:06}").trim_end_matches('0'))?;
        }
        f.write_str("Z")
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Timestamp({self})")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Timestamp;

    #[test]
    fn a_time_is_read_with_any_offset_and_printed_in_utc() {
        let cases = [
            ("the epoch", "1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"),
            (
                "letters of the other case",
                "2030-01-02t03:04:05z",
                "2030-01-02T03:04:05Z",
            ),
            (
                "ahead of UTC",
                "2030-01-01T00:30:00+01:00",
                "2029-12-31T23:30:00Z",
            ),
            (
                "behind UTC",
                "2029-12-31T18:30:00-05:30",
                "2030-01-01T00:00:00Z",
            ),
            (
                "an unknown offset is UTC",
                "2030-01-01T00:00:00-00:00",
                "2030-01-01T00:00:00Z",
            ),
            (
                "the largest offset",
                "2030-01-01T23:59:00+23:59",
                "2030-01-01T00:00:00Z",
            ),
            ("a leap day", "2028-02-29T00:00:00Z", "2028-02-29T00:00:00Z"),
            (
                "a fraction of one digit",
                "2030-01-01T00:00:00.5Z",
                "2030-01-01T00:00:00.5Z",
            ),
            (
                "zeros at the end go",
                "2030-01-01T00:00:00.120000Z",
                "2030-01-01T00:00:00.12Z",
            ),
            (
                "a fraction of nothing goes",
                "2030-01-01T00:00:00.000Z",
                "2030-01-01T00:00:00Z",
            ),
            (
                "zeros in front stay",
                "2030-01-01T00:00:00.000001Z",
                "2030-01-01T00:00:00.000001Z",
            ),
            (
                "nanoseconds go",
                "2030-01-01T00:00:00.123456999Z",
                "2030-01-01T00:00:00.123456Z",
            ),
            (
                "also before the epoch",
                "1969-12-31T23:59:59.9999999Z",
                "1969-12-31T23:59:59.999999Z",
            ),
            (
                "the first moment",
                "0000-01-01T00:00:00Z",
                "0000-01-01T00:00:00Z",
            ),
            (
                "the last moment",
                "9999-12-31T23:59:59.999999999Z",
                "9999-12-31T23:59:59.999999Z",
            ),
            (
                "the last moment elsewhere",
                "9999-12-31T22:59:59-01:00",
                "9999-12-31T23:59:59Z",
            ),
        ];
        for (sentence, text, printed) in cases {
            let moment = Timestamp::parse(text).expect(sentence);
            assert_eq!(moment.to_string(), printed, "{sentence}");
            assert_eq!(
                format!("{moment:?}"),
                format!("Timestamp({printed})"),
                "{sentence}"
            );
            assert_eq!(printed.parse(), Ok(moment), "{sentence}");
            assert_eq!(
                Timestamp::from_unix_micros(moment.unix_micros()),
                Some(moment),
                "{sentence}"
            );
        }
        assert_eq!(Timestamp::MIN.to_string(), "0000-01-01T00:00:00Z");
        assert_eq!(Timestamp::MAX.to_string(), "9999-12-31T23:59:59.999999Z");
    }

    #[test]
    fn adding_stops_at_the_last_moment_and_differences_at_zero() {
        let micro = Duration::from_micros(1);
        let almost = Timestamp::from_unix_micros(Timestamp::MAX.unix_micros() - 1).unwrap();
        let cases = [
            ("nothing", almost, Duration::ZERO, Some(almost)),
            (
                "below a microsecond",
                almost,
                Duration::from_nanos(999),
                Some(almost),
            ),
            ("to the last moment", almost, micro, Some(Timestamp::MAX)),
            ("past the last moment", Timestamp::MAX, micro, None),
            (
                "more than can be counted",
                Timestamp::MIN,
                Duration::MAX,
                None,
            ),
        ];
        for (sentence, start, later, expected) in cases {
            assert_eq!(start.checked_add(later), expected, "{sentence}");
        }
        assert_eq!(Timestamp::MAX.saturating_duration_since(almost), micro);
        assert_eq!(
            almost.saturating_duration_since(Timestamp::MAX),
            Duration::ZERO
        );
        assert_eq!(
            Timestamp::from_unix_micros(Timestamp::MIN.unix_micros() - 1),
            None
        );
        assert_eq!(
            Timestamp::from_unix_micros(Timestamp::MAX.unix_micros() + 1),
            None
        );
    }
}
