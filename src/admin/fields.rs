//! What is wrong with a request, field by field, and the reading that finds it.

use std::fmt::{self, Display, Write as _};

use serde::Serialize;

use super::json::Json;

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

/// The members of the object that is the body, taken out one by one. Every reader notes what it
/// finds wrong and then answers as if the field was absent.
pub(super) struct Fields<'e> {
    members: Vec<(String, Json)>,
    is_object: bool,
    errors: &'e mut Errors,
}

impl<'e> Fields<'e> {
    /// The fields of `body`, each of which has to be one of `known` and there once.
    pub(super) fn of(body: Json, known: &[&str], errors: &'e mut Errors) -> Self {
        let (members, is_object) = match body {
            Json::Object(members) => (members, true),
            other => {
                let kind = other.kind();
                errors.at("#", format_args!("must be an object, and is {kind}"));
                (Vec::new(), false)
            }
        };
        let mut seen = vec![false; known.len()];
        for (name, _) in &members {
            match known.iter().position(|known| known == name) {
                Some(at) if seen[at] => errors.at(pointer(name), "is given more than once"),
                Some(at) => seen[at] = true,
                None => match shown(name) {
                    Some(name) => errors.at(pointer(name), "is not a field that is known here"),
                    None => errors.at("#", "has a field that is not known here"),
                },
            }
        }
        Self {
            members,
            is_object,
            errors,
        }
    }

    /// Takes a field out, `null` being a value like any other.
    pub(super) fn take(&mut self, name: &str) -> Option<Json> {
        let at = self.members.iter().position(|(member, _)| member == name)?;
        Some(self.members.swap_remove(at).1)
    }

    /// Whether the field is there and not taken yet.
    pub(super) fn has(&self, name: &str) -> bool {
        self.members.iter().any(|(member, _)| member == name)
    }

    /// Notes that a field is missing that has to be there.
    pub(super) fn require(&mut self, name: &str) {
        // Where there is no object at all, that is the one thing to say.
        if self.is_object && !self.has(name) {
            self.errors.at(pointer(name), "is required");
        }
    }

    /// A string, read further by `read`.
    pub(super) fn text<T, E: Display>(
        &mut self,
        name: &str,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let value = self.take(name)?;
        self.text_of(name, &value, read)
    }

    /// A string or `null`; the outer `None` is absence.
    #[expect(
        clippy::option_option,
        reason = "absent, null and a value are three things in a body"
    )]
    pub(super) fn text_or_null<T, E: Display>(
        &mut self,
        name: &str,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<Option<T>> {
        match self.take(name)? {
            Json::Null => Some(None),
            value => self.text_of(name, &value, read).map(Some),
        }
    }

    fn text_of<T, E: Display>(
        &mut self,
        name: &str,
        value: &Json,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let Json::Text(text) = value else {
            self.wrong_type(name, "a string", value);
            return None;
        };
        read(text)
            .map_err(|error| self.errors.at(pointer(name), error))
            .ok()
    }

    /// A whole number from 0 to `most`, in digits alone: `1.0` and `1e0` are no counts.
    pub(super) fn count(&mut self, name: &str, most: u32) -> Option<u32> {
        let number = match self.take(name)? {
            Json::Number(number) => number,
            other => {
                self.wrong_type(name, "an integer", &other);
                return None;
            }
        };
        let digits = number.bytes().all(|byte| byte.is_ascii_digit());
        let count = number.parse().ok().filter(|count| digits && *count <= most);
        if count.is_none() {
            let detail = format_args!("must be an integer from 0 to {most}");
            self.errors.at(pointer(name), detail);
        }
        count
    }

    /// `true` or `false`.
    pub(super) fn flag(&mut self, name: &str) -> Option<bool> {
        match self.take(name)? {
            Json::Bool(flag) => Some(flag),
            other => {
                self.wrong_type(name, "a boolean", &other);
                None
            }
        }
    }

    /// A list of strings, each read further by `read`.
    pub(super) fn texts<T, E: Display>(
        &mut self,
        name: &str,
        mut read: impl FnMut(&str) -> Result<T, E>,
    ) -> Option<Vec<T>> {
        let items = match self.take(name)? {
            Json::Array(items) => items,
            other => {
                self.wrong_type(name, "an array of strings", &other);
                return None;
            }
        };
        let mut read_items = Vec::new();
        for (at, item) in items.iter().enumerate() {
            let name = format!("{name}/{at}");
            match item {
                Json::Text(text) => match read(text) {
                    Ok(item) => read_items.push(item),
                    Err(error) => self.errors.at(format!("#/{name}"), error),
                },
                other => self.wrong_type(&name, "a string", other),
            }
        }
        (read_items.len() == items.len()).then_some(read_items)
    }

    /// Notes that a field cannot stand as it does.
    pub(super) fn wrong(&mut self, name: &str, detail: impl Display) {
        self.errors.at(pointer(name), detail);
    }

    /// Notes something about what lies below a field.
    pub(super) fn wrong_at(&mut self, pointer: String, detail: impl Display) {
        self.errors.at(pointer, detail);
    }

    /// Notes something about the fields taken together.
    pub(super) fn wrong_together(&mut self, detail: impl Display) {
        // Where there is no object at all, that is the one thing to say.
        if self.is_object {
            self.errors.at("#", detail);
        }
    }

    /// `path` is of names that need no escape.
    pub(super) fn wrong_type(&mut self, path: &str, expected: &str, found: &Json) {
        let detail = format_args!("must be {expected}, and is {}", found.kind());
        self.errors.at(format!("#/{path}"), detail);
    }
}

/// The name, if it is short enough to be repeated.
pub(super) fn shown(name: &str) -> Option<&str> {
    (name.len() <= LONGEST_NAME).then_some(name)
}

/// The pointer to a member of the body: `~` and `/` escaped as in a JSON pointer, then what
/// cannot stand in a fragment (RFC 3986 section 3.5) percent-encoded.
fn pointer(name: &str) -> String {
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
        let members = (0..1000).map(|n| (format!("f{n}"), Json::Null)).collect();
        Fields::of(Json::Object(members), &[], &mut errors);
        assert_eq!(errors.into_vec().len(), MOST_ERRORS);

        let mut errors = Errors::default();
        let long = "acme_live_".to_owned() + &"x".repeat(38);
        Fields::of(
            Json::Object(vec![(long.clone(), Json::Null)]),
            &[],
            &mut errors,
        );
        errors.parameter(&long, "is not known");
        let said = serde_json::to_string(&errors.into_vec()).unwrap();
        assert!(!said.contains("acme"), "{said}");
    }
}
