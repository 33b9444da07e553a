//! The 62 characters that bodies, checksums and ids are written in, and how to draw them at random.

use zeroize::Zeroizing;

/// The digits of base62, in order of their value.
pub(super) const BASE62: &[u8; 62] =
    b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Bytes at or above this are thrown away when drawing: 248 is the largest multiple of 62 that
/// fits a byte, and taking the rest modulo 62 would make the first eight characters likelier.
const FAIR: u8 = 248;

/// What [`VALUES`] has for bytes that are no digits.
const NO_DIGIT: u8 = u8::MAX;

/// For every byte its value as a digit of base62.
const VALUES: [u8; 256] = {
    let mut table = [NO_DIGIT; 256];
    let mut value = 0;
    while value < 62 {
        table[BASE62[value as usize] as usize] = value;
        value += 1;
    }
    table
};

/// Whether all `bytes` are digits of base62.
pub(super) fn is_base62(bytes: &[u8]) -> bool {
    // Without an early end, which lets the compiler look at many bytes at a time.
    bytes
        .iter()
        .fold(true, |all, byte| all & byte.is_ascii_alphanumeric())
}

fn value(byte: u8) -> u8 {
    VALUES[usize::from(byte)]
}

/// The last `N` digits of `number`, most significant first, padded with `0`.
pub(super) fn digits<const N: usize>(number: u32) -> [u8; N] {
    let mut rest = number;
    let mut digits = [b'0'; N];
    for digit in digits.iter_mut().rev() {
        *digit = BASE62[(rest % 62) as usize];
        rest /= 62;
    }
    digits
}

/// The number that five digits stand for, the inverse of [`digits`]; `None` if one is no digit.
pub(super) fn number(digits: [u8; 5]) -> Option<u32> {
    digits
        .into_iter()
        .try_fold(0, |number, digit| match value(digit) {
            NO_DIGIT => None,
            value => Some(62 * number + u32::from(value)),
        })
}

/// Fills `out` with uniformly random digits of base62 from the operating system's generator.
///
/// On an error `out` holds a part of a secret or nothing; it must not be used.
pub(super) fn fill_random(out: &mut [u8]) -> Result<(), getrandom::Error> {
    fill_from(out, getrandom::fill)
}

fn fill_from<E>(
    out: &mut [u8],
    mut source: impl FnMut(&mut [u8]) -> Result<(), E>,
) -> Result<(), E> {
    // 31 bytes in 32 are fair, so that one draw nearly always fills a body of 32 characters.
    let mut drawn = Zeroizing::new([0_u8; 48]);
    let mut left = out.iter_mut();
    while left.len() > 0 {
        source(drawn.as_mut_slice())?;
        let fair = drawn.iter().filter(|&&byte| byte < FAIR);
        // The slots come second: `zip` then ends without taking a slot that it cannot fill.
        for (&byte, slot) in fair.zip(left.by_ref()) {
            *slot = BASE62[usize::from(byte % 62)];
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    #[test]
    fn the_table_agrees_with_the_ascii_classes() {
        for byte in 0..=u8::MAX {
            assert_eq!(
                is_base62(&[byte]),
                byte.is_ascii_alphanumeric(),
                "{byte:#04x}"
            );
        }
    }

    #[test]
    fn digits_are_in_the_order_of_their_value() {
        assert!(BASE62.is_sorted());
        assert_eq!(
            (BASE62[0], BASE62[10], BASE62[36], BASE62[61]),
            (b'0', b'A', b'a', b'z')
        );
    }

    #[test]
    fn five_digits_are_a_number_and_back() {
        let cases = [
            (*b"00000", 0),
            (*b"0000z", 61),
            (*b"00010", 62),
            (*b"10000", 62_u32.pow(4)),
            (*b"zzzzz", 62_u32.pow(5) - 1),
        ];
        for (written, value) in cases {
            assert_eq!(number(written), Some(value));
            assert_eq!(digits(value), written);
        }
        for foreign in [*b"-0000", *b"0000_", *b"00\xff00"] {
            assert_eq!(number(foreign), None);
        }
    }

    #[test]
    fn one_foreign_byte_anywhere_spoils_the_whole() {
        for position in 0..38 {
            let mut bytes = [b'a'; 38];
            assert!(is_base62(&bytes));
            bytes[position] = b'-';
            assert!(!is_base62(&bytes), "at {position}");
        }
    }

    #[test]
    fn every_digit_is_equally_likely() {
        // A source that counts through all bytes twice: 248 of 256 are used, four for a digit.
        let mut next = 0_u8;
        let mut out = [0_u8; 2 * 248];
        fill_from(&mut out, |drawn| {
            for byte in drawn {
                *byte = next;
                next = next.wrapping_add(1);
            }
            Ok::<_, Infallible>(())
        })
        .unwrap();
        out.sort_unstable();
        let (eights, _) = out.as_chunks::<8>();
        assert!(
            eights
                .iter()
                .zip(BASE62)
                .all(|(eight, &digit)| *eight == [digit; 8])
        );
    }

    #[test]
    fn unfair_bytes_are_drawn_again() {
        let mut draws = 0;
        let mut out = [0_u8; 3];
        fill_from(&mut out, |drawn| {
            drawn.fill(248);
            // The first draw has nothing fair, the second two bytes, the third more than enough.
            match draws {
                0 => {}
                1 => drawn[..2].copy_from_slice(&[61, 247]),
                _ => drawn.fill(0),
            }
            draws += 1;
            Ok::<_, Infallible>(())
        })
        .unwrap();
        assert_eq!((&out, draws), (b"zz0", 3));
    }

    #[test]
    fn a_failing_source_fails_the_whole() {
        assert_eq!(
            fill_from(&mut [0; 4], |_| Err("no entropy")),
            Err("no entropy")
        );
    }

    #[test]
    fn the_operating_system_gives_digits_only() {
        let mut out = [0_u8; 4096];
        fill_random(&mut out).unwrap();
        assert!(is_base62(&out));
        assert!(BASE62.iter().all(|digit| out.contains(digit)));
    }
}
