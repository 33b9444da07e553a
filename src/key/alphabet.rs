//! The 62 characters that bodies, checksums and ids are written in, and how to draw them at random.

use zeroize::Zeroizing;

/// The digits of base62, in order of their value.
pub(super) const BASE62: &[u8; 62] =
    b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Bytes at or above this are thrown away when drawing: 248 is the largest multiple of 62 that
/// fits a byte, and taking the rest modulo 62 would make the first eight characters likelier.
const FAIR: u8 = 248;

/// For every byte whether it is a digit of base62. A look-up costs the same for every byte, and a
/// key is 38 of them on the hot path.
const IS_BASE62: [bool; 256] = {
    let mut table = [false; 256];
    let mut digit = 0;
    while digit < BASE62.len() {
        table[BASE62[digit] as usize] = true;
        digit += 1;
    }
    table
};

/// Whether all `bytes` are digits of base62.
pub(super) fn is_base62(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| IS_BASE62[usize::from(byte)])
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
