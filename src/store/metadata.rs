//! What the application keeps beside a key.

use std::sync::Arc;

use serde_json::value::RawValue;

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

#[cfg(test)]
mod tests {
    use super::*;

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
}
