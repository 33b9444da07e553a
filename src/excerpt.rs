//! How an error repeats a value that it refuses.

/// The most characters that an error repeats of a value.
const LONGEST: usize = 64;

/// The beginning of `value` in printable ASCII, at most 64 characters long.
///
/// What is refused may come from anywhere and ends up in logs and answers: a control character must
/// not forge a line there, and a long value must not fill them. An escape is never cut in half.
pub(crate) fn excerpt(value: &str) -> String {
    let mut shown = String::new();
    for character in value.chars() {
        let escaped = character.escape_default();
        if shown.len() + escaped.len() > LONGEST {
            break;
        }
        shown.extend(escaped);
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::excerpt;

    #[test]
    fn an_excerpt_is_printable_and_short() {
        let sixty_four = "a".repeat(64);
        let cases = [
            ("a plain value stays", "projects:read", "projects:read"),
            ("nothing stays nothing", "", ""),
            ("a line break is escaped", "a\r\nb", "a\\r\\nb"),
            (
                "a bidirectional control is escaped",
                "\u{202e}a",
                "\\u{202e}a",
            ),
            ("64 characters are kept", &sixty_four, &sixty_four),
            ("the 65th is dropped", &"a".repeat(65), &sixty_four),
            (
                "an escape that would pass the end is dropped whole",
                &format!("{}\n", "a".repeat(63)),
                &"a".repeat(63),
            ),
        ];
        for (sentence, value, expected) in cases {
            assert_eq!(excerpt(value), expected, "{sentence}");
        }
    }
}
