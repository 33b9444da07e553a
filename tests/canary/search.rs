//! Finds secrets, however they are written.
//!
//! What has the form of a key is found without being known: a key that nobody has told of leaks no
//! less. Only digests, parts of keys and other secrets have to be known, and of digests it does not
//! matter whether that is before or after they were read.

use std::collections::HashSet;

use sha2::{Digest as _, Sha256};

use super::written;

/// What follows the environment of a key: its body and its checksum.
const TAIL: usize = 38;

/// As many characters of the body are in the hint, which is no secret.
const HINT: usize = 4;

/// A part of a key that is found by itself.
const PART: usize = 8;

type Part = [u8; PART];
type Digest = [u8; 32];

/// As many digests that could be anybody's are remembered.
const UNEXPLAINED: usize = 100_000;

#[derive(Default)]
pub(crate) struct Search {
    parts: HashSet<Part>,
    /// Secrets that do not have the form of a key.
    others: HashSet<String>,
    digests: HashSet<Digest>,
    /// What has the length of a digest, and may turn out to be one.
    unexplained: HashSet<Digest>,
}

impl Search {
    /// From here on this secret is looked for. What is wrong with what was read before, if anything.
    pub(crate) fn know(&mut self, secret: &str) -> Option<&'static str> {
        match keys(secret.as_bytes()).next() {
            Some(key) if key.end == secret.len() => {
                let parts = secret.as_bytes()[key.tail + HINT..].windows(PART);
                let parts = parts.filter_map(|part| part.try_into().ok());
                self.parts
                    .extend(parts.filter(|part: &Part| is_random(*part)));
            }
            // What tests present in the place of a secret is short at times, and a word.
            _ if secret.len() < 16 => return None,
            _ => {
                self.others.insert(secret.to_owned());
            }
        }
        let digest: Digest = Sha256::digest(secret).into();
        self.digests.insert(digest);
        let was_read = self.unexplained.remove(&digest);
        was_read.then_some("the digest of a key that was made later")
    }

    /// Which form of which secret is in it.
    pub(crate) fn find(&mut self, text: &[u8]) -> Option<&'static str> {
        self.keys_in(text).or_else(|| {
            let digest = written::bytes_in(text).find(|bytes| self.has_digest(bytes));
            digest.map(|_| "the digest of a key")
        })
    }

    /// The same where digests have to be: in a database.
    pub(crate) fn keys_in(&self, text: &[u8]) -> Option<&'static str> {
        let plain = |text: &[u8]| {
            if keys(text).next().is_some() {
                return Some("a key");
            }
            if self.has_part(text) {
                return Some("a part of a key");
            }
            self.has_other(text).then_some("a secret")
        };
        let encoded = || written::bytes_in(text).find_map(|bytes| plain(&bytes));
        let escaped = || written::percent_decoded(text).and_then(|text| plain(&text));
        plain(text).or_else(encoded).or_else(escaped)
    }

    fn has_part(&self, text: &[u8]) -> bool {
        let words = text.split(|byte| !byte.is_ascii_alphanumeric());
        // Words of a language are no part of a key, and nearly all that there is in a log.
        let words = words.filter(|word| !word.iter().all(u8::is_ascii_lowercase));
        let mut parts = words.flat_map(|word| word.windows(PART));
        parts.any(|part| self.parts.contains(part))
    }

    fn has_other(&self, text: &[u8]) -> bool {
        let text = String::from_utf8_lossy(text);
        self.others.iter().any(|other| text.contains(other))
    }

    fn has_digest(&mut self, bytes: &[u8]) -> bool {
        // What is longer is something else, in which there may be one.
        let is_one = bytes.len() <= 36 && self.unexplained.len() < UNEXPLAINED;
        for window in bytes.windows(32) {
            if self.digests.contains(window) {
                return true;
            }
            if is_one && let Ok(digest) = window.try_into() {
                self.unexplained.insert(digest);
            }
        }
        false
    }
}

/// Where a key is in a text: from where to where, and where its tail begins.
struct Key {
    tail: usize,
    end: usize,
}

/// Everything of the form `{prefix}_{environment}_{tail}`, whatever its checksum: a key with a typo
/// tells nearly as much.
fn keys(text: &[u8]) -> impl Iterator<Item = Key> {
    let mut end = 0;
    let words = text.split(|byte| !byte.is_ascii_alphanumeric());
    let words = words.map(move |word| {
        let start = end;
        end = start + word.len() + 1;
        (start, word)
    });
    words.filter_map(|(tail, word)| {
        if word.len() < TAIL {
            return None;
        }
        let mut names = text[..tail].strip_suffix(b"_")?.rsplitn(2, |&b| b == b'_');
        let is_name = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let environment = names.next()?;
        let has_prefix = names.next()?.last().is_some_and(is_name);
        let is_key = has_prefix && !environment.is_empty() && environment.iter().all(is_name);
        is_key.then_some(Key {
            tail,
            end: tail + word.len(),
        })
    })
}

/// Keys that a test spells out, such as one of zeros, are made of what is elsewhere, too.
fn is_random(part: Part) -> bool {
    let different: HashSet<&u8> = part.iter().collect();
    let in_order = part.windows(2).filter(|two| two[1] == two[0] + 1).count();
    different.len() > PART / 2 && in_order < PART / 2
}
