//! How long a key is to live, as people write it.

use std::time::Duration;

use crate::excerpt::excerpt;

/// The most digits of a number.
const MOST_DIGITS: usize = 5;

/// How long `text` says that something lives; `None` if it never ends.
///
/// The text is `never`, or a number from 1 to 99999 without leading zeros and one unit: `s` seconds,
/// `m` minutes, `h` hours, `d` days of 24 hours, or `y` years of 365 days.
///
/// # Errors
///
/// The [`InvalidLifetime`] that says what is wrong with any other text.
///
/// ```
/// use std::time::Duration;
/// use portcullis::lifetime::{InvalidLifetime, parse_lifetime};
///
/// assert_eq!(parse_lifetime("90d")?, Some(Duration::from_secs(90 * 24 * 60 * 60)));
/// assert_eq!(parse_lifetime("never")?, None);
/// assert!(matches!(parse_lifetime("90"), Err(InvalidLifetime::Unit { .. })));
/// # Ok::<(), InvalidLifetime>(())
/// ```
pub fn parse_lifetime(text: &str) -> Result<Option<Duration>, InvalidLifetime> {
    if text == "never" {
        return Ok(None);
    }
    let mut digits = text.chars();
    let seconds_per_unit = match digits.next_back() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 60 * 60,
        Some('d') => 24 * 60 * 60,
        Some('y') => 365 * 24 * 60 * 60,
        _ => {
            return Err(InvalidLifetime::Unit {
                value: excerpt(text),
            });
        }
    };
    let number = number(digits.as_str()).ok_or_else(|| InvalidLifetime::Number {
        value: excerpt(text),
    })?;
    Ok(Some(Duration::from_secs(
        u64::from(number) * seconds_per_unit,
    )))
}

/// The number that `digits` spell: `[1-9][0-9]{0,4}`. A sign, which `parse` would take, is no digit.
fn number(digits: &str) -> Option<u32> {
    let plain = digits.len() <= MOST_DIGITS
        && !digits.starts_with('0')
        && digits.bytes().all(|byte| byte.is_ascii_digit());
    if plain { digits.parse().ok() } else { None }
}

/// Why a text is not a lifetime.
///
/// Each variant repeats the offending `value` in printable ASCII, at most 64 characters of it.
///
/// ```
/// use portcullis::lifetime::parse_lifetime;
///
/// let why = parse_lifetime("0d").unwrap_err();
/// assert_eq!(
///     why.to_string(),
///     "`0d` has no valid number; a lifetime has a number from 1 to 99999 without leading zeros, as in `90d`",
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidLifetime {
    /// The text does not end in a unit, and is not `never`.
    #[error(
        "`{value}` has no unit; a lifetime ends in one of `s m h d y`, as in `90d`, or is `never`"
    )]
    Unit {
        /// The offending text.
        value: String,
    },
    /// What stands before the unit is not a number in range.
    #[error(
        "`{value}` has no valid number; a lifetime has a number from 1 to 99999 without leading zeros, as in `90d`"
    )]
    Number {
        /// The offending text.
        value: String,
    },
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::parse_lifetime;

    #[test]
    fn a_lifetime_is_a_number_and_a_unit() {
        let cases = [
            ("a second", "1s", 1),
            ("minutes", "2m", 120),
            ("hours", "3h", 10_800),
            ("days", "90d", 7_776_000),
            ("a year has 365 days", "1y", 31_536_000),
            ("five digits", "99999y", 99_999 * 31_536_000),
            ("zeros after the first digit", "10000s", 10_000),
        ];
        for (sentence, text, seconds) in cases {
            let expected = Ok(Some(Duration::from_secs(seconds)));
            assert_eq!(parse_lifetime(text), expected, "{sentence}");
        }
        assert_eq!(parse_lifetime("never"), Ok(None), "no end");
    }

    #[test]
    fn anything_else_is_refused() {
        let endless = "9".repeat(1 << 20) + "d";
        let cases: &[(&str, &[(&str, &str)])] = &[
            (
                "has no unit",
                &[
                    ("nothing", ""),
                    ("a number alone", "90"),
                    ("an unknown unit", "2w"),
                    ("a unit in another case", "2D"),
                    ("another word", "Never"),
                    ("a space at the end", "2d "),
                    ("a foreign last letter", "2\u{e9}"),
                ],
            ),
            (
                "has no valid number",
                &[
                    ("a unit alone", "d"),
                    ("zero", "0d"),
                    ("a leading zero", "01d"),
                    ("six digits", "100000s"),
                    ("a plus sign", "+1d"),
                    ("a minus sign", "-1d"),
                    ("a fraction", "1.5h"),
                    ("two units", "1h30m"),
                    ("a space inside", "1 d"),
                    ("a foreign digit", "\u{661}d"),
                    ("a megabyte", &endless),
                ],
            ),
        ];
        for (expected, refused) in cases {
            for (sentence, text) in *refused {
                let said = parse_lifetime(text).unwrap_err().to_string();
                assert!(said.contains(expected), "{sentence}: {said}");
                assert!(said.is_ascii() && said.len() < 200, "{sentence}: {said}");
            }
        }
    }
}
