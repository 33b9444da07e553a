//! Making a key.

use thiserror::Error;
use zeroize::Zeroizing;

use super::format::{BODY_BYTES, FRAME_BYTES};
use super::{Environment, KeyDigest, KeyFormat, KeyHint, PlainKey, alphabet, hint};

/// A new key: what its owner gets, and what a store keeps.
#[derive(Debug)]
pub struct GeneratedKey {
    /// The secret, to be shown once.
    pub plain: PlainKey,
    /// What the store recognizes the key by.
    pub digest: KeyDigest,
    /// What people recognize the key by.
    pub hint: KeyHint,
}

/// Why no key was made.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum GenerateError {
    /// The format does not declare this environment, so such a key would be refused everywhere.
    #[error("the environment {:?} is not among those declared for keys", .0.as_str())]
    UnknownEnvironment(Environment),
    /// The operating system's random number generator failed.
    #[error("the operating system's random number generator failed")]
    Generator(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl KeyFormat {
    /// Makes a new key of a declared environment.
    ///
    /// ```
    /// use portcullis::key::KeyFormat;
    ///
    /// let format = KeyFormat::new("acme", ["live", "test"])?;
    /// let key = format.generate(&"test".parse()?)?;
    /// assert!(key.plain.expose().starts_with(key.hint.as_str()));
    /// assert!(key.hint.as_str().starts_with("acme_test_"));
    ///
    /// assert!(format.generate(&"staging".parse()?).is_err());
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn generate(&self, environment: &Environment) -> Result<GeneratedKey, GenerateError> {
        if !self.environments().contains(environment) {
            return Err(GenerateError::UnknownEnvironment(environment.clone()));
        }
        let mut body = Zeroizing::new([0; BODY_BYTES]);
        alphabet::fill_random(body.as_mut_slice())
            .map_err(|error| GenerateError::Generator(error.into()))?;
        Ok(self.assemble(environment, &body))
    }

    fn assemble(&self, environment: &Environment, body: &[u8; BODY_BYTES]) -> GeneratedKey {
        let (prefix, environment) = (self.prefix(), environment.as_str());
        // All the room at once: a text that grows leaves copies of itself behind in memory.
        let room = prefix.len() + environment.len() + FRAME_BYTES;
        let mut text = Zeroizing::new(String::with_capacity(room));
        for part in [prefix, "_", environment, "_"] {
            text.push_str(part);
        }
        let (shown, hidden) = body.split_at(hint::SHOWN);
        text.extend(shown.iter().copied().map(char::from));
        let hint = KeyHint::new(&text);
        text.extend(hidden.iter().copied().map(char::from));
        let checksum = self.checksum.of(text.as_bytes());
        text.extend(checksum.map(char::from));
        debug_assert_eq!(text.len(), room, "the text has not grown");

        let digest = self.digest.digest(text.as_bytes());
        GeneratedKey {
            plain: PlainKey::new(text),
            digest,
            hint,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::error::Error as _;

    use super::*;

    fn format() -> KeyFormat {
        KeyFormat::new("acme", ["live", "test"]).unwrap()
    }

    #[test]
    fn a_key_is_assembled_byte_for_byte() {
        let key = format().assemble(
            &"live".parse().unwrap(),
            b"0123456789ABCDEFGHIJKLMNOPQRSTUV",
        );
        assert_eq!(
            key.plain.expose(),
            "acme_live_0123456789ABCDEFGHIJKLMNOPQRSTUV4IG2In"
        );
        assert_eq!(key.hint.as_str(), "acme_live_0123");
        assert_eq!(key.digest, KeyDigest::of(key.plain.expose().as_bytes()));
    }

    #[test]
    fn every_new_key_parses_in_its_environment_and_no_two_are_alike() {
        let cases: [(&str, &[&str]); 3] = [
            ("acme", &["live", "test", "s"]),
            ("a", &["0"]),
            ("abcdefg", &["hijklmn"]),
        ];
        for (prefix, environments) in cases {
            let format = KeyFormat::new(prefix, environments).unwrap();
            let mut seen = HashSet::new();
            for environment in format.environments() {
                for _ in 0..200 {
                    let key = format.generate(environment).unwrap();
                    let parsed = format.parse(key.plain.expose().as_bytes()).unwrap();
                    assert_eq!(parsed.environment(), environment);
                    assert_eq!(parsed.digest(), key.digest);
                    assert!(KeyHint::from_stored(key.hint.as_str()).is_ok());
                    assert!(key.plain.expose().len() <= 55, "one block of SHA-256");
                    assert!(seen.insert(key.plain.expose().to_owned()));
                }
            }
        }
    }

    #[test]
    fn an_environment_that_is_not_declared_gets_no_keys() {
        let error = format().generate(&"staging".parse().unwrap()).unwrap_err();
        assert_eq!(
            error.to_string(),
            r#"the environment "staging" is not among those declared for keys"#
        );
    }

    #[test]
    fn a_failing_generator_is_named_with_its_cause() {
        let error = GenerateError::Generator("no entropy".into());
        assert_eq!(
            error.to_string(),
            "the operating system's random number generator failed"
        );
        assert_eq!(error.source().unwrap().to_string(), "no entropy");
    }

    #[test]
    fn debug_shows_the_hint_and_nothing_else_of_the_key() {
        let key = format().assemble(
            &"live".parse().unwrap(),
            b"0123456789ABCDEFGHIJKLMNOPQRSTUV",
        );
        assert_eq!(
            format!("{key:?}"),
            "GeneratedKey { plain: PlainKey(redacted), digest: KeyDigest(redacted), \
             hint: KeyHint(\"acme_live_0123\") }"
        );
    }
}
