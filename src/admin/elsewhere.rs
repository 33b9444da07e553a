//! A key whose secret was made elsewhere: what is taken of it is a digest and a hint.

use super::fields::Fields;
use crate::key::{Environment, KeyDigest, KeyHint, NotAHint};
use crate::keyring::{Keyring, MadeElsewhere};

const DIGEST: &str = "digest";
const HINT: &str = "hint";

/// The fields, for the list of those that are known.
pub(super) const FIELDS: [&str; 2] = [DIGEST, HINT];

/// The fields `digest` and `hint`, both or neither, and the environment that the hint is of: the
/// one that is asked for or, if none is, whichever has keys that begin like this.
pub(super) fn elsewhere(
    fields: &mut Fields<'_>,
    keyring: &Keyring,
    environment: Option<&Environment>,
) -> Option<(MadeElsewhere, Environment)> {
    match (fields.has(DIGEST), fields.has(HINT)) {
        (false, false) => return None,
        (true, false) => fields.require(HINT),
        (false, true) => fields.require(DIGEST),
        (true, true) => {}
    }
    let given = fields.has(DIGEST);
    let digest = fields.text(DIGEST, digest);
    if given && keyring.format().digests_take_a_secret() {
        // Whoever could make it has the pepper, and that is for the application alone.
        let why = "cannot be taken here: digests are made with a secret of this deployment";
        fields.wrong(DIGEST, why);
    }
    let hint = fields.text(HINT, |text| hint(text, keyring, environment));
    let (digest, (hint, environment)) = digest.zip(hint)?;
    Some((MadeElsewhere { digest, hint }, environment))
}

/// Notes what is missing where a key can be made in no other way.
pub(super) fn require(fields: &mut Fields<'_>) {
    fields.require(DIGEST);
    fields.require(HINT);
}

fn hint(
    text: &str,
    keyring: &Keyring,
    environment: Option<&Environment>,
) -> Result<(KeyHint, Environment), NotAHint> {
    let format = keyring.format();
    let of = |environment: &Environment| {
        let hint = format.imported_hint(text, environment)?;
        Ok((hint, environment.clone()))
    };
    match environment {
        Some(environment) => of(environment),
        None => {
            let mut all = format.environments().iter();
            let found = all.find_map(|environment| of(environment).ok());
            found.map_or_else(|| of(format.default_environment()), Ok)
        }
    }
}

/// 64 hexadecimal digits. One spelling, so that one digest is not told for two.
fn digest(text: &str) -> Result<KeyDigest, &'static str> {
    const WRONG: &str = "must be 64 digits of 0-9a-f";
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else {
        return Err(WRONG);
    };
    let bytes = pairs
        .iter()
        .map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?));
    let bytes: Option<Vec<u8>> = bytes.collect();
    let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
    bytes.map(KeyDigest::from_bytes).ok_or(WRONG)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_has_one_spelling() {
        let hex = "83c04433ba215d4f160f55bbcef021857d8950f7015dad30f2cbad0eed3674ec";
        let read = digest(hex).unwrap();
        assert_eq!(
            read,
            KeyDigest::of(b"acme_live_0123456789ABCDEFGHIJKLMNOPQRSTUV4IG2In")
        );
        let others = [
            String::new(),
            hex[1..].to_owned(),
            hex[2..].to_owned(),
            format!("{hex}0"),
            format!("{hex}00"),
            hex.to_uppercase(),
            hex.replace('8', "g"),
            hex.replace("83", "ü"),
            format!(" {}", &hex[1..]),
            "f".repeat(1 << 20),
        ];
        for other in others {
            assert!(digest(&other).is_err(), "{other:.80}");
        }
    }
}
