//! Reading a moment as RFC 3339 writes it.

use time::{Date, Month, Time};

use super::Timestamp;
use crate::excerpt::excerpt;

/// The longest text that is looked at, in bytes. The longest valid one has 35.
const LONGEST: usize = 64;

/// The most digits that a fraction may have.
const MOST_FRACTION_DIGITS: usize = 9;

/// Why a text is not a moment that can be kept.
///
/// Each variant repeats the offending `value` in printable ASCII, at most 64 characters of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidTimestamp {
    /// The text is not RFC 3339, or names a day or time of day that does not exist.
    #[error("`{value}` is not an RFC 3339 time, as in `2030-01-31T12:00:00Z`")]
    NotRfc3339 {
        /// The offending text.
        value: String,
    },
    /// The text is longer than any time, and was not looked at.
    #[error(
        "the time that begins `{value}` is too long; an RFC 3339 time has at most 35 characters"
    )]
    TooLong {
        /// How the offending text begins.
        value: String,
    },
    /// The second is 60, which a count of seconds since the epoch cannot tell from the next one.
    #[error("`{value}` is a leap second; use second 59, or the minute after")]
    LeapSecond {
        /// The offending text.
        value: String,
    },
    /// There are more than 9 digits after the point.
    #[error("`{value}` has more than 9 fraction digits; times are kept to the microsecond")]
    TooPrecise {
        /// The offending text.
        value: String,
    },
    /// In UTC the year is before 0000 or after 9999.
    #[error("`{value}` is not within the years 0000 to 9999 in UTC")]
    YearOutOfRange {
        /// The offending text.
        value: String,
    },
}

/// The moment that `text` names.
pub(super) fn parse(text: &str) -> Result<Timestamp, InvalidTimestamp> {
    read(text).map_err(|wrong| wrong(excerpt(text)))
}

/// The moment that `text` names, or the error that lacks only the value.
fn read(text: &str) -> Result<Timestamp, fn(String) -> InvalidTimestamp> {
    use InvalidTimestamp as Wrong;

    if text.len() > LONGEST {
        return Err(|value| Wrong::TooLong { value });
    }
    let not_rfc3339: fn(String) -> Wrong = |value| Wrong::NotRfc3339 { value };
    let written = Written::read(text).ok_or(not_rfc3339)?;
    if written.second == 60 {
        return Err(|value| Wrong::LeapSecond { value });
    }
    if written.fraction.len() > MOST_FRACTION_DIGITS {
        return Err(|value| Wrong::TooPrecise { value });
    }
    let micros = written.unix_micros().ok_or(not_rfc3339)?;
    Timestamp::from_unix_micros(micros).ok_or(|value| Wrong::YearOutOfRange { value })
}

/// A time with the fields as they are written. They are digits in the right places, and nothing
/// else is known of them, except that the offset exists.
struct Written<'a> {
    year: u16,
    month: u8,
    day: u8,
    hour: u8,
    minute: u8,
    second: u8,
    fraction: &'a str,
    /// How far the written time is ahead of UTC.
    offset_minutes: i64,
}

impl<'a> Written<'a> {
    /// Takes the grammar of RFC 3339 apart; its letters may be of either case.
    fn read(text: &'a str) -> Option<Self> {
        let (year, text) = digits(text, 4)?;
        let (month, text) = digits(text.strip_prefix('-')?, 2)?;
        let (day, text) = digits(text.strip_prefix('-')?, 2)?;
        let (hour, text) = digits(text.strip_prefix(['T', 't'])?, 2)?;
        let (minute, text) = digits(text.strip_prefix(':')?, 2)?;
        let (second, text) = digits(text.strip_prefix(':')?, 2)?;
        let (fraction, offset) = match text.strip_prefix('.') {
            Some(text) => {
                let end = text.find(|character: char| !character.is_ascii_digit())?;
                if end == 0 {
                    return None;
                }
                text.split_at(end)
            }
            None => ("", text),
        };
        Some(Self {
            year,
            month: month.try_into().ok()?,
            day: day.try_into().ok()?,
            hour: hour.try_into().ok()?,
            minute: minute.try_into().ok()?,
            second: second.try_into().ok()?,
            fraction,
            offset_minutes: offset_minutes(offset)?,
        })
    }

    /// The microseconds since the Unix epoch, or `None` if the day or time of day does not exist.
    fn unix_micros(&self) -> Option<i64> {
        let month = Month::try_from(self.month).ok()?;
        let date = Date::from_calendar_date(self.year.into(), month, self.day).ok()?;
        let time = Time::from_hms(self.hour, self.minute, self.second).ok()?;
        let seconds = date.with_time(time).assume_utc().unix_timestamp() - self.offset_minutes * 60;
        let fraction = self.fraction.bytes().chain(std::iter::repeat(b'0')).take(6);
        let micros = fraction.fold(0, |micros, digit| micros * 10 + i64::from(digit - b'0'));
        Some(seconds * 1_000_000 + micros)
    }
}

/// The number that the first `count` characters of `text` spell, and what follows them.
fn digits(text: &str, count: usize) -> Option<(u16, &str)> {
    let (digits, rest) = text.split_at_checked(count)?;
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    if plain {
        Some((digits.parse().ok()?, rest))
    } else {
        None
    }
}

/// How many minutes a written offset is ahead of UTC.
fn offset_minutes(text: &str) -> Option<i64> {
    if matches!(text, "Z" | "z") {
        return Some(0);
    }
    let (hours, rest) = digits(text.strip_prefix(['+', '-'])?, 2)?;
    let (minutes, rest) = digits(rest.strip_prefix(':')?, 2)?;
    if hours > 23 || minutes > 59 || !rest.is_empty() {
        return None;
    }
    let ahead = i64::from(hours) * 60 + i64::from(minutes);
    Some(if text.starts_with('-') { -ahead } else { ahead })
}

#[cfg(test)]
mod tests {
    use super::{InvalidTimestamp, Timestamp};

    #[test]
    fn anything_else_is_refused_by_its_name() {
        let digits = |count| format!("2030-01-01T00:00:00.{}Z", "1".repeat(count));
        let (nine, ten, long) = (digits(9), digits(10), digits(64));
        assert!(Timestamp::parse(&nine).is_ok(), "nine digits are read");
        let cases: &[(&str, &[(&str, &str)])] = &[
            (
                "leap second",
                &[
                    ("a leap second", "2016-12-31T23:59:60Z"),
                    ("a leap second elsewhere", "2017-01-01T00:59:60.5+01:00"),
                ],
            ),
            (
                "more than 9 fraction digits",
                &[("ten fraction digits", &ten)],
            ),
            ("too long", &[("more than 64 bytes", &long)]),
            (
                "the years 0000 to 9999",
                &[
                    ("past the year 9999 in UTC", "9999-12-31T23:59:59-00:01"),
                    ("before the year 0000 in UTC", "0000-01-01T00:00:00+00:01"),
                ],
            ),
            (
                "not an RFC 3339",
                &[
                    ("nothing", ""),
                    ("a date alone", "2030-01-01"),
                    ("no offset", "2030-01-01T00:00:00"),
                    ("no offset after a fraction", "2030-01-01T00:00:00.5"),
                    ("no seconds", "2030-01-01T00:00Z"),
                    ("a point without digits", "2030-01-01T00:00:00.Z"),
                    ("a comma for the point", "2030-01-01T00:00:00,5Z"),
                    ("a space for the T", "2030-01-01 00:00:00Z"),
                    ("a year of five digits", "10000-01-01T00:00:00Z"),
                    ("a signed year", "+2030-01-01T00:00:00Z"),
                    ("a sign for a digit", "2030-+1-01T00:00:00Z"),
                    ("month 13", "2030-13-01T00:00:00Z"),
                    ("month 0", "2030-00-01T00:00:00Z"),
                    ("the 29th of February", "2030-02-29T00:00:00Z"),
                    ("hour 24", "2030-01-01T24:00:00Z"),
                    ("minute 60", "2030-01-01T00:60:00Z"),
                    ("second 61", "2030-01-01T00:00:61Z"),
                    ("offset hour 24", "2030-01-01T00:00:00+24:00"),
                    ("offset minute 60", "2030-01-01T00:00:00+01:60"),
                    ("an offset without colon", "2030-01-01T00:00:00+0100"),
                    ("something after the end", "2030-01-01T00:00:00Z "),
                    ("a foreign digit", "203\u{660}-01-01T00:00:00Z"),
                ],
            ),
        ];
        for (expected, refused) in cases {
            for (sentence, text) in *refused {
                let said = Timestamp::parse(text).unwrap_err().to_string();
                assert!(said.contains(expected), "{sentence}: {said}");
                assert!(said.is_ascii(), "{sentence}: {said}");
            }
        }
    }

    #[test]
    fn damaged_times_are_refused_or_read_but_never_panic() {
        let seeds = [
            "2030-01-31T12:34:56.789012345+05:30",
            "9999-12-31T23:59:59Z",
            "0000-01-01T00:00:00Z",
        ];
        let pool: Vec<char> = "0123456789-+:.TtZz \0é\u{660}\u{1f600}".chars().collect();
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut below = |bound: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state >> 33).unwrap() % bound
        };
        let (mut read, mut refused) = (0, 0);
        for round in 0..60_000 {
            let mut text: Vec<char> = seeds[round % seeds.len()].chars().collect();
            for _ in 0..=below(3) {
                let (at, character) = (below(text.len()), pool[below(pool.len())]);
                match below(4) {
                    0 => text.insert(at, character),
                    1 if text.len() > 1 => drop(text.remove(at)),
                    _ => text[at] = character,
                }
            }
            let text: String = text.into_iter().collect();
            match Timestamp::parse(&text) {
                Ok(moment) => {
                    read += 1;
                    assert_eq!(
                        Timestamp::parse(&moment.to_string()),
                        Ok(moment),
                        "{text:?}"
                    );
                }
                Err(why) => {
                    refused += 1;
                    assert!(!matches!(why, InvalidTimestamp::TooLong { .. }), "{text:?}");
                }
            }
        }
        assert!(
            read > 1_000 && refused > 1_000,
            "{read} read, {refused} refused"
        );
    }
}
