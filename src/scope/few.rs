//! The scopes or roles of one key: sorted, each there once, and not many.

use std::str::FromStr;
use std::sync::Arc;
use std::{fmt, slice};

/// The most that may be given for one key, repeated ones counted.
const MOST: usize = 100;

/// Prints as its entries with a space between them. Cloning is cheap.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Few<T>(Arc<[T]>);

/// There are more than may be given.
pub(super) struct TooMany;

impl<T: Ord> Few<T> {
    /// No more than 101 are taken from the iterator.
    pub(super) fn of(entries: impl IntoIterator<Item = T>) -> Result<Self, TooMany> {
        let entries: Vec<T> = entries.into_iter().take(MOST + 1).collect();
        if entries.len() > MOST {
            return Err(TooMany);
        }
        Ok(Self::of_any_number(entries))
    }

    /// What code says may be more than what is given.
    pub(super) fn of_any_number(mut entries: Vec<T>) -> Self {
        entries.sort_unstable();
        entries.dedup();
        Self(entries.into())
    }

    pub(super) fn parse<E: From<TooMany>>(
        texts: impl IntoIterator<Item = impl AsRef<str>>,
    ) -> Result<Self, E>
    where
        T: FromStr<Err = E>,
    {
        let texts = texts.into_iter().take(MOST + 1);
        let entries = texts.map(|text| text.as_ref().parse());
        Ok(Self::of(entries.collect::<Result<Vec<T>, E>>()?)?)
    }

    pub(super) fn contains(&self, entry: &T) -> bool {
        self.0.binary_search(entry).is_ok()
    }
}

/// The entries of what was printed: two spaces in a row have an empty one between them.
pub(super) fn printed(text: &str) -> impl Iterator<Item = &str> {
    text.split(' ').filter(|_| !text.is_empty())
}

impl<T> Few<T> {
    pub(super) fn iter(&self) -> slice::Iter<'_, T> {
        self.0.iter()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T: fmt::Debug> fmt::Debug for Few<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T: fmt::Display> fmt::Display for Few<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, entry) in self.iter().enumerate() {
            let space = if at == 0 { "" } else { " " };
            write!(f, "{space}{entry}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_the_entries() {
        let few = Few::of_any_number(vec!["b", "a", "b"]);
        assert_eq!(format!("{few:?}"), r#"["a", "b"]"#);
    }
}
