//! What can go wrong in a store, as kinds to be asked, never as messages to be matched.

use std::error::Error;
use std::fmt;

/// A failure of a store.
///
/// [`Display`](fmt::Display) says what was being done; [`source`](Error::source) leads to the
/// store's own error. No key, digest or value of a row belongs in either.
#[derive(Debug)]
pub struct StoreError {
    kind: StoreErrorKind,
    context: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

/// The kinds of failure that a keyring treats differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// The store cannot be reached, is overloaded, or gave up. Nothing was written. The keyring
    /// leaves the whole store alone for a moment.
    Unavailable,
    /// One row cannot be read: the store answers, but not with something that makes sense.
    /// Nothing was written. Only that key is left alone for a moment.
    Corrupt,
    /// The answer to a COMMIT was lost: the write may have happened or not.
    OutcomeUnknown,
    /// The id or digest of a new key is taken. Nothing was written.
    Conflict,
    /// The store does not fit the way it is used: other digests, another schema. It will not
    /// until somebody changes that. Nothing was written.
    Misconfigured,
}

impl StoreError {
    /// A failure of `kind` while doing `context`, which is lower case and ends without a full
    /// stop ("reading the change rows").
    pub fn new(kind: StoreErrorKind, context: impl Into<String>) -> Self {
        Self {
            kind,
            context: context.into(),
            source: None,
        }
    }

    /// Adds the error underneath.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Which kind of failure this is.
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            StoreErrorKind::Unavailable => "the key store is unavailable",
            StoreErrorKind::Corrupt => "the key store holds a row that cannot be read",
            StoreErrorKind::OutcomeUnknown => "the key store did not say whether it committed",
            StoreErrorKind::Conflict => "the key store already holds such a key",
            StoreErrorKind::Misconfigured => "the key store does not fit this program",
        };
        write!(f, "{what}: {}", self.context)
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
