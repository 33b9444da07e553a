//! A key as a store keeps it, without its secret.

use std::fmt;
use std::sync::Arc;

use serde_json::value::RawValue;

use crate::key::{Environment, KeyHint, KeyId};
use crate::scope::ScopeSet;
use crate::timestamp::Timestamp;

/// A key's row. Everything in it may be shown to its owner; the secret is not in it, nor is the
/// digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRecord {
    /// Stable for the life of the key, whatever happens to its secret.
    pub id: KeyId,
    /// What a person calls it.
    pub name: KeyName,
    /// Whose key it is. Keys are visible to their owner only.
    pub owner: Owner,
    /// The environment that is spelled out in the key.
    pub environment: Environment,
    /// The beginning of the secret, by which people recognise it.
    pub hint: KeyHint,
    /// What it grants.
    pub scopes: ScopeSet,
    /// A disabled key is dead until it is enabled again.
    pub enabled: bool,
    /// When it was made, by the store's clock.
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: Provenance,
    /// From this moment on it is dead; `None` is never.
    pub expires_at: Option<Timestamp>,
    /// Present once it is revoked, and for ever after.
    pub revoked: Option<Revocation>,
    /// What the application keeps beside it. Nothing here looks into it.
    pub metadata: Metadata,
    /// When it was last used, by the clock of the replica that saw it: late by up to the debounce
    /// interval, and lost where a process was killed. A statistic, never a basis for a decision.
    pub last_used_at: Option<Timestamp>,
    /// The secret before the last rotation, while it is still in its grace.
    pub previous: Option<Previous>,
}

/// A secret in its grace: after a rotation it opens the key for a while beside the new one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Previous {
    /// Its beginning.
    pub hint: KeyHint,
    /// From this moment on it is dead.
    pub expires_at: Timestamp,
    /// When it was last used. See [`KeyRecord::last_used_at`].
    pub last_used_at: Option<Timestamp>,
}

impl KeyRecord {
    /// What the key is at `now`: the first that holds of revoked, expired, disabled, active.
    pub fn status(&self, now: Timestamp) -> Status {
        if self.revoked.is_some() {
            Status::Revoked
        } else if self.expires_at.is_some_and(|end| end <= now) {
            Status::Expired
        } else if !self.enabled {
            Status::Disabled
        } else {
            Status::Active
        }
    }
}

/// The first that holds, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// Dead for ever.
    Revoked,
    /// Past its end.
    Expired,
    /// Switched off for now.
    Disabled,
    /// It opens what its scopes grant.
    Active,
}

impl Status {
    /// The word that the admin API uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Revoked => "revoked",
            Self::Expired => "expired",
            Self::Disabled => "disabled",
            Self::Active => "active",
        }
    }
}

/// When, by whom and why a key was revoked. Written once, kept for ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// By the store's clock.
    pub at: Timestamp,
    /// Who did it.
    pub by: Provenance,
    /// What they said, if they said anything.
    pub reason: Option<String>,
}

/// A key and what belongs to the one secret by which it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundKey {
    /// The key.
    pub record: KeyRecord,
    /// The end of this secret, if it comes before that of the key.
    pub secret_expires_at: Option<Timestamp>,
    /// When this secret was last used. See [`KeyRecord::last_used_at`].
    pub secret_last_used_at: Option<Timestamp>,
}

impl FoundKey {
    /// The lower of the key's end and this secret's.
    pub fn expires_at(&self) -> Option<Timestamp> {
        match (self.record.expires_at, self.secret_expires_at) {
            (Some(key), Some(secret)) => Some(key.min(secret)),
            (one, other) => one.or(other),
        }
    }
}

/// Who did something.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Provenance {
    /// The holder of a key.
    Key(KeyId),
    /// The holder of a bootstrap admin token.
    AdminToken,
    /// The application itself.
    System,
}

impl Provenance {
    /// Reads back what [`Display`](fmt::Display) wrote.
    pub fn from_stored(stored: &str) -> Option<Self> {
        match stored {
            "admin-token" => Some(Self::AdminToken),
            "system" => Some(Self::System),
            key => Some(Self::Key(key.strip_prefix("key:")?.parse().ok()?)),
        }
    }
}

impl fmt::Display for Provenance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(id) => write!(f, "key:{id}"),
            Self::AdminToken => f.write_str("admin-token"),
            Self::System => f.write_str("system"),
        }
    }
}

/// Why a text cannot be a name or an owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidText {
    /// Nothing, or white space alone.
    #[error("must not be empty")]
    Empty,
    /// Too many Unicode scalar values.
    #[error("must have at most {max} characters")]
    TooLong {
        /// How many are allowed.
        max: usize,
    },
    /// U+0000 to U+001F, U+007F to U+009F.
    #[error("must not contain control characters")]
    Control,
    /// Characters that turn the direction of the text around them, by which one name can be made
    /// to look like another (Unicode TR 36, section 2.6).
    #[error("must not contain bidirectional control characters")]
    Bidirectional,
}

/// What a person calls a key: 1 to 100 Unicode scalar values after trimming, no control
/// characters, no bidirectional controls.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyName(Arc<str>);

impl KeyName {
    /// The most Unicode scalar values.
    pub const MAX: usize = 100;

    /// Trims and checks.
    ///
    /// ```
    /// use portcullis::store::KeyName;
    ///
    /// assert_eq!(KeyName::parse("  nightly export ").unwrap().as_str(), "nightly export");
    /// assert!(KeyName::parse(" ").is_err());
    /// ```
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        let text = text.trim();
        check(text, Self::MAX)?;
        if text.chars().any(is_bidirectional_control) {
            return Err(InvalidText::Bidirectional);
        }
        Ok(Self(text.into()))
    }

    pub(crate) fn of_the_first_key() -> Self {
        Self("first key".into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A JSON object that the application keeps beside a key: at most 4 KiB as compact text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Metadata(Arc<str>);

/// Why a text cannot be metadata.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidMetadata {
    /// Not JSON.
    #[error("metadata must be JSON")]
    NotJson(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// JSON, and not an object.
    #[error("metadata must be a JSON object")]
    NotAnObject,
    /// Too long.
    #[error(
        "metadata must have at most {} bytes as compact JSON, and has {length}",
        Metadata::MAX
    )]
    TooLong {
        /// How many bytes it has.
        length: usize,
    },
}

impl Metadata {
    /// The most bytes, as compact JSON.
    pub const MAX: usize = 4_096;

    /// Checks, and takes out what is not needed: white space, and escapes that need not be. Members
    /// keep their order, and numbers their digits.
    ///
    /// ```
    /// use portcullis::store::Metadata;
    ///
    /// let metadata = Metadata::parse(r#"{ "team": "billing" }"#)?;
    /// assert_eq!(metadata.as_str(), r#"{"team":"billing"}"#);
    /// # Ok::<(), portcullis::store::InvalidMetadata>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, InvalidMetadata> {
        let not_json = |error| InvalidMetadata::NotJson(Box::new(error));
        // Nothing is built of it that would have an idea of its own of numbers or names.
        serde_json::from_str::<&RawValue>(text).map_err(not_json)?;
        let compact = compact(text).map_err(not_json)?;
        if !compact.starts_with('{') {
            return Err(InvalidMetadata::NotAnObject);
        }
        if compact.len() > Self::MAX {
            return Err(InvalidMetadata::TooLong {
                length: compact.len(),
            });
        }
        Ok(Self(compact.into()))
    }

    /// The object, as compact JSON.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Metadata {
    fn default() -> Self {
        Self("{}".into())
    }
}

/// JSON, which `text` is but for what its strings say, without anything that need not be there.
fn compact(text: &str) -> Result<String, serde_json::Error> {
    let mut compact = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let length = if next == '"' {
            text_length(rest)
        } else {
            next.len_utf8()
        };
        let (token, after) = rest.split_at(length);
        rest = after;
        if next == '"' {
            let text: String = serde_json::from_str(token)?;
            compact.push_str(&serde_json::Value::from(text).to_string());
        } else if !next.is_ascii_whitespace() {
            compact.push_str(token);
        }
    }
    Ok(compact)
}

/// How many bytes the string at the beginning of `json` has, with its quotes.
fn text_length(json: &str) -> usize {
    let mut escaped = false;
    let end = json.bytes().skip(1).position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    end.map_or(json.len(), |end| end + 2)
}

/// Whose key it is: 1 to 255 Unicode scalar values, no control characters. Compared exactly.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner(Arc<str>);

impl Owner {
    /// The most Unicode scalar values.
    pub const MAX: usize = 255;

    /// Checks, and changes nothing: an owner is an identifier of the application's.
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        check(text, Self::MAX)?;
        Ok(Self(text.into()))
    }

    /// The owner of keys for which nobody named one.
    pub(crate) fn admin() -> Self {
        Self("admin".into())
    }

    /// The owner.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn check(text: &str, max: usize) -> Result<(), InvalidText> {
    if text.is_empty() {
        return Err(InvalidText::Empty);
    }
    if text.chars().nth(max).is_some() {
        return Err(InvalidText::TooLong { max });
    }
    if text.chars().any(char::is_control) {
        return Err(InvalidText::Control);
    }
    Ok(())
}

/// Unicode's property `Bidi_Control`.
fn is_bidirectional_control(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_trimmed_and_bounded() {
        struct Test {
            name: &'static str,
            text: String,
            result: Result<String, InvalidText>,
        }
        let tests = [
            Test {
                name: "white space around is dropped",
                text: "\u{2003} ci \t".into(),
                result: Ok("ci".into()),
            },
            Test {
                name: "nothing is refused",
                text: String::new(),
                result: Err(InvalidText::Empty),
            },
            Test {
                name: "white space alone is nothing",
                text: "\u{2003}\n".into(),
                result: Err(InvalidText::Empty),
            },
            Test {
                name: "a hundred characters of several bytes",
                text: "é".repeat(100),
                result: Ok("é".repeat(100)),
            },
            Test {
                name: "one more",
                text: "é".repeat(101),
                result: Err(InvalidText::TooLong { max: 100 }),
            },
            Test {
                name: "a line feed inside",
                text: "a\nb".into(),
                result: Err(InvalidText::Control),
            },
            Test {
                name: "a NUL inside",
                text: "a\0b".into(),
                result: Err(InvalidText::Control),
            },
            Test {
                name: "text turned around",
                text: "ab\u{202e}dc".into(),
                result: Err(InvalidText::Bidirectional),
            },
        ];
        for test in tests {
            let result = KeyName::parse(&test.text).map(|name| name.as_str().to_owned());
            assert_eq!(result, test.result, "{}", test.name);
        }
    }

    #[test]
    fn metadata_is_kept_as_it_was_written_but_for_what_need_not_be_there() {
        let cases = [
            ("nothing in it", " {\n} ", "{}"),
            (
                "the order of members",
                r#"{"b":1,"a":2}"#,
                r#"{"b":1,"a":2}"#,
            ),
            (
                "digits of numbers",
                r#"{"n":[12345678901234567890123,1.50,-0,1e2]}"#,
                r#"{"n":[12345678901234567890123,1.50,-0,1e2]}"#,
            ),
            (
                "space in a text",
                r#"{ "a b" : " c " }"#,
                r#"{"a b":" c "}"#,
            ),
            (
                "quotes and backslashes in a text",
                r#"{"a":"\" \\","b" : "\\\" }"}"#,
                r#"{"a":"\" \\","b":"\\\" }"}"#,
            ),
            (
                "escapes that need not be",
                r#"{"\u00e9":"\/\u0000\ud83d\ude00"}"#,
                "{\"\u{e9}\":\"/\\u0000\u{1f600}\"}",
            ),
        ];
        for (name, text, expected) in cases {
            let metadata = Metadata::parse(text).unwrap();
            assert_eq!(metadata.as_str(), expected, "{name}");
            assert_eq!(Metadata::parse(expected).unwrap(), metadata, "{name}");
        }
    }

    #[test]
    fn what_is_no_object_of_json_is_no_metadata() {
        let refused = [
            "",
            " ",
            "{",
            "{}}",
            "{}{}",
            "[]",
            "null",
            "1",
            r#""{}""#,
            r#"{"a"}"#,
            r#"{"a":01}"#,
            r#"{"a":"\ud800"}"#,
            r#"{"a":"\x"}"#,
            "{\"a\":\"\n\"}",
            "\u{a0}{}",
            "{'a':1}",
            r#"{"a":nul}"#,
        ];
        for text in refused {
            assert!(Metadata::parse(text).is_err(), "{text}");
        }
        let named_like_a_trick = r#"{"$serde_json::private::RawValue":"1"}"#;
        let metadata = Metadata::parse(named_like_a_trick).unwrap();
        assert_eq!(metadata.as_str(), named_like_a_trick);
        assert!(Metadata::parse(&format!(r#"{{"a":"{}"}}"#, "x".repeat(4_088))).is_ok());
        let longer = Metadata::parse(&format!(r#"{{"a":"{}"}}"#, "x".repeat(4_089)));
        assert!(matches!(
            longer,
            Err(InvalidMetadata::TooLong { length: 4_097 })
        ));
    }

    #[test]
    fn an_owner_is_kept_as_it_is() {
        assert_eq!(Owner::parse(" a ").unwrap().as_str(), " a ");
        assert_eq!(Owner::parse(""), Err(InvalidText::Empty));
        assert_eq!(Owner::parse("a\u{85}"), Err(InvalidText::Control));
        assert!(Owner::parse(&"x".repeat(255)).is_ok());
        assert_eq!(
            Owner::parse(&"x".repeat(256)),
            Err(InvalidText::TooLong { max: 255 })
        );
    }

    #[test]
    fn provenance_reads_back() {
        let key = Provenance::Key("key_0123456789abcdef".parse().unwrap());
        for provenance in [key, Provenance::AdminToken, Provenance::System] {
            let stored = provenance.to_string();
            assert_eq!(Provenance::from_stored(&stored), Some(provenance));
        }
        assert_eq!(Provenance::from_stored("key:nonsense"), None);
        assert_eq!(Provenance::from_stored("root"), None);
    }
}
