//! How the log repeats what somebody typed.

use std::fmt::{self, Write as _};

/// A text as a line of the log has it: bare if it is a plain word, and otherwise quoted, with
/// everything escaped that is not a visible character of a line. So nothing that somebody typed
/// can begin another line, look like another field, colour a terminal, or turn the text around it.
pub(crate) struct Escaped<'a>(pub(crate) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of_a_word = |byte: u8| byte.is_ascii_alphanumeric() || b"._:@/+-".contains(&byte);
        if !self.0.is_empty() && self.0.bytes().all(of_a_word) {
            return f.write_str(self.0);
        }
        f.write_char('"')?;
        for character in self.0.chars() {
            // What Unicode calls a letter or a number is seen, and only seen; of the rest, which
            // has formats, separators and controls in it, ASCII is all that is taken as it is.
            if character.is_alphanumeric() || character == ' ' {
                f.write_char(character)?;
            } else {
                write!(f, "{}", character.escape_default())?;
            }
        }
        f.write_char('"')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_forges_a_line_or_a_field() {
        let cases = [
            ("acme-corp", "acme-corp"),
            ("user:a@example.org/1+2", "user:a@example.org/1+2"),
            ("", r#""""#),
            ("a b", r#""a b""#),
            ("Jürgen 東京", r#""Jürgen 東京""#),
            (r#"x" by="y"#, r#""x\" by=\"y""#),
            ("a=b", r#""a=b""#),
            ("a\\", r#""a\\""#),
            ("a\nINFO key revoked", r#""a\nINFO key revoked""#),
            ("\r\u{85}\u{2028}\u{2029}", r#""\r\u{85}\u{2028}\u{2029}""#),
            ("\u{1b}[31m\u{9b}31m", r#""\u{1b}[31m\u{9b}31m""#),
            (
                "\u{202e}\u{2066}\u{61c}\u{200f}",
                r#""\u{202e}\u{2066}\u{61c}\u{200f}""#,
            ),
            (
                "\u{200b}\u{feff}\u{ad}\u{e0041}",
                r#""\u{200b}\u{feff}\u{ad}\u{e0041}""#,
            ),
        ];
        for (typed, logged) in cases {
            assert_eq!(Escaped(typed).to_string(), logged, "{typed:?}");
        }
    }
}
