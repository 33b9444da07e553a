//! The form of a key by its documentation, with a checksum worked out bit by bit.

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// CRC-32 (ISO-HDLC) without a table.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            let carry = crc & 1 == 1;
            crc >>= 1;
            if carry {
                crc ^= 0xedb8_8320;
            }
        }
    }
    !crc
}

/// The six characters at the end of a key that reads so far.
pub fn checksum(before: &[u8]) -> [u8; 6] {
    let mut rest = crc32(before) as usize;
    let mut digits = [b'0'; 6];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[rest % 62];
        rest /= 62;
    }
    digits
}

/// A key that begins with `names`, as in `acme_live_`, and whose body is made of `seed`.
pub fn key_of(names: &str, seed: &[u8]) -> Vec<u8> {
    let mut key = names.as_bytes().to_vec();
    let body = seed.iter().copied().chain(std::iter::repeat(0)).take(32);
    key.extend(body.map(|byte| DIGITS[usize::from(byte) % 62]));
    let checksum = checksum(&key);
    key.extend(checksum);
    key
}

/// Whether these bytes are a key of this prefix and one of these environments.
pub fn is_key(prefix: &str, environments: &[&str], bytes: &[u8]) -> bool {
    environments.iter().any(|environment| {
        let names = format!("{prefix}_{environment}_");
        let Some(tail) = bytes.strip_prefix(names.as_bytes()) else {
            return false;
        };
        tail.len() == 38
            && tail.iter().all(|byte| DIGITS.contains(byte))
            && bytes.ends_with(&checksum(&bytes[..bytes.len() - 6]))
    })
}

/// Whether these bytes could be sent after `Bearer` (RFC 6750 section 2.1).
pub fn is_bearer_token(bytes: &[u8]) -> bool {
    let end = bytes.iter().rposition(|byte| *byte != b'=');
    let Some(last) = end else { return false };
    let fine = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(byte);
    bytes[..=last].iter().all(fine)
}
