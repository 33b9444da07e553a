//! JSON as it was sent: nothing that was said twice is lost, nothing nests without end.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// How deep arrays and objects may lie in each other, the outermost counted.
const DEEPEST: usize = 128;

/// A JSON value. An object keeps its members in their order, repeated ones too.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Json {
    Null,
    Bool(bool),
    /// No field takes one yet.
    Number,
    Text(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

/// Why bytes are not JSON that is read here.
#[derive(Debug, thiserror::Error)]
pub(super) enum InvalidJson {
    /// Arrays and objects nest too deep.
    #[error("the body nests deeper than {DEEPEST} levels")]
    TooDeep,
    /// Not JSON.
    #[error("the body is not valid JSON, at line {line}, column {column}")]
    Syntax {
        /// From 1 on.
        line: usize,
        /// From 1 on.
        column: usize,
    },
}

impl Json {
    /// Reads one JSON value and nothing after it.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, InvalidJson> {
        if is_too_deep(bytes) {
            return Err(InvalidJson::TooDeep);
        }
        let mut deserializer = serde_json::Deserializer::from_slice(bytes);
        // Its own limit is one level lower, and cannot be moved; the depth is known by now.
        deserializer.disable_recursion_limit();
        Self::deserialize(&mut deserializer)
            .and_then(|json| deserializer.end().map(|()| json))
            // Its message is not repeated: it may quote what was sent.
            .map_err(|error| InvalidJson::Syntax {
                line: error.line(),
                column: error.column(),
            })
    }

    /// What kind of value this is, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number => "a number",
            Self::Text(_) => "a string",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }
}

/// Whether brackets outside of strings nest too deep, found in one pass that neither allocates
/// nor calls itself. Of bytes that are no JSON this may say anything; they are refused either way.
fn is_too_deep(bytes: &[u8]) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in bytes {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEEPEST {
            return true;
        }
    }
    false
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AsSent)
    }
}

struct AsSent;

impl<'de> Visitor<'de> for AsSent {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Json, E> {
        Ok(Json::Number)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Json, E> {
        Ok(Json::Number)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Json, E> {
        Ok(Json::Number)
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Json, E> {
        Ok(Json::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Json::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Json::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(depth: usize) -> String {
        "[".repeat(depth) + &"]".repeat(depth)
    }

    #[test]
    fn members_stay_in_order_and_repeated() {
        let json = Json::parse(br#" {"b": [null, true, 1, -2.5e3], "a": "x", "b": {}} "#);
        let expected = Json::Object(vec![
            (
                "b".into(),
                Json::Array(vec![
                    Json::Null,
                    Json::Bool(true),
                    Json::Number,
                    Json::Number,
                ]),
            ),
            ("a".into(), Json::Text("x".into())),
            ("b".into(), Json::Object(vec![])),
        ]);
        assert_eq!(json.unwrap(), expected);
    }

    #[test]
    fn nesting_ends_at_128() {
        for depth in [1, 127, 128] {
            assert!(Json::parse(nested(depth).as_bytes()).is_ok(), "{depth}");
        }
        for depth in [129, 10_000, 1_000_000] {
            let result = Json::parse(nested(depth).as_bytes());
            assert!(matches!(result, Err(InvalidJson::TooDeep)), "{depth}");
        }
        let objects = r#"{"a":"#.repeat(129) + "1" + &"}".repeat(129);
        assert!(matches!(
            Json::parse(objects.as_bytes()),
            Err(InvalidJson::TooDeep)
        ));
    }

    #[test]
    fn only_brackets_outside_of_strings_nest() {
        let flat = [
            ("in a string", format!(r#""{}""#, "[".repeat(1000))),
            (
                "after an escaped quote",
                format!(r#""\"{}""#, "{".repeat(1000)),
            ),
            (
                "after an escaped backslash in a string before",
                r#"["\\", "[[[["]"#.to_owned(),
            ),
            ("side by side", format!("[{}[]]", "[],".repeat(1000))),
        ];
        for (name, text) in flat {
            assert!(Json::parse(text.as_bytes()).is_ok(), "{name}");
        }
        let hidden = format!(r#"["\\",{}]"#, nested(128));
        assert!(
            Json::parse(hidden.as_bytes()).is_err(),
            "a string that ends"
        );
    }

    #[test]
    fn what_is_not_json_is_refused_without_being_repeated() {
        let refused: [(&str, &[u8]); 14] = [
            ("nothing", b""),
            ("white space", b" \n"),
            ("a word", b"hunter2"),
            ("an open object", b"{"),
            ("a trailing comma", b"{\"a\":1,}"),
            ("something after the value", b"{} {}"),
            ("a comment", b"{} // hunter2"),
            ("single quotes", b"{'hunter2': 1}"),
            ("a control character in a string", b"\"\n\""),
            ("bytes that are not UTF-8", b"\"\xff\""),
            ("half of a surrogate pair", br#""\ud800""#),
            ("a byte order mark", b"\xef\xbb\xbf{}"),
            ("a leading zero", b"01"),
            ("not a number", b"NaN"),
        ];
        for (name, bytes) in refused {
            let error = Json::parse(bytes).expect_err(name).to_string();
            assert!(!error.contains("hunter2"), "{name}: {error}");
        }
    }
}
