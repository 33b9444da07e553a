//! JSON as it was sent: nothing that was said twice is lost, nothing nests without end.

/// How deep arrays and objects may lie in each other, the outermost counted.
const DEEPEST: usize = 128;

/// A JSON value. An object keeps its members in their order, repeated ones too, and a number its
/// digits: no library's idea of numbers comes in between.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Json {
    Null,
    Bool(bool),
    /// As it was written.
    Number(String),
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
    /// Not JSON. Nothing of it is repeated.
    #[error("the body is not valid JSON, at line {line}, column {column}")]
    Syntax {
        /// From 1 on.
        line: usize,
        /// From 1 on, in bytes.
        column: usize,
    },
}

impl Json {
    /// Reads one JSON value and nothing after it (RFC 8259).
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, InvalidJson> {
        let mut reader = Reader { bytes, at: 0 };
        let read = reader.value(0).and_then(|json| match reader.peek() {
            None => Ok(json),
            Some(_) => Err(Wrong::Syntax),
        });
        read.map_err(|wrong| match wrong {
            Wrong::TooDeep => InvalidJson::TooDeep,
            Wrong::Syntax => reader.syntax(),
        })
    }

    /// What kind of value this is, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Text(_) => "a string",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }

    /// Writes it without any space.
    pub(super) fn write(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(true) => out.push_str("true"),
            Self::Bool(false) => out.push_str("false"),
            Self::Number(digits) => out.push_str(digits),
            Self::Text(text) => write_text(text, out),
            Self::Array(items) => {
                out.push('[');
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                for (at, (name, value)) in members.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    write_text(name, out);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }
}

fn write_text(text: &str, out: &mut String) {
    out.push_str(&serde_json::Value::from(text).to_string());
}

enum Wrong {
    TooDeep,
    Syntax,
}

/// Reads from front to back, and stops at what is wrong.
struct Reader<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl Reader<'_> {
    /// Calls itself for each level, and there are few.
    fn value(&mut self, depth: usize) -> Result<Json, Wrong> {
        match self.peek().ok_or(Wrong::Syntax)? {
            b'{' => self.object(depth + 1),
            b'[' => self.array(depth + 1),
            b'"' => self.text().map(Json::Text),
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.word("true", Json::Bool(true)),
            b'f' => self.word("false", Json::Bool(false)),
            b'n' => self.word("null", Json::Null),
            _ => Err(Wrong::Syntax),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json, Wrong> {
        let mut members = Vec::new();
        self.items(depth, b'}', |reader| {
            if reader.peek() != Some(b'"') {
                return Err(Wrong::Syntax);
            }
            let name = reader.text()?;
            if reader.peek() != Some(b':') {
                return Err(Wrong::Syntax);
            }
            reader.at += 1;
            members.push((name, reader.value(depth)?));
            Ok(())
        })?;
        Ok(Json::Object(members))
    }

    fn array(&mut self, depth: usize) -> Result<Json, Wrong> {
        let mut items = Vec::new();
        self.items(depth, b']', |reader| {
            items.push(reader.value(depth)?);
            Ok(())
        })?;
        Ok(Json::Array(items))
    }

    /// From the opening bracket past the closing one.
    fn items(
        &mut self,
        depth: usize,
        close: u8,
        mut item: impl FnMut(&mut Self) -> Result<(), Wrong>,
    ) -> Result<(), Wrong> {
        if depth > DEEPEST {
            return Err(Wrong::TooDeep);
        }
        self.at += 1;
        if self.peek() == Some(close) {
            self.at += 1;
            return Ok(());
        }
        loop {
            item(self)?;
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(byte) if byte == close => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(Wrong::Syntax),
            }
        }
    }

    /// The escapes, surrogates and bytes of a string are left to who knows them.
    fn text(&mut self) -> Result<String, Wrong> {
        let mut end = self.at + 1;
        while let Some(byte) = self.bytes.get(end) {
            end += 1;
            match byte {
                b'"' => {
                    let text = serde_json::from_slice(&self.bytes[self.at..end])
                        .map_err(|_| Wrong::Syntax)?;
                    self.at = end;
                    return Ok(text);
                }
                b'\\' => end += 1,
                _ => {}
            }
        }
        Err(Wrong::Syntax)
    }

    fn number(&mut self) -> Result<Json, Wrong> {
        let start = self.at;
        self.at += usize::from(self.next_is(b"-"));
        if self.next_is(b"0") {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.next_is(b".") {
            self.at += 1;
            self.digits()?;
        }
        if self.next_is(b"eE") {
            self.at += 1;
            self.at += usize::from(self.next_is(b"+-"));
            self.digits()?;
        }
        let digits = str::from_utf8(&self.bytes[start..self.at]).map_err(|_| Wrong::Syntax)?;
        Ok(Json::Number(digits.to_owned()))
    }

    /// One or more.
    fn digits(&mut self) -> Result<(), Wrong> {
        if !self.next_is(b"0123456789") {
            return Err(Wrong::Syntax);
        }
        while self.next_is(b"0123456789") {
            self.at += 1;
        }
        Ok(())
    }

    fn word(&mut self, word: &str, json: Json) -> Result<Json, Wrong> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return Err(Wrong::Syntax);
        }
        self.at += word.len();
        Ok(json)
    }

    /// Whether the very next byte is one of these.
    fn next_is(&self, those: &[u8]) -> bool {
        self.bytes
            .get(self.at)
            .is_some_and(|byte| those.contains(byte))
    }

    /// The next byte that is no white space.
    fn peek(&mut self) -> Option<u8> {
        while self.next_is(b" \t\n\r") {
            self.at += 1;
        }
        self.bytes.get(self.at).copied()
    }

    fn syntax(&self) -> InvalidJson {
        let before = &self.bytes[..self.at.min(self.bytes.len())];
        let line = before.split(|byte| *byte == b'\n').count();
        let column = before
            .rsplit(|byte| *byte == b'\n')
            .next()
            .map_or(0, <[u8]>::len);
        InvalidJson::Syntax {
            line,
            column: column + 1,
        }
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
                    Json::Number("1".into()),
                    Json::Number("-2.5e3".into()),
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

    #[test]
    fn numbers_and_texts_are_written_as_they_came() {
        let cases = [
            ("small", "0", "0"),
            ("negative zero", "-0", "-0"),
            ("a fraction with zeros at the end", "1.500", "1.500"),
            (
                "more digits than any machine number",
                "123456789012345678901234567890.12",
                "123456789012345678901234567890.12",
            ),
            ("beyond any machine number", "1E+4000", "1E+4000"),
            (
                "escapes that need not be",
                r#""\u00e9\/\u0000""#,
                "\"\u{e9}/\\u0000\"",
            ),
            (
                "space",
                " { \"a\" : [ ] ,\n\"a\":[1 , {}] } ",
                r#"{"a":[],"a":[1,{}]}"#,
            ),
            ("words", "[true,false,null]", "[true,false,null]"),
        ];
        for (name, text, expected) in cases {
            let mut written = String::new();
            let json = Json::parse(text.as_bytes()).expect(name);
            json.write(&mut written);
            assert_eq!(written, expected, "{name}");
        }
    }

    #[test]
    fn what_everybody_else_refuses_is_refused() {
        let texts = [
            "+1",
            "1.",
            ".5",
            "1e",
            "1e+",
            "-",
            "00",
            "0x1",
            "1 2",
            "Infinity",
            "tru",
            "truex",
            "nul",
            "[1,]",
            "[,1]",
            "[1 2]",
            r#"{"a"}"#,
            r#"{"a":}"#,
            "{1:2}",
            "{a:1}",
            "{,}",
            r#"{"a":1 "b":2}"#,
            "]",
            "[}",
            "{]",
            "\"",
            r#""\""#,
            r#""\x""#,
            r#""\u12""#,
            "\u{a0}1",
            "\u{0}",
            "[[",
            "{\"a\":[",
            "\"a\" \"b\"",
        ];
        for text in texts {
            assert!(Json::parse(text.as_bytes()).is_err(), "{text}");
            let other: Result<serde_json::Value, _> = serde_json::from_str(text);
            assert!(other.is_err(), "{text}");
        }
    }

    #[test]
    fn a_mistake_is_told_by_its_line_and_column() {
        let error = Json::parse(b"{\n  \"a\": x}").unwrap_err();
        let expected = InvalidJson::Syntax { line: 2, column: 8 };
        assert_eq!(error.to_string(), expected.to_string());
    }
}
