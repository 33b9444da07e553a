//! The fields of a body: each known, there once, and of the right type.

use std::fmt::Display;

use super::errors::{Errors, pointer, shown};
use super::json::Json;

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

    /// Takes a field out if it is `null`, and tells whether it was.
    pub(super) fn take_null(&mut self, name: &str) -> bool {
        let is_null = |(member, value): &(String, Json)| member == name && *value == Json::Null;
        match self.members.iter().position(is_null) {
            Some(at) => {
                self.members.swap_remove(at);
                true
            }
            None => false,
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_as_long_as_a_key_is_not_repeated() {
        let mut errors = Errors::default();
        let long = "acme_live_".to_owned() + &"x".repeat(38);
        Fields::of(Json::Object(vec![(long, Json::Null)]), &[], &mut errors);
        let said = serde_json::to_string(&errors.into_vec()).unwrap();
        assert!(
            said.contains(r##""pointer":"#""##) && !said.contains("acme"),
            "{said}"
        );
    }
}
