//! The plaintext of a key: seen once, by whoever it was made for.

use std::fmt;

use zeroize::Zeroizing;

/// The plaintext of a key that has just been made.
///
/// This is the secret itself. It exists from the moment a key is made until it has been handed to
/// its owner; nothing keeps it, and nobody can get it back from what is stored. It cannot be
/// printed, cloned or serialized by accident, `Debug` shows nothing of it, and its memory is
/// overwritten when it is dropped.
///
/// ```
/// use portcullis::key::KeyFormat;
///
/// let format = KeyFormat::new("acme", ["live"])?;
/// let key = format.generate(format.default_environment())?;
///
/// assert_eq!(format!("{:?}", key.plain), "PlainKey(redacted)");
/// assert!(key.plain.expose().starts_with("acme_live_"));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
pub struct PlainKey(Zeroizing<String>);

impl PlainKey {
    pub(super) fn new(text: Zeroizing<String>) -> Self {
        Self(text)
    }

    /// **The secret, in the clear.**
    ///
    /// Whoever reads this text can act as the key's owner. Show it to that owner, once, and let it
    /// go: no log, no span, no error message, no database, no URL, no analytics. A copy of the
    /// text, such as the body of an answer, is not overwritten when this value is dropped.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PlainKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not even the prefix: whatever is shown here ends up in somebody's log.
        f.write_str("PlainKey(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use zeroize::ZeroizeOnDrop;

    use super::*;

    /// Does not compile once `PlainKey` implements the trait: the call becomes ambiguous.
    macro_rules! assert_does_not_implement {
        ($name:ident: $($forbidden:tt)+) => {
            #[test]
            fn $name() {
                trait Ambiguous<Marker> {
                    fn call() {}
                }
                impl<T> Ambiguous<()> for T {}
                impl<T: $($forbidden)+> Ambiguous<u8> for T {}
                <PlainKey as Ambiguous<_>>::call();
            }
        };
    }

    assert_does_not_implement!(it_cannot_be_cloned: Clone);
    assert_does_not_implement!(it_cannot_be_displayed: fmt::Display);
    assert_does_not_implement!(it_cannot_be_compared: PartialEq);
    assert_does_not_implement!(it_is_not_taken_for_a_string: AsRef<str>);
    #[cfg(feature = "admin")]
    assert_does_not_implement!(it_cannot_be_serialized: serde::Serialize);

    #[test]
    fn debug_shows_nothing_in_any_style() {
        let plain = PlainKey::new(Zeroizing::new("acme_live_secret".to_owned()));
        for shown in [
            format!("{plain:?}"),
            format!("{plain:#?}"),
            format!("{plain:200?}"),
        ] {
            assert_eq!(shown, "PlainKey(redacted)");
        }
    }

    #[test]
    fn its_memory_is_overwritten_on_drop() {
        fn overwritten(_: &impl ZeroizeOnDrop) {}
        overwritten(&PlainKey::new(Zeroizing::default()).0);
    }
}
