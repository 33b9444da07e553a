//! How an error repeats a value that it refuses.

/// The most characters that an error repeats of a value.
const LONGEST: usize = 64;

/// The longest run of letters and digits that an error repeats. Those of a key are longer: a key
/// that was put in the wrong place must not come back in an answer, nor end up in a log.
const LONGEST_RUN: usize = 16;

/// The beginning of `value` in printable ASCII, at most 64 characters long.
///
/// What is refused may come from anywhere and ends up in logs and answers: a control character must
/// not forge a line there, and a long value must not fill them. An escape is never cut in half.
pub(crate) fn excerpt(value: &str) -> String {
    let mut shown = String::new();
    // Four times as much as can be shown leaves room for what is not.
    let end = value.floor_char_boundary(4 * LONGEST);
    for character in without_long_runs(&value[..end]).chars() {
        let escaped = character.escape_default();
        if shown.len() + escaped.len() > LONGEST {
            break;
        }
        shown.extend(escaped);
    }
    shown
}

/// The longest run in the name of a field, which may be several words run together. That of a key
/// has 38 characters; of a part of one, all but few have a digit.
#[cfg(any(test, feature = "admin"))]
const LONGEST_WORD: usize = 31;

/// Whether a run of letters and digits in `value` is too long to be a name.
#[cfg(any(test, feature = "admin"))]
pub(crate) fn has_long_run(value: &str) -> bool {
    let has_digit = |run: &str| run.bytes().any(|byte| byte.is_ascii_digit());
    runs(value).any(|run| run.len() > LONGEST_WORD || (run.len() > LONGEST_RUN && has_digit(run)))
}

/// `value` with dots in the place of each run of letters and digits that is too long.
fn without_long_runs(value: &str) -> String {
    let mut shown = String::with_capacity(value.len());
    let mut rest = value;
    for run in runs(value) {
        if run.len() > LONGEST_RUN
            && let Some((before, after)) = rest.split_once(run)
        {
            shown.push_str(before);
            shown.push_str("...");
            rest = after;
        }
    }
    shown.push_str(rest);
    shown
}

fn runs(value: &str) -> impl Iterator<Item = &str> {
    value.split(|c: char| !c.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::{excerpt, has_long_run};

    #[test]
    fn runs_too_long_to_be_repeated_are_seen() {
        assert!(!has_long_run("a_perfectly_ordinary_name_of_a_field"));
        assert!(!has_long_run("expiresInMilliseconds"));
        assert!(!has_long_run(&"w".repeat(31)) && has_long_run(&"w".repeat(32)));
        assert!(!has_long_run("fifteenletters_0123456789abcdef"));
        assert!(has_long_run("0123456789abcdefg") && !has_long_run("abcdefghijklmnopq"));
        assert!(has_long_run("acme_live_0123456789ABCDEFGHIJKLMNOPQRSTUV"));
    }

    #[test]
    fn an_excerpt_is_printable_and_short() {
        let sixty_four = "aaaaaaa-".repeat(8);
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
            (
                "the 65th is dropped",
                &format!("{sixty_four}a"),
                &sixty_four,
            ),
            (
                "an escape that would pass the end is dropped whole",
                &format!("{}\n", &sixty_four[..63]),
                &sixty_four[..63],
            ),
            (
                "a key does not come back",
                "acme_live_0123456789ABCDEFGHIJKLMNOPQRSTUV4IG2In",
                "acme_live_...",
            ),
            (
                "nor does one among other things",
                "key=acme_live_0123456789ABCDEFGHIJKLMNOPQRSTUV4IG2In!",
                "key=acme_live_...!",
            ),
            ("a short run stays", "0123456789abcdef", "0123456789abcdef"),
            ("a longer one does not", "0123456789abcdefg", "..."),
            (
                "what follows a long run is shown as far as there is room",
                &format!("{}-{sixty_four}", "k".repeat(60)),
                &format!("...-{}", &sixty_four[..60]),
            ),
            (
                "a short run that is also the end of a long one",
                "abc-0123456789abcdefgabc-abc",
                "abc-...-abc",
            ),
        ];
        for (sentence, value, expected) in cases {
            assert_eq!(excerpt(value), expected, "{sentence}");
        }
    }
}
