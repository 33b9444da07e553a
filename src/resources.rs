//! Which things of the application a key may be used on.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use crate::excerpt::excerpt;

/// The most characters of a kind.
const LONGEST_KIND: usize = 64;

/// The most characters of an id.
const LONGEST_ID: usize = 255;

/// The most kinds.
const MOST_KINDS: usize = 100;

/// The most ids of all kinds together.
const MOST_IDS: usize = 1_000;

/// The things that a key is restricted to: of each kind, such as `project`, these by their ids.
///
/// A key without such a restriction may be used on everything. One that has it may be used on what
/// is named, and on nothing else: a kind that is not named, or named without an id, is none of it.
/// Kinds have 1 to 64 characters of `A-Za-z0-9._-`; ids 1 to 255, none of them a control character,
/// and are compared exactly. At most 1,000 ids in all, of at most 100 kinds. Cloning is cheap.
///
/// ```
/// use portcullis::resources::Resources;
///
/// let only = Resources::new([("project", ["p1", "p2"])])?;
/// assert!(only.allows("project", "p1"));
/// assert!(!only.allows("project", "p3") && !only.allows("topic", "p1"));
/// assert_eq!(only.to_string(), r#"{"project":["p1","p2"]}"#);
/// # Ok::<(), portcullis::resources::InvalidResources>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Resources(Arc<BTreeMap<Box<str>, BTreeSet<Box<str>>>>);

/// Why this is no restriction to resources. What is repeated of a value is printable ASCII, at most
/// 64 characters of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidResources {
    /// A kind is not 1 to 64 of the characters that it may have.
    #[error("the kind `{value}` must be 1 to 64 characters of `A-Za-z0-9._-`")]
    Kind {
        /// The offending kind.
        value: String,
    },
    /// An id is empty, too long, or has control characters.
    #[error(
        "an id of the kind `{kind}` must be 1 to 255 characters, none of them a control character"
    )]
    Id {
        /// Of which kind it is.
        kind: String,
    },
    /// There are too many kinds.
    #[error("more than {MOST_KINDS} kinds are given; at most {MOST_KINDS} are possible")]
    TooManyKinds,
    /// There are too many ids.
    #[error("more than {MOST_IDS} ids are given; at most {MOST_IDS} of all kinds are possible")]
    TooManyIds,
    /// What was stored is not an object of lists of texts.
    #[error("resources must be a JSON object of lists of texts")]
    NotResources,
}

impl Resources {
    /// Nothing at all.
    pub fn none() -> Self {
        Self::default()
    }

    /// These ids of these kinds. A kind that comes twice has all of its ids.
    pub fn new<K, I>(kinds: impl IntoIterator<Item = (K, I)>) -> Result<Self, InvalidResources>
    where
        K: AsRef<str>,
        I: IntoIterator<Item: AsRef<str>>,
    {
        let mut restriction: BTreeMap<Box<str>, BTreeSet<Box<str>>> = BTreeMap::new();
        let mut count = 0;
        for (kind, ids) in kinds {
            let kind = kind.as_ref();
            if !is_kind(kind) {
                let value = excerpt(kind);
                return Err(InvalidResources::Kind { value });
            }
            let known = restriction.entry(kind.into()).or_default();
            for id in ids {
                let id = id.as_ref();
                if !is_id(id) {
                    let kind = excerpt(kind);
                    return Err(InvalidResources::Id { kind });
                }
                count += 1;
                if count > MOST_IDS {
                    return Err(InvalidResources::TooManyIds);
                }
                known.insert(id.into());
            }
            if restriction.len() > MOST_KINDS {
                return Err(InvalidResources::TooManyKinds);
            }
        }
        Ok(Self(Arc::new(restriction)))
    }

    /// Reads back what [`Display`](fmt::Display) wrote: a JSON object of lists of texts.
    pub fn from_stored(stored: &str) -> Result<Self, InvalidResources> {
        let kinds: BTreeMap<String, Vec<String>> =
            serde_json::from_str(stored).map_err(|_| InvalidResources::NotResources)?;
        Self::new(kinds)
    }

    /// Whether a key that is restricted to these may be used on this one. Does not allocate.
    #[must_use]
    pub fn allows(&self, kind: &str, id: &str) -> bool {
        self.0.get(kind).is_some_and(|ids| ids.contains(id))
    }

    /// Whether each of `others` is among these, so that whoever is restricted to these may hand
    /// `others` on. Anything covers what names no id.
    #[must_use]
    pub fn covers(&self, others: &Self) -> bool {
        let others = others.iter();
        others
            .into_iter()
            .all(|(kind, ids)| ids.into_iter().all(|id| self.allows(kind, id)))
    }

    /// The kinds, sorted, each with its ids, sorted.
    pub fn iter(&self) -> impl Iterator<Item = (&str, impl Iterator<Item = &str>)> {
        let kinds = self.0.iter();
        kinds.map(|(kind, ids)| (&**kind, ids.iter().map(|id| &**id)))
    }
}

/// Whether a key restricted to `held` (`None`: not restricted) may hand on `given`.
pub(crate) fn covers(held: Option<&Resources>, given: Option<&Resources>) -> bool {
    match (held, given) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(held), Some(given)) => held.covers(given),
    }
}

pub(crate) fn is_kind(kind: &str) -> bool {
    let of_a_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=LONGEST_KIND).contains(&kind.len()) && kind.bytes().all(of_a_name)
}

fn is_id(id: &str) -> bool {
    !id.is_empty() && id.chars().nth(LONGEST_ID).is_none() && !id.chars().any(char::is_control)
}

/// As compact JSON.
impl fmt::Display for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(&*self.0).map_err(|_| fmt::Error)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(stored: &str) -> Resources {
        Resources::from_stored(stored).unwrap()
    }

    #[test]
    fn what_is_not_named_is_not_allowed() {
        let held = only(r##"{"project":["p1"],"topic":[],"team.eu":["#1","ü"]}"##);
        for (kind, id, expected) in [
            ("project", "p1", true),
            ("project", "p2", false),
            ("project", "P1", false),
            ("project", "", false),
            ("topic", "p1", false),
            ("other", "p1", false),
            ("", "", false),
            ("team.eu", "ü", true),
        ] {
            assert_eq!(held.allows(kind, id), expected, "{kind} {id}");
        }
        assert!(!Resources::none().allows("project", "p1"));
    }

    #[test]
    fn each_must_be_among_those_that_are_held() {
        for (held, given, expected) in [
            (None, None, true),
            (None, Some("{}"), true),
            (None, Some(r#"{"a":["1"]}"#), true),
            (Some(r#"{"a":["1"]}"#), None, false),
            (Some("{}"), None, false),
            (Some("{}"), Some("{}"), true),
            (Some("{}"), Some(r#"{"a":[]}"#), true),
            (Some("{}"), Some(r#"{"a":["1"]}"#), false),
            (Some(r#"{"a":["1","2"]}"#), Some(r#"{"a":["2"]}"#), true),
            (
                Some(r#"{"a":["1","2"]}"#),
                Some(r#"{"a":["2","3"]}"#),
                false,
            ),
            (Some(r#"{"a":["1"]}"#), Some(r#"{"b":["1"]}"#), false),
            (
                Some(r#"{"a":["1"],"b":["2"]}"#),
                Some(r#"{"a":["1"],"b":["1"]}"#),
                false,
            ),
        ] {
            let (held_, given_) = (held.map(only), given.map(only));
            let covered = covers(held_.as_ref(), given_.as_ref());
            assert_eq!(covered, expected, "{held:?} {given:?}");
        }
    }

    #[test]
    fn it_reads_what_it_prints() {
        for stored in [
            "{}",
            r#"{"a":[]}"#,
            r#"{"a":["1","2"],"b":["\"\\\u2028 x"]}"#,
        ] {
            let read = only(stored);
            assert_eq!(only(&read.to_string()), read);
        }
        assert_eq!(
            only(r#"{"b":["2","1","2"],"a":[]}"#).to_string(),
            r#"{"a":[],"b":["1","2"]}"#
        );
        for damaged in [
            "",
            "[]",
            "null",
            r#"{"a":"1"}"#,
            r#"{"a":[1]}"#,
            r#"{"a":null}"#,
            "{",
        ] {
            let why = Resources::from_stored(damaged).unwrap_err();
            assert_eq!(why, InvalidResources::NotResources, "{damaged}");
        }
    }

    #[test]
    fn limits_hold() {
        let ids = |count: usize| (0..count).map(|id| id.to_string());
        assert!(Resources::new([("a", ids(500)), ("b", ids(500))]).is_ok());
        let too_many = Resources::new([("a", ids(500)), ("b", ids(501))]);
        assert_eq!(too_many, Err(InvalidResources::TooManyIds));
        let endless = Resources::new([("a", std::iter::repeat("same"))]);
        assert_eq!(endless, Err(InvalidResources::TooManyIds));
        let kinds = |count: usize| (0..count).map(|kind| (kind.to_string(), [""; 0]));
        assert!(Resources::new(kinds(100)).is_ok());
        let too_many = Resources::new(kinds(usize::MAX));
        assert_eq!(too_many, Err(InvalidResources::TooManyKinds));
        for kind in ["", "a b", "a:b", "ü", &"k".repeat(65)] {
            let why = Resources::new([(kind, ["1"])]).unwrap_err();
            assert!(matches!(why, InvalidResources::Kind { .. }), "{kind}");
            assert!(why.to_string().len() < 200);
        }
        for id in ["", "a\nb", "\0", &"ü".repeat(256)] {
            let why = Resources::new([("a", [id])]).unwrap_err();
            assert!(matches!(why, InvalidResources::Id { .. }), "{id:?}");
        }
        assert!(Resources::new([("a", ["ü".repeat(255)])]).is_ok());
    }
}
