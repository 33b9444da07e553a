//! The query of a request: each parameter known, there once, and readable.

use std::borrow::Cow;
use std::fmt::Display;

use super::errors::Errors;

/// The parameters of a request, taken out one by one.
pub(super) struct Query<'q, 'e> {
    parameters: Vec<(Cow<'q, str>, Cow<'q, str>)>,
    errors: &'e mut Errors,
}

impl<'q, 'e> Query<'q, 'e> {
    /// Reads `query`; each parameter has to be one of `known` and there once.
    pub(super) fn of(query: Option<&'q str>, known: &[&str], errors: &'e mut Errors) -> Self {
        let mut parameters: Vec<(Cow<'q, str>, Cow<'q, str>)> = Vec::new();
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            if !known.contains(&&*name) {
                errors.parameter(&name, "is not a parameter that is known here");
            } else if parameters.iter().any(|(earlier, _)| *earlier == name) {
                errors.parameter(&name, "is given more than once");
            } else {
                parameters.push((name, value));
            }
        }
        Self { parameters, errors }
    }

    /// A parameter, read further by `read`. Whatever is wrong with it is noted.
    pub(super) fn take<T, E: Display>(
        &mut self,
        name: &str,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let value = self.take_unread(name)?;
        // What bytes that are not UTF-8 are decoded to. Taken as it is, one owner would be asked
        // for and another one looked up.
        if value.contains(char::REPLACEMENT_CHARACTER) {
            self.errors.parameter(name, "is not UTF-8");
            return None;
        }
        read(&value)
            .map_err(|error| self.errors.parameter(name, error))
            .ok()
    }

    /// A parameter that is judged elsewhere. Bytes that are not UTF-8 are U+FFFD in it.
    pub(super) fn take_unread(&mut self, name: &str) -> Option<Cow<'q, str>> {
        let at = self.parameters.iter().position(|(n, _)| n == name)?;
        Some(self.parameters.swap_remove(at).1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_and_each_mistake_is_noted() {
        let cases = [
            ("nothing", None, None, 0),
            ("an empty query", Some(""), None, 0),
            ("a value", Some("a=x%20y+z"), Some("x y z"), 0),
            ("no value", Some("a"), Some(""), 0),
            ("a stray percent sign", Some("a=%zz"), Some("%zz"), 0),
            ("repeated", Some("a=1&a=2"), Some("1"), 1),
            (
                "repeated under another spelling",
                Some("a=1&%61=1"),
                Some("1"),
                1,
            ),
            ("unknown", Some("b=1"), None, 1),
            ("another case is unknown", Some("A=1"), None, 1),
            ("no name", Some("=1"), None, 1),
            ("not UTF-8", Some("a=%ff"), None, 1),
            ("three mistakes", Some("a=%ff&a=1&b"), None, 3),
        ];
        for (name, query, expected, mistakes) in cases {
            let mut errors = Errors::default();
            let mut query = Query::of(query, &["a"], &mut errors);
            let value = query.take("a", |text| Ok::<_, &str>(text.to_owned()));
            assert_eq!(value.as_deref(), expected, "{name}");
            assert_eq!(errors.into_vec().len(), mistakes, "{name}");
        }
    }
}
