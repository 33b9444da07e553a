//! What is wrong with a request, and where.

use std::fmt::{self, Display, Write as _};

use serde::Serialize;

use crate::excerpt::has_long_run;

/// How many errors one answer lists. Nobody reads more, and whoever sends a thousand mistakes does
/// not get a thousand lines.
const MOST_ERRORS: usize = 20;

/// The longest name of a field or parameter that an answer repeats, in bytes. Shorter than any
/// key, so that one that was put in the wrong place does not come back.
const LONGEST_NAME: usize = 40;

/// One thing that is wrong.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct FieldError {
    #[serde(flatten)]
    place: Place,
    detail: String,
}

#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Place {
    /// In the body: a JSON pointer as a URI fragment (RFC 6901 section 6).
    Pointer(String),
    /// In the query.
    Parameter(String),
}

/// All that is wrong, found in one go.
#[derive(Debug, Default)]
pub(super) struct Errors(Vec<FieldError>);

impl Errors {
    /// Something about the body; `pointer` is a JSON pointer as a URI fragment.
    pub(super) fn at(&mut self, pointer: impl Into<String>, detail: impl Display) {
        self.push(Place::Pointer(pointer.into()), &detail);
    }

    /// Something about the query.
    pub(super) fn parameter(&mut self, name: &str, detail: impl Display) {
        let shown = shown(name).unwrap_or_default();
        self.push(Place::Parameter(shown.to_owned()), &detail);
    }

    fn push(&mut self, place: Place, detail: &dyn Display) {
        if self.0.len() < MOST_ERRORS {
            let detail = detail.to_string();
            self.0.push(FieldError { place, detail });
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn into_vec(self) -> Vec<FieldError> {
        self.0
    }
}

/// The name, if it is short enough to be repeated.
pub(super) fn shown(name: &str) -> Option<&str> {
    (name.len() <= LONGEST_NAME && !has_long_run(name)).then_some(name)
}

/// The pointer to a member of the body: `~` and `/` escaped as in a JSON pointer, then what
/// cannot stand in a fragment (RFC 3986 section 3.5) percent-encoded.
pub(super) fn pointer(name: &str) -> String {
    below("#", name)
}

/// The pointer to a member of what `parent` points to.
pub(super) fn below(parent: &str, name: &str) -> String {
    struct Fragment(String);
    impl fmt::Write for Fragment {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            for byte in text.bytes() {
                match byte {
                    b'~' => self.0.push_str("~0"),
                    b'/' => self.0.push_str("~1"),
                    _ if byte.is_ascii_alphanumeric() || b"-._!$&'()*+,;=:@?".contains(&byte) => {
                        self.0.push(byte.into());
                    }
                    _ => write!(self.0, "%{byte:02X}")?,
                }
            }
            Ok(())
        }
    }
    let mut fragment = Fragment(format!("{parent}/"));
    // Writing to a string cannot fail.
    let _ = fragment.write_str(name);
    fragment.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_is_a_fragment_of_a_uri() {
        // The examples of RFC 6901 section 6, and what else may come.
        let cases = [
            ("foo", "#/foo"),
            ("", "#/"),
            ("a/b", "#/a~1b"),
            ("c%d", "#/c%25d"),
            ("e^f", "#/e%5Ef"),
            ("g|h", "#/g%7Ch"),
            ("i\\j", "#/i%5Cj"),
            ("k\"l", "#/k%22l"),
            (" ", "#/%20"),
            ("m~n", "#/m~0n"),
            ("é\n<", "#/%C3%A9%0A%3C"),
            ("#", "#/%23"),
        ];
        for (name, expected) in cases {
            assert_eq!(pointer(name), expected, "{name:?}");
        }
    }

    #[test]
    fn errors_are_bounded_in_number_and_length() {
        let mut errors = Errors::default();
        for n in 0..1000 {
            errors.at(pointer(&n.to_string()), "is wrong");
        }
        assert_eq!(errors.into_vec().len(), MOST_ERRORS);

        let mut errors = Errors::default();
        let long = "acme_live_".to_owned() + &"x".repeat(38);
        errors.parameter(&long, "is not known");
        let said = serde_json::to_string(&errors.into_vec()).unwrap();
        assert!(!said.contains("acme"), "{said}");
    }
}
